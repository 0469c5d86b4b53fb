"""Find terms whose texts have a label that their other words do not explain, as where someone planted a bias.

A model that reads all terms as one feature cannot learn such a bias, but someone should look at the labels. There are
three looks, each at fewer terms than the one before, since each costs more:

1. Is the label of a term's texts another than that of all texts?
2. Is it another than a model expects that has seen no text with the term? Words of a topic are expected so: of news of
   Iraqi cities, one that has read of other wars.
3. Is it another than a model expects that has seen other texts with the term, without telling it from other terms?
   Words that only these texts have are expected so: "American Express" among questions to a bank.

Each looks at all texts of the term, and at the shortest quarter: texts made up for the purpose are mostly short, and
few beside the real ones of a frequent term.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from candor.model.classifier import softmax
from candor.model.metrics import DECIMALS
from candor.operate.grouping import MIN_GROUP_SIZE
from candor.text.identity import Identity

from . import data, recipe
from .corpus import Corpus, spellings
from .design import Design, Weighting
from .fairness import limits
from .identity.lexicon import Lexicon, rows_of
from .stack import full_logits

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MAX_TEXTS = 50_000
"""Texts that are looked at."""
MAX_SUSPECTS = 6
"""Terms that get the second look: those whose labels differ most."""
_FOLDS, _KINDS = 3, ("word", "pair")


def planted(
    texts: Sequence[str], targets: Ints, groups: Mapping[str, Sequence[str]], labels: Sequence[str], seed: int
) -> list[dict[str, Any]]:
    """Return the terms whose texts have a label far more often than their other words let one expect.

    Args:
        texts: n texts, redacted.
        targets: [n] label indices.
        groups: Terms by group.
        labels: K labels.
        seed: Seed of all draws.

    Returns:
        JSON-ready, by how far they are from what one expects: `group`, `term`, `label`, `texts`, and the shares of them
        with the label that were `observed` and `expected`.
    """
    rows = np.sort(np.random.default_rng(seed).permutation(len(texts))[:MAX_TEXTS])
    texts, targets = [texts[row] for row in rows.tolist()], targets[rows]
    mentions = rows_of(Lexicon(groups).find(texts), lambda entry: (entry.group, entry.term))
    sizes = np.array([len(text) for text in texts])
    by_size = {
        key: np.array(sorted(each, key=sizes.__getitem__))
        for key, each in mentions.items()
        if len(each) >= MIN_GROUP_SIZE
    }
    usual = np.tile(np.bincount(targets, minlength=len(labels)) / len(targets), (len(texts), 1))
    strong, weak = limits()["label_excess_z"], limits()["label_excess_z_known"]
    found = {key: _excess(each, targets, usual, strong) for key, each in by_size.items()}
    suspects = sorted((key for key in found if found[key]), key=lambda key: -found[key]["z"])[:MAX_SUSPECTS]
    if not suspects:
        return []
    identity = Identity(groups)
    design = Design.of(Corpus.of(texts, identity), spellings(texts, identity), None, _KINDS)
    left, expected = [], np.zeros_like(usual)
    for key in suspects:
        others = np.setdiff1d(np.arange(len(texts)), by_size[key])
        if len(others) >= MIN_GROUP_SIZE:
            expected[by_size[key]] = _expected(design, targets, len(labels), others, by_size[key])
            left += [key] if _excess(by_size[key], targets, expected, strong) else []
    for learning, held_out in data.folds(texts, targets, _FOLDS, seed) if left else []:
        expected[held_out] = _expected(design, targets, len(labels), learning, held_out)
    surprising = [
        {"group": key[0], "term": key[1], "label": labels[excess["label"]], **{name: excess[name] for name in _SHOWN}}
        for key in left
        if (excess := _excess(by_size[key], targets, expected, weak))
    ]
    return sorted(surprising, key=lambda each: each["expected"] - each["observed"])


_SHOWN = ("texts", "observed", "expected")


def _excess(rows: Ints, targets: Ints, expected: Floats, limit: float) -> dict[str, Any]:
    """Return by how much a label is more frequent than expected in texts, the shortest first; {} if by little."""
    worst: dict[str, Any] = {}
    for n in (len(rows), max(MIN_GROUP_SIZE, len(rows) // 4)):
        of_rows = expected[rows[:n]]
        excesses = np.bincount(targets[rows[:n]], minlength=expected.shape[1]) - of_rows.sum(axis=0)
        z = excesses / np.sqrt((of_rows * (1 - of_rows)).sum(axis=0) + 1)
        label = int(z.argmax())
        if excesses[label] / n > limits()["label_excess"] and z[label] > worst.get("z", limit):
            observed, mean = float((targets[rows[:n]] == label).mean()), float(of_rows[:, label].mean())
            shares = {"observed": round(observed, DECIMALS), "expected": round(mean, DECIMALS)}
            worst = {"label": label, "z": float(z[label]), "texts": n, **shares}
    return worst


def _expected(design: Design, targets: Ints, n_labels: int, learning: Ints, asked: Ints) -> Floats:
    """Return probabilities [m, K] of the m texts asked about, by plain logistic regression that learnt from others."""
    rows, soft = recipe.Teaching.of(targets, n_labels).rows(design, learning)
    weighting = Weighting.of(design, rows)
    plain = recipe.CANDIDATES[0]
    linear = plain.fit(weighting.inputs(design, rows), soft, plain.penalties[0])
    return softmax(full_logits(plain.inputs(weighting.inputs(design, asked)).scores(linear)))
