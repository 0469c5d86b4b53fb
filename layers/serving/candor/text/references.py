r"""Read character references: `don&#39;t` is `don't`, as a browser shows it (HTML, sections 13.2.5.72 and 13.5).

References by name end with a semicolon, but for the five that are often written without. What names no character is
left out if it is a number, of up to 12 digits, and stays if it is a name. A reference that was escaped again, up to
three times, is read as well: `&amp;#39;`.
"""

import re
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

# Each is of bounded length, so that the cache below is, too.
_AND = r"(?:amp|\#(?:0{0,5}38|[xX]0{0,5}26));"
_NUMBER = r"\#(?:[0-9]{1,12}+(?![0-9])|[xX][0-9A-Fa-f]{1,12}+(?![0-9A-Fa-f]));?"
_NAME = r"[A-Za-z][A-Za-z0-9]{1,31}+;|(?:amp|lt|gt|quot|nbsp)(?![A-Za-z0-9])"
_REFERENCE = re.compile(rf"(&(?=[#A-Za-z])(?:(?!{_AND}){_NUMBER}|(?:{_AND}){{1,3}}+(?:{_NUMBER}|{_NAME}|)|{_NAME}))")
_BEYOND_ASCII = re.compile("&(?:#[xX]?0*+[0-9A-Fa-f]{3}|[A-Za-z])")
_ESCAPED_AGAIN = re.compile(rf"&(?:{_AND}){{0,3}}+")


def read(text: str) -> str:
    r"""Return a text with the characters that its references name. Time is linear in the length of the text.

    Example:
        >>> read("I don&#39;t like &quot;R&amp;B&quot;, &amp;eacute;t&eacute; &lt;br&gt; AT&T &co;")
        'I don\'t like "R&B", été <br> AT&T &co;'
    """
    if "&" not in text:
        return text
    parts = _REFERENCE.split(text)
    parts[1::2] = map(character, parts[1::2])
    return "".join(parts)


def may_leave_ascii(text: str) -> bool:
    """Return False if the references of an ASCII text are all numbers of ASCII characters, or nearly so.

    Example:
        >>> may_leave_ascii("don&#039;t"), may_leave_ascii("caf&eacute;"), may_leave_ascii("caf&#233;")
        (False, True, True)
    """
    return _BEYOND_ASCII.search(text) is not None


def edits(text: str) -> NDArray[np.int64]:
    """Return [n, 3] begin and end of each of n references, ascending, and the length of what `read` makes of it.

    Example:
        >>> edits("a &lt;b").tolist()
        [[2, 6, 1]]
    """
    found = [(*match.span(), len(character(match[0]))) for match in _REFERENCE.finditer(text)]
    return np.array(found, dtype=np.int64).reshape(-1, 3)


@lru_cache(maxsize=1 << 14)
def character(reference: str) -> str:
    """Return what a reference stands for: nearly always one character, a plain space for white space.

    Example:
        >>> character("&hellip;"), character("&#x27"), character("&#9999999;"), character("&nosuchname;")
        ('…', "'", '', '&nosuchname;')
    """
    name = (
        reference[1:] if reference.find(";") in (-1, len(reference) - 1) else _ESCAPED_AGAIN.sub("", reference, count=1)
    )
    if name.startswith("#"):
        return _numbered(name.rstrip(";"))
    if name in ("", "amp;"):
        return "&"
    import html.entities  # 1.5 ms of a cold start

    named = html.entities.html5.get(name, "&" + name)
    return " " if named.isspace() else named


def _numbered(name: str) -> str:
    """Return the character of a number such as #39 or #x27, or "" if there is none, or none that can be seen."""
    point = int(name[2:], 16) if name[1] in "xX" else int(name[1:])
    if 0x80 <= point < 0xA0:  # of Windows-1252, as browsers read it
        return bytes([point]).decode("cp1252", "ignore")
    if point > 0x10FFFF or 0xD800 <= point < 0xE000:
        return ""
    character = chr(point)
    return " " if character.isspace() else character if point >= 0x20 and point != 0x7F else ""
