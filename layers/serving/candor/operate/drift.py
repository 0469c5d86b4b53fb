"""Drift detection by population stability index (PSI) over windows of 500 predictions. Stores no text.

A window counts the confidence, the length, the out-of-vocabulary rate and the label of each prediction. Its histograms
are compared with those of the validation split by the PSI, the sum over bins of (p - q) ln(p / q): under 0.1 is a small
change, over 0.25 a large one (Siddiqi 2006, "Credit Risk Scorecards"). Windows do not overlap, so the histograms of two
windows reveal no smaller group of texts than those of one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from candor.model.classifier import Prediction
from candor.operate.grouping import suppress_small_groups

WINDOW = 500  # predictions: by chance alone the PSI of ten bins is then about 0.02
ALARM = 0.25  # PSI
BINS = 10
MEASURES = ("confidence", "length", "unseen")  # names in model.json and of metrics; "unseen" is Prediction.oov_rate
_PRIOR = 0.5  # texts added to each bin, so that none is empty (Jeffreys' prior)

ReferenceDistribution = Mapping[str, Mapping[str, list[float]]]
"""The member "drift" of model.json, as reference_distribution() returns it."""


@dataclass(frozen=True)
class DriftReport:
    """The comparison of one window with the reference distribution."""

    texts: int
    """Number of predictions in the window."""
    psi: dict[str, float]
    """PSI of each measure, and of "label"."""
    histograms: dict[str, dict[str, int | None]]
    """Counts per bin, named by its lower edge, and per label; None for a count that is suppressed."""

    @property
    def max_psi(self) -> float:
        """The largest PSI of any measure."""
        return max(self.psi.values())


class Monitor:
    """Count predictions and report each full window.

    Args:
        reference: Distribution to compare with.
        window: Predictions per window.
    """

    def __init__(self, reference: ReferenceDistribution, window: int = WINDOW) -> None:
        self._reference, self._window = reference, window
        self._pending: list[tuple[float, int, float, str]] = []

    def add(self, predictions: Sequence[Prediction]) -> list[DriftReport]:
        """Add predictions and return a report for each window that they complete."""
        self._pending += [(p.probabilities[p.label], p.tokens, p.oov_rate, p.label) for p in predictions]
        reports = []
        while len(self._pending) >= self._window:
            reports.append(self._report(self._pending[: self._window]))
            del self._pending[: self._window]
        return reports

    def _report(self, rows: Sequence[tuple[float, int, float, str]]) -> DriftReport:
        *columns, labels = zip(*rows, strict=True)
        values, histograms = {}, {}
        for measure, column in zip(MEASURES, columns, strict=True):
            reference = self._reference[measure]
            counts = histogram(np.array(column, dtype=float), reference["edges"])
            values[measure] = psi(counts, reference["shares"])
            edges = ["", *(f"{edge:g}" for edge in reference["edges"])]
            histograms[measure] = suppress_small_groups(dict(zip(edges, counts.tolist(), strict=True)))
        shares = self._reference["label"]
        counts = np.array([labels.count(label) for label in shares])
        values["label"] = psi(counts, [share for (share,) in shares.values()])
        histograms["label"] = suppress_small_groups(dict(zip(shares, counts.tolist(), strict=True)))
        return DriftReport(len(rows), values, histograms)


def reference_distribution(
    predictions: Sequence[Prediction], labels: Sequence[str]
) -> dict[str, dict[str, list[float]]]:
    """Describe held-out predictions, for later windows to be compared with.

    Args:
        predictions: Predictions for texts that the model was not fitted on.
        labels: All labels of the model.

    Returns:
        For each of MEASURES the bins' "edges" (deciles) and "shares", and for "label" the share of each label.
    """
    columns = {
        "confidence": [p.probabilities[p.label] for p in predictions],
        "length": [p.tokens for p in predictions],
        "unseen": [p.oov_rate for p in predictions],
    }
    measures: dict[str, dict[str, list[float]]] = {}
    for measure, column in columns.items():
        values = np.array(column, dtype=float)
        edges = np.unique(np.quantile(values, np.arange(1, BINS) / BINS).round(6))
        edges = edges[edges > values.min()]
        shares = histogram(values, edges.tolist()) / len(values)
        measures[measure] = {"edges": edges.tolist(), "shares": shares.round(6).tolist()}
    predicted = [p.label for p in predictions]
    return {**measures, "label": {label: [round(predicted.count(label) / len(predicted), 6)] for label in labels}}


def histogram(values: NDArray[np.float64], edges: Sequence[float]) -> NDArray[np.int64]:
    """Count the values below the first edge, between each two edges, and from the last edge on.

    Args:
        values: Values [n].
        edges: Ascending edges [e].

    Returns:
        Counts [e + 1].

    Example:
        >>> histogram(np.array([0.0, 1.0, 1.5, 2.0, 9.0]), [1.0, 2.0]).tolist()
        [1, 2, 2]
    """
    return np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)


def psi(counts: NDArray[np.int64], shares: Sequence[float]) -> float:
    """Return the population stability index of a histogram.

    Args:
        counts: Observed counts [b].
        shares: Expected shares [b], which sum to 1.

    Example:
        >>> round(psi(np.array([900, 100]), [0.5, 0.5]), 2)
        0.88
    """
    bins = len(shares)
    observed = (counts + _PRIOR) / (counts.sum() + _PRIOR * bins)
    expected = (np.array(shares) * counts.sum() + _PRIOR) / (counts.sum() + _PRIOR * bins)
    return float(((observed - expected) * np.log(observed / expected)).sum())
