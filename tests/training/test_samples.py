"""The samples that a model's page offers: what may be one, and what may not."""

import json

import pytest

from training.data import DataError
from training.samples import IMDB_SAMPLES, MAX_CHARACTERS, load_samples

DATA = ["My parcel is late,<br />again!", "退款 还没有到", "?!"]
GOOD = ["Where is my order?", "我的快递到哪里了？", "Thanks a lot!"]


def load(folder, name, content):
    (folder / name).write_text(content)
    return load_samples(folder / name, "body", DATA)


def test_samples_are_read_from_any_format(tmp_path):
    """TXT, CSV and JSON lines give the same samples; blank lines are none."""
    assert load(tmp_path, "a.txt", "\n".join(["", *GOOD, "  "])) == GOOD
    assert load(tmp_path, "a.csv", "\n".join(["id,body", *(f"1,{text}" for text in GOOD)])) == GOOD
    assert load(tmp_path, "a.jsonl", "".join(json.dumps({"body": text}) + "\n" for text in GOOD)) == GOOD


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ("my parcel is LATE again", "the sample on line 2 is a text of the data"),
        ("退款还没有到", None),  # another text: it lacks the space
        ("退款 还没有到！", "the sample on line 2 is a text of the data"),
        ("Write to jane@example.com.", "the sample on line 2 holds personal data: EMAIL"),
        ("x" * (MAX_CHARACTERS + 1), "the sample on line 2 has 2,001 characters"),
        ("x" * MAX_CHARACTERS, None),
        ("?!", None),  # no words to know a text by
    ],
)
def test_samples_unfit_for_a_page_are_refused(tmp_path, bad, problem):
    """A text of the data, personal data, and a long text are refused, without a word of them."""
    if problem is None:
        assert load(tmp_path, "a.txt", f"{GOOD[0]}\n{bad}\n") == [GOOD[0], bad]
        return
    with pytest.raises(DataError) as error:
        load(tmp_path, "a.txt", f"{GOOD[0]}\n{bad}\n")
    assert error.value.problem == f"a.txt: {problem}"
    assert error.value.hint
    assert bad not in str(error.value)


def test_samples_are_one_to_eight(tmp_path):
    eight = [f"This is sample {number}." for number in range(8)]
    assert load(tmp_path, "a.txt", "\n".join(eight)) == eight
    with pytest.raises(DataError, match=r"a\.txt has 9 samples; keep at most 8"):
        load(tmp_path, "a.txt", "\n".join([*eight, "One more."]))
    with pytest.raises(DataError, match=r"a\.txt has no sample"):
        load(tmp_path, "a.txt", "\n\n")


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("none.txt", None, "does not exist"),
        ("a.docx", "x", "docx"),
        ("a.csv", "text\nx\n", "no column named 'body'"),
        ("a.jsonl", '{"body": 1}\n', "the sample on line 1 cannot be read"),
    ],
)
def test_samples_unreadable_file_is_refused(tmp_path, name, content, problem):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=problem):
        load_samples(tmp_path / name, "body", DATA)


def test_samples_of_imdb_may_be_shown():
    samples = load_samples(IMDB_SAMPLES, "text", DATA)
    assert len(samples) == 4
