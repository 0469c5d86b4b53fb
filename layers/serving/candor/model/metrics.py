"""Evaluate a classifier: metrics with 95 % bootstrap intervals, calibration, and accuracy by coverage.

Accuracy, and precision, recall and F1 by label, are shares of rows. Their intervals are Wilson's (1927), which also
hold for a handful of rows: F1 is a function of the share TP / (TP + FP + FN).

All others but the calibration error's are percentile bootstraps over rows (Efron and Tibshirani, An Introduction to the
Bootstrap, 1993, ch. 13), widened to hold the value where all resamples fall on one side of it. A resample is
represented by how often it drew each row, so that every metric is a weighted one. The metric's value is that of the
resample that drew each row once: value and interval come from the same lines of code.

The JSON never holds NaN. Undefined metrics get these values:
- precision, recall and F1 of 0/0 are 0, scikit-learn's default; their macro means leave out labels without any row in
  the (re)sample;
- ROC AUC is undefined for a label that no row or every row of a (re)sample carries. The macro mean leaves such a label
  out. Where it is undefined for every label, it is 0.5, chance, from 0 to 1.

Shapes: n rows, K labels, r resamples.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

INTERVAL_LEVEL = 0.95
"""Coverage of the bootstrap intervals."""
DECIMALS = 6
"""Decimals of all results: far finer than any interval, and coarse enough to hide differences of BLAS libraries."""
BLOCK = 64
"""Resamples held in memory at once: 13 MB for 25,000 rows."""


def evaluate(
    probabilities: Floats, targets: Ints, labels: tuple[str, ...], *, seed: int, resamples: int = 1000
) -> dict[str, Any]:
    """Compute metrics of probabilities against targets, each with its `value` and interval (`low`, `high`).

    The metrics are accuracy; precision, recall and F1, macro-averaged and by label; ROC AUC (of the second label if
    K = 2, else one-vs-rest, macro-averaged); log loss in nats, with probabilities clipped at float64's epsilon; Brier
    score (squared error summed over labels, halved if K = 2, which gives the usual range of 0 to 1).

    Args:
        probabilities: [n, K] float64, n ≥ 1, K ≥ 2. Each row sums to 1.
        targets: [n] integers that index `labels`.
        labels: K label names.
        seed: Seed of the bootstrap.
        resamples: Number of bootstrap resamples.

    Returns:
        JSON-ready metrics, and the confusion matrix with true labels as rows and predicted labels as columns.

    Raises:
        ValueError: Shapes do not fit, targets are out of range, or probabilities are invalid.

    Example:
        >>> probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.7, 0.3], [0.2, 0.8]])
        >>> report = evaluate(probabilities, np.array([0, 1, 1, 1]), ("no", "yes"), seed=1, resamples=100)
        >>> report["accuracy"]["value"], report["confusion_matrix"]["counts"]
        (0.75, [[1, 0], [1, 2]])
    """
    _check(probabilities, targets, labels)
    metrics = _Metrics(probabilities, targets)
    values = metrics(np.ones((len(targets), 1), np.int64))
    blocks = [metrics(counts) for counts in _resamples(len(targets), resamples, seed)]
    resampled = {name: np.concatenate([block[name] for block in blocks], axis=-1) for name in values}
    counts, *_ = matrices = _interval(values["confusion"], resampled["confusion"])
    support = counts.sum(axis=1)
    compared = np.minimum(support, len(targets) - support)  # rows that a ranking can tell apart, by label
    n_rows = dict.fromkeys(("precision", "recall", "f1"), len(targets))
    n_rows["roc_auc"] = int(compared[compared > 0].min(initial=len(targets))) if compared.any() else 0
    return {
        "n": len(targets),
        "accuracy": share(int(np.trace(counts)), len(targets)),
        **{
            name: interval(values[name].item(), resampled[name], n_rows.get(name))
            for name in ("precision", "recall", "f1", "roc_auc", "log_loss", "brier")
        },
        "by_label": by_label(counts.astype(int), labels),
        "confusion_matrix": _matrix(matrices, labels),
    }


def share(part: int, whole: int) -> dict[str, float]:
    """Return a share with its score interval: 0, from 0 to 1, of nothing.

    Example:
        >>> share(8, 10), share(0, 0)
        ({'value': 0.8, 'low': 0.490162, 'high': 0.943318}, {'value': 0.0, 'low': 0.0, 'high': 1.0})
    """
    low, high = wilson_interval(part, whole) if whole else (0.0, 1.0)
    values = (part / max(whole, 1), low, high)
    return dict(zip(("value", "low", "high"), (round(value, DECIMALS) for value in values), strict=True))


def by_label(counts: Ints, labels: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return each label's number of texts `n` and of answers `answers`; precision, recall and F1 with score intervals.

    Args:
        counts: [K, K] texts by label and answer.
        labels: K names.

    Example:
        >>> found = by_label(np.array([[8, 0], [2, 0]]), ["a", "b"])
        >>> found["a"]["n"], found["a"]["precision"], found["a"]["f1"]["value"]
        (8, {'value': 0.8, 'low': 0.490162, 'high': 0.943318}, 0.888889)
    """
    texts, answers, correct = counts.sum(axis=1).tolist(), counts.sum(axis=0).tolist(), np.diagonal(counts).tolist()
    return {
        label: {
            "n": n,
            "answers": answered,
            "precision": share(right, answered),
            "recall": share(right, n),
            "f1": {
                name: round(2 * jaccard / (1 + jaccard), DECIMALS)
                for name, jaccard in share(right, n + answered - right).items()
            },
        }
        for label, n, answered, right in zip(labels, texts, answers, correct, strict=True)
    }


def reports(
    probabilities: Floats,
    targets: Ints,
    labels: tuple[str, ...],
    copies: npt.NDArray[np.bool_],
    *,
    seed: int,
    resamples: int = 1000,
) -> dict[str, Any]:
    """Evaluate twice: on all rows, and without rows that are copies, such as texts that also occur in training.

    Args:
        probabilities: [n, K] as for `evaluate`.
        targets: [n] as for `evaluate`.
        labels: K label names.
        copies: [n] bool, True for each row that is a copy.
        seed: Seed of both bootstraps.
        resamples: Number of bootstrap resamples.

    Returns:
        `copies`, their number, and the results of `evaluate` as `all` and `without_copies`.
    """
    kept = ~np.asarray(copies, dtype=bool)
    every = evaluate(probabilities, targets, labels, seed=seed, resamples=resamples)
    without = every
    if not kept.all():
        without = evaluate(probabilities[kept], targets[kept], labels, seed=seed, resamples=resamples)
    return {"copies": int((~kept).sum()), "all": every, "without_copies": without}


def accuracy_gain(
    probabilities: Floats, baseline: Floats, targets: Ints, *, seed: int, resamples: int = 1000
) -> dict[str, float]:
    """Compute the difference in accuracy to a baseline, paired: both classifiers see the same resamples of rows.

    Args:
        probabilities: [n, K] of the classifier.
        baseline: [n, K] of the baseline, for the same rows.
        targets: [n] label indices.
        seed: Seed of the bootstrap.
        resamples: Number of bootstrap resamples.

    Returns:
        `value`, `low` and `high` of the classifier's accuracy minus the baseline's.
    """
    gain = (probabilities.argmax(axis=1) == targets).astype(np.int64) - (baseline.argmax(axis=1) == targets)
    resampled = [gain @ counts / len(gain) for counts in _resamples(len(gain), resamples, seed)]
    return interval(gain.mean(), np.concatenate(resampled))


def wilson_interval(n_correct: float, n: int) -> tuple[float, float]:
    """Return the 95 % score interval of a proportion (Wilson 1927).

    It also holds for a few rows. The bootstrap's interval is too narrow there, and empty where all of them are correct.

    Args:
        n_correct: Number of correct rows.
        n: Number of rows, n ≥ 1.

    Example:
        >>> low, high = wilson_interval(8, 10)
        >>> round(low, 3), round(high, 3)
        (0.49, 0.943)
    """
    z = 1.959964  # quantile 0.975 of the standard normal distribution
    centre, margin = n_correct + z * z / 2, z * (n_correct * (n - n_correct) / n + z * z / 4) ** 0.5
    low, high = (centre - margin) / (n + z * z), (centre + margin) / (n + z * z)
    return max(0.0, min(low, n_correct / n)), min(1.0, max(high, n_correct / n))  # rounding may leave out 0 or 1


def accuracy_difference(here: tuple[int, int], there: tuple[int, int]) -> dict[str, float]:
    """Compute the difference of two accuracies on unlike texts, with its 95 % interval (Newcombe 1998, method 10).

    Args:
        here: Number of correct rows, and of rows, at least 1.
        there: The same of what it is compared with.

    Returns:
        `value`, `low` and `high` of the first accuracy minus the second.

    Example:
        >>> accuracy_difference((56, 70), (48, 80))
        {'value': 0.2, 'low': 0.052431, 'high': 0.333873}
    """
    first, second = here[0] / here[1], there[0] / there[1]
    (low, high), (other_low, other_high) = wilson_interval(*here), wilson_interval(*there)
    difference = first - second
    return {
        "value": round(difference, DECIMALS),
        "low": round(difference - ((first - low) ** 2 + (other_high - second) ** 2) ** 0.5, DECIMALS),
        "high": round(difference + ((high - first) ** 2 + (second - other_low) ** 2) ** 0.5, DECIMALS),
    }


def _check(probabilities: Floats, targets: Ints, labels: tuple[str, ...]) -> None:
    if len(labels) < 2 or probabilities.shape != (len(targets), len(labels)) or not len(targets):
        raise ValueError(f"probabilities {probabilities.shape} don't fit {len(targets)} targets, {len(labels)} labels")
    if targets.min() < 0 or targets.max() >= len(labels):
        raise ValueError(f"targets must lie in 0 to {len(labels) - 1}")
    if not (probabilities.min() >= 0 and np.allclose(probabilities.sum(axis=1), 1, atol=1e-4)):
        raise ValueError("each row of probabilities must be at least 0 and sum to 1")


def _resamples(rows: int, resamples: int, seed: int) -> Iterator[Ints]:
    """Yield blocks [rows, ≤ BLOCK]. Each column is a resample: how often it drew each row."""
    random = np.random.default_rng(seed)
    for start in range(0, resamples, BLOCK):
        width = min(BLOCK, resamples - start)
        drawn = random.integers(rows, size=(width, rows)) * width + np.arange(width)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * width).reshape(rows, width)


class _Metrics:
    """All metrics of fixed predictions, for any weighting of the rows."""

    def __init__(self, probabilities: Floats, targets: Ints) -> None:
        self.n_labels = probabilities.shape[1]
        self.losses = _losses(probabilities, targets)
        self.confusion = _Confusion(probabilities.argmax(axis=1), targets, self.n_labels)
        ranked = (1,) if self.n_labels == 2 else range(self.n_labels)
        self.rankings = [_Ranking(probabilities[:, label], targets == label) for label in ranked]

    def __call__(self, counts: Ints) -> dict[str, Floats]:
        """Return each metric [r] of counts [n, r], and the confusion matrix [K, K, r]."""
        rows = counts.sum(axis=0)
        confusion = self.confusion(counts)
        correct, true, predicted = np.einsum("kkr->kr", confusion), confusion.sum(axis=1), confusion.sum(axis=0)
        present = true > 0
        by_label = {
            "precision": _ratio(correct, predicted),
            "recall": _ratio(correct, true),
            "f1": _ratio(2 * correct, true + predicted),
        }
        log_loss, brier = self.losses @ counts / rows
        return {
            **{name: (values * present).sum(axis=0) / present.sum(axis=0) for name, values in by_label.items()},
            "roc_auc": _mean([ranking(counts) for ranking in self.rankings]),
            "log_loss": log_loss,
            "brier": brier,
            "confusion": confusion,
        }


def _losses(probabilities: Floats, targets: Ints) -> Floats:
    """Return the log loss and the Brier score of each row, [2, n]."""
    n_labels = probabilities.shape[1]
    target_probabilities = probabilities[np.arange(len(targets)), targets]
    epsilon = np.finfo(np.float64).eps
    squares = ((probabilities - np.eye(n_labels)[targets]) ** 2).sum(axis=1)
    return np.stack(
        [-np.log(target_probabilities.clip(epsilon, 1 - epsilon)), squares / 2 if n_labels == 2 else squares]
    )


class _Confusion:
    """Weighted confusion matrices. Rows are sorted and summed by cell, so that a large K costs little."""

    def __init__(self, predicted: Ints, targets: Ints, n_labels: int) -> None:
        cells = targets * n_labels + predicted
        self.order = np.argsort(cells, kind="stable")
        self.cells, self.starts = np.unique(cells[self.order], return_index=True)
        self.n_labels = n_labels

    def __call__(self, counts: Ints) -> Ints:
        """Return matrices [K, K, r] of counts [n, r], indexed by true label, then predicted label."""
        matrices = np.zeros((self.n_labels**2, counts.shape[1]), np.int64)
        matrices[self.cells] = np.add.reduceat(counts[self.order], self.starts, axis=0)
        return matrices.reshape(self.n_labels, self.n_labels, -1)


class _Ranking:
    """Weighted ROC AUC: the share of (positive, negative) pairs in the right order, a tie counting half.

    This is the Mann-Whitney form (Hanley and McNeil 1982). Counts stay integers up to the last division, hence exact.
    """

    def __init__(self, scores: Floats, positive: npt.NDArray[np.bool_]) -> None:
        order = np.argsort(scores, kind="stable")
        self.positives, self.negatives = order[positive[order]], order[~positive[order]]
        positive_scores, negative_scores = scores[self.positives], scores[self.negatives]
        self.below = np.searchsorted(negative_scores, positive_scores, "left")
        self.upto = np.searchsorted(negative_scores, positive_scores, "right")

    def __call__(self, counts: Ints) -> Floats:
        """Return the AUC [r] of counts [n, r]; NaN for a resample without a positive or without a negative row."""
        negatives = np.zeros((len(self.negatives) + 1, counts.shape[1]), np.int64)
        np.cumsum(counts[self.negatives], axis=0, out=negatives[1:])
        positives = counts[self.positives]
        twice_won = np.einsum("nr,nr->r", positives, negatives[self.below] + negatives[self.upto])
        return _ratio(twice_won, 2 * positives.sum(axis=0) * negatives[-1], empty=np.nan)


def _ratio(part: Ints, whole: Ints, empty: float = 0.0) -> Floats:
    return np.where(whole > 0, part / np.maximum(whole, 1), empty)


def _mean(aucs: list[Floats]) -> Floats:
    """Average over the labels whose AUC is defined; 0.5 where none is."""
    values = np.stack(aucs)
    known = ~np.isnan(values)
    return np.where(known.any(axis=0), np.nansum(values, axis=0) / np.maximum(known.sum(axis=0), 1), 0.5)


def _interval(values: Floats, resampled: Floats) -> Floats:
    """Return value, low and high [3, …] of values […, 1] and resampled values […, r]; the interval holds the value."""
    low, high = np.quantile(resampled, [(1 - INTERVAL_LEVEL) / 2, (1 + INTERVAL_LEVEL) / 2], axis=-1)
    value = values[..., 0]
    return np.round(np.stack([value, np.minimum(low, value), np.maximum(high, value)]), DECIMALS)


def interval(value: float, resampled: npt.ArrayLike, n: int | None = None) -> dict[str, float]:
    """Return a value with the 95 % percentile interval of its resampled values [r]. The interval holds the value.

    Args:
        value: The value of the sample.
        resampled: [r] values of the resamples.
        n: Of a share, the number of rows. Resamples of a perfect sample all agree; then the interval is Wilson's.

    Example:
        >>> interval(0.5, [0.6] * 40), interval(0.5, [0.4] * 40)
        ({'value': 0.5, 'low': 0.5, 'high': 0.6}, {'value': 0.5, 'low': 0.4, 'high': 0.5})
        >>> interval(1.0, [1.0] * 40, n=10)
        {'value': 1.0, 'low': 0.722467, 'high': 1.0}
    """
    found = _as_dict(_interval(np.array([value]), np.asarray(resampled, np.float64)))
    if n is None or found["low"] < found["high"]:
        return found
    low, high = wilson_interval(value * n, n) if n else (0.0, 1.0)
    return {"value": found["value"], "low": round(low, DECIMALS), "high": round(high, DECIMALS)}


def _as_dict(interval: Floats) -> dict[str, float]:
    return dict(zip(("value", "low", "high"), interval.tolist(), strict=True))


def _matrix(intervals: Floats, labels: tuple[str, ...]) -> dict[str, Any]:
    counts, low, high = intervals
    return {
        "labels": list(labels),
        "counts": counts.astype(int).tolist(),
        "low": low.tolist(),
        "high": high.tolist(),
    }


BINS = 15
"""Bins of equal width of the expected calibration error, as in Guo et al. 2017."""
COVERAGES = (1.0, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5)
"""Shares of the texts for which `coverage` reports the accuracy."""


def calibration(probabilities: Floats, targets: Ints, *, seed: int, resamples: int = 1000) -> dict[str, Any]:
    """Compute the expected calibration error (ECE): how far confidence is from accuracy (Naeini et al. 2015).

    Confidence is the probability of the predicted label. Its range is divided into 15 bins of equal width. In any
    finite sample the estimate is biased upwards. Its interval is the basic bootstrap's, which takes that back (Davison
    and Hinkley, Bootstrap Methods and their Application, 1997, section 5.2).

    Args:
        probabilities: [n, K] as for `evaluate`.
        targets: [n] label indices.
        seed: Seed of the bootstrap.
        resamples: Number of bootstrap resamples.

    Returns:
        `ece` with `value`, `low` and `high`, and `bins`: number of texts, mean confidence (`probability`) and accuracy
        of each bin that holds any text.
    """
    confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == targets
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    sums = np.stack([np.ones(len(confidence)), confidence, correct])
    table = np.stack([np.bincount(bins, row, BINS) for row in sums])
    resampled = [_calibration_error(bins, sums, counts) for counts in _resamples(len(confidence), resamples, seed)]
    value = _calibration_error(bins, sums, np.ones((len(confidence), 1), np.int64))
    used = table[:, table[0] > 0]
    mirrored = 2 * value - np.concatenate(resampled)  # a resample is biased as the estimate is, once more
    return {
        "ece": _as_dict(_interval(value, mirrored.clip(0, 1))),
        "bins": [
            {"n": int(n), "probability": round(p / n, DECIMALS), "accuracy": round(a / n, DECIMALS)}
            for n, p, a in used.T
        ],
    }


def _calibration_error(bins: Ints, sums: Floats, counts: Ints) -> Floats:
    """Return the ECE [r] of counts [n, r]: each bin's gap between confidence and accuracy, weighted by its texts."""
    gaps = np.zeros((BINS, counts.shape[1]))
    np.add.at(gaps, bins, (sums[1] - sums[2])[:, None] * counts)
    return np.abs(gaps).sum(axis=0) / len(bins)


def coverage(probabilities: Floats, targets: Ints, shares: Sequence[float] = COVERAGES) -> list[dict[str, float]]:
    """Compute the accuracy on the most confident share of the texts, for each of some shares.

    Args:
        probabilities: [n, K] as for `evaluate`.
        targets: [n] label indices.
        shares: The shares, each above 0 and at most 1.

    Returns:
        `coverage` (the share), `min_confidence` (the lowest confidence in it, as `confidence_threshold` rounds it) and
        `accuracy` of each share.
    """
    confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == targets
    order = np.argsort(-confidence, kind="stable")
    kept = [max(1, round(share * len(order))) for share in shares]
    return [
        {
            "coverage": share,
            "min_confidence": float(_as_threshold(confidence[order[count - 1]])),
            "accuracy": round(float(correct[order[:count]].mean()), DECIMALS),
        }
        for share, count in zip(shares, kept, strict=True)
    ]


def confidence_threshold(probabilities: Floats, targets: Ints, accuracy: float) -> float:
    """Return the lowest confidence threshold at which the texts above it reach the accuracy; 1 if there is none.

    Args:
        probabilities: [n, K] as for `evaluate`.
        targets: [n] label indices.
        accuracy: Accuracy to reach, from 0 to 1.

    Returns:
        The threshold, in steps of 0.0001, at most 0.9999: rounded down, so that it decides every text that it was
        chosen for, and chosen for all that it decides.

    Example:
        >>> probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4]])
        >>> confidence_threshold(probabilities, np.array([0, 0, 1]), accuracy=0.95)
        0.8
        >>> confidence_threshold(np.array([[0.99998, 0.00002]]), np.array([0]), accuracy=0.95)
        0.9999
    """
    thresholds, correct = _as_threshold(probabilities.max(axis=1)), probabilities.argmax(axis=1) == targets
    order = np.argsort(-thresholds, kind="stable")
    reached = np.cumsum(correct[order]) / np.arange(1, len(order) + 1) >= accuracy
    reached[:-1] &= np.diff(thresholds[order]) < 0  # a threshold decides all texts that have it
    return float(thresholds[order[np.flatnonzero(reached)[-1]]]) if reached.any() else 1.0


def _as_threshold(confidence: Floats) -> Floats:
    """Round confidence down to a threshold that it reaches: in steps of 0.0001, at most 0.9999, as 1 decides nothing.

    Confidence counts as answers publish it, with 6 decimals.
    """
    thresholds: Floats = np.minimum(_published(confidence) // 100, 9_999) / 10_000
    return thresholds


def _published(confidence: Floats) -> Floats:
    """Return confidence as answers publish it, in whole millionths."""
    return np.rint(confidence * 1_000_000)


def threshold_interval(
    probabilities: Floats, targets: Ints, accuracy: float, *, seed: int, resamples: int = 200
) -> dict[str, float]:
    """Return the 95 % interval of `confidence_threshold`, `low` and `high`, by the bootstrap. It holds the threshold.

    Args:
        probabilities: [n, K] as for `evaluate`.
        targets: [n] label indices.
        accuracy: Accuracy to reach, from 0 to 1.
        seed: Seed of the bootstrap.
        resamples: Number of bootstrap resamples.
    """
    random, n = np.random.default_rng(seed), len(targets)
    draws = (random.integers(0, n, n) for _ in range(resamples))
    thresholds = [confidence_threshold(probabilities[rows], targets[rows], accuracy) for rows in draws]
    chosen = confidence_threshold(probabilities, targets, accuracy)
    found = interval(chosen, thresholds)
    return {"low": min(round(found["low"], 4), chosen), "high": max(round(found["high"], 4), chosen)}


def decided(probabilities: Floats, targets: Ints, min_confidence: float) -> dict[str, float]:
    """Return how many texts a threshold decides: their number `n` and `share`, and their `accuracy` with its interval.

    Args:
        probabilities: [n, K] as for `evaluate`.
        targets: [n] label indices.
        min_confidence: The threshold.

    Example:
        >>> decided(np.array([[0.9, 0.1], [0.6, 0.4]]), np.array([0, 0]), 0.8)
        {'n': 1, 'share': 0.5, 'accuracy': 1.0, 'low': 0.2065, 'high': 1.0}
    """
    sure = _published(probabilities.max(axis=1)) >= round(min_confidence * 1_000_000)
    correct, n = int((probabilities.argmax(axis=1) == targets)[sure].sum()), int(sure.sum())
    low, high = wilson_interval(correct, n) if n else (0.0, 1.0)
    return {
        "n": n,
        "share": round(n / len(targets), DECIMALS),
        "accuracy": round(correct / n, DECIMALS) if n else 1.0,
        "low": round(low, 4),
        "high": round(high, 4),
    }
