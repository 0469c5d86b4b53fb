"""The API's contract as an OpenAPI 3.1 document, made from the fields, codes and limits that the code uses.

    python -m api.openapi > openapi.json

It runs when the document changes, never when serving: the API serves openapi.json.
"""

import json
import sys
from collections.abc import Iterable
from typing import Any

from api import schemas
from api.problems import CODES
from candor import __version__, limits
from candor.redact import TYPES
from candor.text.evidence import WARNINGS

Json = dict[str, Any]

TICKET = "I was charged twice for the same order, please refund one."
BODY = (
    "bad_request",
    "invalid_json",
    "invalid_encoding",
    "too_deep",
    "duplicate_key",
    "body_too_large",
    "text_too_large",
    "too_many_documents",
    "unsupported_media_type",
    "invalid_request",
)
KEYED = ("forbidden", "too_many_requests", "quota_exceeded")
ANY = ("bad_request", "method_not_allowed", "internal_error", "timeout")
MODEL = {
    "type": "object",
    "required": ["name", "version", "sha256"],
    "properties": {
        "name": {"type": "string"},
        "version": {"type": "string"},
        "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "Digest of the bundle's manifest."},
    },
}
IDENTITY = {"name": "tickets", "version": "2026.11.23", "sha256": "0" * 64}
REQUEST_ID = "4b2e7a0c-6d1f-4c8e-9a35-0f2b7c1d8e64"
HEAD_SUMMARY = "The headers of GET, without its content"
RESULT = {
    "label": "billing",
    "decision": "billing",
    "probabilities": {"account": 0.03, "billing": 0.91, "delivery": 0.06},
    "tokens": 11,
    "warnings": [],
}


def build() -> Json:
    """Return the document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Candor",
            "version": __version__,
            "summary": "A text classifier you can answer for",
            "description": "Texts in, labels with calibrated probabilities out. No text is stored or logged.",
        },
        "servers": [{"url": "/"}],
        "paths": paths(),
        "components": {
            "schemas": components(),
            "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "x-api-key"}},
        },
    }


def paths() -> Json:
    """Return the operations by path and method."""
    predict, batch = schemas.schema(schemas.PREDICT), schemas.schema(schemas.BATCH)
    one = {"text": TICKET, "min_confidence": 0.6}
    many = {"documents": [{"id": "a", "text": TICKET}, {"text": ""}]}
    error = {"index": 1, "code": "invalid_request", "detail": "/documents/1/text is blank; send at least one word."}
    error["pointer"] = "/documents/1/text"
    answer = {**RESULT, "model": IDENTITY, "request_id": REQUEST_ID}
    answers = {"results": [{"index": 0, "id": "a", **RESULT}], "errors": [error], "model": IDENTITY}
    answers["request_id"] = REQUEST_ID
    return {
        "/v1/predict": {"post": with_body(operation("predict", "Classify one text", "Result", answer), predict, one)},
        "/v1/predict/batch": {
            "post": with_body(
                operation(
                    "predictBatch", f"Classify up to {limits.MAX_DOCUMENTS} texts in one pass", "Results", answers
                ),
                batch,
                many,
            )
        },
        "/v1/redact": {
            "post": with_body(
                operation(
                    "redact",
                    "Find and replace personal data, without classifying the text",
                    "Redaction",
                    {
                        "text": "Write to [EMAIL].",
                        "pii": [{"type": "EMAIL", "begin": 9, "end": 25}],
                        "request_id": REQUEST_ID,
                    },
                    model=False,
                ),
                schemas.schema(schemas.REDACTION),
                {"text": "Write to jane@example.com.", "mode": "replace"},
            )
        },
        "/v1/model": with_head(
            operation("getModel", "Describe the model, its metrics and the limits of requests", "Model")
        ),
        "/v1/model/card": with_head(operation("getModelCard", "Get the model card", kind="text/markdown")),
        "/v1/model/fairness": with_head(
            operation("getModelFairness", "Get the audit of fairness", "Fairness", codes=("not_found",), cached=True)
        ),
        "/health": with_head(
            operation("getHealth", "Check that the model is loaded and intact", "Health", keyed=False)
        ),
        "/openapi.json": with_head(
            operation("getContract", "Get this document", "Contract", keyed=False, model=False, cached=True)
        ),
        "/": with_head(
            operation(
                "getPage", "Get a page for trying the API in a browser", keyed=False, model=False, kind="text/html"
            )
        ),
    }


def operation(
    name: str,
    summary: str,
    schema: str = "",
    example: Json | None = None,
    *,
    keyed: bool = True,
    model: bool = True,
    kind: str = "application/json",
    codes: tuple[str, ...] = (),
    cached: bool = False,
) -> Json:
    """Return an operation that takes no body.

    Args:
        name: The operation's id.
        summary: One line about it.
        schema: Name of the answer's schema; empty: the answer is a text.
        example: Example of the answer.
        keyed: The operation needs an API key.
        model: The operation needs the model, so it can fail with model_unavailable.
        kind: Media type of the answer.
        codes: Further problems that the operation can have.
        cached: The answer has an ETag, as a text has.
    """
    content: Json = {"schema": {"$ref": f"#/components/schemas/{schema}"} if schema else {"type": "string"}}
    if example:
        content["example"] = example
    good = {"description": "The answer.", "headers": headers(), "content": {kind: content}}
    codes = (*ANY, *codes, *(KEYED if keyed else ()), *(("model_unavailable",) if model else ()))
    responses = {"200": good, **problems(codes)}
    if not schema or cached:
        responses["304"] = {"description": "Not modified: the ETag that you sent is current."}
    secured: Json = {"security": [{"key": []}]} if keyed else {}
    return {"operationId": name, "summary": summary, **secured, "responses": dict(sorted(responses.items()))}


def with_head(get: Json) -> Json:
    """Return the GET operation of a path with its HEAD operation: the same statuses and headers, and no content."""
    responses = {
        status: {name: part for name, part in response.items() if name != "content"}
        for status, response in get["responses"].items()
    }
    name = get["operationId"].replace("get", "head", 1)
    return {"get": get, "head": {**get, "operationId": name, "summary": HEAD_SUMMARY, "responses": responses}}


def with_body(operation: Json, schema: schemas.Schema, example: Json) -> Json:
    """Return the operation with a JSON body, plain or packed, and the problems that a body can have."""
    body = {"required": True, "content": {"application/json": {"schema": schema, "example": example}}}
    responses = {**operation["responses"], **problems(BODY)}
    coding = {
        "name": "Content-Encoding",
        "in": "header",
        "description": "The coding of the body. Its limit holds for the packed and the unpacked body.",
        "schema": {"type": "string", "enum": ["gzip", "identity"], "default": "identity"},
    }
    responses = dict(sorted(responses.items()))
    return {**operation, "parameters": [coding], "requestBody": body, "responses": responses}


def problems(codes: Iterable[str]) -> Json:
    """Return the responses of error codes by status, each with an example per code."""
    responses: Json = {}
    for code in codes:
        status, title = CODES[code]
        response = responses.setdefault(
            str(int(status)),
            {
                "description": title,
                "headers": headers(int(status)),
                "content": {
                    "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}}
                },
            },
        )
        if title not in response["description"]:
            response["description"] += f"; {title[0].lower()}{title[1:]}"
        response["content"]["application/problem+json"]["examples"][code] = {"value": example(code)}
    return responses


def example(code: str) -> Json:
    """Return an example of the problem with a code."""
    status, title = CODES[code]
    problem = {"type": "about:blank", "title": title, "status": int(status), "detail": "What is wrong, and the remedy."}
    return {**problem, "code": code, "request_id": REQUEST_ID}


def headers(status: int = 200) -> Json:
    """Return the documented headers of responses with a status."""
    documented: Json = {
        "X-Request-Id": {"description": "Quote it when you report a problem.", "schema": {"type": "string"}}
    }
    if status == 405:
        documented["Allow"] = {"description": "The methods that the path accepts.", "schema": {"type": "string"}}
    if status == 415:
        documented["Accept-Encoding"] = {
            "description": "The codings of a body, if the one that was sent is none of them.",
            "schema": {"type": "string"},
        }
    if status == 429:
        documented["Retry-After"] = {"description": "Seconds to wait.", "schema": {"type": "integer"}}
    return documented


def components() -> Json:
    """Return the schemas that operations refer to."""
    text, number = {"type": "string"}, {"type": "integer", "minimum": 0}
    result = {
        "label": {"type": "string", "description": "The most probable label."},
        "decision": {"type": "string", "description": "The label, or `uncertain` if it should not be relied on."},
        "probabilities": {
            "type": "object",
            "additionalProperties": {"type": "number", "minimum": 0, "maximum": 1},
            "description": "Probability by label. They sum to 1.",
        },
        "tokens": {
            **number,
            "description": "Number of words that the model read, punctuation not counted. Texts are never truncated.",
        },
        "warnings": {
            "type": "array",
            "items": objects({"code": {"type": "string", "enum": sorted(WARNINGS)}, "detail": text}),
        },
    }
    index = {"index": {**number, "description": "Position of the document in the request, from 0."}}
    pii = {
        "type": "array",
        "items": objects({"type": {"type": "string", "enum": list(TYPES)}, "begin": number, "end": number}),
        "description": "Personal data that was found: offsets in code points of the sent text, never the values.",
    }
    optional: Json = {
        "explanation": {"oneOf": [explanation(), {"type": "null"}], "description": "Null if the text has no words."}
    }
    optional["pii"] = pii
    model = {"$ref": "#/components/schemas/ModelIdentity"}
    way = {**text, "description": "How it was trained, such as `one-feature`, or `off`."}
    document_id = {"id": {**schemas.IDENTIFIER.schema, "type": "string"}}
    problem = {"code": {"type": "string", "enum": sorted(CODES)}, "detail": text}
    sizes = {
        "pointer": {**text, "description": "Position in the body, as a JSON pointer."},
        "limit": number,
        "actual": number,
    }
    return {
        "Result": objects({**result, "model": model, "request_id": text}, optional),
        "Results": objects(
            {
                "results": {"type": "array", "items": objects({**index, **result}, {**document_id, **optional})},
                "errors": {
                    "type": "array",
                    "description": "One for each document without a result: it is not valid, or its result would make "
                    f"the results larger than {limits.MAX_ANSWER_BYTES:,} bytes (`answer_too_large`).",
                    "items": objects({**index, **problem}, {**document_id, **sizes}),
                },
                "model": model,
                "request_id": text,
            }
        ),
        "Redaction": objects({"text": text, "pii": pii, "request_id": text}),
        "ModelIdentity": MODEL,
        "Model": objects(
            {
                **MODEL["properties"],  # type: ignore[dict-item]
                "created": {"type": "string", "format": "date-time"},
                "labels": {"type": "array", "items": text},
                "text_noun": {**text, "description": "What a text is called, such as `ticket`."},
                "samples": {
                    "type": "array",
                    "items": text,
                    "description": "Texts to try, which the model's owner wrote. Often none.",
                },
                "min_confidence": {
                    "type": "number",
                    "description": "Probability below which the decision is `uncertain` by default.",
                },
                "metrics": {"type": "object"},
                "data": {"type": "object"},
                **dict.fromkeys(("description", "intended_use", "owner", "licence"), text),
                "fairness": {
                    "oneOf": [objects({"way": way, "groups": {"type": "array", "items": text}}), {"type": "null"}],
                    "description": "How the model was trained not to tell groups of people apart, and which; null if "
                    "it was not audited.",
                },
                "limits": objects(
                    {"text_bytes": number, "documents": number, "body_bytes": number, "answer_bytes": number}
                ),
                "request_id": text,
            }
        ),
        "Fairness": objects(
            {
                "way": way,
                "groups": {
                    "type": "object",
                    "additionalProperties": number,
                    "description": "Number of terms of each group that was audited.",
                },
                "kept": {
                    "type": "array",
                    "items": text,
                    "description": "Groups that the model tells apart, since that is its task.",
                },
                "chosen": {"type": "object", "description": "The audit of the model: swaps, templates, groups."},
                "gate": {"type": "object", "description": "The limits, and what passes them."},
                "terms": {
                    "type": "object",
                    "additionalProperties": {"type": "array", "items": text},
                    "description": "By group, the terms that the model reads as one. Plurals and possessives are, too.",
                },
            },
            {"off": {"type": "object", "description": "The audit of a model trained without any care."}},
        ),
        "Health": objects({"status": {"const": "ok"}, "model": model, "request_id": text}),
        "Contract": {"type": "object", "required": ["openapi", "info", "paths"]},
        "Problem": {
            **objects(
                {"type": text, "title": text, "status": {"type": "integer"}, **problem, "request_id": text},
                sizes,
            ),
            "description": "Problem details (RFC 9457). They never repeat what was sent.",
        },
    }


def explanation() -> Json:
    """Return the schema of an explanation."""
    number, offset = {"type": "number"}, {"type": "integer", "minimum": 0}
    return objects(
        {
            "label": {"type": "string"},
            "method": {"type": "string"},
            "base_value": {**number, "description": "Logit of a text of which the model knows nothing."},
            "logit": {**number, "description": "Logit of the label minus the mean of the other labels' logits."},
            "residual": {**number, "description": "Logit minus base value minus the sum of the values."},
            "attributions": {
                "type": "array",
                "items": objects({"begin": offset, "end": offset, "value": number}),
                "description": "One per word and punctuation mark, in order, by code points of the sent text.",
            },
        }
    )


def objects(required: Json, optional: Json | None = None) -> Json:
    """Return the schema of an object with required and optional properties."""
    return {"type": "object", "required": list(required), "properties": {**required, **(optional or {})}}


if __name__ == "__main__":
    json.dump(build(), sys.stdout, indent=1, ensure_ascii=False)
    print()
