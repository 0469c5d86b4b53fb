"""Featuriser and prediction on one core, compared with the usual ways on the same reviews in the same run."""

import random
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import fasttext

from candor.model.classifier import BLOCK, Classifier
from candor.model.explain import Explainer
from training.data import Dataset

ROUNDS = 7
REVIEWS = 4096
WORD = re.compile(r"[a-z0-9']+")


def interleaved(*ways: Callable[[], object]) -> list[float]:
    """Return the median seconds of each way. Rounds take turns, so that a busy machine slows all of them."""
    seconds: list[list[float]] = [[] for _ in ways]
    for _ in range(ROUNDS):
        for way, times in zip(ways, seconds, strict=True):
            start = time.perf_counter()
            way()
            times.append(time.perf_counter() - start)
    return [statistics.median(times) for times in seconds]


def featuriser(bundle: Path, reviews: Sequence[str]) -> list[str]:
    """Compare with re.findall and a vocabulary of the 10,000 most common words."""
    classifier = Classifier.load(bundle)

    def ours(texts: Sequence[str]) -> object:
        return classifier.featuriser(texts, classifier.table)

    counts: dict[str, int] = {}
    for review in reviews:
        for word in WORD.findall(review.lower()):
            counts[word] = counts.get(word, 0) + 1
    vocabulary = {word: index for index, word in enumerate(sorted(counts, key=lambda word: -counts[word])[:10_000])}

    def baseline(texts: Sequence[str]) -> list[list[int]]:
        return [[vocabulary.get(word, 0) for word in WORD.findall(text.lower())] for text in texts]

    blocks = [reviews[start : start + BLOCK] for start in range(0, len(reviews), BLOCK)]
    one = typical(reviews)
    block, baseline_block = interleaved(lambda: [ours(each) for each in blocks], lambda: baseline(reviews))
    single, baseline_single = interleaved(
        lambda: [ours([one]) for _ in range(500)], lambda: [baseline([one]) for _ in range(500)]
    )
    return [
        f"featuriser, blocks of {BLOCK}: {len(reviews) / block:,.0f} reviews/s, {baseline_block / block:.1f} times "
        "re.findall and a dictionary (bar 4)",
        f"featuriser, one review of {len(one.split())} words: {single / 500 * 1e6:.0f} µs, "
        f"{baseline_single / single:.2f} times re.findall and a dictionary (bar 1)",
    ]


def typical(reviews: Sequence[str]) -> str:
    """Return a review of about 230 words, IMDB's mean."""
    return min(reviews, key=lambda review: abs(len(review.split()) - 230))


def prediction(data: Dataset, bundle: Path, reviews: Sequence[str]) -> list[str]:
    """Compare prediction from raw text with fastText's C++ predict on text that was tokenised beforehand."""
    classifier = Classifier.load(bundle)
    tokenised = [" ".join(WORD.findall(review.lower())) for review in reviews]
    peer = fast_text(data)
    ours, theirs = interleaved(
        lambda: classifier.probabilities(reviews),
        lambda: [peer.f.predict(text, 1, 0.0, "strict") for text in tokenised],
    )
    return [
        f"text to probabilities, blocks of {BLOCK}: {len(reviews) / ours:,.0f} reviews/s, {theirs / ours:.2f} times "
        "fastText's predict on tokenised text (bar 0.7)"
    ]


def fast_text(data: Dataset) -> "fasttext.FastText._FastText":
    """Train fastText as Joulin et al. 2016, "Bag of Tricks for Efficient Text Classification": bigrams, 10 units."""
    rows = list(zip(data.texts, data.targets, strict=True))
    random.Random(1).shuffle(rows)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.txt"
        lines = (f"__label__{target} {' '.join(WORD.findall(text.lower()))}\n" for text, target in rows)
        path.write_text("".join(lines))
        return fasttext.train_supervised(str(path), dim=10, wordNgrams=2, epoch=2, thread=1, verbose=0)


def explanation(bundle: Path, reviews: Sequence[str]) -> list[str]:
    """Measure on every review how far base and values are from the logit."""
    classifier = Classifier.load(bundle)
    explainer, labels = Explainer(classifier), classifier.bundle.labels
    worst = max(abs(explainer(review, labels[-1]).residual) for review in reviews)
    return [f"explanation: residual at most {worst:.1e} over {len(reviews):,} reviews (bar 1e-5)"]
