"""Fit logistic regression to the end, over all labels at once, on sparse counts and dense sums side by side.

It is convex with an L2 penalty, and solved by L-BFGS (Liu and Nocedal 1989) in SciPy: the same data give the same
weights. It can weigh each feature by its log-count ratio for each label ("Baselines and Bigrams", Wang and Manning
2012), which suits few texts and clear words.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import minimize

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

_SMOOTHING = 0.1
"""Added to the counts of each label, over all labels."""
_MEMORY = 6
"""Steps that L-BFGS remembers."""
_MAX_STEPS = 100
_TOLERANCE = 1e-4
"""Relative fall of the objective at which the search ends."""


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
    f, d, columns = inputs.counts.shape[1], inputs.sums.shape[1], 1 if targets.shape[1] == 2 else targets.shape[1]
    scale = None if ratios is None else ratios.astype(np.float32)
    objective = _Objective(inputs, np.asarray(targets, np.float32), c, scale)
    options = {"maxiter": _MAX_STEPS, "maxcor": _MEMORY, "ftol": _TOLERANCE, "gtol": 0.0}
    start = np.zeros((f + d + 1) * columns)
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options=options).x.reshape(-1, columns)
    weights = found[:-1].copy()
    if ratios is not None:
        weights[:f] *= ratios
    return Linear(weights, found[-1])


class _Objective:
    """The penalised loss of all weights, flat [(F + D + 1) * C], and its gradient."""

    def __init__(self, inputs: Inputs, targets: Singles, c: float, scale: Singles | None) -> None:
        self.inputs, self.targets, self.c, self.scale = inputs, targets, c, scale
        self.transposed = inputs.counts.T.tocsr()

    def __call__(self, flat: Floats) -> tuple[float, Floats]:
        counts, sums = self.inputs.counts, self.inputs.sums
        f, d = counts.shape[1], sums.shape[1]
        weights = flat.reshape(f + d + 1, -1)
        single = weights.astype(np.float32)
        scores = counts @ (single[:f] if self.scale is None else single[:f] * self.scale) + single[-1]
        if d:
            scores += sums @ single[f:-1]
        loss, slopes = _softmax(scores, self.targets)
        gradient = np.empty_like(weights)
        gradient[:f] = self.transposed @ slopes
        if self.scale is not None:
            gradient[:f] *= self.scale
        if d:
            gradient[f:-1] = sums.T @ slopes
        gradient[-1] = slopes.sum(axis=0, dtype=np.float64)
        gradient *= self.c
        gradient[:-1] += weights[:-1]
        penalty = float(np.vdot(weights[:-1], weights[:-1])) / 2
        return self.c * loss + penalty, gradient.ravel()


def _softmax(scores: Singles, targets: Singles) -> tuple[float, Singles]:
    """Return the summed cross-entropy of scores [n, C] and its slopes [n, C]."""
    logits = scores if scores.shape[1] > 1 else np.concatenate([np.zeros_like(scores), scores], axis=1)
    logits = logits - logits.max(axis=1, keepdims=True)
    exponentials = np.exp(logits)
    sums, mass = exponentials.sum(axis=1, keepdims=True), targets.sum(axis=1, keepdims=True)
    loss = float((mass * np.log(sums)).sum(dtype=np.float64) - (targets * logits).sum(dtype=np.float64))
    slopes: Singles = exponentials / sums * mass - targets
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
