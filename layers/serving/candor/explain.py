"""Why a text got its label: what each of its tokens added, in the same call and exact.

The value explained is a label's logit less the mean of the others', which for two labels is the log-odds. The model is
a sum over words and pairs of words, plus a small network on the words' mean. What each part gives a word:

- the sum: the word's own weight and half of each pair's that it is in. These are Shapley values (Shapley 1953), exact
  at any length, for a pair counts only if both its words are there;
- the network, up to 12 tokens: Shapley values too, by going through all sets of words;
- the network, beyond: integrated gradients from no word to all (Sundararajan et al. 2017), which have a closed form for
  a ReLU of a sum. They are the Aumann-Shapley values (1974), to which Shapley's tend as words become many.

Either way values and base add up to the logit, and words that do the same have the same value.
"""

from dataclasses import dataclass
from math import factorial

import numpy as np
from numpy.typing import NDArray

from candor.classifier import Classifier, model_inputs
from candor.interpreter import Signature
from candor.offsets import spans

METHOD = "shapley"
METHOD_LONG = "shapley + integrated gradients"
_ENUMERATED = 12  # tokens: 4,096 sets, a millisecond


@dataclass(frozen=True)
class Explanation:
    method: str
    label: str
    """The label that the values speak for, or, where they are negative, against."""
    base: float
    """The logit of a text of this length in which the model knows no word."""
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
        self._read = classifier.read
        model = classifier.bundle.read("model.tflite")
        self._explain, self._predict = Signature(model, "explain"), Signature(model)

    def __call__(self, text: str, label: str) -> Explanation:
        """The explanation of a text for one of the bundle's labels; of a text without tokens it has no spans."""
        read = self._read(text)
        features, contrast = self._featuriser([read.text]), self._contrast(label)
        logit = float(self._predict(model_inputs(features, self._featuriser))["logits"][0] @ contrast)
        if not len(features.unigrams):
            return Explanation(METHOD, label, logit, logit, 0.0, [], np.empty(0))
        inputs = {"unigrams": features.unigrams, "bigrams": features.bigrams, "tokens": features.tokens}
        found = self._explain(inputs)
        network = _Network(found["hidden_bias"], found["output"] @ contrast[1:])
        short = len(features.unigrams) <= _ENUMERATED
        values = found["unigrams"] @ contrast[1:] + (network.shapley if short else network.gradients)(found["hidden"])
        halves = found["bigrams"] @ contrast[1:] / 2
        values[:-1] += halves
        values[1:] += halves
        base = float(found["bias"] @ contrast[1:]) + float(network(np.zeros(len(network.bias))))
        method = METHOD if short else METHOD_LONG
        places = [read.origin(*place) for place in spans(read.text, self._featuriser)]
        return Explanation(method, label, base, logit, logit - base - float(values.sum()), places, values)

    def _contrast(self, label: str) -> NDArray[np.float64]:
        """Weights [K] that make of logits the label's own less the mean of the others'."""
        weights = np.full(len(self._labels), -1 / (len(self._labels) - 1))
        weights[self._labels.index(label)] = 1.0
        return weights


class _Network:
    """relu(bias + sum of words' parts) @ output, a game of which the words are the players."""

    def __init__(self, bias: NDArray[np.float32], output: NDArray[np.float64]) -> None:
        self.bias, self.output = bias.astype(np.float64), output

    def __call__(self, sums: NDArray[np.floating]) -> NDArray[np.float64]:
        """What sums of parts, [..., HIDDEN], come to: [...]."""
        return np.maximum(self.bias + sums, 0) @ self.output

    def shapley(self, parts: NDArray[np.float32]) -> NDArray[np.float64]:
        """[n] from parts [n, HIDDEN], over all 2**n sets: each word's gains, weighted by how many orders bring them."""
        count = len(parts)
        sets = np.arange(1 << count)
        members = sets[:, None] >> np.arange(count) & 1
        worth, size = self(members.astype(np.float64) @ parts), members.sum(axis=1)
        orders = np.array([factorial(s) * factorial(count - s - 1) / factorial(count) for s in range(count)])
        values = np.empty(count)
        for word in range(count):
            without = sets[members[:, word] == 0]
            values[word] = orders[size[without]] @ (worth[without | 1 << word] - worth[without])
        return values

    def gradients(self, parts: NDArray[np.float32]) -> NDArray[np.float64]:
        """[n] from parts [n, HIDDEN]: each word's part of the sum times the mean slope of the ReLU on the way to it."""
        exact = parts.astype(np.float64)
        whole = exact.sum(axis=0)
        risen = np.maximum(self.bias + whole, 0) - np.maximum(self.bias, 0)
        slope = np.divide(risen, whole, out=np.zeros_like(whole), where=whole != 0)
        values: NDArray[np.float64] = exact @ (slope * self.output)
        return values
