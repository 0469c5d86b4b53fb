"""Train a model: fit it on labelled texts, export it, evaluate it beside a baseline, and install its bundle."""

import json
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from candor.redact import redact
from candor.resources import BUNDLE, INSTALLED, TEMPLATE
from candor.text.features import Featuriser

from . import bundle_files, fit, summary
from .baseline import Baseline
from .corpus import Corpus
from .data import Dataset, find_copies, split
from .export import to_tflite
from .membership import audit, losses
from .model import WideAndDeep
from .pictures import Scores, draw, draw_calibration
from .strongest import strongest_ngrams

TARGET_ACCURACY = 0.97
"""Accuracy of decided texts that the default confidence threshold is chosen for."""
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Probabilities = Mapping[str, Mapping[str, Floats]]
"""[n, K] by split and network, "ours" or "baseline"."""


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


def redacted(texts: Sequence[str]) -> list[str]:
    """Return texts as the model sees them, without personal data."""
    return [redact(text).text for text in tqdm(texts, desc="redacting", unit=" texts", leave=False, disable=None)]


@dataclass(frozen=True)
class Split:
    """Redacted texts in every form that a step needs."""

    texts: list[str]
    targets: Ints
    """[n] label indices."""
    corpus: Corpus

    @classmethod
    def of(cls, texts: Sequence[str], targets: Ints, featuriser: Featuriser, index: Ints | None = None) -> "Split":
        """Redact texts and compute their features; `index`: of these only."""
        chosen = redacted(texts if index is None else [texts[i] for i in index])
        return cls(chosen, targets if index is None else targets[index], Corpus.of(chosen, featuriser))

    def labelled(self, n_labels: int) -> fit.LabelledCorpus:
        """Return the features with one-hot labels."""
        return fit.LabelledCorpus(self.corpus, np.eye(n_labels)[self.targets])


@dataclass(frozen=True)
class Prepared:
    """A data set split, redacted and featurised."""

    dataset: Dataset
    featuriser: Featuriser
    training: Split
    validation: Split
    test: Split | None
    unlabelled: Corpus | None

    @property
    def held_out(self) -> Mapping[str, Split]:
        """The splits to evaluate on, the last of which is the one to report."""
        return {"validation": self.validation, **({"test": self.test} if self.test else {})}

    @property
    def n_labels(self) -> int:
        """Number of labels, K."""
        return len(self.dataset.labels)


def train(dataset: Dataset, options: Options) -> None:
    """Train a model on a data set, write its bundle and report, and print both in short.

    Raises:
        ExportError: The exported model is not the trained one, or gets a golden case wrong. The old bundle is kept.
        InstallError: The bundle does not answer its golden cases. The old bundle is kept.
    """
    start = time.monotonic()
    tf.get_logger().setLevel("ERROR")  # it warns of retracing, which ends with the last, smaller batch
    keras.utils.set_random_seed(options.seed)
    tf.config.experimental.enable_op_determinism()
    prepared = prepare(dataset, options.seed)
    config = fit.TrainingConfig()
    print(f"\n{summary.EPOCH_HEADER}", flush=True)
    network, history = train_network(prepared, config, options.seed)
    baseline, baseline_history = train_baseline(prepared)
    exported = calibrate_and_export(network, prepared)
    probabilities = {
        name: {"ours": exported(held_out.corpus), "baseline": baseline.probabilities(held_out.texts)}
        for name, held_out in prepared.held_out.items()
    }
    with tqdm(total=5, desc="evaluating", unit=" steps", leave=False, disable=None) as steps:
        measured = evaluate_splits(prepared, probabilities, options.seed)
        steps.update()
        measured["decisions"] = calibrate(prepared, exported, probabilities, options.seed)
        steps.update()
        measured["membership"] = audit_membership(prepared, exported, config, options.seed)
        steps.update()
        measured["strongest"] = strongest_ngrams(network, prepared.training.texts, dataset.labels)
        steps.update()
        measured["parity"] = bundle_files.parity(*compare(network, exported, prepared))
        steps.update()
    digest = write_bundle(options, prepared, network, exported, config, measured)
    histories = {"ours": history, "baseline": baseline_history}
    cost = write_report(options.report, prepared, histories, probabilities, measured, digest, start)
    print_summary(options, prepared, measured, digest, cost)


def prepare(dataset: Dataset, seed: int) -> Prepared:
    """Hold out a tenth of the labelled texts for validation, redact all texts and compute their features."""
    featuriser = Featuriser()
    training, validation = split(dataset.texts, dataset.targets, seed=seed)
    return Prepared(
        dataset,
        featuriser,
        Split.of(dataset.texts, dataset.targets, featuriser, training),
        Split.of(dataset.texts, dataset.targets, featuriser, validation),
        Split.of(dataset.test_texts, dataset.test_targets, featuriser) if dataset.test_texts else None,
        Corpus.of(redacted(dataset.unlabelled), featuriser) if dataset.unlabelled else None,
    )


def train_network(prepared: Prepared, config: fit.TrainingConfig, seed: int) -> tuple[WideAndDeep, fit.History]:
    """Train Candor's network, and print its epochs."""
    training, validation = (part.labelled(prepared.n_labels) for part in (prepared.training, prepared.validation))
    return fit.train_model(
        training,
        prepared.unlabelled,
        validation,
        prepared.featuriser,
        config,
        seed,
        lambda epoch: print(summary.epoch_row("candor", epoch), flush=True),
    )


def train_baseline(prepared: Prepared) -> tuple[Baseline, fit.History]:
    """Train the baseline, and print the epoch that it keeps."""
    training, validation = prepared.training, prepared.validation
    baseline = Baseline(training.texts, prepared.n_labels)
    history = baseline.fit((training.texts, training.targets), (validation.texts, validation.targets))
    best = min(history, key=lambda epoch: epoch["val_loss"])
    print(summary.epoch_row("baseline", best), flush=True)
    return baseline, history


class Exported:
    """The exported model, run by the interpreter that serves it.

    Args:
        model: The content of model.tflite.
        featuriser: The featuriser that makes its inputs.
        temperature: The temperature that its weights include.
    """

    def __init__(self, model: bytes, featuriser: Featuriser, temperature: float = 1.0) -> None:
        self.model, self.featuriser, self.temperature = model, featuriser, temperature
        self._run = Signature(model)

    def logits(self, corpus: Corpus) -> NDArray[np.float32]:
        """Return logits [n, K] for the n texts of a corpus."""
        blocks = np.split(np.arange(len(corpus)), range(BLOCK, len(corpus), BLOCK))
        return np.concatenate(
            [self._run(model_inputs(corpus.take(block), self.featuriser))["logits"] for block in blocks]
        )

    def __call__(self, corpus: Corpus) -> Floats:
        """Return probabilities [n, K] for the n texts of a corpus."""
        return softmax(self.logits(corpus))


def calibrate_and_export(network: WideAndDeep, prepared: Prepared) -> Exported:
    """Fit the temperature on validation texts, apply it to the network's weights, and export the network."""
    held_out = prepared.validation
    logits = fit.predict_logits(network, held_out.corpus, prepared.featuriser)
    temperature = fit.fit_temperature(logits, held_out.targets)
    network.apply_temperature(temperature)
    return Exported(to_tflite(network), prepared.featuriser, temperature)


def compare(network: WideAndDeep, exported: Exported, prepared: Prepared) -> tuple[Floats, Floats]:
    """Return probabilities of the trained and of the exported model for the test, or else the validation split."""
    corpus = (prepared.test or prepared.validation).corpus
    return softmax(fit.predict_logits(network, corpus, prepared.featuriser)), exported(corpus)


def evaluate_splits(prepared: Prepared, probabilities: Probabilities, seed: int) -> dict[str, Any]:
    """Evaluate both networks on each held-out split, and the gain in accuracy over the baseline."""
    measured: dict[str, Any] = {}
    for name, held_out in prepared.held_out.items():
        ours, baseline = probabilities[name]["ours"], probabilities[name]["baseline"]
        copies = (
            find_copies(prepared.dataset.texts, prepared.dataset.test_texts)
            if name == "test"
            else np.zeros(len(held_out.texts), bool)
        )
        measured[name] = {
            network: metrics.reports(each, held_out.targets, prepared.dataset.labels, copies, seed=seed)
            for network, each in probabilities[name].items()
        }
        measured[name]["accuracy_gain"] = metrics.accuracy_gain(ours, baseline, held_out.targets, seed=seed)
    return measured


def calibrate(prepared: Prepared, exported: Exported, probabilities: Probabilities, seed: int) -> dict[str, Any]:
    """Choose the confidence threshold on validation texts, and measure calibration and coverage on each split."""
    validation = probabilities["validation"]["ours"], prepared.validation.targets
    decisions: dict[str, Any] = {
        "temperature": exported.temperature,
        "target_accuracy": TARGET_ACCURACY,
        "min_confidence": metrics.confidence_threshold(*validation, accuracy=TARGET_ACCURACY),
    }
    for name, held_out in prepared.held_out.items():
        before = softmax(exported.temperature * exported.logits(held_out.corpus))
        after = probabilities[name]["ours"]
        decisions[name] = {
            "before": metrics.calibration(before, held_out.targets, seed=seed),
            "after": metrics.calibration(after, held_out.targets, seed=seed),
            "coverage": metrics.coverage(after, held_out.targets),
        }
    return decisions


def write_bundle(
    options: Options,
    prepared: Prepared,
    network: WideAndDeep,
    exported: Exported,
    config: fit.TrainingConfig,
    measured: Mapping[str, Any],
) -> str:
    """Install the bundle, pin the digest in the template if it is the checkout's own, and return the digest."""
    data, featuriser = prepared.dataset, prepared.featuriser
    texts = [*options.golden, *((text, None) for text in bundle_files.ODD_TEXTS)]
    corpus = Corpus.of(redacted([text for text, _ in texts]), featuriser)
    trained = softmax(fit.predict_logits(network, corpus, featuriser))
    golden = bundle_files.golden_cases(texts, trained, exported(corpus), data.labels)
    known = known_tokens(prepared.training.corpus, featuriser)
    facts = bundle_files.Trained(
        name=options.name,
        dataset=data,
        model=exported.model,
        known_tokens=known,
        featuriser=featuriser.to_dict(),
        config=config.to_dict(),
        seed=options.seed,
        metrics=measured,
        drift_reference=drift_reference(prepared, exported, known),
    )
    digest = install(bundle_files.make_files(facts, golden), options.bundle)
    if not INSTALLED and options.bundle.resolve() == BUNDLE.resolve():
        pin(TEMPLATE, digest)
    return digest


def drift_reference(prepared: Prepared, exported: Exported, known: NDArray[np.bool_]) -> dict[str, Any]:
    """Return the distribution of predictions for validation texts, which windows of predictions are compared with."""
    corpus, labels = prepared.validation.corpus, prepared.dataset.labels
    rows = np.repeat(np.arange(len(corpus)), corpus.tokens)
    oov_rates = np.bincount(rows, ~known[corpus.unigrams.ids], len(corpus)) / np.maximum(corpus.tokens, 1)
    facts = zip(exported(corpus), corpus.tokens.tolist(), oov_rates.tolist(), strict=True)
    return reference_distribution(
        [
            Prediction(labels[int(row.argmax())], dict(zip(labels, row.tolist(), strict=True)), tokens, (), oov_rate)
            for row, tokens, oov_rate in facts
        ],
        labels,
    )


def known_tokens(corpus: Corpus, featuriser: Featuriser) -> NDArray[np.bool_]:
    """Return [2**unigram_bits] which tokens at least 10 training texts hold; fewer for fewer than 10,000 texts."""
    min_df = min(10, max(2, len(corpus) // 1000))
    return corpus.unigrams.document_frequencies(1 << featuriser.unigram_bits) >= min_df


def audit_membership(prepared: Prepared, exported: Exported, config: fit.TrainingConfig, seed: int) -> dict[str, Any]:
    """Attack the exported model by membership inference, with validation texts as others.

    The reference model learns from the test split, or from half of the validation texts if there is none. If it knew
    more of the others than of the members, it would tell the two sources apart, and not who was in training.
    """
    featuriser, held_out = prepared.featuriser, prepared.validation
    taught, others = prepared.test, held_out
    if not taught:
        taught, others = (
            Split.of(held_out.texts, held_out.targets, featuriser, np.arange(start, len(held_out.texts), 2))
            for start in (0, 1)
        )
    labelled = (part.labelled(prepared.n_labels) for part in (taught, held_out))
    reference, _ = fit.train_model(next(labelled), None, next(labelled), featuriser, config, seed)
    sides = prepared.training, others
    nll = [losses(exported(side.corpus), side.targets) for side in sides]
    reference_nll = [
        losses(softmax(fit.predict_logits(reference, side.corpus, featuriser)), side.targets) for side in sides
    ]
    return {
        "loss": audit(-nll[0], -nll[1], seed),
        "calibrated": audit(reference_nll[0] - nll[0], reference_nll[1] - nll[1], seed),
    }


def write_report(
    folder: Path,
    prepared: Prepared,
    history: Mapping[str, fit.History],
    probabilities: Probabilities,
    measured: Mapping[str, Any],
    digest: str,
    start: float,
) -> dict[str, Any]:
    """Write report.json and the pictures, and return what training cost."""
    folder.mkdir(parents=True, exist_ok=True)
    name, held_out = list(prepared.held_out.items())[-1]
    reports = {network: measured[name][network]["all"] for network in probabilities[name]}
    trained = f"n = {len(prepared.training.texts):,} texts to train on, {len(prepared.validation.texts):,} to validate"
    title = {"test": "official test split", "validation": "validation split"}[name]
    scores = Scores(probabilities[name], held_out.targets, prepared.dataset.labels, reports, title)
    draw(folder, history, trained, scores)
    draw_calibration(folder, measured["decisions"], name, f"n = {len(held_out.texts):,} texts, {title}")
    cost = {"seconds": round(time.monotonic() - start, 1), "peak_memory_mib": _peak_memory()}
    content = {"metrics": measured, "history": history, "bundle": digest, "cost": cost}
    (folder / "report.json").write_text(json.dumps(content, indent=1) + "\n")
    return cost


def print_summary(
    options: Options, prepared: Prepared, measured: Mapping[str, Any], digest: str, cost: Mapping[str, Any]
) -> None:
    """Print the metrics of the last held-out split, where everything went, and the commands that come next."""
    name, held_out = list(prepared.held_out.items())[-1]
    ours, baseline = (measured[name][network]["all"] for network in ("ours", "baseline"))
    decisions = measured["decisions"]
    print(f"\n{name} split, {len(held_out.texts):,} texts\n{summary.label_table(ours)}\n")
    print(f"accuracy     {summary.accuracy_with_interval(ours)}")
    print(f"baseline     {summary.accuracy_with_interval(baseline)}")
    print(f"calibration  error {decisions[name]['after']['ece']['value']:.4f}")
    print(f"threshold    decides from {decisions['min_confidence']:.0%} confidence, for {TARGET_ACCURACY:.0%} accuracy")
    print(f"bundle       {options.bundle} ({digest[:12]})")
    print(f"report       {options.report}")
    print(f"cost         {cost['seconds']:.0f} s, {cost['peak_memory_mib']:,} MiB at peak\n")
    print(summary.next_commands(options.bundle, installable=not INSTALLED))


def _peak_memory() -> int:
    """Return the process's peak memory in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (1024 if sys.platform == "linux" else 1024 * 1024)
