"""A request: a REST API proxy event of API Gateway, and its body as strict JSON."""

import base64
import binascii
import json
import re
import zlib
from collections.abc import Mapping
from typing import Any

from api.problems import Problem
from candor.limits import MAX_BODY_BYTES, MAX_JSON_DEPTH

# What the handler reads of an event. Each member may be missing or null, but for the method and one of the addresses.
_MEMBERS = {
    "httpMethod": (str, "a string"),
    "resource": (str, "a string"),
    "path": (str, "a string"),
    "headers": (Mapping, "an object"),
    "multiValueHeaders": (Mapping, "an object"),
    "requestContext": (Mapping, "an object"),
    "body": (str, "a string"),
    "isBase64Encoded": (bool, "true or false"),
}
_REQUEST_ID = re.compile(r"[!-~]{1,128}")
_GZIP = b"\x1f\x8b"  # how every gzip begins, and no JSON
_WINDOW = 1024  # bytes unpacked at a time: what follows a member is copied, and a body may have 50,000 empty ones


class Request:
    """Method, path, headers and body of a proxy event. The body is decoded only when it is asked for.

    Args:
        event: What the function was invoked with. Anything at all: check() tells whether it is a proxy event.
    """

    def __init__(self, event: Any) -> None:
        self._event: Mapping[str, Any] = event if isinstance(event, Mapping) else {}
        self._fault = _fault_of(event)
        self.method: str = self._member("httpMethod") or ""
        # "resource" is the route. A custom domain may put a prefix in "path".
        self.path: str = self._member("resource") or self._member("path") or ""
        request_id = (self._member("requestContext") or {}).get("requestId")
        self.id = request_id if isinstance(request_id, str) and _REQUEST_ID.fullmatch(request_id) else ""
        self._headers = _values_by_name(self._member("headers") or {}) | _values_by_name(
            self._member("multiValueHeaders") or {}
        )

    def _member(self, name: str) -> Any:
        value = self._event.get(name)
        return value if isinstance(value, _MEMBERS[name][0]) else None

    def check(self) -> None:
        """Raise Problem if the event is not a proxy event, as it can be when the function is invoked directly."""
        if self._fault:
            raise Problem(
                "bad_request",
                f"{self._fault}. Invoke the function with a proxy event of a REST API, such as events/predict.json.",
            )

    def header(self, name: str) -> str:
        """Return a header by its lower-case name, the last of several, or "" if there is none."""
        return self._headers.get(name, [""])[-1]

    def listed(self, name: str) -> list[str]:
        """Return the members of a header that is a list (RFC 9110, 5.6.1), by its lower-case name."""
        members = (member.strip() for value in self._headers.get(name, []) for member in value.split(","))
        return [member for member in members if member]

    def body(self) -> bytes:
        """Return the body, unpacked if it is a gzip.

        Raises:
            Problem: The body is too large, packed or unpacked, not the base64 it is marked as, or a damaged gzip; or
                its coding is none that is read.
        """
        packed = self._is_packed()
        content = (self._event.get("body") or "").encode("utf-8", "surrogatepass")
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
        # API Gateway unpacks a gzip itself, and hands its header on.
        return unpack(content) if packed and content.startswith(_GZIP) else content

    def _is_packed(self) -> bool:
        """Return True if the body is sent as a gzip. Raises Problem for any other coding."""
        codings = [coding.lower() for coding in self.listed("content-encoding")]
        codings = [coding for coding in codings if coding != "identity"]
        if codings not in ([], ["gzip"], ["x-gzip"]):
            raise Problem(
                "unsupported_media_type",
                "Send the body as it is, or packed once, with the header Content-Encoding: gzip.",
                {"Accept-Encoding": "gzip, identity"},
            )
        return bool(codings)

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


def _fault_of(event: Any) -> str:
    """Return what keeps an event from being a proxy event, as a sentence without its full stop; "" if nothing does."""
    if not isinstance(event, Mapping):
        return "The event must be an object"
    for name, (kind, described) in _MEMBERS.items():
        if event.get(name) is not None and not isinstance(event[name], kind):
            return f"{name} of the event must be {described}"
    if event.get("httpMethod") is None or (event.get("resource") is None and event.get("path") is None):
        return "The event must have httpMethod and path"
    return ""


def _values_by_name(headers: Mapping[Any, Any]) -> dict[str, list[str]]:
    """Return the values of headers by their lower-case names; a value is a string or a list of strings."""
    found: dict[str, list[str]] = {}
    for name, value in headers.items():
        values = [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)]
        if values:
            found.setdefault(str(name).lower(), []).extend(values)
    return found


def unpack(content: bytes) -> bytes:
    """Unpack a gzip of one or more members (RFC 1952).

    Raises:
        Problem: The gzip is damaged, truncated or followed by something else, or it unpacks to too much.

    Example:
        >>> import gzip
        >>> unpack(gzip.compress(b"{") + gzip.compress(b"}"))
        b'{}'
    """
    parts: list[bytes] = []
    size = position = 0
    while position < len(content):
        member = zlib.decompressobj(wbits=31)
        while not member.eof:
            window = content[position : position + _WINDOW]
            try:
                part = member.decompress(window, MAX_BODY_BYTES + 1 - size)
            except zlib.error:
                raise _damaged() from None
            if not window:
                raise _damaged()
            position += len(window) - len(member.unused_data)
            size += len(part)
            parts.append(part)
            if size > MAX_BODY_BYTES:
                raise Problem(
                    "body_too_large",
                    f"The body unpacks to more than the {MAX_BODY_BYTES:,} bytes that are allowed. "
                    "Send fewer at a time.",
                    limit=MAX_BODY_BYTES,
                )
    return b"".join(parts)


def _damaged() -> Problem:
    return Problem("invalid_encoding", "The body is a damaged or truncated gzip. Pack it again, or send it as it is.")


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
    raise Problem(
        "invalid_json", "NaN and Infinity are not JSON (RFC 8259). Send a finite number, or leave the field out."
    )


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
