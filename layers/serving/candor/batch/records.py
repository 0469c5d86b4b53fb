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
from itertools import chain, islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from candor.batch.faults import RowsError
from candor.batch.formats import Format
from candor.limits import MAX_JSON_BYTES, MAX_LINE_BYTES

Counts = NDArray[np.int64]


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


class Stretch(NamedTuple):
    """Records that follow each other, as a plan counts them: the numbers up to and with each of them, ascending."""

    bytes: Counts
    rows: Counts
    lines: Counts


def stretches(blocks: Iterator[bytes], file_format: Format) -> Iterator[Stretch]:
    """Yield the records of a text as `records` cuts it, many at a time.

    Lines are found by NumPy. Records with quotes and elements of an array are looked at one by one.
    """
    if file_format.kind in ("txt", "jsonl") and file_format.rules > 1:
        return _line_stretches(_unified(blocks), file_format)
    if file_format.kind == "csv" and file_format.rules > 1:
        return _csv_stretches(blocks, file_format)
    return counted_records(records(blocks, file_format), file_format)


def counted_records(each: Iterable[Record], file_format: Format) -> Iterator[Stretch]:
    """Yield records one has already, as `stretches` does."""
    return _counted(each, Blanks(file_format))


class Blanks:
    """Tells records without a row from others (see `emptiness`), one by one or by their bytes."""

    def __init__(self, file_format: Format) -> None:
        self.is_empty = emptiness(file_format)
        starts = blank_starts(file_format)
        ascii_bytes, rest = (bytes(byte for byte in starts if (byte < 0x80) is low) for low in (True, False))
        self.surely, self.maybe = _flags(ascii_bytes.replace(b'"', b"")), _flags(starts + _LATER_BYTES * bool(rest))
        self._starts = frozenset(starts)

    def __call__(self, data: bytes) -> bool:
        """Return whether a record has no row."""
        return not data or (data[0] in self._starts and bool(self.is_empty(data)))


def _flags(of: bytes) -> NDArray[np.bool_]:
    table = np.zeros(256, np.bool_)
    table[list(of)] = True
    return table


def _counted(each: Iterable[Record], is_blank: Callable[[bytes], object]) -> Iterator[Stretch]:
    each = iter(each)
    while some := list(islice(each, _COUNTED)):
        sizes, lines = ([record[index] for record in some] for index in (1, 2))
        rows = [bool(error) or not is_blank(data) for data, _, _, error in some]
        yield Stretch(*(np.cumsum(numbers, dtype=np.int64) for numbers in (sizes, rows, lines)))


_COUNTED = 1024


def _lines_of(data: bytes, blanks: Blanks, max_line: int) -> Stretch:
    """Return the lines of a text that ends with a line's end. Blank ones are no rows, but for long ones."""
    codes = np.frombuffer(data, np.uint8)
    is_end = codes == _FEED
    if b"\r" in data:
        is_end |= _lone_returns(codes)
    ends = is_end.nonzero()[0] + 1
    starts = np.append(0, ends[:-1])
    rows = _have_other(codes, starts, ends, blanks.surely)
    for line in (rows > _have_other(codes, starts, ends, blanks.maybe)).nonzero()[0].tolist():
        rows[line] = not blanks.is_empty(data[starts[line] : ends[line]])
    rows |= ends - starts > max_line
    return Stretch(ends, np.cumsum(rows), np.arange(1, len(ends) + 1))


def _have_other(codes: NDArray[np.uint8], starts: Counts, ends: Counts, known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which lines have another byte than the known ones."""
    found: NDArray[np.bool_] = ~known[codes[starts]]
    if not found.all():
        others = np.append(0, np.cumsum(~known[codes], dtype=np.int32))
        found |= others[ends] > others[starts]
    return found


def _one(size: int) -> Stretch:
    """Return a stretch of one line that is too long to hold."""
    return Stretch(np.array([size]), np.array([1]), np.array([1]))


def _line_stretches(blocks: Iterable[bytes], file_format: Format) -> Iterator[Stretch]:
    held, skipped, blanks = b"", 0, Blanks(file_format)
    for block in blocks:
        data = held + block
        if skipped and (end := data.find(b"\n") + 1):
            yield _one(skipped + end)
            data, skipped = data[end:], 0
        end = 0 if skipped else data.rfind(b"\n") + 1
        if end:
            yield _lines_of(data[:end], blanks, MAX_LINE_BYTES + 1)
        held = data[end:]
        if skipped or len(held) > MAX_LINE_BYTES:
            held, skipped = b"", skipped + len(held)
    if skipped or held:
        yield from _counted([_long_line(held, skipped)], blanks)


def _csv_stretches(blocks: Iterator[bytes], file_format: Format) -> Iterator[Stretch]:
    patterns, blanks = grammar(file_format.delimiter or ",", file_format.rules), Blanks(file_format)
    held = b""
    for block in blocks:
        data, at, going = held + block, 0, True
        while going:
            quote = data.find(b'"', at)
            stop = quote if quote >= 0 else len(data) - data.endswith(b"\r")  # whose line feed may be yet to come
            end = max(data.rfind(b"\n", at, stop), data.rfind(b"\r", at, stop)) + 1
            if end > at:
                yield _lines_of(data[at:end], blanks, MAX_LINE_BYTES)
                at = end
            some = list[Record]()
            while quote >= 0 and (match := patterns.record.match(data, at)) and match.end() - at <= MAX_LINE_BYTES:
                some.append(_record(match[0]))
                at = match.end()
                near = data.find(b'"', at, at + _NEAR)
                if near < 0 or data.count(b"\n", at, near) + data.count(b"\r", at, near) > _FEW_LINES:
                    break
            yield from _counted(some, blanks)
            going = bool(some)
        held = data[at:]
        if len(held) > MAX_LINE_BYTES:
            break
    yield from _counted(_csv_records(chain([held], blocks), patterns), blanks)


_NEAR, _FEW_LINES = 4096, 32  # bytes and lines without a quote from which the faster way pays
_FEED, _RETURN = b"\n\r"


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
    cut = file_format.delimiter.encode() if file_format.kind == "csv" else b""
    if file_format.rules < 3:
        return b" \t\r\n" + cut if file_format.kind == "csv" else b" \t\n\r\v\f"
    return b'\t\n\v\f\r\x1c\x1d\x1e\x1f "\xc2\xe1\xe2\xe3' + cut


_LATER_BYTES = bytes(range(0x80, 0xB0))  # of white space beyond ASCII, after its first byte


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
                codes = np.frombuffer(block, np.uint8).copy()
                codes[_lone_returns(codes)] = _FEED
                block = codes.tobytes()
        yield block
    if held:
        yield b"\n"


def _lone_returns(codes: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return where a carriage return is that no line feed follows; the last byte counts as one."""
    lone: NDArray[np.bool_] = codes == _RETURN
    lone[:-1] &= codes[1:] != _FEED
    return lone


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
            yield _record(data)
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


def _record(data: bytes) -> Record:
    return Record(data, len(data), data.count(b"\n") if data[-1] == _FEED else _count_lines(data))


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
