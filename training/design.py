"""Design matrices: how often each feature occurs in each text, weighted by how rare it is.

A text's features are scaled by idf (Spärck Jones 1972) and divided by the root of the sum of their squared weights, as
the served model does it: that adds up over a text, needs no sorting, and takes the place of a norm. Static word vectors
(candor_training.vectors) are summed under the same norm, so that they fold into one row a word.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from candor.text.features import char_grams, hash_words
from candor.text.identity import SOMEONE
from candor.text.tokens import PUNCTUATION

from .corpus import Corpus
from .solvers import Inputs
from .vectors import Vectors

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Hashes = NDArray[np.uint32]

CHAR_FACTOR = 0.3
"""Weight of characters inside words against that of words."""
FLOOR = 0.05
"""Quantile of the texts' squared norms below which a text's norm is held: very short texts must not shout."""
MAX_CHARS = 30_000_000
"""Characters' counts that fit in memory and time; a design with more leaves characters out."""


@dataclass(frozen=True)
class Design:
    """Counts of F features in n texts: W words first, then n-grams, then characters inside words."""

    hashes: Hashes
    """[F], all different"""
    counts: sparse.csr_matrix
    """float32 [n, F]"""
    n_words: int
    """Number of words, W."""
    first_char: int
    """Index of the first feature of kind char; F if there is none."""
    spelled: sparse.csr_matrix
    """float32 [W, F - first_char] how often characters occur in each word"""
    vectors: NDArray[np.float32]
    """[W, D] static vector of each word, 0 where it has none; D is 0 without vectors"""
    is_word: NDArray[np.bool_]
    """[W] True for a word, False for a punctuation mark"""
    word_tokens: Ints
    """[n] number of tokens of each text that are words"""
    min_df: int
    """Minimum number of texts that hold a feature."""

    @classmethod
    def of(
        cls,
        corpus: Corpus,
        spellings: Mapping[int, bytes],
        vectors: Vectors | None,
        kinds: Sequence[str],
        min_df: int = 2,
    ) -> "Design":
        """Count the features of a corpus.

        Args:
            corpus: The n texts.
            spellings: The bytes of each token by its hash, from candor_training.corpus.spellings.
            vectors: Static word vectors. Each of their words is a feature, so that texts to come may hold it.
            kinds: Kinds of features, from candor.text.features.KINDS. "word" must be among them.
            min_df: Minimum number of texts that hold a feature.
        """
        words, word_counts = corpus.counts(["word"])
        spelled_words = [spellings[word] for word in words.tolist()]
        kept = np.bincount(word_counts.indices, minlength=len(words)) >= min_df
        found = np.full(len(words), -1)
        if vectors is not None:
            words, found = _with_vectors(words, hash_words(vectors.words))
            spelled_words += [vectors.words[index].encode() for index in found[len(kept) :].tolist()]
            kept = np.concatenate([kept, np.ones(len(words) - len(kept), bool)]) | (found >= 0)
            word_counts.resize(len(corpus), len(words))
        is_word = np.array([spelling[0] not in PUNCTUATION for spelling in spelled_words], bool)
        hashes, counts = [words[kept]], [word_counts[:, kept]]
        if grams := [kind for kind in kinds if kind not in ("word", "char")]:
            columns, gram_counts = corpus.counts(grams, min_df=min_df)
            new = ~np.isin(columns, hashes[0])
            hashes.append(columns[new])
            counts.append(gram_counts[:, new])
        first_char = sum(map(len, hashes))
        spelled = sparse.csr_matrix((int(kept.sum()), 0), dtype=np.float32)
        if "char" in kinds:
            chars, all_spelled, char_counts = _chars(spelled_words, is_word, word_counts, min_df)
            new = ~np.isin(chars, np.concatenate(hashes))
            hashes.append(chars[new])
            counts.append(char_counts[:, new])
            spelled = all_spelled[kept][:, new]
        table = np.zeros((1, 0), np.float32) if vectors is None else vectors.vectors
        return cls(
            np.concatenate(hashes),
            sparse.hstack(counts, format="csr"),
            int(kept.sum()),
            first_char,
            spelled,
            np.where((found[kept] >= 0)[:, None], table[found[kept]], np.float32(0)),
            is_word[kept],
            np.asarray(word_counts @ is_word.astype(np.float32)).astype(np.int64),
            min_df,
        )

    def __len__(self) -> int:
        return int(self.counts.shape[0])


def _with_vectors(words: Hashes, vector_words: Hashes) -> tuple[Hashes, Ints]:
    """Return the words and after them those that only have a vector, and the index of each one's vector, or -1."""
    order = np.argsort(vector_words, kind="stable")
    at = order[np.minimum(np.searchsorted(vector_words[order], words), len(order) - 1)]
    found = np.where(vector_words[at] == words, at, -1)
    new = np.flatnonzero(~np.isin(vector_words, words))
    return np.concatenate([words, vector_words[new]]), np.concatenate([found, new])


def _chars(
    words: Sequence[bytes], is_word: NDArray[np.bool_], word_counts: sparse.csr_matrix, min_df: int
) -> tuple[Hashes, sparse.csr_matrix, sparse.csr_matrix]:
    """Return characters inside words [C] by their hash, their counts in each word [W, C] and in each text [n, C].

    Marks have none, as no mark is looked up by its characters when texts are served, and neither has SOMEONE.
    """
    spelled_out = is_word & np.array([word != SOMEONE for word in words], bool)
    grams, index = char_grams([word.replace(b" ", b"") for word in words])
    grams, index = grams[spelled_out[index]], index[spelled_out[index]]
    chars, column = np.unique(grams, return_inverse=True)
    ones = np.ones(len(grams), np.float32)
    spelled = sparse.csr_matrix((ones, (index, column.astype(np.int32))), shape=(len(words), len(chars)))
    occurrences = np.bincount(word_counts.indices, minlength=len(words))
    if int(occurrences @ np.diff(spelled.indptr)) > MAX_CHARS:
        return chars[:0], spelled[:, :0], sparse.csr_matrix((word_counts.shape[0], 0), dtype=np.float32)
    counts = word_counts @ spelled
    kept = np.bincount(counts.indices, minlength=len(chars)) >= min_df
    return chars[kept], spelled[:, kept], counts[:, kept]


@dataclass(frozen=True)
class Weighting:
    """Weights of the features of a design, learnt from some of its texts.

    Features that too few of these texts hold have no weight. A word with a static vector still counts in the norm.
    """

    idf: Floats
    """[F] idf times the weight of the kind; 0 for features that are left out"""
    q: Floats
    """[F] what an occurrence adds to the square of the norm"""
    vector_scale: float
    """Scale that gives sums of static vectors a mean square of 1."""
    floor: float
    """The least square of a norm."""

    @classmethod
    def of(cls, design: Design, rows: Ints) -> "Weighting":
        """Learn the weights from the texts [m] in `rows`."""
        counts = design.counts[rows]
        df = np.bincount(counts.indices, minlength=counts.shape[1])
        idf = np.log((1 + len(rows)) / (1 + df)) + 1
        factors = np.ones(len(idf))
        factors[design.first_char :] = CHAR_FACTOR
        weight = np.where(df >= design.min_df, idf * factors, 0.0)
        q = weight**2
        by_vector = design.vectors.any(axis=1) & (df[: design.n_words] < design.min_df)
        # The same whether no text holds the word or one does: a table must not tell that one text held it.
        q[: design.n_words][by_vector] = (np.log(1 + len(rows)) + 1) ** 2
        squares = counts @ q
        floor = float(np.quantile(squares[squares > 0], FLOOR)) if (squares > 0).any() else 1.0
        plain = cls(weight, q, 1.0, floor)
        mean_square = float((plain.inputs(design, rows).sums ** 2).sum(axis=1).mean()) if design.vectors.size else 0.0
        return replace(plain, vector_scale=1 / np.sqrt(mean_square)) if mean_square else plain

    @property
    def used(self) -> Ints:
        """The features that have a weight."""
        return np.flatnonzero(self.idf)

    def only(self, kept: NDArray[np.bool_]) -> "Weighting":
        """Return the weights of the kept features [F]; the others count no more."""
        return replace(self, idf=self.idf * kept, q=self.q * kept)

    def known_words(self, design: Design, rows: Ints) -> Ints:
        """Return [m] the number of words of the texts [m] in `rows` that the model knows."""
        known = (self.q[: design.n_words] > 0) & design.is_word
        counts = design.counts[rows][:, : design.n_words] @ known.astype(np.float32)
        return np.asarray(counts).astype(np.int64)

    def inputs(self, design: Design, rows: Ints) -> Inputs:
        """Return what a model sees of the texts [m] in `rows`: the features in `used`, and sums of static vectors."""
        counts = design.counts[rows]
        scale = 1 / np.sqrt(np.maximum(counts @ self.q, self.floor))
        used = self.used
        features = sparse.diags_array(scale) @ counts[:, used] @ sparse.diags_array(self.idf[used])
        known = self.q[: design.n_words, None] > 0  # a word that `only` left out has no row for its vector either
        vectors = design.vectors * known * np.float32(self.vector_scale)
        sums = (counts[:, : design.n_words] @ vectors) * scale[:, None].astype(np.float32)
        return Inputs(features.astype(np.float32).tocsr(), sums)
