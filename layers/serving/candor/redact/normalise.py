"""Normalise text for the patterns, and map spans back to the caller's own text.

Digits of any script become 0 to 9. Invisible characters are dropped. Spaces and dashes of any width become plain ones.
Percent escapes and character references are decoded. Compatibility characters become their NFKC form (Unicode Standard
Annex 15).
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import cache, cached_property, lru_cache
from itertools import accumulate

from candor.redact.entities import TYPES
from candor.redact.patterns import compiled

BARRIER = "\0"
"""Replaces text that is masked already, such as [EMAIL]. Normalised text contains no other NUL."""
SPACE = "\x1f"
"""A space that was written as an escape: white space to every pattern, but part of a URL."""
PLUS = "\x1e"
"""A plus sign that may stand for a space, in text that is percent-encoded throughout."""
MAX_EXPANSION = 4
"""Maximum characters that one character may become. NFKC turns a few into up to 18: those stay."""

_REFERENCES = {
    "amp": "&", "apos": "'", "colon": ":", "comma": ",", "commat": "@", "dash": "-", "emsp": " ", "ensp": " ",
    "hyphen": "-", "lowbar": "_", "lpar": "(", "mdash": "-", "nbsp": " ", "ndash": "-", "num": "#", "period": ".",
    "plus": "+", "quot": '"', "rpar": ")", "shy": "", "sol": "/", "thinsp": " ", "zwj": "", "zwnj": "",
}  # fmt: skip
_ESCAPE = r"%(?:25)*(?:[0-7][0-9A-Fa-f]|[C-Fc-f][0-9A-Fa-f](?:%(?:25)*[89ABab][0-9A-Fa-f]){1,3})"
_STRETCHES = (
    rf"(?<=%){_ESCAPE[1:]}(?:{_ESCAPE})*+"
    rf"|(?<=&)(?=[#a-z])(?:\#[0-9]{{1,7}}|\#[xX][0-9A-Fa-f]{{1,6}}|{'|'.join(_REFERENCES)});"
    r"|(?<=[\x00-\x1f\x7f])[\x00-\x08\x0b\x0c\x0e-\x1d\x1f\x7f]*+"
)
_MASK = rf"(?:{'|'.join(TYPES)})(?::[0-9a-f]{{8}})?\]"
_MASKED = rf"\[{_MASK}"
# Each pattern starts with a set of characters, with which the regular expression engine skips plain text quickly.
_ODD_SET = r"\x00-\x08\x0b\x0c\x0e-\x1d\x1f%&\x7f"
_ODD = f"[{_ODD_SET}]"
_ODD_STRETCH = rf"{_ODD}(?:{_STRETCHES})"
_BEYOND_ASCII = r"\x80-\U0010ffff"
_MOSTLY = 7 / 8  # share of ASCII from which a pattern passes it faster than a table
_PLAIN = bytes(octet for octet in range(128) if not re.match(_ODD, chr(octet)))
_ANY_ESCAPE = r"%[0-9A-Fa-f]{2}"
_PLUS = r"(?<=[\w.)-])\+(?=[\w(%])"
_FILLERS = "\u115f\u1160\u17b4\u17b5\u3164\uffa0"
_INVISIBLE = {"Cf", "Mn", "Me", "Cc"}
# Quotes and dashes of Windows-1252 become control characters when text is decoded as Latin-1 (WHATWG, Encoding).
_SIGNS = {
    "‘": "'", "’": "'", "‛": "'", "′": "'", "ʼ": "'", "“": '"', "”": '"', "„": '"', "−": "-", "⁃": "-", "İ": "I",
    "\x91": "'", "\x92": "'", "\x93": '"', "\x94": '"', "\x96": "-", "\x97": "-",
}  # fmt: skip
_BLANKS = "\u2800"
_STRANGE = f"[İ{_FILLERS}]"
_NO_LETTER = rf"[^\x00-\x7f](?:(?<![^\W\d_])|(?<={_STRANGE}))"


class NormalizedText:
    """A text as the patterns read it, with the way back. Plain ASCII stays as it is. Time is linear in the length.

    Args:
        text: The text as the caller wrote it.

    Attributes:
        text: The normalised text.

    Example:
        >>> normalized = NormalizedText("café: jane%40example.com")
        >>> normalized.text, normalized.to_original(6, 22)
        ('café: jane@example.com', (6, 24))
    """

    def __init__(self, text: str) -> None:
        self._original = self.text = text
        masked = "[" in text and compiled(_MASKED).search(text)
        plain = text.encode("ascii", "ignore")
        odd = masked or plain.translate(None, _PLAIN)
        if not odd and _has_stable_letters_only(text):
            return
        if "%" in text and " " not in text and compiled(_ANY_ESCAPE).search(text):
            self._original = text = compiled(_PLUS).sub(PLUS, text)
        mostly_ascii = len(plain) > _MOSTLY * len(text)
        if mostly_ascii or odd:
            parts = compiled(_stretch(beyond_ascii=mostly_ascii, mask=bool(masked))).split(text)
            parts[1::2] = [_decode_short(each) if each[0] == "&" else _normalized(each) for each in parts[1::2]]
            text = "".join(parts)
        self.text = text if mostly_ascii else text.translate(_replacements)

    @cached_property
    def _ends(self) -> tuple[list[int], dict[int, int]]:
        """Where each original character ends in the normalised text, and the lengths of escapes by where they begin.

        Computed on first use: only when an entity is found. Of an escape, the first character becomes all.
        """
        original, escapes = self._original, dict[int, int]()
        lengths = bytearray(original.translate(_lengths), "latin-1")
        for match in compiled(_ODD_STRETCH).finditer(original):  # masks keep their length
            at = match.start()
            if original[at] not in "%&":
                continue
            for length, original_length in _unit_lengths(match[0]):
                lengths[at : at + original_length] = length.to_bytes().ljust(original_length, b"\0")
                escapes[at] = original_length
                at += original_length
        return list(accumulate(lengths)), escapes

    def to_original(self, begin: int, end: int) -> tuple[int, int]:
        """Map a span of the normalised text to the original text.

        Args:
            begin: Offset in `text`, in code points.
            end: Offset after the span, greater than `begin`.

        Returns:
            Begin and end in the original text. Characters dropped at either edge stay outside.
        """
        if self.text == self._original:
            return begin, end
        return self._to_original(begin)[0], self._to_original(end - 1)[1]

    def _to_original(self, offset: int) -> tuple[int, int]:
        """Return the span in the original text of what became the character at this offset."""
        ends, escapes = self._ends
        begin = bisect_right(ends, offset)
        return begin, begin + escapes.get(begin, 1)


@cache
def _stretch(*, beyond_ascii: bool, mask: bool) -> str:
    """Return the pattern of a stretch of what changes: odd ASCII, with other characters, and with masks, on demand."""
    others = rf"|(?<=[{_BEYOND_ASCII}])[{_BEYOND_ASCII}]*+" if beyond_ascii else ""
    masks = rf"|(?<=\[){_MASK}" if mask else ""
    first = _ODD_SET + _BEYOND_ASCII * beyond_ascii + r"\[" * mask
    return rf"([{first}](?:{_STRETCHES}{others}{masks}))"


def _normalized(stretch: str) -> str:
    """Return the normalised form of a stretch, but for references."""
    if stretch[0] > "\x7f":
        return replacement(stretch) if len(stretch) == 1 else stretch.translate(_replacements)
    if stretch[0] == "[":
        return BARRIER * len(stretch)
    if stretch[0] == "%":
        return _decode_simple(stretch) or "".join(map(decode, compiled(_ESCAPE).findall(stretch)))
    return stretch.translate(_CONTROLS)


def _decode_simple(escapes: str) -> str:
    """Decode percent escapes of printable ASCII that encode no further escape or space, as nearly all do; else ""."""
    octets = bytes.fromhex(escapes.replace("%", ""))
    simple = b"%" not in octets and b" " not in octets and octets.isascii()
    text = octets.decode() if simple else ""
    return text if text.isprintable() else ""


def _unit_lengths(stretch: str) -> Iterator[tuple[int, int]]:
    """Yield (length, original length) of each escape or reference of a stretch."""
    units = compiled(_ESCAPE).findall(stretch) if stretch[0] == "%" else [stretch]
    return ((len(decode(unit)), len(unit)) for unit in units)


def _has_stable_letters_only(text: str) -> bool:
    """Return True if all non-ASCII characters of the text are letters that normalisation keeps."""
    return text.isascii() or (unicodedata.is_normalized("NFKC", text) and not compiled(_NO_LETTER).search(text))


def decode(stretch: str) -> str:
    """Decode one percent escape, one character reference or one control character. Short ones are cached.

    Args:
        stretch: The escape, reference or character, in ASCII.

    Returns:
        The normalised character, SPACE for white space in an escape or a reference, or "" for what is invisible.

    Example:
        >>> decode("%40"), decode("&commat;"), decode("%2541"), decode("%07")
        ('@', '@', 'A', '')
    """
    return _decode_short(stretch) if len(stretch) <= _SHORT else _decode(stretch)


def _decode(stretch: str) -> str:
    if len(stretch) == 1:
        return " " if stretch.isspace() else ""
    character = _decode_percent(stretch) if stretch[0] == "%" else _decode_reference(stretch[1:-1])
    normalized = character if character.isascii() else "".join([replacement(each) for each in character])
    if normalized.isspace():
        return SPACE
    return normalized if normalized.isprintable() else ""


_SHORT = 24  # characters of what is cached; nobody escapes an escape often enough to need more
_decode_short = lru_cache(maxsize=1 << 12)(_decode)


def _decode_percent(escape: str) -> str:
    """Decode a percent escape, or an escape of an escape (RFC 3986, section 2.1)."""
    octets = re.findall(r"%(?:25)*([0-9A-Fa-f]{2})", escape)
    return bytes(int(octet, 16) for octet in octets).decode("utf-8", "replace")


def _decode_reference(name: str) -> str:
    """Return the character that a character reference names (HTML, section 13.5), or "" if there is none."""
    if not name.startswith("#"):
        return _REFERENCES[name]
    point = int(name[2:], 16) if name[1] in "xX" else int(name[1:])
    return chr(point) if point < 0x110000 else ""


@lru_cache(maxsize=1 << 16)
def replacement(character: str) -> str:
    """Return the replacement of one non-ASCII character: at most MAX_EXPANSION characters, "" if it is invisible.

    Example:
        >>> replacement("１"), replacement("—"), replacement("½")
        ('1', '-', '1⁄2')
    """
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
    normalized = "".join(each for each in unicodedata.normalize("NFKC", character) if _is_visible(each))
    return normalized if len(normalized) <= MAX_EXPANSION else character


def _is_visible(character: str) -> bool:
    return character not in _FILLERS and character != "İ" and unicodedata.category(character) not in _INVISIBLE


class _Table(dict[int, str]):
    """A table for str.translate, filled with what texts contain."""

    def __init__(self, value: Callable[[str], str]) -> None:
        self._value = value

    def __missing__(self, code: int) -> str:
        if len(self) >= _MAX_TABLE:
            self.clear()
        value = self[code] = self._value(chr(code))
        return value


_MAX_TABLE = 1 << 16  # characters
_replacements = _Table(lambda character: character if character.isascii() else replacement(character))
_CONTROLS = {ord(each): decode(each) for each in map(chr, range(128)) if re.match(_ODD, each) and each not in "%&"}
_lengths = _Table(lambda character: chr(len(_becomes(character))))


def _becomes(character: str) -> str:
    return _CONTROLS.get(ord(character), character) if character.isascii() else replacement(character)
