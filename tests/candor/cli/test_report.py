"""The page of `candor report`: what it shows of texts, and that nothing of the data becomes markup."""

import re
from pathlib import Path

import pytest

from candor.batch.labels import LabelError, normalised
from candor.cli.main import main
from candor.cli.report import ALIKE, EXAMPLES, keep, similarity, triples
from candor.model.classifier import Prediction
from tests import bundles

SECRETS = ("jane@example.com", "John Smith", "4111 1111 1111 1111")
PERSONAL = f"A good film, wrote {SECRETS[0]}. My name is {SECRETS[1]}, and my card {SECRETS[2]} paid for it.\n"
NASTY = ("<b>bold</b>", "a|b`c`", "\"quoted\" & 'so'", "</details><script>", "&lt;i&gt;", "مشكلة", "[x](y)", "${a} %s")

OWN = {
    *("h1", "h2", "bdi", "p", "span", "table", "tr", "th", "td", "details", "summary", "blockquote", "mark", "small"),
    *("svg", "rect", "title", "text"),
}
"""Elements of the page's own."""


@pytest.fixture
def report(tmp_path, monkeypatch):
    """Return a function that reports on texts by a made-up model, and returns the page."""
    monkeypatch.chdir(tmp_path)

    def run(content, *options, name="new.txt", **described):
        Path("model").mkdir(exist_ok=True)
        bundles.classifier(Path("model"), min_confidence=0.0, **described)
        Path(name).write_text(content)
        assert main(["report", name, "page.html", "--model", "model", *options]) == 0
        return Path("page.html").read_text()

    return run


@pytest.mark.parametrize(
    ("mode", "shown", "masked"),
    [
        (None, False, "[EMAIL]"),
        ("replace", False, "[EMAIL]"),
        ("mask", False, "*" * 16),
        ("plain", True, ""),
        ("off", False, ""),
    ],
)
@pytest.mark.parametrize("redacts", [True, False])
def test_report_masks_personal_data_unless_asked(report, mode, shown, masked, redacts):
    """By default, too, and whatever the model reads; the words of a masked text are marked all the same."""
    page = report(PERSONAL, *(["--with-text", mode] if mode else []), redacts=redacts)
    plain = re.sub(r"</?mark[^>]*>", "", page)
    assert [secret in plain for secret in SECRETS] == [shown] * 3
    assert (masked in plain) is (mode != "off") or not masked
    assert ("A good film" in plain) is (mode != "off")
    assert bool(re.search(r"<mark title='[+]\d\.\d\d'>good</mark>", page)) is (mode != "off")
    assert ("is masked. Some can be missed" in page) is (mode not in ("off", "plain"))
    assert ("shown in clear" in page) is (mode == "plain")


def test_report_names_model_and_explains_marks(report):
    page = report("A good film.\n", name="new.txt")
    assert re.search(r"Model: <bdi>made-up</bdi> <bdi>1</bdi> <span class=soft>\([0-9a-f]{12}\)</span>", page)
    assert "<mark>Solid</mark> ones speak for the label" in page
    assert "the highest bar is 1." in page
    assert "@media(prefers-color-scheme:dark)" in page


def test_report_marks_no_word_that_weighs_nothing(report):
    page = report("it is a wonderful film\n", kinds=("word",))
    marked = re.findall(r"<mark(?: class=no)? title='([^']*)'>(\w+)</mark>", page)
    assert [word for _, word in marked] == ["wonderful"]
    assert "is a" in page


def test_report_shows_texts_nearly_alike_once(report):
    """Of texts that differ in a number, a letter or case the best is shown; unlike ones all are."""
    same = [f"good film number {number}, it is good and moving" for number in range(30)]
    page = report("\n".join([*same, "GOOD FILM NUMBER 7, it is good and moving!", "wonderful, very moving"]) + "\n")
    quotes = re.findall(r"<blockquote>.*?</blockquote>", page)
    assert len(quotes) == 2
    assert sum("number" in re.sub(r"<[^>]*>", "", quote).lower() for quote in quotes) == 1


def test_keep_holds_best_of_each_kind():
    """A better one takes the place of all that are nearly like it, and never leaves fewer kinds than there were."""
    prediction = Prediction("a", {"a": 1.0}, 1, (), 0.0)
    texts = ["alpha beta gamma", "delta epsilon", "zeta eta theta", "iota kappa", "lambda mu", "nu xi omicron"]
    kept = []
    for rank, text in enumerate(texts):
        keep(kept, float(rank), text, prediction)
    keep(kept, -1.0, "alpha beta gamma!", prediction)
    keep(kept, 9.0, "Delta epsilon", prediction)
    assert [each.text for each in kept] == ["alpha beta gamma!", *texts[1:]]
    assert len(kept) > EXAMPLES
    assert similarity(triples("alpha beta gamma"), triples("delta epsilon")) < ALIKE


def test_report_of_nasty_names_is_well_formed(report):
    """Labels, the noun and the file's name are shown as they are; no element comes of them."""
    labels = NASTY + tuple(f"other {number}" for number in range(4))
    for label in labels:
        assert normalised(label) == label
    with pytest.raises(LabelError):
        normalised("\x1b[31mred")
    content = "\n".join(f"{word} {other}" for word in bundles.WORDS for other in bundles.WORDS) + "\n"
    page = report(content, name="<i>&amp;.txt", labels=labels)
    body = page.partition("</style>")[2]
    assert re.findall(r"<(\w+)", body)
    assert set(re.findall(r"<(\w+)", body)) <= OWN
    assert "&lt;i&gt;&amp;amp;.txt" in body
    assert "&lt;b&gt;bold&lt;/b&gt;" in body
