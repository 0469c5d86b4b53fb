"""Ways of training that keep answers from depending on whom a text names.

- one-feature: every term of a group is read as the same feature, in training and serving (candor.text.identity).
- augment: a copy of each text that names someone, with other terms of the same groups, is learnt from as well
  (counterfactual data augmentation; Dixon et al. 2018, Garg et al. 2019).
- reweigh: texts are weighed so that the label is independent of the groups that are mentioned (Kamiran and Calders
  2012, "Data Preprocessing Techniques for Classification without Discrimination").
- off: nothing is done.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from candor.operate.grouping import suppress_small_groups
from candor.text.identity import Identity

from .identity import load
from .identity.lexicon import Entry, Lexicon, rows_of

if TYPE_CHECKING:
    from .learn import Texts

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

WAYS = ("one-feature", "augment", "reweigh", "off")
LABELS = "labels"
"""Balances labels, where a group's name balances its terms."""
MAX_WEIGHT = 10.0
"""No text counts more than so many average ones, or less than one over it."""


@dataclass(frozen=True)
class Care:
    """How to keep answers from depending on whom a text names."""

    way: str = WAYS[0]
    """One of WAYS."""
    groups: Mapping[str, Sequence[str]] = field(default_factory=lambda: load().groups)
    """Terms by group."""
    kept: Sequence[str] = ()
    """Groups that are not among them, because telling them apart is the model's task."""
    balance: Sequence[str] = ()
    """LABELS, and names of groups: each label, and each term of these groups, gets the same weight."""
    accepted: str = ""
    """Why a model that passes the limits of fairness is made all the same; "" if it is not."""

    @property
    def merged(self) -> Mapping[str, Sequence[str]]:
        """Terms by group that the model does not tell apart."""
        return self.groups if self.way == "one-feature" else {}


def prepare(texts: "Texts", care: Care, seed: int) -> "Texts":
    """Return what to learn from.

    Args:
        texts: The n texts, redacted.
        care: The way.
        seed: Seed of all draws.
    """
    way, groups, balance = care.way, care.groups, care.balance
    lexicon = Lexicon(groups)
    found = lexicon.find(texts.texts) if way in ("augment", "reweigh") or {*balance} - {LABELS} else []
    weights = np.ones(len(texts.texts))
    if way == "reweigh":
        weights *= reweighed(found, texts.targets, texts.n_labels)
    for name in balance:
        weights *= _even(texts.targets) if name == LABELS else balanced(found, name)
    if care.merged:
        texts = replace(texts, identity=Identity(care.merged))
    if way == "augment":
        random = np.random.default_rng(seed)
        sources = np.array([row for row, hits in enumerate(found) if hits], np.int64)
        copies = [lexicon.scramble(texts.texts[row], found[row], groups, random) for row in sources.tolist()]
        others = zip(texts.unlabelled, lexicon.find(texts.unlabelled), strict=True)
        unlabelled = [lexicon.scramble(text, hits, groups, random) if hits else text for text, hits in others]
        texts = replace(texts, copies=copies, sources=sources, unlabelled=unlabelled)
    return replace(texts, weights=_bounded(weights)) if way == "reweigh" or balance else texts


def shares(texts: "Texts", groups: Mapping[str, Sequence[str]], labels: Sequence[str]) -> dict[str, Any]:
    """Return how often each label and each group occurs in training texts, and the labels of each group's texts.

    Groups of too few texts have None (candor.operate.grouping).
    """
    found = Lexicon(groups).find(texts.texts)
    counted = {label: int(count) for label, count in zip(labels, np.bincount(texts.targets), strict=True)}
    by_group = rows_of(found, lambda entry: entry.group)
    mentioned = {name: by_group.get(name, np.empty(0, np.int64)) for name in groups}
    return {
        "labels": counted,
        "groups": {
            name: suppress_small_groups(
                dict(zip(labels, np.bincount(texts.targets[rows], minlength=len(labels)).tolist(), strict=True))
            )
            for name, rows in mentioned.items()
        },
    }


def reweighed(found: Sequence[Sequence[tuple[int, Entry]]], targets: Ints, n_labels: int) -> Floats:
    """Return weights [n] that make the label independent of each mentioned group, P(group) P(label) / P(both).

    A text that mentions several groups has the geometric mean of their weights, and one that mentions none has 1.

    Args:
        found: Terms of the n texts.
        targets: [n] label indices.
        n_labels: Number of labels.
    """
    logs, counts = np.zeros(len(targets)), np.zeros(len(targets))
    shares = np.bincount(targets, minlength=n_labels) / len(targets)
    for rows in rows_of(found, lambda entry: entry.group).values():
        of_label = np.bincount(targets[rows], minlength=n_labels)
        logs[rows] += np.log(shares[targets[rows]] * len(rows) / of_label[targets[rows]])
        counts[rows] += 1
    weights: Floats = np.exp(logs / np.maximum(counts, 1))
    return weights


def balanced(found: Sequence[Sequence[tuple[int, Entry]]], group: str) -> Floats:
    """Return weights [n] that give each term of a group the same share of the texts that mention the group.

    Args:
        found: Terms of the n texts.
        group: Name of the group. Texts that do not mention it have 1, and the others 1 on average.
    """
    weights, counts = np.zeros(len(found)), np.zeros(len(found))
    terms = rows_of(found, lambda entry: entry.term if entry.group == group else None)
    for rows in terms.values():
        weights[rows] += 1 / len(rows)
        counts[rows] += 1
    inside = counts > 0
    if not inside.any():
        return np.ones(len(found))
    weights[inside] /= counts[inside]
    weights[inside] /= weights[inside].mean()
    return np.where(inside, weights, 1.0)


def _even(targets: Ints) -> Floats:
    """Return weights [n] that give each label the same share."""
    counts = np.bincount(targets)
    weights: Floats = len(targets) / (np.count_nonzero(counts) * counts[targets])
    return weights


def _bounded(weights: Floats) -> Floats:
    """Return weights within 1 / MAX_WEIGHT and MAX_WEIGHT, and 1 on average."""
    bounded: Floats = np.clip(weights / weights.mean(), 1 / MAX_WEIGHT, MAX_WEIGHT)
    return bounded / bounded.mean()
