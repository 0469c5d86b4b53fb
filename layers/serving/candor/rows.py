"""Files of texts to rows: JSON lines, CSV or plain lines, in UTF-8 or UTF-16, also gzipped.

A file is a stream of UTF-8, cut into chunks at the ends of records. A reader knows nothing at the start of a record but
the number of its line, so the chunks give the same rows as the whole, wherever it is cut. A bad row is a row with an
error in place. Memory grows neither with the file nor with a line.

Lines end at "\\n" only: str.splitlines also cuts at U+0085, U+2028 and others, which reviews do contain.
"""

import codecs
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from io import BytesIO
from itertools import chain, islice
from typing import IO, Any, NamedTuple, NoReturn

from candor.errors import CandorError
from candor.limits import MAX_ID_LENGTH, MAX_TEXT_BYTES

MAX_LINE_BYTES = 1_000_000  # of a line, and of a CSV record with line ends in quotes
MAX_UNPACKED = 200  # times the size of a gzip file; English text unpacks to 3 times
_ALWAYS_UNPACKED = 64 << 20  # bytes that are unpacked whatever their ratio
_BLOCK = 1 << 18

ERRORS = {
    "blank": "The text is empty or blank.",
    "text_too_large": f"The text has more than {MAX_TEXT_BYTES:,} bytes of UTF-8.",
    "line_too_long": f"The line has more than {MAX_LINE_BYTES:,} bytes.",
    "invalid_encoding": "The row is not valid Unicode in the file's encoding.",
    "invalid_json": "The line is not a JSON object.",
    "missing_text": "The row has no text.",
    "wrong_type": "The text is not a string, or the id neither a string nor a whole number.",
    "id_too_long": f"The id has more than {MAX_ID_LENGTH} characters.",
    "ragged": "The row has not as many cells as the header.",
    "unclosed_quote": f"A quote in the line is not closed within {MAX_LINE_BYTES:,} bytes.",
}
FAULTS = {
    "unknown_format": "expected .jsonl, .csv or .txt, or one of them with .gz",
    "unknown_encoding": "it is neither UTF-8 nor UTF-16 with a byte order mark",
    "not_gzip": "it is damaged, or no gzip although its name ends in .gz",
    "unexpected_gzip": "it is a gzip, but its name does not end in .gz",
    "damaged_gzip": "the gzip is truncated or damaged",
    "gzip_bomb": f"the gzip unpacks to more than {MAX_UNPACKED} times its size",
    "no_text_column": "no column of the CSV header, or more than one, is named as the text column",
    "too_large": "it has more than 40 GB: split it at line ends",
    "two_id_columns": "more than one column of the CSV header is named as the id column",
}
READERS = (".jsonl", ".csv", ".txt")
_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


class RowsError(CandorError):
    """A file that cannot be read as a whole, whatever is tried; `code` is one of FAULTS."""

    def __init__(self, code: str, about: str = "the file") -> None:
        super().__init__(code, about)
        self.code, self.about = code, about

    def __str__(self) -> str:
        return f"{self.about}: {FAULTS[self.code]}"


class Row(NamedTuple):
    """A text, or the code of ERRORS that says why there is none. `line` is the one that it starts in, from 1."""

    line: int
    id: str | None
    text: str
    error: str = ""


class Chunk(NamedTuple):
    """Bytes [begin, end) of the text as UTF-8; `line` is the number of its first line, from 1."""

    begin: int
    end: int
    line: int
    rows: int


@dataclass(frozen=True)
class Format:
    """How to read a file: all that a reader of one chunk has to know of the rest."""

    kind: str
    """"jsonl", "csv" or "txt"."""
    packed: bool = False
    """Whether it is a gzip."""
    encoding: str = "utf-8"
    """Or "utf-16-le", "utf-16-be"."""
    text: str = "text"
    """The name of the texts' column, and of the ids'."""
    id: str = "id"
    columns: tuple[int, int, int] = (0, 0, -1)
    """In CSV: how many there are, which is the texts', which is the ids' (-1: none)."""

    @property
    def direct(self) -> bool:
        """Whether a range of the text is the same range of the file."""
        return not self.packed and self.encoding == "utf-8"

    @classmethod
    def of(cls, name: str, text: str = "text", identifier: str = "id") -> "Format":
        """What a file's name says. Raises RowsError."""
        bare = name.lower().removesuffix(".gz")
        for suffix in READERS:
            if bare.endswith(suffix):
                return cls(suffix[1:], bare != name.lower(), text=text, id=identifier)
        raise RowsError("unknown_format")

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> "Format":
        return cls(**{**value, "columns": tuple(value["columns"])})

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"columns": list(self.columns)}


def read(file: IO[bytes], name: str, text: str = "text", identifier: str = "id") -> Iterator[Row]:
    """All rows of a file. Raises RowsError, which names the file."""
    try:
        shape, records, _, line = _opened(iter(lambda: file.read(_BLOCK), b""), Format.of(name, text, identifier))
        yield from _rows(records, shape, line)
    except RowsError as error:
        raise RowsError(error.code, name) from None


def plan(blocks: Iterable[bytes], shape: Format, bytes_each: int, rows_each: int) -> tuple[Format, Iterator[Chunk]]:
    """What a file's bytes say of how to read it, and its chunks: each ends with the record that reaches either number.

    Raises RowsError, and so do the chunks.
    """
    shape, records, offset, line = _opened(iter(blocks), shape)
    return shape, _chunks(records, shape, Chunk(offset, offset, line, 0), bytes_each, rows_each)


def read_chunk(blocks: Iterable[bytes], shape: Format, chunk: Chunk) -> Iterator[Row]:
    """The rows of a chunk, from its bytes where the format is direct, else from all the file's. Raises RowsError."""
    if not shape.direct:
        _, decoded, offset = _decoded(iter(blocks), shape)
        blocks = _part(decoded, chunk, offset)
    return _rows(_records(iter(blocks), shape), shape, chunk.line)


def blocks(rows: Iterator[Row], size: int) -> Iterator[list[Row]]:
    """Lists of up to `size` rows."""
    while block := list(islice(rows, size)):
        yield block


# From a file's bytes to UTF-8


def _decoded(blocks: Iterator[bytes], shape: Format) -> tuple[Format, Iterator[bytes], int]:
    """The format with its encoding, the text as UTF-8 without byte order mark, and the offset at which that starts."""
    if shape.packed:
        blocks = _unpacked(blocks)
    start, blocks = _peeked(blocks, 4)
    if not shape.packed and start.startswith(b"\x1f\x8b"):
        raise RowsError("unexpected_gzip")
    if start in (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE):
        raise RowsError("unknown_encoding")
    if encoding := _UTF16.get(start[:2]):
        return replace(shape, encoding=encoding), _from_utf16(_dropped(blocks, 2), encoding), 0
    if b"\0" in start[:2]:  # UTF-16 or UTF-32 without a mark
        raise RowsError("unknown_encoding")
    marked = len(codecs.BOM_UTF8) if start.startswith(codecs.BOM_UTF8) else 0
    return shape, _dropped(blocks, marked), marked


def _peeked(blocks: Iterator[bytes], size: int) -> tuple[bytes, Iterator[bytes]]:
    start = b""
    for block in blocks:
        start += block
        if len(start) >= size:
            break
    return start[:size], chain([start], blocks)


def _dropped(blocks: Iterable[bytes], size: int) -> Iterator[bytes]:
    for block in blocks:
        yield block[size:]
        size = max(size - len(block), 0)


def _part(blocks: Iterable[bytes], chunk: Chunk, offset: int) -> Iterator[bytes]:
    """Bytes [begin, end) of a text that starts at `offset`."""
    for block in blocks:
        if offset >= chunk.end:
            return
        yield block[max(chunk.begin - offset, 0) : chunk.end - offset]
        offset += len(block)


def _from_utf16(blocks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """UTF-8, but for half a surrogate pair or half a character: bytes that are no UTF-8, and so an error in place."""
    decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
    for block in blocks:
        yield decoder.decode(block).encode("utf-8", "surrogatepass")
    if decoder.getstate()[0]:
        yield b"\xff"


def _unpacked(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The members of a gzip (RFC 1952), one after the other, never more than a block of it at a time."""
    member, taken, given = zlib.decompressobj(31), 0, 0
    for block in blocks:
        taken += len(block)
        while block:
            if member.eof:
                if not block.strip(b"\0"):
                    break  # zeros, which some tools fill the last sector with
                member = zlib.decompressobj(31)
            try:
                data = member.decompress(block, _BLOCK)
            except zlib.error:
                raise RowsError("damaged_gzip" if given else "not_gzip") from None
            given += len(data)
            if given > max(MAX_UNPACKED * taken, _ALWAYS_UNPACKED):
                raise RowsError("gzip_bomb")
            yield data
            block = member.unused_data if member.eof else member.unconsumed_tail
    if not member.eof:
        raise RowsError("damaged_gzip" if taken else "not_gzip")


# From UTF-8 to records


class Record(NamedTuple):
    """A line with its end, or in CSV several. `size` in bytes; `data` is empty where it is too long to hold."""

    data: bytes
    size: int
    lines: int
    error: str = ""


def _opened(blocks: Iterator[bytes], shape: Format) -> tuple[Format, Iterator[Record], int, int]:
    """The format, the records after the header if there is one, and the offset and line at which they start."""
    shape, decoded, offset = _decoded(blocks, shape)
    records, line = _records(decoded, shape), 1
    if shape.kind == "csv" and (header := next(records, None)):
        shape = _with_columns(shape, header)
        offset, line = offset + header.size, line + header.lines
    return shape, records, offset, line


def _with_columns(shape: Format, header: Record) -> Format:
    names = _cells(_bare(header.data.decode("utf-8", "replace")))
    if header.error or names.count(shape.text) != 1:
        raise RowsError("no_text_column")
    if names.count(shape.id) > 1:
        raise RowsError("two_id_columns")
    place = names.index(shape.id) if shape.id in names else -1
    return replace(shape, columns=(len(names), names.index(shape.text), place))


def _chunks(records: Iterable[Record], shape: Format, start: Chunk, bytes_each: int, rows_each: int) -> Iterator[Chunk]:
    (begin, end, first, rows), line = start, start.line
    for record in records:
        end, line, rows = end + record.size, line + record.lines, rows + (not _empty(record, shape))
        if end - begin >= bytes_each or rows >= rows_each:
            yield Chunk(begin, end, first, rows)
            begin, first, rows = end, line, 0
    if rows:
        yield Chunk(begin, end, first, rows)


def _records(blocks: Iterator[bytes], shape: Format) -> Iterator[Record]:
    return _csv_records(blocks) if shape.kind == "csv" else _lines(blocks)


def _lines(blocks: Iterable[bytes]) -> Iterator[Record]:
    held, skipped = b"", 0
    for block in blocks:
        lines = BytesIO(held + block).readlines()  # five times as fast as to split
        held = lines.pop() if lines and not lines[-1].endswith(b"\n") else b""
        for line in lines:
            yield _line(line, skipped)
            skipped = 0
        if skipped or len(held) > MAX_LINE_BYTES:
            held, skipped = b"", skipped + len(held)
    if held or skipped:
        yield _line(held, skipped)


def _line(line: bytes, skipped: int) -> Record:
    size = skipped + len(line)
    if size > MAX_LINE_BYTES and size - line.endswith(b"\n") > MAX_LINE_BYTES:
        return Record(b"", size, 1, "line_too_long")
    return Record(line, size, 1)


# RFC 4180, as forgiving as other readers: a quote stands for itself in a cell that does not start with one, and so does
# what follows a closing one. No part of these ever steps back, so that they take linear time.
_QUOTED = rb'"[^"]*+(?:""[^"]*+)*+"'
_CELL = rb"(?:" + _QUOTED + rb'[^,\n]*+|[^",\n][^,\n]*+|)'
_RECORD = re.compile(rb"(?:" + _CELL + rb",)*+" + _CELL + rb"\n")
_LAST_RECORD = re.compile(rb"(?:" + _CELL + rb",)*+" + _CELL + rb"(?:\n|\Z)")
_CELLS = re.compile(r'(?:"([^"]*+(?:""[^"]*+)*+)"([^,]*+)|([^",][^,]*+|))(,|\Z)')


def _csv_records(blocks: Iterator[bytes]) -> Iterator[Record]:
    """A record ends at a line's end outside of quotes.

    A quote that is closed too late, or never, costs the line that it stands in: reading goes on with the next one.
    """
    buffer, at, skipped, ended = b"", 0, 0, False
    while at < len(buffer) or not ended:
        record = _rest_of_line(buffer, at, skipped, ended) if skipped else _csv_record(buffer, at, ended)
        if record and (record.data or record.error):
            yield record
            at, skipped = at + record.size - skipped, 0
        elif record:  # the start of a line that is too long to hold
            at, skipped = len(buffer), skipped + record.size
        if at >= len(buffer) or record is None:
            block = next(blocks, None)
            buffer, at, ended = buffer[at:] + (block or b""), 0, block is None
    if skipped:
        yield Record(b"", skipped, 1, "line_too_long")


def _csv_record(buffer: bytes, at: int, ended: bool) -> Record | None:
    """The record at a place of the buffer; None if it takes more bytes to tell."""
    found = (_LAST_RECORD if ended else _RECORD).match(buffer, at)
    if found and found.end() - at <= MAX_LINE_BYTES:
        return Record(found[0], found.end() - at, found[0].count(b"\n") or 1)
    held = len(buffer) - at
    if held <= MAX_LINE_BYTES and not ended:
        return None
    end = buffer.find(b"\n", at, at + MAX_LINE_BYTES)
    if end < 0 and held > MAX_LINE_BYTES:
        return _rest_of_line(buffer, at, 0, ended)
    size = held if end < 0 else end + 1 - at
    return Record(buffer[at : at + size], size, 1, "unclosed_quote")


def _rest_of_line(buffer: bytes, at: int, skipped: int, ended: bool) -> Record | None:
    """A line that is too long to hold; without an error if its end is yet to come."""
    end = buffer.find(b"\n", at)
    if end < 0 and not ended:
        return Record(b"", len(buffer) - at, 0) if len(buffer) > at else None
    return Record(b"", skipped + (len(buffer) if end < 0 else end + 1) - at, 1, "line_too_long")


def _cells(record: str) -> list[str]:
    """The cells of a record without its line end."""
    found = _CELLS.findall(record)
    if len(found) > 1 and not found[-2][3]:  # what findall sees behind the last cell
        found.pop()
    return [quoted.replace('""', '"') + after or plain for quoted, after, plain, _ in found]


# From records to rows


def _rows(records: Iterable[Record], shape: Format, line: int) -> Iterator[Row]:
    made = _MAKERS[shape.kind]
    for record in records:
        if record.error:
            yield Row(line, None, "", record.error)
        elif not _empty(record, shape):
            try:
                yield made(line, record.data.decode(), shape)
            except UnicodeDecodeError:
                yield Row(line, None, "", "invalid_encoding")
        line += record.lines


def _empty(record: Record, shape: Format) -> bool:
    """Whether there is no row in it: a blank line, or in CSV one without anything."""
    if record.error:
        return False
    return record.data in (b"\n", b"\r\n", b"\r") if shape.kind == "csv" else not record.data.strip()


def _bare(record: str) -> str:
    return record.removesuffix("\n").removesuffix("\r")


def _txt_row(line: int, record: str, shape: Format) -> Row:
    return _row(line, None, _bare(record))


def _csv_row(line: int, record: str, shape: Format) -> Row:
    cells, (count, text, identifier) = _cells(_bare(record)), shape.columns
    name = cells[identifier] if 0 <= identifier < len(cells) else None
    return _row(line, name, cells[text]) if len(cells) == count else Row(line, _shown(name), "", "ragged")


def _constant(name: str) -> NoReturn:
    raise ValueError("no JSON")


_decode = json.JSONDecoder(parse_constant=_constant).decode


def _jsonl_row(line: int, record: str, shape: Format) -> Row:
    try:
        found = _decode(record)
    except (ValueError, RecursionError):
        return Row(line, None, "", "invalid_json")
    if not isinstance(found, dict):
        return Row(line, None, "", "invalid_json")
    name = found.get(shape.id)
    if isinstance(name, int) and not isinstance(name, bool):
        name = str(name)
    if name is not None and not isinstance(name, str):
        return Row(line, None, "", "wrong_type")
    if shape.text not in found:
        return Row(line, _shown(name), "", "missing_text")
    return _row(line, name, found[shape.text])


def _row(line: int, name: str | None, text: Any) -> Row:
    if not isinstance(text, str):
        return Row(line, _shown(name), "", "wrong_type")
    if name is not None and len(name) > MAX_ID_LENGTH:
        return Row(line, None, "", "id_too_long")
    try:
        size = len(text) if text.isascii() else len(text.encode())
        if name is not None and not name.isascii():
            name.encode()
    except UnicodeEncodeError:
        return Row(line, None, "", "invalid_encoding")
    if size > MAX_TEXT_BYTES:
        return Row(line, name, "", "text_too_large")
    return Row(line, name, text) if size and not text.isspace() else Row(line, name, "", "blank")


def _shown(name: str | None) -> str | None:
    """An id that a row with an error can be named by."""
    return None if name is None or len(name) > MAX_ID_LENGTH or not _encodes(name) else name


def _encodes(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


_MAKERS: dict[str, Callable[[int, str, Format], Row]] = {"jsonl": _jsonl_row, "csv": _csv_row, "txt": _txt_row}
