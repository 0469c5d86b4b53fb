"""Metrics are complete and never cost an answer."""

import json
from types import SimpleNamespace

import pytest
from aws_lambda_powertools import Logger, Metrics

from candor.errors import BundleError, ModelChangedError
from candor.model.classifier import Prediction
from candor.operate import observe
from candor.operate.observe import DriftReporter, measure, observed

CANARY = "canary-4711"


@pytest.fixture(autouse=True)
def measured(monkeypatch):
    monkeypatch.delenv("POWERTOOLS_METRICS_DISABLED", raising=False)
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Candor")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "reviews")


def lines(capsys):
    """Return the lines of metrics, and the dimensions of each."""
    written = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "CloudWatchMetrics" in line]
    return [(line, line["_aws"]["CloudWatchMetrics"][0]["Dimensions"]) for line in written]


def predicted(label):
    return Prediction(label, {label: 1.0}, 3), label


def test_measure_many_labels_loses_none(capsys):
    """A line holds a hundred metrics. More labels than that take more lines, each with all dimensions."""
    labels = [f"queue {number}" for number in range(250)]
    measure(Metrics(), {"step": "score"}, 1.0, {}, [predicted(label) for label in labels])
    written = lines(capsys)
    found = [name for line, _ in written for name in line if name.startswith("Decided.")]
    assert sorted(found) == sorted(f"Decided.{label}" for label in labels)
    assert all(sorted(dimensions[0]) == ["service", "step"] for _, dimensions in written)
    assert {line["service"] for line, _ in written} == {"reviews"}


def test_measure_failure_leaves_nothing_behind(capsys):
    """Dimensions of a line that Powertools refuses are not in the next line."""
    metrics = Metrics()
    too_many = {f"dimension {number}": "value" for number in range(40)}
    with pytest.raises(Exception, match="dimensions"):
        measure(metrics, too_many, 1.0, {})
    measure(metrics, {"step": "plan"}, 1.0, {})
    ((_, dimensions),) = lines(capsys)
    assert sorted(dimensions[0]) == ["service", "step"]


@pytest.mark.parametrize("fails", [True, False])
def test_observed_keeps_the_answer(fails, monkeypatch, caplog):
    """A step's result survives metrics that cannot be written, and the log has no message."""

    def refuse(*arguments):
        raise OSError(CANARY)

    monkeypatch.setattr(observe, "measure", refuse if fails else measure)
    assert observed(lambda event, context: {"status": "done"})({}, SimpleNamespace()) == {"status": "done"}
    assert [record.error for record in caplog.records if record.message == "not_observed"] == ["OSError"] * fails
    assert CANARY not in str([vars(record) for record in caplog.records])


@pytest.mark.parametrize("error", [BundleError, ModelChangedError, ValueError])
def test_observed_integrity_reaches_the_alarm(error, capsys):
    """A damaged model counts for the whole service. A job that outlives a roll-out does not take the roll-out back."""

    def step(event, context):
        raise error("why")

    with pytest.raises(Exception, match=r"why|ValueError in"):
        observed(step)({}, SimpleNamespace())
    alarming = [line["IntegrityFailures"] for line, names in lines(capsys) if names == [["service"]]]
    assert alarming == ([[1.0]] if error is BundleError else [])


def test_drift_reporter_failure_costs_nothing(caplog):
    def damaged():
        raise BundleError(CANARY)

    DriftReporter(damaged)([predicted("a")[0]])
    assert [record.error for record in caplog.records] == ["BundleError"]
    assert CANARY not in str([vars(record) for record in caplog.records])


def test_harmless_full_disk_raises_nothing():
    class Full:
        def write(self, text):
            raise OSError("no space left on device")

    with observe.harmless(Logger(service="full", stream=Full())):
        raise ValueError("no metric")
