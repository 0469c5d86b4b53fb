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


def shortened(text: str, most: int) -> str:
    """Return a text on one line that takes at most so many columns; an ellipsis ends one that is cut.

    Example:
        >>> shortened("billing", 5), shortened("退货退款", 5)
        ('bill…', '退货…')
    """
    text = " ".join(text.split())
    if columns(text) <= most:
        return text
    kept, room = "", most - 1
    for character in text:
        room -= _columns(character)
        if room < 0:
            break
        kept += character
    return f"{kept}…"


def padded(text: str, width: int) -> str:
    """Return a text with blanks up to a width."""
    return text + " " * (width - columns(text))


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table whose columns are as wide as their widest cell.

    Example:
        >>> table([("", "A"), ("退货", "B")])
        ['      A', '退货  B']
    """
    widths = [max(columns(row[place]) for row in rows) for place in range(len(rows[0]))]
    return ["  ".join(map(padded, row, widths)).rstrip() for row in rows]


def _columns(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
