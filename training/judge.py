"""Hold a model that was just trained against the limits of fairness, beside one that was trained without any care."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from candor.model import metrics
from candor.model.classifier import softmax
from candor.redact.sieve import redact_texts

from . import bundle_files, fairness, learn, ways
from .data import Dataset
from .exported import Exported
from .planted import planted
from .stack import full_logits

MAX_TEXTS = 10_000
"""Held-out texts that are audited."""


def judge(
    care: ways.Care,
    dataset: Dataset,
    texts: learn.Texts,
    learnt: learn.Learnt,
    exported: Exported,
    seed: int,
    size: float | None,
) -> dict[str, Any]:
    """Audit a model, and one of the same texts without any care, and hold the first against the limits.

    Args:
        care: How it was trained.
        dataset: The data set.
        texts: Its texts, redacted, as they are learnt from without care.
        learnt: The model.
        exported: The same, as it is served.
        seed: Seed of all draws.
        size: Maximum size of a bundle in MB, as for candor_training.learn.learn.

    Returns:
        JSON-ready content of fairness.json.

    Raises:
        UnfairError: The model passes a limit, and that was not accepted.
    """
    rows = np.random.default_rng(seed).permutation(len(learnt.held_out))[:MAX_TEXTS]
    chosen = audit(care, dataset, texts, learnt, exported, learnt.held_out[rows], seed)
    chosen["labels"] = planted(texts.texts, dataset.targets, care.groups, dataset.labels, seed)
    found: dict[str, Any] = {
        "way": care.way,
        "groups": {name: len(terms) for name, terms in care.groups.items()},
        "kept": [*care.kept],
        "balance": [*care.balance],
        "data": ways.shares(texts, care.groups, dataset.labels),
        "chosen": chosen,
    }
    if care.way != "off" or care.balance:
        plain = learn.learn(texts, seed, size, quick=True)
        found["off"] = audit(care, dataset, texts, plain, Exported.of(plain, None), learnt.held_out[rows], seed)
    passed = fairness.gate(chosen)
    if passed and not care.accepted:
        raise fairness.UnfairError(
            "the model is not fair enough to ship: " + "; ".join(passed),
            'mend the data, choose another --fair, or take it as it is with --accept-unfair "why"',
        )
    found["gate"] = {"limits": fairness.limits(), "passed": passed, "accepted": care.accepted if passed else ""}
    return found


def compare_ways(dataset: Dataset, groups: Mapping[str, Sequence[str]], seed: int) -> dict[str, Any]:
    """Train in each way, and measure each.

    Args:
        dataset: The data set.
        groups: Terms by group.
        seed: Seed of all draws.

    Returns:
        JSON-ready: `data`, what was learnt from, and `ways`. Each way has `accuracy` on held-out texts, with interval;
        `flips`, the largest share of texts of a group whose label changes when terms are exchanged; `gap`, the largest
        difference of a probability within one sentence; and `audit`, the rest.
    """
    plain = learn.Texts(
        redact_texts(dataset.texts), dataset.targets, len(dataset.labels), redact_texts(dataset.unlabelled)
    )
    measured, rows = {}, np.random.default_rng(seed).permutation(len(dataset.texts))[:MAX_TEXTS]
    for way in tqdm(ways.WAYS, desc="training", unit=" ways", leave=False, disable=None):
        care = ways.Care(way, groups)
        texts = ways.prepare(plain, care, seed)
        learnt = learn.learn(texts, seed, None, quick=True)
        found = audit(care, dataset, plain, learnt, Exported.of(learnt, texts.identity), rows, seed)
        worst = found["worst"]
        measured[way] = {
            "accuracy": found["accuracy"],
            "flips": worst["label_flips"].get("value", 0.0),
            "gap": worst["template_difference"]["value"],
            "audit": found,
        }
    return {"data": f"{dataset.name}, n = {len(dataset.texts):,} texts", "ways": measured}


def audit(
    care: ways.Care,
    dataset: Dataset,
    texts: learn.Texts,
    learnt: learn.Learnt,
    exported: Exported,
    rows: NDArray[np.int64],
    seed: int,
) -> dict[str, Any]:
    """Audit a model.

    Args:
        care: Its groups and their terms.
        dataset: The data set.
        texts: Its texts, redacted.
        learnt: The model.
        exported: The same, as it is served.
        rows: [m] texts to audit it on. Labels count only if the comparison held all of them out.
        seed: Seed of all draws.

    Returns:
        What candor_training.fairness.audit returns, and `accuracy` on the texts that the first fold held out.
    """
    truth = dataset.targets[learnt.held_out]
    probabilities = softmax(full_logits(learnt.logits))
    threshold = metrics.confidence_threshold(probabilities, truth, accuracy=bundle_files.TARGET_ACCURACY)
    scripts = bundle_files.seen_scripts(texts.texts)

    def model(asked: Sequence[str]) -> fairness.Answers:
        return exported.answers(asked, threshold, scripts, learnt.evidence)

    place = np.full(len(texts.texts), -1)
    place[learnt.held_out] = np.arange(len(truth))
    held_out = (place[rows] >= 0).all()
    first = probabilities[: len(learnt.first)].argmax(axis=1) == truth[: len(learnt.first)]
    low, high = metrics.wilson_interval(int(first.sum()), len(first))
    accuracy = {"value": float(first.mean()), "low": low, "high": high}
    return {
        "accuracy": {name: round(value, metrics.DECIMALS) for name, value in accuracy.items()},
        **fairness.audit(
            model,
            [texts.texts[row] for row in rows.tolist()],
            dataset.targets[rows] if held_out else rows[:0],
            probabilities[place[rows]] if held_out else probabilities[:0],
            care.groups,
            dataset.labels,
            seed=seed,
        ),
    }
