"""Character references count as the characters that they name, wherever words are read."""

import html
import itertools

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from candor.redact import normalise
from candor.text import references
from candor.text.evidence import Evidence, warnings
from candor.text.offsets import spans
from candor.text.tokens import tokenize, words_of

PIECES = [
    "&", "&amp;", "&amp", "amp;", "&#38;", "&#x26;", "#39;", "&#39;", "&#39", "&#x27;", "&#", ";", "&quot;", "&lt;",
    "br", "&gt;", "<", ">", "&nbsp;", "&#160;", "&eacute;", "&NotEqualTilde;", "&#0;", "&#1114112;", "&#xD800;",
    "&#146;", "&nosuch;", "don", "t", " ", "é", "好", "3",
]  # fmt: skip
texts = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)


def words(text):
    return words_of(tokenize([text]))


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("don&#39;t", "don't"),
        ("don&#039;t &#x27;so&#X27;", "don't 'so'"),
        ("don&#39t", "don't"),
        ("don&apos;t &quot;so&quot;", 'don\'t "so"'),
        ("don&rsquo;t&hellip;", "don’t…"),
        ("Q&amp;A, Q&A, AT&T", "Q&A, Q&A, AT&T"),
        ("don&amp;#39;t", "don't"),
        ("don&#38;amp;#39;t", "don't"),
        ("good&nbsp;film&#160;&#9;", "good film"),
        ("good&lt;br&gt;film&lt;br /&gt;", "good film"),
        ("good&lt;br&gtfilm", "good<br&gtfilm"),
        ("&lt 3 &gt 2 &amp &quot", '< 3 > 2 & "'),
        ("caf&eacute; caf&#233; caf&#xE9;", "café café café"),
        ("&#22909;&#30475;", "好看"),
        ("&#x1F600;", "😀"),
        ("good&#146;s", "good’s"),
        ("go&shy;od go&zwnj;od", "good good"),
        ("go&#1114112;od go&#xFFFFFFFFF;od go&#xD800;od go&#0;od", "good good good good"),
        ("go&#999999999999;od go&#" + "9" * 5000 + ";od", "good go & # " + "9" * 5000 + " ; od"),
        ("don&amp;amp;amp;#39;t", "don't"),
        ("go&nosuchname;od &; &#; &#x; &copy2", "go & nosuchname ; od & ; & # ; & # x ; & copy2"),
    ],
)
def test_tokenize_reference_is_its_character(written, read):
    """A reference has the tokens of its character; what names none is left out, or stays if it is a name."""
    assert words(written) == words(read)
    assert words(written) != words(read + " indeed")


def test_references_are_read_as_redaction_reads_them():
    """Every reference that redaction decodes has the same tokens here."""
    named = [*normalise._REFERENCES, "#64", "#x40", "#0000064", "#233", "#x4E2D", "#8217", "#1114112", "#xD800", "#0"]
    for name in named:
        redacted = normalise.NormalizedText(f"a&{name};b").text.replace(normalise.SPACE, " ")
        assert "&" not in redacted or name == "amp"
        assert words(f"a&{name};b") == words(redacted), name


@given(texts)
@settings(deadline=None)
def test_read_equals_html_where_nothing_is_nested(text):
    """With a semicolon, references have the value that HTML gives them, but for what is invalid or white space."""
    text = text.replace("&amp", "").replace("&#38;", "").replace("&#x26;", "").replace("amp;", "")
    by_html = html.unescape(text).replace("\ufffd", "").replace("\xa0", " ")
    assert references.read(text) == by_html


@given(texts)
@example("&amp;nosuch;t")
@settings(deadline=None, max_examples=300)
def test_spans_cover_whole_references(text):
    """Each token has a span, in order; no span begins or ends within a reference."""
    found = spans(text)
    assert len(found) == len(words(text))
    assert all(0 <= begin < end <= len(text) for begin, end in found)
    assert all(left[0] <= right[0] and left[1] <= right[1] for left, right in itertools.pairwise(found))
    inside = {offset for begin, end, _ in references.edits(text).tolist() for offset in range(begin + 1, end)}
    assert not inside & {offset for span in found for offset in span}


def test_character_keeps_short_references_only():
    """What the cache keeps is of bounded length, whatever a text holds."""
    for text in ("&#" + "0" * 9000 + "39;", "&" + "amp;" * 3000 + "lt;", "&#x" + "1" * 9000, "&" + "a" * 9000 + ";"):
        assert all(end - begin <= 64 for begin, end, _ in references.edits(text).tolist())
    assert references.edits("&amp;#x0000038;").tolist() == [[0, 15, 1]]


@given(st.lists(texts, min_size=1, max_size=6))
@settings(deadline=None)
def test_tokenize_references_same_in_any_block(block):
    """A text with references has the same tokens alone and in any block."""
    tokens = tokenize(block)
    every, bounds = words_of(tokens), tokens.bounds.tolist()
    assert [every[begin:end] for begin, end in itertools.pairwise(bounds)] == [words(text) for text in block]


@pytest.mark.parametrize(
    ("text", "unsupported"),
    [("&#22909;&#30475;", True), ("好&nbsp;看", True), ("&#233;t&#233;", False), ("fine&nbsp;好", False)],
)
def test_warnings_count_letters_of_references(text, unsupported):
    """Chinese in references is Chinese, and the names of references are no Latin letters."""
    found = warnings(text, 1, 1, ["LATIN"], Evidence(0, 0))
    assert found == ["LANGUAGE_UNSUPPORTED"] * unsupported
