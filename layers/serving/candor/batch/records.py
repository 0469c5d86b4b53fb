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

from candor.batch.decode import BLOCK
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

    Lines and quoted records are found by NumPy. Records with a quote within a cell are looked at one by one.
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
        self._surely = ascii_bytes.replace(b'"', b"")
        self.surely, self.maybe = _flags(self._surely), _flags(starts + _LATER_BYTES * bool(rest))
        self._starts = frozenset(starts)
        self._cut = file_format.delimiter.encode() if file_format.kind == "csv" else b""
        self._rules = file_format.rules

    def __call__(self, data: bytes) -> bool:
        """Return whether a record has no row."""
        if data and data[0] not in self._starts:
            return False
        if not data or (self._rules > 1 and not data.translate(None, self._surely)):
            return True
        if self._rules > 2 and self._cut and not data.translate(None, self._surely + b'"'):
            bare = data.translate(None, self._surely.replace(self._cut, b""))
            if {*bare.split(self._cut)} <= {b"", b'""'}:
                return True
        return (self._rules > 2 and _is_space(data)) or bool(self.is_empty(data))


def _is_space(data: bytes) -> bool:
    """Return whether bytes are white space and nothing else, of Unicode too: of long ones faster than a pattern."""
    try:
        return data.decode().isspace()
    except UnicodeDecodeError:
        return False


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
    ends: Counts = _line_ends(data, codes) + 1
    rows = _with_rows(data, codes, ends, blanks)
    rows |= np.diff(ends, prepend=0) > max_line
    return Stretch(ends, np.cumsum(rows), np.arange(1, len(ends) + 1))


def _line_ends(data: bytes, codes: NDArray[np.uint8]) -> Counts:
    """Return where the last byte of each line is. A carriage return at the very end counts as one."""
    is_end = codes == _FEED
    if b"\r" in data:
        is_end |= _lone_returns(codes)
    ends: Counts = is_end.nonzero()[0]
    return ends


def _with_rows(data: bytes, codes: NDArray[np.uint8], ends: Counts, blanks: Blanks) -> NDArray[np.bool_]:
    """Return which records, given their ends, are not blank."""
    starts = np.append(0, ends[:-1])
    rows = _have_other(codes, starts, ends, blanks.surely)
    for record in (rows > _have_other(codes, starts, ends, blanks.maybe)).nonzero()[0].tolist():
        rows[record] = not blanks(data[starts[record] : ends[record]])
    return rows


def _have_other(codes: NDArray[np.uint8], starts: Counts, ends: Counts, known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which lines have another byte than the known ones."""
    found: NDArray[np.bool_] = ~known[codes[starts]]
    if not found.all():
        found |= np.logical_or.reduceat(~known[codes[: ends[-1]]], starts)
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
    may_open = _flags(f'{file_format.delimiter or ","}\r\n"'.encode())
    held = b""
    for block in blocks:
        data, at, size = held + block, 0, _WINDOW
        while at < len(data):
            stretch, is_odd = _quoted_records(data[at : at + size], may_open, blanks)
            if len(stretch.bytes):
                yield stretch
                at += int(stretch.bytes[-1])
            elif not is_odd and at + size >= len(data):
                break  # its end is yet to come
            size = _WINDOW if is_odd else 4 * size if size < BLOCK or not len(stretch.bytes) else BLOCK
            if is_odd:
                some = list[Record]()
                while len(some) < _SOME and (match := patterns.record.match(data, at)):
                    if match.end() - at > MAX_LINE_BYTES:
                        break
                    some.append(_record(match[0]))
                    at = match.end()
                yield from _counted(some, blanks)
                if not some:
                    break
        held = data[at:]
        if len(held) > MAX_LINE_BYTES:
            break
    yield from _counted(_csv_records(chain([held], blocks), patterns), blanks)


def _quoted_records(data: bytes, may_open: NDArray[np.bool_], blanks: Blanks) -> tuple[Stretch, bool]:
    """Return the records at the start of a text, in which cells are quoted as a whole, and whether others follow.

    Every second quote opens a cell: a line's end stands outside of quotes where their number before it is even. That
    holds as long as each of them stands at a cell's start, or behind one that closes: two quotes are one in a cell.
    """
    codes = np.frombuffer(data, np.uint8)
    quotes = (codes == _QUOTE).nonzero()[0]
    opening = quotes[::2]
    odd = opening[~may_open[codes[opening - 1]] & (opening > 0)][:1]
    lines = _line_ends(data, codes)
    if data.endswith(b"\r"):  # its line feed may be yet to come
        lines = lines[:-1]
    if len(odd):
        lines = lines[: lines.searchsorted(odd[0])]
    ends = lines[quotes.searchsorted(lines) % 2 == 0] + 1 if len(quotes) else lines + 1
    long = (np.diff(ends, prepend=0) > MAX_LINE_BYTES).nonzero()[0][:1]
    if len(long):
        ends = ends[: long[0]]
    numbers = np.arange(1, len(ends) + 1)
    if len(quotes) and len(ends):
        numbers = np.cumsum(_lines_in(codes, ends))
    rows = np.cumsum(_with_rows(data, codes, ends, blanks)) if len(ends) else ends
    return Stretch(ends, rows, numbers), bool(len(odd) or len(long))


def _lines_in(codes: NDArray[np.uint8], ends: Counts) -> Counts:
    """Return the lines of each record, as `_count_lines` counts them, given the records' ends."""
    feeds, returns = (np.diff((codes == end).nonzero()[0].searchsorted(ends), prepend=0) for end in (_FEED, _RETURN))
    lines: Counts = np.maximum(feeds + returns * (codes[ends - 1] == _RETURN), 1)
    return lines


_WINDOW, _SOME = 1 << 12, 64  # bytes, and records that are looked at one by one
_QUOTE = ord('"')
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
    return b"\t\n\v\f\r\x1c\x1d\x1e\x1f \xc2\xe1\xe2\xe3" + b'"' * bool(cut) + cut


_LATER_BYTES = bytes(range(0x80, 0xB0))  # of white space beyond ASCII, after its first byte


# White space of Unicode in UTF-8, as str.isspace() has it.
_ASCII_SPACE = rb"[\t-\r\x1c- ]*+"
_SPACE = (
    _ASCII_SPACE
    + rb"(?:(?:\xc2[\x85\xa0]|\xe1\x9a\x80|\xe2\x80[\x80-\x8a\xa8\xa9\xaf]|\xe2\x81\x9f|(?:\xe3\x80\x80)++)"
    + _ASCII_SPACE
    + rb")*+"
)
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
    # A cell's quotes count where one stands at its start; others stand for themselves.
    opened = rf"(?<![^{cut}{ends}]){quoted}[^{cut}{ends}]*+"
    inner = rf'(?<=[^{cut}{ends}])"[^{cut}{ends}]*+'
    record = rf'[^"{ends}]*+(?:(?:{opened}|{inner})[^"{ends}]*+)*+'
    return Grammar(
        re.compile(rf"{record}(?:{end})".encode()),
        re.compile(rf"{record}(?:{last_end})".encode()),
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


class Elements(Iterator[Record]):
    """The elements of an array that is held whole: one by one, or from the start many at a time.

    Args:
        data: The array behind its opening bracket and the white space that follows it.
        line: Number of the line in which it begins, from 1.
    """

    def __init__(self, data: bytes, line: int) -> None:
        self._data, self._line = data, line
        self._each = _elements(data, line, whole=True)

    def __next__(self) -> Record:
        return next(self._each)

    def stretches(self) -> Iterator[Stretch]:
        """Yield all elements as `stretches` does. What is not found to be JSON is looked at one by one.

        Raises:
            RowsError: The array is damaged.
        """
        data, line, at, size = self._data, self._line, 0, _WINDOW
        while at < len(data):
            stretch = _counted_elements(data[at : at + size])
            if stretch is None or not (len(stretch.bytes) or at + size < len(data)):
                break
            size = 4 * size if size < BLOCK or not len(stretch.bytes) else BLOCK
            if len(stretch.bytes):
                yield stretch
                at, line = at + int(stretch.bytes[-1]), line + int(stretch.lines[-1])
        yield from _counted(_elements(data[at:], line, whole=True), lambda data: False)


def _counted_elements(data: bytes) -> Stretch | None:
    """Return the elements at the start of a part of an array, but for the last one; None if they are not JSON."""
    codes = np.frombuffer(data, np.uint8)
    commas = _top_commas(data)
    solid = (~_JSON_SPACE[codes]).nonzero()[0] if _JSON_SPACE[codes[(commas + 1) % len(codes)]].any() else None
    # The last one stays where white space may follow, or no element does.
    begins = commas + 1 if solid is None else solid.take(solid.searchsorted(commas + 1), mode="clip")
    if len(commas) and (begins[-1] in (commas[-1], len(data)) or codes[begins[-1]] == _CLOSING):
        commas, begins = commas[:-1], begins[:-1]
    if not len(commas):
        return Stretch(commas, commas, commas)
    try:
        values = json.loads("[" + data[: commas[-1]].decode("utf-8", "surrogateescape") + "]")
    except (ValueError, RecursionError):
        return None
    if len(values) != len(commas):
        return None
    feeds, returns = (np.diff((codes == end).nonzero()[0].searchsorted(begins), prepend=0) for end in (_FEED, _RETURN))
    return Stretch(begins, np.arange(1, len(begins) + 1), np.cumsum(np.where(feeds, feeds, returns)))


def _top_commas(data: bytes) -> Counts:
    """Return where the commas are that stand in no string, array or object: those after the elements."""
    bare = data.replace(b"\\\\", b"__").replace(b'\\"', b"__") if b"\\" in data else data  # no escaped quotes
    codes = np.frombuffer(bare, np.uint8)
    marks = _JSON_MARKS[codes].nonzero()[0]
    kinds = codes[marks]
    is_quote = kinds == _QUOTE
    outside = ~(np.logical_xor.accumulate(is_quote) | is_quote)
    marks, kinds = marks[outside], kinds[outside]
    commas: Counts = marks[(np.cumsum(_DEPTH[kinds]) == 0) & (kinds == _COMMA)]
    return commas


_COMMA, _CLOSING = b",]"
_JSON_SPACE, _JSON_MARKS = _flags(b" \t\r\n"), _flags(b'",[]{}')
_DEPTH = _flags(b"[{").astype(np.int8) - _flags(b"]}")


def opened_array(blocks: Iterable[bytes]) -> tuple[Record, Elements]:
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
    return Record(opening, len(opening), breaks), Elements(rest, 1 + breaks)


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
