"""How wide a text is on a terminal, where letters of East Asian scripts take two columns (Unicode Annex 11)."""

import unicodedata
from collections.abc import Sequence


def columns(text: str) -> int:
    """Return how many columns a text takes.

    Example:
        >>> columns("ab"), columns("退货"), columns("e\u0301")
        (2, 4, 1)
    """
    return sum(_columns(character) for character in text)


def visible(text: str) -> str:
    r"""Return a text on one line, with escapes for characters that would steer a terminal or turn its words around.

    Example:
        >>> visible("a\x1b[2J  b\u202e"), visible("می\u200cخواهم")
        ('a\\x1b[2J b\\u202e', 'می\u200cخواهم')
    """
    text = " ".join(text.split())
    return text if text.isprintable() else "".join(map(_visible, text))


def _visible(character: str) -> str:
    steers = unicodedata.category(character) in ("Cc", "Cf", "Cs") and not _joins(character)
    return ascii(character)[1:-1] if steers else character


def _joins(character: str) -> bool:
    """Return whether a character without width joins letters of some scripts, or is a part of an emoji."""
    return character in "\u200c\u200d" or "\U000e0020" <= character <= "\U000e007f"


def shortened(text: str, most: int) -> str:
    """Return a text on one line that takes at most so many columns; an ellipsis ends one that is cut.

    Example:
        >>> shortened("billing", 5), shortened("退货退款", 5)
        ('bill…', '退货…')
    """
    text = visible(text)
    if columns(text) <= most:
        return text
    kept, room = "", most - 1
    for character in text:
        room -= _columns(character)
        if room < 0:
            break
        kept += character
    return f"{kept}…"


def distinct(texts: Sequence[str], most: int) -> list[str]:
    """Return each text on one line of at most so many columns, shortened so that unlike ones stay unlike.

    The end of a long one is left out; where some begin alike, the middle of all is; where they end alike, too, all have
    their number, from 1.

    Example:
        >>> distinct(["queue one", "queue two"], 8), distinct(["the first queue", "the first desk"], 9)
        (['queue o…', 'queue t…'], ['the …ueue', 'the …desk'])
        >>> distinct(["the last first of them", "the last third of them"], 8)
        ['1 the l…', '2 the l…']
    """
    texts = [visible(text) for text in texts]
    for shorten in (shortened, _without_middle):
        names = [shorten(text, most) for text in texts]
        if len(set(names)) == len(set(texts)):
            return names
    return [shortened(f"{number} {text}", most) for number, text in enumerate(texts, 1)]


def _without_middle(text: str, most: int) -> str:
    if columns(text) <= most:
        return text
    end = shortened(text[::-1], most - most // 2)[:-1][::-1]
    return f"{shortened(text, most // 2 + 1)[:-1]}…{end}"


def padded(text: str, width: int) -> str:
    """Return a text with blanks up to a width."""
    return text + " " * (width - columns(text))


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table whose columns are as wide as their widest cell; control characters are escaped.

    Example:
        >>> table([("", "A"), ("退货", "B")])
        ['      A', '退货  B']
    """
    rows = [["".join(map(_visible, cell)) for cell in row] for row in rows]
    widths = [max(columns(row[place]) for row in rows) for place in range(len(rows[0]))]
    return ["  ".join(map(padded, row, widths)).rstrip() for row in rows]


def _columns(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
