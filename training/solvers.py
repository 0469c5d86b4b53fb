"""Fit logistic regression to the end, over all labels at once, on sparse counts and dense sums side by side.

It is convex with an L2 penalty, and solved by L-BFGS: the same data give the same weights. It can weigh each feature by
its log-count ratio for each label ("Baselines and Bigrams", Wang and Manning 2012), which suits few texts and clear
words.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from .lbfgs import Array, minimise

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

_SMOOTHING = 0.1
"""Added to the counts of each label, over all labels."""
_MAX_STEPS = 100
_TOLERANCE = 3e-4
"""Relative fall of the objective at which the search ends."""
_BEND = 0.02
"""Second derivative of the loss of a typical text by its scores, summed over labels: small, as most are learnt well."""


@dataclass(frozen=True)
class Inputs:
    """What a model sees of n texts."""

    counts: sparse.csr_matrix
    """float32 [n, F] weighted counts of features"""
    sums: Singles
    """[n, D] sums of word vectors; D may be 0"""

    def scores(self, linear: "Linear") -> Floats:
        """Return [n, C] scores of a linear model."""
        f, d = self.counts.shape[1], self.sums.shape[1]
        scores = self.counts @ linear.weights[:f] + linear.bias
        return scores + self.sums @ linear.weights[f : f + d]  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Linear:
    """A linear model over F counted features and D sums."""

    weights: Floats
    """[F + D, C]; C is the number of labels, or 1 for two labels: the score of the second."""
    bias: Floats
    """[C]"""


def fit(inputs: Inputs, targets: NDArray[np.floating], c: float, ratios: Floats | None = None) -> Linear:
    """Fit one linear model.

    Args:
        inputs: The n texts.
        targets: [n, K] weight of each label for each text: a row of a hard label is 1 in one column, a guess may be
            spread over several.
        c: Inverse strength of the L2 penalty, which leaves the bias alone.
        ratios: [F, C] factors of the counted features, from `log_count_ratios`; None for 1.
    """
    scale = None if ratios is None else ratios.astype(np.float32)
    objective = _Objective(inputs, np.asarray(targets, np.float32), c, scale)
    return objective.linear(minimise(objective, np.zeros_like(objective.factors), _MAX_STEPS, _TOLERANCE))


class _Objective:
    """The penalised loss by a point [F + D + 1, C], which has a row for each weight and one for the bias.

    A weight is its coordinate times a factor. L-BFGS takes far fewer steps where the loss bends alike along all
    coordinates, so factors divide by the root of how much it bends, and sums are turned to their principal axes.
    """

    def __init__(self, inputs: Inputs, targets: Singles, c: float, scale: Singles | None) -> None:
        self.counts, self.targets, self.c = inputs.counts, targets, c
        self.transposed = inputs.counts.T.tocsr()
        squares, self.axes = np.linalg.eigh((inputs.sums.T @ inputs.sums).astype(np.float64))
        self.sums = inputs.sums @ self.axes.astype(np.float32)
        f, k = self.counts.shape[1], targets.shape[1]
        data = self.counts.data.astype(np.float64) ** 2
        squares = np.concatenate([np.bincount(self.counts.indices, data, f), squares, [len(targets)]])[:, None]
        widths = np.ones((len(squares), 1 if k == 2 else k), np.float32)
        if scale is not None:
            widths[:f] = scale
        penalised = np.ones((len(squares), 1))
        penalised[-1] = 0
        units = (1 / np.sqrt(c * _BEND / k * squares * widths**2 + np.maximum(penalised, 1e-9))).astype(np.float32)
        self.factors: Singles = units * widths
        self.penalty = (units * units * penalised).astype(np.float32)

    def __call__(self, point: Array) -> tuple[float, Array]:
        f, weights = self.counts.shape[1], self.factors * point
        scores = self.counts @ weights[:f] + weights[-1]
        if self.sums.shape[1]:
            scores += self.sums @ weights[f:-1]
        loss, slopes = _softmax(scores, self.targets)
        slopes *= np.float32(self.c)
        gradient = np.concatenate([self.transposed @ slopes, self.sums.T @ slopes, slopes.sum(axis=0, keepdims=True)])
        gradient *= self.factors
        pull = self.penalty * point
        gradient += pull
        return self.c * loss + float((pull * point).sum(dtype=np.float64)) / 2, gradient

    def linear(self, point: Array) -> Linear:
        """Return the model at a point."""
        weights = (self.factors * point).astype(np.float64)
        f = self.counts.shape[1]
        weights[f:-1] = self.axes @ weights[f:-1]
        return Linear(weights[:-1], weights[-1])


def _softmax(scores: Singles, targets: Singles) -> tuple[float, Singles]:
    """Return the summed cross-entropy of scores [n, C], and its slopes."""
    logits = scores if scores.shape[1] > 1 else np.concatenate([np.zeros_like(scores), scores], axis=1)
    logits = logits - logits.max(axis=1, keepdims=True)
    exponentials = np.exp(logits)
    sums, mass = exponentials.sum(axis=1, keepdims=True), targets.sum(axis=1, keepdims=True)
    loss = float((mass * np.log(sums)).sum(dtype=np.float64) - (targets * logits).sum(dtype=np.float64))
    slopes = (exponentials / sums * mass - targets).astype(np.float32, copy=False)
    return loss, slopes if scores.shape[1] > 1 else slopes[:, 1:]


def log_count_ratios(counts: sparse.csr_matrix, targets: NDArray[np.floating]) -> Floats:
    """Return [F, C] logarithms of each feature's share among a label's features over its share among the others'.

    Args:
        counts: [n, F] weighted counts of features.
        targets: [n, K] weight of each label for each text.
    """
    n_labels = targets.shape[1]
    own = np.asarray(counts.T @ np.asarray(targets, np.float32), np.float64) + _SMOOTHING / n_labels
    others = own.sum(axis=1, keepdims=True) - own
    ratios: Floats = np.log((own / own.sum(axis=0)) / (others / others.sum(axis=0)))
    return ratios[:, 1:] if n_labels == 2 else ratios
