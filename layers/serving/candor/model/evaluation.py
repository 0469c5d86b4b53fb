"""Everything that is measured of a model's answers to labelled texts, and whether that is what its own figures promise.

Shapes: n texts, K labels.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from candor.model import metrics

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MAX_PAIRS = 10
"""Pairs of labels listed as confused, at most."""
MAX_ERRORS = 20
"""Errors listed as the worst, at most."""
MANY = 50_000
"""Texts above which 200 resamples do instead of 1,000: their intervals are narrow."""
LEARNT = "These are the texts that the model learnt from, so the figures say nothing about new ones."
SUSPICIOUS = 0.05
"""Gain in accuracy over the model's own from which on one should ask whether it has learnt from the texts."""
SHARES = tuple(share / 20 for share in range(1, 21))
"""Shares of the texts for which the accuracy is reported."""


@dataclass(frozen=True)
class Answers:
    """A model's answers to n labelled texts."""

    labels: tuple[str, ...]
    """K names."""
    probabilities: Floats
    """[n, K]. Each row sums to 1."""
    targets: Ints
    """[n] index in `labels` of each text's label."""
    lines: Ints
    """[n] line of the file where each text begins, from 1."""
    min_confidence: float
    """Confidence from which on the model decides."""
    warnings: Sequence[Sequence[str]] | None = None
    """n tuples of the codes that warn of a text; None if nobody looked."""
    files: Sequence[str] = ()
    """n names of the files that the texts are in, where there are several."""

    @property
    def confidence(self) -> Floats:
        """[n] probability of the predicted label."""
        confidence: Floats = self.probabilities.max(axis=1)
        return confidence

    @property
    def predicted(self) -> Ints:
        """[n] index of the predicted label."""
        return self.probabilities.argmax(axis=1)

    @property
    def decided(self) -> NDArray[np.bool_]:
        """[n] which texts are decided: those of enough confidence, and without a warning."""
        confident = self.confidence >= self.min_confidence
        return confident if self.warnings is None else confident & ~np.array([bool(each) for each in self.warnings])


def evaluate(answers: Answers, *, seed: int) -> dict[str, Any]:
    """Measure a model's answers.

    Args:
        answers: At least one.
        seed: Seed of the bootstrap.

    Returns:
        JSON-ready: the result of candor.model.metrics.evaluate; `calibration`, with an interval for each bin's
        accuracy; `decided`, the share of texts that are decided, and their accuracy (None where there are none);
        `coverage` for each of SHARES; `confused` pairs; `shares` of each label among the texts and the answers;
        `warnings`, the number of texts by code, or None; and `worst_errors`, the wrong answers of the highest
        confidence, with their lines.

    Raises:
        ValueError: As candor.model.metrics.evaluate does.
    """
    probabilities, targets, labels = answers.probabilities, answers.targets, answers.labels
    resamples = 1000 if len(targets) <= MANY else 200
    report = metrics.evaluate(probabilities, targets, labels, seed=seed, resamples=resamples)
    counts = np.array(report["confusion_matrix"]["counts"])
    warnings = None
    if answers.warnings is not None:
        warnings = dict(sorted(Counter(code for codes in answers.warnings for code in codes).items()))
    return {
        **report,
        "calibration": _calibration(probabilities, targets, seed, resamples),
        "decided": _decided(answers),
        "coverage": metrics.coverage(probabilities, targets, SHARES),
        "confused": confused_pairs(probabilities, targets, labels),
        "shares": {
            label: {"texts": round(row / len(targets), 6), "answers": round(column / len(targets), 6)}
            for label, row, column in zip(labels, counts.sum(axis=1).tolist(), counts.sum(axis=0).tolist(), strict=True)
        },
        "warnings": warnings,
        "worst_errors": worst_errors(answers),
    }


def _calibration(probabilities: Floats, targets: Ints, seed: int, resamples: int) -> dict[str, Any]:
    measured = metrics.calibration(probabilities, targets, seed=seed, resamples=resamples)
    for each in measured["bins"]:
        interval = metrics.share(round(each["accuracy"] * each["n"]), each["n"])
        each |= {"low": interval["low"], "high": interval["high"]}
    return measured


def _decided(answers: Answers) -> dict[str, Any]:
    decided = answers.decided
    n = int(decided.sum())
    accuracy = metrics.share(int((answers.predicted == answers.targets)[decided].sum()), n)
    return {
        "n": n,
        "share": round(n / len(decided), metrics.DECIMALS),
        "min_confidence": answers.min_confidence,
        "accuracy": accuracy["value"] if n else None,
        "low": accuracy["low"],
        "high": accuracy["high"],
    }


def confused_pairs(probabilities: Floats, targets: Ints, labels: Sequence[str]) -> list[dict[str, Any]]:
    """Return the pairs of labels that are confused most: `label`, `predicted`, `texts` and their `share` of the label.

    Args:
        probabilities: [n, K] by models that have not learnt from the texts.
        targets: [n] label indices.
        labels: K names.

    Example:
        >>> confused_pairs(np.array([[0.9, 0.1], [0.8, 0.2]]), np.array([0, 1]), ["a", "b"])
        [{'label': 'b', 'predicted': 'a', 'texts': 1, 'share': 1.0}]
    """
    n_labels = len(labels)
    cells = np.bincount(targets * n_labels + probabilities.argmax(axis=1), minlength=n_labels**2)
    counts = cells.reshape(n_labels, n_labels)
    support = counts.sum(axis=1)
    np.fill_diagonal(counts, 0)
    order = np.argsort(-counts, axis=None, kind="stable")[:MAX_PAIRS]
    return [
        {
            "label": labels[row],
            "predicted": labels[column],
            "texts": int(counts[row, column]),
            "share": round(float(counts[row, column] / support[row]), 4),
        }
        for row, column in zip(*np.unravel_index(order, counts.shape), strict=True)
        if counts[row, column]
    ]


def worst_errors(answers: Answers) -> list[dict[str, Any]]:
    """Return the wrong answers of the highest confidence: `line`, `label`, `predicted`, `probability`, `decided`.

    Where there are several files, each has its `file`, too.
    Those that the model decided come before those that it left uncertain.
    """
    wrong = np.flatnonzero(answers.predicted != answers.targets)
    confidence, decided, predicted = answers.confidence, answers.decided, answers.predicted
    order = wrong[np.lexsort((answers.lines[wrong], -confidence[wrong], ~decided[wrong]))]
    return [
        {
            **({"file": answers.files[row]} if answers.files else {}),
            "line": int(answers.lines[row]),
            "label": answers.labels[answers.targets[row]],
            "predicted": answers.labels[predicted[row]],
            "probability": round(float(confidence[row]), metrics.DECIMALS),
            "decided": bool(decided[row]),
        }
        for row in order[:MAX_ERRORS].tolist()
    ]


def compare(report: Mapping[str, Any], own: Mapping[str, Any], *, learnt: bool = False) -> dict[str, Any]:
    """Compare the accuracy on new texts with the model's own.

    Args:
        report: A result of `evaluate`.
        own: The member `metrics` of the model's model.json.
        learnt: The texts are those that the model learnt from, so that there is nothing to compare.

    Returns:
        `verdict`: "worse" or "better" where the 95 % interval of the difference leaves out 0, else "holds"; "unknown"
        where the model states no accuracy or has learnt from the texts. `sentence`: the same in words. Except for
        "unknown" also `split`, `n` and `accuracy` of the model's own figures, and the `difference` with its interval.

    Example:
        >>> own = {"split": "test", "n": 1000, "accuracy": {"value": 0.9}}
        >>> compare({"n": 200, "accuracy": {"value": 0.8}}, own)["verdict"]
        'worse'
    """
    if learnt:
        return {"verdict": "unknown", "sentence": LEARNT}
    try:
        n, accuracy, split = int(own["n"]), float(own["accuracy"]["value"]), str(own["split"])
        counts = [(round(report["accuracy"]["value"] * report["n"]), report["n"]), (round(accuracy * n), n)]
        difference = metrics.accuracy_difference(counts[0], counts[1])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return {"verdict": "unknown", "sentence": "The model states no accuracy of its own to compare with."}
    verdict = "worse" if difference["high"] < 0 else "better" if difference["low"] > 0 else "holds"
    words = {"worse": "Worse than", "better": "Better than", "holds": "In line with"}[verdict]
    low, value, high = (_points(difference[key]) for key in ("low", "value", "high"))
    measured = f"{n:,} held-out texts" if split == "validation" else f"{split} split of {n:,} texts"
    asked = verdict == "better" and difference["value"] >= SUSPICIOUS
    return {
        "verdict": verdict,
        "sentence": (
            f"{words} the model's own figures: {report['accuracy']['value']:.1%} accurate here, "
            f"{accuracy:.1%} on its {measured} "
            f"(difference {value} points, 95% interval {low} to {high})."
            f"{' Are these the texts that it learnt from?' if asked else ''}"
        ),
        "split": split,
        "n": n,
        "accuracy": accuracy,
        "difference": difference,
    }


def _points(share: float) -> str:
    return f"{100 * share:+.1f}".replace("-", "\u2212")
