"""Keep texts in memory as token hashes, to take some of them, cut windows out of them, and count their features.

Hashes are enough to train on: marks and negators are known by their hashes (candor.text.features), so that texts can be
cut anew, and every kind of feature counted, without the texts themselves.

Shapes: n texts of t tokens altogether, F features.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_matrix, csr_matrix, hstack

from candor.text.features import combine, hash_tokens, hash_words
from candor.text.identity import SOMEONE, Identity
from candor.text.tokens import Tokens, tokenize, words_of

Ints = NDArray[np.int64]
Hashes = NDArray[np.uint32]

MIN_WINDOW_TOKENS = 3
"""Shorter windows say too little to learn from."""

_BLOCK = 1024  # texts that are cut into tokens at a time
_ENDS = hash_words([".", "!", "?"])
_LOW_BITS = np.uint64(32)
_TABLE_SHIFT = np.uint32(8)  # tables that filter hashes are addressed by the other 24 bits
_TABLE_SIZE = 1 << 24
_MANY = 1 << 20  # grams from which such a table pays


@dataclass(frozen=True)
class Corpus:
    """The tokens of n texts, end to end: text i has hashes[bounds[i]:bounds[i + 1]]."""

    hashes: Hashes
    """[t]"""
    bounds: Ints
    """[n + 1]"""

    @classmethod
    def of(cls, texts: Sequence[str], identity: Identity | None = None) -> "Corpus":
        """Return the tokens of texts, those of `identity` as one.

        Example:
            >>> len(Corpus.of(["A good film.", ""])), Corpus.of(["A good film.", ""]).bounds.tolist()
            (2, [0, 4, 4])
        """
        hashes, lengths = [np.empty(0, np.uint32)], [np.zeros(1, np.int64)]
        for start in range(0, len(texts), _BLOCK):
            tokens = tokenize(texts[start : start + _BLOCK])
            hashes.append(_hash(tokens, identity))
            lengths.append(np.diff(tokens.bounds))
        return cls(np.concatenate(hashes), np.cumsum(np.concatenate(lengths)))

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def __add__(self, other: "Corpus") -> "Corpus":
        bounds = np.concatenate([self.bounds, other.bounds[1:] + self.bounds[-1]])
        return Corpus(np.concatenate([self.hashes, other.hashes]), bounds)

    def take(self, index: Ints) -> "Corpus":
        """Return the texts [m] in `index`, in its order.

        Example:
            >>> Corpus(np.array([7, 8, 9], np.uint32), np.array([0, 1, 3])).take(np.array([1, 0])).hashes.tolist()
            [8, 9, 7]
        """
        return self._cut(self.bounds[index], self.bounds[index + 1])

    def windows(self, random: np.random.Generator, sizes: Sequence[int]) -> tuple["Corpus", Ints]:
        """Cut one window of a few sentences out of each text that is longer.

        Args:
            random: Draws the number of sentences and the first sentence of each window.
            sizes: Numbers of sentences to draw from, all equally likely.

        Returns:
            The m windows, and [m] the text that each is from, ascending. Windows of fewer than MIN_WINDOW_TOKENS
            tokens, and those that would be the whole text, are left out.

        Example:
            >>> texts = Corpus.of(["This is good. That is bad. So what?", "One sentence only."])
            >>> windows, index = texts.windows(np.random.default_rng(0), [1])
            >>> len(windows.hashes), index.tolist()
            (4, [0])
        """
        ends = self._sentence_ends()
        first, sentences = self._sentences(ends)
        length = random.choice(np.asarray(sizes, np.int64), len(self))
        offset = (random.random(len(self)) * (sentences - length + 1)).astype(np.int64)
        index = np.flatnonzero(length < sentences)
        begin = first[index] + offset[index]
        starts, stops = np.append(ends, 0)[begin - 1], ends[begin + length[index] - 1]
        long = stops - starts >= MIN_WINDOW_TOKENS
        return self._cut(starts[long], stops[long]), index[long]

    def sentences(self) -> Ints:
        """Return the number of sentences [n] of each text."""
        return self._sentences(self._sentence_ends())[1]

    def slices(self, size: int) -> tuple["Corpus", Ints]:
        """Cut all texts into windows of `size` sentences, end to end; the last one of a text can be shorter.

        Returns:
            The m windows, in order, and [m] the text that each is from.

        Example:
            >>> windows, index = Corpus.of(["One. Two. Three.", "", "Four!"]).slices(2)
            >>> np.diff(windows.bounds).tolist(), index.tolist()
            ([4, 2, 2], [0, 0, 2])
        """
        ends = self._sentence_ends()
        first, sentences = self._sentences(ends)
        n_windows = -(-sentences // size)
        index = np.repeat(np.arange(len(self)), n_windows)
        offset = size * (np.arange(len(index)) - np.repeat(np.cumsum(n_windows) - n_windows, n_windows))
        begin = first[index] + offset
        last = begin + np.minimum(size, sentences[index] - offset) - 1
        starts = np.where(offset == 0, self.bounds[index], np.append(ends, 0)[begin - 1])
        return self._cut(starts, ends[last]), index

    def grams(self, kind: str) -> tuple[Hashes, NDArray[np.int32]]:
        """Return the hash of each gram of a kind (see candor.text.features.combine), and its text, ascending."""
        hashes, tokens = combine(kind, self.hashes, self.bounds)
        texts = np.repeat(np.arange(len(self), dtype=np.int32), np.diff(self.bounds))
        return hashes, texts[tokens]

    def counts(self, kinds: Sequence[str], hashes: Hashes | None = None, min_df: int = 1) -> tuple[Hashes, csr_matrix]:
        """Count features in each text.

        Grams of two kinds that happen to share a hash are one feature, as they are in the model's table.

        Args:
            kinds: Kinds of features, without "char".
            hashes: [F] distinct features to count. If None, those in at least `min_df` texts.
            min_df: The least number of texts with a feature; of no effect if `hashes` is given.

        Returns:
            The hash of each feature, uint32 [F]: `hashes` itself, or ascending; and their counts, float32 [n, F].

        Example:
            >>> hashes, counts = Corpus.of(["so so good", "so bad"]).counts(["word"], min_df=2)
            >>> counts.toarray().tolist()
            [[2.0], [1.0]]
        """
        if hashes is None:
            found, parts = zip(*(self._counts_above(kind, min_df) for kind in kinds), strict=True)
            hashes, column = np.unique(np.concatenate(found), return_inverse=True)
            counts = hstack(parts, format="csr", dtype=np.float32)
        else:
            column = np.argsort(hashes, kind="stable")
            counts = sum(
                (self._counts_of(kind, hashes[column]) for kind in kinds),
                csr_matrix((len(self), len(hashes)), dtype=np.float32),
            )
        renamed = csr_matrix((counts.data, column[counts.indices].astype(np.int32), counts.indptr), counts.shape)
        renamed.resize(len(self), len(hashes))
        renamed.sum_duplicates()
        return hashes, renamed

    def _cut(self, starts: Ints, stops: Ints) -> "Corpus":
        lengths = stops - starts
        bounds = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        positions = np.repeat(starts - bounds[:-1], lengths) + np.arange(bounds[-1])
        return Corpus(self.hashes[positions], bounds)

    def _sentence_ends(self) -> Ints:
        """Return where sentences end, ascending: after the last of some end marks, and at the end of each text."""
        mark = np.isin(self.hashes, _ENDS)
        mark[:-1] &= ~mark[1:]
        return np.union1d(np.flatnonzero(mark) + 1, self.bounds[1:][np.diff(self.bounds) > 0])

    def _sentences(self, ends: Ints) -> tuple[Ints, Ints]:
        """Return the index in `ends` of each text's first sentence, [n], and its number of sentences, [n]."""
        first = np.searchsorted(ends, self.bounds[:-1], side="right")
        return first, np.searchsorted(ends, self.bounds[1:], side="right") - first

    def _counts_above(self, kind: str, min_df: int) -> tuple[Hashes, csr_matrix]:
        """Return the features of a kind in at least `min_df` texts, ascending, and their counts [n, F]."""
        keys, counts = _tally(*self.grams(kind))
        columns = (keys >> _LOW_BITS).astype(np.uint32)
        starts = _changes(columns)
        frequencies = np.diff(starts, append=len(columns))
        kept = frequencies >= min_df
        chosen = np.repeat(kept, frequencies)
        bounds = np.concatenate([np.zeros(1, np.int64), np.cumsum(frequencies[kept])])
        shape = len(self), int(kept.sum())
        matrix = csc_matrix((counts[chosen], keys[chosen].astype(np.uint32).view(np.int32), bounds), shape)
        return columns[starts[kept]], matrix.tocsr()

    def _counts_of(self, kind: str, features: Hashes) -> csr_matrix:
        """Return the counts [n, F] of features [F], which are ascending."""
        hashes, texts = self.grams(kind)
        if len(hashes) > _MANY:
            table = np.zeros(_TABLE_SIZE, bool)
            table[features >> _TABLE_SHIFT] = True
            known = table[hashes >> _TABLE_SHIFT]
            hashes, texts = hashes[known], texts[known]
        columns = np.searchsorted(features, hashes)
        known = np.append(features, 0)[columns] == hashes
        known &= columns < len(features)
        bounds = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.bincount(texts[known], minlength=len(self)))])
        ones = np.ones(int(bounds[-1]), np.float32)
        matrix = csr_matrix((ones, columns[known].astype(np.int32), bounds), (len(self), len(features)))
        matrix.sum_duplicates()
        return matrix


def _tally(hashes: Hashes, texts: NDArray[np.int32]) -> tuple[NDArray[np.uint64], NDArray[np.float32]]:
    """Return the distinct pairs of hash and text, ascending, as hash · 2³² + text, and how often each occurs."""
    keys = hashes.astype(np.uint64)
    keys <<= _LOW_BITS
    keys |= texts.view(np.uint32)
    keys.sort()
    starts = _changes(keys)
    return keys[starts], np.diff(starts, append=len(keys)).astype(np.float32)


def _hash(tokens: Tokens, identity: Identity | None) -> Hashes:
    hashes = hash_tokens(tokens)
    if identity is not None:
        identity.merge(hashes)
    return hashes


def spellings(texts: Sequence[str], identity: Identity | None = None) -> dict[int, bytes]:
    """Return the bytes of each different token of the texts, by its hash; SOMEONE stands for those of `identity`."""
    found: dict[int, bytes] = {}
    for start in range(0, len(texts), _BLOCK):
        tokens = tokenize(texts[start : start + _BLOCK])
        hashes, first = np.unique(_hash(tokens, identity), return_index=True)
        words = words_of(tokens)
        found.update((word, words[index]) for word, index in zip(hashes.tolist(), first.tolist(), strict=True))
    if identity is not None:
        found[int(identity.mark[0])] = SOMEONE
    return found


def _changes(values: NDArray[np.uint64] | Hashes) -> Ints:
    """Return the index of each value that differs from the one before, and of the first.

    Example:
        >>> _changes(np.array([7, 7, 8], np.uint32)).tolist()
        [0, 2]
    """
    return np.flatnonzero(np.concatenate([np.ones(min(len(values), 1), bool), values[1:] != values[:-1]]))
