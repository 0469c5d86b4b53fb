"""Clean text: remove HTML tags, fold case, and reduce Unicode to words, spaces and ASCII punctuation.

Training and serving share this clean-up. ASCII text only loses its HTML tags here, because the featuriser folds its
case byte by byte. Other text takes the Unicode path. Both paths give the same result for the same characters.
"""

import codecs
import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from candor.text import references

SEPARATOR = "\0"
"""Stands between the texts of a block. No token ever contains it."""
_SEPARATOR_BYTE = SEPARATOR.encode()

_TAG_NAMES = (
    "a|abbr|b|blockquote|br|center|div|em|font|h[1-6]|hr|i|img|li|ol|p|pre|q|s|small|span|strong|sub|sup"
    "|table|td|th|tr|tt|u|ul"
)
# A tag without attributes or with them. Each scan ends at the next angle bracket: linear time on any input.
_TAG = re.compile(rf"</?(?:{_TAG_NAMES})(?:[ \t\r\n]*/?>|[ \t\r\n][^<>=\0]*=[^<>\0]*>)", re.IGNORECASE)
_TAG_BYTES = re.compile(_TAG.pattern.encode(), re.IGNORECASE)
# Nearly every tag in a review is this one, and a literal is found ten times as fast.
_BREAK = re.compile(r"<br />")
_BREAK_BYTES = _BREAK.pattern.encode()
_SPACE = 0x20
_LONG = 16_384  # bytes from which a pass of NumPy over the data is cheaper
_SHORT = 8  # characters of a run that is remembered
_SIGMA = "\u03a3"  # its lower case depends on its place in the word
TAGS = (_BREAK, _TAG)
"""Patterns of HTML tags, in the order in which `strip_tags` applies them."""
NON_ASCII = re.compile(r"[^\x00-\x7f]")
"""Pattern of one character outside ASCII."""

# Scripts written without spaces between words: each of their characters is a token of its own.
_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x3400, 0x9FFF),  # Han
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)
_APOSTROPHES = "\u2018\u2019\u201b\u02bc\u2032"
# NFKC has already turned full-width marks and the ellipsis into ASCII.
_MARKS = {
    "\u201a": '"',
    "\u201e": '"',
    "\u2212": "-",
    "\u3002": ".",
    "\u3001": ",",
    "\u00bf": "?",
    "\u00a1": "!",
    "\u2033": '"',
}
_MARKS_BY_CATEGORY = {"Pd": "-", "Pi": '"', "Pf": '"'}  # dashes and quotation marks


@lru_cache(maxsize=1 << 16)
def replacement(character: str) -> str:
    """Return the replacement for one NFKC, lower-cased non-ASCII character.

    Args:
        character: One character outside ASCII, already in NFKC and lower case.

    Returns:
        The character itself, an ASCII mark that means the same, the character as a token of its own (between spaces), a
        space, or "".

    Example:
        >>> replacement("é"), replacement("’"), replacement("好"), replacement("—"), replacement("£")
        ('é', "'", ' 好 ', '-', ' ')
    """
    if character in _APOSTROPHES:
        return "'"
    if any(first <= ord(character) <= last for first, last in _UNSPACED):
        return f" {character} "
    category = unicodedata.category(character)
    if category == "Cf" or "\ufe00" <= character <= "\ufe0f":
        return ""  # zero-width characters and soft hyphens do not split a word; variation selectors carry no meaning
    if category == "So":
        return f" {character} "  # an emoji is a word
    if category[0] in "LNM":
        return character
    return _MARKS.get(character) or _MARKS_BY_CATEGORY.get(category, " ")


def clean(text: str) -> str:
    """Return the text in NFKC and lower case, without HTML tags, and with ASCII punctuation only.

    NFKC and its stability are defined in Unicode Standard Annex 15. Cleaning clean text changes nothing. Time is linear
    in the length of the text.

    Example:
        >>> clean("Good<br />FILM — très “bon”")
        'good film - très "bon"'
    """
    text = references.read(text)
    if text.isascii():
        return strip_tags(text).lower()
    return strip_tags(NON_ASCII.sub(lambda match: replacement(match[0]), _fold(text)))


def strip_tags(text: str) -> str:
    """Replace each HTML tag by a space. Angle brackets that are not part of a tag stay.

    Example:
        >>> strip_tags('<b>good</b> if 1 < 2')
        ' good  if 1 < 2'
    """
    text = text.replace(_BREAK.pattern, " ")
    return _TAG.sub(" ", text) if "<" in text else text


def join(texts: Sequence[str], end: bytes = b"") -> bytes:
    """Clean a block of texts and join them in UTF-8.

    ASCII letters may keep their case: the tokenizer folds it. A SEPARATOR inside a text becomes a space.

    Args:
        texts: The n texts of a block.
        end: What follows the last SEPARATOR.

    Returns:
        The clean texts with a SEPARATOR before each and after the last: n + 1 of them; then `end`.
    """
    if any(SEPARATOR in text for text in texts):  # it is no part of a word
        texts = [text.replace(SEPARATOR, " ") for text in texts]
    texts = [references.read(text) if "&" in text else text for text in texts]
    parts = [text.encode() if text.isascii() else _encode(text) for text in texts]
    data = _SEPARATOR_BYTE.join([b"", *parts, end])
    data = _blank_breaks(data) if len(data) > _LONG else data.replace(_BREAK_BYTES, b" ")
    return _TAG_BYTES.sub(b" ", data) if b"<" in data else data


def _blank_breaks(data: bytes) -> bytes:
    """Overwrite each `<br />` by spaces: of long data, in a third of the time of a replacement."""
    codes = np.frombuffer(data, np.uint8).copy()
    begins = (codes == _BREAK_BYTES[0]).nonzero()[0]
    begins = begins[begins <= len(codes) - len(_BREAK_BYTES)]
    for offset, byte in enumerate(_BREAK_BYTES):
        begins = begins[codes[begins + offset] == byte]
    for offset in range(len(_BREAK_BYTES)):
        codes[begins + offset] = _SPACE
    return codes.tobytes()


def _encode(text: str) -> bytes:
    """Return a text that is not ASCII folded, with replacements, in UTF-8: `clean` but for tags."""
    try:
        return text.encode("ascii", _REPLACE_RUNS).lower()
    except _NeighboursMatter:
        return _fold(text).encode("ascii", _REPLACE)


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", text).lower()


class _NeighboursMatter(Exception):
    """A run of characters outside ASCII does not fold alone."""


def _fold_run(run: str) -> bytes:
    """Return a run of characters outside ASCII folded, with replacements, in UTF-8.

    Raises:
        _NeighboursMatter: It may join the ASCII character before it, or its lower case depends on what is beside it.
    """
    composed = unicodedata.normalize("NFKC", run)
    if unicodedata.combining(unicodedata.normalize("NFKD", run[0])[0]) or _SIGMA in composed:
        raise _NeighboursMatter
    return composed.lower().encode("ascii", _REPLACE)


_fold_short_run = lru_cache(maxsize=1 << 14)(_fold_run)  # apostrophes, dashes, letters with accents: always the same


def _replace_run(error: UnicodeError) -> tuple[bytes, int]:
    """Encode a run of characters outside ASCII, folded, by its replacements."""
    assert isinstance(error, UnicodeEncodeError)
    run = error.object[error.start : error.end]
    return _fold_short_run(run) if len(run) <= _SHORT else _fold_run(run), error.end


def _replace(error: UnicodeError) -> tuple[bytes, int]:
    """Encode a run of folded characters by their replacements: a codec finds them faster than a pattern."""
    assert isinstance(error, UnicodeEncodeError)
    run = error.object[error.start : error.end]
    return "".join(map(replacement, run)).encode("utf-8", "replace"), error.end


_REPLACE, _REPLACE_RUNS = "candor.text.clean", "candor.text.clean.runs"
codecs.register_error(_REPLACE, _replace)
codecs.register_error(_REPLACE_RUNS, _replace_run)
