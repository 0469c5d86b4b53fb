"""A request: a REST API proxy event of API Gateway, and its body as strict JSON."""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from api.problems import Problem
from candor.limits import MAX_BODY_BYTES, MAX_JSON_DEPTH


class Request:
    """Method, path, headers and body of a proxy event. The body is decoded only when it is asked for."""

    def __init__(self, event: Mapping[str, Any]) -> None:
        self._event = event
        self.method = str(event.get("httpMethod") or "")
        # "resource" is the route. A custom domain may put a prefix in "path".
        self.path = str(event.get("resource") or event.get("path") or "")
        self.id = str((event.get("requestContext") or {}).get("requestId") or "")

    def header(self, name: str) -> str:
        """Return a header by its lower-case name, or "" if there is none."""
        for headers in (self._event.get("headers"), self._event.get("multiValueHeaders")):
            for key, value in (headers or {}).items():
                if str(key).lower() == name and value:
                    return str(value[-1] if isinstance(value, list) else value)
        return ""

    def body(self) -> bytes:
        """Return the body as it was sent. Raises Problem if it is too large, or not the base64 it is marked as."""
        body = self._event.get("body") or ""
        content = body.encode("utf-8", "surrogatepass")
        if self._event.get("isBase64Encoded"):
            try:
                content = base64.b64decode(content, validate=True)
            except binascii.Error:
                raise Problem(
                    "invalid_encoding", "The body is marked as base64 but is not valid base64. Send plain JSON."
                ) from None
        if len(content) > MAX_BODY_BYTES:
            raise Problem(
                "body_too_large",
                f"The body has {len(content):,} bytes; at most {MAX_BODY_BYTES:,} are allowed. Send fewer at a time.",
                limit=MAX_BODY_BYTES,
                actual=len(content),
            )
        return content

    def json(self) -> Any:
        """Return the body as a JSON value. Raises Problem if it is not what parse() accepts."""
        self._check_media_type()
        return parse(self.body())

    def _check_media_type(self) -> None:
        media_type, *parameters = (part.strip().lower() for part in self.header("content-type").split(";"))
        charsets = {part.partition("=")[2].strip('"') for part in parameters if part.startswith("charset=")}
        if media_type not in ("", "application/json") or charsets - {"utf-8", "utf8"}:
            raise Problem(
                "unsupported_media_type", "Send JSON in UTF-8, with the header Content-Type: application/json."
            )


def parse(content: bytes) -> Any:
    """Parse strict JSON (RFC 8259) from UTF-8 bytes.

    Raises:
        Problem: The content is not JSON, or it is JSON on which parsers disagree: duplicate keys, NaN, deep nesting.

    Example:
        >>> parse(b'{"text": "good"}')
        {'text': 'good'}
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Problem(
            "invalid_encoding", f"Byte {error.start + 1} of the body is not UTF-8. Encode it as UTF-8."
        ) from None
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant)
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        location = f" at line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        raise Problem(
            "invalid_json", f'The body is not JSON{location}. Send an object such as {{"text": "..."}}.'
        ) from None
    if text.count("[") + text.count("{") > MAX_JSON_DEPTH:
        _check_depth(value, MAX_JSON_DEPTH)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise Problem("duplicate_key", "An object of the body has the same key twice. Send each key once.")
    return value


def _refuse_constant(constant: str) -> None:
    raise Problem("invalid_json", f"{constant} is not JSON (RFC 8259). Send a finite number, or leave the field out.")


def _check_depth(value: Any, levels: int) -> None:
    if not isinstance(value, dict | list):
        return
    if levels == 0:
        raise _too_deep()
    for child in value.values() if isinstance(value, dict) else value:
        _check_depth(child, levels - 1)


def _too_deep() -> Problem:
    detail = f"The body is nested more than {MAX_JSON_DEPTH} levels deep. Send it flatter."
    return Problem("too_deep", detail, limit=MAX_JSON_DEPTH)
