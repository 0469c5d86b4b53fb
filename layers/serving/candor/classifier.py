"""Texts in, labels and probabilities out: the featuriser and the model of one bundle."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from candor.bundle import Bundle
from candor.errors import BundleError
from candor.features import VERSION, Features, Featuriser
from candor.interpreter import Signature

BLOCK = 128  # texts a pass: enough to spread what a NumPy call costs, few enough to stay in the cache
_PLACES = 6


@dataclass(frozen=True)
class Prediction:
    label: str
    """The most probable label."""
    probabilities: dict[str, float]
    """By label, rounded to 6 places, with a sum of exactly 1 when added as decimals."""
    tokens: int
    """How many tokens the model read."""


class Classifier:
    """A bundle, ready to predict. Not safe for two threads at once: the interpreter has one set of tensors."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.featuriser = Featuriser(**bundle.model["featuriser"])
        if self.featuriser.version != VERSION:
            raise BundleError(f"model.json wants featuriser version {self.featuriser.version}; this code has {VERSION}")
        self._predict = Signature(bundle.read("model.tflite"))

    @classmethod
    def load(cls, path: Path, digest: str = "") -> "Classifier":
        """Raises BundleError or InterpreterError."""
        return cls(Bundle.open(path, digest))

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """One prediction a text, in order."""
        probabilities, tokens = self.probabilities(texts)
        winners = probabilities.argmax(axis=1)
        return [
            Prediction(self.bundle.labels[winner], dict(zip(self.bundle.labels, rounded(row), strict=True)), int(count))
            for winner, row, count in zip(winners, probabilities, tokens, strict=True)
        ]

    def probabilities(self, texts: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
        """Probabilities [n, K] and token counts [n], in blocks, so memory does not grow with n but for the result."""
        blocks = [self._block(texts[start : start + BLOCK]) for start in range(0, len(texts), BLOCK)]
        if not blocks:
            return np.empty((0, len(self.bundle.labels))), np.empty(0, np.int32)
        logits, tokens = zip(*blocks, strict=True)
        return softmax(np.concatenate(logits)), np.concatenate(tokens)

    def _block(self, texts: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        features = self.featuriser(texts)
        return self._predict(model_inputs(features, self.featuriser))["logits"], features.tokens


def model_inputs(features: Features, featuriser: Featuriser) -> dict[str, NDArray[np.int32]]:
    """The inputs of the `predict` signature: every text has at least one id, if need be the one for no feature.

    TensorFlow Lite's SEGMENT_SUM refuses rows that skip a number, and knows the number of texts from the last row only.
    """
    tokens = features.tokens
    blanks = np.int32(1 << featuriser.unigram_bits), np.int32(1 << featuriser.bigram_bits)
    unigrams, unigram_rows = _filled(features.unigrams, features.unigram_rows, np.flatnonzero(tokens < 1), blanks[0])
    bigrams, bigram_rows = _filled(features.bigrams, features.bigram_rows, np.flatnonzero(tokens < 2), blanks[1])
    return {
        "unigrams": unigrams,
        "unigram_rows": unigram_rows,
        "bigrams": bigrams,
        "bigram_rows": bigram_rows,
        "tokens": tokens,
    }


def _filled(
    ids: NDArray[np.int32], rows: NDArray[np.int32], missing: NDArray[np.int64], blank: np.int32
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    if not len(missing):
        return ids, rows
    places = np.searchsorted(rows, missing)
    return np.insert(ids, places, blank), np.insert(rows, places, missing)


def softmax(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Probabilities [n, K] of logits [n, K], in double precision."""
    shifted = logits.astype(np.float64)
    exponentials = np.exp(shifted - shifted.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def rounded(probabilities: NDArray[np.float64]) -> list[float]:
    """Probabilities [K] to 6 places that add up to 1 exactly: the largest-remainder method."""
    scale = 10**_PLACES
    exact = probabilities * scale
    units = np.floor(exact).astype(int)
    for index in np.argsort(units - exact, kind="stable")[: scale - units.sum()]:
        units[index] += 1
    return [int(unit) / scale for unit in units]
