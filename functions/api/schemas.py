"""What requests look like: fields as data, each with its check and its JSON Schema, from which OpenAPI is made.

The checks are our own few lines, because a validation library would cost a cold start more than all the rest.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from api.problems import Problem
from candor.limits import MAX_DOCUMENTS, MAX_EXPLAINED, MAX_ID_LENGTH, MAX_TEXT_BYTES
from candor.redact import MODES

Schema = dict[str, Any]
MASKS = ("*", "~", "█", "■", "●", "•")  # symbols that no pattern reads


@dataclass(frozen=True)
class Field:
    """One field of an object. `check` returns the value to use, or raises Problem."""

    check: Callable[[Any, str], Any]
    schema: Schema
    required: bool = False
    default: Any = None


def text(value: Any, pointer: str) -> str:
    """A text of valid Unicode, not blank, at most MAX_TEXT_BYTES bytes of UTF-8."""
    string(value, pointer)
    size = len(value.encode())
    if size > MAX_TEXT_BYTES:
        raise Problem(
            "text_too_large",
            f"{pointer} has {size:,} bytes of UTF-8; at most {MAX_TEXT_BYTES:,} are allowed. Split it, or send a part.",
            pointer=pointer,
            limit=MAX_TEXT_BYTES,
            actual=size,
        )
    if not value.strip():
        raise wrong(pointer, "is blank; send at least one word")
    return str(value)


def string(value: Any, pointer: str) -> str:
    """A string of valid Unicode."""
    if not isinstance(value, str):
        raise wrong(pointer, "must be a string")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise wrong(pointer, "is not valid Unicode: it holds half of a surrogate pair") from None
    return value


def identifier(value: Any, pointer: str) -> str:
    """The caller's own name for a document."""
    if len(string(value, pointer)) > MAX_ID_LENGTH:
        raise wrong(pointer, f"has {len(value)} characters; at most {MAX_ID_LENGTH} are allowed")
    return str(value)


def share(value: Any, pointer: str) -> float:
    """A number from 0 to 1."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise wrong(pointer, "must be a number from 0 to 1")
    return float(value)


def flag(value: Any, pointer: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise wrong(pointer, "must be true or false")
    return value


def documents(value: Any, pointer: str) -> list[Any]:
    """A list of 1 to MAX_DOCUMENTS documents, each still to be checked: a bad one must not cost the others."""
    if not isinstance(value, list):
        raise wrong(pointer, "must be an array")
    if len(value) > MAX_DOCUMENTS:
        raise Problem(
            "too_many_documents",
            f"{pointer} has {len(value):,} documents; at most {MAX_DOCUMENTS} are allowed. Send several requests.",
            pointer=pointer,
            limit=MAX_DOCUMENTS,
            actual=len(value),
        )
    if not value:
        raise wrong(pointer, "is empty; send at least one document")
    return value


TEXT = Field(
    text,
    {
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_TEXT_BYTES,
        "pattern": r"\S",
        "description": f"What to classify: not blank, at most {MAX_TEXT_BYTES:,} bytes of UTF-8.",
    },
    required=True,
)
MIN_CONFIDENCE = Field(
    share,
    {
        "type": "number",
        "minimum": 0,
        "maximum": 1,
        "description": "Below this probability the decision is `uncertain`; without it the model's own is used.",
    },
)
IDENTIFIER = Field(
    identifier,
    {
        "type": "string",
        "maxLength": MAX_ID_LENGTH,
        "description": "Your own name for the document, echoed in the answer.",
    },
)
EXPLAIN = Field(
    flag,
    {
        "type": "boolean",
        "default": False,
        "description": f"Whether to say what each word added; of at most {MAX_EXPLAINED} documents a request.",
    },
    default=False,
)
EXPLAIN_LABEL = Field(
    string,
    {"type": "string", "description": "The label to explain; without it the one that was predicted."},
    default="",
)
REDACT = Field(
    flag,
    {
        "type": "boolean",
        "default": False,
        "description": "Whether to say where personal data was. The model never sees it, asked or not.",
    },
    default=False,
)


def mode(value: Any, pointer: str) -> str:
    """One of MODES."""
    if string(value, pointer) not in MODES:
        raise wrong(pointer, f"is none of: {', '.join(MODES)}")
    return str(value)


def mask(value: Any, pointer: str) -> str:
    """One of MASKS."""
    if string(value, pointer) not in MASKS:
        raise wrong(pointer, f"is none of: {' '.join(MASKS)}")
    return str(value)


MODE = Field(
    mode,
    {
        "type": "string",
        "enum": list(MODES),
        "default": "replace",
        "description": "`replace`: the type in brackets; `mask`: a symbol for each character; `hash`: the type and a "
        "keyed digest, so that equal values have equal ones; `off`: nothing.",
    },
    default="replace",
)
MASK = Field(mask, {"type": "string", "enum": list(MASKS), "default": "*", "description": "One symbol."}, default="*")
DOCUMENT = {"id": IDENTIFIER, "text": TEXT}
OPTIONS = {"min_confidence": MIN_CONFIDENCE, "explain": EXPLAIN, "explain_label": EXPLAIN_LABEL, "redact": REDACT}
PREDICT = {"text": TEXT, **OPTIONS}
REDACTION = {"text": TEXT, "mode": MODE, "mask": MASK}
BATCH = {
    "documents": Field(
        documents,
        {
            "type": "array",
            "minItems": 1,
            "maxItems": MAX_DOCUMENTS,
            "items": {},  # each is judged alone: a bad one is one of the answer's errors
            "description": f"1 to {MAX_DOCUMENTS} documents, each an object of `text` and, if you like, `id`.",
        },
        required=True,
    ),
    **OPTIONS,
}


def check(value: Any, fields: Mapping[str, Field], pointer: str = "") -> dict[str, Any]:
    """The fields of an object, with defaults for those left out. Raises Problem for the first that is wrong."""
    if not isinstance(value, dict):
        raise wrong(pointer, "must be an object")
    if unknown := len(value.keys() - fields.keys()):
        names = ", ".join(fields)
        raise wrong(pointer, f"has {unknown} unknown field{'s' if unknown > 1 else ''}; known are: {names}")
    for name, field in fields.items():
        if field.required and name not in value:
            raise wrong(f"{pointer}/{name}", "is missing")
    return {
        name: field.check(value[name], f"{pointer}/{name}") if name in value else field.default
        for name, field in fields.items()
    }


def schema(fields: Mapping[str, Field]) -> Schema:
    """The same as JSON Schema."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [name for name, field in fields.items() if field.required],
        "properties": {name: field.schema for name, field in fields.items()},
    }


def wrong(pointer: str, fault: str) -> Problem:
    """A wrong field, named by its JSON pointer (RFC 6901), which for the body itself is ""."""
    return Problem("invalid_request", f"{pointer or 'The body'} {fault}.", pointer=pointer)
