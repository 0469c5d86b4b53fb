"""The API's contract as an OpenAPI 3.1 document, made from the same fields, codes and limits that the code runs on.

    python -m api.openapi > openapi.json

Runs when building, never when serving: openapi.json beside it is what is served.
"""

import json
import sys
from collections.abc import Iterable
from typing import Any

from api import schemas
from api.problems import CODES
from candor import limits
from candor.evidence import WARNINGS
from candor.redact import TYPES

Json = dict[str, Any]

REVIEW = "A wonderful film, from the first minute to the last."
BODY = (
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
ANY = ("method_not_allowed", "internal_error", "timeout")
MODEL = {
    "type": "object",
    "required": ["name", "version", "sha256"],
    "properties": {
        "name": {"type": "string"},
        "version": {"type": "string"},
        "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "Digest of the bundle's manifest."},
    },
}
IDENTITY = {"name": "imdb-sentiment", "version": "2026.11.23", "sha256": "0" * 64}
REQUEST_ID = "4b2e7a0c-6d1f-4c8e-9a35-0f2b7c1d8e64"
VERDICT = {
    "label": "positive",
    "decision": "positive",
    "probabilities": {"negative": 0.16, "positive": 0.84},
    "tokens": 10,
    "warnings": [],
}


def build() -> Json:
    """The whole document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Candor",
            "version": "1",
            "summary": "A text classifier that answers for itself",
            "description": "Texts in; labels with calibrated probabilities out. No text is kept or logged.",
        },
        "servers": [{"url": "/"}],
        "paths": paths(),
        "components": {
            "schemas": components(),
            "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "x-api-key"}},
        },
    }


def paths() -> Json:
    predict, batch = schemas.schema(schemas.PREDICT), schemas.schema(schemas.BATCH)
    one = {"text": REVIEW, "min_confidence": 0.6}
    many = {"documents": [{"id": "a", "text": REVIEW}, {"text": ""}]}
    error = {"index": 1, "code": "invalid_request", "detail": "/documents/1/text is blank; send at least one word."}
    error["pointer"] = "/documents/1/text"
    answer = {**VERDICT, "model": IDENTITY, "request_id": REQUEST_ID}
    answers = {"results": [{"index": 0, "id": "a", **VERDICT}], "errors": [error], "model": IDENTITY}
    answers["request_id"] = REQUEST_ID
    return {
        "/v1/predict": {"post": taking(operation("predict", "Classify one text", "Result", answer), predict, one)},
        "/v1/predict/batch": {
            "post": taking(
                operation(
                    "predictBatch", f"Classify up to {limits.MAX_DOCUMENTS} texts in one pass", "Results", answers
                ),
                batch,
                many,
            )
        },
        "/v1/redact": {
            "post": taking(
                operation(
                    "redact",
                    "Find personal data and write over it; nothing is classified",
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
        "/v1/model": {"get": operation("getModel", "Which model answers, and how good it is", "Model")},
        "/v1/model/card": {"get": operation("getModelCard", "The model card", kind="text/markdown")},
        "/health": {"get": operation("getHealth", "Whether the model is there and whole", "Health", keyed=False)},
        "/openapi.json": {"get": operation("getContract", "This document", "Contract", keyed=False, model=False)},
        "/": {"get": operation("getPage", "A page to try it on", keyed=False, model=False, kind="text/html")},
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
) -> Json:
    """One operation that takes no body; an answer without a schema is a text."""
    content: Json = {"schema": {"$ref": f"#/components/schemas/{schema}"} if schema else {"type": "string"}}
    if example:
        content["example"] = example
    good = {"description": "The answer.", "headers": headers(), "content": {kind: content}}
    codes = (*ANY, *(KEYED if keyed else ()), *(("model_unavailable",) if model else ()))
    responses = {"200": good, **problems(codes)}
    if not schema or schema == "Contract":
        responses["304"] = {"description": "You have it already: the ETag that you sent still holds."}
    secured: Json = {"security": [{"key": []}]} if keyed else {}
    return {"operationId": name, "summary": summary, **secured, "responses": dict(sorted(responses.items()))}


def taking(made: Json, schema: schemas.Schema, example: Json) -> Json:
    """The same operation with a JSON body."""
    body = {"required": True, "content": {"application/json": {"schema": schema, "example": example}}}
    responses = {**made["responses"], **problems(BODY)}
    return {**made, "requestBody": body, "responses": dict(sorted(responses.items()))}


def problems(codes: Iterable[str]) -> Json:
    """Responses by status, each with an example for every code it may have."""
    responses: Json = {}
    for code in codes:
        status, title = CODES[code]
        made = responses.setdefault(
            str(int(status)),
            {
                "description": title,
                "headers": headers(int(status)),
                "content": {
                    "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}}
                },
            },
        )
        if title not in made["description"]:
            made["description"] += f"; {title[0].lower()}{title[1:]}"
        made["content"]["application/problem+json"]["examples"][code] = {"value": example(code)}
    return responses


def example(code: str) -> Json:
    status, title = CODES[code]
    shown = {"type": "about:blank", "title": title, "status": int(status), "detail": "What was wrong, and the remedy."}
    return {**shown, "code": code, "request_id": REQUEST_ID}


def headers(status: int = 200) -> Json:
    shown: Json = {"X-Request-Id": {"description": "Quote it when you report a fault.", "schema": {"type": "string"}}}
    if status == 405:
        shown["Allow"] = {"description": "The methods there are.", "schema": {"type": "string"}}
    if status == 429:
        shown["Retry-After"] = {"description": "Seconds to wait.", "schema": {"type": "integer"}}
    return shown


def components() -> Json:
    text, number = {"type": "string"}, {"type": "integer", "minimum": 0}
    verdict = {
        "label": {"type": "string", "description": "The most probable label."},
        "decision": {"type": "string", "description": "The label, or `uncertain` where it should not be relied on."},
        "probabilities": {
            "type": "object",
            "additionalProperties": {"type": "number", "minimum": 0, "maximum": 1},
            "description": "By label; they add up to 1.",
        },
        "tokens": {**number, "description": "How many tokens the model read. Nothing is cut."},
        "warnings": {
            "type": "array",
            "items": objects({"code": {"type": "string", "enum": sorted(WARNINGS)}, "detail": text}),
        },
    }
    place = {"index": {**number, "description": "Which document, from 0."}}
    pii = {
        "type": "array",
        "items": objects({"type": {"type": "string", "enum": list(TYPES)}, "begin": number, "end": number}),
        "description": "Where personal data is: offsets in code points of the text as it was sent. Never the values.",
    }
    explained: Json = {
        "explanation": {"oneOf": [explanation(), {"type": "null"}], "description": "Null without tokens."}
    }
    explained["pii"] = pii
    model = {"$ref": "#/components/schemas/ModelIdentity"}
    name = {"id": schemas.IDENTIFIER.schema}
    fault = {"code": {"type": "string", "enum": sorted(CODES)}, "detail": text}
    sizes = {
        "pointer": {**text, "description": "Where in the body, as a JSON pointer."},
        "limit": number,
        "actual": number,
    }
    return {
        "Result": objects({**verdict, "model": model, "request_id": text}, explained),
        "Results": objects(
            {
                "results": {"type": "array", "items": objects({**place, **verdict}, {**name, **explained})},
                "errors": {"type": "array", "items": objects({**place, **fault}, {**name, **sizes})},
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
                "min_confidence": {"type": "number", "description": "Below it the decision is `uncertain` by default."},
                "metrics": {"type": "object"},
                "data": {"type": "object"},
                "licence": text,
                "limits": objects({"text_bytes": number, "documents": number, "body_bytes": number}),
                "request_id": text,
            }
        ),
        "Health": objects({"status": {"const": "ok"}, "model": model, "request_id": text}),
        "Contract": {"type": "object", "required": ["openapi", "info", "paths"]},
        "Problem": {
            **objects(
                {"type": text, "title": text, "status": {"type": "integer"}, **fault, "request_id": text},
                sizes,
            ),
            "description": "RFC 9457. Never repeats what was sent.",
        },
    }


def explanation() -> Json:
    number, place = {"type": "number"}, {"type": "integer", "minimum": 0}
    return objects(
        {
            "label": {"type": "string"},
            "method": {"type": "string"},
            "base_value": {**number, "description": "The logit of a text of this length in which no word is known."},
            "logit": {**number, "description": "The label's, less the mean of the others'."},
            "residual": {**number, "description": "Logit less base value less all values."},
            "attributions": {
                "type": "array",
                "items": objects({"begin": place, "end": place, "value": number}),
                "description": "One a token, in order; offsets in code points of the text as it was sent.",
            },
        }
    )


def objects(required: Json, optional: Json | None = None) -> Json:
    return {"type": "object", "required": list(required), "properties": {**required, **(optional or {})}}


if __name__ == "__main__":
    json.dump(build(), sys.stdout, indent=1, ensure_ascii=False)
    print()
