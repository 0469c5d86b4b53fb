"""Keep the features of texts in memory as ragged arrays, to take batches and document counts from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from candor.model.classifier import BLOCK
from candor.text.features import Features, Featuriser

Ids = NDArray[np.int32]


@dataclass(frozen=True)
class Ragged:
    """Feature ids of n texts, end to end: text i has ids[bounds[i]:bounds[i + 1]]."""

    ids: Ids
    bounds: NDArray[np.int64]
    """[n + 1]"""

    def take(self, index: NDArray[np.int64]) -> tuple[Ids, Ids]:
        """Select texts.

        Args:
            index: [m] which texts.

        Returns:
            The ids of these texts, and for each id the position of its text in `index`.

        Example:
            >>> ids, rows = Ragged(np.array([7, 8, 9], np.int32), np.array([0, 1, 3])).take(np.array([1, 0]))
            >>> ids.tolist(), rows.tolist()
            ([8, 9, 7], [0, 0, 1])
        """
        lengths = self.bounds[index + 1] - self.bounds[index]
        ends = np.cumsum(lengths)
        positions = np.repeat(self.bounds[index] - ends + lengths, lengths) + np.arange(ends[-1])
        return self.ids[positions], np.repeat(np.arange(len(index), dtype=np.int32), lengths)

    def blocks(self) -> Iterator[tuple[slice, NDArray[np.int64], Ids]]:
        """Yield for each block of texts: which texts, the row of each id within the block, and the ids."""
        for start in range(0, len(self.bounds) - 1, BLOCK):
            texts = slice(start, min(start + BLOCK, len(self.bounds) - 1))
            lengths = np.diff(self.bounds[texts.start : texts.stop + 1])
            ids = self.ids[self.bounds[texts.start] : self.bounds[texts.stop]]
            yield texts, np.repeat(np.arange(len(lengths)), lengths), ids

    def document_counts(self, weights: NDArray[np.float64], size: int) -> NDArray[np.float64]:
        """Count the texts that hold each id.

        Args:
            weights: [n, K] what each text adds to each of K counts.
            size: Number of different ids.

        Returns:
            [size, K] counts.
        """
        counts = np.zeros((size, weights.shape[1]))
        for texts, rows, ids in self.blocks():
            pairs = np.unique(rows * size + ids)
            for column, weight in enumerate(weights[texts].T):
                counts[:, column] += np.bincount(pairs % size, weight[pairs // size], size)
        return counts

    def document_frequencies(self, size: int) -> NDArray[np.float64]:
        """Return [size] the number of texts that hold each id."""
        return self.document_counts(np.ones((len(self.bounds) - 1, 1)), size)[:, 0]


@dataclass(frozen=True)
class Corpus:
    """Features of n texts."""

    unigrams: Ragged
    bigrams: Ragged
    tokens: Ids
    """[n] number of tokens in each text."""

    @classmethod
    def of(cls, texts: Sequence[str], featuriser: Featuriser) -> "Corpus":
        """Return the features of texts."""
        blocks = [featuriser(texts[start : start + BLOCK]) for start in range(0, len(texts), BLOCK)]
        tokens = np.concatenate([block.tokens for block in blocks])
        unigrams = Ragged(np.concatenate([block.unigrams for block in blocks]), _bounds(tokens))
        pairs = Ragged(np.concatenate([block.bigrams for block in blocks]), _bounds(np.maximum(tokens - 1, 0)))
        return cls(unigrams, pairs, tokens)

    def __len__(self) -> int:
        return len(self.tokens)

    def take(self, index: NDArray[np.int64]) -> Features:
        """Return the features of the texts [m] in `index`, as the featuriser returns them for a block of these."""
        return Features(*self.unigrams.take(index), *self.bigrams.take(index), self.tokens[index])

    def __add__(self, other: "Corpus") -> "Corpus":
        return Corpus(
            _joined(self.unigrams, other.unigrams),
            _joined(self.bigrams, other.bigrams),
            np.concatenate([self.tokens, other.tokens]),
        )


def _bounds(lengths: Ids) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])


def _joined(first: Ragged, second: Ragged) -> Ragged:
    return Ragged(
        np.concatenate([first.ids, second.ids]), np.concatenate([first.bounds, second.bounds[1:] + first.bounds[-1]])
    )
