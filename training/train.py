"""Train a model: learn it from labelled texts, export it, evaluate it beside a baseline, and put it into a store."""

import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import compress
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tqdm import tqdm

from candor.batch.labelled import LabelledRow
from candor.cli.evaluation_page import n_texts, page
from candor.cli.store import Model, ModelStore
from candor.model import evaluation, metrics
from candor.model.bundle import sealed, write
from candor.model.classifier import Prediction, softmax
from candor.model.install import check
from candor.operate.drift import reference_distribution
from candor.redact.sieve import redact_texts
from candor.text.identity import Identity

from . import bundle_files, findings, guesses, learn, summary
from .baseline import Baseline, History, NoWordsError
from .bundle_files import Rights
from .data import IMDB_HOME, Dataset, find_copies
from .exported import Exported, compare
from .judge import judge
from .lessons import negations
from .membership import audit, losses
from .pictures import Scores, draw, draw_calibration, draw_fairness
from .stack import full_logits
from .strongest import strongest_ngrams
from .ways import Care, prepare

MAX_MEMBERS = 10_000
"""Training texts that the audit of membership looks at."""
HELD_OUT = "held out of training"
"""What the texts are called, after their number, that the folds held out."""
GOLDEN_EACH, GOLDEN_CHARACTERS = 2, 2000
"""Golden cases from held-out texts: so many for each label, and none longer."""
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Options:
    """What the command line chooses."""

    name: str
    """The model's name."""
    golden: Sequence[LabelledRow]
    """Texts and their labels, which the model must get right."""
    seed: int
    store: ModelStore
    """Where the model goes."""
    version: str | None = None
    """None: the day and the next number of it."""
    rights: Rights = field(default_factory=Rights)
    golden_from_held_out: bool = False
    """Take texts that the comparison held out as golden cases, too; the bundle then shows them."""
    size: float | None = None
    """Maximum size of the bundle in MB; None: 3 for two labels, 8 for more."""
    minutes: float | None = None
    """Time after which nothing more is tried; None: no limit."""
    text_noun: str = "text"
    """What a text is called."""
    samples: Sequence[str] = ()
    """Texts for the model's page to offer, none of them from the data."""
    fairness: Care = field(default_factory=Care)
    """How to keep answers from depending on whom a text names."""


def redacted(texts: Sequence[str]) -> list[str]:
    """Return texts as the model sees them, without personal data."""
    return redact_texts(tqdm(texts, desc="redacting", unit=" texts", leave=False, disable=None))


def train(dataset: Dataset, options: Options) -> None:
    """Train a model on a data set, write its bundle and report, and print both in short.

    Raises:
        ExportError: The exported model is not the trained one, or gets a golden case wrong.
        InstallError: The bundle does not answer its golden cases.
        ModelError: The store has the version already.
        StorageError: The store cannot be written to.
    """
    start = time.monotonic()
    say("masking personal data")
    tf.get_logger().setLevel("ERROR")
    keras.utils.set_random_seed(options.seed)
    tf.config.experimental.enable_op_determinism()
    reviews = set(dataset.labels) == {"negative", "positive"} and dataset.source == IMDB_HOME
    plain = learn.Texts(
        redacted(dataset.texts),
        dataset.targets,
        len(dataset.labels),
        redacted(dataset.unlabelled),
        [(text, dataset.labels.index("positive" if praise else "negative")) for text, praise in negations()]
        if reviews
        else (),
        guesses.find(dataset.texts, dataset.unlabelled) if reviews else None,
    )
    texts = prepare(plain, options.fairness, options.seed)
    test_texts = redacted(dataset.test_texts)
    if learn.lacks_encoder(texts):
        print(f"hint: {summary.encoder_hint(learn.FEW_LABELS)}", flush=True)
    say("comparing models on texts that they have not learnt from")
    learnt = learn.learn(texts, options.seed, options.size, options.minutes)
    tried = [*learnt.tried, *([learnt.shipped] if learnt.shipped else [])]
    print(f"\n{summary.tried_table(tried)}", flush=True)
    for warning in summary.few_rows(dataset.labels, dataset.targets.tolist(), unlabelled=bool(dataset.unlabelled)):
        print(f"warning: {warning}", flush=True)
    say("exporting to TensorFlow Lite, and training the baseline network")
    exported = Exported(learnt.additive.to_files(learnt.bits), learnt.kinds, texts.identity)
    baseline = train_baseline(texts, learnt)
    rows = learnt.held_out
    files = [dataset.files[row] for row in rows.tolist()] if dataset.files else []
    held_out = [texts.texts[row] for row in rows.tolist()]
    splits = [Split.of("validation", held_out, dataset.targets[rows], dataset.lines[rows], files)]
    splits[0].probabilities["ours"] = softmax(full_logits(learnt.logits))
    if test_texts:
        splits.append(Split.of("test", test_texts, dataset.test_targets, dataset.test_lines))
        splits[1].probabilities["ours"] = exported(test_texts)
    if baseline:
        for each in splits:  # of the folds, it has learnt from the texts of all but the first
            apart = each.texts if each.name == "test" else each.texts[: len(learnt.first)]
            each.probabilities["baseline"] = baseline.network.probabilities(apart)
    say("measuring")
    with tqdm(total=5, desc="evaluating", unit=" steps", leave=False, disable=None) as steps:
        measured = evaluate_splits(dataset, splits, options.seed)
        steps.update()
        measured["decisions"] = calibrate(dataset, learnt, splits, options.seed)
        steps.update()
        found = find(dataset, learnt)
        measured["findings"] = {"confused": found["confused"], "suspect_labels": found["suspect_labels"]["rows"]}
        measured["tried"] = [asdict(each) | {"seconds": None} for each in tried]
        measured["membership"] = audit_membership(texts, learnt, splits[1] if test_texts else None, options.seed)
        steps.update()
        measured["strongest"] = strongest_ngrams(learnt.additive, texts.texts, dataset.labels, texts.identity)
        steps.update()
        measured["parity"] = bundle_files.parity(*compare(learnt, exported, splits[-1].texts))
        steps.update()
    say("auditing fairness")
    fairness_found = judge(options.fairness, dataset, plain, learnt, exported, options.seed, options.size)
    say("writing the bundle and its report")
    facts, golden = describe(options, dataset, texts.texts, learnt, exported, measured, fairness_found)
    history = {"baseline": baseline.history} if baseline else {}
    more = {"tried": [asdict(each) for each in tried], "history": history, **found}
    cost: dict[str, Any] = {}

    def make(version: str) -> dict[str, bytes]:
        """Return the bundle, checked, and the report of a version."""
        files = bundle_files.make_files(facts, golden, version)
        with tempfile.TemporaryDirectory() as folder:
            (bundle := Path(folder) / "bundle").mkdir()
            digest = write(bundle, files)
            check(bundle, digest)
            (report := Path(folder) / "report").mkdir()
            cost.update(write_report(report, dataset, learnt, splits[-1], measured, more, digest, start, options.seed))
            draw_fairness(report, fairness_found, f"{options.name} {version}")
            threshold = measured["decisions"]["min_confidence"]
            write_page(report / "report.html", options, version, dataset, splits[-1], threshold)
            drawn = {f"report/{path.name}": path.read_bytes() for path in sorted(report.iterdir())}
        return {**{f"bundle/{name}": content for name, content in sealed(files).items()}, **drawn}

    model = options.store.add(options.name, options.version or bundle_files.now().date(), make)
    print_summary(model, splits[-1], measured, fairness_found, cost)


def say(step: str) -> None:
    """Print what comes next."""
    print(f"{step} …", flush=True)


@dataclass(frozen=True)
class Split:
    """Held-out texts, and what each network says of them."""

    name: str
    """"validation" or "test"."""
    texts: Sequence[str]
    targets: Ints
    """[n] label indices."""
    lines: Ints
    """[n] line of its file where each text begins, from 1."""
    files: Sequence[str]
    """n names of their files, where there are several."""
    probabilities: dict[str, Floats]
    """[n, K] by network, "ours" or "baseline"; the baseline's may be of the first m texts only, [m, K]."""

    @classmethod
    def of(cls, name: str, texts: Sequence[str], targets: Ints, lines: Ints, files: Sequence[str] = ()) -> "Split":
        """Return a split of which no network has said anything."""
        return cls(name, texts, targets, lines, files, {})

    def shared(self) -> "Split":
        """Return the texts of which all networks have said something."""
        n = min(map(len, self.probabilities.values()))
        said = {network: each[:n] for network, each in self.probabilities.items()}
        return Split(self.name, self.texts[:n], self.targets[:n], self.lines[:n], self.files[:n], said)


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
    try:
        network = Baseline(learning[0], texts.n_labels)
    except NoWordsError:
        print("baseline: not trained, since no text has a word", flush=True)
        return None
    history = network.fit(learning, held_out)
    best = min(history, key=lambda epoch: epoch["val_loss"])
    print(summary.baseline_row(best), flush=True)
    return TrainedBaseline(network, history)


def evaluate_splits(dataset: Dataset, splits: Sequence[Split], seed: int) -> dict[str, Any]:
    """Evaluate all networks on each held-out split, and the gain in accuracy over the baseline."""
    measured: dict[str, Any] = {}
    for split in splits:
        copies = np.zeros(len(split.texts), bool)
        if split.name == "test":
            copies = find_copies(dataset.texts, dataset.test_texts)
        measured[split.name] = {
            network: metrics.reports(each, split.targets[: len(each)], dataset.labels, copies[: len(each)], seed=seed)
            for network, each in split.probabilities.items()
        }
        if "baseline" in split.probabilities:
            shared = split.shared()
            both = shared.probabilities["ours"], shared.probabilities["baseline"]
            gain = metrics.accuracy_gain(*both, shared.targets, seed=seed)
            measured[split.name]["accuracy_gain"] = gain
    return measured


def calibrate(dataset: Dataset, learnt: learn.Learnt, splits: Sequence[Split], seed: int) -> dict[str, Any]:
    """Choose the confidence threshold on held-out texts, and measure calibration and coverage on each split."""
    logits, targets = full_logits(learnt.logits), dataset.targets[learnt.held_out]
    held_out = softmax(logits)
    threshold = metrics.confidence_threshold(held_out, targets, accuracy=bundle_files.TARGET_ACCURACY)
    decisions: dict[str, Any] = {
        "temperature": learnt.temperature,
        "target_accuracy": bundle_files.TARGET_ACCURACY,
        "min_confidence": threshold,
        "interval": metrics.threshold_interval(held_out, targets, accuracy=bundle_files.TARGET_ACCURACY, seed=seed),
    }
    for split in splits:
        after, truth = split.probabilities["ours"], split.targets
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
        "confused": evaluation.confused_pairs(probabilities, targets, dataset.labels),
        "suspect_labels": findings.suspect_labels(
            probabilities,
            targets,
            dataset.lines[learnt.held_out],
            dataset.labels,
            [dataset.files[index] for index in learnt.held_out.tolist()] if dataset.files else (),
        ),
    }


def describe(
    options: Options,
    dataset: Dataset,
    texts: Sequence[str],
    learnt: learn.Learnt,
    exported: Exported,
    measured: Mapping[str, Any],
    fairness_found: Mapping[str, Any],
) -> tuple[bundle_files.Trained, dict[str, Any]]:
    """Return what the bundle says of the model, and its golden cases."""
    golden = [(row.text, row.label) for row in options.golden]
    known = [*golden, *(held_out_cases(learnt, texts, dataset) if options.golden_from_held_out else [])]
    cases = [*known, *((text, None) for text in bundle_files.ODD_TEXTS)]
    trained, served = compare(learnt, exported, redacted([text for text, _ in cases]))
    places = [f"{row.file} line {row.line}" for row in options.golden]
    made = bundle_files.golden_cases(cases, trained, served, dataset.labels, places)
    facts = bundle_files.Trained(
        name=options.name,
        rights=options.rights,
        dataset=dataset,
        files=exported.files,
        identity=options.fairness.merged,
        featuriser=exported.featuriser.to_dict(),
        evidence=asdict(learnt.evidence),
        recipe=learnt.settings,
        seed=options.seed,
        metrics=measured,
        drift_reference=drift_reference(dataset, learnt, texts, Identity(options.fairness.merged)),
        text_noun=options.text_noun,
        samples=options.samples,
        fairness=fairness_found,
        shows_texts=options.golden_from_held_out,
    )
    return facts, made


def held_out_cases(learnt: learn.Learnt, texts: Sequence[str], dataset: Dataset) -> list[tuple[str, str]]:
    """Return texts with their labels that the comparison held out and was surest of, and right: a few for each label.

    Args:
        learnt: The model.
        texts: The n redacted texts of the data set.
        dataset: The data set.
    """
    probabilities = softmax(full_logits(learnt.logits))
    right = probabilities.argmax(axis=1) == dataset.targets[learnt.held_out]
    order = np.argsort(-probabilities.max(axis=1), kind="stable")
    cases: dict[int, list[str]] = {}
    for row in learnt.held_out[order][right[order]].tolist():
        of_label = cases.setdefault(int(dataset.targets[row]), [])
        if len(of_label) < GOLDEN_EACH and len(texts[row]) <= GOLDEN_CHARACTERS:
            of_label.append(texts[row])
    return [(text, dataset.labels[label]) for label, chosen in sorted(cases.items()) for text in chosen]


def drift_reference(dataset: Dataset, learnt: learn.Learnt, texts: Sequence[str], identity: Identity) -> dict[str, Any]:
    """Return the distribution of predictions for held-out texts, which windows of predictions are compared with.

    Args:
        dataset: The data set.
        learnt: The model.
        texts: The n redacted texts of the data set.
        identity: Terms that the model does not tell apart.
    """
    labels, probabilities = dataset.labels, softmax(full_logits(learnt.logits))
    mentions = identity.mentions([texts[row] for row in learnt.held_out.tolist()])
    facts = zip(probabilities, learnt.words.tolist(), learnt.oov_rates.tolist(), mentions.tolist(), strict=True)
    predictions = [
        Prediction(
            labels[int(row.argmax())],
            dict(zip(labels, row.tolist(), strict=True)),
            words,
            oov_rate=oov_rate,
            mentions=tuple(compress(identity.names, mentioned)),
        )
        for row, words, oov_rate, mentioned in facts
    ]
    return reference_distribution(predictions, labels, identity.names)


def audit_membership(texts: learn.Texts, learnt: learn.Learnt, test: Split | None, seed: int) -> dict[str, Any]:
    """Attack the model of the first fold by membership inference, with the texts of that fold as others.

    The reference model learns from the test split, or from half of the others if there is none, or if it is smaller or
    lacks a label. If it knew more of the others than of the members, it would tell the two sources apart, and not who
    was in training.
    """
    others = slice(None)
    taught, targets = (test.texts, test.targets) if test else ([], np.empty(0, np.int64))
    if 2 * len(taught) < len(learnt.first) or len(np.unique(targets)) < texts.n_labels:
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
    seed: int,
) -> dict[str, Any]:
    """Write report.json and the pictures into an existing folder, and return what training cost."""
    shared = split.shared()
    reports = {network: measured[split.name][network]["all"] for network in split.probabilities}
    if len(shared.texts) < len(split.texts):
        reports |= {"ours": metrics.evaluate(shared.probabilities["ours"], shared.targets, dataset.labels, seed=seed)}
    trained = f"n = {len(learnt.learning):,} texts to train on, {len(learnt.first):,} held out"
    title = {"test": dataset.test_name, "validation": HELD_OUT}[split.name]
    scores = Scores(shared.probabilities, shared.targets, dataset.labels, reports, title)
    draw(folder, more["history"], trained, scores)
    draw_calibration(folder, measured["decisions"], split.name, f"n = {len(split.texts):,} texts, {title}")
    cost = {"seconds": round(time.monotonic() - start, 1), "peak_memory_mib": _peak_memory()}
    content = {"metrics": measured, **more, "bundle": digest, "cost": cost}
    (folder / "report.json").write_text(json.dumps(content, indent=1) + "\n")
    return cost


def write_page(
    path: Path, options: Options, version: str, dataset: Dataset, split: Split, min_confidence: float
) -> None:
    """Write the page of `candor evaluate` on a held-out split. It holds lines of the errors, not texts."""
    answers = evaluation.Answers(
        dataset.labels,
        split.probabilities["ours"],
        split.targets,
        split.lines,
        min_confidence,
        files=split.files,
    )
    where = {"test": dataset.test_name, "validation": HELD_OUT}[split.name]
    report = evaluation.evaluate(answers, seed=options.seed)
    content = page(f"{options.name} {version}", f"{n_texts(len(split.texts))}, {where}", report)
    path.write_text(content, encoding="utf-8")


def print_summary(
    model: Model, split: Split, measured: Mapping[str, Any], fair: Mapping[str, Any], cost: Mapping[str, Any]
) -> None:
    """Print the metrics of the last held-out split, where everything went, and the commands that come next."""
    ours, decisions = measured[split.name]["ours"]["all"], measured["decisions"]
    title = {"test": "test split", "validation": "held out"}[split.name]
    print(f"\n{title}, {len(split.texts):,} texts\n{summary.label_table(ours)}\n")
    print(f"accuracy     {summary.accuracy_with_interval(ours)}")
    if "baseline" in measured[split.name]:
        theirs = measured[split.name]["baseline"]["all"]
        part = f", of {theirs['n']:,} of the texts" if theirs["n"] < ours["n"] else ""
        print(f"baseline     {summary.accuracy_with_interval(theirs)}{part}")
    print(f"calibration  error {decisions[split.name]['after']['ece']['value']:.4f}")
    print(f"threshold    {summary.threshold(decisions, split.name)}")
    print(summary.fairness(fair))
    for line in summary.findings(measured["findings"]):
        print(line)
    print(f"model        {model} ({model.digest[:12]})")
    print(f"kept in      {model.place}: bundle/, report/")
    print(f"cost         {cost['seconds']:.0f} s, {cost['peak_memory_mib']:,} MiB at peak\n")
    print(summary.next_commands(model.name, model.store.place, by_make="MAKELEVEL" in os.environ))


def _peak_memory() -> int:
    """Return the process's peak memory in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (1024 if sys.platform == "linux" else 1024 * 1024)
