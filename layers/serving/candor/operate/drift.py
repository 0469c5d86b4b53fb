"""Drift detection by population stability index (PSI) over windows of 500 predictions. Stores no text.

A window counts the confidence, the length, the out-of-vocabulary rate and the label of each prediction, and which
groups of people the text mentions, of those whose terms the model does not tell apart. Its histograms are compared with
those of the validation split by the PSI, the sum over bins of (p - q) ln(p / q): under 0.1 is a small change, over 0.25
a large one (Siddiqi 2006, "Credit Risk Scorecards"). Windows do not overlap, so the histograms of two windows reveal no
smaller group of texts than those of one.
"""

from collections import Counter
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
    """PSI of each measure, of "label", and of "mentions": the largest of any group, if the reference has groups."""
    histograms: dict[str, dict[str, int | None]]
    """Counts per bin, named by its lower edge, per label, and per group mentioned; None for one that is suppressed."""

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
        self._pending: list[tuple[float, int, float, str, tuple[str, ...]]] = []

    def add(self, predictions: Sequence[Prediction]) -> list[DriftReport]:
        """Add predictions and return a report for each window that they complete."""
        self._pending += [(p.probabilities[p.label], p.tokens, p.oov_rate, p.label, p.mentions) for p in predictions]
        reports = []
        while len(self._pending) >= self._window:
            reports.append(self._report(self._pending[: self._window]))
            del self._pending[: self._window]
        return reports

    def _report(self, rows: Sequence[tuple[float, int, float, str, tuple[str, ...]]]) -> DriftReport:
        *columns, labels, mentions = zip(*rows, strict=True)
        values: dict[str, float] = {}
        histograms: dict[str, dict[str, int | None]] = {}
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
        if groups := self._reference.get("mentions"):  # models of before have none
            values["mentions"], histograms["mentions"] = self._mentions(groups, mentions)
        return DriftReport(len(rows), values, histograms)

    def _mentions(
        self, groups: Mapping[str, list[float]], mentions: Sequence[tuple[str, ...]]
    ) -> tuple[float, dict[str, int | None]]:
        """Return the largest PSI of any group, and the texts that mention each; a text may mention several."""
        counts = Counter(group for each in mentions for group in each)
        values, shown = [], {}
        for group, (share,) in groups.items():
            some, none = counts[group], len(mentions) - counts[group]
            values.append(psi(np.array([some, none]), [share, 1 - share]))
            shown[group] = suppress_small_groups({"some": some, "none": none})["some"]
        return max(values), shown


def reference_distribution(
    predictions: Sequence[Prediction], labels: Sequence[str], groups: Sequence[str] = ()
) -> dict[str, dict[str, list[float]]]:
    """Describe held-out predictions, for later windows to be compared with.

    Args:
        predictions: Predictions for texts that the model was not fitted on.
        labels: All labels of the model.
        groups: All groups of people that predictions may mention.

    Returns:
        For each of MEASURES the bins' "edges" (deciles) and "shares", for "label" the share of each label, and for
        "mentions", if there are groups, the share of texts that mention each.
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
    measures["label"] = _shares(Counter(p.label for p in predictions), labels, len(predictions))
    if groups:
        mentioned = Counter(group for p in predictions for group in p.mentions)
        measures["mentions"] = _shares(mentioned, groups, len(predictions))
    return measures


def _shares(counts: Mapping[str, int], names: Sequence[str], texts: int) -> dict[str, list[float]]:
    return {name: [round(counts[name] / texts, 6)] for name in names}


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
