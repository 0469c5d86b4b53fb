"""Drift of windows of predictions: quiet on texts like those of training, loud on others, and no text is kept."""

import inspect
import json
import unittest
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest

from candor.cli.dashboard import widgets
from candor.model.classifier import Classifier, Prediction
from candor.operate.drift import ALARM, BINS, WINDOW, Monitor, histogram, psi, reference_distribution
from candor.operate.observe import DriftReporter
from candor.settings import Settings

LABELS = ("negative", "positive")
CLASSIFIER = Classifier.load(Settings.from_environ().bundle)


GROUPS = {"gender": 0.8, "religion": 0.04}


def predictions(count, seed, beta=8.0, length=200, oov_rate=0.02, positive=0.5, times=MappingProxyType({})):
    """Return random predictions with given distributions of confidence, length, out-of-vocabulary rate and label.

    `times` multiplies the share of texts that mention a group.
    """
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(count):
        confidence = 0.5 + rng.beta(beta, 2) / 2
        label, other = LABELS if rng.random() > positive else LABELS[::-1]
        probabilities = {label: confidence, other: 1 - confidence}
        tokens = int(rng.lognormal(np.log(length), 0.5))
        mentions = tuple(group for group, share in GROUPS.items() if rng.random() < share * times.get(group, 1))
        drawn.append(Prediction(label, probabilities, tokens, (), rng.beta(2, 2 / oov_rate), mentions))
    return drawn


REFERENCE = reference_distribution(predictions(2500, 1), LABELS, [*GROUPS, "age"])


def test_psi_equals_its_definition():
    assert psi(np.array([500, 500]), [0.5, 0.5]) == pytest.approx(0)
    observed, expected = np.array([0.3, 0.7]), np.array([0.5, 0.5])
    assert psi(np.array([300_000, 700_000]), [0.5, 0.5]) == pytest.approx(
        float(((observed - expected) * np.log(observed / expected)).sum()), abs=1e-4
    )
    assert psi(np.array([1000, 0]), [0.5, 0.5]) > 3, "an empty bin must not make the PSI infinite"


def test_histogram_counts_below_between_beyond_edges():
    assert histogram(np.array([0.0, 1.0, 1.5, 2.0, 9.0]), [1.0, 2.0]).tolist() == [1, 2, 2]
    assert sum(REFERENCE["length"]["shares"]) == pytest.approx(1, abs=1e-5)
    assert len(REFERENCE["length"]["shares"]) == len(REFERENCE["length"]["edges"]) + 1 == BINS


def test_monitor_same_distribution_stays_quiet():
    """No window of a hundred from the reference's own distribution reaches half of the alarm's threshold."""
    reports = Monitor(REFERENCE).add(predictions(100 * WINDOW, 2))
    assert len(reports) == 100
    assert max(report.max_psi for report in reports) < ALARM / 2


@pytest.mark.parametrize(
    ("measure", "change"),
    [
        ("confidence", {"beta": 2.0}), ("length", {"length": 60}), ("unseen", {"oov_rate": 0.1}),
        ("label", {"positive": 0.85}), ("mentions", {"times": {"religion": 6}}),
        ("mentions", {"times": {"gender": 0.6}}),
    ],
)  # fmt: skip
def test_monitor_one_shift_alarms_that_measure_alone(measure, change):
    (report,) = Monitor(REFERENCE).add(predictions(WINDOW, 3, **change))
    assert {name for name, value in report.psi.items() if value > ALARM} == {measure}


def test_monitor_chunked_input_same_reports():
    """Windows do not depend on how many predictions come at a time."""
    stream = predictions(3 * WINDOW, 4)
    once, pieces = Monitor(REFERENCE), Monitor(REFERENCE)
    whole = once.add(stream)
    assert [report for start in range(0, len(stream), 70) for report in pieces.add(stream[start : start + 70])] == whole
    assert len(whole) == 3


def test_monitor_small_bins_are_suppressed():
    (report,) = Monitor(REFERENCE).add(predictions(WINDOW, 5, positive=0.004))
    assert set(report.histograms["label"].values()) == {None}
    assert all(
        count is None or count == 0 or count >= 10 for bins in report.histograms.values() for count in bins.values()
    )


def test_monitor_small_groups_are_suppressed():
    """Neither those that few texts mention are told, nor those that nearly all do."""
    rows = [Prediction("positive", {"positive": 1.0}, 5, mentions=("gender", "religion") if number < 9 else ("gender",))
            for number in range(WINDOW)]  # fmt: skip
    (report,) = Monitor(REFERENCE).add(rows)
    assert report.histograms["mentions"] == {"gender": 500, "religion": None, "age": 0}
    (report,) = Monitor(REFERENCE).add([replace(rows[-1], mentions=()), *rows[1:10], *rows[10:], rows[-1]][:WINDOW])
    assert report.histograms["mentions"]["gender"] is None


def test_monitor_old_reference_has_no_mentions():
    """Bundles of before, and those of models that tell all groups apart, are watched as they were."""
    old = {name: measure for name, measure in REFERENCE.items() if name != "mentions"}
    assert old == reference_distribution(predictions(2500, 1), LABELS)
    window = predictions(WINDOW, 3)
    (report,), (new,) = Monitor(old).add(window), Monitor(REFERENCE).add(window)
    assert {**report.psi, "mentions": new.psi["mentions"]} == new.psi
    assert "mentions" not in report.psi


def test_bundle_reference_shares_sum_to_1():
    for name, reference in CLASSIFIER.drift_reference.items():
        if name == "mentions":  # a text may mention several groups, or none
            continue
        shares = [share for (share,) in reference.values()] if name == "label" else reference["shares"]
        assert sum(shares) == pytest.approx(1, abs=1e-4), name


def test_drift_reporter_other_domain_alarms(capsys, monkeypatch):
    """A model notices texts of another domain, and none of them is printed or measured."""
    monkeypatch.delenv("POWERTOOLS_METRICS_DISABLED", raising=False)
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Candor")
    texts = [doc for _, member in inspect.getmembers(unittest.TestCase) if (doc := inspect.getdoc(member))]
    predicted = CLASSIFIER.predict((texts * (WINDOW // len(texts) + 1))[:WINDOW])
    report_drift = DriftReporter(lambda: CLASSIFIER.drift_reference)
    report_drift(predicted[:-1])
    assert "Drift" not in capsys.readouterr().out
    report_drift(predicted[-1:])
    output = capsys.readouterr().out
    blobs = [json.loads(line) for line in output.splitlines() if "CloudWatchMetrics" in line]
    assert blobs[0]["Drift"][0] > ALARM
    assert {"Drift.confidence", "Drift.length", "Drift.unseen", "Drift.label"} <= blobs[0].keys()
    assert "assert" not in output.lower()


def test_drift_reporter_measures_mentions(capsys, caplog, monkeypatch):
    """A group that many more texts mention than before alarms, as a metric of its own, which names no group."""
    monkeypatch.delenv("POWERTOOLS_METRICS_DISABLED", raising=False)
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Candor")
    drifted = predictions(WINDOW, 7, times={"religion": 8})
    DriftReporter(lambda: REFERENCE)(drifted)
    old = {name: measure for name, measure in REFERENCE.items() if name != "mentions"}
    DriftReporter(lambda: old)(drifted)
    new, before = (json.loads(line) for line in capsys.readouterr().out.splitlines() if "CloudWatchMetrics" in line)
    assert new["Drift.mentions"] == new["Drift"]
    panel = next(each["properties"] for each in widgets("one") if each["properties"]["title"].startswith("Drift"))
    assert {name for name in new if name.startswith("Drift.")} == {metric[1] for metric in panel["metrics"]}
    assert new["Drift"][0] > ALARM > before["Drift"][0]
    assert "Drift.mentions" not in before
    assert caplog.records[0].histograms["mentions"]["religion"] > 100
