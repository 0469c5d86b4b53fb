"""Compare training on few labelled rows with TF-IDF and logistic regression on the same rows.

python -m tests.benchmark.few_labels SETS [--draws 5]

Draws 8 and 64 rows a label (16 where there are over 20 labels) from each NAME.train.jsonl, learns from them alone and
with 1,000 other texts of the file as texts without a label, and measures both on NAME.test.jsonl. What `candor train`
does is done but for the baseline and the bundle. The sentence encoder must be installed.
"""

import argparse
from functools import cache
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from candor.redact.sieve import redact_texts
from tests.benchmark.own_labels import read
from training import encoder, learn
from training.train import Exported

UNLABELLED, TESTED, MANY_LABELS = 1000, 2000, 20


def main() -> None:
    """Print a row a set and number of rows, then the means."""
    parser = argparse.ArgumentParser(prog="few_labels", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=[])
    arguments = parser.parse_args()
    _encode_once()
    print(f"{'set':<12}{'rows':>5}{'LR':>7}{'alone':>7}{'gain':>7}{'more':>7}{'gain':>7}", flush=True)
    gains: dict[str, list[tuple[float, float]]] = {"few": [], "more": []}
    for path in sorted(arguments.folder.glob("*.train.jsonl")):
        name = path.name.removesuffix(".train.jsonl")
        if arguments.only and name not in arguments.only:
            continue
        for amount in gains:
            gains[amount].append(compare(arguments.folder, name, amount, arguments.draws))
    for amount, found in gains.items():
        alone, more = np.mean(found, axis=0)
        print(
            f"mean gain of {'8' if amount == 'few' else '64 (16)'} rows a label: "
            f"alone {alone:+.1f}, with texts {more:+.1f}"
        )


def _encode_once() -> None:
    """Let the encoder read each text once, however often it is drawn."""
    model, known = encoder.Encoder.load(), dict[str, np.ndarray]()

    class Once:
        def encode(self, texts: list[str], description: str = "encoding") -> np.ndarray:
            new = [text for text in dict.fromkeys(texts) if text not in known]
            if new:
                known.update(zip(new, model.encode(new, description), strict=True))
            return np.array([known[text] for text in texts])

    encoder.Encoder.load = cache(lambda *_: Once())  # type: ignore[method-assign,assignment]


def compare(folder: Path, name: str, amount: str, draws: int) -> tuple[float, float]:
    """Print a row, and return the gains in accuracy, in points: of labels alone, and with texts without a label."""
    (texts, labels), (test_texts, truth) = (read(folder / f"{name}.{part}.jsonl") for part in ("train", "test"))
    names = sorted(set(labels))
    rows_each = 8 if amount == "few" else 16 if len(names) > MANY_LABELS else 64
    every, tested = np.array(redact_texts(texts), object), redact_texts(test_texts[:TESTED])
    targets = np.array([names.index(label) for label in labels])
    test_targets = np.array([names.index(label) for label in truth[:TESTED]])
    found = []
    for seed in range(draws):
        random = np.random.default_rng(seed)
        order = random.permutation(len(texts))
        drawn = np.concatenate([order[targets[order] == k][:rows_each] for k in range(len(names))])
        others = np.setdiff1d(order, drawn)[random.permutation(len(order) - len(drawn))][:UNLABELLED]
        peer = make_pipeline(
            TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(C=10, max_iter=300)
        )
        scores = [(peer.fit(every[drawn], targets[drawn]).predict(tested) == test_targets).mean()]
        for unlabelled in ([], every[others].tolist()):
            given = learn.Texts(every[drawn].tolist(), targets[drawn], len(names), unlabelled)
            scores.append((_predicted(learn.learn(given, seed, None), tested) == test_targets).mean())
        found.append(scores)
    plain, alone, more = 100 * np.mean(found, axis=0)
    print(
        f"{name:<12}{rows_each:>5}{plain:>7.1f}{alone:>7.1f}{alone - plain:>+7.1f}{more:>7.1f}{more - plain:>+7.1f}",
        flush=True,
    )
    return alone - plain, more - plain


def _predicted(learnt: learn.Learnt, texts: list[str]) -> np.ndarray:
    return Exported(learnt.additive.to_files(learnt.bits), learnt.kinds)(texts).argmax(axis=1)


if __name__ == "__main__":
    main()
