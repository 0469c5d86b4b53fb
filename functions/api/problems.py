"""Errors of the API as RFC 9457 problem details, each with a code for programs and a remedy for people.

No problem repeats what the caller sent.
"""

from http import HTTPStatus
from typing import Any

# Status and title of every code. The documentation, the OpenAPI document and template.yaml have the same ones. API
# Gateway itself answers those of 403, 429 and 504, and some of 400, 413 and 415.
CODES: dict[str, tuple[HTTPStatus, str]] = {
    "bad_request": (HTTPStatus.BAD_REQUEST, "The request cannot be read"),
    "invalid_json": (HTTPStatus.BAD_REQUEST, "The body is not valid JSON"),
    "invalid_encoding": (HTTPStatus.BAD_REQUEST, "The body cannot be decoded"),
    "too_deep": (HTTPStatus.BAD_REQUEST, "The body is nested too deeply"),
    "duplicate_key": (HTTPStatus.BAD_REQUEST, "An object has the same key twice"),
    "forbidden": (HTTPStatus.FORBIDDEN, "The API key is missing or unknown"),
    "not_found": (HTTPStatus.NOT_FOUND, "There is no such address"),
    "method_not_allowed": (HTTPStatus.METHOD_NOT_ALLOWED, "The address does not take this method"),
    "body_too_large": (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body is too large"),
    "text_too_large": (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The text is too large"),
    "too_many_documents": (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The batch is too large"),
    "answer_too_large": (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The answer would be too large"),
    "unsupported_media_type": (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The body must be JSON in UTF-8"),
    "invalid_request": (HTTPStatus.UNPROCESSABLE_ENTITY, "The request has a wrong field"),
    "too_many_requests": (HTTPStatus.TOO_MANY_REQUESTS, "Too many requests at a time"),
    "quota_exceeded": (HTTPStatus.TOO_MANY_REQUESTS, "The key's quota is used up"),
    "internal_error": (HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong on our side"),
    "timeout": (HTTPStatus.GATEWAY_TIMEOUT, "The answer took too long"),
    "model_unavailable": (HTTPStatus.SERVICE_UNAVAILABLE, "The model cannot be used"),
}


class Problem(Exception):
    """A request, or a document of a batch, that gets no result.

    Args:
        code: One of CODES.
        detail: What is wrong, and the remedy.
        headers: Headers of the answer.
        members: More members of the body, such as "pointer", "limit" and "actual".

    Example:
        >>> Problem("not_found", "Use /v1/predict.").body("r-1")["status"]
        404
    """

    def __init__(self, code: str, detail: str, headers: dict[str, str] | None = None, **members: Any) -> None:
        super().__init__(code)
        self.code, self.detail, self.members = code, detail, members
        self.status, self.title = CODES[code]
        self.headers = headers or {}

    def entry(self) -> dict[str, Any]:
        """Return the problem as one of a batch's errors."""
        return {"code": self.code, "detail": self.detail, **self.members}

    def body(self, request_id: str) -> dict[str, Any]:
        """Return the problem as the body of an answer."""
        return {
            "type": "about:blank",
            "title": self.title,
            "status": int(self.status),
            "detail": self.detail,
            "code": self.code,
            **self.members,
            "request_id": request_id,
        }
