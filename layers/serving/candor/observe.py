"""What is logged and measured: names and numbers of our own making, never a text.

Metrics leave as lines of the log, in CloudWatch's embedded metric format.
"""

import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import PurePath
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from candor.classifier import Prediction
from candor.drift import Baseline, Monitor, Report
from candor.errors import CandorError, InternalError

_VALUES = 10
_INTEGRITY = {"BundleError", "ModelChangedError", "ConflictError"}
Step = Callable[[Any, Any], dict[str, Any]]


def observed(step: Step) -> Step:
    """A Lambda handler that says how it went.

    Lambda logs what a handler raises, message and all: so a fault that is not one of CandorError's, whose message may
    hold anything, becomes an InternalError that only tells its kind and where it arose.
    """
    logger, metrics = Logger(), Metrics()

    @wraps(step)
    def handler(event: Any, context: Any) -> dict[str, Any]:
        start, outcome, counts = time.perf_counter(), "InternalError", {}
        try:
            answer = step(event, context)
            outcome, counts = answer.get("status", "ok"), answer.get("counts", {})
            return answer
        except CandorError as error:
            outcome = type(error).__name__
            raise
        except Exception as error:
            raise InternalError(f"{type(error).__name__} in {_place(error)}") from None
        finally:
            milliseconds = (time.perf_counter() - start) * 1000
            line = {"step": step.__name__, "outcome": outcome, "ms": round(milliseconds, 1), "counts": counts}
            logger.info("batch", extra={"request_id": getattr(context, "aws_request_id", ""), **line})
            failed = {f"Rows{kind.capitalize()}": counts[kind] for kind in ("scored", "failed") if kind in counts}
            errors = {"Errors": int(outcome.endswith("Error")), "IntegrityFailures": int(outcome in _INTEGRITY)}
            measure(metrics, {"step": step.__name__}, milliseconds, errors | failed)

    return handler


def measure(
    metrics: Metrics,
    dimensions: Mapping[str, str],
    milliseconds: float,
    counts: Mapping[str, int],
    decided: Sequence[tuple[Prediction, str]] = (),
) -> None:
    """One line of metrics: how long it took, what is counted, and of predictions how many, how sure, and what of.

    Of many, how sure ten or so evenly from the least to the most are: each value takes the library 15 µs.
    """
    for name, value in dimensions.items():
        metrics.add_dimension(name=name, value=value)
    metrics.add_metric("Latency", MetricUnit.Milliseconds, milliseconds)
    for name, count in counts.items():
        metrics.add_metric(name, MetricUnit.Count, count)
    if decided:
        metrics.add_metric("Predictions", MetricUnit.Count, len(decided))
        metrics.add_metric("Tokens", MetricUnit.Count, sum(prediction.tokens for prediction, _ in decided))
        sure = sorted(prediction.probabilities[prediction.label] for prediction, _ in decided)
        for share in sure[:: max(1, len(sure) // _VALUES)]:
            metrics.add_metric("Confidence", MetricUnit.NoUnit, share)
        for decision, count in Counter(decision for _, decision in decided).items():
            metrics.add_metric(f"Decided.{decision}", MetricUnit.Count, count)
    _flush(metrics)


class Watch:
    """Says of every window of predictions how far it is from those of training. `usual` is model.json's "drift"."""

    def __init__(self, usual: Callable[[], Baseline]) -> None:
        self._usual, self._logger, self._metrics = usual, Logger(), Metrics()
        self._monitor: Monitor | None = None

    def __call__(self, predictions: Sequence[Prediction]) -> None:
        if not predictions:
            return
        if self._monitor is None:
            self._monitor = Monitor(self._usual())
        for report in self._monitor.add(predictions):
            self._tell(report)

    def _tell(self, report: Report) -> None:
        self._logger.info("drift", extra={"texts": report.texts, "histograms": report.histograms})
        for name, value in report.stability.items():
            self._metrics.add_metric(f"Drift.{name}", MetricUnit.NoUnit, round(value, 4))
        self._metrics.add_metric("Drift", MetricUnit.NoUnit, round(report.worst, 4))
        _flush(self._metrics)


def _flush(metrics: Metrics) -> None:
    metrics.flush_metrics()
    metrics.clear_metrics()  # which a flush leaves undone where metrics are disabled, as on a developer's machine


def _place(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{PurePath(frame.filename).name}:{frame.lineno}"
