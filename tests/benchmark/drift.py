"""Drift of windows of predictions from the reference: on held-out reviews, and on texts of another domain."""

import random
import statistics
from collections.abc import Sequence
from pathlib import Path
from pydoc_data.topics import topics  # the language reference, which comes with Python

from candor.model.classifier import Classifier
from candor.operate.drift import ALARM, WINDOW, DriftReport, Monitor


def lines(bundle: Path, reviews: Sequence[str]) -> list[str]:
    """Return the figures of drift. `reviews` are the official test's, of which every other one is enough."""
    classifier, rng = Classifier.load(bundle), random.Random(0)
    half = rng.sample(list(reviews[::2]), len(reviews) // 2)
    lengths = [len(review.split()) for review in half]

    def reports(texts: Sequence[str]) -> list[DriftReport]:
        return Monitor(classifier.drift_reference).add(classifier.predict(texts))

    quiet = [report.max_psi for report in reports(half)]
    other = reports(documentation([rng.choice(lengths) for _ in range(4 * WINDOW)]))
    smallest = {name: min(report.psi[name] for report in other) for name in other[0].psi}
    return [
        f"drift on half of the held-out reviews, {len(quiet)} windows of {WINDOW}: {statistics.median(quiet):.3f}, "
        f"{max(quiet):.3f} at most (alarm at {ALARM})",
        f"drift on Python's language reference, cut as long as reviews, {len(other)} windows, at least: "
        + ", ".join(f"{name} {value:.2f}" for name, value in smallest.items()),
    ]


def documentation(lengths: Sequence[int]) -> list[str]:
    """Return texts of the given numbers of words."""
    words, texts = [word for text in topics.values() for word in text.split()], []
    for length in lengths:
        texts.append(" ".join(words[:length]))
        words = words[length:] + words[:length]
    return texts
