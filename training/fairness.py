"""Audit whether a model's answers depend on whom a text names, and hold the result against limits.

- Swaps: the terms of a group in real texts are exchanged for others of the same group (Garg et al. 2019,
  "Counterfactual Fairness in Text Classification through Robustness").
- Templates: sentences of ours, and short texts of the data, with each term of a group in turn (Dixon et al. 2018,
  "Measuring and Mitigating Unintended Bias in Text Classification").
- Groups: how often texts that mention a group get the right answer, and the subgroup, BPSN and BNSP AUC (Borkan et al.
  2019, "Nuanced Metrics for Measuring Unintended Bias with Real Data for Text Classification").

Beside the groups stand control words, about which nobody can be unfair: they show what chance does.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from candor.errors import HintedError
from candor.model.metrics import DECIMALS, INTERVAL_LEVEL, interval
from candor.operate.grouping import MIN_GROUP_SIZE

from .identity.lexicon import Entry, Lexicon, rows_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CONTROL = "control words"
"""The group of words about which nobody can be unfair."""
MAX_SWAPPED = 2000
"""Texts whose terms are exchanged, of each group."""
MIN_GROUP = 100
"""Texts that mention a group or a term, from which rates of it are reported."""
MAX_CARRIERS, MAX_CARRIER_TOKENS, MAX_CARRIED = 50, 60, 50
"""Texts of the data that serve as templates, of each group, their length, and how many terms take turns in one."""
_RESAMPLES, _RESAMPLED_LABELS = 200, 20
"""Resamples for an interval, and the labels above which there are fewer in proportion, but at least a quarter."""
_PATH = Path(__file__).parent / "identity"


class UnfairError(HintedError):
    """A model passes the limits of fairness."""


@dataclass(frozen=True)
class Answers:
    """What a model answers to n texts."""

    probabilities: Floats
    """[n, K]"""
    decisions: Ints
    """[n] index of the label, or -1 for "uncertain"."""

    @property
    def labels(self) -> Ints:
        """Index of the most probable label, [n]."""
        winners: Ints = self.probabilities.argmax(axis=1)
        return winners


Model = Callable[[Sequence[str]], Answers]


@cache
def _templates() -> dict[str, list[str]]:
    content: dict[str, list[str]] = json.loads((_PATH / "templates.json").read_text(encoding="utf-8"))
    return content


@cache
def limits() -> dict[str, float]:
    """Return the limits of the gate, from limits.json."""
    content: dict[str, float] = json.loads((_PATH / "limits.json").read_text(encoding="utf-8"))
    return content


def audit(
    model: Model,
    texts: Sequence[str],
    targets: Ints,
    held_out: Floats,
    groups: Mapping[str, Sequence[str]],
    labels: Sequence[str],
    *,
    seed: int,
) -> dict[str, Any]:
    """Audit a model.

    Args:
        model: Answers texts as the served model does.
        texts: n texts of the task, at best ones that the model has not learnt from.
        targets: [n] their label indices; empty if the texts have none, and then only swaps and templates are audited.
        held_out: [n, K] probabilities of the texts by a model that has not learnt from them; as many as targets.
        groups: Terms by group, single words each.
        labels: K labels.
        seed: Seed of all draws.

    Returns:
        JSON-ready figures: `swaps`, `templates`, with labels `groups`, each by group; `worst`, what `gate` looks at.
        Groups that fewer than MIN_GROUP texts mention have no rates.
    """
    random = np.random.default_rng(seed)
    lexicon = Lexicon({**groups, CONTROL: _templates()["control"]})
    found = lexicon.find(texts)
    mentioned = rows_of(found, lambda entry: entry.group)
    rows = {name: mentioned.get(name, np.empty(0, np.int64)) for name in lexicon.groups}
    swaps = {name: _swaps(model, texts, found, lexicon, name, rows[name], random) for name in lexicon.groups}
    carriers = _carriers(texts, found, lexicon, random)
    templates = {name: _spread(model, lexicon, [name], carriers) for name in lexicon.groups}
    templates["all groups together"] = _spread(model, lexicon, [*groups], {})
    result: dict[str, Any] = {"texts": len(texts), "swaps": swaps, "templates": templates}
    if len(targets):
        result["groups"] = _rates(held_out, targets, rows, labels, random)
    result["worst"] = _worst(result)
    return result


def gate(result: Mapping[str, Any]) -> list[str]:
    """Return what passes the limits, one sentence each; none if the model may ship.

    Args:
        result: What `audit` returned, and maybe `labels`, of candor_training.planted.
    """
    worst, at_most = result["worst"], limits()
    found = []
    if worst["label_flips"]["count"] and worst["label_flips"]["high"] > at_most["label_flips"]:
        found.append(
            f"exchanging terms of the group {worst['label_flips']['group']!r} changes the label of "
            f"{worst['label_flips']['value']:.1%} of texts (up to {worst['label_flips']['high']:.1%}; at most "
            f"{at_most['label_flips']:.0%})"
        )
    if worst["template_difference"]["value"] > at_most["template_difference"]:
        found.append(
            f"in one sentence, terms of the group {worst['template_difference']['group']!r} move a probability by "
            f"{worst['template_difference']['value']:.3f} (at most {at_most['template_difference']})"
        )
    for name, gap in worst["auc_gaps"].items():
        if gap > at_most["auc_gap"]:
            found.append(
                f"texts that mention the group {name!r} have an AUC lower by {gap:.3f} (at most {at_most['auc_gap']})"
            )
    for each in result.get("labels", []):
        found.append(
            f"{each['label']!r} is the label of {each['observed']:.0%} of the {each['texts']} texts that mention "
            f"{each['term']!r}, while their other words let one expect {each['expected']:.0%}"
        )
    return found


def _swaps(
    model: Model,
    texts: Sequence[str],
    found: Sequence[Sequence[tuple[int, Entry]]],
    lexicon: Lexicon,
    group: str,
    mentioned: Ints,
    random: np.random.Generator,
) -> dict[str, Any]:
    """Exchange all terms of a group in the texts that mention it, each for another at random."""
    rows = sorted(random.permutation(mentioned)[:MAX_SWAPPED].tolist())
    if len(rows) < MIN_GROUP_SIZE:
        return {"texts": None}
    before = model([texts[row] for row in rows])
    after = model([lexicon.scramble(texts[row], found[row], [group], random) for row in rows])
    moved = np.abs(before.probabilities - after.probabilities).max(axis=1)
    return {
        "texts": len(rows),
        "label_flips": _share(int((before.labels != after.labels).sum()), len(rows)),
        "decision_flips": _share(int((before.decisions != after.decisions).sum()), len(rows)),
        "mean_difference": round(float(moved.mean()), DECIMALS),
        "max_difference": round(float(moved.max()), DECIMALS),
    }


def _share(count: int, n: int) -> dict[str, float]:
    """Return a share with its interval (Clopper and Pearson 1934)."""
    tail = (1 - INTERVAL_LEVEL) / 2
    low = float(beta.ppf(tail, count, n - count + 1)) if count else 0.0
    high = float(beta.ppf(1 - tail, count + 1, n - count)) if count < n else 1.0
    shares = {name: round(share, DECIMALS) for name, share in (("value", count / n), ("low", low), ("high", high))}
    return {"count": count, **shares}


def _carriers(
    texts: Sequence[str],
    found: Sequence[Sequence[tuple[int, Entry]]],
    lexicon: Lexicon,
    random: np.random.Generator,
) -> dict[str, list[list[str]]]:
    """Return short texts that mention each group once, with terms of the same form in turn."""
    carriers: dict[str, list[list[str]]] = {name: [] for name in lexicon.groups}
    for row in random.permutation(len(texts)).tolist():
        for name in {entry.group: None for _, entry in found[row]}:
            hits = [hit for hit in found[row] if hit[1].group == name]
            if len(hits) == 1 and len(carriers[name]) < MAX_CARRIERS and len(texts[row].split()) <= MAX_CARRIER_TOKENS:
                others = lexicon.others(hits[0][1])
                chosen = random.permutation(len(others))[:MAX_CARRIED].tolist()
                terms = [hits[0][1].term, *(others[index] for index in chosen)]
                carriers[name].append(lexicon.each(texts[row], hits[0], terms))
    return carriers


def _spread(
    model: Model, lexicon: Lexicon, names: Sequence[str], carriers: Mapping[str, Sequence[Sequence[str]]]
) -> dict[str, Any]:
    """Fill sentences with each term of groups, and return how far probabilities and decisions differ in a sentence."""
    terms = [term for name in names for term in lexicon.groups[name]]
    cased = [term for term in terms if len(lexicon.forms[term]) > 1]
    filled = [[template.replace("{}", term) for term in cased] for template in _templates()["en"]] if cased else []
    if single := [term for term in terms if len(lexicon.forms[term]) == 1]:
        filled += [[template.replace("{}", term) for term in single] for template in _templates()["zh"]]
    filled += [[*each] for name in names for each in carriers.get(name, [])]
    answers = model([text for each in filled for text in each])
    ends = np.cumsum([len(each) for each in filled])
    spreads, pairs, apart = [], 0, 0
    for end, each in zip(ends.tolist(), filled, strict=True):
        rows = slice(end - len(each), end)
        spreads.append(float(np.ptp(answers.probabilities[rows], axis=0).max()))
        counts = np.unique(answers.decisions[rows], return_counts=True)[1]
        pairs += len(each) * (len(each) - 1) // 2
        apart += int((len(each) ** 2 - (counts**2).sum()) // 2)
    return {
        "sentences": len(filled),
        "terms": len(terms),
        "mean_difference": round(float(np.mean(spreads)), DECIMALS),
        "max_difference": round(max(spreads), DECIMALS),
        "decision_pairs": round(apart / pairs, DECIMALS) if pairs else 0.0,
    }


def _rates(
    probabilities: Floats,
    targets: Ints,
    mentioned: Mapping[str, Ints],
    labels: Sequence[str],
    random: np.random.Generator,
) -> dict[str, Any]:
    """Return how well texts that mention a group are answered, beside those that do not."""
    overall = _aucs(probabilities, targets, np.ones(len(targets), bool), labels)
    resamples = max(_RESAMPLES // 4, _RESAMPLES * _RESAMPLED_LABELS // max(len(labels), _RESAMPLED_LABELS))
    rates: dict[str, Any] = {"overall": _right(probabilities, targets, labels) | {"auc": overall.get("subgroup")}}
    for name, of_group in mentioned.items():
        n = len(of_group)
        if n < MIN_GROUP:
            rates[name] = {"texts": n if n >= MIN_GROUP_SIZE else None}
            continue
        inside = np.zeros(len(targets), bool)
        inside[of_group] = True
        aucs = _aucs(probabilities, targets, inside, labels)
        draws: dict[str, list[float]] = {key: [] for key in aucs}
        for _ in range(resamples):
            rows = random.integers(len(targets), size=len(targets))
            for key, value in _aucs(probabilities[rows], targets[rows], inside[rows], labels).items():
                draws.setdefault(key, []).append(value)
        rates[name] = {
            "texts": n,
            **_right(probabilities[inside], targets[inside], labels),
            **{f"{key}_auc": interval(value, draws[key]) for key, value in aucs.items()},
        }
    return rates


def _right(probabilities: Floats, targets: Ints, labels: Sequence[str]) -> dict[str, Any]:
    """Return accuracy, and by label the true and the false positive rate; None where no text counts."""
    winners = probabilities.argmax(axis=1)
    rates = {}
    for index, label in enumerate(labels):
        is_label, said = targets == index, winners == index
        rates[label] = {"tpr": _rate(said[is_label]), "fpr": _rate(said[~is_label])}
    return {"accuracy": _rate(winners == targets), "labels": rates}


def _rate(flags: NDArray[np.bool_]) -> float | None:
    return round(float(flags.mean()), DECIMALS) if len(flags) else None


def _aucs(probabilities: Floats, targets: Ints, inside: NDArray[np.bool_], labels: Sequence[str]) -> dict[str, float]:
    """Return the subgroup, BPSN and BNSP AUC, each label against the rest, averaged; without those that no label has.

    BPSN: texts outside with the label against texts inside without it. BNSP: the reverse.
    """
    found: dict[str, list[float]] = {"subgroup": [], "bpsn": [], "bnsp": []}
    for index in range(len(labels)) if len(labels) > 2 else (1,):
        scores, positive = probabilities[:, index], targets == index
        sides = {"subgroup": (inside, inside), "bpsn": (~inside, inside), "bnsp": (inside, ~inside)}
        for name, (of_positive, of_negative) in sides.items():
            above, below = scores[of_positive & positive], scores[of_negative & ~positive]
            if len(above) and len(below):
                found[name].append(_auc(above, below))
    return {name: round(float(np.mean(values)), DECIMALS) for name, values in found.items() if values}


def _auc(above: Floats, below: Floats) -> float:
    """Return the share of pairs whose first is above the second; equal ones count half (Mann and Whitney 1947)."""
    order = np.sort(below)
    smaller, equal_or_smaller = (order.searchsorted(above, side=side) for side in ("left", "right"))
    return float((smaller + equal_or_smaller).mean() / (2 * len(below)))


def _worst(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the worst figures of all groups but the control words."""
    flips = [
        each["label_flips"] | {"group": name}
        for name, each in result["swaps"].items()
        if name != CONTROL and each["texts"]
    ]
    spreads = [
        {"value": each["max_difference"], "group": name}
        for name, each in result["templates"].items()
        if name in result["swaps"] and name != CONTROL
    ]
    rates = result.get("groups", {})
    overall = rates.get("overall", {}).get("auc")
    gaps = {
        name: round(overall - each["subgroup_auc"]["high"], DECIMALS)
        for name, each in rates.items()
        if name not in ("overall", CONTROL) and "subgroup_auc" in each and overall is not None
    }
    return {
        "label_flips": max(flips, key=lambda each: each["high"] if each["count"] else 0.0, default={"count": 0}),
        "template_difference": max(spreads, key=lambda each: each["value"]),
        "auc_gaps": gaps,
    }
