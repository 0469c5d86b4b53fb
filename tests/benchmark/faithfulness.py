"""Compare the faithfulness of explanations with random ones, leave-one-out, LIME and KernelSHAP.

ERASER measures (DeYoung et al. 2020), means over bins of 1, 5, 10, 20 and 50 % of a text's tokens. Comprehensiveness is
the fall of the label's probability without the named words: higher is better. Sufficiency is its fall with nothing but
them: lower is better. It has an environment of its own: `make faithfulness`.
"""

import argparse
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import shap
from lime.lime_text import LimeTextExplainer
from numpy.typing import NDArray

from candor.model.classifier import Classifier
from candor.model.explain import Explainer
from candor.text.offsets import spans
from training.data import load

BINS = (0.01, 0.05, 0.1, 0.2, 0.5)
SAMPLES = 1000
Values = NDArray[np.float64]


class Review:
    """A text, the spans of its tokens, and the probability of its label for any choice of tokens."""

    def __init__(self, text: str, classifier: Classifier) -> None:
        self.text, self.classifier, self.calls = text, classifier, 0
        self.spans = spans(text)
        self.label = int(classifier.probabilities([text])[0].argmax())

    def __call__(self, kept: NDArray[np.bool_]) -> Values:
        """Return probabilities [n] of the label for choices [n, tokens]."""
        self.calls += len(kept)
        words = [self.text[begin:end] for begin, end in self.spans]
        texts = [" ".join(word for word, keep in zip(words, row, strict=True) if keep) for row in kept]
        return self.classifier.probabilities(texts)[:, self.label]


def ours(review: Review, explainer: Explainer) -> Values:
    """Explain with Candor."""
    review.calls += 1
    return explainer(review.text, review.classifier.bundle.labels[review.label]).values


def leave_one_out(review: Review, explainer: Explainer) -> Values:
    """Explain by the fall of the probability without each token."""
    count = len(review.spans)
    p = review(np.concatenate([np.ones((1, count), bool), ~np.eye(count, dtype=bool)]))
    return p[0] - p[1:]


def lime(review: Review, explainer: Explainer) -> Values:
    """Explain with LIME, which perturbs the text "0 1 2 …" of token indices."""
    count = len(review.spans)

    def predict(texts: Sequence[str]) -> Values:
        kept = np.zeros((len(texts), count), bool)
        for row, text in enumerate(texts):
            kept[row, [int(index) for index in text.split()]] = True
        p = review(kept)
        return np.stack([1 - p, p], axis=1)

    explained = LimeTextExplainer(bow=True, split_expression=r"\s+", random_state=1).explain_instance(
        " ".join(map(str, range(count))), predict, labels=(1,), num_features=count, num_samples=SAMPLES
    )
    values = np.zeros(count)
    for index, value in explained.as_list(1):
        values[int(index)] = value
    return values


def kernel_shap(review: Review, explainer: Explainer) -> Values:
    """Explain with KernelSHAP."""
    count = len(review.spans)
    kernel = shap.KernelExplainer(lambda rows: review(rows.astype(bool)), np.zeros((1, count)), silent=True)
    return np.asarray(kernel.shap_values(np.ones(count), nsamples=SAMPLES, silent=True), dtype=float).ravel()


def random_values(review: Review, explainer: Explainer) -> Values:
    """Explain with random values."""
    return np.random.default_rng(len(review.text)).random(len(review.spans))


METHODS: dict[str, Callable[[Review, Explainer], Values]] = {
    "Candor": ours,
    "random": random_values,
    "leave-one-out": leave_one_out,
    "LIME": lime,
    "KernelSHAP": kernel_shap,
}


def measures(review: Review, values: Values) -> tuple[float, float]:
    """Return comprehensiveness and sufficiency."""
    count = len(values)
    order = np.argsort(-values, kind="stable")
    named = np.zeros((len(BINS), count), bool)
    for row, share in enumerate(BINS):
        named[row, order[: max(1, round(share * count))]] = True
    p = review(np.concatenate([np.ones((1, count), bool), ~named, named]))
    return float((p[0] - p[1 : len(BINS) + 1]).mean()), float((p[0] - p[len(BINS) + 1 :]).mean())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="faithfulness", description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--reviews", type=int, default=500)
    options = parser.parse_args()
    classifier = Classifier.load(Path("layers/model/bundle"))
    explainer = Explainer(classifier)
    chosen = [
        classifier.prepare(text).text
        for text in random.Random(1).sample(load(options.data).test_texts, options.reviews)
    ]
    print(f"{'method':14} comprehensiveness  sufficiency  calls/review  ms/review")
    for name, method in METHODS.items():
        scores, calls, seconds = [], 0, 0.0
        for text in chosen:
            review = Review(text, classifier)
            start = time.perf_counter()
            values = method(review, explainer)
            seconds += time.perf_counter() - start
            calls += review.calls
            scores.append(measures(review, values))
        comprehensiveness, sufficiency = np.mean(scores, axis=0)
        per_review = f"{calls / len(chosen):12.0f}  {1000 * seconds / len(chosen):9.2f}"
        print(f"{name:14} {comprehensiveness:17.4f}  {sufficiency:11.4f}  {per_review}", flush=True)


if __name__ == "__main__":
    main()
