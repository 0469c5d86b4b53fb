"""Turn the scores of several models into one calibrated logit: a non-negative scalar a model, by log loss.

The scalars are ensemble weights and temperature in one (stacked generalisation, Wolpert 1992; temperature scaling, Guo
et al. 2017). They are fitted on scores for texts that the models have not learnt from.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_DEVIATION = 0.5
"""Of the prior of a scalar's logarithm."""
_BOUNDS = (-12.0, 6.0)
"""Logarithms of the smallest and the largest scalar: no text data reach either, but labels without any error would."""


@dataclass(frozen=True)
class Tried:
    """One row of the table of what was tried, measured on texts that the candidate has not learnt from."""

    name: str
    accuracy: float
    log_loss: float
    scalar: float
    """Its part in the shipped stack; 0 if it is no part."""
    seconds: float
    """CPU seconds of its fits."""


def full_logits(logits: Floats) -> Floats:
    """Return logits [n, K] of logits [n, C], where a single column is the second label's of two.

    Example:
        >>> full_logits(np.array([[2.0]])).tolist()
        [[0.0, 2.0]]
    """
    return np.pad(logits, ((0, 0), (1, 0))) if logits.shape[1] == 1 else logits


def log_softmax(logits: Floats) -> Floats:
    """Return [n, K] log-probabilities of logits [n, C]."""
    full = full_logits(logits)
    shifted = full - full.max(axis=1, keepdims=True)
    normalised: Floats = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return normalised


def log_loss(logits: Floats, targets: Ints) -> float:
    """Return the mean negative log-probability of the targets [n], in nats."""
    return float(-log_softmax(logits)[np.arange(len(targets)), targets].mean())


def fit_scalars(scores: Sequence[Floats], targets: Ints) -> Floats:
    """Return [m] the scalars of m models whose weighted sum of scores has the lowest log loss.

    Each scalar's logarithm has a normal prior around that of the mean, 1 / m, with a deviation of 0.5: it decides where
    a few texts say too little, and says nothing beside hundreds.

    Args:
        scores: m arrays [n, C] of scores for texts that the models have not learnt from.
        targets: [n] label indices.
    """
    one_hot = np.eye(full_logits(scores[0]).shape[1])[targets]
    gradient_columns = slice(1, None) if scores[0].shape[1] == 1 else slice(None)

    def loss(logarithms: Floats) -> tuple[float, Floats]:
        scalars = np.exp(logarithms)
        log_probabilities = log_softmax(sum(a * each for a, each in zip(scalars, scores, strict=True)))
        slopes = ((np.exp(log_probabilities) - one_hot) / len(targets))[:, gradient_columns]
        gradient = np.array([a * (slopes * each).sum() for a, each in zip(scalars, scores, strict=True)])
        surprise = (logarithms - start) / (_DEVIATION**2 * len(targets))
        prior = float(((logarithms - start) @ surprise) / 2)
        return float(-(one_hot * log_probabilities).sum() / len(targets)) + prior, gradient + surprise

    start = np.full(len(scores), -np.log(len(scores)))
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[_BOUNDS] * len(scores)).x
    return np.exp(np.asarray(found, np.float64))


def fit_intercept(logits: Sequence[Floats], targets: Sequence[Ints]) -> float:
    """Return what to add to the second label's logit of two, for the lowest log loss.

    Args:
        logits: m arrays [n, 1] of logits for texts that the model has not learnt from. All arrays count alike.
        targets: m arrays [n] of their label indices.

    Example:
        >>> round(fit_intercept([np.zeros((5, 1))], [np.array([0, 0, 1, 1, 1])]), 3)  # log(3 / 2)
        0.405
    """

    def loss(shift: Floats) -> float:
        return sum(log_loss(each + shift, truth) for each, truth in zip(logits, targets, strict=True))

    return float(minimize(loss, np.zeros(1), method="L-BFGS-B", bounds=[(-1, 1)]).x[0])
