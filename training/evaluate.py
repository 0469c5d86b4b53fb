"""How good a classifier is, and how sure we are of it: metrics with 95 % bootstrap intervals.

Intervals are percentile bootstraps over rows (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, ch. 13).
A resample is written as how often it drew each row, so every metric is a weighted one, and the value itself is the
resample that drew each row once: value and interval come from the same lines of code.

What has no value gets one, so that the JSON never holds NaN:
- precision, recall and F1 of 0/0 are 0, scikit-learn's default;
- a label that a (re)sample lacks, or that all its rows carry, has no ROC AUC and is left out of the macro mean;
  where no label has one it is 0.5, chance.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LEVEL = 0.95
DECIMALS = 6  # far below any interval's width, and hides the last bits, in which BLAS libraries differ
BLOCK = 64  # resamples held at once: 25,000 rows take 13 MB


def evaluate(
    probabilities: Floats, targets: Ints, labels: tuple[str, ...], *, seed: int, resamples: int = 1000
) -> dict[str, Any]:
    """Metrics of probabilities (n, K), float64, against targets (n,), integers that index `labels`; n ≥ 1, K ≥ 2.

    `value`, `low` and `high` of each: accuracy; precision, recall and F1, macro and by label; ROC AUC (for K = 2 of the
    second label, else one-vs-rest, macro); log loss in nats, probabilities clipped at float64's epsilon; Brier score
    (squared error summed over labels, halved for K = 2, which makes it the usual 0 to 1). Rows of the confusion matrix
    are true labels, columns predicted ones. Raises ValueError for shapes, targets or probabilities that don't fit.
    """
    _check(probabilities, targets, labels)
    metrics = _Metrics(probabilities, targets)
    values = metrics(np.ones((len(targets), 1), np.int64))
    blocks = [metrics(counts) for counts in _resamples(len(targets), resamples, seed)]
    drawn = {name: np.concatenate([block[name] for block in blocks], axis=-1) for name in values}
    return _report({name: _interval(values[name], drawn[name]) for name in values}, targets, labels)


def reports(
    probabilities: Floats,
    targets: Ints,
    labels: tuple[str, ...],
    copies: npt.NDArray[np.bool_],
    *,
    seed: int,
    resamples: int = 1000,
) -> dict[str, Any]:
    """`evaluate` with all rows and without those that `copies` (n,), bool, marks, such as copies of training texts."""
    kept = ~np.asarray(copies, dtype=bool)
    return {
        "copies": int((~kept).sum()),
        "all": evaluate(probabilities, targets, labels, seed=seed, resamples=resamples),
        "without_copies": evaluate(probabilities[kept], targets[kept], labels, seed=seed, resamples=resamples),
    }


def accuracy_gain(
    probabilities: Floats, baseline: Floats, targets: Ints, *, seed: int, resamples: int = 1000
) -> dict[str, float]:
    """Accuracy above the baseline's on the same rows, (n, K) each; both see the same resamples, so luck cancels out."""
    right = (probabilities.argmax(axis=1) == targets).astype(np.int64) - (baseline.argmax(axis=1) == targets)
    drawn = [right @ counts / len(right) for counts in _resamples(len(right), resamples, seed)]
    return _named(_interval(np.array([right.mean()]), np.concatenate(drawn)))


def _check(probabilities: Floats, targets: Ints, labels: tuple[str, ...]) -> None:
    if len(labels) < 2 or probabilities.shape != (len(targets), len(labels)) or not len(targets):
        raise ValueError(f"probabilities {probabilities.shape} don't fit {len(targets)} targets, {len(labels)} labels")
    if targets.min() < 0 or targets.max() >= len(labels):
        raise ValueError(f"targets must lie in 0 to {len(labels) - 1}")
    if not (probabilities.min() >= 0 and np.allclose(probabilities.sum(axis=1), 1, atol=1e-4)):
        raise ValueError("each row of probabilities must be at least 0 and sum to 1")


def _resamples(rows: int, resamples: int, seed: int) -> Iterator[Ints]:
    """Blocks (rows, ≤ BLOCK): how often each resample, a column, drew each row."""
    random = np.random.default_rng(seed)
    for start in range(0, resamples, BLOCK):
        width = min(BLOCK, resamples - start)
        drawn = random.integers(rows, size=(width, rows)) * width + np.arange(width)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * width).reshape(rows, width)


class _Metrics:
    """All metrics of fixed predictions, for any weighting of the rows."""

    def __init__(self, probabilities: Floats, targets: Ints) -> None:
        self.labels = probabilities.shape[1]
        self.losses = _losses(probabilities, targets)
        self.confusion = _Confusion(probabilities.argmax(axis=1), targets, self.labels)
        ranked = (1,) if self.labels == 2 else range(self.labels)
        self.rankings = [_Ranking(probabilities[:, label], targets == label) for label in ranked]

    def __call__(self, counts: Ints) -> dict[str, Floats]:
        """counts (n, r): each metric as (r,), by label (K, r), the confusion matrix (K, K, r)."""
        rows = counts.sum(axis=0)
        confusion = self.confusion(counts)
        right, true, predicted = np.einsum("kkr->kr", confusion), confusion.sum(axis=1), confusion.sum(axis=0)
        by_label = {
            "precision": _ratio(right, predicted),
            "recall": _ratio(right, true),
            "f1": _ratio(2 * right, true + predicted),
        }
        log_loss, brier = self.losses @ counts / rows
        return {
            "accuracy": right.sum(axis=0) / rows,
            **{name: values.mean(axis=0) for name, values in by_label.items()},
            "roc_auc": _mean([ranking(counts) for ranking in self.rankings]),
            "log_loss": log_loss,
            "brier": brier,
            "confusion": confusion,
            **{f"{name}_by_label": values for name, values in by_label.items()},
        }


def _losses(probabilities: Floats, targets: Ints) -> Floats:
    """(2, n): each row's log loss and Brier score."""
    labels = probabilities.shape[1]
    given = probabilities[np.arange(len(targets)), targets]
    epsilon = np.finfo(np.float64).eps
    squares = ((probabilities - np.eye(labels)[targets]) ** 2).sum(axis=1)
    return np.stack([-np.log(given.clip(epsilon, 1 - epsilon)), squares / 2 if labels == 2 else squares])


class _Confusion:
    """Weighted confusion matrices. Rows sorted by cell are summed a run at a time, so that a large K costs little."""

    def __init__(self, predicted: Ints, targets: Ints, labels: int) -> None:
        cells = targets * labels + predicted
        self.order = np.argsort(cells, kind="stable")
        self.cells, self.starts = np.unique(cells[self.order], return_index=True)
        self.labels = labels

    def __call__(self, counts: Ints) -> Ints:
        """(n, r) to (K, K, r), true label first."""
        matrices = np.zeros((self.labels**2, counts.shape[1]), np.int64)
        matrices[self.cells] = np.add.reduceat(counts[self.order], self.starts, axis=0)
        return matrices.reshape(self.labels, self.labels, -1)


class _Ranking:
    """Weighted ROC AUC as the share of (positive, negative) pairs in the right order, a tie counting half.

    This is the Mann-Whitney form (Hanley and McNeil 1982). In whole numbers up to the last division, hence exact.
    """

    def __init__(self, scores: Floats, positive: npt.NDArray[np.bool_]) -> None:
        order = np.argsort(scores, kind="stable")
        self.positives, self.negatives = order[positive[order]], order[~positive[order]]
        beaten, rivals = scores[self.positives], scores[self.negatives]
        self.below, self.upto = np.searchsorted(rivals, beaten, "left"), np.searchsorted(rivals, beaten, "right")

    def __call__(self, counts: Ints) -> Floats:
        """(n, r) to (r,); NaN for a resample that holds no positive or no negative."""
        rivals = np.zeros((len(self.negatives) + 1, counts.shape[1]), np.int64)
        np.cumsum(counts[self.negatives], axis=0, out=rivals[1:])
        positives = counts[self.positives]
        twice_won = np.einsum("nr,nr->r", positives, rivals[self.below] + rivals[self.upto])
        return _ratio(twice_won, 2 * positives.sum(axis=0) * rivals[-1], empty=np.nan)


def _ratio(part: Ints, whole: Ints, empty: float = 0.0) -> Floats:
    return np.where(whole > 0, part / np.maximum(whole, 1), empty)


def _mean(aucs: list[Floats]) -> Floats:
    """Mean over labels of what has a value, 0.5 where nothing has."""
    values = np.stack(aucs)
    known = ~np.isnan(values)
    return np.where(known.any(axis=0), np.nansum(values, axis=0) / np.maximum(known.sum(axis=0), 1), 0.5)


def _interval(values: Floats, drawn: Floats) -> Floats:
    """(…, 1) and (…, r) to (3, …): value, low, high."""
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=-1)
    return np.round(np.stack([values[..., 0], low, high]), DECIMALS)


def _report(intervals: Mapping[str, Floats], targets: Ints, labels: tuple[str, ...]) -> dict[str, Any]:
    names = ("accuracy", "precision", "recall", "f1", "roc_auc", "log_loss", "brier")
    return {
        "n": len(targets),
        **{name: _named(intervals[name]) for name in names},
        "by_label": {
            label: {
                "n": int((targets == k).sum()),
                **{name: _named(intervals[f"{name}_by_label"][:, k]) for name in ("precision", "recall", "f1")},
            }
            for k, label in enumerate(labels)
        },
        "confusion_matrix": _matrix(intervals["confusion"], labels),
    }


def _named(interval: Floats) -> dict[str, float]:
    return dict(zip(("value", "low", "high"), interval.tolist(), strict=True))


def _matrix(intervals: Floats, labels: tuple[str, ...]) -> dict[str, Any]:
    counts, low, high = intervals
    return {
        "labels": list(labels),
        "counts": counts.astype(int).tolist(),
        "low": low.tolist(),
        "high": high.tolist(),
    }


BINS = 15  # of the expected calibration error, as in Guo et al. 2017
COVERAGES = (1.0, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5)


def calibration(probabilities: Floats, targets: Ints, *, seed: int, resamples: int = 1000) -> dict[str, Any]:
    """How far the probability of the predicted label is from how often it is right: expected calibration error.

    Naeini et al. 2015, in 15 bins of equal width. `bins`: number of texts, mean probability and accuracy of each that
    has any. The interval is a percentile bootstrap; an error of 0 is biased upwards in any sample.
    """
    sure, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == targets
    places = np.minimum((sure * BINS).astype(int), BINS - 1)
    sums = np.stack([np.ones(len(sure)), sure, right])
    table = np.stack([np.bincount(places, row, BINS) for row in sums])
    drawn = [_calibration_error(places, sums, counts) for counts in _resamples(len(sure), resamples, seed)]
    value = _calibration_error(places, sums, np.ones((len(sure), 1), np.int64))
    used = table[:, table[0] > 0]
    return {
        "ece": _named(_interval(value, np.concatenate(drawn))),
        "bins": [
            {"n": int(n), "probability": round(p / n, DECIMALS), "accuracy": round(a / n, DECIMALS)}
            for n, p, a in used.T
        ],
    }


def _calibration_error(places: Ints, sums: Floats, counts: Ints) -> Floats:
    """[r] of resamples, counts [n, r]: the bins' gaps between probability and accuracy, weighted by their texts."""
    gaps = np.zeros((BINS, counts.shape[1]))
    np.add.at(gaps, places, (sums[1] - sums[2])[:, None] * counts)
    return np.abs(gaps).sum(axis=0) / len(places)


def coverage(probabilities: Floats, targets: Ints) -> list[dict[str, float]]:
    """How accurate the surest share of the texts is, for some shares: `coverage`, `min_confidence`, `accuracy`."""
    sure, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == targets
    order = np.argsort(-sure, kind="stable")
    kept = [max(1, round(share * len(order))) for share in COVERAGES]
    return [
        {
            "coverage": share,
            "min_confidence": round(float(sure[order[count - 1]]), DECIMALS),
            "accuracy": round(float(right[order[:count]].mean()), DECIMALS),
        }
        for share, count in zip(COVERAGES, kept, strict=True)
    ]


def least_confidence(probabilities: Floats, targets: Ints, accuracy: float) -> float:
    """The least probability from which on the decided texts are right as often as asked for; 1 if there is none."""
    sure, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == targets
    order = np.argsort(-sure, kind="stable")
    reached = np.cumsum(right[order]) / np.arange(1, len(order) + 1) >= accuracy
    return round(float(sure[order[np.flatnonzero(reached)[-1]]]), 4) if reached.any() else 1.0
