"""Make the files of a bundle, and check the exported model against the trained one."""

import os
import platform
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version as release
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from numpy.typing import NDArray

import candor
from candor.errors import HintedError
from candor.model import bundle
from candor.model.bundle import NOT_STATED
from candor.operate.grouping import MIN_GROUP_SIZE
from candor.text import identity, references
from candor.text.evidence import MIN_SCRIPT_SHARE, count_scripts

from .data import Dataset

HEADLINE = ("accuracy", "f1", "roc_auc", "log_loss", "brier")
LIBRARIES = ("tensorflow", "keras", "numpy", "scipy", "ai-edge-litert")
TARGET_ACCURACY = 0.97
"""Accuracy of decided texts that the default confidence threshold is chosen for."""
_WAYS = {
    "one-feature": "It reads all terms of these groups as the same word, so that no answer depends on which one a text "
    "has.",
    "augment": "It has learnt from copies of its texts with terms of these groups exchanged.",
    "reweigh": "Its texts were weighed, so that labels do not depend on the groups that they mention.",
    "off": "Nothing was done to keep answers from depending on whom a text names.",
}
MAX_NAMED = 10
"""Labels that the card names in its first sentence; a table further down has them all."""
SPLITS = {"test": "the test split, {n:,} texts", "validation": "{n:,} held-out texts"}
"""What the card calls the texts that figures are about."""
CHANCE, NEAR_CHANCE, FAR_FROM_CHANCE = 0.5, 0.55, 0.7
"""AUCs of an attack: a guess, below which it is a little better, and from which on it is far better."""
NOT_SHOWN = "The texts that it learnt from are not in this bundle."
SHOWN = "Some of the texts that it learnt from are in golden.json, masked; the others are not in this bundle."
VECTORS = (
    "Its word vectors are English and come from a sentence encoder,\nwhose texts may prefer some groups of people over "
    "others. "
)
MIN_AGREEMENT = 0.99
"""Minimum share of texts that the exported and the trained model give the same label; one text may always differ."""
MAX_DIFFERENCE = 0.2
"""Maximum difference between their probabilities."""
GOLDEN_TOLERANCE = 1e-5
"""Maximum difference of a probability from its golden case, wherever the bundle runs."""
MANY_LABELS = 20
"""Labels above which metrics.json has the cells of confusion matrices, and figures without copies only if any are."""
ODD_TEXTS = (
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
"""Golden cases without a label that a person knows, but with features or a shape that have gone wrong before."""


class ExportError(HintedError):
    """The exported model is not the trained one, or gets a golden case wrong."""


@dataclass(frozen=True)
class Rights:
    """Whose a model is, and what it is for, in the words of whoever trained it."""

    owner: str = NOT_STATED
    licence: str = NOT_STATED
    """Of the model; the texts that it learnt from have one of their own."""
    description: str = NOT_STATED
    intended_use: str = NOT_STATED


@dataclass(frozen=True)
class Trained:
    """A trained model and everything that its bundle says about it."""

    name: str
    rights: Rights
    dataset: Dataset
    files: Mapping[str, bytes]
    """The content of features.bin and model.tflite."""
    featuriser: Mapping[str, Any]
    evidence: Mapping[str, Any]
    recipe: Mapping[str, Any]
    """How it was learnt."""
    seed: int
    metrics: Mapping[str, Any]
    """The whole report, without timings."""
    drift_reference: Mapping[str, Any]
    """The distribution that candor.operate.drift compares windows of predictions with."""
    text_noun: str = "text"
    """What a text is called."""
    samples: Sequence[str] = ()
    """Texts for the model's page to offer, none of them from the data."""
    identity: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Terms by group that the model does not tell apart."""
    fairness: Mapping[str, Any] = field(default_factory=dict)
    """The audit of fairness."""
    shows_texts: bool = False
    """Golden cases are texts of the data."""


def parity(trained: NDArray[np.float64], exported: NDArray[np.float64]) -> dict[str, float]:
    """Compare the exported model's probabilities with the trained one's.

    Args:
        trained: [n, K] probabilities of the trained model.
        exported: [n, K] probabilities of the TensorFlow Lite model, for the same texts.

    Returns:
        The number of texts, the share of equal labels and the maximum difference of a probability.

    Raises:
        ExportError: They differ by too much.

    Example:
        >>> probabilities = np.array([[0.9, 0.1]])
        >>> parity(probabilities, probabilities)
        {'texts': 1, 'labels_agree': 1.0, 'max_probability_difference': 0.0}
    """
    agreement = float((trained.argmax(axis=1) == exported.argmax(axis=1)).mean())
    difference = float(np.abs(trained - exported).max())
    if agreement < min(MIN_AGREEMENT, 1 - 1 / len(trained)) or difference > MAX_DIFFERENCE:
        raise ExportError(
            f"TensorFlow Lite and the trained model agree on {agreement:.2%} of labels (at least {MIN_AGREEMENT:.1%}) "
            f"and differ by up to {difference:.4f} in a probability (at most {MAX_DIFFERENCE})"
        )
    return {
        "texts": len(trained),
        "labels_agree": round(agreement, 6),
        "max_probability_difference": round(difference, 6),
    }


def golden_cases(
    texts: Sequence[tuple[str, str | None]],
    trained: NDArray[np.float64],
    exported: NDArray[np.float64],
    labels: Sequence[str],
    places: Sequence[str] = (),
) -> dict[str, Any]:
    """Make golden.json.

    Args:
        texts: n texts, each with its label if a person knows it.
        trained: [n, K] probabilities of the trained model.
        exported: [n, K] probabilities of the TensorFlow Lite model.
        labels: K labels.
        places: Where the first of the texts are written, such as "golden.csv line 3".

    Raises:
        ExportError: The exported model gives a text another label than the known one.
    """
    cases: list[dict[str, Any]] = []
    for (text, label), full, small in zip(texts, trained, exported, strict=True):
        predicted = labels[int(small.argmax())]
        if label is not None and predicted != label:
            place = f" ({places[len(cases)]})" if len(cases) < len(places) else ""
            raise ExportError(
                f"golden case {len(cases) + 1}{place}, whose label is {label}, is predicted as {predicted}",
                "correct the case, or train on more texts like it",
            )
        named = [{name: round(float(p), 6) for name, p in zip(labels, row, strict=True)} for row in (full, small)]
        cases.append(
            {
                "text": text,
                "label": predicted,
                "known": label is not None,
                "trained": named[0],
                "probabilities": named[1],
            }
        )
    return {"tolerance": GOLDEN_TOLERANCE, "cases": cases}


def make_files(trained: Trained, golden: Mapping[str, Any], version: str) -> dict[str, bytes]:
    """Return the content of every file of the bundle but the manifest, by its name."""
    described = describe(trained, version)
    return {
        **trained.files,
        **({identity.FILE: bundle.canonical({"groups": trained.identity})} if trained.identity else {}),
        "model.json": bundle.canonical(described),
        "golden.json": bundle.canonical(golden),
        "metrics.json": bundle.canonical(compact(trained.metrics)),
        "fairness.json": bundle.canonical(trained.fairness),
        "card.md": card(trained, described).encode(),
    }


def compact(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return metrics in a form that grows with the number of labels, not with its square, if there are many labels.

    A confusion matrix keeps its cells above 0: the indices of their true and predicted labels, count, low and high.
    `without_copies` is left out where there are no copies, as it equals `all`.

    Example:
        >>> counts = np.eye(21, dtype=int).tolist()
        >>> matrix = {"labels": [str(k) for k in range(21)], "counts": counts, "low": counts, "high": counts}
        >>> cells = compact({"confusion_matrix": matrix})["confusion_matrix"]
        >>> cells["true"] == cells["predicted"] == [*range(21)], sum(cells["counts"])
        (True, 21)
    """
    found = {key: compact(value) if isinstance(value, Mapping) else value for key, value in metrics.items()}
    matrix = metrics.get("confusion_matrix")
    if matrix and len(matrix["labels"]) > MANY_LABELS:
        true, predicted = np.nonzero(matrix["counts"])
        cells = {name: np.array(matrix[name])[true, predicted].tolist() for name in ("counts", "low", "high")}
        found["confusion_matrix"] = {
            "labels": matrix["labels"],
            "true": true.tolist(),
            "predicted": predicted.tolist(),
            **cells,
        }
    if metrics.get("copies") == 0 and len(metrics["all"]["by_label"]) > MANY_LABELS:
        del found["without_copies"]
    return found


def now() -> datetime:
    """Return the time, or SOURCE_DATE_EPOCH if that is set (reproducible-builds.org), so that runs agree."""
    return datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH") or datetime.now(UTC).timestamp()), UTC)


def describe(trained: Trained, version: str) -> dict[str, Any]:
    """Make model.json."""
    data = trained.dataset
    return {
        "name": trained.name,
        "version": version,
        "created": now().isoformat(),
        "candor": candor.__version__,
        "labels": list(data.labels),
        "text_noun": trained.text_noun,
        "samples": list(trained.samples),
        "featuriser": trained.featuriser,
        "evidence": trained.evidence,
        "scripts": seen_scripts(data.texts),
        "redacts": True,
        "drift": trained.drift_reference,
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
            **_test_file(trained),
        },
        **asdict(trained.rights),
        "libraries": {"python": platform.python_version(), **{name: release(name) for name in LIBRARIES}},
    }


def _test_file(trained: Trained) -> dict[str, Any]:
    """Return the member `test` of model.json's `data`, if the model was tested on a file of the user's."""
    data = trained.dataset
    if not data.test_digest:
        return {}
    facts = {"name": data.test_name, "texts": len(data.test_texts), "sha256": data.test_digest}
    return {"test": facts | {"copies": trained.metrics["test"]["ours"]["copies"]}}


def _copies(metrics: Mapping[str, Any]) -> str:
    """Return how many test texts are copies of training texts, and the accuracy without them; "" if there are none."""
    measured = metrics[metrics_split(metrics)]["ours"]
    if not (copies := measured["copies"]):
        return ""
    accuracy = measured["without_copies"]["accuracy"]["value"]
    return f" ({copies:,} of them are copies of training texts; the accuracy without them is {accuracy:.4f})"


def metrics_split(metrics: Mapping[str, Any]) -> str:
    """Return the split that a bundle's headline figures are about."""
    return "test" if "test" in metrics else "validation"


def seen_scripts(texts: Sequence[str]) -> list[str]:
    """Return the scripts, such as "LATIN", that make up at least 0.1 % of the texts' letters.

    Example:
        >>> seen_scripts(["a good film", "好"])
        ['CJK', 'LATIN']
    """
    counts: Counter[str] = sum((count_scripts(references.read(text)) for text in texts), Counter())
    return sorted(name for name, count in counts.items() if count >= MIN_SCRIPT_SHARE * counts.total())


def _headline(metrics: Mapping[str, Any]) -> dict[str, Any]:
    split = metrics_split(metrics)
    report = metrics[split]["ours"]["all"]
    decisions = metrics["decisions"]
    calibrated = {
        "ece": decisions[split]["after"]["ece"],
        "coverage": decisions[split]["coverage"],
        "target_accuracy": decisions["target_accuracy"],
    }
    return {
        "split": split,
        "n": report["n"],
        **{name: report[name] for name in HEADLINE},
        **calibrated,
        "parity": metrics["parity"],
    }


def card(trained: Trained, described: Mapping[str, Any]) -> str:
    """Write the model card (Mitchell et al. 2019, "Model Cards for Model Reporting") in Markdown.

    Args:
        trained: The trained model.
        described: Its model.json.
    """
    data, metrics, attacks = described["data"], described["metrics"], trained.metrics["membership"]
    rows = [f"| {name.replace('_', ' ')} | {_interval(metrics[name])} |" for name in HEADLINE]
    return Template((Path(__file__).parent / "card.md").read_text()).substitute(
        name=described["name"],
        version=described["version"],
        noun=escaped(described["text_noun"]),
        count=len(described["labels"]),
        labels=_some(described["labels"]),
        texts_here=SHOWN if trained.shows_texts else NOT_SHOWN,
        data=escaped(data["name"]),
        texts=f"{data['texts']:,}",
        unlabelled=f"{data['unlabelled_texts']:,}",
        source=escaped(data["source"]),
        citation=escaped(data["citation"]),
        data_licence=escaped(data["licence"]),
        sha256=data["sha256"],
        split=SPLITS[metrics["split"]].format(n=metrics["n"]),
        copies=_copies(trained.metrics),
        metrics="\n".join(rows),
        ece=_interval(metrics["ece"]),
        membership=_attack(attacks["loss"]["auc"]),
        calibrated=_attack(attacks["calibrated"]["auc"]),
        coverage="\n".join(
            f"| {row['coverage']:.0%} | {row['min_confidence']:.4f} | {row['accuracy']:.4f} |"
            for row in metrics["coverage"]
        ),
        decides=_decides(described),
        strongest=_strongest(trained.metrics["strongest"]),
        fairness=_fairness(trained.fairness),
        vectors=VECTORS if has_word_vectors(described["recipe"]) else "",
        **{name: escaped(words) for name, words in asdict(trained.rights).items()},
    )


def _fairness(found: Mapping[str, Any]) -> str:
    """Return the card's section on fairness."""
    chosen, plain = found["chosen"], found.get("off")
    terms, groups = sum(found["groups"].values()), ", ".join(map(escaped, found["groups"]))
    lines = [f"{_WAYS[found['way']]} Groups: {groups} ({terms:,} terms)."]
    if found["kept"]:
        lines.append(f"Told apart, as that is its task: {', '.join(map(escaped, found['kept']))}.")
    if found["balance"]:
        lines.append(f"Texts are weighed to balance {', '.join(map(escaped, found['balance']))}.")
    lines += [
        "",
        "Terms are exchanged for others of their group in held-out texts: the share whose label changes. And they take "
        "turns in one sentence: the largest difference of a probability. Control words, about which nobody can be "
        "unfair, show what is usual.",
        "",
        "| group | texts | labels changed |"
        + (" without care |" if plain else "")
        + " largest difference |"
        + (" without care |" if plain else ""),
        "|---|---|---|---|" + ("---|---|" if plain else ""),
    ]
    for name, each in chosen["swaps"].items():
        both = [chosen, plain] if plain else [chosen]
        flips = [_flips(audit["swaps"][name]) for audit in both]
        moved = [f"{audit['templates'][name]['max_difference']:.3f}" for audit in both]
        lines.append("| " + " | ".join([escaped(name), _few(each["texts"]), *flips, *moved]) + " |")
    for each in found["gate"]["passed"]:
        lines += ["", f"Beyond the limits: {escaped(each)}."]
    if found["gate"]["accepted"]:
        lines += ["", f"It ships all the same: {escaped(found['gate']['accepted'])}"]
    lines += ["", "fairness.json has the rest: accuracy and AUC of texts that mention a group, and the training data."]
    return "\n".join(lines)


def _few(texts: int | None) -> str:
    return f"under {MIN_GROUP_SIZE}" if texts is None else f"{texts:,}"


def _flips(swaps: Mapping[str, Any]) -> str:
    if not swaps["texts"]:
        return "too few texts"
    return f"{swaps['label_flips']['value']:.2%} (up to {swaps['label_flips']['high']:.2%})"


def _attack(auc: Mapping[str, float]) -> str:
    return f"{_interval(auc)} | {against_chance(auc)}"


def against_chance(auc: Mapping[str, float]) -> str:
    """Return in words how an AUC with its interval compares with chance.

    Example:
        >>> against_chance({"value": 0.93, "low": 0.9, "high": 0.95}), against_chance({"low": 0.4, "high": 0.6})
        ('far better than chance', 'not to be told from chance')
    """
    if auc["low"] <= CHANCE <= auc["high"]:
        return "not to be told from chance"
    if auc["high"] < CHANCE:
        return "worse than chance"
    far, little = auc["value"] >= FAR_FROM_CHANCE, auc["value"] < NEAR_CHANCE
    return f"{'far ' if far else 'a little ' if little else ''}better than chance"


def _decides(described: Mapping[str, Any]) -> str:
    """Return from which probability on the model decides, and what that was chosen for."""
    threshold, target = described["min_confidence"], f"{described['metrics']['target_accuracy']:.0%}"
    if threshold >= 1:
        return (
            f"No probability gave held-out texts an accuracy of {target}. By default it decides nothing below 1: it "
            'says "uncertain".'
        )
    return (
        f"By default it decides from {threshold} on, chosen on held-out texts for an accuracy of {target} of what it "
        'decides. Below, it says "uncertain".'
    )


def has_word_vectors(recipe: Mapping[str, Any]) -> bool:
    """Return whether a model's recipe learnt with word vectors: a student's, or one of the stack's parts.

    Example:
        >>> has_word_vectors({"parts": [{"name": "with word vectors"}]}), has_word_vectors({"parts": []})
        (True, False)
    """
    return "vector_l2" in recipe or any("vectors" in part["name"] for part in recipe.get("parts", ()))


def _strongest(ngrams: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    rows = (
        f"| {escaped(label)} | {', '.join(escaped(each['ngram']) for each in grams) or 'none'} |"
        for label, grams in ngrams.items()
    )
    return "\n".join(rows)


def _some(labels: Sequence[str]) -> str:
    rest = f" and {len(labels) - MAX_NAMED} more" if len(labels) > MAX_NAMED else ""
    return f"{', '.join(map(escaped, labels[:MAX_NAMED]))}{rest}"


def escaped(text: str) -> str:
    r"""Return a text on one line with all marks of Markdown and HTML escaped, also for a cell of a table.

    Not those that count at the start of a line only: the template puts no text of a user there.

    Example:
        >>> print(escaped("bills | <b>refunds & _fees_"))
        bills \| \<b>refunds \& \_fees\_
    """
    return re.sub(r"([\\`*_\[<|&~$])", r"\\\1", " ".join(text.split()))


def _interval(metric: Mapping[str, float]) -> str:
    return f"{metric['value']:.4f} ({metric['low']:.4f} to {metric['high']:.4f})"
