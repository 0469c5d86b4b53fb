"""Each token's span in the caller's text: cut out and read alone, it is that token."""

import itertools

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from candor.text.offsets import spans
from candor.text.tokens import tokenize, words_of

nasty = st.text(
    st.characters()
    | st.sampled_from("ab <>/=\"\0\ud800é好İßﬁ\u0301\u0345ΣΑ\u200b\u00adＡ🙂\u1100\u1161\u11a8\u0e01'’"),
    max_size=30,
)
tagged = st.lists(
    st.sampled_from(["good", "<br />", "<br>", '<a href="x">', "</a>", " ", "é", "＜br＞", "<", "film", "好"]),
    max_size=12,
).map("".join)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A good film", ["A", "good", "film"]),
        ("Good<br /><br />film.", ["Good", "film", "."]),
        ('so <a href="x">GOOD</a>!', ["so", "GOOD", "!"]),
        ("一部好电影", ["一", "部", "好", "电", "影"]),
        ("cafe\u0301 ﬁlm ＧＯＯＤ", ["cafe\u0301", "ﬁlm", "ＧＯＯＤ"]),
        ("go\u200bod don’t", ["go\u200bod", "don’t"]),
        ("İstanbul straße 🙂 ok", ["İstanbul", "straße", "🙂", "ok"]),
        ("“quoted”—dash…", ["“", "quoted", "”", "—", "dash", "…", "…", "…"]),
        ("\0a\0", ["a"]),
        ("", []),
    ],
)
def test_spans_cut_words_as_written(text, words):
    """Spans cut out the words as they were written."""
    assert [text[begin:end] for begin, end in spans(text)] == words


@pytest.mark.parametrize("unit", ["Good<br />", "Good<br /><b>", "Good ＜br /＞", "Good&lt;br /&gt;é "])
@pytest.mark.parametrize("count", [2, 4000])
def test_spans_long_text_same_as_short(unit, count):
    """However long a text is, and however its line breaks are then found, spans cut out the words as they stand."""
    text = unit * count
    assert [text[begin:end] for begin, end in spans(text) if text[begin] == "G"] == ["Good"] * count


@given(nasty | tagged)
@example("<br />" * 3 + "x")
@example("Σ\u0301ΑΣ b")
@settings(max_examples=600, deadline=None)
def test_spans_any_text_one_per_token_in_order(text):
    """Each token has one span, in order and within the text."""
    token_spans = spans(text)
    assert len(token_spans) == len(tokenize([text]).starts)
    for begin, end in token_spans:
        assert 0 <= begin < end <= len(text)
    assert all(left[0] <= right[0] and left[1] <= right[1] for left, right in itertools.pairwise(token_spans))


@given(st.text(st.sampled_from("abé ß好ＡÅ🙂’.，“"), max_size=40))
@settings(max_examples=300, deadline=None)
def test_spans_cut_token_is_the_same_token(text):
    """Without tags and combining marks, a token cut out of its text is that token."""
    cut = [words_of(tokenize([text[begin:end]])) for begin, end in spans(text)]
    assert cut == [[token] for token in words_of(tokenize([text]))]
