"""Train a model: learn it from labelled texts, export it, evaluate it beside a baseline, and install its bundle."""

import json
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tqdm import tqdm

from candor.model import metrics
from candor.model.classifier import BLOCK, Prediction, model_inputs, softmax
from candor.model.install import install, pin
from candor.model.interpreter import Signature
from candor.operate.drift import reference_distribution
from candor.redact.sieve import redact_texts
from candor.resources import BUNDLE, INSTALLED, TEMPLATE
from candor.text.features import Featuriser
from candor.text.table import Table

from . import bundle_files, findings, guesses, learn, summary
from .baseline import Baseline, History
from .data import IMDB_HOME, Dataset, find_copies
from .lessons import negations
from .membership import audit, losses
from .pictures import Scores, draw, draw_calibration
from .stack import full_logits
from .strongest import strongest_ngrams

MAX_MEMBERS = 10_000
"""Training texts that the audit of membership looks at."""
TARGET_ACCURACY = 0.97
"""Accuracy of decided texts that the default confidence threshold is chosen for."""
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Options:
    """What the command line chooses."""

    name: str
    """The model's name."""
    golden: Sequence[tuple[str, str]]
    """Texts and their labels, which the model must get right."""
    seed: int
    bundle: Path
    """The folder that the bundle goes to."""
    report: Path
    """The folder that figures and pictures go to."""
    size: float | None = None
    """Maximum size of the bundle in MB; None: 3 for two labels, 8 for more."""
    minutes: float | None = None
    """Time after which nothing more is tried; None: no limit."""


def redacted(texts: Sequence[str]) -> list[str]:
    """Return texts as the model sees them, without personal data."""
    return redact_texts(tqdm(texts, desc="redacting", unit=" texts", leave=False, disable=None))


def train(dataset: Dataset, options: Options) -> None:
    """Train a model on a data set, write its bundle and report, and print both in short.

    Raises:
        ExportError: The exported model is not the trained one, or gets a golden case wrong. The old bundle is kept.
        InstallError: The bundle does not answer its golden cases. The old bundle is kept.
    """
    start = time.monotonic()
    tf.get_logger().setLevel("ERROR")
    keras.utils.set_random_seed(options.seed)
    tf.config.experimental.enable_op_determinism()
    reviews = set(dataset.labels) == {"negative", "positive"} and dataset.source == IMDB_HOME
    texts = learn.Texts(
        redacted(dataset.texts),
        dataset.targets,
        len(dataset.labels),
        redacted(dataset.unlabelled),
        [(text, dataset.labels.index("positive" if praise else "negative")) for text, praise in negations()]
        if reviews
        else (),
        guesses.find(dataset.texts, dataset.unlabelled) if reviews else None,
    )
    test_texts = redacted(dataset.test_texts)
    learnt = learn.learn(texts, options.seed, options.size, options.minutes)
    print(f"\n{summary.tried_table([*learnt.tried, *([learnt.shipped] if learnt.shipped else [])])}", flush=True)
    for warning in summary.few_rows(dataset.labels, dataset.targets.tolist()):
        print(f"warning: {warning}", flush=True)
    exported = Exported(learnt.additive.to_files(learnt.bits), learnt.kinds)
    baseline = train_baseline(texts, learnt)
    splits = [Split.of("validation", [texts.texts[row] for row in learnt.first], dataset.targets[learnt.first])]
    splits[0].probabilities["ours"] = softmax(full_logits(learnt.first_logits))
    if test_texts:
        splits.append(Split.of("test", test_texts, dataset.test_targets))
        splits[1].probabilities["ours"] = exported(test_texts)
    if baseline:
        for each in splits:
            each.probabilities["baseline"] = baseline.network.probabilities(each.texts)
    with tqdm(total=5, desc="evaluating", unit=" steps", leave=False, disable=None) as steps:
        measured = evaluate_splits(dataset, splits, options.seed)
        steps.update()
        measured["decisions"] = calibrate(dataset, learnt, splits, options.seed)
        steps.update()
        found = find(dataset, learnt)
        measured["findings"] = {"confused": found["confused"], "suspect_labels": found["suspect_labels"]["rows"]}
        measured["tried"] = [asdict(each) | {"seconds": None} for each in learnt.tried]
        measured["membership"] = audit_membership(texts, learnt, splits[1] if test_texts else None, options.seed)
        steps.update()
        measured["strongest"] = strongest_ngrams(learnt.additive, texts.texts, dataset.labels)
        steps.update()
        measured["parity"] = bundle_files.parity(*compare(learnt, exported, splits[-1].texts))
        steps.update()
    digest = write_bundle(options, dataset, learnt, exported, measured)
    history = {"baseline": baseline.history} if baseline else {}
    more = {"tried": [asdict(each) for each in learnt.tried], "history": history, **found}
    cost = write_report(options.report, dataset, learnt, splits[-1], measured, more, digest, start)
    print_summary(options, splits[-1], measured, digest, cost)


@dataclass(frozen=True)
class Split:
    """Held-out texts, and what each network says of them."""

    name: str
    """"validation" or "test"."""
    texts: Sequence[str]
    targets: Ints
    """[n] label indices."""
    probabilities: dict[str, Floats]
    """[n, K] by network, "ours" or "baseline"."""

    @classmethod
    def of(cls, name: str, texts: Sequence[str], targets: Ints) -> "Split":
        """Return a split of which no network has said anything."""
        return cls(name, texts, targets, {})


@dataclass(frozen=True)
class TrainedBaseline:
    """The baseline and its epochs."""

    network: Baseline
    history: History


def train_baseline(texts: learn.Texts, learnt: learn.Learnt) -> TrainedBaseline | None:
    """Train the baseline on the first fold, and print the epoch that it keeps; None for too many texts."""
    if len(texts.texts) > learn.LARGE:
        print(f"baseline: not trained on more than {learn.LARGE:,} texts", flush=True)
        return None
    learning, held_out = (
        ([texts.texts[row] for row in rows], texts.targets[rows]) for rows in (learnt.learning, learnt.first)
    )
    network = Baseline(learning[0], texts.n_labels)
    history = network.fit(learning, held_out)
    best = min(history, key=lambda epoch: epoch["val_loss"])
    print(summary.baseline_row(best), flush=True)
    return TrainedBaseline(network, history)


class Exported:
    """The exported model, run by the interpreter that serves it.

    Args:
        files: The content of features.bin and model.tflite.
        kinds: Kinds of its features.
    """

    def __init__(self, files: Mapping[str, bytes], kinds: tuple[str, ...]) -> None:
        self.files, self.featuriser = files, Featuriser(kinds)
        self.table = Table.from_bytes(files["features.bin"])
        self._run = Signature(files["model.tflite"])

    def __call__(self, texts: Sequence[str]) -> Floats:
        """Return probabilities [n, K] of n redacted texts."""
        blocks = [texts[start : start + BLOCK] for start in range(0, len(texts), BLOCK)]
        return np.concatenate([softmax(self._logits(block)) for block in blocks])

    def _logits(self, block: Sequence[str]) -> NDArray[np.float32]:
        return self._run(model_inputs(self.featuriser(block, self.table)))["logits"][: len(block)]


def compare(learnt: learn.Learnt, exported: Exported, texts: Sequence[str]) -> tuple[Floats, Floats]:
    """Return probabilities [n, K] of n texts by the trained and by the exported model."""
    trained = learnt.additive.in_table_order()
    blocks = [
        exported.featuriser(texts[start : start + BLOCK], exported.table) for start in range(0, len(texts), BLOCK)
    ]
    logits = [trained.logits(each.ids, each.rows, len(each.tokens)) for each in blocks]
    return softmax(np.concatenate(logits)), exported(texts)


def evaluate_splits(dataset: Dataset, splits: Sequence[Split], seed: int) -> dict[str, Any]:
    """Evaluate all networks on each held-out split, and the gain in accuracy over the baseline."""
    measured: dict[str, Any] = {}
    for split in splits:
        copies = np.zeros(len(split.texts), bool)
        if split.name == "test":
            copies = find_copies(dataset.texts, dataset.test_texts)
        measured[split.name] = {
            network: metrics.reports(each, split.targets, dataset.labels, copies, seed=seed)
            for network, each in split.probabilities.items()
        }
        if (baseline := split.probabilities.get("baseline")) is not None:
            gain = metrics.accuracy_gain(split.probabilities["ours"], baseline, split.targets, seed=seed)
            measured[split.name]["accuracy_gain"] = gain
    return measured


def calibrate(dataset: Dataset, learnt: learn.Learnt, splits: Sequence[Split], seed: int) -> dict[str, Any]:
    """Choose the confidence threshold on held-out texts, and measure calibration and coverage on each split."""
    logits, targets = full_logits(learnt.logits), dataset.targets[learnt.held_out]
    held_out = softmax(logits)
    threshold = metrics.confidence_threshold(held_out, targets, accuracy=TARGET_ACCURACY)
    decisions: dict[str, Any] = {
        "temperature": learnt.temperature,
        "target_accuracy": TARGET_ACCURACY,
        "min_confidence": threshold,
        "interval": metrics.threshold_interval(held_out, targets, accuracy=TARGET_ACCURACY, seed=seed),
    }
    for split in splits:
        after, truth = split.probabilities["ours"], split.targets
        if split.name == "validation":
            after, truth = held_out, targets
        before = softmax(learnt.temperature * np.log(np.maximum(after, 1e-12)))
        decisions[split.name] = {
            "before": metrics.calibration(before, truth, seed=seed),
            "after": metrics.calibration(after, truth, seed=seed),
            "coverage": metrics.coverage(after, truth),
            "decided": metrics.decided(after, truth, threshold),
        }
    return decisions


def find(dataset: Dataset, learnt: learn.Learnt) -> dict[str, Any]:
    """Find the pairs of labels that are confused most, and rows whose label is likely to be wrong."""
    probabilities = softmax(full_logits(learnt.logits))
    targets = dataset.targets[learnt.held_out]
    return {
        "confused": findings.confused_pairs(probabilities, targets, dataset.labels),
        "suspect_labels": findings.suspect_labels(
            probabilities, targets, dataset.lines[learnt.held_out], dataset.labels
        ),
    }


def write_bundle(
    options: Options,
    dataset: Dataset,
    learnt: learn.Learnt,
    exported: Exported,
    measured: Mapping[str, Any],
) -> str:
    """Install the bundle, pin the digest in the template if it is the checkout's own, and return the digest."""
    cases = [*options.golden, *((text, None) for text in bundle_files.ODD_TEXTS)]
    trained, served = compare(learnt, exported, redacted([text for text, _ in cases]))
    golden = bundle_files.golden_cases(cases, trained, served, dataset.labels)
    facts = bundle_files.Trained(
        name=options.name,
        dataset=dataset,
        files=exported.files,
        featuriser=exported.featuriser.to_dict(),
        evidence=asdict(learnt.evidence),
        recipe=learnt.settings,
        seed=options.seed,
        metrics=measured,
        drift_reference=drift_reference(dataset, learnt),
    )
    digest = install(bundle_files.make_files(facts, golden), options.bundle)
    if not INSTALLED and options.bundle.resolve() == BUNDLE.resolve():
        pin(TEMPLATE, digest)
    return digest


def drift_reference(dataset: Dataset, learnt: learn.Learnt) -> dict[str, Any]:
    """Return the distribution of predictions for held-out texts, which windows of predictions are compared with."""
    labels, probabilities = dataset.labels, softmax(full_logits(learnt.logits))
    facts = zip(probabilities, learnt.words.tolist(), learnt.oov_rates.tolist(), strict=True)
    return reference_distribution(
        [
            Prediction(labels[int(row.argmax())], dict(zip(labels, row.tolist(), strict=True)), words, (), oov_rate)
            for row, words, oov_rate in facts
        ],
        labels,
    )


def audit_membership(texts: learn.Texts, learnt: learn.Learnt, test: Split | None, seed: int) -> dict[str, Any]:
    """Attack the model of the first fold by membership inference, with the texts of that fold as others.

    The reference model learns from the test split, or from half of the others if there is none. If it knew more of the
    others than of the members, it would tell the two sources apart, and not who was in training.
    """
    others = slice(None)
    taught, targets = (test.texts, test.targets) if test else ([], np.empty(0, np.int64))
    if not test:
        others, half = slice(1, None, 2), learnt.first[::2]
        taught, targets = [texts.texts[row] for row in half], texts.targets[half]
    step = max(1, len(learnt.learning) // MAX_MEMBERS)
    sides = [
        (learnt.learning[::step], learnt.member_logits[::step]),
        (learnt.first[others], learnt.first_logits[others]),
    ]
    nll = [losses(softmax(full_logits(logits)), texts.targets[rows]) for rows, logits in sides]
    reference = learn.reference(taught, targets, texts.n_labels)
    reference_nll = [
        losses(softmax(reference([texts.texts[row] for row in rows])), texts.targets[rows]) for rows, _ in sides
    ]
    return {
        "loss": audit(-nll[0], -nll[1], seed),
        "calibrated": audit(reference_nll[0] - nll[0], reference_nll[1] - nll[1], seed),
    }


def write_report(
    folder: Path,
    dataset: Dataset,
    learnt: learn.Learnt,
    split: Split,
    measured: Mapping[str, Any],
    more: Mapping[str, Any],
    digest: str,
    start: float,
) -> dict[str, Any]:
    """Write report.json and the pictures, and return what training cost."""
    folder.mkdir(parents=True, exist_ok=True)
    reports = {network: measured[split.name][network]["all"] for network in split.probabilities}
    trained = f"n = {len(learnt.learning):,} texts to train on, {len(learnt.first):,} to validate"
    title = {"test": "official test split", "validation": "texts held out of training"}[split.name]
    scores = Scores(split.probabilities, split.targets, dataset.labels, reports, title)
    draw(folder, more["history"], trained, scores)
    n = len(learnt.held_out) if split.name == "validation" else len(split.texts)
    draw_calibration(folder, measured["decisions"], split.name, f"n = {n:,} texts, {title}")
    cost = {"seconds": round(time.monotonic() - start, 1), "peak_memory_mib": _peak_memory()}
    content = {"metrics": measured, **more, "bundle": digest, "cost": cost}
    (folder / "report.json").write_text(json.dumps(content, indent=1) + "\n")
    return cost


def print_summary(
    options: Options, split: Split, measured: Mapping[str, Any], digest: str, cost: Mapping[str, Any]
) -> None:
    """Print the metrics of the last held-out split, where everything went, and the commands that come next."""
    ours, decisions = measured[split.name]["ours"]["all"], measured["decisions"]
    title = {"test": "test split", "validation": "held out"}[split.name]
    print(f"\n{title}, {len(split.texts):,} texts\n{summary.label_table(ours)}\n")
    print(f"accuracy     {summary.accuracy_with_interval(ours)}")
    if "baseline" in measured[split.name]:
        print(f"baseline     {summary.accuracy_with_interval(measured[split.name]['baseline']['all'])}")
    print(f"calibration  error {decisions[split.name]['after']['ece']['value']:.4f}")
    print(f"threshold    {summary.threshold(decisions, split.name)}")
    for line in summary.findings(measured["findings"]):
        print(line)
    print(f"bundle       {options.bundle} ({digest[:12]})")
    print(f"report       {options.report}")
    print(f"cost         {cost['seconds']:.0f} s, {cost['peak_memory_mib']:,} MiB at peak\n")
    print(summary.next_commands(options.bundle, installable=not INSTALLED))


def _peak_memory() -> int:
    """Return the process's peak memory in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (1024 if sys.platform == "linux" else 1024 * 1024)
