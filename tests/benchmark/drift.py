"""How far windows of predictions are from those of training: on held-out reviews, and on another domain's texts."""

import random
import statistics
from collections.abc import Sequence
from pathlib import Path
from pydoc_data.topics import topics  # the language reference, which comes with Python

from candor.classifier import Classifier
from candor.drift import ALARM, WINDOW, Monitor, Report


def lines(bundle: Path, reviews: Sequence[str]) -> list[str]:
    """`reviews` are the official test's; every other one is enough, in an order that mixes labels."""
    classifier, chance = Classifier.load(bundle), random.Random(0)
    half = chance.sample(list(reviews[::2]), len(reviews) // 2)
    lengths = [len(review.split()) for review in half]

    def told(texts: Sequence[str]) -> list[Report]:
        return Monitor(classifier.usual).add(classifier.predict(texts))

    quiet = [report.worst for report in told(half)]
    other = told(documentation([chance.choice(lengths) for _ in range(4 * WINDOW)]))
    least = {name: min(report.stability[name] for report in other) for name in other[0].stability}
    return [
        f"drift on half of the held-out reviews, {len(quiet)} windows of {WINDOW}: {statistics.median(quiet):.3f}, "
        f"{max(quiet):.3f} at most (alarm at {ALARM})",
        f"drift on Python's language reference, cut as long as reviews, {len(other)} windows, at least: "
        + ", ".join(f"{name} {value:.2f}" for name, value in least.items()),
    ]


def documentation(lengths: Sequence[int]) -> list[str]:
    """Texts of so many words each."""
    words, made = [word for text in topics.values() for word in text.split()], []
    for length in lengths:
        made.append(" ".join(words[:length]))
        words = words[length:] + words[:length]
    return made
