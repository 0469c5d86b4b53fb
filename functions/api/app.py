"""The API's handler: routes, one line each, and what every answer has in common."""

import json
import os
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from typing import Any, NamedTuple

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from api import schemas
from api.problems import Problem
from api.request import Request
from candor import limits
from candor.classifier import Classifier, Prediction
from candor.errors import CandorError
from candor.settings import Settings

logger = Logger()
metrics = Metrics()


class Answer(NamedTuple):
    body: dict[str, Any]
    tokens: int = 0
    """What the model read, for the metrics."""


def predict(request: Request) -> Answer:
    fields = schemas.check(request.json(), schemas.PREDICT)
    model = classifier()
    (prediction,) = model.predict([fields["text"]])
    return Answer(result(prediction, fields["min_confidence"]) | {"model": identity(model)}, prediction.tokens)


def health(request: Request) -> Answer:
    return Answer({"status": "ok", "model": identity(classifier())})


def model(request: Request) -> Answer:
    described = classifier().bundle.model
    shown = ("created", "labels", "metrics", "data", "licence")
    allowed = {
        "text_bytes": limits.MAX_TEXT_BYTES,
        "documents": limits.MAX_DOCUMENTS,
        "body_bytes": limits.MAX_BODY_BYTES,
    }
    return Answer(identity(classifier()) | {name: described[name] for name in shown} | {"limits": allowed})


ROUTES: dict[str, dict[str, Callable[[Request], Answer]]] = {
    "/v1/predict": {"POST": predict},
    "/v1/model": {"GET": model},
    "/health": {"GET": health},
}


def result(prediction: Prediction, min_confidence: float) -> dict[str, Any]:
    """What is said of one text. `decision` is the label, or "uncertain" where the model should not be relied on."""
    probability = prediction.probabilities[prediction.label]
    warnings = [] if prediction.tokens else [{"code": "LOW_EVIDENCE", "detail": "The text has no word to go by."}]
    certain = probability >= min_confidence and not warnings
    return {
        "label": prediction.label,
        "decision": prediction.label if certain else "uncertain",
        "probabilities": prediction.probabilities,
        "tokens": prediction.tokens,
        "warnings": warnings,
    }


@cache
def classifier() -> Classifier:
    """Loaded once; a failure is not kept, so a later request tries again. Raises Problem, and logs what is wrong."""
    settings = Settings.from_environ()
    try:
        return Classifier.load(settings.bundle, settings.bundle_digest)
    except CandorError as error:
        logger.error("model_unavailable", reason=str(error))
        detail = (
            "The model is missing or has failed its integrity check. Try again later; the operator's log says more."
        )
        raise Problem("model_unavailable", detail) from None


def identity(model: Classifier) -> dict[str, str]:
    described = model.bundle.model
    return {"name": described["name"], "version": described["version"], "sha256": model.bundle.digest}


def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Lambda's entry point: never raises, never logs what was sent."""
    start = time.perf_counter()
    request = Request(event)
    request_id = request.id or str(getattr(context, "aws_request_id", ""))
    code, headers = "", {}
    try:
        answer = route(request)(request)
        status, body = 200, answer.body | {"request_id": request_id}
    except Problem as problem:
        answer, code, headers = Answer({}), problem.code, problem.headers
        status, body = int(problem.status), problem.body(request_id)
    except Exception as error:
        log_fault(error)
        answer, code = Answer({}), "internal_error"
        fault = Problem(code, "The fault is ours and has been logged. Quote the request_id when you report it.")
        status, body = int(fault.status), fault.body(request_id)
    observe(request, request_id, status, code, answer.tokens, (time.perf_counter() - start) * 1000)
    return respond(status, body, headers | {"X-Request-Id": request_id})


def route(request: Request) -> Callable[[Request], Answer]:
    """What answers a request. Raises Problem if nothing does."""
    methods = ROUTES.get(request.path)
    if methods is None:
        raise Problem("not_found", f"There is nothing here. Known are: {', '.join(ROUTES)}.")
    if request.method not in methods:
        allowed = ", ".join(methods)
        raise Problem("method_not_allowed", f"Use {allowed}.", {"Allow": allowed})
    return methods[request.method]


def respond(status: int, body: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
    kind = "application/json" if status < 400 else "application/problem+json"
    version = {"X-Model-Version": classifier().bundle.model["version"]} if classifier.cache_info().currsize else {}
    return {
        "statusCode": status,
        "headers": {
            "Content-Type": kind,
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            **version,
            **headers,
        },
        "body": json.dumps(body, ensure_ascii=False, separators=(",", ":")),
        "isBase64Encoded": False,
    }


def observe(request: Request, request_id: str, status: int, code: str, tokens: int, milliseconds: float) -> None:
    """One log line and one metrics blob a request, of names and numbers of our own making only."""
    path = request.path if request.path in ROUTES else "other"
    line = {"request_id": request_id, "route": path, "status": status, "tokens": tokens, "ms": round(milliseconds, 3)}
    logger.info("request", extra=line | ({"code": code} if code else {}))
    metrics.add_dimension(name="route", value=path)
    metrics.add_metric("Latency", MetricUnit.Milliseconds, milliseconds)
    metrics.add_metric("Tokens", MetricUnit.Count, tokens)
    for name, counted in (("ClientErrors", 400 <= status < 500), ("ServerErrors", status >= 500)):
        metrics.add_metric(name, MetricUnit.Count, int(counted))
    metrics.flush_metrics()


def log_fault(error: Exception) -> None:
    """The kind of an unforeseen error and where it arose; not its message, which may hold what the caller sent."""
    frames = traceback.extract_tb(error.__traceback__)
    where = [f"{os.path.basename(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames]  # noqa: PTH119
    logger.error("internal_error", error=type(error).__name__, frames=where)


with suppress(Problem):  # while Lambda initialises, so that the first request need not wait
    classifier()

if os.environ.get("AWS_XRAY_DAEMON_ADDRESS") and not os.environ.get("AWS_SAM_LOCAL"):
    from aws_lambda_powertools import Tracer  # 20 ms of a cold start that nothing but X-Ray needs

    handler = Tracer(auto_patch=False).capture_lambda_handler(handler, capture_response=False, capture_error=False)
