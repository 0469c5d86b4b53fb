"""Counts of words and pairs, from which the heaviest are listed."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from training import strongest


@pytest.mark.parametrize("min_df", [1, 3])
def test_document_counts_are_those_of_sets(monkeypatch, min_df):
    """A word and a pair count once a text; a pair does not reach into the next text, and needs two frequent words."""
    monkeypatch.setattr(strongest, "MIN_DF", min_df)
    random = np.random.default_rng(0)
    tokens = [random.choice([*"abcdefgh", "é", "!", "?"], size).tolist() for size in random.integers(0, 6, 40)]
    words, pairs = strongest.document_counts([" ".join(each) for each in tokens])
    expected = Counter(word for each in tokens for word in set(each))
    assert words == {word: count for word, count in expected.items() if count >= min_df}
    expected = Counter(pair for each in tokens for pair in set(pairwise(each)) if set(pair) <= words.keys())
    assert pairs == {pair: count for pair, count in expected.items() if count >= min_df}
    assert pairs


def test_document_counts_of_nothing_are_empty():
    assert strongest.document_counts([]) == strongest.document_counts(["", "a b"]) == ({}, {})
