"""The featuriser's promise: the same text gives the same ids, alone, anywhere in any block, in training and serving."""

import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from candor.features import Featuriser
from candor.text import clean

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


def alone(text):
    return ids(featurise([text]), 0)


@given(st.lists(texts, min_size=1, max_size=8))
@example(["", "a", ""])
@example(["a\0b", "a b"])
@example(["\0", "\0\0", "x"])
@example(["\ud800", "plain"])
@example(["é", "<br />", "a<br />b", "a <b", "c> d"])
@example(["x" * 20_000, "y"])
@settings(max_examples=400, deadline=None)
def test_a_text_has_the_same_ids_alone_and_anywhere_in_any_block(block):
    features = featurise(block)
    for row, text in enumerate(block):
        assert ids(features, row) == alone(text)


@given(st.lists(texts, max_size=6))
@settings(deadline=None)
def test_ids_are_in_range_rows_ascend_and_counts_agree(block):
    features = featurise(block)
    assert len(features.tokens) == len(block)
    assert np.array_equal(np.bincount(features.unigram_rows, minlength=len(block)), features.tokens)
    assert np.array_equal(np.bincount(features.bigram_rows, minlength=len(block)), np.maximum(features.tokens - 1, 0))
    for found, rows, bits in (
        (features.unigrams, features.unigram_rows, featurise.unigram_bits),
        (features.bigrams, features.bigram_rows, featurise.bigram_bits),
    ):
        assert found.dtype == rows.dtype == np.int32
        assert ((found >= 0) & (found < 1 << bits)).all()
        assert (np.diff(rows) >= 0).all()


@given(texts)
@settings(deadline=None)
def test_tokens_are_the_runs_of_word_characters_in_the_clean_text(text):
    cleaned = clean(text).encode("utf-8", "replace").lower()
    expected = re.findall(rb"[a-z0-9'\x80-\xff]+", cleaned)
    assert featurise([text]).tokens[0] == len(expected)
    assert alone(text)[0] == [alone(token.decode("utf-8", "replace"))[0][0] for token in expected]


@given(texts)
@settings(deadline=None)
def test_clean_up_is_idempotent(text):
    assert alone(clean(text)) == alone(text)


@pytest.mark.parametrize(
    ("one", "other"),
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
def test_spellings_of_the_same_words_have_the_same_ids(one, other):
    assert alone(one) == alone(other)
    assert alone(one) != alone(other + " indeed")


@pytest.mark.parametrize(
    ("text", "count"), [("很好的电影", 5), ("good很好", 3), ("映画が好き", 5), ("🙂🙂", 2), ("3 < 5 > 2", 3)]
)
def test_characters_of_scripts_without_spaces_are_tokens_of_their_own(text, count):
    assert featurise([text]).tokens.tolist() == [count]


def test_no_bigram_crosses_from_one_text_to_the_next():
    assert len(featurise(["good", "film"]).bigrams) == 0
    assert len(featurise(["good film"]).bigrams) == 1


def test_words_that_share_16_bytes_differ_by_their_length():
    assert alone("a" * 17) != alone("a" * 18)


def test_hashes_spread_evenly():
    block = [f"word{i}" for i in range(20_000)]
    unigrams = featurise(block).unigrams
    expected = (1 << 17) * (1 - np.exp(-len(block) / (1 << 17)))
    assert len(np.unique(unigrams)) == pytest.approx(expected, rel=0.01)


def test_the_ids_of_version_1_never_change():
    features = featurise(["A wonderful film, isn’t it?"])
    assert features.unigrams.tolist() == PINNED[0]
    assert features.bigrams.tolist() == PINNED[1]


PINNED = ([29182, 82185, 69007, 55323, 87450], [111867, 131416, 383436, 911851])
