r"""Cut a stream of UTF-8 into records: lines, records of CSV, or the elements of a JSON array.

At the start of a record the parser depends on nothing but the line number, so that a text may be cut there. Memory
grows neither with the file nor with a line; only an array is held whole.

Lines end at "\n", "\r\n" or "\r" only: str.splitlines also cuts at U+0085, U+2028 and others, which texts do contain.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from io import BytesIO
from typing import NamedTuple

from candor.batch.faults import RowsError
from candor.batch.formats import Format
from candor.limits import MAX_JSON_BYTES, MAX_LINE_BYTES


class Record(NamedTuple):
    """A line with its end, or in CSV several. `size` in bytes; `data` is empty where it is too long to hold."""

    data: bytes
    size: int
    lines: int
    error: str = ""


def records(blocks: Iterator[bytes], file_format: Format) -> Iterator[Record]:
    """Yield the records of a text, or of a part of it that starts at a record."""
    if file_format.kind == "csv":
        return _csv_records(blocks, grammar(file_format.delimiter or ",", file_format.rules))
    if file_format.kind == "json":
        return _elements(b"".join(blocks))
    return _lines(_unified(blocks) if file_format.rules > 1 else blocks)


def emptiness(file_format: Format) -> Callable[[bytes], object]:
    r"""Return a test for records without a row: a blank line, or in CSV one whose cells are all blank.

    Example:
        >>> is_empty = emptiness(Format("csv", delimiter=","))
        >>> bool(is_empty(b' ,""\r\n')), bool(is_empty("\u3000,\n".encode())), bool(is_empty(b"0,\n"))
        (True, True, False)
    """
    if file_format.kind == "csv":
        return _blank_cells(file_format.delimiter, file_format.rules).fullmatch
    return bytes.isspace if file_format.rules < 3 else _BLANK_LINE.fullmatch


def blank_starts(file_format: Format) -> bytes:
    """Return the bytes that a record without a row may begin with: what begins otherwise need not be tested."""
    return b'\t\n\v\f\r\x1c\x1d\x1e\x1f "\xc2\xe1\xe2\xe3' + file_format.delimiter.encode()


# White space of Unicode in UTF-8, as str.isspace() has it.
_SPACE = rb"(?:[\t-\r\x1c- ]|\xc2[\x85\xa0]|\xe1\x9a\x80|\xe2\x80[\x80-\x8a\xa8\xa9\xaf]|\xe2\x81\x9f|\xe3\x80\x80)*+"
_BLANK_LINE = re.compile(_SPACE)


@lru_cache
def _blank_cells(delimiter: str, rules: int) -> re.Pattern[bytes]:
    cut = re.escape(delimiter.encode())
    if rules < 3:
        return re.compile(rb"\r?\n|\r" if rules == 1 else rb"[ \t\r\n" + cut + rb"]*+")
    space = _SPACE if delimiter != "\t" else _SPACE.replace(rb"[\t-\r", rb"[\n-\r")
    cell = rb'(?:"' + _SPACE + rb'"|)' + space
    return re.compile(rb"(?:" + space + cell + cut + rb")*+" + space + cell)


def without_end(record: str) -> str:
    """Return a record without its line end."""
    return record.removesuffix("\n").removesuffix("\r")


def cells(record: str, file_format: Format) -> list[str]:
    """Return the cells of a CSV record without its line end."""
    matches = grammar(file_format.delimiter, file_format.rules).cells.findall(record)
    if len(matches) > 1 and not matches[-2][3]:  # what findall sees behind the last cell
        matches.pop()
    return [quoted.replace('""', '"') + after or plain for quoted, after, plain, _ in matches]


# Lines

_LONE_RETURN = re.compile(rb"\r(?!\n)")


def _unified(blocks: Iterable[bytes]) -> Iterator[bytes]:
    r"""Yield the text with "\n" for each "\r" that no "\n" follows: neither JSON nor a line contains one."""
    held = b""
    for block in blocks:
        if held:
            block, held = held + block, b""
        if b"\r" in block:
            if block.endswith(b"\r"):
                block, held = block[:-1], b"\r"
            if block.count(b"\r") > block.count(b"\r\n"):
                block = _LONE_RETURN.sub(b"\n", block)
        yield block
    if held:
        yield b"\n"


def _lines(blocks: Iterable[bytes]) -> Iterator[Record]:
    held, skipped = b"", 0
    for block in blocks:
        lines = BytesIO(held + block).readlines()  # five times as fast as to split
        held = lines.pop() if lines and not lines[-1].endswith(b"\n") else b""
        for line in lines:
            if skipped or (size := len(line)) > MAX_LINE_BYTES:
                yield _long_line(line, skipped)
                skipped = 0
            else:
                yield Record(line, size, 1)
        if skipped or len(held) > MAX_LINE_BYTES:
            held, skipped = b"", skipped + len(held)
    if held or skipped:
        yield _long_line(held, skipped)


def _long_line(line: bytes, skipped: int) -> Record:
    size = skipped + len(line)
    if size > MAX_LINE_BYTES and size - line.endswith(b"\n") > MAX_LINE_BYTES:
        return Record(b"", size, 1, "line_too_long")
    return Record(line, size, 1)


# CSV

_FEED = ord("\n")


class Grammar(NamedTuple):
    """Patterns of CSV (RFC 4180) with one delimiter, as forgiving as other readers.

    A quote stands for itself in a cell that does not start with one, and so does what follows a closing one. No pattern
    ever steps back, so that they take linear time.
    """

    record: re.Pattern[bytes]
    """A record with its end, within a text."""
    last_record: re.Pattern[bytes]
    """A record at the end of a text."""
    line_end: re.Pattern[bytes]
    cells: re.Pattern[str]


@lru_cache
def grammar(delimiter: str, rules: int) -> Grammar:
    """Return the patterns of a delimiter. By the first version's rules a line ends at a line feed only."""
    cut = re.escape(delimiter)
    ends, end, last_end = (r"\n", r"\n", r"\n|\Z") if rules == 1 else (r"\r\n", r"\r?\n|\r(?!\n|\Z)", r"\r?\n|\r|\Z")
    quoted = r'"[^"]*+(?:""[^"]*+)*+"'
    cell = rf'(?:{quoted}[^{cut}{ends}]*+|[^"{cut}{ends}][^{cut}{ends}]*+|)'
    return Grammar(
        re.compile(rf"(?:{cell}{cut})*+{cell}(?:{end})".encode()),
        re.compile(rf"(?:{cell}{cut})*+{cell}(?:{last_end})".encode()),
        re.compile(rf"{end}".encode()),
        re.compile(rf'(?:"([^"]*+(?:""[^"]*+)*+)"([^{cut}]*+)|([^"{cut}][^{cut}]*+|))({cut}|\Z)'),
    )


def _csv_records(blocks: Iterator[bytes], patterns: Grammar) -> Iterator[Record]:
    """Yield records, each of which ends at a line's end outside of quotes.

    A quote that is closed too late, or never, costs the line that it stands in: reading goes on with the next one.
    """
    buffer, at, skipped, ended = b"", 0, 0, False
    match_record = patterns.record.match
    while at < len(buffer) or not ended:
        while at < len(buffer) and not skipped and (match := match_record(buffer, at)):
            data = match[0]
            if len(data) > MAX_LINE_BYTES:
                break
            yield Record(data, len(data), data.count(b"\n") if data[-1] == _FEED else _count_lines(data))
            at += len(data)
        record = None
        if at < len(buffer):
            record = _bad_record(buffer, at, skipped, ended, patterns)
        if record and record.error:
            yield record
            at, skipped = at + record.size - skipped, 0
        elif record:  # the start of a line that is too long to hold
            at, skipped = len(buffer), skipped + record.size
        if not ended and (at >= len(buffer) or record is None):
            block = next(blocks, None)
            buffer, at, ended = buffer[at:] + (block or b""), 0, block is None
            match_record = (patterns.last_record if ended else patterns.record).match
    if skipped:
        yield Record(b"", skipped, 1, "line_too_long")


def _bad_record(buffer: bytes, at: int, skipped: int, ended: bool, patterns: Grammar) -> Record | None:
    """Return what starts at `at` and is no record; None if its end is not in the buffer yet."""
    if skipped:
        return _rest_of_line(buffer, at, skipped, ended, patterns)
    held = len(buffer) - at
    if held <= MAX_LINE_BYTES and not ended:
        return None
    line_end = patterns.line_end.search(buffer, at, at + MAX_LINE_BYTES)
    if not line_end and held > MAX_LINE_BYTES:
        return _rest_of_line(buffer, at, 0, ended, patterns)
    size = line_end.end() - at if line_end else held
    return Record(buffer[at : at + size], size, 1, "unclosed_quote")


def _rest_of_line(buffer: bytes, at: int, skipped: int, ended: bool, patterns: Grammar) -> Record | None:
    """Return a line that is too long to hold; without an error if its end is yet to come."""
    line_end = patterns.line_end.search(buffer, at)
    if not line_end and not ended:
        return Record(b"", len(buffer) - at, 0) if len(buffer) > at else None
    return Record(b"", skipped + (line_end.end() if line_end else len(buffer)) - at, 1, "line_too_long")


def _count_lines(record: bytes) -> int:
    """Count the lines of a record that no line feed ends. Carriage returns count where one ends the record."""
    return record.count(b"\n") + (record.count(b"\r") if record.endswith(b"\r") else 0) or 1


# JSON arrays

_ARRAY = re.compile(rb"[ \t\r\n]*\[[ \t\r\n]*")
_GAP = re.compile(r"[ \t\r\n]*(?:,[ \t\r\n]*|(\])[ \t\r\n]*|\Z)")
_decode_next = json.JSONDecoder().raw_decode


def opened_array(blocks: Iterable[bytes]) -> tuple[Record, Iterator[Record]]:
    """Return what stands before the first element of an array, and its elements.

    Raises:
        RowsError: The array is too large to be held. Iterating raises it where the array is damaged.
    """
    held = bytearray()
    for block in blocks:
        held += block
        if len(held) > MAX_JSON_BYTES:
            raise RowsError("json_too_large")
    match = _ARRAY.match(held)
    opening, rest = bytes(held[: match.end() if match else 0]), bytes(held[match.end() if match else 0 :])
    breaks = _count_breaks(opening)
    return Record(opening, len(opening), breaks), _elements(rest, 1 + breaks, whole=True)


def _elements(data: bytes, line: int = 1, *, whole: bool = False) -> Iterator[Record]:
    """Yield each element, with what follows it up to the next one in its size and lines."""
    text, at, closed = data.decode("utf-8", "surrogateescape"), 0, data.startswith(b"]")
    while at < len(text) and not closed:
        try:
            _, end = _decode_next(text, at)
        except (ValueError, RecursionError):
            problem = f"the array is damaged or cut off: what begins in line {line} is not JSON"
            raise RowsError("bad_json", problem=problem) from None
        gap = _GAP.match(text, end)
        if gap is None:
            raise RowsError("bad_json", problem=f"the array is damaged: no comma follows what begins in line {line}")
        closed = gap[1] is not None
        element, covered = (text[at:stop].encode("utf-8", "surrogateescape") for stop in (end, gap.end()))
        breaks = _count_breaks(covered)
        yield Record(element, len(covered), breaks, "line_too_long" if len(element) > MAX_LINE_BYTES else "")
        at, line = gap.end(), line + breaks
    if whole and not closed:
        raise RowsError("bad_json", problem=f"the array is cut off in line {line}")
    if closed and text[at:].strip("]\t\r\n "):
        raise RowsError("bad_json", problem=f"more follows the end of the array in line {line}")


def _count_breaks(data: bytes) -> int:
    return data.count(b"\n") or data.count(b"\r")
