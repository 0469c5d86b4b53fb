"""Windows of predictions: quiet on texts like those of training, loud on others, and nothing kept of either."""

import inspect
import json
import unittest

import numpy as np
import pytest

from candor.classifier import Classifier, Prediction
from candor.drift import ALARM, BINS, WINDOW, Monitor, baseline, histogram, psi
from candor.observe import Watch
from candor.settings import Settings

LABELS = ("negative", "positive")
CLASSIFIER = Classifier.load(Settings.from_environ().bundle)


def predictions(count, seed, sure=8.0, length=200, unseen=0.02, positive=0.5):
    chance = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        confidence = 0.5 + chance.beta(sure, 2) / 2
        label, other = LABELS if chance.random() > positive else LABELS[::-1]
        shares = {label: confidence, other: 1 - confidence}
        made.append(
            Prediction(label, shares, int(chance.lognormal(np.log(length), 0.5)), (), chance.beta(2, 2 / unseen))
        )
    return made


USUAL = baseline(predictions(2500, 1), LABELS)


def test_the_index_is_that_of_its_definition():
    assert psi(np.array([500, 500]), [0.5, 0.5]) == pytest.approx(0)
    found, expected = np.array([0.3, 0.7]), np.array([0.5, 0.5])
    assert psi(np.array([300_000, 700_000]), [0.5, 0.5]) == pytest.approx(
        float(((found - expected) * np.log(found / expected)).sum()), abs=1e-4
    )
    assert psi(np.array([1000, 0]), [0.5, 0.5]) > 3, "a bin that is empty must not end in infinity"


def test_bins_hold_what_is_below_between_and_beyond_their_edges():
    assert histogram(np.array([0.0, 1.0, 1.5, 2.0, 9.0]), [1.0, 2.0]).tolist() == [1, 2, 2]
    assert sum(USUAL["length"]["shares"]) == pytest.approx(1, abs=1e-5)
    assert len(USUAL["length"]["shares"]) == len(USUAL["length"]["edges"]) + 1 == BINS


def test_it_is_quiet_on_texts_of_the_same_kind_for_a_hundred_windows():
    reports = Monitor(USUAL).add(predictions(100 * WINDOW, 2))
    assert len(reports) == 100
    assert max(report.worst for report in reports) < ALARM / 2


@pytest.mark.parametrize(
    ("measure", "change"),
    [
        ("confidence", {"sure": 2.0}), ("length", {"length": 60}), ("unseen", {"unseen": 0.1}),
        ("label", {"positive": 0.85}),
    ],
)  # fmt: skip
def test_a_shift_of_each_measure_is_told_by_that_measure_alone(measure, change):
    (report,) = Monitor(USUAL).add(predictions(WINDOW, 3, **change))
    assert {name for name, value in report.stability.items() if value > ALARM} == {measure}


def test_windows_do_not_depend_on_how_predictions_come():
    seen = predictions(3 * WINDOW, 4)
    once, pieces = Monitor(USUAL), Monitor(USUAL)
    whole = once.add(seen)
    assert [report for start in range(0, len(seen), 70) for report in pieces.add(seen[start : start + 70])] == whole
    assert len(whole) == 3


def test_small_bins_are_not_told():
    (report,) = Monitor(USUAL).add(predictions(WINDOW, 5, positive=0.004))
    assert set(report.histograms["label"].values()) == {None}
    assert all(
        count is None or count == 0 or count >= 10 for bins in report.histograms.values() for count in bins.values()
    )


def test_the_committed_baseline_is_one_of_texts_and_sums_to_one():
    for name, its in CLASSIFIER.usual.items():
        shares = [share for (share,) in its.values()] if name == "label" else its["shares"]
        assert sum(shares) == pytest.approx(1, abs=1e-4), name


def test_another_domains_texts_are_told_by_the_shipped_model_and_none_of_them_is_kept(capsys, monkeypatch):
    monkeypatch.delenv("POWERTOOLS_METRICS_DISABLED", raising=False)
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Candor")
    texts = [doc for _, thing in inspect.getmembers(unittest.TestCase) if (doc := inspect.getdoc(thing))]
    seen = CLASSIFIER.predict((texts * (WINDOW // len(texts) + 1))[:WINDOW])
    watch = Watch(lambda: CLASSIFIER.usual)
    watch(seen[:-1])
    assert "Drift" not in capsys.readouterr().out
    watch(seen[-1:])
    said = capsys.readouterr().out
    blobs = [json.loads(line) for line in said.splitlines() if "CloudWatchMetrics" in line]
    assert blobs[0]["Drift"][0] > ALARM
    assert {"Drift.confidence", "Drift.length", "Drift.unseen", "Drift.label"} <= blobs[0].keys()
    assert "assert" not in said.lower()
