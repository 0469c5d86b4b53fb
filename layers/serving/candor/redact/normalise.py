"""Text as the patterns read it, and the way back to the caller's own offsets.

Digits of any script become 0 to 9, invisible characters go, spaces and dashes of any width become plain ones, percent
escapes and character references are read. Compatibility characters: Unicode Standard Annex 15 (NFKC).
"""

import re
import unicodedata
from bisect import bisect_right
from functools import lru_cache
from typing import NamedTuple

from candor.redact.entities import TYPES

BARRIER = "\0"  # stands where something is masked already; normalise() writes it nowhere else
SPACE = "\x1f"  # a space that was written as an escape: white space to every pattern, but part of a URL
PLUS = "\x1e"  # a plus sign that may have been a space, in text that is percent-encoded throughout
LONGEST = 4  # characters that one may become; a few would become eighteen

_REFERENCES = {
    "amp": "&", "apos": "'", "colon": ":", "comma": ",", "commat": "@", "dash": "-", "emsp": " ", "ensp": " ",
    "hyphen": "-", "lowbar": "_", "lpar": "(", "mdash": "-", "nbsp": " ", "ndash": "-", "num": "#", "period": ".",
    "plus": "+", "quot": '"', "rpar": ")", "shy": "", "sol": "/", "thinsp": " ", "zwj": "", "zwnj": "",
}  # fmt: skip
# Each pattern starts with a set of characters: the regular expression engine then skips plain text quickly.
_ODD = re.compile(r"[^\t\n\r\x1e -$'-Z\\-~]")
_PLAIN = bytes(octet for octet in range(128) if not _ODD.match(chr(octet)))
_PIECE = re.compile(
    r"[^\t\n\r\x1e -$'-Z\\-~](?:"
    r"(?<=[^\x00-\x7f])[^\x00-\x7f]+"
    r"|(?<=%)(?:25)*(?:[0-7][0-9A-Fa-f]|[C-Fc-f][0-9A-Fa-f](?:%(?:25)*[89ABab][0-9A-Fa-f]){1,3})"
    rf"|(?<=&)(?:\#[0-9]{{1,7}}|\#[xX][0-9A-Fa-f]{{1,6}}|{'|'.join(_REFERENCES)});"
    rf"|(?<=\[)(?:{'|'.join(TYPES)})(?::[0-9a-f]{{8}})?\]"
    r"|(?<![%&\[]))"
)
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_PLUS = re.compile(r"(?<=[\w.)-])\+(?=[\w(%])")
_FILLERS = "\u115f\u1160\u17b4\u17b5\u3164\uffa0"
_INVISIBLE = {"Cf", "Mn", "Me", "Cc"}
_QUOTES = {"‘": "'", "’": "'", "‛": "'", "′": "'", "ʼ": "'", "“": '"', "”": '"', "„": '"', "−": "-", "⁃": "-", "İ": "I"}
_BLANKS = "\u2800"


class Piece(NamedTuple):
    """A stretch whose length changed: where it starts and how long it is, as normalised and as written."""

    place: int
    length: int
    origin: int
    width: int


class Normal(NamedTuple):
    """Normalised text, with the pieces that moved, in order."""

    text: str
    pieces: list[Piece]

    def span(self, begin: int, end: int) -> tuple[int, int]:
        """Offsets in the text as written of text[begin:end]; what was dropped at either edge stays outside."""
        return self._origin(begin)[0], self._origin(end - 1)[1]

    def _origin(self, place: int) -> tuple[int, int]:
        """First and last offset, exclusive, of what became the character at a place."""
        after = bisect_right(self.pieces, place, key=lambda piece: piece.place)
        if not after:
            return place, place + 1
        piece = self.pieces[after - 1]
        beyond = place - piece.place - piece.length
        if beyond < 0:
            return piece.origin, piece.origin + piece.width
        begin = piece.origin + piece.width + beyond
        return begin, begin + 1


def normalise(text: str) -> Normal:
    """Text as the patterns read it. Linear in the text's length; plain ASCII comes back as it is."""
    if text.isascii() and not text.encode().translate(None, _PLAIN):
        return Normal(text, [])
    if "%" in text and " " not in text and _ESCAPE.search(text):
        text = _PLUS.sub(PLUS, text)
    pieces: list[Piece] = []
    parts: list[str] = []
    read = written = 0
    for match in _PIECE.finditer(text):
        found, start = match[0], match.start()
        parts.append(text[read:start])
        written += start - read
        read = match.end()
        for new, width in _replace(found):
            if len(new) != width:
                pieces.append(Piece(written, len(new), start, width))
            parts.append(new)
            written += len(new)
            start += width
    return Normal("".join(parts) + text[read:], pieces)


def _replace(found: str) -> list[tuple[str, int]]:
    """What stands for what was found, each with the number of characters it stands for."""
    if found[0] == "[":
        return [(BARRIER * len(found) if len(found) > 1 else "[", len(found))]
    if found.isascii():
        return [(decoded(found), len(found))]
    if found.isalpha() and unicodedata.is_normalized("NFKC", found) and not _strange(found):
        return [(found, len(found))]
    wide = unicodedata.normalize("NFKC", found)
    if len(wide) == len(found) and wide.isascii() and wide.isalnum():
        return [(wide, len(found))]
    return [(stand_in(character), 1) for character in found]


def _strange(letters: str) -> bool:
    return "İ" in letters or any(filler in letters for filler in _FILLERS)


@lru_cache(maxsize=1 << 12)
def decoded(found: str) -> str:
    """What an ASCII stretch stands for: an escape, a reference, a control character or itself."""
    if len(found) == 1:
        return found if found in "%&[" else "" if not found.isspace() else " "
    character = _percent(found) if found[0] == "%" else _reference(found[1:-1])
    new = "".join(map(stand_in, character)) if not character.isascii() else character
    if new.isspace():
        return SPACE
    return new if new.isprintable() else ""


def _percent(found: str) -> str:
    """A percent escape, or one of an escape, as text (RFC 3986, section 2.1)."""
    octets = re.findall(r"%(?:25)*([0-9A-Fa-f]{2})", found)
    return bytes(int(octet, 16) for octet in octets).decode("utf-8", "replace")


def _reference(name: str) -> str:
    """What a character reference names (HTML, section 13.5), or nothing if there is no such character."""
    if not name.startswith("#"):
        return _REFERENCES[name]
    point = int(name[2:], 16) if name[1] in "xX" else int(name[1:])
    return chr(point) if point < 0x110000 else ""


@lru_cache(maxsize=1 << 16)
def stand_in(character: str) -> str:
    """What stands for one non-ASCII character: at most LONGEST characters, none if nobody sees it."""
    if character.isspace() or character in _BLANKS:
        return " "
    if character in _QUOTES:
        return _QUOTES[character]
    category = unicodedata.category(character)
    if category in _INVISIBLE or character in _FILLERS:
        return ""
    if category == "Pd":
        return "-"
    if category == "Nd":
        return str(unicodedata.decimal(character))
    new = "".join(each for each in unicodedata.normalize("NFKC", character) if _visible(each))
    return new if len(new) <= LONGEST else character


def _visible(character: str) -> bool:
    return character not in _FILLERS and character != "İ" and unicodedata.category(character) not in _INVISIBLE
