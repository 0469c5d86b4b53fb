"""What the API serves as it is: the page, the OpenAPI document, the model card. Each with an ETag (RFC 9110, 8.8.3)."""

import base64
import hashlib
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

_FOLDER = Path(__file__).parent
_MAX_AGE = 300  # seconds; a new model's card is seen within that


class Document(NamedTuple):
    content: str
    kind: str
    headers: dict[str, str]


def document(content: str, kind: str, **headers: str) -> Document:
    etag = hashlib.sha256(content.encode()).hexdigest()[:32]
    return Document(content, kind, {"ETag": f'"{etag}"', "Cache-Control": f"public, max-age={_MAX_AGE}", **headers})


@cache
def openapi() -> Document:
    return document((_FOLDER / "openapi.json").read_text(), "application/json")


@cache
def page() -> Document:
    content = (_FOLDER / "page.html").read_text()
    return document(content, "text/html; charset=utf-8", **{"Content-Security-Policy": policy(content)})


def policy(content: str) -> str:
    """A Content-Security-Policy (W3C, level 3): the page's own script and style, by their hashes, and no other."""
    script, style = (" ".join(_sources(content, tag)) for tag in ("script", "style"))
    return (
        f"default-src 'none'; script-src {script}; style-src {style}; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _sources(content: str, tag: str) -> list[str]:
    inline = re.findall(rf"<{tag}>(.*?)</{tag}>", content, re.DOTALL)
    digests = (hashlib.sha256(each.encode()).digest() for each in inline)
    return [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]
