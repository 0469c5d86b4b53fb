"""What training computes is what is served: one design, folded into one row a feature."""

from dataclasses import replace

import numpy as np
import pytest

from candor.text.features import Featuriser, char_grams, combine, hash_words
from training import design, recipe
from training.corpus import Corpus, spellings
from training.design import Design, Weighting
from training.recipe import CANDIDATES
from training.vectors import Vectors

KINDS = ("word", "pair", "negated", "char")
TEXTS = [
    "a good film, a good night!",
    "not a good film. the plot was thin",
    "grim plot; grim night",
    "the film was fun and the night was fun",
    "goodish filmish fun? yes, yes",
    "unfunny, overlong; grimmer than grim",
    "",
    "a plot, a film: what fun!",
]
TARGETS = {2: np.array([1, 0, 0, 1, 1, 0, 0, 1]), 3: np.array([0, 1, 2, 0, 1, 2, 2, 0])}
VECTORS = Vectors(
    ["a", "film", "fun", "grim", "night", "the", "thin", "unseen", "was"],
    np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32),
)
EVERY = np.arange(len(TEXTS))


def designed(texts=TEXTS, vectors=VECTORS, kinds=KINDS, min_df=2):
    return Design.of(Corpus.of(texts), spellings(texts), vectors, kinds, min_df)


def served(additive, texts=TEXTS, kinds=KINDS):
    """Return the logits [n, K] of the table's rows that the featuriser finds."""
    found = Featuriser(kinds)(texts, additive.table)
    return additive.in_table_order().logits(found.ids, found.rows, len(texts))


def centred(logits):
    full = np.pad(logits, ((0, 0), (1, 0))) if logits.shape[1] == 1 else logits
    return full - full.mean(axis=1, keepdims=True)


def trained(matrix, weighting, candidate, targets, n_labels):
    """Return the logits [n, K] of a candidate by the training matrix times its weights."""
    inputs = candidate.inputs(weighting.inputs(matrix, EVERY))
    linear = candidate.fit(weighting.inputs(matrix, EVERY), np.eye(n_labels, dtype=np.float32)[targets], 5.0)
    return inputs.scores(linear)


@pytest.mark.parametrize("n_labels", [2, 3])
@pytest.mark.parametrize("candidate", CANDIDATES, ids=lambda each: each.name)
def test_fold_served_sum_equals_training_matrix(candidate, n_labels):
    """Known and unknown words, marks, characters and vectors weigh in the table what they weigh in training."""
    matrix, targets = designed(), TARGETS[n_labels]
    additive = recipe.fit_all(matrix, recipe.Teaching.of(targets, n_labels), [(1.0, candidate, 5.0)], 10_000)
    expected = trained(matrix, Weighting.of(matrix, EVERY), candidate, targets, n_labels)
    assert np.abs(centred(served(additive)) - centred(expected)).max() < 1e-5
    without_chars = served(additive, kinds=KINDS[:-1])
    assert np.abs(without_chars - served(additive))[4:6].max() > 1e-3  # they have unknown words


@pytest.mark.parametrize("max_rows", [90, 40, 8])
def test_fold_cut_table_is_refitted_exactly(max_rows):
    """A table cut to a size holds that many rows, and its weights are fitted anew for them alone."""
    matrix, candidate = designed(), CANDIDATES[2]
    every = recipe.fit_all(matrix, recipe.Teaching.of(TARGETS[3], 3), [(1.0, candidate, 5.0)], 10_000)
    additive = recipe.fit_all(matrix, recipe.Teaching.of(TARGETS[3], 3), [(1.0, candidate, 5.0)], max_rows)
    assert len(additive.hashes) == max_rows < len(every.hashes)
    kept = np.isin(matrix.hashes, additive.hashes)
    weighting = Weighting.of(matrix, EVERY).only(kept)
    expected = trained(matrix, weighting, candidate, TARGETS[3], 3)
    assert np.abs(centred(served(additive)) - centred(expected)).max() < 1e-5
    cut = replace(every, hashes=every.hashes[kept], weights=every.weights[kept], q=every.q[kept])
    assert np.abs(served(cut) - served(additive)).max() > 1e-3


def test_design_word_known_by_vector_counts_in_norm():
    """A word that one text holds has no weight of its own, but with a vector it is a word of the text's length."""
    matrix = designed(kinds=("word",))
    weighting, word = Weighting.of(matrix, EVERY), hash_words(["thin"])[0]
    column = int(np.flatnonzero(matrix.hashes == word)[0])
    assert weighting.idf[column] == 0
    assert weighting.q[column] == pytest.approx((np.log(9) + 1) ** 2)  # as if no text held it
    plain = designed(kinds=("word",), vectors=None)
    assert word not in plain.hashes
    known = [Weighting.of(each, EVERY).known_words(each, EVERY)[1] for each in (plain, matrix)]
    assert known == [6, 7]


def test_design_vector_words_are_features_to_come():
    """Every word of the vectors has a row, also one that no text holds."""
    matrix = designed(kinds=("word",))
    assert np.isin(hash_words(VECTORS.words), matrix.hashes).all()
    rows = [int(np.flatnonzero(matrix.hashes == word)[0]) for word in hash_words(VECTORS.words)]
    assert np.array_equal(matrix.vectors[rows], VECTORS.vectors)
    others = np.setdiff1d(np.arange(matrix.n_words), rows)
    assert len(others) == 5
    assert not matrix.vectors[others].any()


@pytest.mark.parametrize("min_df", [1, 2, 3])
def test_design_min_df_leaves_rare_features_out(min_df):
    """Features of fewer texts have no column, of whatever kind."""
    matrix = designed(vectors=None, min_df=min_df)
    df = np.bincount(matrix.counts.indices, minlength=len(matrix.hashes))
    assert df.min() == min_df
    words, counts = Corpus.of(TEXTS).counts(["word"])
    frequent = words[np.bincount(counts.indices) >= min_df]
    assert set(matrix.hashes[: matrix.n_words].tolist()) == set(frequent.tolist())


def test_design_weights_come_from_given_rows_only():
    """Features that too few of the texts to learn from hold have no weight, and other texts change nothing."""
    matrix, rows = designed(vectors=None), np.array([0, 1, 3, 7])
    weighting = Weighting.of(matrix, rows)
    df = np.bincount(matrix.counts[rows].indices, minlength=len(matrix.hashes))
    assert np.array_equal(weighting.idf > 0, df >= 2)
    assert (df < 2).any()
    changed = replace(matrix, counts=matrix.counts.multiply((EVERY < 2)[:, None] + (EVERY % 4 == 3)[:, None]).tocsr())
    assert np.array_equal(Weighting.of(changed, rows).idf, weighting.idf)


def test_design_too_many_chars_leaves_them_out(monkeypatch):
    """Characters that would not fit in memory have no column; words and pairs stay."""
    full = designed()
    monkeypatch.setattr(design, "MAX_CHARS", 100)
    matrix = designed()
    assert full.first_char < len(full.hashes)
    assert matrix.first_char == len(matrix.hashes) == full.first_char
    assert np.array_equal(matrix.hashes, full.hashes[: full.first_char])
    additive = recipe.fit_all(matrix, recipe.Teaching.of(TARGETS[2], 2), [(1.0, CANDIDATES[0], 5.0)], 10_000)
    expected = trained(matrix, Weighting.of(matrix, EVERY), CANDIDATES[0], TARGETS[2], 2)
    assert np.abs(centred(served(additive)) - centred(expected)).max() < 1e-5


@pytest.mark.parametrize(
    ("gram", "word"),
    [
        (combine("pair", hash_words(["w83", "w333"]), np.array([0, 2]))[0], "w129402"),
        (char_grams([b"w85513"])[0], "w6221"),
    ],
    ids=["pair", "char"],
)
def test_design_hash_of_two_kinds_is_one_row(gram, word):
    """A pair or a stretch of characters whose hash is a word's has no row beside the word's."""
    shared = hash_words([word])
    assert np.isin(shared, gram).all()
    texts = [f"w83 w333 w85513 {word}"] * 2 + ["w83 w333"]
    for kinds in (("word", "pair", "char"), ("word", "pair")):
        matrix = designed(texts, None, kinds)
        assert len(np.unique(matrix.hashes)) == len(matrix.hashes)
        assert np.count_nonzero(matrix.hashes == shared) == 1


def test_design_marks_are_no_words():
    """Punctuation marks are features, but neither words of a text nor spelt with characters."""
    matrix = designed(["good, good!", "bad, bad!", "?", "#"], None, ("word", "char"))
    assert matrix.word_tokens.tolist() == [2, 2, 0, 0]
    marks = np.isin(matrix.hashes[: matrix.n_words], hash_words([",", "!"]))
    assert np.array_equal(marks, ~matrix.is_word)
    assert marks.sum() == 2
    assert not np.isin(char_grams([b"!", b","])[0], matrix.hashes).any()
