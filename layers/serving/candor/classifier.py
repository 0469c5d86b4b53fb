"""Texts in, labels and probabilities out: the featuriser and the model of one bundle."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from candor.bundle import Bundle
from candor.errors import BundleError
from candor.evidence import warnings
from candor.features import VERSION, Features, Featuriser
from candor.interpreter import Signature
from candor.redact import Redacted
from candor.redact import redact as redacted
from candor.sieve import suspects

BLOCK = 128  # texts a pass: enough to spread what a NumPy call costs, few enough to stay in the cache
_PLACES = 6
_SIEVE = 1_000_000  # characters that are looked at together for what is to be masked
_FEW = 8  # fewer are sooner looked at one by one


@dataclass(frozen=True)
class Prediction:
    label: str
    """The most probable label."""
    probabilities: dict[str, float]
    """By label, rounded to 6 places, with a sum of exactly 1 when added as decimals."""
    tokens: int
    """How many tokens the model read."""
    warnings: tuple[str, ...] = ()
    """Codes of candor.evidence.WARNINGS: why the label should not be relied on."""
    unseen: float = 0.0
    """The share of the tokens that stood in too few training texts to be known."""

    def decision(self, min_confidence: float) -> str:
        """The label, or "uncertain" where it is less probable than asked for, or there are warnings."""
        sure = self.probabilities[self.label] >= min_confidence and not self.warnings
        return self.label if sure else "uncertain"


class Classifier:
    """A bundle, ready to predict. Not safe for two threads at once: the interpreter has one set of tensors."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        try:
            self.featuriser = Featuriser(**bundle.model["featuriser"])
            self._scripts = tuple(bundle.model["scripts"])
            self.min_confidence = float(bundle.model["min_confidence"])
            self.redacts = bool(bundle.model["redacts"])
            self.usual = bundle.model["drift"]
        except (KeyError, TypeError) as error:
            raise BundleError(f"model.json lacks what the classifier needs: {error}") from error
        if self.featuriser.version != VERSION:
            raise BundleError(f"model.json wants featuriser version {self.featuriser.version}; this code has {VERSION}")
        self._known = np.unpackbits(np.frombuffer(bundle.read("known.bin"), np.uint8))
        if len(self._known) != 1 << self.featuriser.unigram_bits:
            raise BundleError("known.bin has another size than the featuriser's buckets")
        self._predict = Signature(bundle.read("model.tflite"))

    @classmethod
    def load(cls, path: Path, digest: str = "") -> "Classifier":
        """Raises BundleError or InterpreterError."""
        return cls(Bundle.open(path, digest))

    def predict(self, texts: Sequence[str], *, redact: bool = True) -> list[Prediction]:
        """One prediction a text, in order. Redacted first, if the model was trained so; `redact`: unless they are."""
        if redact and self.redacts:
            texts = self._as_read(texts)
        return [prediction for block in _blocks(texts, BLOCK) for prediction in self._block(block)]

    def _as_read(self, texts: Sequence[str]) -> Sequence[str]:
        """Texts as the model is to see them; of many, most are seen at once to have nothing that is to be masked."""
        read: list[str] = []
        for block in _sized(texts, _SIEVE):
            found = {*suspects(block)} if len(block) > _FEW else range(len(block))
            read += [self.read(text).text if place in found else text for place, text in enumerate(block)]
        return read

    def read(self, text: str) -> Redacted:
        """A text as the model is to see it."""
        return redacted(text, "replace" if self.redacts else "off")

    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Probabilities [n, K], in blocks, so that memory does not grow with n but for the result."""
        blocks = [self._run(self.featuriser(block)) for block in _blocks(texts, BLOCK)]
        return np.concatenate([np.empty((0, len(self.bundle.labels))), *blocks])

    def _run(self, features: Features) -> NDArray[np.float64]:
        return softmax(self._predict(model_inputs(features, self.featuriser))["logits"])

    def _block(self, texts: Sequence[str]) -> list[Prediction]:
        features = self.featuriser(texts)
        probabilities = self._run(features)
        known = np.bincount(features.unigram_rows, self._known[features.unigrams], len(texts)).tolist()
        facts = zip(
            texts, probabilities.argmax(axis=1), rounded(probabilities), features.tokens.tolist(), known, strict=True
        )
        return [
            Prediction(
                self.bundle.labels[winner],
                dict(zip(self.bundle.labels, row, strict=True)),
                tokens,
                tuple(warnings(text, tokens, int(count), self._scripts)),
                1 - count / tokens if tokens else 0.0,
            )
            for text, winner, row, tokens, count in facts
        ]


def _blocks(texts: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (texts[start : start + size] for start in range(0, len(texts), size))


def _sized(texts: Sequence[str], characters: int) -> Iterator[list[str]]:
    """Blocks that are over so many characters by no more than a text."""
    block: list[str] = []
    size = 0
    for text in texts:
        block.append(text)
        size += len(text)
        if size >= characters:
            yield block
            block, size = [], 0
    if block:
        yield block


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


def rounded(probabilities: NDArray[np.float64]) -> list[list[float]]:
    """Probabilities [n, K] to 6 places, each row with a sum of exactly 1 as decimals: the largest-remainder method."""
    scale = 10**_PLACES
    exact = probabilities * scale
    units = np.floor(exact).astype(np.int64)
    ranks = np.argsort(np.argsort(units - exact, axis=1, kind="stable"), axis=1)
    units += ranks < scale - units.sum(axis=1, keepdims=True)
    return (units / scale).tolist()  # type: ignore[no-any-return]
