"""Logs and metrics: names and numbers that the code defines, never a text.

Metrics are lines of the log in CloudWatch's embedded metric format.
"""

import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import wraps
from pathlib import PurePath
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from candor.errors import CandorError, InternalError
from candor.model.classifier import Prediction
from candor.operate.drift import DriftReport, Monitor, ReferenceDistribution

_MAX_VALUES = 10  # about as many confidences per request are recorded: each takes the metrics library 15 µs
_MAX_NAME = 255  # characters of a metric's name that CloudWatch takes; a label may be longer
_INTEGRITY_ERRORS = {"BundleError", "ConflictError"}
Step = Callable[[Any, Any], dict[str, Any]]


def observed(step: Step) -> Step:
    """Decorate a Lambda handler to log and measure the outcome of each call.

    Lambda logs what a handler raises, with its message. The messages of CandorError are safe. Any other exception may
    have a text in its message, so it becomes an InternalError with its type and source line.

    Args:
        step: A handler that returns "status" and "counts", or neither. Its name is logged.

    Raises:
        InternalError: The handler raised an exception that is not a CandorError.
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
            raise InternalError(f"{type(error).__name__} in {_location(error)}") from None
        finally:
            with harmless(logger):
                milliseconds = (time.perf_counter() - start) * 1000
                line = {"step": step.__name__, "outcome": outcome, "ms": round(milliseconds, 1), "counts": counts}
                logger.info("batch", extra={"request_id": getattr(context, "aws_request_id", ""), **line})
                rows = {f"Rows{kind.capitalize()}": counts[kind] for kind in ("scored", "failed") if kind in counts}
                errors = {"Errors": int(outcome.endswith("Error"))}
                measure(metrics, {"step": step.__name__}, milliseconds, errors | rows)
                if outcome in _INTEGRITY_ERRORS:
                    with _line(metrics):  # of no step, because the alarm watches the whole service
                        metrics.add_metric("IntegrityFailures", MetricUnit.Count, 1)

    return handler


@contextmanager
def harmless(logger: Logger) -> Iterator[None]:
    """Suppress every exception of the block: what observes an answer must not cost it. The log has its type and line.

    Example:
        >>> with harmless(Logger(service="doctest")):  # doctest: +ELLIPSIS
        ...     raise ValueError("no metric")
        {"level":"ERROR",..."error":"ValueError",...}
    """
    try:
        yield
    except Exception as error:
        with suppress(Exception):
            logger.error("not_observed", extra={"error": type(error).__name__, "at": _location(error)})


def measure(
    metrics: Metrics,
    dimensions: Mapping[str, str],
    milliseconds: float,
    counts: Mapping[str, int],
    decisions: Sequence[tuple[Prediction, str]] = (),
) -> None:
    """Write one line of metrics.

    Args:
        metrics: The metrics library's object.
        dimensions: Dimensions of all metrics of the line.
        milliseconds: Duration of the call.
        counts: More counters, by their metric's name.
        decisions: Predictions, each with its decision. Of a large batch only about ten confidences are recorded, evenly
            from the lowest to the highest.
    """
    with _line(metrics):
        for name, value in dimensions.items():
            metrics.add_dimension(name=name, value=value)
        metrics.add_metric("Latency", MetricUnit.Milliseconds, milliseconds)
        for name, count in counts.items():
            metrics.add_metric(name, MetricUnit.Count, count)
        if decisions:
            metrics.add_metric("Predictions", MetricUnit.Count, len(decisions))
            metrics.add_metric("Tokens", MetricUnit.Count, sum(prediction.tokens for prediction, _ in decisions))
            confidences = sorted(prediction.probabilities[prediction.label] for prediction, _ in decisions)
            for confidence in confidences[:: max(1, len(confidences) // _MAX_VALUES)]:
                metrics.add_metric("Confidence", MetricUnit.NoUnit, confidence)
            for decision, count in Counter(decision for _, decision in decisions).items():
                metrics.add_metric(f"Decided.{decision}"[:_MAX_NAME], MetricUnit.Count, count)


class DriftReporter:
    """Log and measure the drift of each full window of predictions.

    Args:
        load_reference: Returns the reference distribution. Called once, for the first predictions.
    """

    def __init__(self, load_reference: Callable[[], ReferenceDistribution]) -> None:
        self._load_reference, self._logger, self._metrics = load_reference, Logger(), Metrics()
        self._monitor: Monitor | None = None

    def __call__(self, predictions: Sequence[Prediction]) -> None:
        """Add predictions, and report the windows that they complete."""
        if not predictions:
            return
        with harmless(self._logger):
            if self._monitor is None:
                self._monitor = Monitor(self._load_reference())
            for report in self._monitor.add(predictions):
                self._write(report)

    def _write(self, report: DriftReport) -> None:
        self._logger.info("drift", extra={"texts": report.texts, "histograms": report.histograms})
        with _line(self._metrics):
            for name, value in report.psi.items():
                self._metrics.add_metric(f"Drift.{name}", MetricUnit.NoUnit, round(value, 4))
            self._metrics.add_metric("Drift", MetricUnit.NoUnit, round(report.max_psi, 4))


@contextmanager
def _line(metrics: Metrics) -> Iterator[None]:
    """Write what the block adds, and forget it, even if that fails or metrics are disabled, as in development."""
    try:
        yield
        metrics.flush_metrics()
    finally:
        metrics.clear_metrics()


def _location(error: Exception) -> str:
    """Return the source line that raised an exception, as "file.py:12"."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{PurePath(frame.filename).name}:{frame.lineno}"
