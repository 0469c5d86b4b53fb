"""Tokens: words and punctuation marks, the same alone and anywhere in any block."""

import itertools
import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from candor.text.clean import clean
from candor.text.tokens import PUNCTUATION, tokenize, words_of

anything = st.text(st.characters() | st.sampled_from("\0\ud800 '<>/=\u0085\u2028é好İß\u200b🙂<br />.-“"), max_size=60)
words = st.text(st.sampled_from("ab'é好 \0<>.,"), max_size=60)
mixed = st.text(st.sampled_from("aAkσΣ<=> \u0301\u0338\u0345´…ﬁ½İKǅẞ한\u1161\u09be“’"), max_size=20)
texts = st.one_of(anything, words, st.text(max_size=5).map(lambda text: text * 300))


def tokens_of(*block):
    tokens = tokenize(block)
    every, bounds = words_of(tokens), tokens.bounds.tolist()
    return [every[begin:end] for begin, end in itertools.pairwise(bounds)]


def definition(text):
    cleaned = clean(text).replace("\0", " ").encode("utf-8", "replace").lower()
    return re.findall(rb"[a-z0-9'\x80-\xff]+|[" + re.escape(PUNCTUATION) + rb"]", cleaned)


@given(st.lists(texts, min_size=1, max_size=8))
@example(["", "a", ""])
@example(["a\0b", "a b"])
@example(["\0", "\0\0", "x"])
@example(["\ud800", "plain"])
@example(["é", "<br />", "a<br />b", "a <b", "c> d"])
@example(["x" * 20_000, "y."])
@settings(max_examples=400, deadline=None)
def test_tokenize_text_in_any_block_has_same_tokens(block):
    """A text has the same tokens alone and at any position of any block."""
    assert tokens_of(*block) == [tokens_of(text)[0] for text in block]


@given(texts)
@settings(deadline=None)
def test_tokenize_finds_words_and_single_marks(text):
    """Tokens are the runs of word characters in the clean text, and each mark between them."""
    expected = definition(text)
    assert tokens_of(text) == [expected]
    assert tokenize([text]).is_word.tolist() == [
        token not in [bytes([mark]) for mark in PUNCTUATION] for token in expected
    ]


@given(st.lists(texts | st.sampled_from(["<br /", "<BR />", "a<br />b", '<a x="<BR />">é', "<<br />br"]), max_size=6))
@example(["<br />"])
@settings(deadline=None)
def test_tokenize_long_block_breaks_like_short(block):
    """Line breaks end a word in long blocks, where passes of NumPy find them, as they do in short ones."""
    filler = "ab. " * 5000
    assert tokens_of(filler, *block) == [tokens_of(filler)[0], *(tokens_of(text)[0] for text in block)]
    assert tokens_of(*block, filler) == [*(tokens_of(text)[0] for text in block), tokens_of(filler)[0]]


@given(mixed, mixed)
@example("é", "\u0301")
@example("ΟΔΟ", "Σ Σ")
@example("<", "\u0338")
@settings(deadline=None)
def test_tokenize_folds_a_run_like_the_text(before, after):
    """Characters outside ASCII fold as they do in the whole text: a mark may join what is before it."""
    text = f"{before}x{after}"
    assert tokens_of(text) == [definition(text)]


@given(texts)
@settings(deadline=None)
def test_clean_is_idempotent(text):
    """Clean text has the tokens of the text it came from."""
    assert tokens_of(clean(text)) == tokens_of(text)


@pytest.mark.parametrize(
    ("spelling", "other"),
    [
        ("GOOD", "good"),
        ("don’t", "don't"),
        ("ｇｏｏｄ　ｆｉｌｍ！", "good film!"),
        ("go\u200bod", "good"),
        ("good<br /><br />film", "good film"),
        ('<a href="x">good</a> film', "good film"),
        ("“good”—film…", '"good"-film...'),
        ("„gut“ «bon» ‹ok›", '"gut" "bon" "ok"'),
        ("很好，真的。", "很好,真的."),
        ("−5 – 6", "-5 - 6"),
        ("CAFÉ", "café"),
        ("cafe\u0301", "café"),
        ("a\ud800b", "a b"),
    ],
)
def test_tokenize_spelling_variants_have_same_tokens(spelling, other):
    """Case, width, typography and HTML do not change the tokens."""
    assert tokens_of(spelling) == tokens_of(other)
    assert tokens_of(spelling) != tokens_of(other + " indeed")


@pytest.mark.parametrize(
    ("text", "count"),
    [("很好的电影", 5), ("good很好", 3), ("映画が好き", 5), ("🙂🙂", 2), ("3 < 5 > 2", 5), ("...", 3)],
)
def test_tokenize_characters_that_stand_alone(text, count):
    """Marks, emoji, and characters of scripts without spaces are tokens of their own."""
    assert [len(each) for each in tokens_of(text)] == [count]


def test_tokenize_block_has_bounds_of_each_text():
    """Bounds count tokens; a text without any has none."""
    tokens = tokenize(["A good film.", "", "?"])
    assert tokens.bounds.tolist() == [0, 4, 4, 5]
    assert tokens.is_word.tolist() == [True, True, True, False, False]
    assert np.array_equal(tokenize([]).bounds, [0])
