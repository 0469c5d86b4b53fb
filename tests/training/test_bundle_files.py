"""The model card: every sentence follows its figure, and no text of a user's becomes markup."""

from dataclasses import replace

import numpy as np
import pytest
from markdown_it import MarkdownIt

from training.bundle_files import Rights, Trained, against_chance, card, describe
from training.data import Dataset

NASTY = (
    "a|b",
    "<b>bold</b>",
    '<img src=x onerror="alert(1)">',
    "`code` and ``more``",
    "**strong** _em_ __em__ ~~gone~~",
    "[link](http://example.com) ![picture](x.png)",
    "&lt;i&gt; &amp; &#60;",
    "\\ \\| \\\\",
    "# heading",
    "- item",
    "1. item",
    "> quote",
    "```",
    "---",
    "$\\frac{1}{2}$",
    "<!-- comment",
    "${owner} $name",
    "<https://example.com>",
)
CHANCE = {"value": 0.51, "low": 0.48, "high": 0.54}


def figure(value, low=None, high=None):
    return {"value": value, "low": value if low is None else low, "high": value if high is None else high}


def trained(labels=("no", "yes"), min_confidence=0.8, attacks=(CHANCE, CHANCE), recipe=None, **changes):
    """Return what training hands over, of made-up figures."""
    dataset = Dataset(
        name="reviews", labels=labels, texts=["a"], targets=np.array([0]), lines=np.array([1]), digest="0", source="x"
    )
    report = {"n": 90, **dict.fromkeys(("accuracy", "f1", "roc_auc", "log_loss", "brier"), figure(0.9, 0.8, 0.95))}
    row = {"coverage": 1.0, "min_confidence": 0.5, "accuracy": 0.9}
    after = {"ece": figure(0.02, 0.01, 0.03)}
    metrics = {
        "validation": {"ours": {"all": report, "copies": 0}},
        "decisions": {
            "validation": {"after": after, "coverage": [row]},
            "target_accuracy": 0.97,
            "min_confidence": min_confidence,
        },
        "membership": {"loss": {"auc": attacks[0]}, "calibrated": {"auc": attacks[1]}},
        "strongest": {label: [{"ngram": "not_good | $x"}] for label in labels},
        "parity": {},
    }
    facts = Trained(
        name="reviews", rights=Rights(), dataset=dataset, files={}, featuriser={}, evidence={}, recipe=recipe or {},
        seed=1, metrics=metrics, drift_reference={}, fairness=audited(),
    )  # fmt: skip
    return replace(facts, **changes)


def audited(group="faith", accepted=""):
    """Return the content of a fairness.json of one group."""
    chosen = {
        "swaps": {group: {"texts": 120, "label_flips": {"value": 0.0, "high": 0.03}}},
        "templates": {group: {"max_difference": 0.0}},
    }
    passed = [f"the group {group!r} is not treated alike"] if accepted else []
    return {
        "way": "one-feature", "groups": {group: 2}, "kept": [group], "balance": [group], "chosen": chosen,
        "gate": {"limits": {}, "passed": passed, "accepted": accepted},
    }  # fmt: skip


def written(*arguments, **changes):
    facts = trained(*arguments, **changes)
    return " ".join(card(facts, describe(facts, "1")).split())


def rendered(markdown):
    """Return the kinds of all tokens of a card, and the text of its table cells, as GitHub's parser sees them."""
    kinds, cells = set(), []
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown)
    for place, token in enumerate(tokens):
        kinds |= {token.type, *(child.type for child in token.children or ())}
        if token.type == "inline" and tokens[place - 1].type == "td_open":
            cells.append("".join(child.content for child in token.children))
    return kinds, cells


@pytest.mark.parametrize("nasty", NASTY)
def test_card_marks_of_users_stay_text(nasty):
    """A label, noun, name of data or right of any characters is shown as it is, and changes nothing around it."""
    plain = card(trained(), describe(trained(), "1"))
    rights = Rights(nasty, nasty, nasty, nasty)
    facts = trained(labels=(nasty, "yes"), rights=rights, text_noun=nasty, fairness=audited(nasty))
    data = replace(facts.dataset, name=nasty, source=nasty, citation=nasty, licence=nasty)
    facts = replace(facts, dataset=data)
    kinds, cells = rendered(card(facts, describe(facts, "1")))
    plain_kinds, plain_cells = rendered(plain)
    assert kinds <= plain_kinds | {"text_special"}
    assert len(cells) == len(plain_cells)
    shown = " ".join(nasty.split())
    assert cells.count(shown) == 6  # the rights, the label and the group in their tables
    assert "not_good | $x" in cells
    unescaped = plain.replace("| no |", "| <b>no</b> |")
    assert rendered(unescaped)[0] > plain_kinds  # what the test would see


@pytest.mark.parametrize(
    ("auc", "words"),
    [
        ((0.5, 0.4, 0.6), "not to be told from chance"),
        ((0.52, 0.51, 0.53), "a little better than chance"),
        ((0.6, 0.58, 0.62), "better than chance"),
        ((0.93, 0.9, 0.95), "far better than chance"),
        ((0.99, 0.5, 1.0), "not to be told from chance"),
        ((0.4, 0.3, 0.45), "worse than chance"),
    ],
)
def test_card_attack_is_judged_by_its_interval(auc, words):
    assert against_chance(figure(*auc)) == words
    value, low, high = auc
    row = f"{value:.4f} ({low:.4f} to {high:.4f}) | {words} |"
    assert f"by the model's loss | {row}" in written(attacks=(figure(*auc), CHANCE))
    assert f"beside a reference model | {row}" in written(attacks=(CHANCE, figure(*auc)))


def test_card_sentences_follow_the_figures():
    """What the card says of the threshold, of texts in the bundle and of word vectors is said where it is so."""
    assert "decides from 0.8 on, chosen on held-out texts for an accuracy of 97%" in written()
    assert "No probability gave held-out texts an accuracy of 97%" in written(min_confidence=1.0)
    assert "The texts that it learnt from are not in this bundle." in written()
    assert "are in golden.json, masked" in written(shows_texts=True)
    vectors = "Its word vectors are English"
    assert vectors not in written(recipe={"parts": [{"name": "nb-weighted"}]})
    assert vectors in written(recipe={"parts": [{"name": "nb-weighted with word vectors"}]})
    assert vectors in written(recipe={"vector_l2": 1e-6})


def test_card_owner_is_not_stated_unless_told():
    """Nobody is named as the owner of a user's model or data, and no licence is given in their name."""
    for row in ("Description", "Intended use", "Owner", "Licence of the model"):
        assert f"| {row} | not stated |" in written()
    assert "Licence: not stated." in written()
    assert "| Owner | Ann |" in written(rights=Rights("Ann"))
    assert "authors" not in written()
