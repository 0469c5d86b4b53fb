"""Explain a prediction: attribute the label's logit to the tokens of the text, exactly.

The logit explained is a label's logit minus the mean logit of the other labels, which for two labels is the log-odds.
The model is a sum over the features of a text: words, neighbouring words, and characters of unknown words, all divided
by one scale, the text's norm. At that scale a token's value is its Shapley value (Shapley 1953), exact at any length: a
feature counts only if all the tokens that make it are present, so that they share its weight equally. A word has its
own weight and half that of each pair that it is in; a negator and the word that it negates share what the negation
adds.

The values and the base add up to the logit, and tokens that contribute equally have equal values.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from candor.model.classifier import MAX_FEATURES, Classifier, model_inputs
from candor.model.interpreter import Signature
from candor.redact import Redacted
from candor.text.features import Grams
from candor.text.offsets import Edits, spans

METHOD = "shapley"
"""The method of every explanation."""
DECIMALS = 7
"""Decimals of published values."""


@dataclass(frozen=True)
class Explanation:
    """Attribution of one label's logit to the tokens of a text. base + sum(values) + residual == logit."""

    method: str
    """METHOD."""
    label: str
    """The label explained. Positive values speak for it, negative ones against it."""
    base: float
    """The logit of a text of which the model knows nothing."""
    logit: float
    """The label's logit minus the mean logit of the other labels."""
    residual: float
    """The logit minus the base and all values: rounding only."""
    spans: list[tuple[int, int]]
    """[tokens] begin and end of each word and punctuation mark in the text as it was given, in code points"""
    values: NDArray[np.float64]
    """[tokens] contribution of each token to the logit"""

    def to_dict(self) -> dict[str, Any]:
        """Return the explanation as answers show it: values are rounded so that they still add up, at any length."""
        values = round_to_sum(self.values, self.logit - self.base, DECIMALS)
        tokens = zip(self.spans, values.tolist(), strict=True)
        return {
            "label": self.label,
            "method": self.method,
            "base_value": self.base,
            "logit": self.logit,
            "residual": round(self.logit - self.base - float(values.sum()), DECIMALS + 2),
            "attributions": [{"begin": begin, "end": end, "value": value} for (begin, end), value in tokens],
        }


def round_to_sum(values: NDArray[np.float64], total: float, decimals: int) -> NDArray[np.float64]:
    """Round values so that they add up to their total, rounded likewise: the largest-remainder method.

    Rounded one by one, the values of a few thousand equal words would be off by some thousandths together.

    Args:
        values: [n]
        total: Their sum, but for an error of less than half a unit a value.
        decimals: Decimals to round to.

    Returns:
        [n] Each less than 1.5 units from its value. Zeros stay zero.

    Example:
        >>> round_to_sum(np.array([0.14, 0.14, 0.0, 0.14]), 0.42, 1).tolist()
        [0.2, 0.1, 0.0, 0.1]
    """
    exact = values * 10.0**decimals
    units = np.rint(exact)
    missing = round(total * 10.0**decimals) - int(units.sum())
    step = 1 if missing > 0 else -1
    candidates = values.nonzero()[0]
    worst = np.argsort((units - exact)[candidates] * step, kind="stable")[: abs(missing)]
    units[candidates[worst]] += step
    return units / 10.0**decimals + 0.0  # without negative zeros


class Explainer:
    """Explain predictions of a classifier, one text at a time.

    Not thread-safe: one interpreter, one tensor arena. Use one Explainer per thread.

    Args:
        classifier: The classifier whose model is explained.
    """

    def __init__(self, classifier: Classifier) -> None:
        self._featuriser, self._table = classifier.featuriser, classifier.table
        self._labels, self._prepare = classifier.bundle.labels, classifier.prepare
        model = classifier.bundle.read("model.tflite")
        self._explain, self._predict = Signature(model, "explain"), Signature(model)

    def __call__(self, text: str, label: str) -> Explanation:
        """Explain one label of one text.

        Args:
            text: The text as the caller wrote it.
            label: One of the bundle's labels, predicted or not.

        Returns:
            The explanation. A text without tokens has no spans and no values, only a base.

        Raises:
            ValueError: The bundle has no such label.
        """
        contrast, prepared = self._contrast(label), self._prepare(text)
        features = self._featuriser([prepared.text], self._table)
        logit = float(self._predict(model_inputs(features))["logits"][0] @ contrast)
        grams = self._featuriser.grams(prepared.text, self._table)
        base, values = self._values(grams, contrast) if len(grams.ids) else (logit, np.zeros(grams.tokens))
        original_spans = spans(prepared.text, _edits(prepared))
        return Explanation(METHOD, label, base, logit, logit - base - float(values.sum()), original_spans, values)

    def _values(self, grams: Grams, contrast: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Return the base, and what each token adds to it."""
        terms = self._explain({"ids": grams.ids[:MAX_FEATURES]})
        each, values = terms["terms"] @ contrast, np.zeros(grams.tokens)
        for kind in self._featuriser.kinds:
            chosen = grams.kinds[:MAX_FEATURES] == kind
            first, last = grams.first[:MAX_FEATURES][chosen], grams.last[:MAX_FEATURES][chosen]
            members = [first] if kind in ("word", "char") else [first, last]
            for member in members:
                values += np.bincount(member, each[chosen] / len(members), grams.tokens)
        return float(terms["bias"] @ contrast), values

    def _contrast(self, label: str) -> NDArray[np.float64]:
        """Return weights [K] whose product with the logits is the label's logit minus the mean of the others."""
        weights = np.full(len(self._labels), -1 / (len(self._labels) - 1))
        weights[self._labels.index(label)] = 1.0
        return weights


def _edits(redacted: Redacted) -> Edits:
    """Return what redaction did to a text."""
    begins, ends = np.array([(begin, end) for _, begin, end in redacted.entities], np.int64).reshape(-1, 2).T
    return Edits.of(begins, ends, np.array([*map(len, redacted.replacements)], np.int64))
