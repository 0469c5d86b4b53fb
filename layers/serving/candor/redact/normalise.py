"""Text as the patterns read it, and the way back to the caller's own offsets.

Digits of any script become 0 to 9, invisible characters go, spaces and dashes of any width become plain ones, percent
escapes and character references are read. Compatibility characters: Unicode Standard Annex 15 (NFKC).
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property, lru_cache
from itertools import groupby
from typing import NamedTuple

from candor.redact.entities import TYPES
from candor.redact.patterns import compiled

BARRIER = "\0"  # stands where something is masked already; normalised text has none elsewhere
SPACE = "\x1f"  # a space that was written as an escape: white space to every pattern, but part of a URL
PLUS = "\x1e"  # a plus sign that may have been a space, in text that is percent-encoded throughout
LONGEST = 4  # characters that one may become; a few would become eighteen

_REFERENCES = {
    "amp": "&", "apos": "'", "colon": ":", "comma": ",", "commat": "@", "dash": "-", "emsp": " ", "ensp": " ",
    "hyphen": "-", "lowbar": "_", "lpar": "(", "mdash": "-", "nbsp": " ", "ndash": "-", "num": "#", "period": ".",
    "plus": "+", "quot": '"', "rpar": ")", "shy": "", "sol": "/", "thinsp": " ", "zwj": "", "zwnj": "",
}  # fmt: skip
_ESCAPE = r"%(?:25)*(?:[0-7][0-9A-Fa-f]|[C-Fc-f][0-9A-Fa-f](?:%(?:25)*[89ABab][0-9A-Fa-f]){1,3})"
_PIECES = (
    r"(?<=[^\x00-\x7f])[^\x00-\x7f]*+"
    rf"|(?<=%){_ESCAPE[1:]}(?:{_ESCAPE})*+"
    rf"|(?<=&)(?:\#[0-9]{{1,7}}|\#[xX][0-9A-Fa-f]{{1,6}}|{'|'.join(_REFERENCES)});"
    r"|(?<=[\x00-\x1f\x7f])[\x00-\x08\x0b\x0c\x0e-\x1d\x1f\x7f]*+"
)
_MASK = rf"(?:{'|'.join(TYPES)})(?::[0-9a-f]{{8}})?\]"
_MASKED = rf"\[{_MASK}"
# Each starts with a set of characters: the regular expression engine then skips plain text quickly.
_ODD = r"[^\t\n\r\x1e -$'-~]"
_PIECE = rf"{_ODD}(?:{_PIECES})"
_PIECE_OR_MASK = rf"[^\t\n\r\x1e -$'-Z\\-~](?:{_PIECES}|(?<=\[){_MASK})"
_PLAIN = bytes(octet for octet in range(128) if not re.match(_ODD, chr(octet)))
_ANY_ESCAPE = r"%[0-9A-Fa-f]{2}"
_PLUS = r"(?<=[\w.)-])\+(?=[\w(%])"
_FILLERS = "\u115f\u1160\u17b4\u17b5\u3164\uffa0"
_INVISIBLE = {"Cf", "Mn", "Me", "Cc"}
# What a Windows-1252 text has for quotes and dashes is a control character if it is read as Latin-1 (WHATWG, Encoding).
_SIGNS = {
    "‘": "'", "’": "'", "‛": "'", "′": "'", "ʼ": "'", "“": '"', "”": '"', "„": '"', "−": "-", "⁃": "-", "İ": "I",
    "\x91": "'", "\x92": "'", "\x93": '"', "\x94": '"', "\x96": "-", "\x97": "-",
}  # fmt: skip
_BLANKS = "\u2800"
_STRANGE = f"[İ{_FILLERS}]"
_NO_LETTER = rf"[^\x00-\x7f](?:(?<![^\W\d_])|(?<={_STRANGE}))"


class Piece(NamedTuple):
    """A stretch whose length changed: `times` times, `length` characters at `place` stand for `width` at `origin`."""

    place: int
    origin: int
    length: int
    width: int
    times: int


class Normal:
    """A text as the patterns read it. Linear in the text's length; plain ASCII stays as it is."""

    def __init__(self, text: str) -> None:
        self._written = self.text = text
        masked = "[" in text and compiled(_MASKED).search(text)
        if not masked and _letters_only(text) and not text.encode("ascii", "ignore").translate(None, _PLAIN):
            return
        if "%" in text and " " not in text and compiled(_ANY_ESCAPE).search(text):
            self._written = text = compiled(_PLUS).sub(PLUS, text)
        self.text = compiled(_PIECE_OR_MASK if masked else _PIECE).sub(_new, text)

    @cached_property
    def pieces(self) -> list[Piece]:
        """Those that moved, in order. They are needed only where something was found."""
        pieces: list[Piece] = []
        shift = 0
        if self.text == self._written:
            return pieces
        for match in compiled(_PIECE).finditer(self._written):  # without masks, which move nothing
            found, origin = match[0], match.start()
            for length, width, times in _lengths(found) if len(found) > 1 else ((len(_new(match)), 1, 1),):
                if length != width:
                    pieces.append(Piece(origin + shift, origin, length, width, times))
                    shift += (length - width) * times
                origin += width * times
        return pieces

    @cached_property
    def _piece_places(self) -> list[int]:
        return [piece.place for piece in self.pieces]

    def span(self, begin: int, end: int) -> tuple[int, int]:
        """Offsets in the text as written of text[begin:end]; what was dropped at either edge stays outside."""
        return (self._origin(begin)[0], self._origin(end - 1)[1]) if self.pieces else (begin, end)

    def _origin(self, place: int) -> tuple[int, int]:
        """First and last offset, exclusive, of what became the character at a place."""
        after = bisect_right(self._piece_places, place)
        if not after:
            return place, place + 1
        piece = self.pieces[after - 1]
        within = place - piece.place
        if within < piece.length * piece.times:
            begin = piece.origin + within // piece.length * piece.width
            return begin, begin + piece.width
        begin = piece.origin + piece.width * piece.times + within - piece.length * piece.times
        return begin, begin + 1


def _new(match: re.Match[str]) -> str:
    """What stands for a piece."""
    found = match[0]
    if len(found) == 1 and found > "\x7f":
        return stand_in(found)
    if found[0] == "[":
        return BARRIER * len(found)
    if found[0] == "%":
        return _simple(found) or "".join(map(decoded, compiled(_ESCAPE).findall(found)))
    if found[0] == "&":
        return decoded(found)
    if found.isascii():
        return "".join(map(decoded, found))
    return found if _stays(found) else "".join(map(stand_in, found))


def _simple(escapes: str) -> str:
    """What percent escapes stand for, if those are signs that everybody sees and no escapes again, as nearly all are."""
    octets = bytes.fromhex(escapes.replace("%", ""))
    simple = b"%" not in octets and b" " not in octets and octets.isascii()
    text = octets.decode() if simple else ""
    return text if text.isprintable() else ""


def _lengths(found: str) -> Iterator[tuple[int, int, int]]:
    """Of a piece, how many characters stand for how many, and how many times in a row."""
    if found[0] == "%":
        units = [(len(decoded(each)), len(each)) for each in compiled(_ESCAPE).findall(found)]
    elif found[0] == "&":
        units = [(len(decoded(found)), len(found))]
    elif found.isascii():
        units = [(len(decoded(each)), 1) for each in found]
    else:
        units = [(1, 1)] * len(found) if _stays(found) else [(len(stand_in(each)), 1) for each in found]
    return ((*unit, len(list(times))) for unit, times in groupby(units))


def _letters_only(text: str) -> bool:
    """Whether all that is not ASCII in a text are letters that stay as they are."""
    return text.isascii() or (unicodedata.is_normalized("NFKC", text) and not compiled(_NO_LETTER).search(text))


def _stays(letters: str) -> bool:
    """Whether letters are what NFKC makes of them: as most are that are not ASCII."""
    return letters.isalpha() and unicodedata.is_normalized("NFKC", letters) and not compiled(_STRANGE).search(letters)


@lru_cache(maxsize=1 << 12)
def decoded(found: str) -> str:
    """What an ASCII stretch stands for: an escape, a reference or a control character."""
    if len(found) == 1:
        return " " if found.isspace() else ""
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
    if character in _SIGNS:
        return _SIGNS[character]
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
