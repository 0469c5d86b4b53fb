"""What counts as text: one clean-up, shared by training, one request and a batch of gigabytes.

ASCII needs no clean-up beyond HTML tags, because the featuriser folds its case byte by byte; any other text takes
the Unicode path. Both give the same result for the same characters.
"""

import re
import unicodedata
from functools import lru_cache

SEPARATOR = "\0"  # between the texts of a block; no token ever contains it

_TAG_NAMES = (
    "a|abbr|b|blockquote|br|center|div|em|font|h[1-6]|hr|i|img|li|ol|p|pre|q|s|small|span|strong|sub|sup"
    "|table|td|th|tr|tt|u|ul"
)
# An element with nothing in it, or with attributes. Each scan ends at the next angle bracket: linear time on any input.
_TAG = re.compile(rf"</?(?:{_TAG_NAMES})(?:[ \t\r\n]*/?>|[ \t\r\n][^<>=\0]*=[^<>\0]*>)", re.IGNORECASE)
# Nearly all tags there are in reviews, and ten times as fast to find.
_BREAK = re.compile(r"<br />")
TAGS = (_BREAK, _TAG)
NON_ASCII = re.compile(r"[^\x00-\x7f]")

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


@lru_cache(maxsize=1 << 16)
def stand_in(character: str) -> str:
    """What stands for one non-ASCII character, already in NFKC and lower case."""
    if character in _APOSTROPHES:
        return "'"
    if any(first <= ord(character) <= last for first, last in _UNSPACED):
        return f" {character} "
    category = unicodedata.category(character)
    if category == "Cf" or "\ufe00" <= character <= "\ufe0f":
        return ""  # zero-width and soft-hyphen characters do not cut a word; variation selectors say nothing
    if category == "So":
        return f" {character} "  # an emoji is a word
    return character if category[0] in "LNM" else " "


def clean(text: str) -> str:
    """Text without HTML tags, in NFKC and lower case, with every non-ASCII character that is no part of a word a space.

    NFKC and its stability: Unicode Standard Annex 15. Idempotent on its own output. Linear in the text's length.
    """
    if text.isascii():
        return strip_tags(text).lower()
    folded = unicodedata.normalize("NFKC", text).lower()
    return strip_tags(NON_ASCII.sub(lambda match: stand_in(match[0]), folded))


def strip_tags(text: str) -> str:
    """Text with each HTML tag replaced by a space; angle brackets that are no tag stay."""
    text = text.replace(_BREAK.pattern, " ")
    return _TAG.sub(" ", text) if "<" in text else text


def join(texts: list[str]) -> str:
    """One string of all texts, cleaned but for ASCII case, with a SEPARATOR between each two of them."""
    joined = SEPARATOR.join(texts)
    if joined.count(SEPARATOR) >= max(len(texts), 1):  # a text holds the separator itself, which is no part of a word
        texts = [text.replace(SEPARATOR, " ") for text in texts]
        joined = SEPARATOR.join(texts)
    if joined.isascii():
        return strip_tags(joined)
    return SEPARATOR.join([strip_tags(text) if text.isascii() else clean(text) for text in texts])
