import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from training.membership import audit, losses, measures


def test_audit_separates_leak_from_chance():
    """Equal distributions give an AUC of 0.5, shifted ones a high one."""
    random = np.random.default_rng(1)
    same = audit(random.normal(size=5000), random.normal(size=5000), seed=1)
    assert same["auc"]["low"] < 0.5 < same["auc"]["high"]
    assert same["true_positives"]["value"] < 0.005
    leaking = audit(random.normal(3, size=5000), random.normal(size=5000), seed=1)
    assert leaking["auc"]["value"] > 0.95
    assert leaking["true_positives"]["value"] > 0.3


def test_audit_without_others_knows_nothing():
    """Of a few rows none may be left to attack with."""
    some, none = np.array([1.0, 2.0]), np.empty(0)
    for members, others in ((some, none), (none, some)):
        assert audit(members, others, seed=1)["auc"] == {"value": 0.5, "low": 0.0, "high": 1.0}
    assert audit(some, some - 5, seed=1)["auc"]["value"] == 1.0


@pytest.mark.parametrize("n", [1, 2, 5, 200])
def test_audit_interval_holds_its_value(n):
    """Also where the resamples of the others lose their highest score, and where members are told for sure."""
    for shift in (0, 1, 9):
        random = np.random.default_rng(n)
        found = audit(random.normal(shift, size=n), random.normal(size=n), seed=1)
        for each in found.values():
            assert each["low"] <= each["value"] <= each["high"]
        assert found["auc"]["low"] < found["auc"]["high"]


def test_measures_auc_equals_scikit_learn():
    """The area is that of scikit-learn, ties included."""
    random = np.random.default_rng(2)
    members, others = random.integers(0, 9, 400) + 0.0, random.integers(0, 7, 300) + 0.0
    expected = roc_auc_score(np.r_[np.ones(400), np.zeros(300)], np.r_[members, others])
    assert measures(members, others)[0] == pytest.approx(expected)


def test_losses_are_nats_of_the_true_label():
    assert losses(np.array([[0.25, 0.75], [1.0, 0.0]]), np.array([1, 1])) == pytest.approx(
        [-np.log(0.75), -np.log(1e-12)]
    )


def test_shipped_model_membership_auc_at_most_0_55():
    """The shipped model reveals little of who was in its training."""
    import json
    from pathlib import Path

    report = json.loads((Path(__file__).parents[2] / "training/report/report.json").read_text())
    found = report["metrics"]["membership"]
    for attack in ("loss", "calibrated"):
        assert 0.5 < found[attack]["auc"]["value"] <= 0.55
        assert found[attack]["auc"]["low"] < found[attack]["auc"]["value"] < found[attack]["auc"]["high"]
