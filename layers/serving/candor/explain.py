"""Why a text got its label: what each of its tokens added, in the same call and exact.

The value explained is a label's logit less the mean of the others', which for two labels is the log-odds. The model
is a sum over words and pairs of words, plus a small network on the words' mean (see the `explain` signature in
training/export.py). A pair counts only if both its words are there, so by Shapley's axioms (1953) each gets half of it;
the network's part goes to words by integrated gradients (Sundararajan et al. 2017), in closed form. Values and base add
up to the logit.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from candor.classifier import Classifier, model_inputs
from candor.interpreter import Signature
from candor.offsets import spans

METHOD = "shapley (words and pairs of words) + integrated gradients (network)"


@dataclass(frozen=True)
class Explanation:
    label: str
    """The label that the values speak for, or, where they are negative, against."""
    base: float
    """The logit of a text without words."""
    logit: float
    residual: float
    """Logit less base less all values: rounding only."""
    spans: list[tuple[int, int]]
    """[tokens] where each token stands in the text as it was given, in code points."""
    values: NDArray[np.float64]
    """[tokens] what each token adds to the logit."""


class Explainer:
    """Explains one text at a time. Not safe for two threads at once."""

    def __init__(self, classifier: Classifier) -> None:
        self._featuriser, self._labels = classifier.featuriser, classifier.bundle.labels
        model = classifier.bundle.read("model.tflite")
        self._explain, self._predict = Signature(model, "explain"), Signature(model)

    def __call__(self, text: str, label: str) -> Explanation:
        """The explanation of a text for one of the bundle's labels; of a text without tokens it has no spans."""
        features = self._featuriser([text])
        contrast = self._contrast(label)
        logits = self._predict(model_inputs(features, self._featuriser))["logits"][0] @ contrast
        if not len(features.unigrams):
            return Explanation(label, float(logits), float(logits), 0.0, [], np.empty(0))
        inputs = {"unigrams": features.unigrams, "bigrams": features.bigrams, "tokens": features.tokens}
        parts = {name: part @ contrast[1:] for name, part in self._explain(inputs).items()}
        values, halves = parts["unigrams"], parts["bigrams"] / 2
        values[:-1] += halves
        values[1:] += halves
        base, logit = float(parts["base"][0]), float(logits)
        return Explanation(label, base, logit, logit - base - values.sum(), spans(text, self._featuriser), values)

    def _contrast(self, label: str) -> NDArray[np.float64]:
        """Weights [K] that make of logits the label's own less the mean of the others'."""
        weights = np.full(len(self._labels), -1 / (len(self._labels) - 1))
        weights[self._labels.index(label)] = 1.0
        return weights
