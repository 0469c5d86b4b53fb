"""Documents that the API serves unchanged: the page, the OpenAPI document and the model card.

Each has an ETag, so that a client fetches it once (RFC 9110, 8.8.3).
"""

import base64
import hashlib
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

_FOLDER = Path(__file__).parent
_MAX_AGE = 300  # seconds that a client may keep a document without asking again


class Document(NamedTuple):
    """A document with its media type and its headers."""

    content: str
    content_type: str
    headers: dict[str, str]


def document(content: str, content_type: str, **headers: str) -> Document:
    """Return a document with an ETag and cache headers, and `headers` in addition."""
    etag = hashlib.sha256(content.encode()).hexdigest()[:32]
    cached = {"ETag": f'"{etag}"', "Cache-Control": f"public, max-age={_MAX_AGE}"}
    return Document(content, content_type, {**cached, **headers})


@cache
def openapi() -> Document:
    """Return the OpenAPI document."""
    return document((_FOLDER / "openapi.json").read_text(), "application/json")


@cache
def page() -> Document:
    """Return the page for trying the API in a browser."""
    content = (_FOLDER / "page.html").read_text()
    return document(content, "text/html; charset=utf-8", **{"Content-Security-Policy": policy(content)})


def policy(content: str) -> str:
    """Return a Content-Security-Policy (W3C, level 3) that allows only the page's own script and style, by hash.

    Example:
        >>> "script-src 'sha256-" in policy("<script>1</script><style>a {}</style>")
        True
    """
    script, style = (" ".join(_sources(content, tag)) for tag in ("script", "style"))
    return (
        f"default-src 'none'; script-src {script}; style-src {style}; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _sources(content: str, tag: str) -> list[str]:
    """Return the hash source of each inline element with a tag."""
    inline = re.findall(rf"<{tag}>(.*?)</{tag}>", content, re.DOTALL)
    digests = (hashlib.sha256(element.encode()).digest() for element in inline)
    return [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]
