"""One log line and one metric for each step of a batch job: names and numbers of our own making, never a text."""

import time
import traceback
from collections.abc import Callable
from functools import wraps
from pathlib import PurePath
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from candor.errors import CandorError, InternalError

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
            _measure(metrics, step.__name__, milliseconds, outcome, counts)

    return handler


def _measure(metrics: Metrics, step: str, milliseconds: float, outcome: str, counts: dict[str, Any]) -> None:
    metrics.add_dimension(name="step", value=step)
    metrics.add_metric("BatchLatency", MetricUnit.Milliseconds, milliseconds)
    metrics.add_metric("BatchErrors", MetricUnit.Count, int(outcome.endswith("Error")))
    for kind in counts.keys() & {"scored", "failed"}:
        metrics.add_metric(f"Rows{kind.capitalize()}", MetricUnit.Count, counts[kind])
    metrics.flush_metrics()
    metrics.clear_metrics()


def _place(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{PurePath(frame.filename).name}:{frame.lineno}"
