"""Whether texts have become unlike those of training, told without keeping any of them.

A window counts, for each prediction, its confidence, its length, the share of its tokens that were never seen in
training, and its label. Windows do not overlap, so that the histograms of two of them tell nothing of fewer texts than
one does. They are held against the validation split's by the population stability index, the sum over bins of
(p - q) ln(p / q): under 0.1 little has changed, over 0.25 much (Siddiqi 2006, "Credit Risk Scorecards").
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from candor.classifier import Prediction
from candor.grouping import suppressed

WINDOW = 500  # texts: by chance alone ten bins then differ by 0.02
ALARM = 0.25
BINS = 10
MEASURES = ("confidence", "length", "unseen")
_HALF = 0.5  # of a text is added to each bin: none is ever empty (Jeffreys' prior)

Baseline = Mapping[str, Mapping[str, list[float]]]


@dataclass(frozen=True)
class Report:
    """What one window says."""

    texts: int
    stability: dict[str, float]
    """The population stability index of each measure, and of the labels."""
    histograms: dict[str, dict[str, int | None]]
    """Counts by bin, named by its lower edge, and by label; None where there are too few to tell."""

    @property
    def worst(self) -> float:
        return max(self.stability.values())


class Monitor:
    """Counts predictions, a window at a time."""

    def __init__(self, baseline: Baseline, window: int = WINDOW) -> None:
        self._baseline, self._window = baseline, window
        self._seen: list[tuple[float, int, float, str]] = []

    def add(self, predictions: Sequence[Prediction]) -> list[Report]:
        """Reports of the windows that these predictions fill, if any."""
        self._seen += [(p.probabilities[p.label], p.tokens, p.unseen, p.label) for p in predictions]
        reports = []
        while len(self._seen) >= self._window:
            reports.append(self._report(self._seen[: self._window]))
            del self._seen[: self._window]
        return reports

    def _report(self, seen: Sequence[tuple[float, int, float, str]]) -> Report:
        *values, labels = zip(*seen, strict=True)
        stability, histograms = {}, {}
        for name, column in zip(MEASURES, values, strict=True):
            its = self._baseline[name]
            counts = histogram(np.array(column, dtype=float), its["edges"])
            stability[name] = psi(counts, its["shares"])
            edges = ["", *(f"{edge:g}" for edge in its["edges"])]
            histograms[name] = suppressed(dict(zip(edges, counts.tolist(), strict=True)))
        known = self._baseline["label"]
        counts = np.array([labels.count(name) for name in known])
        stability["label"] = psi(counts, [share for (share,) in known.values()])
        histograms["label"] = suppressed(dict(zip(known, counts.tolist(), strict=True)))
        return Report(len(seen), stability, histograms)


def baseline(predictions: Sequence[Prediction], labels: Sequence[str]) -> dict[str, dict[str, list[float]]]:
    """What model.json keeps of held-out predictions: edges at deciles, and the share of texts in each bin."""
    columns = {
        "confidence": [p.probabilities[p.label] for p in predictions],
        "length": [p.tokens for p in predictions],
        "unseen": [p.unseen for p in predictions],
    }
    found: dict[str, dict[str, list[float]]] = {}
    for name, column in columns.items():
        values = np.array(column, dtype=float)
        edges = np.unique(np.quantile(values, np.arange(1, BINS) / BINS).round(6))
        edges = edges[edges > values.min()]
        shares = histogram(values, edges.tolist()) / len(values)
        found[name] = {"edges": edges.tolist(), "shares": shares.round(6).tolist()}
    kinds = [p.label for p in predictions]
    return {**found, "label": {name: [round(kinds.count(name) / len(kinds), 6)] for name in labels}}


def histogram(values: NDArray[np.float64], edges: Sequence[float]) -> NDArray[np.int64]:
    """Counts [e + 1] of values below the first edge, between each two, and from the last on."""
    return np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)


def psi(counts: NDArray[np.int64], shares: Sequence[float]) -> float:
    """The population stability index of counts [b] against the shares [b] that were expected."""
    bins = len(shares)
    found = (counts + _HALF) / (counts.sum() + _HALF * bins)
    expected = (np.array(shares) * counts.sum() + _HALF) / (counts.sum() + _HALF * bins)
    return float(((found - expected) * np.log(found / expected)).sum())
