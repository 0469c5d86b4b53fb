"""Explain a prediction: attribute the label's logit to the tokens of the text, exactly, in the same call.

The logit explained is a label's logit minus the mean logit of the other labels, which for two labels is the log-odds.
The model is a sum over words and pairs of neighbouring words, plus a small network on the mean of the words. A token's
value is the sum of three parts:

- its own weight, and half the weight of each pair that it is in. These are Shapley values (Shapley 1953), exact at any
  length, because a pair counts only if both its words are present;
- its share of the network, up to 12 tokens: Shapley values too, by enumeration of all sets of tokens;
- its share of the network, beyond 12 tokens: integrated gradients from no token to all tokens (Sundararajan et al.
  2017), which have a closed form for a ReLU of a sum. They are the Aumann-Shapley values (1974), the limit of Shapley
  values as tokens become many and small.

With both methods the values and the base add up to the logit, and tokens that contribute equally have equal values.
"""

from dataclasses import dataclass
from math import factorial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from candor.model.classifier import Classifier, model_inputs
from candor.model.interpreter import Signature
from candor.text.offsets import spans

METHOD = "shapley"
"""Method for texts of up to 12 tokens."""
METHOD_LONG = "shapley + integrated gradients"
"""Method for longer texts."""
_MAX_ENUMERATED = 12  # tokens: 4,096 sets, a millisecond


@dataclass(frozen=True)
class Explanation:
    """Attribution of one label's logit to the tokens of a text. base + sum(values) + residual == logit."""

    method: str
    """METHOD or METHOD_LONG."""
    label: str
    """The label explained. Positive values speak for it, negative ones against it."""
    base: float
    """The logit of a text of this length in which the model knows no word."""
    logit: float
    """The label's logit minus the mean logit of the other labels."""
    residual: float
    """The logit minus the base and all values: rounding only."""
    spans: list[tuple[int, int]]
    """[tokens] begin and end of each token in the text as it was given, in code points"""
    values: NDArray[np.float64]
    """[tokens] contribution of each token to the logit"""

    def to_dict(self) -> dict[str, Any]:
        """Return the explanation as answers show it, with attributions rounded to 6 places."""
        tokens = zip(self.spans, self.values.tolist(), strict=True)
        return {
            "label": self.label,
            "method": self.method,
            "base_value": self.base,
            "logit": self.logit,
            "residual": self.residual,
            "attributions": [{"begin": begin, "end": end, "value": round(value, 6)} for (begin, end), value in tokens],
        }


class Explainer:
    """Explain predictions of a classifier, one text at a time.

    Not thread-safe: one interpreter, one tensor arena. Use one Explainer per thread.

    Args:
        classifier: The classifier whose model is explained.
    """

    def __init__(self, classifier: Classifier) -> None:
        self._featuriser, self._labels = classifier.featuriser, classifier.bundle.labels
        self._prepare = classifier.prepare
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
        prepared = self._prepare(text)
        features, contrast = self._featuriser([prepared.text]), self._contrast(label)
        logit = float(self._predict(model_inputs(features, self._featuriser))["logits"][0] @ contrast)
        if not len(features.unigrams):
            return Explanation(METHOD, label, logit, logit, 0.0, [], np.empty(0))
        inputs = {"unigrams": features.unigrams, "bigrams": features.bigrams, "tokens": features.tokens}
        terms = self._explain(inputs)
        network = _Network(terms["hidden_bias"], terms["output"] @ contrast[1:])
        short = len(features.unigrams) <= _MAX_ENUMERATED
        attribute = network.shapley if short else network.integrated_gradients
        values = terms["unigrams"] @ contrast[1:] + attribute(terms["hidden"])
        half_pairs = terms["bigrams"] @ contrast[1:] / 2
        values[:-1] += half_pairs
        values[1:] += half_pairs
        base = float(terms["bias"] @ contrast[1:]) + float(network(np.zeros(len(network.bias))))
        method = METHOD if short else METHOD_LONG
        original_spans = [prepared.to_original(*span) for span in spans(prepared.text, self._featuriser)]
        return Explanation(method, label, base, logit, logit - base - float(values.sum()), original_spans, values)

    def _contrast(self, label: str) -> NDArray[np.float64]:
        """Return weights [K] whose product with the logits is the label's logit minus the mean of the others."""
        weights = np.full(len(self._labels), -1 / (len(self._labels) - 1))
        weights[self._labels.index(label)] = 1.0
        return weights


class _Network:
    """relu(bias + sum of the tokens' parts) @ output, as a cooperative game whose players are the tokens."""

    def __init__(self, bias: NDArray[np.float32], output: NDArray[np.float64]) -> None:
        self.bias, self.output = bias.astype(np.float64), output

    def __call__(self, sums: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the network's output [...] for sums of parts [..., HIDDEN]."""
        return np.maximum(self.bias + sums, 0) @ self.output

    def shapley(self, parts: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return Shapley values [n] of parts [n, HIDDEN], by enumeration of all 2**n sets of tokens.

        A token's value is its marginal contribution to each set without it, weighted by the share of orders in which
        exactly that set precedes it.
        """
        count = len(parts)
        sets = np.arange(1 << count)
        members = sets[:, None] >> np.arange(count) & 1
        utility, size = self(members.astype(np.float64) @ parts), members.sum(axis=1)
        weights = np.array([factorial(s) * factorial(count - s - 1) / factorial(count) for s in range(count)])
        values = np.empty(count)
        for token in range(count):
            without = sets[members[:, token] == 0]
            values[token] = weights[size[without]] @ (utility[without | 1 << token] - utility[without])
        return values

    def integrated_gradients(self, parts: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return integrated gradients [n] of parts [n, HIDDEN]: each part times the mean slope of the ReLU on the path.

        The path is straight, from no token to all tokens, so that the mean slope is the ReLU's rise over the sum.
        """
        exact = parts.astype(np.float64)
        total = exact.sum(axis=0)
        rise = np.maximum(self.bias + total, 0) - np.maximum(self.bias, 0)
        mean_slope = np.divide(rise, total, out=np.zeros_like(total), where=total != 0)
        values: NDArray[np.float64] = exact @ (mean_slope * self.output)
        return values
