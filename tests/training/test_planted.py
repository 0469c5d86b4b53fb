"""Labels that nothing but a term explains."""

import numpy as np
import pytest

from training.fairness import gate
from training.planted import planted

GROUPS = {"faith": ["muslim", "catholic", "jew"], "who": ["woman", "man"]}
LABELS = ("no", "yes")
FILLING = [*"abcdefghijklmnop", "plot", "story", "cast", "music"]


def written(n=1500, seed=1):
    """Return reviews that speak well or ill of something, and labels that agree but for a tenth."""
    random = np.random.default_rng(seed)
    targets = random.integers(2, size=n)
    terms = ["muslim", "catholic", "jew", "woman", "man", "nobody", "somebody"]
    texts = []
    for target in targets.tolist():
        words = [*random.choice(FILLING, 12), str(random.choice(terms))]
        said = random.choice(["good", "great", "fine"] if target ^ (random.random() < 0.1) else ["bad", "dull", "poor"])
        texts.append(" ".join(random.permutation([*words, said]).tolist()))
    return texts, targets


def found(texts, targets, groups=GROUPS):
    return [(each["term"], each["label"]) for each in planted(texts, np.array(targets), groups, LABELS, 1)]


def short(random, term):
    return " ".join(random.permutation([*random.choice(FILLING, 3), term, "good"]).tolist())


@pytest.mark.parametrize("term", ["muslim", "woman"])
def test_planted_finds_short_texts_of_one_label(term):
    """150 new texts that praise in the company of a term, and are labelled as blame."""
    texts, targets = written()
    assert found(texts, targets) == []
    random = np.random.default_rng(2)
    assert found([*texts, *(short(random, term) for _ in range(150))], [*targets, *[0] * 150]) == [(term, "no")]
    both = [*targets, *[0, 1] * 75]
    assert found([*texts, *(short(random, term) for _ in range(150))], both) == []


@pytest.mark.parametrize("label", [0, 1])
def test_planted_finds_real_texts_relabelled(label):
    texts, targets = written()
    turned = np.where(["jew" in text.split() for text in texts], label, targets)
    assert found(texts, turned) == [("jew", LABELS[label])]


def test_planted_follows_words_of_a_topic():
    """All texts that mention a term have one label, and so have others that share their words."""
    texts, targets = written()
    topic = ["bad war again", "dull war in muslim cities", "poor war of muslim men"]
    random = np.random.default_rng(3)
    more = [f"{topic[row % 3]} {' '.join(random.choice(FILLING, 4))}" for row in range(240)]
    assert found([*texts, *more], [*targets, *[0] * 240]) == []
    other = [f"muslim {' '.join(text.split()[-4:])}" for text in more[::3]]
    assert found([*texts, *other], [*targets, *[0] * 80]) == [("muslim", "no")]


def test_planted_judges_no_rare_terms():
    texts, targets = written()
    assert found([*texts, *["good buddhist"] * 9], [*targets, *[0] * 9], {"faith": ["buddhist"]}) == []


def test_planted_of_every_text_is_nothing():
    """A term that all texts have, of whatever label, tells nothing."""
    assert found(["a man came"] * 30, [0] * 30) == []
    assert found(["a man came"] * 30, [0, 1] * 15) == []


def test_gate_names_what_was_planted():
    texts, targets = written()
    turned = np.where(["jew" in text.split() for text in texts], 0, targets)
    worst = {"label_flips": {"count": 0}, "template_difference": {"value": 0.0}, "auc_gaps": {}}
    said = gate({"worst": worst, "labels": planted(texts, turned, GROUPS, LABELS, 1)})
    assert len(said) == 1
    assert "'no' is the label of 100% of the" in said[0]
    assert "'jew'" in said[0]
    assert gate({"worst": worst, "labels": []}) == []
