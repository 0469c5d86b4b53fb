import csv
import gzip
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import threading
import zlib
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from candor.limits import MAX_LINE_BYTES
from training import data
from training.data import DataError, download, find_copies, folds, load, load_golden

SECRET = "Xyzzy said nobody ever and nobody shall repeat it"
ROWS = [("good\nand long", "yes"), ('so "so"', "no"), ("fine, fine", "yes"), ("bad\u0085bad", "no")]
REVIEWS = {
    "train/neg/2_1.txt": "dull",
    "train/neg/10_4.txt": "grim<br /><br />stuff",
    "train/pos/0_9.txt": "fun",
    "train/pos/1_10.txt": "wit\u0085y",
    "train/unsup/0_0.txt": "who knows",
    "test/neg/0_2.txt": "dull",
    "test/neg/1_2.txt": "grimstuff",
    "test/pos/0_7.txt": "Fun",
    "test/pos/1_7.txt": "dull ",
}


def encoded(rows, kind="csv"):
    if kind == "jsonl":
        return "".join(json.dumps({"label": label, "text": text}) + "\n" for text, label in rows).encode()
    content = io.StringIO(newline="")
    csv.writer(content).writerows([("text", "label"), *rows])
    return content.getvalue().encode()


def archive(path, reviews, mode="w:gz", root="aclImdb/"):
    with tarfile.open(path, mode) as file:
        for name, text in reviews.items():
            content = text if isinstance(text, bytes) else text.encode()
            member = tarfile.TarInfo(f"{root}{name}")
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    return path


def folder(path, reviews):
    for name, text in reviews.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(text.encode())
    return path


def written(path, content):
    path.write_bytes(content)
    return path


def rows(dataset):
    return [(text, dataset.labels[target]) for text, target in zip(dataset.texts, dataset.targets, strict=True)]


def refusal(path, **columns):
    """Its one line, which never holds a text."""
    with pytest.raises(DataError) as caught:
        load(path, **columns)
    fault, message = caught.value, str(caught.value)
    assert "\n" not in message
    assert "Xyzzy" not in message
    assert not isinstance(fault.__cause__, UnicodeError)
    assert path.name in message
    return message


def test_load_archive_sorts_by_label_and_number(tmp_path):
    """An archive gives reviews by label and then by number."""
    found = load(archive(tmp_path / "a.tar.gz", REVIEWS))
    assert found.name == "IMDB Large Movie Review Dataset"
    assert found.labels == ("negative", "positive")
    assert found.texts == ["dull", "grim<br /><br />stuff", "fun", "wit\u0085y"]
    assert found.targets.tolist() == found.test_targets.tolist() == [0, 0, 1, 1]
    assert found.targets.dtype == found.test_targets.dtype == np.int64
    assert found.test_texts == ["dull", "grimstuff", "Fun", "dull "]
    assert found.unlabelled == ["who knows"]
    assert found.source == "https://ai.stanford.edu/~amaas/data/sentiment"
    assert "Maas" in found.citation
    assert found.licence == "research data; no licence stated by its authors; cite Maas et al. 2011"


def test_load_digest_depends_on_content_only(tmp_path):
    """Archive and folder, in any order, have one digest; a changed text has another."""
    backwards = dict(reversed(REVIEWS.items()))
    places = [
        archive(tmp_path / "a.tar.gz", REVIEWS),
        archive(tmp_path / "b.tgz", backwards),
        archive(tmp_path / "c.tar", backwards, mode="w"),
        archive(tmp_path / "unpacked by a browser.tar.gz", REVIEWS, mode="w"),
        folder(tmp_path / "d/aclImdb", backwards),
        tmp_path / "d",
    ]
    found = [load(place) for place in places]
    assert {(each.digest, *each.texts) for each in found} == {(found[0].digest, *found[0].texts)}
    changed = [{**REVIEWS, name: text + " "} for name, text in REVIEWS.items()]
    changed.append({**REVIEWS, "train/neg/2_1.txt": "dullg", "train/neg/10_4.txt": "rim<br /><br />stuff"})
    digests = {load(archive(tmp_path / "e.tar", each, mode="w")).digest for each in changed}
    assert len(digests) == len(changed)
    assert found[0].digest not in digests


def test_digest_separates_text_from_label(tmp_path):
    """A character that moves from a text to its label changes the digest."""
    pairs = [[("xa", "b"), ("ya", "b")], [("x", "ab"), ("y", "ab")]]
    found = [load(written(tmp_path / "a.csv", encoded([*pair, ("1", "c"), ("2", "c")]))).digest for pair in pairs]
    assert found[0] != found[1]


def test_load_archive_ignores_other_members(tmp_path, monkeypatch):
    """What is no review is ignored, and nothing is unpacked to disk."""
    monkeypatch.chdir(tmp_path)
    others = {
        "../../aclImdb/train/neg/7_1.txt": SECRET,
        "/aclImdb/train/neg/8_1.txt": SECRET,
        "aclImdb/train/neg/../pos/9_1.txt": SECRET,
        "aclImdb/train/neg/._2_1.txt": b"\xff",
        "aclImdb/test/unsup/0_0.txt": SECRET,
        "aclImdb/README": b"\xff",
    }
    before = load(archive(tmp_path / "a.tar.gz", REVIEWS))
    reviews = {f"aclImdb/{name}": text for name, text in REVIEWS.items()}
    after = load(archive(tmp_path / "b.tar.gz", {**others, **reviews}, root=""))
    assert after.digest == before.digest
    assert sorted(file.name for file in tmp_path.rglob("*")) == ["a.tar.gz", "b.tar.gz"]


@pytest.mark.parametrize("mode", ["w:gz", "w"])
def test_load_truncated_archive_is_refused(tmp_path, mode):
    """An archive is refused wherever it is cut."""
    whole = archive(tmp_path / "whole.tar", REVIEWS, mode).read_bytes()
    lost = len(whole) if mode == "w:gz" else len(whole.rstrip(b"\0"))
    for end in [*range(1, lost, 37), *range(512, lost, 512), lost - 1]:
        assert "truncated or damaged" in refusal(written(tmp_path / "cut.tar", whole[:end])), end
    assert load(written(tmp_path / "cut.tar", whole)).texts


def test_load_changed_gzip_is_refused(tmp_path):
    plain = archive(tmp_path / "whole.tar", REVIEWS, mode="w").read_bytes()
    packed, digest = gzip.compress(plain), load(tmp_path / "whole.tar").digest
    for place in range(10, len(packed)):  # after gzip's own header, which says nothing of the content
        changed = packed[:place] + bytes([packed[place] ^ 1]) + packed[place + 1 :]
        if unpacked(changed) != plain:  # a run of zeros can be packed in more than one way
            assert refusal(written(tmp_path / "a.tar.gz", changed)), place
    assert load(written(tmp_path / "a.tar.gz", packed)).digest == digest


def unpacked(content):
    with suppress(EOFError, zlib.error, gzip.BadGzipFile):
        return gzip.decompress(content)
    return None


def test_load_damaged_tar_header_is_refused(tmp_path):
    whole = archive(tmp_path / "whole.tar", REVIEWS, mode="w").read_bytes()
    for place in range(20, 1024 * len(REVIEWS), 1024):  # a header and a text of one block each
        changed = whole[:place] + b"!" + whole[place + 1 :]
        assert "truncated or damaged" in refusal(written(tmp_path / "a.tar", changed)), place
    assert load(written(tmp_path / "a.tar", whole)).texts


def test_load_without_imdb_layout_is_refused(tmp_path):
    lacking = {name: text for name, text in REVIEWS.items() if not name.startswith("test/pos")}
    assert "test/pos" in refusal(archive(tmp_path / "a.tar.gz", lacking))
    assert "test/pos" in refusal(folder(tmp_path / "a", lacking))
    (tmp_path / "empty.csv").mkdir()
    assert "neither a sub-folder of .txt files for each label, nor files" in refusal(tmp_path / "empty.csv")
    assert len(load(folder(tmp_path / "b", REVIEWS)).test_texts) == 4


def test_load_review_not_utf_8_is_named(tmp_path):
    latin = {**REVIEWS, "test/pos/1_7.txt": f"{SECRET} \xe9".encode("latin-1")}
    assert "test/pos/1_7.txt: line 1 is not UTF-8" in refusal(archive(tmp_path / "a.tar.gz", latin))
    assert load(archive(tmp_path / "b.tar.gz", {**latin, "test/pos/1_7.txt": "\xe9".encode()})).texts


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_load_own_file_keeps_rows_in_order(tmp_path, kind):
    """A file gives its rows in order: plain, compressed or with a byte order mark."""
    content = encoded(ROWS, kind)
    plain = load(written(tmp_path / f"mine.{kind}", content))
    assert rows(plain) == ROWS
    assert plain.labels == ("no", "yes")
    assert (plain.name, plain.source) == ("mine", f"mine.{kind}")
    assert (plain.citation, plain.licence) == ("", "not stated")
    assert (plain.test_texts, plain.test_targets.tolist(), plain.unlabelled) == ([], [], [])
    packed = load(written(tmp_path / f"mine.{kind.upper()}.gz", gzip.compress(content)))
    marked = load(written(tmp_path / f"marked.{kind}", b"\xef\xbb\xbf" + content))
    assert packed.name == "mine"
    assert plain.digest == packed.digest == marked.digest


NASTY = st.text(st.one_of(st.sampled_from("\u0085\u2028\x00\x0b\x1c\"'\\\n\r,; \ufeff"), st.characters()), max_size=12)
# A lone surrogate has no UTF-8, so that only JSON's \ud800 can carry one; CSV gets the rest.
LABELS = ["a", 'b "2", c', "\u00e9"]


@given(st.lists(NASTY.filter(str.strip), min_size=6, max_size=12, unique_by=data.copy_key))
@example(["\ud800", "a\u0085", '"', "\\", "b\r\n", "\0"])
def test_load_any_text_returns_it_unchanged(texts):
    """Any text that is not blank comes through CSV and JSON lines unchanged."""
    expected = [(text, LABELS[place % len(LABELS)]) for place, text in enumerate(texts)]
    sound = [
        (text.encode("utf-8", "replace").decode() + str(place), label) for place, (text, label) in enumerate(expected)
    ]
    with TemporaryDirectory() as place:
        assert rows(load(written(Path(place) / "a.jsonl", encoded(expected, "jsonl")))) == expected
        by_csv = load(written(Path(place) / "a.csv", encoded(sound)))
        assert rows(by_csv) == sound
        assert load(written(Path(place) / "b.jsonl", encoded(sound, "jsonl"))).digest == by_csv.digest


def test_load_jsonl_cuts_at_line_feeds_only(tmp_path):
    """JSON lines in raw Unicode are cut at line feeds only."""
    lines = [json.dumps({"text": text, "label": label}, ensure_ascii=False) for text, label in ROWS]
    assert rows(load(written(tmp_path / "a.jsonl", "\r\n\n".join(lines).encode()))) == ROWS


def test_load_labels_of_any_type_sort_as_strings(tmp_path):
    """Labels are any number of strings, numbers or truth values."""
    labels = [10, 2, " b ", "b", 1.5, True]
    content = "".join(json.dumps({"text": f"{label} {n}", "label": label}) + "\n" for label in labels for n in range(2))
    assert load(written(tmp_path / "a.jsonl", content.encode())).labels == ("1.5", "10", "2", "b", "true")


def test_load_column_names_select_columns(tmp_path):
    path = written(
        tmp_path / "a.csv", b"id,stars,review\n" + b"".join(b"%d,%d,t%d\n" % (n, n % 2, n) for n in range(4))
    )
    assert rows(load(path, text_column="review", label_column="stars")) == [(f"t{n}", str(n % 2)) for n in range(4)]
    assert load(path).remarks[0] == "reading texts from 'review', labels from 'stars'"
    message = refusal(path, text_column="body")
    assert "'body'" in message
    assert "'id', 'stars', 'review'" in message


def test_load_without_header_shows_no_text(tmp_path):
    """A missing column's message shows no text of a file without a header."""
    message = refusal(written(tmp_path / "a.csv", f'"{SECRET}",yes\n'.encode()))
    assert "there seems to be no header: line 1, of 2 cells, looks like a row" in message
    assert "'label'" in refusal(written(tmp_path / "a.jsonl", json.dumps({"text": SECRET, SECRET: 1}).encode()))


CSV = f"text,label\n{SECRET},yes\nb,no\nc,yes\nd,no\n"
JSONL = encoded([(SECRET, "yes"), *ROWS], "jsonl").decode()
BAD_FILES = {
    "no such file": ("a.csv", None, "does not exist"),
    "no such file of an unknown kind": ("a.parquet", None, "does not exist"),
    "an unknown kind": ("a.parquet", CSV, "unknown kind"),
    "nothing in it": ("a.csv", "", "is empty"),
    "a header only": ("a.csv", "text,label\n", "is empty"),
    "blank lines": ("a.jsonl", "\n\n", "is empty"),
    "one label": ("a.csv", CSV.replace(",no", ",yes"), "one label only"),
    "a label with one row": ("a.csv", CSV + "e,maybe\n", "label 'maybe' has 1 row (line 6);"),
    "a label with one text": (
        "a.csv",
        CSV + "e,maybe\ne,maybe\n",
        "label 'maybe' has 2 rows but no two texts of its own (lines 6, 7);",
    ),
    "a label with others' texts": (
        "a.csv",
        CSV + "b,maybe\nc,maybe\n",
        "label 'maybe' has 2 rows but no two texts of its own (lines 6, 7);",
    ),
    "labels that are texts": (
        "a.csv",
        CSV + f"e,{SECRET}\nf,{SECRET}?\n",
        "(line 6); label one of 50 characters has 1 row (line 7)",
    ),
    "a label that cannot be printed": (
        "a.csv",
        CSV + "e,\x00\n",
        "with the control character U+0000",
    ),
    "too many cells": ("a.csv", CSV + f"{SECRET},{SECRET},no\n", "line 6 has 3 cells, the header 2"),
    "two columns of a name": ("a.csv", f"text,label,text\n{SECRET},yes,b\n", "2 columns named 'text'"),
    "an open quote": ("a.csv", CSV + f'"{SECRET},no\n', "line 6 has a quote that is not closed"),
    "a huge field": ("a.csv", CSV + "e" * MAX_LINE_BYTES + ",no\n", "line 6 has more than 1,000,000 bytes"),
    "CSV that is not UTF-8": (
        "a.csv",
        CSV.encode() + f"{SECRET} \xe9,no\n".encode("latin-1"),
        "line 6 is not valid UTF-8; the bytes suggest cp1252",
    ),
    "UTF-16 without a mark": ("a.csv", CSV.encode("utf-16-le"), "neither UTF-8 nor UTF-16 with a byte order mark"),
    "plain lines": ("a.txt", CSV, "plain lines of text have no labels"),
    "a gzip without .gz": ("a.csv", gzip.compress(CSV.encode()), "its name does not end in .gz"),
    "a number that is none": ("a.jsonl", JSONL + '{"text": "e", "label": NaN}\n', "line 6 is not JSON"),
    "half a gzip": ("a.csv.gz", gzip.compress(CSV.encode())[:-4], "truncated or damaged"),
    "no JSON": ("a.jsonl", JSONL + f'{{"text": {SECRET}}}\n', "line 6 is not JSON (character 10)"),
    "JSON without end": ("a.jsonl", JSONL + f'{{"text": "{SECRET}', "line 6 is not JSON"),
    "JSON too deep": ("a.jsonl", JSONL + "[" * 200_000, "line 6 is not JSON"),
    "no object": ("a.jsonl", JSONL + f'["{SECRET}", "no"]\n', "line 6 is not a JSON object"),
    "a key twice": ("a.jsonl", JSONL + f'{{"text": "{SECRET}", "text": "e", "label": 1}}\n', "keys distinct"),
    "no text": ("a.jsonl", JSONL + '{"label": "yes"}\n', "line 6 has no field 'text'; its fields are 'label'"),
    "a text that is a number": (
        "a.jsonl",
        JSONL + '{"text": 1, "label": "yes"}\n',
        "line 6 has a text that is not a string",
    ),
    "a label without UTF-8": (
        "a.jsonl",
        JSONL + '{"text": "e", "label": "\\ud800"}\n',
        "with half a character",
    ),
}


@pytest.mark.parametrize(("name", "content", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_load_bad_file_is_one_line_without_texts(tmp_path, name, content, message):
    """A bad file is refused in one line, which has none of its texts."""
    if content is not None:
        written(tmp_path / name, content if isinstance(content, bytes) else content.encode())
    assert message in refusal(tmp_path / name)
    good = (JSONL if name.endswith(".jsonl") else CSV).encode()
    kind = "jsonl" if name.endswith(".jsonl") else "csv"
    assert load(written(tmp_path / f"good.{kind}", good)).texts[0] == SECRET


def test_load_longest_line_is_read(tmp_path):
    """A text may fill a line up to its limit."""
    longest = MAX_LINE_BYTES - len(",no\n")
    assert len(load(written(tmp_path / "a.csv", CSV.encode() + b"e" * longest + b",no\n")).texts[-1]) == longest


def test_load_text_after_quote_is_kept(tmp_path):
    """Text after a closing quote belongs to the cell, as for scoring and for csv.reader."""
    found = load(written(tmp_path / "a.csv", CSV.encode() + b'"e"f,no\n'))
    assert rows(found)[-1] == ("ef", "no")


def test_load_utf_16_gives_the_same_digest(tmp_path):
    assert (
        load(written(tmp_path / "a.csv", CSV.encode("utf-16"))).digest
        == load(written(tmp_path / "b.csv", CSV.encode())).digest
    )


def test_load_error_has_problem_and_hint(tmp_path):
    """The command prints the problem and the hint apart; the hint names the option."""
    with pytest.raises(DataError) as caught:
        load(written(tmp_path / "a.csv", b"id,stars,ref\n"))
    assert caught.value.problem == "a.csv: no column named 'text'; its columns are 'id', 'stars', 'ref'"
    assert caught.value.hint == "pass --text-column NAME (make: TEXT=NAME)"


def test_load_several_files_are_one_data_set(tmp_path):
    """However texts are spread over files and folders, they have one digest; rows name their file."""
    whole = load(written(tmp_path / "whole.csv", encoded(ROWS)))
    parts = [written(tmp_path / "a.csv", encoded(ROWS[:2])), written(tmp_path / "b.jsonl", encoded(ROWS[2:], "jsonl"))]
    found = load(parts)
    assert (found.digest, rows(found), found.labels) == (whole.digest, ROWS, whole.labels)
    assert (found.name, found.source) == ("a", "a.csv, b.jsonl")
    assert (found.files, found.lines.tolist()) == (("a.csv", "a.csv", "b.jsonl", "b.jsonl"), [2, 4, 1, 2])
    assert whole.files == ()
    assert load(parts[::-1]).digest != whole.digest
    with pytest.raises(DataError, match=r"none\.csv does not exist"):
        load([*parts, tmp_path / "none.csv"])


def test_load_folder_a_label_is_read(tmp_path):
    """A folder a label gives the texts of a file with the same rows, in the order of labels and numbers."""
    texts = {"no/2.txt": "b", "no/10.txt": "d", "yes/1.txt": "a\nlong", "yes/3.txt": "c"}
    found = load(folder(tmp_path / "mine", texts))
    pairs = [("b", "no"), ("d", "no"), ("a\nlong", "yes"), ("c", "yes")]
    assert (found.name, rows(found)) == ("mine", pairs)
    assert found.digest == load(written(tmp_path / "a.csv", encoded(pairs))).digest
    assert found.files[0] == "no/2.txt"


@pytest.mark.parametrize(
    "label",
    [
        "uncertain",
        "Uncertain",
        " UNCERTAIN\u00a0",
        "ＵＮＣＥＲＴＡＩＮ",
        "un\u200bcertain",
        "uncertai\u034fn",
    ],
)
def test_load_label_uncertain_is_refused(label, tmp_path):
    """What a reader takes for the word of no decision is no label, in any file or folder; longer words are."""
    texts = [("Xyzzy one", "good"), ("Xyzzy two", "good"), ("Xyzzy three", "L"), ("Xyzzy four", "L")]

    def sources(name):
        named = [(text, name if each == "L" else each) for text, each in texts]
        yield written(tmp_path / "a.csv", encoded(named)), {}
        yield written(tmp_path / "a.jsonl", encoded(named, "jsonl")), {}
        renamed = encoded(named).replace(b"label", b"queue", 1)
        yield written(tmp_path / "b.csv", renamed), {"label_column": "queue"}
        each = {f"{name}/{n}.txt": text for n, (text, _) in enumerate(named[2:])}
        yield folder(tmp_path / name.encode().hex(), {"good/1.txt": "Xyzzy 1", "good/2.txt": "Xyzzy 2", **each}), {}

    for source, options in sources(label):
        for skip in (False, True):
            message = refusal(source, **options, skip_bad_rows=skip)
            assert 'is reserved: answers say "uncertain" where they decide no label' in message
            assert " of 2 rows " in message
    for other in ("uncertainty", "unsure", "un certain", "不确定"):
        assert [load(source, **options).labels for source, options in sources(other)] == [
            tuple(sorted(("good", other)))
        ] * 4


def test_load_skip_bad_rows_leaves_out_what_it_says(tmp_path):
    """With the option bad rows and labels of one text are left out and told; without it both are refused."""
    table = CSV + "e,maybe\nf,x,y\n"
    path = written(tmp_path / "a.csv", table.encode())
    assert "line 7 has 3 cells, the header 2" in refusal(path)
    found = load(path, skip_bad_rows=True)
    assert found.labels == ("no", "yes")
    assert found.remarks == (
        "line 7 has 3 cells, the header 2: left out",
        "label 'maybe' has 1 row (line 6): left out",
    )
    assert found.digest == load(written(tmp_path / "b.csv", CSV.encode())).digest


def test_load_remarks_tell_copies_and_columns(tmp_path):
    """Copies, contradictions and like labels are told, without a text."""
    table = f"Review Text,Rating\n{SECRET},Yes\n{SECRET} ,no\nb,no\nb,no\ng,no\nc,yes\nd,yes\ne,Yes\nf,Yes\n"
    found = load(written(tmp_path / "a.csv", table.encode()))
    assert found.remarks == (
        "reading texts from 'Review Text', labels from 'Rating'",
        "2 rows are copies of another row",
        "1 text has more than one label: lines 2, 3",
        "labels 'Yes', 'yes' differ in case only, and count as different labels",
    )
    assert load(written(tmp_path / "a.csv", CSV.encode())).remarks == ()


def test_golden_cases_come_with_their_labels(tmp_path):
    path = written(tmp_path / "golden.jsonl", encoded(ROWS, "jsonl"))
    found = load_golden(path, ("no", "yes"))
    assert [(row.text, row.label) for row in found] == ROWS
    assert {row.file for row in found} == {path.name}


def test_golden_unknown_label_names_its_line(tmp_path):
    path = written(tmp_path / "golden.csv", encoded([*ROWS, (SECRET, "maybe")]))
    with pytest.raises(DataError) as caught:
        load_golden(path, ("no", "yes"))
    assert str(caught.value) == "golden.csv: the data has no label 'maybe', as line 7 has; use 'no', 'yes'"


def test_load_empty_labels_are_texts_without_one(tmp_path):
    """Rows with an empty label, and those of a second file, are texts to learn from without a label."""
    rows = [*enumerate("abcd")]
    table = "text,label\n" + "".join(f"{letter},{('no', 'yes')[number % 2]}\n" for number, letter in rows)
    path, more = tmp_path / "a.csv", tmp_path / "more.txt"
    path.write_text(table)
    plain = load(path)
    path.write_text(table + "e,\nf, \n")
    more.write_text("g\n\nh\n")
    found, both = load(path), load(path, unlabelled=more)
    assert (plain.unlabelled, found.unlabelled, both.unlabelled) == ([], ["e", "f"], ["e", "f", "g", "h"])
    assert plain.texts == found.texts == both.texts
    assert len({plain.digest, found.digest, both.digest}) == 3
    path.write_text("text,label\ne,\n")
    with pytest.raises(DataError, match="has no row with a label"):
        load(path)
    path.write_text(table)
    more.write_text("\n")
    with pytest.raises(DataError, match="has no text that can be read"):
        load(path, unlabelled=more)


def test_load_test_file_stays_apart(tmp_path):
    """Its texts are tested on only: they are in neither the texts to train on nor the digest of these."""
    path = written(tmp_path / "own.csv", encoded([("a", "x"), ("b", "x"), ("c", "y"), ("d", "y")]))
    test = written(tmp_path / "test.jsonl", encoded([("e", "y"), ("a", "x"), ("f", "y")], "jsonl"))
    alone, dataset = load(path), load(path, test=test)
    assert (dataset.texts, dataset.labels, dataset.digest) == (alone.texts, alone.labels, alone.digest)
    assert (alone.test_texts, alone.test_name, alone.test_digest) == ([], "", "")
    assert dataset.test_texts == ["e", "a", "f"]
    assert dataset.test_targets.tolist() == [1, 0, 1]
    assert dataset.test_lines.tolist() == [1, 2, 3]
    assert dataset.test_name == "test file test.jsonl"
    assert len(dataset.test_digest) == 64


def test_load_test_file_replaces_official_split(tmp_path):
    path = folder(tmp_path / "imdb", REVIEWS)
    test = written(tmp_path / "test.csv", encoded([("e", "positive")]))
    assert load(path).test_name == "official test split"
    dataset = load(path, test=test)
    assert (dataset.test_texts, dataset.test_name) == (["e"], "test file test.csv")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "{} has no row to test on; it needs a text and a label in each row"),
        ([("a", "x"), ("d", "y")], "every text of {} is also in the data to train on; test on texts that are not"),
        (
            [("e", "x"), (SECRET, "z"), (SECRET, "z"), *((SECRET, f"q{number}") for number in "123456")],
            "{}: 8 of 9 rows have labels that the data to train on lacks: 'z' (2 rows), 'q1' (1 row), 'q2' (1 row), "
            "'q3' (1 row), 'q4' (1 row) and 2 more; train on rows of these labels, too, or leave them out of the test",
        ),
    ],
)
def test_load_unusable_test_file_is_refused(tmp_path, rows, message):
    path = written(tmp_path / "own.csv", encoded([("a", "x"), ("b", "x"), ("c", "y"), ("d", "y")]))
    test = written(tmp_path / "test.csv", encoded(rows))
    with pytest.raises(DataError) as caught:
        load(path, test=test)
    assert str(caught.value) == message.format(test)


def test_find_copies_ignores_breaks_and_blanks(tmp_path):
    """Copies are exact but for HTML line breaks and white space."""
    found = load(archive(tmp_path / "a.tar.gz", REVIEWS))
    assert find_copies(found.texts, found.test_texts).tolist() == [True, True, False, True]
    assert find_copies([], found.test_texts).dtype == np.bool_


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2)), min_size=1),
    st.integers(2, 5),
    st.integers(0, 9),
)
def test_folds_keep_copies_together(drawn, n_folds, seed):
    """Folds score each row once, copies together; each label is learnt from in every fold, if it has two texts."""
    texts = [f"{label}<br />{number} " if row % 2 else f"{label}{number}" for row, (number, label) in enumerate(drawn)]
    targets = np.array([label for _, label in drawn], np.int64)
    every = folds(texts, targets, n_folds, seed)
    assert sorted(row for _, held_out in every for row in held_out.tolist()) == list(range(len(texts)))
    for learning, held_out in every:
        assert sorted([*learning.tolist(), *held_out.tolist()]) == list(range(len(texts)))
        assert learning.dtype == held_out.dtype == np.int64
        assert not find_copies([texts[row] for row in learning], [texts[row] for row in held_out]).any()
        for label in set(targets.tolist()):
            different = len({number for number, other in drawn if other == label})
            assert different < 2 or label in targets[learning]


def test_folds_are_stratified_and_seeded():
    """Each fold takes the same share of each label; folds differ by their seed only."""
    texts, targets = [str(row) for row in range(1000)], np.repeat([0, 1, 2], [700, 200, 100])
    held_out = [rows for _, rows in folds(texts, targets, 4, seed=3)]
    assert [np.bincount(targets[rows]).tolist() for rows in held_out] == [[175, 50, 25]] * 4
    assert [rows.tolist() for _, rows in folds(texts, targets, 4, seed=3)] == [rows.tolist() for rows in held_out]
    assert folds(texts, targets, 4, seed=4)[0][1].tolist() != held_out[0].tolist()


ARCHIVE = bytes(range(256)) * 1000
SUM = hashlib.sha256(ARCHIVE).hexdigest()


class Site(ThreadingHTTPServer):
    """A real server whose connections break after `cut` bytes, and which may ignore Range or have other content."""

    def __init__(self, cut=None, ranges=True, content=ARCHIVE, status=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.cut, self.ranges, self.content, self.status, self.asked = cut, ranges, content, status, []

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}/a.tar.gz"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        site, asked = self.server, self.headers.get("Range")
        site.asked.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and site.ranges else 0
        body = site.content[start:]
        self.send_response(site.status or (206 if start else 200))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: site.cut])

    def log_message(self, *_):
        pass


@contextmanager
def serving(**settings):
    with Site(**settings) as site:
        thread = threading.Thread(target=site.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield site
        finally:
            site.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def fetched(site, cache):
    return download(cache, site.address, len(ARCHIVE), SUM)


def refused_download(site, cache):
    with pytest.raises(DataError) as caught:
        fetched(site, cache)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_download_is_kept_and_not_repeated(tmp_path):
    with serving() as site:
        path = fetched(site, tmp_path / "new/cache")
        assert path == fetched(site, tmp_path / "new/cache")
    assert path.read_bytes() == ARCHIVE
    assert site.asked == [None]
    assert [file.name for file in path.parent.iterdir()] == ["a.tar.gz"]


def test_download_broken_off_is_resumed(tmp_path):
    """A download goes on where it stopped, in the same run and in the next."""
    part = tmp_path / "a.tar.gz.part"
    with serving(cut=100_000) as site:
        assert fetched(site, tmp_path).read_bytes() == ARCHIVE
        assert site.asked == [None, "bytes=100000-", "bytes=200000-"]
    (tmp_path / "a.tar.gz").unlink()
    part.write_bytes(ARCHIVE[:1000])
    with serving(cut=0) as site:
        assert "the connection ended after 1000 of 256000 bytes" in refused_download(site, tmp_path)
        assert part.read_bytes() == ARCHIVE[:1000]
    with serving() as site:
        assert fetched(site, tmp_path).read_bytes() == ARCHIVE
        assert site.asked == ["bytes=1000-"]


def test_download_without_ranges_starts_again(tmp_path):
    (tmp_path / "a.tar.gz.part").write_bytes(ARCHIVE[:1000])
    with serving(ranges=False) as site:
        assert fetched(site, tmp_path).read_bytes() == ARCHIVE
        assert site.asked == ["bytes=1000-"]
    (tmp_path / "a.tar.gz").unlink()
    with serving(ranges=False, cut=1000) as site:
        assert "the connection ended after 1000 of 256000 bytes" in refused_download(site, tmp_path)


@pytest.mark.parametrize(
    "content", [ARCHIVE[:-1] + b"!", ARCHIVE + b"!", ARCHIVE * 3], ids=["other", "longer", "endless"]
)
def test_download_wrong_content_is_deleted(tmp_path, content):
    """A wrong checksum or size is refused, and the file deleted."""
    with serving(content=content) as site:
        message = refused_download(site, tmp_path)
    assert f"not 256000 with {SUM[:12]}" in message
    assert "has been deleted" in message
    assert f"{3 * len(ARCHIVE)} bytes" not in message  # an endless answer is left before it fills the disk
    assert list(tmp_path.iterdir()) == []
    with serving() as site:
        assert fetched(site, tmp_path).read_bytes() == ARCHIVE


def test_download_other_archive_is_left_alone(tmp_path):
    """A file in the cache that is another is refused, and kept."""
    kept = written(tmp_path / "a.tar.gz", b"mine")
    with serving() as site:
        assert "move it away" in refused_download(site, tmp_path)
        assert (kept.read_bytes(), site.asked) == (b"mine", [])


def test_download_offline_names_the_remedy(tmp_path):
    with serving() as site:
        pass  # it listens no longer
    assert "fetch it by hand and pass its path" in refused_download(site, tmp_path)
    with serving(status=404) as site:
        assert "(404 Not Found)" in refused_download(site, tmp_path)
    with serving() as site:
        assert fetched(site, tmp_path)


def test_download_that_fails_leaves_no_empty_folder(tmp_path):
    """A folder that was made for a download goes with it, unless it keeps a part to go on from, or was there before."""
    (own := tmp_path / "own").mkdir()
    with serving(status=404) as site:
        for folder in (tmp_path / ".data", own):
            refused_download(site, folder)
    with serving(content=b"!" * len(ARCHIVE)) as site:
        refused_download(site, tmp_path / ".data")
    assert list(tmp_path.iterdir()) == [own]
    with serving(cut=1000, ranges=False) as site:
        refused_download(site, tmp_path / ".data")
    assert (tmp_path / ".data/a.tar.gz.part").stat().st_size > 0


def test_load_none_downloads_official_archive(tmp_path, monkeypatch):
    path = archive(tmp_path / "a.tar.gz", REVIEWS)
    defaults = (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
    with serving(content=path.read_bytes()) as site:
        monkeypatch.setattr(download, "__defaults__", (site.address, *defaults))
        found = load(None, cache=tmp_path / "cache")
    assert found.digest == load(path).digest
    assert (tmp_path / "cache/a.tar.gz").exists()


def test_import_data_loads_no_tensorflow():
    code = "import sys, training.data; sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(data.__file__).parents[1], check=False).returncode == 0


def test_load_swapped_columns_are_asked_about(tmp_path):
    """Where nearly every label is another one, the error is short and asks whether the columns are swapped."""
    lines = [f"queue {number % 7},my text {number}" for number in range(1200)]
    path = written(tmp_path / "a.csv", "\n".join(["text,label", *lines]).encode())
    with pytest.raises(DataError) as raised:
        load(path)
    assert raised.value.problem == f"{path}: nearly every row has a label of its own: 1,200 labels in 1,200 rows"
    assert raised.value.hint.startswith("are the columns swapped? pass --text-column and --label-column")
    few = [f"my text {number},label {number % 100}" for number in range(101)]
    written(path, "\n".join(["text,label", *few]).encode())
    with pytest.raises(DataError) as raised:  # 100 labels in 101 rows
        load(path)
    assert "columns swapped" in raised.value.hint
    written(path, "\n".join(["text,label", *few, *(line.replace("my", "our") for line in few[:50])]).encode())
    with pytest.raises(DataError) as raised:
        load(path)
    assert "columns swapped" not in raised.value.hint
