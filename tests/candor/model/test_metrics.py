import json
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from candor.model.metrics import (
    _Ranking,
    _resamples,
    accuracy_gain,
    calibration,
    confidence_threshold,
    coverage,
    decided,
    evaluate,
    reports,
    threshold_interval,
    wilson_interval,
)

NAMES = ("accuracy", "precision", "recall", "f1", "roc_auc", "log_loss", "brier")


def scored(rows, labels, seed, decimals=12):
    """Probabilities that know something of their targets; few decimals make many ties."""
    random = np.random.default_rng(seed)
    targets = random.integers(labels, size=rows)
    logits = random.normal(size=(rows, labels)) + 1.2 * np.eye(labels)[targets]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    probabilities = probabilities.round(decimals)
    return probabilities / probabilities.sum(axis=1, keepdims=True), targets


def names(labels):
    return tuple(f"label {k}" for k in range(labels))


def by_reference(probabilities, targets):
    labels = range(probabilities.shape[1])
    predicted = probabilities.argmax(axis=1)
    precision, recall, f1, _ = reference.precision_recall_fscore_support(
        targets, predicted, average="macro", labels=labels, zero_division=0
    )
    scores = probabilities[:, 1] if len(labels) == 2 else probabilities
    return {
        "accuracy": reference.accuracy_score(targets, predicted),
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "roc_auc": reference.roc_auc_score(targets, scores, multi_class="ovr", labels=labels),
        "log_loss": reference.log_loss(targets, probabilities, labels=labels),
        "brier": reference.brier_score_loss(targets, scores, labels=labels),
    }


@pytest.mark.parametrize("labels", [2, 3, 7])
@pytest.mark.parametrize("decimals", [12, 1])
def test_evaluate_metrics_equal_scikit_learn(labels, decimals):
    """Every metric equals scikit-learn's, with ties and without."""
    probabilities, targets = scored(500, labels, seed=labels, decimals=decimals)
    report = evaluate(probabilities, targets, names(labels), seed=1, resamples=20)
    for name, value in by_reference(probabilities, targets).items():
        assert report[name]["value"] == pytest.approx(value, abs=1e-6), name


@pytest.mark.parametrize("labels", [2, 4])
def test_evaluate_by_label_equals_scikit_learn(labels):
    """Metrics by label and the confusion matrix equal scikit-learn's."""
    probabilities, targets = scored(300, labels, seed=5)
    predicted = probabilities.argmax(axis=1)
    report = evaluate(probabilities, targets, names(labels), seed=1, resamples=20)
    expected = reference.precision_recall_fscore_support(targets, predicted, labels=range(labels))
    for name, values in zip(("precision", "recall", "f1"), expected, strict=False):
        assert [row[name]["value"] for row in report["by_label"].values()] == pytest.approx(values, abs=1e-6)
    assert [row["n"] for row in report["by_label"].values()] == expected[3].tolist()
    assert report["confusion_matrix"]["labels"] == list(report["by_label"]) == list(names(labels))
    assert report["confusion_matrix"]["counts"] == reference.confusion_matrix(targets, predicted).tolist()


def test_ranking_of_resamples_equals_scikit_learn():
    """The AUC of each resample equals scikit-learn's weighted AUC."""
    probabilities, targets = scored(200, 2, seed=3, decimals=1)
    counts = next(_resamples(200, 30, seed=4))
    expected = [reference.roc_auc_score(targets, probabilities[:, 1], sample_weight=column) for column in counts.T]
    assert _Ranking(probabilities[:, 1], targets == 1)(counts) == pytest.approx(expected, abs=1e-12)


def test_evaluate_intervals_equal_naive_bootstrap():
    """Intervals equal those of metrics computed on each resample by itself."""
    probabilities, targets = scored(150, 3, seed=8, decimals=2)
    report = evaluate(probabilities, targets, names(3), seed=9, resamples=100)
    drawn = [np.repeat(np.arange(150), column) for block in _resamples(150, 100, seed=9) for column in block.T]
    values = [by_reference(probabilities[rows], targets[rows]) for rows in drawn]
    for name in NAMES[1:]:
        low, high = np.quantile([value[name] for value in values], [0.025, 0.975])
        assert (report[name]["low"], report[name]["high"]) == pytest.approx((low, high), abs=1e-6), name
    matrices = [reference.confusion_matrix(targets[rows], probabilities[rows].argmax(axis=1)) for rows in drawn]
    assert np.allclose(report["confusion_matrix"]["low"], np.quantile(matrices, 0.025, axis=0))
    assert np.allclose(report["confusion_matrix"]["high"], np.quantile(matrices, 0.975, axis=0))


def test_resamples_draw_n_rows_each():
    """Each resample draws as many rows as there are, each row once on average."""
    blocks = list(_resamples(40, 150, seed=0))
    assert sum(block.shape[1] for block in blocks) == 150
    assert all((block.sum(axis=0) == 40).all() for block in blocks)
    assert np.concatenate(blocks, axis=1).mean(axis=1) == pytest.approx(np.ones(40), abs=0.4)


def test_evaluate_accuracy_interval_is_wilsons():
    """It is the same in every report, and not empty where every answer is right."""
    for wrong in (100, 0):
        probabilities = np.tile([0.9, 0.1], (1000, 1))
        probabilities[:wrong] = [0.1, 0.9]
        accuracy = evaluate(probabilities, np.zeros(1000, np.int64), ("no", "yes"), seed=1, resamples=2)["accuracy"]
        low, high = wilson_interval(1000 - wrong, 1000)
        assert accuracy == pytest.approx({"value": 1 - wrong / 1000, "low": low, "high": high}, abs=1e-6)


def test_evaluate_intervals_cover_the_truth():
    """Nine in ten intervals or more hold the true figure, where rare labels are missing in many resamples, too."""

    def drawn(rows, seed):
        random = np.random.default_rng(seed)
        targets = random.choice(5, size=rows, p=[0.55, 0.2, 0.15, 0.07, 0.03])
        logits = random.normal(size=(rows, 5)) + 1.5 * np.eye(5)[targets]
        return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), targets

    every = drawn(50_000, 0)
    truth = evaluate(*every, names(5), seed=1, resamples=2) | calibration(*every, seed=1, resamples=2)
    held = dict.fromkeys(("accuracy", "f1", "roc_auc", "brier", "ece"), 0)
    for seed in range(1, 101):
        report = evaluate(*drawn(200, seed), names(5), seed=seed, resamples=100)
        report |= calibration(*drawn(200, seed), seed=seed, resamples=100)
        for name in held:
            held[name] += report[name]["low"] <= truth[name]["value"] <= report[name]["high"]
    assert min(held.values()) >= 85, held


def test_evaluate_labels_missing_in_resamples():
    """A label that a resample lacks counts nothing there: 30 labels of one or two rows, all right, are all right."""
    targets = np.arange(50) % 30
    report = evaluate(np.eye(30)[targets], targets, names(30), seed=1, resamples=200)
    for name in ("precision", "recall", "f1"):
        assert report[name] == {"value": 1, "low": pytest.approx(wilson_interval(50, 50)[0], abs=1e-6), "high": 1}


@st.composite
def small(draw):
    """Return probabilities [n, K] and targets [n] of few rows: tied, perfect, all wrong, labels without rows."""
    rows, labels = draw(st.integers(1, 12)), draw(st.integers(2, 6))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    targets = random.integers(draw(st.integers(1, labels)), size=rows)
    logits = random.normal(size=(rows, labels)) + draw(st.sampled_from([-40, 0, 1, 3, 40])) * np.eye(labels)[targets]
    if draw(st.booleans()):
        logits = logits.round()
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True), targets


def intervals(report):
    """Yield every value with its interval in a report."""
    if isinstance(report, dict) and {"value", "low", "high"} <= report.keys():
        yield report["low"], report["value"], report["high"]
    elif isinstance(report, dict):
        for each in report.values():
            yield from intervals(each)


@given(small(), st.integers(0, 9))
def test_every_interval_holds_its_value(sample, seed):
    """Of any sample, however small; and no interval of a share is empty, as if all were known."""
    probabilities, targets = sample
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = evaluate(probabilities, targets, names(probabilities.shape[1]), seed=seed, resamples=20)
        report["ece"] = calibration(probabilities, targets, seed=seed, resamples=20)["ece"]
        report["gain"] = accuracy_gain(probabilities, probabilities[::-1], targets, seed=seed, resamples=20)
        threshold = confidence_threshold(probabilities, targets, 0.9)
        report["threshold"] = threshold_interval(probabilities, targets, 0.9, seed=seed, resamples=20)
        report["threshold"]["value"] = threshold
        sure = decided(probabilities, targets, threshold)
        report["decided"] = {**sure, "value": sure["accuracy"]}
    found = list(intervals(report))
    assert len(found) == 7 + 3 * probabilities.shape[1] + 4
    assert [each for each in found if not each[0] <= each[1] <= each[2]] == []
    for name in ("accuracy", "precision", "recall", "f1", "roc_auc", "decided"):
        assert 0 <= report[name]["low"] < report[name]["high"] <= 1, name
    counts = np.array([report["confusion_matrix"][side] for side in ("low", "counts", "high")])
    assert (np.diff(counts, axis=0) >= 0).all()


@given(st.integers(1, 10**9), st.data())
def test_wilson_interval_holds_the_share(n, data):
    correct = data.draw(st.integers(0, n) | st.sampled_from([0, n]))
    low, high = wilson_interval(correct, n)
    assert 0 <= low <= correct / n <= high <= 1


def test_evaluate_seed_determines_report():
    """Equal seeds give equal reports; another seed gives other intervals."""
    probabilities, targets = scored(300, 3, seed=2)
    first, again, other = (evaluate(probabilities, targets, names(3), seed=s, resamples=100) for s in (1, 1, 2))
    assert json.dumps(first) == json.dumps(again)
    assert first["log_loss"]["value"] == other["log_loss"]["value"]
    assert first["log_loss"]["low"] != other["log_loss"]["low"]


def test_evaluate_missing_label_gives_no_nan():
    """A label that some resamples or all rows lack leaves no NaN."""
    probabilities, _ = scored(40, 4, seed=2)
    targets = np.array([0, 1] * 19 + [2, 0])  # label 2 has one row, label 3 none
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = evaluate(probabilities, targets, names(4), seed=1, resamples=200)
    json.dumps(report, allow_nan=False)
    assert report["by_label"]["label 3"]["recall"] == {"value": 0, "low": 0, "high": 1}
    known = [reference.roc_auc_score(targets == k, probabilities[:, k]) for k in range(3)]
    assert report["roc_auc"]["value"] == pytest.approx(np.mean(known), abs=1e-6)
    alone = evaluate(probabilities, np.zeros(40, np.int64), names(4), seed=1, resamples=20)
    assert alone["roc_auc"] == {"value": 0.5, "low": 0, "high": 1}


def test_evaluate_zero_probability_has_finite_log_loss():
    """Two rows are enough. A probability of 0 for the true label gives a finite log loss."""
    report = evaluate(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([1, 1]), ("a", "b"), seed=1, resamples=10)
    assert report["log_loss"]["value"] == pytest.approx(-np.log(np.finfo(np.float64).eps) / 2, abs=1e-6)
    assert report["brier"]["value"] == 0.5
    assert (report["by_label"]["b"]["recall"]["value"], report["by_label"]["b"]["precision"]["value"]) == (0.5, 1)


def test_reports_leave_copies_out_of_the_second_only():
    """Copies are left out of the second report only."""
    probabilities, targets = scored(400, 2, seed=2)
    copies = np.arange(400) < 30
    both = reports(probabilities, targets, ("a", "b"), copies, seed=1, resamples=50)
    assert (both["copies"], both["all"]["n"], both["without_copies"]["n"]) == (30, 400, 370)
    assert both["all"] == evaluate(probabilities, targets, ("a", "b"), seed=1, resamples=50)
    assert both["without_copies"] == evaluate(probabilities[30:], targets[30:], ("a", "b"), seed=1, resamples=50)


def test_accuracy_gain_of_equal_networks_is_zero():
    """The gain is paired: equal networks gain exactly nothing."""
    probabilities, targets = scored(400, 2, seed=2)
    worse = probabilities.copy()
    worse[:100] = worse[:100, ::-1]
    assert accuracy_gain(probabilities, probabilities, targets, seed=1) == {"value": 0, "low": 0, "high": 0}
    gain = accuracy_gain(probabilities, worse, targets, seed=1)
    expected = ((probabilities.argmax(1) == targets).mean() - (worse.argmax(1) == targets).mean()).item()
    assert gain["value"] == pytest.approx(expected, abs=1e-6)
    assert 0 < gain["low"] < gain["value"] < gain["high"]


@pytest.mark.parametrize(
    ("probabilities", "targets", "labels"),
    [
        ([[0.5, 0.5]], [0, 1], ("a", "b")),
        ([[0.5, 0.5]], [2], ("a", "b")),
        ([[0.5, 0.5]], [-1], ("a", "b")),
        ([[0.5, 0.6]], [0], ("a", "b")),
        ([[1.5, -0.5]], [0], ("a", "b")),
        ([[np.nan, 0.5]], [0], ("a", "b")),
        ([[1.0]], [0], ("a",)),
        (np.empty((0, 2)), [], ("a", "b")),
    ],
)
def test_evaluate_invalid_arguments_raise_value_error(probabilities, targets, labels):
    """Shapes that do not fit, targets out of range and invalid probabilities are refused."""
    evaluate(np.array([[0.5, 0.5]]), np.array([0]), ("a", "b"), seed=1, resamples=2)
    with pytest.raises(ValueError, match=r"fit|targets|probabilities"):
        evaluate(np.asarray(probabilities), np.asarray(targets, np.int64), labels, seed=1, resamples=2)


def test_calibration_is_weighted_gap_to_accuracy():
    """The error is the gap between confidence and accuracy, weighted by bin."""
    confidence = np.array([0.9] * 10 + [0.6] * 30)
    targets = np.array([0] * 8 + [1] * 2 + [0] * 18 + [1] * 12)
    result = calibration(np.stack([confidence, 1 - confidence], axis=1), targets, seed=1, resamples=200)
    assert result["ece"]["value"] == pytest.approx((10 * 0.1 + 30 * 0.0) / 40)
    assert result["ece"]["low"] <= result["ece"]["value"] <= result["ece"]["high"]
    assert [(row["n"], row["accuracy"]) for row in result["bins"]] == [(30, 0.6), (10, 0.8)]


def test_calibration_opposite_gaps_do_not_cancel():
    """Overconfidence in one bin does not cancel underconfidence in another."""
    confidence = np.array([0.9] * 20 + [0.6] * 20)
    targets = np.array([0] * 14 + [1] * 6 + [0] * 16 + [1] * 4)  # right 0.7 and 0.8 of the time
    result = calibration(np.stack([confidence, 1 - confidence], axis=1), targets, seed=1, resamples=2)
    assert result["ece"]["value"] == pytest.approx(0.2)


def test_calibration_true_probabilities_is_near_zero():
    """True probabilities have almost no calibration error."""
    random = np.random.default_rng(2)
    first = random.random(40_000)
    targets = (random.random(40_000) > first).astype(int)
    true, false = (calibration(np.stack([p, 1 - p], axis=1), targets, seed=1, resamples=2) for p in (first, first**2))
    assert true["ece"]["value"] < 0.01 < 0.05 < false["ece"]["value"]


def test_confidence_threshold_reaches_the_accuracy():
    """Accuracy falls with coverage, and the threshold reaches the accuracy asked for."""
    random = np.random.default_rng(3)
    confidence = 0.5 + random.random(2000) / 2
    targets = (random.random(2000) > confidence).astype(int)
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    rows = coverage(probabilities, targets)
    assert [row["coverage"] for row in rows] == sorted((row["coverage"] for row in rows), reverse=True)
    assert rows[-1]["accuracy"] > rows[0]["accuracy"] + 0.1
    threshold = confidence_threshold(probabilities, targets, 0.9)
    decided = confidence >= threshold
    assert (targets[decided] == 0).mean() >= 0.9
    assert (targets[confidence >= threshold - 0.05] == 0).mean() < 0.9
    assert confidence_threshold(probabilities, 1 - targets, 0.99) == 1.0


def confident(rows, seed=3):
    """Return probabilities of two labels that are true: a confidence of p is right in p of the texts."""
    random = np.random.default_rng(seed)
    confidence = 0.5 + random.random(rows) / 2
    targets = (random.random(rows) > confidence).astype(int)
    return np.stack([confidence, 1 - confidence], axis=1), targets


@pytest.mark.parametrize("lowest", [0.5, 0.9, 0.9991, 0.99996, 0.9999996, 1.0])
def test_confidence_threshold_decides_what_chose_it(lowest):
    """Of an easy task, all of whose texts are right, every text is decided, however close to 1 the model is."""
    confidence = np.append(lowest + (1 - lowest) * np.random.default_rng(5).random(500), lowest)
    probabilities, targets = np.stack([confidence, 1 - confidence], axis=1), np.zeros(501, int)
    threshold = confidence_threshold(probabilities, targets, 0.97)
    assert lowest - 1.01e-4 < threshold <= min(lowest, 0.9999)
    assert decided(probabilities, targets, threshold)["n"] == 501
    assert coverage(probabilities, targets, [1])[0]["min_confidence"] == threshold
    assert confidence_threshold(probabilities, targets + 1, 0.97) == 1.0


@pytest.mark.parametrize("seed", range(20))
def test_confidence_threshold_accuracy_of_decided(seed):
    """All texts at the threshold or above are as accurate as asked, ties and rounding included; no lower one does."""
    random = np.random.default_rng(seed)
    confidence = random.choice([random.random(300), random.random(8).repeat(40), np.full(50, 0.75)][seed % 3], 300)
    confidence = 0.9995 + confidence / 2000
    probabilities, targets = np.stack([confidence, 1 - confidence], axis=1), (random.random(300) < 0.1).astype(int)
    threshold = confidence_threshold(probabilities, targets, 0.9)
    found = [decided(probabilities, targets, step / 10_000) for step in range(9995, 10_000)]
    reached = [each for each in found if each["n"] and each["accuracy"] >= 0.9]
    assert (threshold < 1) == bool(reached)
    assert not reached or decided(probabilities, targets, threshold) == reached[0]


def test_threshold_interval_holds_the_threshold():
    """The interval lies around the threshold, and narrows with more texts."""
    widths = []
    for rows in (100, 5000):
        probabilities, targets = confident(rows)
        found = threshold_interval(probabilities, targets, 0.9, seed=1)
        assert found["low"] < confidence_threshold(probabilities, targets, 0.9) < found["high"]
        widths.append(found["high"] - found["low"])
    assert widths[1] < widths[0] / 2
    assert found["low"] < 0.8 < found["high"]  # above 0.8 nine of ten are right


def test_threshold_interval_same_seed_same_interval():
    probabilities, targets = confident(300)
    found = [threshold_interval(probabilities, targets, 0.9, seed=seed, resamples=50) for seed in (1, 1, 2)]
    assert found[0] == found[1] != found[2]


def test_threshold_interval_out_of_reach_is_one():
    """Where no text is right no threshold helps; where all are right the least confident one decides."""
    probabilities, _ = confident(50)
    wrong, right = (threshold_interval(probabilities, np.full(50, label), 0.97, seed=1) for label in (1, 0))
    assert wrong == {"low": 1.0, "high": 1.0}
    assert right["low"] == pytest.approx(probabilities.max(axis=1).min(), abs=1e-4)


def test_decided_counts_texts_at_the_threshold():
    """A text whose confidence is the threshold is decided; of those the right ones count."""
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.6, 0.4]])
    found = decided(probabilities, np.array([0, 0, 0, 1]), 0.7)
    low, high = wilson_interval(2, 3)
    assert found == {"n": 3, "share": 0.75, "accuracy": 0.666667, "low": round(low, 4), "high": round(high, 4)}
    everything = decided(probabilities, np.array([0, 0, 0, 1]), 0.0)
    assert (everything["n"], everything["accuracy"]) == (4, 0.5)


def test_decided_nothing_has_no_accuracy_to_claim():
    """Where nothing is decided the interval is all of 0 to 1."""
    probabilities, targets = confident(20)
    assert decided(probabilities, targets, 1.0) == {"n": 0, "share": 0.0, "accuracy": 1.0, "low": 0.0, "high": 1.0}
    assert decided(probabilities, targets, 0.6)["n"] > 0
