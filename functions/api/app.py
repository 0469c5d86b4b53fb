"""The API's handler: routes, one line each, and what every answer has in common."""

import json
import os
import random
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from aws_lambda_powertools import Logger, Metrics

from api import documents, schemas
from api.documents import Document, document
from api.problems import Problem
from api.request import Request
from candor import limits
from candor.classifier import Classifier, Prediction
from candor.errors import CandorError
from candor.evidence import WARNINGS
from candor.observe import Watch, measure
from candor.redact import Entity, redact
from candor.settings import Settings

if TYPE_CHECKING:
    from candor.explain import Explainer

logger = Logger()
metrics = Metrics()


class Answer(NamedTuple):
    """A body, as JSON unless it is a text already, and what the metrics say of it."""

    body: dict[str, Any] | str
    decided: Sequence[tuple[Prediction, str]] = ()
    """Predictions, each with its decision."""
    masked: int = 0
    """Personal data that was found."""
    status: int = 200
    kind: str = "application/json"
    headers: Mapping[str, str] = {}


def predict(request: Request) -> Answer:
    fields = schemas.check(request.json(), schemas.PREDICT)
    model = classifier()
    judge = Judge(model, fields, 1)
    (prediction,) = model.predict([fields["text"]])
    said = judge(fields["text"], prediction)
    return Answer(said | {"model": identity(model)}, [(prediction, said["decision"])], len(said.get("pii", ())))


def predict_batch(request: Request) -> Answer:
    """Each document is judged alone, and all good ones predicted in one pass."""
    fields = schemas.check(request.json(), schemas.BATCH)
    model, good, errors = classifier(), [], []
    judge = Judge(model, fields, len(fields["documents"]))
    for index, each in enumerate(fields["documents"]):
        try:
            good.append((index, schemas.check(each, schemas.DOCUMENT, f"/documents/{index}")))
        except Problem as problem:
            errors.append({"index": index, **name_of(each), **problem.entry()})
    predictions = model.predict([document["text"] for _, document in good])
    results = [
        {"index": index, **name_of(document), **judge(document["text"], prediction)}
        for (index, document), prediction in zip(good, predictions, strict=True)
    ]
    decided = [(prediction, result["decision"]) for prediction, result in zip(predictions, results, strict=True)]
    masked = sum(len(result.get("pii", ())) for result in results)
    return Answer({"results": results, "errors": errors, "model": identity(model)}, decided, masked)


class Judge:
    """What is said of one text, by the options of a request for so many. Raises Problem for options that don't hold."""

    def __init__(self, model: Classifier, fields: Mapping[str, Any], count: int) -> None:
        self.explain, self.label, self.redact = fields["explain"], fields["explain_label"], fields["redact"]
        asked = fields["min_confidence"]
        self.min_confidence = model.min_confidence if asked is None else asked
        if self.label and self.label not in model.bundle.labels:
            raise schemas.wrong("/explain_label", f"is no label; labels are: {', '.join(model.bundle.labels)}")
        if self.explain and count > limits.MAX_EXPLAINED:
            raise Problem(
                "too_many_documents",
                f"At most {limits.MAX_EXPLAINED} documents a request can be explained, and {count} were sent. "
                "Send several requests, or leave out /explain.",
                pointer="/documents",
                limit=limits.MAX_EXPLAINED,
                actual=count,
            )

    def __call__(self, text: str, prediction: Prediction) -> dict[str, Any]:
        said: dict[str, Any] = {
            "label": prediction.label,
            "decision": prediction.decision(self.min_confidence),
            "probabilities": prediction.probabilities,
            "tokens": prediction.tokens,
            "warnings": [{"code": code, "detail": WARNINGS[code]} for code in prediction.warnings],
        }
        if self.explain:
            said["explanation"] = explanation(text, self.label or prediction.label) if prediction.tokens else None
        if self.redact:
            said["pii"] = pii(redact(text).entities)
        return said


def pii(entities: Iterable[Entity]) -> list[dict[str, Any]]:
    """Types and offsets, never values."""
    return [{"type": kind, "begin": begin, "end": end} for kind, begin, end in entities]


def redaction(request: Request) -> Answer:
    """Personal data found and written over, nothing classified."""
    fields = schemas.check(request.json(), schemas.REDACTION)
    key = os.environ.get("REDACTION_KEY", "")
    if fields["mode"] == "hash" and not key:
        raise schemas.wrong("/mode", "is not available here: the operator has set no key for it; use replace or mask")
    done = redact(fields["text"], fields["mode"], fields["mask"], key.encode())
    return Answer({"text": done.text, "pii": pii(done.entities)}, masked=len(done.entities))


def explanation(text: str, label: str) -> dict[str, Any]:
    found = explainer()(text, label)
    values = zip(found.spans, found.values.tolist(), strict=True)
    return {
        "label": label,
        "method": found.method,
        "base_value": found.base,
        "logit": found.logit,
        "residual": found.residual,
        "attributions": [{"begin": begin, "end": end, "value": round(value, 6)} for (begin, end), value in values],
    }


@cache
def explainer() -> "Explainer":
    from candor.explain import Explainer  # a second set of tensors, which only some requests need

    return Explainer(classifier())


def name_of(document: Any) -> dict[str, str]:
    """The caller's id of a document, to be echoed, if there is one that can be."""
    try:
        return {"id": schemas.identifier(document["id"], "")} if document["id"] is not None else {}
    except (Problem, TypeError, KeyError, IndexError):
        return {}


def health(request: Request) -> Answer:
    return Answer({"status": "ok", "model": identity(classifier())})


def model(request: Request) -> Answer:
    described = classifier().bundle.model
    shown = ("created", "labels", "min_confidence", "metrics", "data", "licence")
    allowed = {
        "text_bytes": limits.MAX_TEXT_BYTES,
        "documents": limits.MAX_DOCUMENTS,
        "body_bytes": limits.MAX_BODY_BYTES,
    }
    return Answer(identity(classifier()) | {name: described[name] for name in shown} | {"limits": allowed})


def model_card(request: Request) -> Answer:
    return served(request, document(classifier().bundle.read("card.md").decode(), "text/markdown; charset=utf-8"))


def openapi(request: Request) -> Answer:
    return served(request, documents.openapi())


def page(request: Request) -> Answer:
    return served(request, documents.page())


def served(request: Request, found: Document) -> Answer:
    """A document, or 304 for a client that has it."""
    known = {tag.strip().removeprefix("W/") for tag in request.header("if-none-match").split(",")}
    if known & {found.headers["ETag"], "*"}:
        return Answer("", status=304, kind=found.kind, headers=found.headers)
    return Answer(found.content, kind=found.kind, headers=found.headers)


def preflight(request: Request) -> Answer:
    """CORS (WHATWG Fetch): what a page of an allowed origin may send."""
    if not allowed_origin(request):
        raise Problem(
            "method_not_allowed", "This origin is not allowed.", {"Allow": ", ".join(methods_of(request.path))}
        )
    headers = {
        "Access-Control-Allow-Methods": ", ".join(methods_of(request.path)),
        "Access-Control-Allow-Headers": "content-type, x-api-key",
        "Access-Control-Max-Age": "3600",
    }
    return Answer("", status=204, headers=headers)


def allowed_origin(request: Request) -> str:
    """The request's origin, if it is one of ALLOWED_ORIGINS, which are separated by commas."""
    origin = request.header("origin")
    return origin if origin and origin in os.environ.get("ALLOWED_ORIGINS", "").split(",") else ""


ROUTES: dict[str, dict[str, Callable[[Request], Answer]]] = {
    "/v1/predict": {"POST": predict, "OPTIONS": preflight},
    "/v1/predict/batch": {"POST": predict_batch, "OPTIONS": preflight},
    "/v1/redact": {"POST": redaction, "OPTIONS": preflight},
    "/v1/model": {"GET": model, "OPTIONS": preflight},
    "/v1/model/card": {"GET": model_card, "OPTIONS": preflight},
    "/health": {"GET": health},
    "/openapi.json": {"GET": openapi},
    "/": {"GET": page},
}


def methods_of(path: str) -> list[str]:
    """The methods of a path that its documentation names."""
    return [method for method in ROUTES[path] if method != "OPTIONS"]


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
    code = ""
    try:
        answer = route(request)(request)
    except Problem as problem:
        answer, code = refusal(problem, request_id), problem.code
    except Exception as error:
        log_fault(error)
        fault = Problem("internal_error", "The fault is ours and is logged. Quote the request_id when you report it.")
        answer, code = refusal(fault, request_id), fault.code
    observe(request, request_id, answer, code, (time.perf_counter() - start) * 1000)
    return respond(request, answer, request_id)


def refusal(problem: Problem, request_id: str) -> Answer:
    status, kind = int(problem.status), "application/problem+json"
    return Answer(problem.body(request_id), status=status, kind=kind, headers=problem.headers)


def route(request: Request) -> Callable[[Request], Answer]:
    """What answers a request. Raises Problem if nothing does."""
    ways = ROUTES.get(request.path)
    if ways is None:
        raise Problem("not_found", f"There is nothing here. Known are: {', '.join(ROUTES)}.")
    if request.method not in ways:
        allowed = ", ".join(methods_of(request.path))
        raise Problem("method_not_allowed", f"Use {allowed}.", {"Allow": allowed})
    return ways[request.method]


def respond(request: Request, answer: Answer, request_id: str) -> dict[str, Any]:
    body = answer.body
    if isinstance(body, dict):
        body = json.dumps(body | {"request_id": request_id}, ensure_ascii=False, separators=(",", ":"))
    headers = {"Content-Type": answer.kind, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    if classifier.cache_info().currsize:
        headers["X-Model-Version"] = classifier().bundle.model["version"]
    if origin := allowed_origin(request):
        exposed = "X-Request-Id, X-Model-Version, Retry-After"
        headers |= {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": exposed, "Vary": "Origin"}
    return {
        "statusCode": answer.status,
        "headers": {**headers, **answer.headers, "X-Request-Id": request_id},
        "body": body,
        "isBase64Encoded": False,
    }


def observe(request: Request, request_id: str, answer: Answer, code: str, milliseconds: float) -> None:
    """One log line and one metrics blob a request, of names and numbers of our own making only."""
    path = request.path if request.path in ROUTES else "other"
    predictions = [prediction for prediction, _ in answer.decided]
    tokens = sum(prediction.tokens for prediction in predictions)
    line = {"request_id": request_id, "route": path, "status": answer.status, "tokens": tokens}
    logger.info("request", extra=line | {"ms": round(milliseconds, 3)} | ({"code": code} if code else {}))
    counts = {
        "ClientErrors": int(400 <= answer.status < 500),
        "ServerErrors": int(answer.status >= 500),
        "IntegrityFailures": int(code == "model_unavailable"),
        **({"ColdStarts": 1} if cold.pop("start", False) else {}),
        **({"Redactions": answer.masked} if answer.masked else {}),
    }
    measure(metrics, {}, milliseconds, counts, answer.decided)
    watch(predictions)


def log_fault(error: Exception) -> None:
    """The kind of an unforeseen error and where it arose; not its message, which may hold what the caller sent."""
    frames = traceback.extract_tb(error.__traceback__)
    where = [f"{os.path.basename(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames]  # noqa: PTH119
    logger.error("internal_error", error=type(error).__name__, frames=where)


cold = {"start": True}


watch = Watch(lambda: classifier().usual)


def warm() -> None:
    """Everything that a first request would wait for, but what only some requests need."""
    with suppress(Problem):
        for texts in (["A text, to warm up."], ["One of many texts."] * limits.MAX_DOCUMENTS):
            classifier().predict(texts)


with suppress(Problem):  # while Lambda initialises, so that the first request need not wait
    classifier()

with suppress(ImportError):  # Lambda's own. A snapshot holds no id, clock or connection of ours; seeds must not repeat.
    from snapshot_restore_py import register_after_restore, register_before_snapshot

    register_before_snapshot(warm)
    register_after_restore(random.seed)
