"""The audit of fairness and its gate: made-up models of which it is known what they do."""

import json

import numpy as np
import pytest
from sklearn.metrics import recall_score, roc_auc_score

from training import fairness
from training.fairness import Answers, audit, gate

GROUPS = {"faith": ["muslim", "catholic", "jew"], "who": ["woman", "man"]}
LABELS = ("no", "yes")


def model(bias=0.0, term="muslim"):
    """Return a model that counts good and bad, and moves by `bias` where a text has the term."""

    def answer(texts):
        scores = np.array([text.count("good") - text.count("bad") + bias * (term in text.lower()) for text in texts])
        yes = 1 / (1 + np.exp(-2.0 * scores))
        probabilities = np.stack([1 - yes, yes], axis=1).reshape(-1, 2)
        decisions = np.where(probabilities.max(axis=1) > 0.8, probabilities.argmax(axis=1), -1)
        return Answers(probabilities, decisions)

    return answer


def written(n=600):
    random = np.random.default_rng(2)
    targets = random.integers(2, size=n)
    terms = ["muslim", "catholic", "jew", "woman", "men", "nobody", "table", "window"]
    texts = [
        f"A {terms[row % len(terms)]} said it is {'good' if target ^ (random.random() < 0.1) else 'bad'} n{row}"
        for row, target in enumerate(targets.tolist())
    ]
    return texts, targets


def audited(own=None, texts=None, targets=None, groups=GROUPS):
    own = own or model()
    if texts is None:
        texts, targets = written()
    return audit(own, texts, targets, own(texts).probabilities, groups, LABELS, seed=1)


def test_audit_of_a_fair_model_finds_nothing():
    found = audited()
    for name in GROUPS:
        assert found["swaps"][name]["label_flips"]["count"] == 0
        assert found["swaps"][name]["max_difference"] == 0
        assert found["templates"][name]["max_difference"] == 0
        assert found["templates"][name]["decision_pairs"] == 0
    assert gate(found) == []
    json.dumps(found, allow_nan=False)


def test_audit_finds_what_a_term_moves():
    """A known bias: 225 texts name a faith, 75 of them a muslim, whose label flips where it is swapped in or out."""
    found = audited(model(bias=-3.0))
    assert found["swaps"]["faith"]["label_flips"]["count"] > 50
    assert found["swaps"]["who"]["label_flips"]["count"] == 0
    spread = found["templates"]["faith"]
    assert spread["max_difference"] > 0.8
    assert 0 < spread["mean_difference"] <= spread["max_difference"]
    assert 0 < spread["decision_pairs"] <= 1
    assert found["worst"]["label_flips"]["group"] == found["worst"]["template_difference"]["group"] == "faith"
    said = gate(found)
    assert len(said) >= 2
    assert all("'faith'" in each for each in said)


def test_gate_control_words_are_no_group():
    """A model may tell a table from a window."""
    assert gate(audited(model(bias=-3.0, term="table"))) == []
    assert gate(audited(model(bias=-3.0, term="catholic"))) != []


def test_gate_limits_are_data():
    assert fairness.limits() == json.loads((fairness._PATH / "limits.json").read_text())


@pytest.mark.parametrize("bias", [-0.05, -0.2])
def test_gate_follows_the_limit_of_templates(bias):
    found = audited(model(bias=bias))
    passed = found["worst"]["template_difference"]["value"] > fairness.limits()["template_difference"]
    assert passed == any("move a probability" in each for each in gate(found)) == (bias < -0.1)


def test_rates_are_those_of_their_definitions():
    """True positive rate, subgroup, BPSN and BNSP AUC (Borkan et al. 2019, section 3), by another library."""
    texts, targets = written(1200)
    own = model(bias=-0.4)
    scores = own(texts).probabilities
    found = audited(own, texts, targets)["groups"]
    inside = np.array([any(term in text for term in ("muslim", "catholic", "jew")) for text in texts])
    positive = targets == 1
    faith = found["faith"]
    for name, chosen in (
        ("subgroup", inside),
        ("bpsn", (~inside & positive) | (inside & ~positive)),
        ("bnsp", (inside & positive) | (~inside & ~positive)),
    ):
        assert faith[f"{name}_auc"]["value"] == pytest.approx(
            roc_auc_score(positive[chosen], scores[chosen, 1]), abs=1e-6
        )
        assert faith[f"{name}_auc"]["low"] <= faith[f"{name}_auc"]["value"] <= faith[f"{name}_auc"]["high"]
    assert faith["labels"]["yes"]["tpr"] == pytest.approx(
        recall_score(positive[inside], scores[inside, 1] > 0.5), abs=1e-6
    )
    assert faith["texts"] == inside.sum()


def test_rates_of_few_texts_are_left_out():
    texts = ["a muslim said good"] * 9 + ["a woman said bad"] * 120 + ["good"] * 100
    targets = np.array([1] * 9 + [0] * 120 + [1] * 100)
    found = audited(model(), texts, targets)
    assert found["groups"]["faith"] == {"texts": None}
    assert found["groups"]["who"]["texts"] == 120
    assert found["swaps"]["faith"] == {"texts": None}
    assert found["groups"]["who"]["labels"]["yes"]["tpr"] is None
    json.dumps(found, allow_nan=False)


def test_audit_without_labels_or_texts():
    """Templates of ours always stand; a file of texts without labels has swaps, too."""
    texts, _ = written()
    none = np.empty(0, np.int64)
    found = audit(model(-3.0), texts, none, np.empty((0, 2)), GROUPS, LABELS, seed=1)
    assert "groups" not in found
    assert found["swaps"]["faith"]["texts"] == 225
    alone = audit(model(-3.0), [], none, np.empty((0, 2)), GROUPS, LABELS, seed=1)
    assert alone["swaps"]["faith"] == {"texts": None}
    assert gate(alone) != []


def test_audit_of_chinese_terms():
    found = audited(model(bias=-3.0, term="女"), groups={"who": ["女", "男"]})
    assert found["templates"]["who"]["max_difference"] > 0.4
    assert audited(model(), groups={"who": ["女", "男"]})["templates"]["who"]["max_difference"] == 0
