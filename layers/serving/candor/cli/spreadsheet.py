"""Write results as a table for spreadsheets: CSV (RFC 4180) of which no cell is a formula."""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

Result = dict[str, Any]
_FIXED = ("line", "id", "label", "decision", "error", "text")


def spreadsheet(
    results: Callable[[], Iterable[Result]], labels: Sequence[str], settings: dict[str, Any]
) -> Iterator[str]:
    """Yield the rows of a table.

    Args:
        results: Returns all results, in order; called once or twice.
        labels: The model's labels, each with a column of its probabilities.
        settings: Those of the manifest: the text, and the input's other columns, stand in the table if they are there.
    """
    shares = [f"{label} (probability)" if label in _FIXED else label for label in labels]
    ours = [*_FIXED[:4], *shares, "error", *(["text"] if settings.get("text") else [])]
    theirs: dict[str, None] = {}
    if settings.get("columns"):
        for result in results():
            theirs.update(dict.fromkeys(result.get("columns", ())))
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    header = [*ours, *(f"{name} (input)" if name in ours else name for name in theirs)]
    for cells in chain([header], (_cells(result, labels, ours, theirs) for result in results())):
        writer.writerow([escape_formula(cell) if isinstance(cell, str) else cell for cell in cells])
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def _cells(result: Result, labels: Sequence[str], ours: Sequence[str], theirs: Iterable[str]) -> list[Any]:
    shares = [result.get("probabilities", {}).get(label, "") for label in labels]
    cells = [result["line"], *(result.get(name, "") for name in ("id", "label", "decision")), *shares]
    cells.append(result.get("error", {}).get("code", ""))
    if len(ours) > len(cells):
        cells.append(result.get("text", ""))
    return cells + [result.get("columns", {}).get(name, "") for name in theirs]


# A cell can begin behind each of these, too: where lists are separated by semicolons, a spreadsheet divides there.
_UNSEEN = (  # controls, and what Unicode tells programs not to show
    r"\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    r"\u3164\ufe00-\ufe0f\ufeff\uffa0"
)
_STARTS = re.compile(rf"(?:\A|[;|\t\r\n])[;|\s\"{_UNSEEN}]*+([=+\-@＝＋－＠﹦﹢﹣﹫]?)")
_DIVIDER = re.compile(r".*[;|\t\r\n]", re.DOTALL)


def escape_formula(cell: str) -> str:
    r"""Return a cell that a spreadsheet shows instead of computing it (OWASP, CSV injection).

    Example:
        >>> escape_formula("=1+1"), escape_formula("5-1; -2"), escape_formula("\n＝1"), escape_formula("good-ish")
        ("'=1+1", "5-1;' -2", "'\n'＝1", 'good-ish')
    """
    escaped = _STARTS.sub(_escaped, cell)
    return f"'{escaped}" if cell.startswith(("\t", "\r", "\n")) else escaped


def _escaped(start: re.Match[str]) -> str:
    """Return a start of a cell with an apostrophe behind its last divider, if a formula follows."""
    whole = start[0]
    if not start[1]:
        return whole
    divider = _DIVIDER.match(whole)
    at = divider.end() if divider else 0
    return f"{whole[:at]}'{whole[at:]}"
