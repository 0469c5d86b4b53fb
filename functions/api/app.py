"""The API's handler: one function per route, and what all answers have in common."""

import json
import os
import random
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from http import HTTPStatus
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from aws_lambda_powertools import Logger, Metrics

from api import documents, schemas
from api.documents import Document, document
from api.problems import Problem
from api.request import Request
from candor import limits
from candor.errors import CandorError
from candor.model.bundle import NOT_STATED
from candor.model.classifier import Classifier, Prediction
from candor.operate.observe import DriftReporter, harmless, measure
from candor.redact import Entity, redact
from candor.settings import Settings
from candor.text.evidence import WARNINGS

if TYPE_CHECKING:
    from candor.model.explain import Explainer

logger = Logger()
metrics = Metrics()


class Answer(NamedTuple):
    """The answer of a route, and what the metrics need."""

    body: dict[str, Any] | str
    """An object to send as JSON, or a text."""
    decisions: Sequence[tuple[Prediction, str]] = ()
    """Predictions, each with its decision."""
    redactions: int = 0
    """Number of entities that were found to be personal data."""
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = {}


def predict(request: Request) -> Answer:
    """Classify one text: POST /v1/predict."""
    fields = schemas.check(request.json(), schemas.PREDICT)
    model = classifier()
    build = ResultBuilder(model, fields, 1)
    (prediction,) = model.predict([fields["text"]])
    result = build(fields["text"], prediction)
    body = result | {"model": model.bundle.identity}
    return Answer(body, [(prediction, result["decision"])], len(result.get("pii", ())))


def predict_batch(request: Request) -> Answer:
    """Classify several texts in one pass: POST /v1/predict/batch.

    An invalid document fails alone, and so does one whose result would make the answer larger than Lambda passes on.
    """
    fields = schemas.check(request.json(), schemas.BATCH)
    model, valid, errors = classifier(), [], []
    build = ResultBuilder(model, fields, len(fields["documents"]))
    for index, value in enumerate(fields["documents"]):
        try:
            valid.append((index, schemas.check(value, schemas.DOCUMENT, f"/documents/{index}")))
        except Problem as problem:
            errors.append({"index": index, **id_of(value), **problem.entry()})
    predictions = model.predict([document["text"] for _, document in valid])
    results, decisions, room = [], [], limits.MAX_ANSWER_BYTES
    for (index, sent), prediction in zip(valid, predictions, strict=True):
        result = {"index": index, **id_of(sent), **build(sent["text"], prediction)}
        size = bytes_of(result)
        if size > room:
            errors.append({"index": index, **id_of(sent), **too_large(index, size).entry()})
            continue
        room -= size
        results.append(result)
        decisions.append((prediction, result["decision"]))
    errors.sort(key=itemgetter("index"))
    redactions = sum(len(result.get("pii", ())) for result in results)
    return Answer({"results": results, "errors": errors, "model": model.bundle.identity}, decisions, redactions)


def bytes_of(result: Mapping[str, Any]) -> int:
    """Return the bytes of a result in an answer, as Lambda counts them: in JSON within JSON, which escapes quotes."""
    encoded = encode(result)
    return len(encoded.encode()) + encoded.count('"') + encoded.count("\\") + 1


def too_large(index: int, size: int) -> Problem:
    """Return the problem of a document whose result has no room in the answer."""
    return Problem(
        "answer_too_large",
        f"The results of a request may have {limits.MAX_ANSWER_BYTES:,} bytes; this one, of {size:,}, has no room. "
        "Send the document in another request, or leave out /explain and /redact.",
        pointer=f"/documents/{index}",
        limit=limits.MAX_ANSWER_BYTES,
    )


class ResultBuilder:
    """Builds one document's result from the request's options.

    Args:
        model: The model that predicts.
        fields: The checked fields of the request.
        count: Number of documents in the request.

    Raises:
        Problem: An option is invalid for this model or this number of documents.
    """

    def __init__(self, model: Classifier, fields: Mapping[str, Any], count: int) -> None:
        self.explain, self.label, self.redact = fields["explain"], fields["explain_label"], fields["redact"]
        chosen = fields["min_confidence"]
        self.min_confidence = model.min_confidence if chosen is None else chosen
        if self.label is not None and self.label not in model.bundle.labels:
            raise schemas.invalid("/explain_label", f"must be one of: {', '.join(model.bundle.labels)}")
        if self.explain and count > limits.MAX_EXPLAINED:
            raise Problem(
                "too_many_documents",
                f"At most {limits.MAX_EXPLAINED} documents per request can be explained; {count} were sent. "
                "Send several requests, or leave out /explain.",
                pointer="/documents",
                limit=limits.MAX_EXPLAINED,
                actual=count,
            )

    def __call__(self, text: str, prediction: Prediction) -> dict[str, Any]:
        """Return the result of one text."""
        result: dict[str, Any] = {
            "label": prediction.label,
            "decision": prediction.decision(self.min_confidence),
            "probabilities": prediction.probabilities,
            "tokens": prediction.tokens,
            "warnings": [{"code": code, "detail": WARNINGS[code]} for code in prediction.warnings],
        }
        if self.explain:
            result["explanation"] = explanation(text, self.label or prediction.label) if prediction.tokens else None
        if self.redact:
            result["pii"] = located(redact(text).entities)
        return result


def located(entities: Iterable[Entity]) -> list[dict[str, Any]]:
    """Return types and offsets of entities, never their values."""
    return [{"type": entity_type, "begin": begin, "end": end} for entity_type, begin, end in entities]


def redaction(request: Request) -> Answer:
    """Find and replace personal data, without classifying the text: POST /v1/redact."""
    fields = schemas.check(request.json(), schemas.REDACTION)
    key = os.environ.get("REDACTION_KEY", "")
    if fields["mode"] == "hash" and not key:
        raise schemas.invalid("/mode", "needs a key that the operator has not set; use replace or mask")
    redacted = redact(fields["text"], fields["mode"], fields["mask"], key.encode())
    body = {"text": redacted.text, "pii": located(redacted.entities)}
    return Answer(body, redactions=len(redacted.entities))


def explanation(text: str, label: str) -> dict[str, Any]:
    """Explain a label: the contribution of each token to its logit."""
    return explainer()(text, label).to_dict()


@cache
def explainer() -> "Explainer":
    """Return the explainer, created when it is first used: only some requests need its second set of tensors."""
    from candor.model.explain import Explainer

    return Explainer(classifier())


def id_of(document: Any) -> dict[str, str]:
    """Return the caller's id of a document, for its result or error to repeat, if it has a valid one."""
    try:
        return {"id": schemas.identifier(document["id"], "")} if document["id"] is not None else {}
    except (Problem, TypeError, KeyError, IndexError):
        return {}


def health(request: Request) -> Answer:
    """Report that the model is loaded: GET /health."""
    return Answer({"status": "ok", "model": classifier().bundle.identity})


def model(request: Request) -> Answer:
    """Describe the model and the limits of requests: GET /v1/model."""
    described = classifier().bundle.model
    published = ("created", "labels", "min_confidence", "metrics", "data", "licence")
    sizes = {
        "text_bytes": limits.MAX_TEXT_BYTES,
        "documents": limits.MAX_DOCUMENTS,
        "body_bytes": limits.MAX_BODY_BYTES,
        "answer_bytes": limits.MAX_ANSWER_BYTES,
    }
    shown: dict[str, Any] = {"text_noun": classifier().bundle.text_noun, "samples": list(classifier().bundle.samples)}
    shown |= {name: described.get(name, NOT_STATED) for name in ("description", "intended_use", "owner")}
    facts = {name: described[name] for name in published}
    audit = fairness()
    shown["fairness"] = audit and {"way": audit["way"], "groups": list(audit["groups"])}
    return Answer(classifier().bundle.identity | facts | shown | {"limits": sizes})


def model_card(request: Request) -> Answer:
    """Serve the model card: GET /v1/model/card."""
    card = classifier().bundle.read("card.md").decode()
    return serve(request, document(card, "text/markdown; charset=utf-8"))


def model_fairness(request: Request) -> Answer:
    """Serve the audit of fairness, and the terms that the model does not tell apart: GET /v1/model/fairness."""
    audit = fairness()
    if audit is None:
        raise Problem(
            "not_found",
            "The model has no audit of fairness, since an earlier version of Candor trained it. The operator can train "
            "it again.",
        )
    identity = classifier().featuriser.identity
    terms = {} if identity is None else dict(identity.groups)
    return serve(request, document(encode(audit | {"terms": terms}), "application/json"))


def fairness() -> dict[str, Any] | None:
    """Return the model's audit of fairness, if its bundle has one."""
    content = classifier().bundle.files.get("fairness.json")
    return json.loads(content) if content else None


def openapi(request: Request) -> Answer:
    """Serve the OpenAPI document: GET /openapi.json."""
    return serve(request, documents.openapi())


def page(request: Request) -> Answer:
    """Serve the page for trying the API: GET /."""
    return serve(request, documents.page())


def serve(request: Request, served: Document) -> Answer:
    """Return a document, or 304 to a client that has it."""
    known = {tag.removeprefix("W/") for tag in request.listed("if-none-match")}
    if known & {served.headers["ETag"], "*"}:
        return Answer("", status=304, content_type=served.content_type, headers=served.headers)
    return Answer(served.content, content_type=served.content_type, headers=served.headers)


def preflight(request: Request) -> Answer:
    """Answer a preflight request: what a page of an allowed origin may send (CORS, WHATWG Fetch)."""
    if not allowed_origin(request):
        raise Problem(
            "method_not_allowed", "This origin is not allowed.", {"Allow": ", ".join(methods_of(request.path))}
        )
    headers = {
        "Access-Control-Allow-Methods": ", ".join(methods_of(request.path)),
        "Access-Control-Allow-Headers": "content-encoding, content-type, x-api-key",
        "Access-Control-Max-Age": "3600",
    }
    return Answer("", status=204, headers=headers)


def allowed_origin(request: Request) -> str:
    """Return the request's origin if ALLOWED_ORIGINS (separated by commas) names it, else ""."""
    origin = request.header("origin")
    return origin if origin and origin in os.environ.get("ALLOWED_ORIGINS", "").split(",") else ""


ROUTES: dict[str, dict[str, Callable[[Request], Answer]]] = {
    "/v1/predict": {"POST": predict, "OPTIONS": preflight},
    "/v1/predict/batch": {"POST": predict_batch, "OPTIONS": preflight},
    "/v1/redact": {"POST": redaction, "OPTIONS": preflight},
    "/v1/model": {"GET": model, "OPTIONS": preflight},
    "/v1/model/card": {"GET": model_card, "OPTIONS": preflight},
    "/v1/model/fairness": {"GET": model_fairness, "OPTIONS": preflight},
    "/health": {"GET": health},
    "/openapi.json": {"GET": openapi},
    "/": {"GET": page},
}


def methods_of(path: str) -> list[str]:
    """Return the documented methods of a path: HEAD wherever there is GET, and not OPTIONS."""
    methods = [method for method in ROUTES[path] if method != "OPTIONS"]
    return [*methods, "HEAD"] if "GET" in methods else methods


@cache
def classifier() -> Classifier:
    """Load the model once. A failure is not cached, so that a later request tries again.

    Raises:
        Problem: The model cannot be loaded. The log has the reason.
    """
    settings = Settings.from_environ()
    try:
        return Classifier.load(settings.bundle, settings.bundle_digest)
    except CandorError as error:
        logger.error("model_unavailable", reason=str(error))
        detail = "The model is missing or failed its integrity check. Try again later; the operator's log has more."
        raise Problem("model_unavailable", detail) from None


def handler(event: Any, context: Any) -> dict[str, Any]:
    """Answer a proxy event: Lambda's entry point. Never raises, and never logs what was sent."""
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
    with harmless(logger):
        observe(request, request_id, answer, code, (time.perf_counter() - start) * 1000)
    return respond(request, answer, request_id)


def refusal(problem: Problem, request_id: str) -> Answer:
    """Return the answer that carries a problem."""
    status, content_type = int(problem.status), "application/problem+json"
    return Answer(problem.body(request_id), status=status, content_type=content_type, headers=problem.headers)


def route(request: Request) -> Callable[[Request], Answer]:
    """Return the function that answers a request. Raises Problem for no request, or an unknown path or method."""
    request.check()
    methods = ROUTES.get(request.path)
    if methods is None:
        raise Problem("not_found", f"No route has this address. The routes are: {', '.join(ROUTES)}.")
    method = "GET" if request.method == "HEAD" else request.method
    if method not in methods:
        allowed = ", ".join(methods_of(request.path))
        raise Problem("method_not_allowed", f"Use {allowed}.", {"Allow": allowed})
    return methods[method]


def respond(request: Request, answer: Answer, request_id: str) -> dict[str, Any]:
    """Return the proxy response of an answer, with the headers that all answers have."""
    body = answer.body
    if isinstance(body, dict):
        body = encode(body | {"request_id": request_id})
    headers = {"Content-Type": answer.content_type, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    if classifier.cache_info().currsize:
        headers["X-Model-Version"] = classifier().bundle.model["version"]
    if origin := allowed_origin(request):
        exposed = "X-Request-Id, X-Model-Version, Retry-After"
        headers |= {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": exposed, "Vary": "Origin"}
    if request.method == "HEAD":
        if answer.status != HTTPStatus.NOT_MODIFIED:
            headers["Content-Length"] = str(len(body.encode()))
        body = ""
    return {
        "statusCode": answer.status,
        "headers": {**headers, **answer.headers, "X-Request-Id": request_id},
        "body": body,
        "isBase64Encoded": False,
    }


def encode(value: Any) -> str:
    """Return a value as answers write JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def observe(request: Request, request_id: str, answer: Answer, code: str, milliseconds: float) -> None:
    """Write one log line and one line of metrics, of names and numbers that the code defines."""
    path = request.path if request.path in ROUTES else "other"
    predictions = [prediction for prediction, _ in answer.decisions]
    tokens = sum(prediction.tokens for prediction in predictions)
    line = {"request_id": request_id, "route": path, "status": answer.status, "tokens": tokens}
    logger.info("request", extra=line | {"ms": round(milliseconds, 3)} | ({"code": code} if code else {}))
    counts = {
        "ClientErrors": int(400 <= answer.status < 500),
        "ServerErrors": int(answer.status >= 500),
        "IntegrityFailures": int(code == "model_unavailable"),
        **({"ColdStarts": 1} if cold.pop("start", False) else {}),
        **({"Redactions": answer.redactions} if answer.redactions else {}),
    }
    measure(metrics, {}, milliseconds, counts, answer.decisions)
    report_drift(predictions)


def log_fault(error: Exception) -> None:
    """Log the type of an unexpected exception and its source lines. Its message may contain what the caller sent."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [f"{os.path.basename(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames]  # noqa: PTH119
    logger.error("internal_error", error=type(error).__name__, frames=lines)


cold = {"start": True}
report_drift = DriftReporter(lambda: classifier().drift_reference)


def warm() -> None:
    """Do before a snapshot what a first request would wait for, apart from what only some requests need."""
    with suppress(Problem):
        for texts in (["A text, to warm up."], ["One of many texts."] * limits.MAX_DOCUMENTS):
            classifier().predict(texts)


with suppress(Problem):  # while Lambda initialises, so that the first request need not wait
    classifier()

with suppress(ImportError):  # only Lambda has it. A snapshot holds no id, clock or connection; seeds must not repeat
    from snapshot_restore_py import register_after_restore, register_before_snapshot

    register_before_snapshot(warm)
    register_after_restore(random.seed)
