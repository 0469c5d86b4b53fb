"""What the API's requests look like: fields as data, checked by a few lines that cost a cold start nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from api.problems import Problem
from candor.limits import MAX_TEXT_BYTES


@dataclass(frozen=True)
class Field:
    """One field of an object. `check` returns the value to use, or raises Problem."""

    check: Callable[[Any, str], Any]
    required: bool = False
    default: Any = None


def text(value: Any, pointer: str) -> str:
    """A text of valid Unicode, not blank, at most MAX_TEXT_BYTES bytes of UTF-8."""
    if not isinstance(value, str):
        raise _wrong(pointer, "must be a string")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise _wrong(pointer, "is not valid Unicode: it holds half of a surrogate pair") from None
    if size > MAX_TEXT_BYTES:
        raise Problem(
            "text_too_large",
            f"{pointer} has {size:,} bytes of UTF-8; at most {MAX_TEXT_BYTES:,} are allowed. Split it, or send a part.",
            pointer=pointer,
            limit=MAX_TEXT_BYTES,
            actual=size,
        )
    if not value.strip():
        raise _wrong(pointer, "is blank; send at least one word")
    return value


def share(value: Any, pointer: str) -> float:
    """A number from 0 to 1."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise _wrong(pointer, "must be a number from 0 to 1")
    return float(value)


PREDICT = {"text": Field(text, required=True), "min_confidence": Field(share, default=0.0)}


def check(value: Any, fields: Mapping[str, Field], pointer: str = "") -> dict[str, Any]:
    """The fields of an object, with defaults for those left out. Raises Problem for the first that is wrong."""
    if not isinstance(value, dict):
        raise _wrong(pointer, "must be an object")
    if unknown := len(value.keys() - fields.keys()):
        names = ", ".join(fields)
        raise _wrong(pointer, f"has {unknown} unknown field{'s' if unknown > 1 else ''}; known are: {names}")
    for name, field in fields.items():
        if field.required and name not in value:
            raise _wrong(f"{pointer}/{name}", "is missing")
    return {
        name: field.check(value[name], f"{pointer}/{name}") if name in value else field.default
        for name, field in fields.items()
    }


def _wrong(pointer: str, fault: str) -> Problem:
    """A wrong field, named by its JSON pointer (RFC 6901), which the body's own root is too: ""."""
    return Problem("invalid_request", f"{pointer or 'The body'} {fault}.", pointer=pointer)
