"""The article's steps: preprocessing, model definition, loss, optimiser, iterations, evaluation, deployment.

python -m training.train --data aclImdb_v1.tar.gz
"""

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow reports what it may not find; its errors still raise

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from candor.classifier import BLOCK, Prediction, model_inputs, softmax
from candor.drift import baseline
from candor.features import Featuriser
from candor.interpreter import Signature
from candor.redact import redact
from training import deploy, evaluate, fit
from training.baseline import Baseline
from training.corpus import Corpus
from training.data import DataError, Dataset, copies, load, split
from training.export import to_tflite
from training.membership import audit, losses
from training.model import WideAndDeep
from training.pictures import Scores, draw, trusted
from training.strongest import strongest

ROOT = Path(__file__).parents[1]
BUNDLE = ROOT / "layers/model/bundle"
TARGET = 0.97  # accuracy that is asked of decided texts
GOLDEN = Path(__file__).parent / "golden"
PICTURES = ROOT / "training/report"
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def main(arguments: Sequence[str] | None = None) -> int:
    """0; 2 for data or settings that cannot be used, which one line on stderr explains; 130 when interrupted."""
    options = parse(arguments)
    try:
        train(options)
    except (DataError, deploy.ExportError) as error:
        print(f"train: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\ntrain: stopped; {options.bundle} is as it was", file=sys.stderr)
        return 130
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="train", description="Labelled texts in, a model bundle out.")
    parser.add_argument(
        "--data", type=Path, help="archive or folder of IMDB reviews, .csv or .jsonl; none: download IMDB"
    )
    parser.add_argument("--text-column", default="text", help="its name in a CSV or JSONL file")
    parser.add_argument("--label-column", default="label", help="its name in a CSV or JSONL file")
    parser.add_argument("--name", help="the model's name; none: from the data's")
    parser.add_argument(
        "--golden", type=Path, help="JSONL of texts whose label you know, which the model must get right"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bundle", type=Path, default=BUNDLE, help="folder that the bundle goes to")
    parser.add_argument("--report", type=Path, default=PICTURES, help="folder that figures and pictures go to")
    return parser.parse_args(arguments)


@dataclass(frozen=True)
class Split:
    """Some texts, in every form that a step needs."""

    texts: list[str]
    targets: Ints
    corpus: Corpus

    @classmethod
    def of(cls, texts: Sequence[str], targets: Ints, featuriser: Featuriser, index: Ints | None = None) -> "Split":
        chosen = [redact(text).text for text in (texts if index is None else [texts[i] for i in index])]
        return cls(chosen, targets if index is None else targets[index], Corpus.of(chosen, featuriser))

    def labelled(self, labels: int) -> fit.Labelled:
        return fit.Labelled(self.corpus, np.eye(labels)[self.targets])


@dataclass(frozen=True)
class Prepared:
    dataset: Dataset
    featuriser: Featuriser
    training: Split
    validation: Split
    test: Split | None
    unlabelled: Corpus | None

    @property
    def held_out(self) -> Mapping[str, Split]:
        return {"validation": self.validation, **({"test": self.test} if self.test else {})}


def train(options: argparse.Namespace) -> None:
    """All steps. Raises DataError or ExportError, and leaves the old bundle as it was when it does."""
    start = time.monotonic()
    keras.utils.set_random_seed(options.seed)
    tf.config.experimental.enable_op_determinism()
    prepared = preprocess(options)
    labels = prepared.dataset.labels
    recipe = fit.Recipe()
    step(2, "model definition", f"embedding, mean, Dense 16 ReLU, plus a wide part; {len(labels)} labels")
    step(3, "loss", "cross-entropy, with L2 on the wide weights")
    step(4, "optimiser", f"Adam, rate {recipe.wide_rate} (wide) and {recipe.deep_rate} (deep)")
    step(5, "iterations", f"batches of {recipe.batch} texts, then the article's network")
    network, history = iterate(prepared, recipe, options.seed)
    baseline, baseline_history = article(prepared)
    step(6, "evaluation", ", ".join(f"{len(held.texts):,} {name} texts" for name, held in prepared.held_out.items()))
    deployed = export(network, prepared)
    found = {
        name: {"ours": deployed(held.corpus), "baseline": baseline.probabilities(held.texts)}
        for name, held in prepared.held_out.items()
    }
    metrics = judge(prepared, found, options.seed)
    metrics["decisions"] = trust(prepared, deployed, found, options.seed)
    metrics["membership"] = membership(prepared, deployed, recipe, options.seed)
    metrics["strongest"] = strongest(network, prepared.training.texts, prepared.dataset.labels)
    metrics["parity"] = deploy.parity(*compare(network, deployed, prepared))
    step(7, "deployment", str(options.bundle))
    digest = install(options, prepared, network, deployed, recipe, metrics)
    report(options.report, prepared, {"ours": history, "baseline": baseline_history}, found, metrics, digest, start)


def step(number: int, name: str, detail: str) -> None:
    print(f"{number}/7 {name:<17} {detail}", flush=True)


def preprocess(options: argparse.Namespace) -> Prepared:
    step(1, "preprocessing", str(options.data or "the official IMDB archive"))
    data = load(options.data, options.text_column, options.label_column)
    featuriser = Featuriser()
    training, validation = split(data.texts, data.targets, seed=options.seed)
    return Prepared(
        data,
        featuriser,
        Split.of(data.texts, data.targets, featuriser, training),
        Split.of(data.texts, data.targets, featuriser, validation),
        Split.of(data.test_texts, data.test_targets, featuriser) if data.test_texts else None,
        Corpus.of([redact(text).text for text in data.unlabelled], featuriser) if data.unlabelled else None,
    )


def iterate(prepared: Prepared, recipe: fit.Recipe, seed: int) -> tuple[WideAndDeep, fit.History]:
    labels = len(prepared.dataset.labels)
    training, validation = (part.labelled(labels) for part in (prepared.training, prepared.validation))
    return fit.learn(training, prepared.unlabelled, validation, prepared.featuriser, recipe, seed)


def article(prepared: Prepared) -> tuple[Baseline, fit.History]:
    training, validation = prepared.training, prepared.validation
    baseline = Baseline(training.texts, len(prepared.dataset.labels))
    return baseline, baseline.fit((training.texts, training.targets), (validation.texts, validation.targets))


class Deployed:
    """The exported model, in the interpreter that will serve it, and the temperature that is in its weights."""

    def __init__(self, model: bytes, featuriser: Featuriser, temperature: float = 1.0) -> None:
        self.model, self.featuriser, self.temperature = model, featuriser, temperature
        self._run = Signature(model)

    def logits(self, corpus: Corpus) -> NDArray[np.float32]:
        """Logits [n, K]."""
        blocks = np.split(np.arange(len(corpus)), range(BLOCK, len(corpus), BLOCK))
        return np.concatenate(
            [self._run(model_inputs(corpus.take(block), self.featuriser))["logits"] for block in blocks]
        )

    def __call__(self, corpus: Corpus) -> Floats:
        """Probabilities [n, K]."""
        return softmax(self.logits(corpus))


def export(network: WideAndDeep, prepared: Prepared) -> Deployed:
    held = prepared.validation
    found = fit.temperature(fit.logits(network, held.corpus, prepared.featuriser), held.targets)
    network.cool(found)
    return Deployed(to_tflite(network), prepared.featuriser, found)


def compare(network: WideAndDeep, deployed: Deployed, prepared: Prepared) -> tuple[Floats, Floats]:
    """Probabilities of the trained and of the exported model on the test split, or validation where there is none."""
    held = (prepared.test or prepared.validation).corpus
    return softmax(fit.logits(network, held, prepared.featuriser)), deployed(held)


def judge(prepared: Prepared, found: Mapping[str, Mapping[str, Floats]], seed: int) -> dict[str, Any]:
    """For each held-out split, the metrics of both networks, and what the widening buys."""
    metrics: dict[str, Any] = {}
    for name, held in prepared.held_out.items():
        ours, baseline = found[name]["ours"], found[name]["baseline"]
        known = (
            copies(prepared.dataset.texts, prepared.dataset.test_texts)
            if name == "test"
            else np.zeros(len(held.texts), bool)
        )
        metrics[name] = {
            network: evaluate.reports(probabilities, held.targets, prepared.dataset.labels, known, seed=seed)
            for network, probabilities in found[name].items()
        }
        metrics[name]["accuracy_gain"] = evaluate.accuracy_gain(ours, baseline, held.targets, seed=seed)
    return metrics


def trust(
    prepared: Prepared, deployed: Deployed, found: Mapping[str, Mapping[str, Floats]], seed: int
) -> dict[str, Any]:
    """Calibration before and after the temperature, and what deciding less often buys."""
    validation = found["validation"]["ours"], prepared.validation.targets
    chosen = evaluate.least_confidence(*validation, accuracy=TARGET)
    judged: dict[str, Any] = {"temperature": deployed.temperature, "target_accuracy": TARGET, "min_confidence": chosen}
    for name, held in prepared.held_out.items():
        before = softmax(deployed.temperature * deployed.logits(held.corpus))
        after = found[name]["ours"]
        judged[name] = {
            "before": evaluate.calibration(before, held.targets, seed=seed),
            "after": evaluate.calibration(after, held.targets, seed=seed),
            "coverage": evaluate.coverage(after, held.targets),
        }
    return judged


def install(
    options: argparse.Namespace,
    prepared: Prepared,
    network: WideAndDeep,
    deployed: Deployed,
    recipe: fit.Recipe,
    metrics: Mapping[str, Any],
) -> str:
    data = prepared.dataset
    golden = options.golden or (GOLDEN / "imdb.jsonl" if data.test_texts else None)
    texts = deploy.golden_texts(golden, data.labels)
    corpus = Corpus.of([redact(text).text for text, _ in texts], prepared.featuriser)
    full = softmax(fit.logits(network, corpus, prepared.featuriser))
    cases = deploy.golden_cases(texts, full, deployed(corpus), data.labels)
    name = options.name or ("imdb-sentiment" if data.test_texts else data.name)
    known = known_tokens(prepared.training.corpus, prepared.featuriser)
    settings = prepared.featuriser.to_dict(), recipe.to_dict(), options.seed
    trained = deploy.Trained(name, data, deployed.model, known, *settings, metrics, typical(prepared, deployed, known))
    contents = deploy.files(trained, cases)
    digest = deploy.install(contents, options.bundle)
    if options.bundle.resolve() == BUNDLE:
        deploy.pin(ROOT / "template.yaml", digest)
    return digest


def typical(prepared: Prepared, deployed: Deployed, known: NDArray[np.bool_]) -> dict[str, Any]:
    """How predictions of texts like those of training are spread: the validation split's."""
    corpus, labels = prepared.validation.corpus, prepared.dataset.labels
    rows = np.repeat(np.arange(len(corpus)), corpus.tokens)
    unseen = np.bincount(rows, ~known[corpus.unigrams.ids], len(corpus)) / np.maximum(corpus.tokens, 1)
    facts = zip(deployed(corpus), corpus.tokens.tolist(), unseen.tolist(), strict=True)
    return baseline(
        [
            Prediction(labels[int(row.argmax())], dict(zip(labels, row.tolist(), strict=True)), tokens, (), share)
            for row, tokens, share in facts
        ],
        labels,
    )


def known_tokens(corpus: Corpus, featuriser: Featuriser) -> NDArray[np.bool_]:
    """Which tokens [2**unigram_bits] stand in enough training texts: 10, or fewer where there are few texts."""
    enough = min(10, max(2, len(corpus) // 1000))
    return corpus.unigrams.texts_with(1 << featuriser.unigram_bits) >= enough


def membership(prepared: Prepared, deployed: Deployed, recipe: fit.Recipe, seed: int) -> dict[str, Any]:
    """Membership inference on the exported model, against validation texts, which are like those of training.

    The reference learns from the test split, or from half of the validation texts where there is none: a reference that
    knew more of the others than of the members would tell the two sources apart, not who was in training.
    """
    featuriser, labels = prepared.featuriser, len(prepared.dataset.labels)
    held = prepared.validation
    taught, others = prepared.test, held
    if not taught:
        taught, others = (
            Split.of(held.texts, held.targets, featuriser, np.arange(start, len(held.texts), 2)) for start in (0, 1)
        )
    validation = prepared.validation.labelled(labels)
    reference, _ = fit.learn(taught.labelled(labels), None, validation, featuriser, recipe, seed)
    sides = prepared.training, others
    known = [losses(deployed(side.corpus), side.targets) for side in sides]
    usual = [losses(softmax(fit.logits(reference, side.corpus, featuriser)), side.targets) for side in sides]
    return {
        "loss": audit(-known[0], -known[1], seed),
        "calibrated": audit(usual[0] - known[0], usual[1] - known[1], seed),
    }


def report(
    folder: Path,
    prepared: Prepared,
    history: Mapping[str, fit.History],
    found: Mapping[str, Mapping[str, Floats]],
    metrics: Mapping[str, Any],
    digest: str,
    start: float,
) -> None:
    """Figures as JSON and pictures, and the few lines that a person reads first."""
    folder.mkdir(parents=True, exist_ok=True)
    name, held = list(prepared.held_out.items())[-1]
    reports = {network: metrics[name][network]["all"] for network in found[name]}
    trained = f"n = {len(prepared.training.texts):,} texts to train on, {len(prepared.validation.texts):,} to validate"
    title = {"test": "official test split", "validation": "validation split"}[name]
    pictures = draw(
        folder, history, trained, Scores(found[name], held.targets, prepared.dataset.labels, reports, title)
    )
    pictures += trusted(folder, metrics["decisions"], name, f"n = {len(held.texts):,} texts, {title}")
    cost = {"seconds": round(time.monotonic() - start, 1), "peak_memory_mib": _peak_memory()}
    content = {"metrics": metrics, "history": history, "bundle": digest, "cost": cost}
    (folder / "report.json").write_text(json.dumps(content, indent=1) + "\n")
    decisions = metrics["decisions"]
    for network, words in (("ours", "Candor"), ("baseline", "the article's network")):
        accuracy = reports[network]["accuracy"]
        print(f"    accuracy {accuracy['value']:.2%} ({accuracy['low']:.2%} to {accuracy['high']:.2%})  {words}")
    ece = decisions[name]["after"]["ece"]["value"]
    print(
        f"    calibration error {ece:.4f}; decided from {decisions['min_confidence']:.0%} on for {TARGET:.0%} accuracy"
    )
    print(f"    {len(pictures)} pictures and report.json in {folder}; bundle {digest[:12]}")
    print(f"    {cost['seconds']:.0f} seconds, {cost['peak_memory_mib']:,} MiB at most")


def _peak_memory() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (1024 if sys.platform == "linux" else 1024 * 1024)


if __name__ == "__main__":
    sys.exit(main())
