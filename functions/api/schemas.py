"""The API's requests: fields as data, each with its check and its JSON Schema. The OpenAPI document is made from them.

The checks are a few lines of our own, because a validation library would slow a cold start more than all the rest.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from api.problems import Problem
from candor.limits import MAX_DOCUMENTS, MAX_EXPLAINED, MAX_ID_LENGTH, MAX_TEXT_BYTES
from candor.redact import MODES

Schema = dict[str, Any]
MASKS = ("*", "~", "█", "■", "●", "•")  # symbols that occur in no pattern of candor.redact


@dataclass(frozen=True)
class Field:
    """One field of an object."""

    check: Callable[[Any, str], Any]
    """Takes the value and its JSON pointer. Returns the value to use, or raises Problem."""
    schema: Schema
    """JSON Schema of the value."""
    required: bool = False
    default: Any = None
    """Value to use if the field is missing or null."""


def text(value: Any, pointer: str) -> str:
    """Check a text: valid Unicode, not blank, at most MAX_TEXT_BYTES bytes of UTF-8."""
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
        raise invalid(pointer, "is blank; send at least one word")
    return str(value)


def string(value: Any, pointer: str) -> str:
    """Check a string: valid Unicode."""
    if not isinstance(value, str):
        raise invalid(pointer, "must be a string")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise invalid(pointer, "is not valid Unicode: it contains half of a surrogate pair") from None
    return value


def identifier(value: Any, pointer: str) -> str:
    """Check the caller's id of a document: at most MAX_ID_LENGTH characters. A number becomes its text, as in files."""
    if isinstance(value, bool) or not isinstance(value, str | int | float) or value in (math.inf, -math.inf):
        raise invalid(pointer, "must be a string or a finite number")
    name = string(str(value), pointer)
    if len(name) > MAX_ID_LENGTH:
        raise invalid(pointer, f"has {len(name)} characters; at most {MAX_ID_LENGTH} are allowed")
    return name


def probability(value: Any, pointer: str) -> float:
    """Check a number from 0 to 1."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise invalid(pointer, "must be a number from 0 to 1")
    return float(value)


def flag(value: Any, pointer: str) -> bool:
    """Check a boolean."""
    if not isinstance(value, bool):
        raise invalid(pointer, "must be true or false")
    return value


def documents(value: Any, pointer: str) -> list[Any]:
    """Check a list of 1 to MAX_DOCUMENTS documents. Each document is checked later, because a bad one fails alone."""
    if not isinstance(value, list):
        raise invalid(pointer, "must be an array")
    if len(value) > MAX_DOCUMENTS:
        raise Problem(
            "too_many_documents",
            f"{pointer} has {len(value):,} documents; at most {MAX_DOCUMENTS} are allowed. Send several requests.",
            pointer=pointer,
            limit=MAX_DOCUMENTS,
            actual=len(value),
        )
    if not value:
        raise invalid(pointer, "is empty; send at least one document")
    return value


def mode(value: Any, pointer: str) -> str:
    """Check a mode of redaction."""
    if string(value, pointer) not in MODES:
        raise invalid(pointer, f"must be one of: {', '.join(MODES)}")
    return str(value)


def mask(value: Any, pointer: str) -> str:
    """Check a symbol for masked characters."""
    if string(value, pointer) not in MASKS:
        raise invalid(pointer, f"must be one of: {' '.join(MASKS)}")
    return str(value)


TEXT = Field(
    text,
    {
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_TEXT_BYTES,
        "pattern": r"\S",
        "description": f"The text, not blank, at most {MAX_TEXT_BYTES:,} bytes of UTF-8.",
    },
    required=True,
)
MIN_CONFIDENCE = Field(
    probability,
    {
        "type": "number",
        "minimum": 0,
        "maximum": 1,
        "description": "Probability of the label below which the decision is `uncertain`. Default: the model's own.",
    },
)
IDENTIFIER = Field(
    identifier,
    {
        "type": ["string", "number"],
        "maxLength": MAX_ID_LENGTH,
        "description": "Your id for the document, which its result or error repeats as a string.",
    },
)
EXPLAIN = Field(
    flag,
    {
        "type": "boolean",
        "default": False,
        "description": "Return how much each token contributed to the label. "
        f"At most {MAX_EXPLAINED} documents per request.",
    },
    default=False,
)
EXPLAIN_LABEL = Field(
    string,
    {"type": "string", "description": "The label to explain. Default: the predicted label."},
)
REDACT = Field(
    flag,
    {
        "type": "boolean",
        "default": False,
        "description": "Return where personal data was found. The model never sees it, with or without this field.",
    },
    default=False,
)
MODE = Field(
    mode,
    {
        "type": "string",
        "enum": list(MODES),
        "default": "replace",
        "description": "`replace`: the type in brackets. `mask`: one symbol per character. `hash`: the type and a "
        "keyed digest, equal for equal values. `off`: nothing is replaced.",
    },
    default="replace",
)
MASK = Field(
    mask,
    {"type": "string", "enum": list(MASKS), "default": "*", "description": "The symbol that `mask` writes."},
    default="*",
)
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
            "items": {},  # anything: a document that is not valid becomes one of the answer's errors
            "description": f"1 to {MAX_DOCUMENTS} documents, each an object with `text` and an optional `id`.",
        },
        required=True,
    ),
    **OPTIONS,
}


def check(value: Any, fields: Mapping[str, Field], pointer: str = "") -> dict[str, Any]:
    """Check an object against its fields.

    Args:
        value: The value that should be an object.
        fields: The object's fields, by name.
        pointer: JSON pointer of the object.

    Returns:
        The value of every field, defaults included.

    Raises:
        Problem: The value is not an object, or one of its fields is unknown, missing or invalid.

    Example:
        >>> check({"text": "Call me.", "mode": None}, REDACTION)
        {'text': 'Call me.', 'mode': 'replace', 'mask': '*'}
    """
    if not isinstance(value, dict):
        raise invalid(pointer, "must be an object")
    if unknown := len(value.keys() - fields.keys()):
        names = ", ".join(fields)
        raise invalid(pointer, f"has {unknown} unknown field{'s' if unknown > 1 else ''}; allowed fields: {names}")
    for name, field in fields.items():
        if field.required and name not in value:
            raise invalid(f"{pointer}/{name}", "is missing")
    return {
        name: field.check(value[name], f"{pointer}/{name}")
        if field.required or value.get(name) is not None
        else field.default
        for name, field in fields.items()
    }


def schema(fields: Mapping[str, Field]) -> Schema:
    """Return the JSON Schema of an object with the given fields."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [name for name, field in fields.items() if field.required],
        "properties": {
            name: field.schema if field.required else nullable(field.schema) for name, field in fields.items()
        },
    }


def nullable(schema: Schema) -> Schema:
    """Return the schema of an optional field, which also takes null.

    Example:
        >>> nullable({"type": "string", "enum": ["a"]})
        {'type': ['string', 'null'], 'enum': ['a', None]}
    """
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    enum = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
    return {**schema, "type": [*kinds, "null"], **enum}


def invalid(pointer: str, fault: str) -> Problem:
    """Return the Problem of an invalid field.

    Args:
        pointer: JSON pointer of the field (RFC 6901); "" is the body itself.
        fault: The rest of the sentence.

    Example:
        >>> invalid("/text", "must be a string").detail
        '/text must be a string.'
    """
    return Problem("invalid_request", f"{pointer or 'The body'} {fault}.", pointer=pointer)
