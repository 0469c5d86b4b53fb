"""The featuriser's promise: the same text gives the same ids, alone, anywhere in any block, in training and serving."""

import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from candor.text.clean import clean
from candor.text.features import Featuriser

featurise = Featuriser()
anything = st.text(st.characters() | st.sampled_from("\0\ud800 '<>/=\u0085\u2028é好İß\u200b🙂<br />"), max_size=60)
words = st.text(st.sampled_from("ab'é好 \0<>"), max_size=60)
texts = st.one_of(anything, words, st.text(max_size=5).map(lambda text: text * 300))


def ids(features, row):
    return (
        features.unigrams[features.unigram_rows == row].tolist(),
        features.bigrams[features.bigram_rows == row].tolist(),
        int(features.tokens[row]),
    )


def ids_alone(text):
    return ids(featurise([text]), 0)


@given(st.lists(texts, min_size=1, max_size=8))
@example(["", "a", ""])
@example(["a\0b", "a b"])
@example(["\0", "\0\0", "x"])
@example(["\ud800", "plain"])
@example(["é", "<br />", "a<br />b", "a <b", "c> d"])
@example(["x" * 20_000, "y"])
@settings(max_examples=400, deadline=None)
def test_featuriser_text_in_any_block_has_same_ids(block):
    """A text has the same ids alone and at any position of any block."""
    features = featurise(block)
    for row, text in enumerate(block):
        assert ids(features, row) == ids_alone(text)


@given(st.lists(texts, max_size=6))
@settings(deadline=None)
def test_featuriser_ids_in_range_and_rows_ascending(block):
    """Ids are in range, rows ascend, and counts agree with `tokens`."""
    features = featurise(block)
    assert len(features.tokens) == len(block)
    assert np.array_equal(np.bincount(features.unigram_rows, minlength=len(block)), features.tokens)
    assert np.array_equal(np.bincount(features.bigram_rows, minlength=len(block)), np.maximum(features.tokens - 1, 0))
    for buckets, rows, bits in (
        (features.unigrams, features.unigram_rows, featurise.unigram_bits),
        (features.bigrams, features.bigram_rows, featurise.bigram_bits),
    ):
        assert buckets.dtype == rows.dtype == np.int32
        assert ((buckets >= 0) & (buckets < 1 << bits)).all()
        assert (np.diff(rows) >= 0).all()


@given(texts)
@settings(deadline=None)
def test_featuriser_tokens_are_runs_of_word_characters(text):
    """Tokens are the runs of word characters in the clean text."""
    cleaned = clean(text).encode("utf-8", "replace").lower()
    expected = re.findall(rb"[a-z0-9'\x80-\xff]+", cleaned)
    assert featurise([text]).tokens[0] == len(expected)
    assert ids_alone(text)[0] == [ids_alone(token.decode("utf-8", "replace"))[0][0] for token in expected]


@given(texts)
@settings(deadline=None)
def test_clean_is_idempotent(text):
    """Clean text has the ids of the text it came from."""
    assert ids_alone(clean(text)) == ids_alone(text)


@pytest.mark.parametrize(
    ("spelling", "other"),
    [
        ("GOOD", "good"),
        ("don’t", "don't"),
        ("ｇｏｏｄ　ｆｉｌｍ", "good film"),
        ("go\u200bod", "good"),
        ("good<br /><br />film", "good film"),
        ('<a href="x">good</a> film', "good film"),
        ("“good”—film…", '"good"-film...'),
        ("CAFÉ", "café"),
        ("cafe\u0301", "café"),
    ],
)
def test_featuriser_spelling_variants_have_same_ids(spelling, other):
    """Case, width, typography and HTML do not change the ids of the same words."""
    assert ids_alone(spelling) == ids_alone(other)
    assert ids_alone(spelling) != ids_alone(other + " indeed")


@pytest.mark.parametrize(
    ("text", "count"), [("很好的电影", 5), ("good很好", 3), ("映画が好き", 5), ("🙂🙂", 2), ("3 < 5 > 2", 3)]
)
def test_featuriser_unspaced_script_splits_characters(text, count):
    """Characters of scripts without spaces, and emoji, are tokens of their own."""
    assert featurise([text]).tokens.tolist() == [count]


def test_featuriser_bigrams_stay_within_a_text():
    """No bigram joins the last word of a text and the first of the next."""
    assert len(featurise(["good", "film"]).bigrams) == 0
    assert len(featurise(["good film"]).bigrams) == 1


def test_featuriser_long_words_differ_by_length():
    """Words that share their first 16 bytes differ if their lengths do."""
    assert ids_alone("a" * 17) != ids_alone("a" * 18)


def test_featuriser_hashes_spread_evenly():
    """Distinct words fill as many buckets as random ones would."""
    block = [f"word{i}" for i in range(20_000)]
    unigrams = featurise(block).unigrams
    expected = (1 << 17) * (1 - np.exp(-len(block) / (1 << 17)))
    assert len(np.unique(unigrams)) == pytest.approx(expected, rel=0.01)


def test_featuriser_version_1_ids_are_pinned():
    """The ids of version 1 never change."""
    features = featurise(["A wonderful film, isn’t it?"])
    assert features.unigrams.tolist() == PINNED[0]
    assert features.bigrams.tolist() == PINNED[1]


PINNED = ([29182, 82185, 69007, 55323, 87450], [111867, 131416, 383436, 911851])
