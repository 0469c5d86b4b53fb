"""Predict labels and probabilities of texts with the featuriser and the model of one bundle."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from candor.errors import BundleError
from candor.model.bundle import Bundle
from candor.model.interpreter import Signature
from candor.redact import Redacted
from candor.redact import redact as redact_text
from candor.redact.sieve import redact_texts
from candor.text.evidence import Evidence, warnings
from candor.text.features import VERSION, Features, Featuriser
from candor.text.identity import FILE, Identity
from candor.text.table import Table

BLOCK = 256
"""Texts per pass: enough to amortise the overhead of NumPy calls, few enough that the longest ones fit in memory."""
MAX_FEATURES = 131_072
"""Features of a text that the model sums, the first ones: what an int32 holds. 20,000 bytes of text have fewer."""
_DECIMALS = 6
_LARGE = 31 << 20  # bytes; glibc learns from up to 32 MiB


@dataclass(frozen=True)
class Prediction:
    """The model's answer for one text."""

    label: str
    """The most probable label."""
    probabilities: dict[str, float]
    """Probability by label, rounded to 6 decimals. The decimals sum to exactly 1."""
    tokens: int
    """Number of words that the model read. Punctuation marks do not count."""
    warnings: tuple[str, ...] = ()
    """Codes of candor.text.evidence.WARNINGS: reasons not to rely on the label."""
    oov_rate: float = 0.0
    """Share of out-of-vocabulary words, from 0 to 1: words for which training kept no weight."""
    mentions: tuple[str, ...] = ()
    """Groups of people that the text mentions, of those that the model does not tell apart."""

    def decision(self, min_confidence: float) -> str:
        """Return the label, or "uncertain" if its probability is below `min_confidence` or there are warnings.

        Args:
            min_confidence: Minimum probability of the label, from 0 to 1.

        Example:
            >>> prediction = Prediction("positive", {"negative": 0.3, "positive": 0.7}, tokens=5)
            >>> prediction.decision(0.5), prediction.decision(0.8)
            ('positive', 'uncertain')
        """
        confident = self.probabilities[self.label] >= min_confidence and not self.warnings
        return self.label if confident else "uncertain"


class Classifier:
    """A bundle, ready to predict.

    Not thread-safe: one interpreter, one tensor arena. Use one Classifier per thread.

    Args:
        bundle: A verified bundle.

    Attributes:
        bundle: The bundle.
        featuriser: Featuriser with the bundle's settings.
        table: The features that the model knows.
        groups: Groups of people whose terms it does not tell apart.
        min_confidence: The bundle's default confidence threshold for decisions, from 0 to 1.
        redacts: True if the model was trained on redacted text.
        drift_reference: Distribution of the predictions on the training texts, to compare with candor.operate.drift.

    Raises:
        BundleError: A file or a key of model.json is missing or does not fit this version of the code.
        InterpreterError: The TensorFlow Lite runtime is missing or rejects the model.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        try:
            settings = bundle.model["featuriser"]
            if settings["version"] != VERSION:
                raise BundleError(
                    f"the model has featuriser version {settings['version']}, but this version of Candor reads version "
                    f"{VERSION} only: train it again with `candor train`"
                )
            terms = bundle.files.get(FILE)
            identity = Identity.from_json(terms) if terms else None
            self.groups: tuple[str, ...] = identity.names if identity else ()
            self.featuriser = Featuriser(**settings, identity=identity)
            self._evidence = Evidence(**bundle.model["evidence"])
            self._scripts = tuple(bundle.model["scripts"])
            self.min_confidence = float(bundle.model["min_confidence"])
            self.redacts = bool(bundle.model["redacts"])
            self.drift_reference = bundle.model["drift"]
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError(f"model.json lacks what the classifier needs: {error}") from error
        try:
            self.table = Table.from_bytes(bundle.read("features.bin"))
        except ValueError as error:
            raise BundleError(f"features.bin is damaged: {error}") from error
        self._predict = Signature(bundle.read("model.tflite"))
        # The C library returns memory to the system after each block, and asks for it again, until it has seen a large
        # array come and go. This one is never written to, so that it takes no memory.
        np.empty(_LARGE, np.uint8)

    @classmethod
    def load(cls, path: Path, digest: str = "") -> "Classifier":
        """Open a bundle and build its classifier.

        Args:
            path: Folder of the bundle.
            digest: Expected digest of the bundle in hex; "" accepts any.

        Raises:
            BundleError: The bundle is damaged, incomplete, or not the expected one.
            InterpreterError: The TensorFlow Lite runtime is missing or rejects the model.
        """
        return cls(Bundle.open(path, digest))

    def predict(self, texts: Sequence[str], *, redact: bool = True) -> list[Prediction]:
        """Return one Prediction per text, in order.

        Args:
            texts: The texts as callers wrote them, any number.
            redact: If the model was trained on redacted text, redact the texts first. False skips that.
        """
        if redact and self.redacts:
            texts = redact_texts(texts)
        return [prediction for block in _blocks(texts, BLOCK) for prediction in self._predict_block(block)]

    def prepare(self, text: str) -> Redacted:
        """Return a text as the model reads it: redacted if the model was trained on redacted text, else unchanged."""
        return redact_text(text, "replace" if self.redacts else "off")

    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return probabilities [n, K] of n texts, without redaction or rounding.

        Texts are processed in blocks, so that only the result grows with n.
        """
        if 0 < len(texts) <= BLOCK:
            return self._run(self.featuriser(texts, self.table))
        blocks = [self._run(self.featuriser(block, self.table)) for block in _blocks(texts, BLOCK)]
        return np.concatenate([np.empty((0, len(self.bundle.labels))), *blocks])

    def _run(self, features: Features) -> NDArray[np.float64]:
        return softmax(self._predict(model_inputs(features))["logits"][: len(features.tokens)])

    def _predict_block(self, texts: Sequence[str]) -> list[Prediction]:
        features = self.featuriser(texts, self.table)
        probabilities = self._run(features)
        rows = zip(
            texts,
            probabilities.argmax(axis=1),
            round_probabilities(probabilities),
            features.words.tolist(),
            features.known.tolist(),
            features.mentions.tolist(),
            strict=True,
        )
        return [
            Prediction(
                self.bundle.labels[winner],
                dict(zip(self.bundle.labels, rounded, strict=True)),
                n_words,
                tuple(warnings(text, n_words, n_known, self._scripts, self._evidence)),
                1 - n_known / n_words if n_words else 0.0,
                tuple(compress(self.groups, mentioned)),
            )
            for text, winner, rounded, n_words, n_known, mentioned in rows
        ]


def _blocks(texts: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (texts[start : start + size] for start in range(0, len(texts), size))


def model_inputs(features: Features) -> dict[str, NDArray[np.int32]]:
    """Return the inputs of the model's `predict` signature.

    Args:
        features: Features of a block of n texts.

    Returns:
        int32 arrays `ids` [g], `rows` [g] and `texts` [], which is n. Where no text has any feature, one stands in a
        text of its own after the n, because TensorFlow Lite takes no empty input.
    """
    ids, rows, texts = features.ids, features.rows, len(features.tokens)
    if not len(ids):
        return {
            "ids": np.zeros(1, np.int32),
            "rows": np.array([texts], np.int32),
            "texts": np.array(texts + 1, np.int32),
        }
    if len(ids) > MAX_FEATURES and np.bincount(rows).max() > MAX_FEATURES:
        ids, rows = _first_features(ids, rows)
    return {"ids": ids, "rows": rows, "texts": np.array(texts, dtype=np.int32)}


def _first_features(ids: NDArray[np.int32], rows: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Leave out what a text has beyond its first MAX_FEATURES features."""
    order = rows.argsort(kind="stable")
    ids, rows = ids[order], rows[order]
    kept = np.arange(len(rows)) - rows.searchsorted(rows) < MAX_FEATURES
    return ids[kept], rows[kept]


def softmax(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return probabilities [n, K] of logits [n, K], in double precision.

    Example:
        >>> softmax(np.array([[0.0, 0.0], [1000.0, 0.0]])).tolist()
        [[0.5, 0.5], [1.0, 0.0]]
    """
    probabilities = logits.astype(np.float64)
    probabilities -= np.maximum.reduce(probabilities, axis=1, keepdims=True)
    np.exp(probabilities, out=probabilities)
    probabilities /= np.add.reduce(probabilities, axis=1, keepdims=True)
    return probabilities


def round_probabilities(probabilities: NDArray[np.float64]) -> list[list[float]]:
    """Round probabilities [n, K] to 6 decimals so that each row sums to exactly 1: the largest-remainder method.

    Example:
        >>> round_probabilities(np.full((1, 3), 1 / 3))
        [[0.333334, 0.333333, 0.333333]]
    """
    scale = 10**_DECIMALS
    exact = probabilities * scale
    units = np.floor(exact).astype(np.int64)
    ranks = np.argsort(np.argsort(units - exact, axis=1, kind="stable"), axis=1)
    units += ranks < scale - units.sum(axis=1, keepdims=True)
    return (units / scale).tolist()  # type: ignore[no-any-return]
