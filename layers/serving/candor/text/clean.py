"""Clean text: remove HTML tags, fold case, and reduce Unicode to words, spaces and ASCII punctuation.

Training and serving share this clean-up. ASCII text only loses its HTML tags here, because the featuriser folds its
case byte by byte. Other text takes the Unicode path. Both paths give the same result for the same characters.
"""

import codecs
import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from candor.text import references
from candor.text.characters import CharacterTable, Codes, codes_of, text_of

SEPARATOR = "\0"
"""Stands between the texts of a block. No token ever contains it."""
_SEPARATOR_BYTE = SEPARATOR.encode()

_TAG_NAMES = (
    "a|abbr|b|blockquote|br|center|div|em|font|h[1-6]|hr|i|img|li|ol|p|pre|q|s|small|span|strong|sub|sup"
    "|table|td|th|tr|tt|u|ul"
)
# A tag without attributes or with them. Each scan ends at the next angle bracket: linear time on any input. Names are
# tried only where a bracket closes what a letter opens.
_TAG = re.compile(
    rf"<(?=/?[A-Za-z][^<>\0]*>)/?(?:{_TAG_NAMES})(?:[ \t\r\n]*/?>|[ \t\r\n][^<>=\0]*=[^<>\0]*>)", re.IGNORECASE
)
_TAG_BYTES = re.compile(_TAG.pattern.encode(), re.IGNORECASE)
# Nearly every tag in a review is this one, and a literal is found ten times as fast.
_BREAK = re.compile(r"<br />")
_BREAK_BYTES = _BREAK.pattern.encode()
_SPACE = 0x20
_LONG = 16_384  # bytes from which a pass of NumPy over the data is cheaper
_SHORT = 8  # characters of a run that is remembered
_FEW_BEYOND_ASCII = 48  # characters outside ASCII up to which it is cheaper to look at them alone,
_SHARE_BEYOND_ASCII = 1 / 32  # or this share of a text
_SIGMA = "\u03a3"  # its lower case depends on its place in the word
TAGS = (_BREAK, _TAG)
"""Patterns of HTML tags, in the order in which `strip_tags` applies them."""
MAX_EXPANSIONS = 16
"""Characters of EXPANDING in a text that are normalised, or one in 32 of its characters: later ones become a space."""
EXPANDING = (
    "\u00bc\u00bd\u00be\u2150\u2151\u2152\u2153\u2154\u2155\u2156\u2157\u2158\u2159\u215a\u215b\u215c\u215d\u215e\u2189"
    "\u3307\u3315\u3316\u3317\u3319\u331a\u3320\u332b\u332e\u3332\u3334\u3336\u3347\u334a\u3356\u33ae\u33af\ufdfa\ufdfb"
    "\U0001d15e\U0001d15f\U0001d160\U0001d161\U0001d162\U0001d163\U0001d164"
    "\U0001d1bb\U0001d1bc\U0001d1bd\U0001d1be\U0001d1bf\U0001d1c0"
)
"""Those that normalisation makes much longer, up to 18 times: fractions, Japanese units, Arabic phrases, notes."""
_EXPANDING, _TO_SPACE = re.compile(f"[{EXPANDING}]"), dict.fromkeys(map(ord, EXPANDING), " ")
MAX_MARKS = 30
"""Combining marks in a row that are normalised together, as UAX 15 bounds them."""
_JOINER = 0x034F  # combining grapheme joiner: no mark is moved across it
_MAYBE_MARKS = re.compile(rf"[^\w\x00-\x7f]{{{MAX_MARKS + 1}}}")  # no mark is alphanumeric, but two halfwidth ones

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
    return strip_tags(replace(fold(bound(text))))


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

    ASCII letters may keep their case: the tokenizer folds it. A SEPARATOR inside a text becomes a space. Among several
    texts a line break may become six spaces.

    Args:
        texts: The n texts of a block.
        end: What follows the last SEPARATOR.

    Returns:
        The clean texts with a SEPARATOR before each and after the last: n + 1 of them; then `end`.
    """
    if any(SEPARATOR in text for text in texts):  # it is no part of a word
        texts = [text.replace(SEPARATOR, " ") for text in texts]
    texts = [references.read(text) if "&" in text else text for text in texts]
    parts: list[Any] = [text.encode() if text.isascii() else _encode_runs(text) for text in texts]
    if None in parts:
        _encode_rest(texts, parts)
    data = _SEPARATOR_BYTE.join([b"", *parts, end])
    is_long = len(texts) > 1 and len(data) > _LONG  # of a text alone the offsets are those of its clean text
    data = _blank_breaks(data) if is_long else data.replace(_BREAK_BYTES, b" ")
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


def _encode_runs(text: str) -> bytes | None:
    """Return a text folded, with replacements, in UTF-8: `clean` but for tags. None if `_encode_rest` is cheaper."""
    beyond_ascii = len(text) - len(text.encode("ascii", "ignore"))
    if beyond_ascii > max(_SHARE_BEYOND_ASCII * len(text), _FEW_BEYOND_ASCII):  # so that few can expand
        return None
    try:
        return text.encode("ascii", _REPLACE_RUNS).lower()
    except _NeighboursMatter:
        return None


def _encode_rest(texts: Sequence[str], parts: list[Any]) -> None:
    """Replace each None among the parts by its text, folded, with replacements, in UTF-8: all of them in one pass."""
    rest = [index for index, part in enumerate(parts) if part is None]
    folded = replace(fold(SEPARATOR.join([bound(texts[index]) for index in rest]))).encode()
    for index, part in zip(rest, folded.split(_SEPARATOR_BYTE), strict=True):
        parts[index] = part


def fold(text: str) -> str:
    """Return a text that `bound` returned in NFKC and lower case."""
    return unicodedata.normalize("NFKC", text).lower()


def bound(text: str) -> str:
    """Return a text whose normalisation takes time in proportion to its length; nearly every text as it is.

    Python sorts the combining marks in a row, in quadratic time. After every MAX_MARKS of them comes a grapheme joiner,
    which keeps them apart: the Stream-Safe Text Format of UAX 15. No language writes as many.
    """
    allowed = max(MAX_EXPANSIONS, len(text) // 32)
    if over := next(islice(_EXPANDING.finditer(text), allowed, None), None):
        text = text[: over.start()] + text[over.start() :].translate(_TO_SPACE)
    if _MAYBE_MARKS.search(text) or "\uff9e" in text or "\uff9f" in text:
        codes = codes_of(text)
        joiners = mark_bounds(codes)
        return text_of(np.insert(codes, joiners, _JOINER)) if len(joiners) else text
    return text


def mark_bounds(codes: Codes) -> NDArray[np.int64]:
    """Return the offsets before which `bound` inserts a joiner, ascending."""
    every = np.arange(len(codes))
    last_starter = np.maximum.accumulate(np.where(_is_mark(codes) == _MARK, -1, every))
    bounds: NDArray[np.int64] = ((every - last_starter) % MAX_MARKS == 1).nonzero()[0]
    return bounds[every[bounds] - last_starter[bounds] > MAX_MARKS]


_MARK = 2


def _mark_or_not(character: str) -> int:
    return _MARK if unicodedata.combining(unicodedata.normalize("NFKD", character)[0]) else 1


_is_mark = CharacterTable(_mark_or_not)


def replace(text: str) -> str:
    """Return folded text with the replacement of each character."""
    values = _replacements(codes_of(text))
    lengths = values >> _LENGTH_SHIFT
    codes = values & _CODE_MASK
    if len(codes) == np.count_nonzero(lengths == 2):
        return text_of(codes)
    lengths -= 1
    alone = (lengths == 3).nonzero()[0]
    begins = np.cumsum(lengths)[alone] - 3
    codes = codes.repeat(lengths)
    codes[begins] = codes[begins + 2] = _SPACE
    return text_of(codes)


def replacement_lengths(text: str) -> NDArray[np.int64]:
    """Return how many characters `replace` makes of each character of a folded text: 0, 1 or 3."""
    return (_replacements(codes_of(text)) >> _LENGTH_SHIFT).astype(np.int64) - 1


def _code_and_length(character: str) -> int:
    """Return the code point of a character's replacement, and above it the replacement's length plus one."""
    becomes = character if character.isascii() else replacement(character)
    code = ord(becomes[len(becomes) // 2]) if becomes else 0
    return code | (len(becomes) + 1) << _LENGTH_SHIFT


_LENGTH_SHIFT, _CODE_MASK = 24, 0xFFFFFF
_replacements = CharacterTable(_code_and_length)


class _NeighboursMatter(Exception):
    """A run of characters outside ASCII does not fold alone."""


def _fold_run(run: str) -> bytes:
    """Return a run of characters outside ASCII folded, with replacements, in UTF-8.

    Raises:
        _NeighboursMatter: It may join the ASCII character before it, or its lower case depends on what is beside it.
    """
    if len(run) > MAX_MARKS:  # they may have to be bounded
        raise _NeighboursMatter
    composed = unicodedata.normalize("NFKC", run)
    if unicodedata.combining(unicodedata.normalize("NFKD", run[0])[0]) or _SIGMA in composed:
        raise _NeighboursMatter
    return "".join([each if each.isascii() else replacement(each) for each in composed.lower()]).encode(
        "utf-8", "replace"
    )


_fold_short_run = lru_cache(maxsize=1 << 14)(_fold_run)  # apostrophes, dashes, letters with accents: always the same


def _replace_run(error: UnicodeError) -> tuple[bytes, int]:
    """Encode a run of characters outside ASCII, folded, by its replacements."""
    assert isinstance(error, UnicodeEncodeError)
    run = error.object[error.start : error.end]
    return _fold_short_run(run) if len(run) <= _SHORT else _fold_run(run), error.end


_REPLACE_RUNS = "candor.text.clean.runs"
codecs.register_error(_REPLACE_RUNS, _replace_run)
