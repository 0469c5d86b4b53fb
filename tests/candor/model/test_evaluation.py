"""What is measured of answers to labelled texts, against counts made by hand; and the verdict on them."""

import json

import numpy as np
import pytest

from candor.model.evaluation import MAX_ERRORS, MAX_PAIRS, Answers, compare, confused_pairs, evaluate
from candor.model.metrics import wilson_interval

LABELS = ("a", "b", "c")
OWN = {"split": "test", "n": 500, "accuracy": {"value": 0.9}}


def answers(probabilities, targets, warnings=None, min_confidence=0.7):
    """Return answers whose lines are 2, 3 and so on."""
    lines = np.arange(len(targets)) + 2
    return Answers(LABELS, np.array(probabilities), np.array(targets), lines, min_confidence, warnings)


def sure(label, confidence=0.9):
    """Return probabilities of the labels where one has this confidence."""
    return [confidence if each == label else (1 - confidence) / 2 for each in LABELS]


def test_evaluate_by_label_has_score_intervals():
    """Intervals of shares are Wilson's, so they hold where every answer is right, too."""
    report = evaluate(answers([sure("a")] * 6 + [sure("b")] * 4, [0] * 6 + [1] * 3 + [0]), seed=1)
    low, high = wilson_interval(6, 7)
    assert report["by_label"]["a"]["recall"] == pytest.approx({"value": 6 / 7, "low": low, "high": high}, abs=1e-6)
    assert report["by_label"]["a"]["precision"]["value"] == 1
    assert 0.5 < report["by_label"]["a"]["precision"]["low"] < 0.7
    assert report["by_label"]["b"]["f1"]["value"] == pytest.approx(6 / 7, abs=1e-6)
    share = wilson_interval(3, 4)  # of TP / (TP + FP + FN)
    expected = [2 * each / (1 + each) for each in share]
    assert [report["by_label"]["b"]["f1"][side] for side in ("low", "high")] == pytest.approx(expected, abs=1e-6)
    assert (report["by_label"]["c"]["n"], report["by_label"]["c"]["answers"]) == (0, 0)
    assert report["accuracy"]["low"] == pytest.approx(wilson_interval(9, 10)[0], abs=1e-6)
    json.dumps(report, allow_nan=False)


def test_evaluate_absent_label_not_in_macro_f1():
    """A label without texts does not lower the mean over labels; one that is never answered does."""
    right = [sure("a")] * 3 + [sure("b")] * 3
    assert evaluate(answers(right, [0] * 3 + [1] * 3), seed=1)["f1"]["value"] == 1
    assert evaluate(answers(right, [0] * 3 + [1, 1, 2]), seed=1)["f1"]["value"] < 0.7


def test_evaluate_decided_leaves_out_warned_texts():
    """As the API does, the model decides no text with a warning."""
    probabilities = [sure("a"), sure("b"), sure("c"), sure("a", 0.6)]
    targets = [0, 0, 2, 0]
    plain = evaluate(answers(probabilities, targets), seed=1)
    assert (plain["decided"]["n"], plain["decided"]["accuracy"], plain["warnings"]) == (3, 0.666667, None)
    warned = evaluate(answers(probabilities, targets, [(), ("LOW_EVIDENCE",), (), ()]), seed=1)
    assert (warned["decided"]["n"], warned["decided"]["accuracy"]) == (2, 1)
    assert warned["warnings"] == {"LOW_EVIDENCE": 1}
    nothing = evaluate(answers(probabilities, targets, min_confidence=0.95), seed=1)
    assert (nothing["decided"]["n"], nothing["decided"]["accuracy"]) == (0, None)


def test_evaluate_shares_of_texts_and_answers():
    report = evaluate(answers([sure("a")] * 3 + [sure("b")], [0, 0, 2, 2]), seed=1)
    assert report["shares"] == {
        "a": {"texts": 0.5, "answers": 0.75},
        "b": {"texts": 0, "answers": 0.25},
        "c": {"texts": 0.5, "answers": 0},
    }


def test_worst_errors_surest_decided_first():
    """Wrong answers that were decided come first, then by confidence, then by line; right ones are none."""
    probabilities = [sure("a", 0.8), sure("a", 0.99), sure("a", 0.9), sure("a", 0.99), sure("b", 0.95), sure("b", 0.8)]
    warnings = [(), (), (), ("LOW_EVIDENCE",), (), ()]
    found = evaluate(answers(probabilities, [1, 0, 2, 1, 0, 0], warnings), seed=1)["worst_errors"]
    assert [each["line"] for each in found] == [6, 4, 2, 7, 5]
    assert found[0] == {"line": 6, "label": "a", "predicted": "b", "probability": 0.95, "decided": True}
    assert not found[-1]["decided"]
    many = evaluate(answers([sure("a")] * 50, [1] * 50), seed=1)["worst_errors"]
    assert [each["line"] for each in many] == [*range(2, 2 + MAX_ERRORS)]


@pytest.mark.parametrize(
    ("n", "accuracy", "verdict"),
    [
        (200, 0.8, "worse"),
        (200, 0.84, "worse"),
        (200, 0.86, "holds"),  # a difference of 4 points may be chance
        (20, 0.8, "holds"),  # and so may 10 points be of 20 texts
        (20, 0.7, "worse"),
        (200, 0.9, "holds"),
        (200, 0.97, "better"),
        (1, 1.0, "holds"),
    ],
)
def test_compare_verdict_follows_the_interval(n, accuracy, verdict):
    found = compare({"n": n, "accuracy": {"value": accuracy}}, OWN)
    assert found["verdict"] == verdict
    inside = found["difference"]["low"] <= 0 <= found["difference"]["high"]
    assert inside is (verdict == "holds")


def test_compare_sentence_has_both_accuracies():
    found = compare({"n": 200, "accuracy": {"value": 0.8}}, OWN)
    assert found["sentence"] == (
        "Worse than the model's own figures: 80.0% accurate here, 90.0% on its test split of 500 texts "
        "(difference \u221210.0 points, 95% interval \u221216.5 to \u22124.2)."
    )


def test_compare_validation_is_called_held_out():
    """Figures of folds are of held-out texts: a reader knows no validation split."""
    found = compare({"n": 200, "accuracy": {"value": 0.9}}, OWN | {"split": "validation"})
    assert "90.0% on its 500 held-out texts (difference " in found["sentence"]


@pytest.mark.parametrize(("accuracy", "asks"), [(0.9, False), (0.94, False), (0.96, True), (1.0, True)])
def test_compare_gain_too_good_is_questioned(accuracy, asks):
    """A significant gain of five points or more may come of texts that the model has learnt from."""
    found = compare({"n": 1000, "accuracy": {"value": accuracy}}, OWN)
    assert found["sentence"].endswith(" Are these the texts that it learnt from?") is asks
    assert "Are these" not in compare({"n": 5, "accuracy": {"value": 1.0}}, OWN)["sentence"]


def test_compare_learnt_texts_says_nothing_else():
    assert compare({"n": 1000, "accuracy": {"value": 1.0}}, OWN, learnt=True) == {
        "verdict": "unknown",
        "sentence": "These are the texts that the model learnt from, so the figures say nothing about new ones.",
    }


@pytest.mark.parametrize("own", [{}, {"split": "test"}, {"split": "test", "n": 0, "accuracy": {"value": 1}}])
def test_compare_without_own_figures_is_unknown(own):
    found = compare({"n": 200, "accuracy": {"value": 0.8}}, own)
    assert found == {"verdict": "unknown", "sentence": "The model states no accuracy of its own to compare with."}


def test_confused_pairs_most_frequent_first():
    """Pairs are counted by label and prediction, with their share of the label; right texts are none."""
    targets = np.array([0] * 10 + [1] * 5 + [2] * 4)
    predicted = np.array([0] * 7 + [1] * 3 + [1] * 4 + [2] + [2] * 4)
    assert confused_pairs(np.eye(3)[predicted], targets, LABELS) == [
        {"label": "a", "predicted": "b", "texts": 3, "share": 0.3},
        {"label": "b", "predicted": "c", "texts": 1, "share": 0.2},
    ]
    assert confused_pairs(np.eye(3)[targets], targets, LABELS) == []


def test_confused_pairs_lists_ten_at_most():
    targets, names = np.repeat(np.arange(12), 3), [f"l{index}" for index in range(12)]
    found = confused_pairs(np.eye(12)[(targets + 1) % 12], targets, names)
    assert [each["label"] for each in found] == names[:MAX_PAIRS]
