"""Compare `candor train` with its peers on your own labelled texts, in one run on one machine.

make own DATA=FOLDER

The folder holds pairs NAME.train.jsonl and NAME.test.jsonl of texts and labels. Peers are scikit-learn's usual three:
TF-IDF of words and pairs with logistic regression (C 10) and with a linear SVM, and words with characters 2 to 5 and a
linear SVM. Each set trains in a process of its own, so that its time and memory are its own.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, log_loss
from sklearn.pipeline import Pipeline, make_pipeline, make_union
from sklearn.svm import LinearSVC

from candor.model import metrics
from candor.model.classifier import Classifier

ROOT = Path(__file__).parents[2]
Labelled = tuple[list[str], list[str]]


def main() -> None:
    """Print a table, a data set a row."""
    parser = argparse.ArgumentParser(prog="own", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--store", type=Path)
    arguments = parser.parse_args()
    names = sorted(path.name.removesuffix(".train.jsonl") for path in arguments.folder.glob("*.train.jsonl"))
    print(
        f"{'set':<12}{'labels':>7}{'LR':>12}{'SVM':>12}{'+ chars':>12}{'Candor':>12}{'gain':>6}"
        f"{'ECE':>7}{'log loss/LR':>14}{'decided':>9}{'right':>7}{'MB':>6}{'CPU s':>7}{'wall s':>7}{'MiB':>6}"
    )
    gains = []
    with tempfile.TemporaryDirectory() as folder:
        for name in [each for each in names if not arguments.only or each in arguments.only]:
            gain, line = compare(arguments.folder, name, arguments.store or Path(folder))
            gains.append(gain)
            print(line, flush=True)
    print(f"mean gain over the best peer: {np.mean(gains):+.2f} points")


def read(path: Path) -> Labelled:
    """Return texts and labels."""
    rows = [json.loads(line) for line in path.read_text().split("\n") if line]
    return [row["text"] for row in rows], [str(row["label"]) for row in rows]


def compare(folder: Path, name: str, store: Path) -> tuple[float, str]:
    """Return the gain in accuracy over the best peer, in points, and a row of the table."""
    training, test = read(folder / f"{name}.train.jsonl"), read(folder / f"{name}.test.jsonl")
    texts, truth = test
    scores = {peer: model.fit(*training) for peer, model in peers().items()}
    found = {peer: model.predict(texts) for peer, model in scores.items()}
    cost = measured(folder / f"{name}.train.jsonl", store, name)
    bundle = store / name / "1/bundle"
    classifier = Classifier.load(bundle)
    predictions = classifier.predict(texts)
    found["Candor"] = np.array([prediction.label for prediction in predictions])
    labels = list(classifier.bundle.labels)
    targets = np.array([labels.index(label) for label in truth])
    probabilities = np.array([list(prediction.probabilities.values()) for prediction in predictions])
    plain = scores["LR"]
    peer_loss = log_loss(truth, plain.predict_proba(texts), labels=list(plain.classes_))
    loss = float(-np.log(np.maximum(probabilities[np.arange(len(targets)), targets], 1e-12)).mean())
    decisions = [prediction.decision(classifier.min_confidence) for prediction in predictions]
    sure = np.array([decision != "uncertain" for decision in decisions])
    right = (found["Candor"] == np.array(truth))[sure].mean() if sure.any() else 1.0
    accuracy = {peer: 100 * float((labels == np.array(truth)).mean()) for peer, labels in found.items()}
    f1 = {peer: 100 * f1_score(truth, labels, average="macro") for peer, labels in found.items()}
    gain = accuracy["Candor"] - max(accuracy[peer] for peer in scores)
    size = sum(path.stat().st_size for path in bundle.iterdir()) / 1e6
    ece = metrics.calibration(probabilities, targets, seed=0)["ece"]["value"]
    columns = "".join(f"{accuracy[peer]:>6.1f}({f1[peer]:4.1f})" for peer in found)
    return gain, (
        f"{name:<12}{len(classifier.bundle.labels):>7}{columns}{gain:>+6.1f}{ece:>7.3f}{loss:>7.3f}/{peer_loss:.3f} "
        f"{sure.mean():>8.0%}{right:>7.1%}{size:>6.2f}{cost.cpu:>7.0f}{cost.wall:>7.0f}{cost.mebibytes:>6.0f}"
    )


def peers() -> dict[str, Pipeline]:
    """Return scikit-learn's usual classifiers of texts, by name."""
    words = {"ngram_range": (1, 2), "sublinear_tf": True}
    characters = {"analyzer": "char_wb", "ngram_range": (2, 5), "sublinear_tf": True}
    return {
        "LR": make_pipeline(TfidfVectorizer(**words), LogisticRegression(C=10, max_iter=300)),
        "SVM": make_pipeline(TfidfVectorizer(**words), LinearSVC(random_state=0)),
        "+ chars": make_pipeline(
            make_union(TfidfVectorizer(**words), TfidfVectorizer(**characters)), LinearSVC(random_state=0)
        ),
    }


@dataclass(frozen=True)
class Cost:
    """What training took."""

    cpu: float
    """Seconds, of all its threads."""
    wall: float
    """Seconds."""
    mebibytes: float
    """At peak."""


def measured(data: Path, store: Path, name: str) -> Cost:
    """Train version 1 of a model as a user does."""
    paths = os.pathsep.join([str(ROOT / "layers/serving"), os.environ.get("PYTHONPATH", "")])
    command: Sequence[str | Path] = [sys.executable, "-m", "candor", "train", data]
    command = [*command, "--store", store, "--name", name, "--version", "1"]
    start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env={**os.environ, "PYTHONPATH": paths}, check=True, stdout=subprocess.DEVNULL)
    wall, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    report = json.loads((store / name / "1/report/report.json").read_text())
    return Cost(cpu, wall, report["cost"]["peak_memory_mib"])


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
