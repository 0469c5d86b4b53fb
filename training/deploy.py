"""Deployment of the result: the files of a bundle, checked before they take the old bundle's place."""

import json
import os
import platform
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from numpy.typing import NDArray

from candor import bundle
from candor.classifier import Classifier
from candor.evidence import MIN_SCRIPT_SHARE, scripts
from training.data import Dataset

HEADLINE = ("accuracy", "f1", "roc_auc", "log_loss", "brier")
LIBRARIES = ("tensorflow", "keras", "numpy", "ai-edge-litert")
AGREEMENT, DIFFERENCE = 0.999, 0.01  # the least share of equal labels, the largest difference of a probability
GOLDEN_TOLERANCE = 1e-5
# Texts whose label says nothing, but whose features or shape have gone wrong somewhere before.
ODD = (
    "?!",
    "\0",
    "naïve café – “quoted”",
    "一部很好的电影",
    "ＦＵＬＬ ｗｉｄｔｈ",
    "zero\u200bwidth",
    "x" * 1000,
    "a\u0085b",
    "🙂🙂",
)


class ExportError(Exception):
    """The exported model is not the one that was trained."""


@dataclass(frozen=True)
class Trained:
    """What training leaves to be deployed. `metrics` is the whole report, without timings."""

    name: str
    dataset: Dataset
    model: bytes
    known: NDArray[np.bool_]
    """[2**unigram_bits]: which tokens the model knows."""
    featuriser: dict[str, int]
    recipe: dict[str, float]
    seed: int
    metrics: Mapping[str, Any]
    drift: Mapping[str, Any]
    """What candor.drift holds windows of predictions against."""


def parity(keras: NDArray[np.float64], tflite: NDArray[np.float64]) -> dict[str, float]:
    """How far the exported model's probabilities [n, K] are from the trained one's. Raises ExportError if too far."""
    agreement = float((keras.argmax(axis=1) == tflite.argmax(axis=1)).mean())
    difference = float(np.abs(keras - tflite).max())
    if agreement < AGREEMENT or difference > DIFFERENCE:
        raise ExportError(
            f"TensorFlow Lite and Keras agree on {agreement:.2%} of labels (at least {AGREEMENT:.1%}) and differ by up "
            f"to {difference:.4f} in a probability (at most {DIFFERENCE})"
        )
    return {
        "texts": len(keras),
        "labels_agree": round(agreement, 6),
        "max_probability_difference": round(difference, 6),
    }


def golden_texts(path: Path | None, labels: Sequence[str]) -> list[tuple[str, str | None]]:
    """Texts and, where a person knows it, their label: a JSONL file of them, and odd ones of which no one knows."""
    lines = path.read_bytes().decode().split("\n") if path else []
    known = [json.loads(line) for line in lines if line.strip()]
    for row in known:
        if row["label"] not in labels:
            raise ExportError(f"{path} has a label that the data lacks")
    return [(row["text"], row["label"]) for row in known] + [(text, None) for text in ODD]


def golden_cases(
    texts: Sequence[tuple[str, str | None]],
    keras: NDArray[np.float64],
    tflite: NDArray[np.float64],
    labels: Sequence[str],
) -> dict[str, Any]:
    """Golden cases by label name, with what Keras and LiteRT say, each [n, K]. Raises ExportError for a wrong label."""
    cases: list[dict[str, Any]] = []
    for (text, label), full, small in zip(texts, keras, tflite, strict=True):
        winner = labels[int(small.argmax())]
        if label is not None and winner != label:
            raise ExportError(f"golden case {len(cases) + 1}, which a person calls {label}, is called {winner}")
        named = [{name: round(float(p), 6) for name, p in zip(labels, row, strict=True)} for row in (full, small)]
        cases.append(
            {"text": text, "label": winner, "known": label is not None, "keras": named[0], "probabilities": named[1]}
        )
    return {"tolerance": GOLDEN_TOLERANCE, "cases": cases}


def files(trained: Trained, golden: Mapping[str, Any]) -> dict[str, bytes]:
    """Every file of the bundle but the manifest."""
    described = describe(trained)
    return {
        "model.tflite": trained.model,
        "known.bin": np.packbits(trained.known).tobytes(),
        "model.json": bundle.canonical(described),
        "golden.json": bundle.canonical(golden),
        "metrics.json": bundle.canonical(trained.metrics),
        "card.md": card(trained, described).encode(),
    }


def describe(trained: Trained) -> dict[str, Any]:
    """model.json. `created` is SOURCE_DATE_EPOCH where that is set (reproducible-builds.org): runs can agree."""
    created = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH") or datetime.now(UTC).timestamp()), UTC)
    data = trained.dataset
    return {
        "name": trained.name,
        "version": created.strftime("%Y.%-m.%-d"),
        "created": created.isoformat(),
        "labels": list(data.labels),
        "featuriser": trained.featuriser,
        "scripts": seen_scripts(data.texts),
        "redacts": True,
        "drift": trained.drift,
        "recipe": trained.recipe,
        "seed": trained.seed,
        "min_confidence": trained.metrics["decisions"]["min_confidence"],
        "metrics": _headline(trained.metrics),
        "data": {
            "name": data.name,
            "texts": len(data.texts),
            "unlabelled_texts": len(data.unlabelled),
            "sha256": data.digest,
            "source": data.source,
            "citation": data.citation,
            "licence": data.licence,
        },
        "licence": "The weights are ours, Candor's authors. The texts that they learnt from are not in this bundle.",
        "libraries": {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}},
    }


def seen_scripts(texts: Sequence[str]) -> list[str]:
    """The scripts that make up a tenth of a percent, or more, of the training texts' letters."""
    counts: Counter[str] = sum((scripts(text) for text in texts), Counter())
    return sorted(name for name, count in counts.items() if count >= MIN_SCRIPT_SHARE * counts.total())


def _headline(metrics: Mapping[str, Any]) -> dict[str, Any]:
    split = "test" if "test" in metrics else "validation"
    report = metrics[split]["ours"]["all"]
    decisions = metrics["decisions"]
    trusted = {
        "ece": decisions[split]["after"]["ece"],
        "coverage": decisions[split]["coverage"],
        "target_accuracy": decisions["target_accuracy"],
    }
    return {
        "split": split,
        "n": report["n"],
        **{name: report[name] for name in HEADLINE},
        **trusted,
        "parity": metrics["parity"],
    }


def card(trained: Trained, described: Mapping[str, Any]) -> str:
    """The model card (Mitchell et al. 2019, "Model Cards for Model Reporting"), in Markdown."""
    data, metrics = described["data"], described["metrics"]
    rows = [f"| {name.replace('_', ' ')} | {_interval(metrics[name])} |" for name in HEADLINE]
    return Template((Path(__file__).parent / "card.md").read_text()).substitute(
        name=described["name"],
        version=described["version"],
        labels=", ".join(described["labels"]),
        data=data["name"],
        texts=f"{data['texts']:,}",
        unlabelled=f"{data['unlabelled_texts']:,}",
        source=data["source"],
        citation=data["citation"],
        licence=data["licence"],
        sha256=data["sha256"],
        split=metrics["split"],
        n=f"{metrics['n']:,}",
        metrics="\n".join(rows),
        ece=_interval(metrics["ece"]),
        membership=_interval(trained.metrics["membership"]["loss"]["auc"]),
        calibrated=_interval(trained.metrics["membership"]["calibrated"]["auc"]),
        coverage="\n".join(
            f"| {row['coverage']:.0%} | {row['min_confidence']:.4f} | {row['accuracy']:.4f} |"
            for row in metrics["coverage"]
        ),
        target=f"{metrics['target_accuracy']:.0%}",
        min_confidence=described["min_confidence"],
        strongest=_strongest(trained.metrics["strongest"]),
        rights=described["licence"],
    )


def _strongest(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    rows = (f"| {label} | {', '.join(each['ngram'] for each in grams) or 'none'} |" for label, grams in found.items())
    return "\n".join(rows)


def _interval(metric: Mapping[str, float]) -> str:
    return f"{metric['value']:.4f} ({metric['low']:.4f} to {metric['high']:.4f})"


def install(contents: Mapping[str, bytes], target: Path) -> str:
    """Writes a bundle beside `target`, checks it as serving would, then puts it in its place. Returns its digest.

    Until the last moment the old bundle is whole: whatever ends this before leaves it as it was.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as folder:
        new, old = Path(folder) / "new", Path(folder) / "old"
        new.mkdir()
        digest = bundle.write(new, contents)
        check(new, digest)
        if target.exists():
            target.rename(old)
        new.rename(target)
    return digest


def check(path: Path, digest: str) -> None:
    """Raises ExportError unless the bundle answers its golden cases."""
    classifier = Classifier.load(path, digest)
    golden = json.loads(classifier.bundle.read("golden.json"))
    for case, prediction in zip(
        golden["cases"], classifier.predict([case["text"] for case in golden["cases"]]), strict=True
    ):
        worst = max(abs(prediction.probabilities[label] - p) for label, p in case["probabilities"].items())
        if prediction.label != case["label"] or worst > golden["tolerance"]:
            raise ExportError("the bundle does not answer its own golden cases")


def pin(template: Path, digest: str) -> None:
    """Writes the bundle's digest into the template, in one step. Raises ExportError if it has no place for it."""
    text, found = re.subn(r'(BUNDLE_DIGEST: )"[0-9a-f]{64}"', rf'\1"{digest}"', template.read_text())
    if found != 1:
        raise ExportError(
            f'{template.name} should hold one BUNDLE_DIGEST: "…" of 64 hexadecimal digits, and has {found}'
        )
    new = template.with_suffix(".new")
    new.write_text(text)
    shutil.copymode(template, new)
    new.replace(template)
