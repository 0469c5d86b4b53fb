r"""Read files of texts into rows: JSON lines, CSV or plain lines, in UTF-8 or UTF-16, also gzipped.

A file is decoded to a stream of UTF-8 and cut into chunks at the ends of records. At the start of a record the parser
depends on nothing but the line number, so the chunks give the same rows as the whole file, wherever it is cut. Memory
grows neither with the file nor with a line.

Scoring (`plan`, `read_chunk`, `read`) returns a bad row with an error in place. Training and evaluation
(`read_labelled`) refuse the file at its first bad row.

Lines end at "\n" only: str.splitlines also cuts at U+0085, U+2028 and others, which reviews do contain.
"""

import codecs
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import chain, islice
from typing import IO, Any, NamedTuple, NoReturn

from candor.errors import CandorError
from candor.limits import (
    ALWAYS_UNPACKED,
    MAX_ID_LENGTH,
    MAX_INPUT_BYTES,
    MAX_LINE_BYTES,
    MAX_SHOWN_NAME,
    MAX_SHOWN_NAMES,
    MAX_SHOWN_WORDS,
    MAX_TEXT_BYTES,
    MAX_UNPACKED,
)

_BLOCK = 1 << 18
_MAX_LABELS = 5  # that a message names
_FEWEST_DIGITS = 5  # of what may be a number of somebody's, and no name

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
"""Codes of a row's error, as results show them."""

FAULTS = {
    "unknown_format": "expected .jsonl, .csv or .txt, or one of them with .gz",
    "unknown_encoding": "it is neither UTF-8 nor UTF-16 with a byte order mark",
    "not_gzip": "it is damaged, or no gzip although its name ends in .gz",
    "unexpected_gzip": "it is a gzip, but its name does not end in .gz",
    "damaged_gzip": "the gzip is truncated or damaged",
    "gzip_bomb": f"the gzip unpacks to more than {MAX_UNPACKED} times its size",
    "no_text_column": "no column of the CSV header, or more than one, is named as the text column",
    "two_id_columns": "more than one column of the CSV header is named as the id column",
    "too_large": f"it has more than {MAX_INPUT_BYTES // 10**9} GB: split it at line ends",
    # Only where labels are read, to train or to evaluate:
    "no_labels": "plain lines of text have no labels: expected .csv or .jsonl, or one of them with .gz",
    "no_label_column": "no column is named as the label column",
    "two_label_columns": "more than one column of the CSV header is named as the label column",
    "bad_row": "a row has no text or no label",
}
"""Codes of what is wrong with a file as a whole, as manifests show them."""

_HINTS = {
    "unknown_format": "export it as CSV; supported: .csv, .jsonl, .txt (+ .gz)",
    "unknown_encoding": "save it as UTF-8",
    "not_gzip": "copy it again; if it is not compressed, remove .gz from its name",
    "unexpected_gzip": "rename it so that it ends in .gz",
    "damaged_gzip": "copy or fetch it again",
    "gzip_bomb": "unpack it first",
    "no_labels": "export it as CSV with a column of texts and one of labels",
}
READERS = (".jsonl", ".csv", ".txt")
"""Endings of file names that can be read, each also with .gz."""
_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


class RowsError(CandorError):
    """The file cannot be read; trying again will not help.

    Args:
        code: One of FAULTS.
        file: The file's name.
        problem: What is wrong in this very file, with the names of its columns; never a text. None: FAULTS[code].
        hint: What helps: an option to pass, or what to do to the file.

    Example:
        >>> str(RowsError("damaged_gzip", "reviews.csv.gz"))
        'reviews.csv.gz: the gzip is truncated or damaged'
    """

    def __init__(self, code: str, file: str = "the file", problem: str = "", hint: str = "") -> None:
        super().__init__(code, file, problem, hint)
        self.code, self.file = code, file
        self.problem, self.hint = problem or FAULTS[code], hint or _HINTS.get(code, "")

    def __str__(self) -> str:
        return f"{self.file}: {self.problem}"

    def named(self, file: str) -> "RowsError":
        """Return the same error about a file of this name."""
        return RowsError(self.code, file, self.problem, self.hint)


class Row(NamedTuple):
    """A text, or the code of ERRORS that says why there is none. `line` is the one that it starts in, from 1."""

    line: int
    id: str | None
    text: str
    error: str = ""


class LabelledRow(NamedTuple):
    """A text, also a blank one or one too long to score, and its label, or "". `line` is where it starts, from 1."""

    line: int
    text: str
    label: str


class Chunk(NamedTuple):
    """Bytes [begin, end) of the text as UTF-8; `line` is the number of its first line, from 1."""

    begin: int
    end: int
    line: int
    rows: int


@dataclass(frozen=True)
class Format:
    """How to read a file: everything that the reader of one chunk needs to know of the rest."""

    kind: str
    """"jsonl", "csv" or "txt"."""
    compressed: bool = False
    """The file is a gzip."""
    encoding: str = "utf-8"
    """Or "utf-16-le", "utf-16-be"."""
    text_column: str = "text"
    id_column: str = "id"
    columns: tuple[int, int, int] = (0, 0, -1)
    """CSV only: number of columns, index of the text column, index of the id column (-1: none)."""
    label_column: str | None = None
    """The column of labels, where labels are read and ids are not."""
    label_index: int = -1
    """CSV only."""

    @property
    def seekable(self) -> bool:
        """A range of the text is the same range of the file's bytes."""
        return not self.compressed and self.encoding == "utf-8"

    @classmethod
    def of(cls, name: str, text_column: str = "text", id_column: str = "id") -> "Format":
        """Return the format that a file's name tells.

        Raises:
            RowsError: The name ends in none of READERS.

        Examples:
            >>> Format.of("reviews.CSV.gz").kind, Format.of("reviews.CSV.gz").compressed
            ('csv', True)
        """
        bare = name.lower().removesuffix(".gz")
        for suffix in READERS:
            if bare.endswith(suffix):
                return cls(suffix[1:], bare != name.lower(), text_column=text_column, id_column=id_column)
        raise RowsError("unknown_format", name)

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> "Format":
        """Return the format that `to_dict` described."""
        names = value["kind"], value["packed"], value["encoding"], value["text"], value["id"]
        return cls(*names, columns=tuple(value["columns"]))

    def to_dict(self) -> dict[str, Any]:
        """Return the format as JSON for a job, which has no labels. Its keys are the same in every version."""
        return {
            "kind": self.kind,
            "packed": self.compressed,
            "encoding": self.encoding,
            "text": self.text_column,
            "id": self.id_column,
            "columns": list(self.columns),
        }


def read(file: IO[bytes], name: str, text_column: str = "text", id_column: str = "id") -> Iterator[Row]:
    r"""Yield all rows of a file, bad ones with an error in place.

    Args:
        file: The file's bytes.
        name: Its name, whose end tells the format.
        text_column: The column of texts, or key in JSON lines.
        id_column: The column of ids, if there is one.

    Raises:
        RowsError: The file cannot be read as a whole.

    Example:
        >>> list(read(BytesIO(b"id,text\n7,good\n8,\n"), "reviews.csv"))
        [Row(line=2, id='7', text='good', error=''), Row(line=3, id='8', text='', error='blank')]
    """
    try:
        file_format, records, _, line = _opened(_blocks(file), Format.of(name, text_column, id_column))
        yield from _rows(records, file_format, line)
    except RowsError as error:
        raise error.named(name) from None


def read_labelled(
    file: IO[bytes],
    name: str,
    text_column: str = "text",
    label_column: str = "label",
    *,
    unlabelled: bool = False,
) -> Iterator[LabelledRow]:
    r"""Yield the labelled rows of a CSV or JSONL file.

    White space around a label does not count. In JSON a label may be a number or a truth value, too: its JSON text is
    the label. Texts may be blank or longer than a request may have them.

    Args:
        file: The file's bytes.
        name: Its name, whose end tells the format.
        text_column: The column of texts, or key in JSON lines.
        label_column: The column of labels, or key in JSON lines.
        unlabelled: Accept rows whose label is empty, or null in JSON; theirs is "".

    Raises:
        RowsError: The file cannot be read, or a row has no text or no label. Nothing of a text is in its message.

    Example:
        >>> list(read_labelled(BytesIO(b"text,label\ngood, pos \n"), "reviews.csv"))
        [LabelledRow(line=2, text='good', label='pos')]
    """
    try:
        file_format = replace(Format.of(name, text_column), label_column=label_column)
        if file_format.kind not in _LABELLED_PARSERS:
            raise RowsError("no_labels")
        file_format, records, _, line = _opened(_blocks(file), file_format)
        for row in _labelled_rows(records, file_format, line):
            if not row.label and not unlabelled:
                problem = f"the label in line {row.line} is empty"
                raise RowsError("bad_row", problem=problem, hint="give every row a label")
            yield row
    except RowsError as error:
        raise error.named(name) from None


def plan(
    blocks: Iterable[bytes], file_format: Format, bytes_each: int, rows_each: int
) -> tuple[Format, Iterator[Chunk]]:
    """Find out how to read a file, and cut it into chunks.

    Args:
        blocks: The file's bytes.
        file_format: What is known of it from its name.
        bytes_each: A chunk ends with the record that reaches this many bytes,
        rows_each: or this many rows.

    Returns:
        The format with its encoding and columns, and the chunks.

    Raises:
        RowsError: The file cannot be read as a whole. Iterating over the chunks raises it, too.
    """
    file_format, records, offset, line = _opened(iter(blocks), file_format)
    return file_format, _chunks(records, file_format, Chunk(offset, offset, line, 0), bytes_each, rows_each)


def read_chunk(blocks: Iterable[bytes], file_format: Format, chunk: Chunk) -> Iterator[Row]:
    """Yield the rows of a chunk.

    Args:
        blocks: The chunk's bytes if the format is seekable, else the bytes of the whole file.
        file_format: The format as `plan` returned it.
        chunk: A chunk that `plan` returned.

    Raises:
        RowsError: The file cannot be read as a whole.
    """
    if not file_format.seekable:
        _, decoded, offset = _decoded(iter(blocks), file_format)
        blocks = _part(decoded, chunk, offset)
    return _rows(_records(iter(blocks), file_format), file_format, chunk.line)


def blocks(rows: Iterator[Row], size: int) -> Iterator[list[Row]]:
    """Yield lists of up to `size` rows."""
    while block := list(islice(rows, size)):
        yield block


def shown(name: str) -> str:
    """Return a column's name or a label as messages show it: only its length if it may be a text in the wrong place.

    Example:
        >>> shown("stars"), shown("He loves it."), shown("jane@example.com")
        ("'stars'", 'one of 12 characters', 'one of 16 characters')
    """
    return repr(name) if _is_name(name) else f"one of {len(name)} characters"


def named_labels(counts: Mapping[str, int]) -> str:
    """Return labels with their numbers of rows as messages show them: the five most frequent ones.

    Example:
        >>> named_labels({"refund": 12, "Billing": 1})
        "'refund' (12 rows), 'Billing' (1 row)"
    """
    most = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    names = [f"{shown(label)} ({n:,} row{'s' * (n != 1)})" for label, n in most[:_MAX_LABELS]]
    return ", ".join(names) + f" and {len(most) - _MAX_LABELS} more" * (len(most) > _MAX_LABELS)


def _is_name(name: str) -> bool:
    """Return whether something looks like the name of a column or label: short, few words, no sentence, no number."""
    bare = name.strip()
    return (
        len(name) <= MAX_SHOWN_NAME
        and len(bare.split()) <= MAX_SHOWN_WORDS
        and not bare.endswith((".", "!", "?", "。", "！", "？", "…"))
        and "@" not in bare
        and sum(character.isdigit() for character in bare) < _FEWEST_DIGITS
    )


# From a file's bytes to UTF-8


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    return iter(lambda: file.read(_BLOCK), b"")


def _decoded(blocks: Iterator[bytes], file_format: Format) -> tuple[Format, Iterator[bytes], int]:
    """Return the format with its encoding, the text as UTF-8 without byte order mark, and the offset of its start."""
    if file_format.compressed:
        blocks = _unpacked(blocks)
    start, blocks = _peeked(blocks, 4)
    if not file_format.compressed and start.startswith(b"\x1f\x8b"):
        raise RowsError("unexpected_gzip")
    if start in (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE):
        raise RowsError("unknown_encoding")
    if encoding := _UTF16.get(start[:2]):
        return replace(file_format, encoding=encoding), _from_utf16(_dropped(blocks, 2), encoding), 0
    if b"\0" in start[:2]:  # UTF-16 or UTF-32 without a mark
        raise RowsError("unknown_encoding")
    mark_size = len(codecs.BOM_UTF8) if start.startswith(codecs.BOM_UTF8) else 0
    return file_format, _dropped(blocks, mark_size), mark_size


def _peeked(blocks: Iterator[bytes], size: int) -> tuple[bytes, Iterator[bytes]]:
    """Return the first `size` bytes, and all blocks, these bytes included."""
    start = b""
    for block in blocks:
        start += block
        if len(start) >= size:
            break
    return start[:size], chain([start], blocks)


def _dropped(blocks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Yield the blocks without their first `size` bytes."""
    for block in blocks:
        yield block[size:]
        size = max(size - len(block), 0)


def _part(blocks: Iterable[bytes], chunk: Chunk, offset: int) -> Iterator[bytes]:
    """Yield a chunk's bytes of a text whose first block starts at `offset`."""
    for block in blocks:
        if offset >= chunk.end:
            return
        yield block[max(chunk.begin - offset, 0) : chunk.end - offset]
        offset += len(block)


def _from_utf16(blocks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """Yield UTF-8. Half a surrogate pair or half a character becomes bytes that are no UTF-8: an error in place."""
    decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
    for block in blocks:
        yield decoder.decode(block).encode("utf-8", "surrogatepass")
    if decoder.getstate()[0]:
        yield b"\xff"


def _unpacked(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the content of a gzip's members (RFC 1952), never more than a block at a time."""
    member, bytes_in, bytes_out = zlib.decompressobj(31), 0, 0
    for block in blocks:
        bytes_in += len(block)
        while block:
            if member.eof:
                if not block.strip(b"\0"):
                    break  # zeros, which some tools fill the last sector with
                member = zlib.decompressobj(31)
            try:
                data = member.decompress(block, _BLOCK)
            except zlib.error:
                raise RowsError("damaged_gzip" if bytes_out else "not_gzip") from None
            bytes_out += len(data)
            if bytes_out > max(MAX_UNPACKED * bytes_in, ALWAYS_UNPACKED):
                raise RowsError("gzip_bomb")
            yield data
            block = member.unused_data if member.eof else member.unconsumed_tail
    if not member.eof:
        raise RowsError("damaged_gzip" if bytes_in else "not_gzip")


# From UTF-8 to records


class Record(NamedTuple):
    """A line with its end, or in CSV several. `size` in bytes; `data` is empty where it is too long to hold."""

    data: bytes
    size: int
    lines: int
    error: str = ""


def _opened(blocks: Iterator[bytes], file_format: Format) -> tuple[Format, Iterator[Record], int, int]:
    """Return the format, the records after the header, and the offset and line at which they start."""
    file_format, decoded, offset = _decoded(blocks, file_format)
    records, line = _records(decoded, file_format), 1
    if file_format.kind == "csv" and (header := next(records, None)):
        file_format = _with_columns(file_format, header)
        offset, line = offset + header.size, line + header.lines
    return file_format, records, offset, line


def _with_columns(file_format: Format, header: Record) -> Format:
    if header.error:
        raise RowsError("no_text_column", problem=f"the header cannot be read: {ERRORS[header.error]}")
    names = _cells(_without_end(header.data.decode("utf-8", "replace")))
    text = _column(names, file_format.text_column, "text", trim=True)
    if text is None:
        raise _no_column("text", file_format.text_column, names)
    if file_format.label_column is not None:
        label = _column(names, file_format.label_column, "label", trim=True)
        if label is None:
            raise _no_column("label", file_format.label_column, names)
        return replace(file_format, columns=(len(names), text, -1), label_index=label)
    # Ids are read from a column of exactly that name: results of files that have none are to stay as they were.
    identifier = _column(names, file_format.id_column, "id", trim=False)
    return replace(file_format, columns=(len(names), text, -1 if identifier is None else identifier))


def _column(names: Sequence[str], wanted: str, role: str, *, trim: bool) -> int | None:
    """Return the index of the column with exactly this name; with `trim` else one that only differs by outer blanks."""
    for trimmed in (str, str.strip) if trim else (str,):
        matches = [index for index, name in enumerate(names) if trimmed(name) == trimmed(wanted)]
        if len(matches) > 1:
            problem = f"{len(matches)} columns named {wanted!r} among {_listed(names)}"
            code = "no_text_column" if role == "text" else f"two_{role}_columns"
            raise RowsError(code, problem=problem, hint=f"rename one, or {_option(role)}")
        if matches:
            return matches[0]
    return None


def _no_column(role: str, wanted: str, names: Sequence[str], where: str = "") -> RowsError:
    from difflib import get_close_matches  # 3 ms that only an error pays

    close = get_close_matches(wanted.strip().lower(), [name.strip().lower() for name in names], 1)
    likely = [name for name in names if [name.strip().lower()] == close and len(name) <= MAX_SHOWN_NAME]
    problem = f"{where}no column named {wanted!r}; its columns are {_listed(names)}"
    return RowsError(f"no_{role}_column", problem=problem, hint=_option(role, *likely[:1]))


def _option(role: str, name: str = "NAME") -> str:
    from shlex import quote

    return f"pass --{role}-column {quote(name)} (make: {role.upper()}={quote(name)})"


def _listed(names: Sequence[str]) -> str:
    more = [f"{len(names) - MAX_SHOWN_NAMES} more"] if len(names) > MAX_SHOWN_NAMES else []
    return ", ".join([*map(shown, names[:MAX_SHOWN_NAMES]), *more]) or "none"


def _chunks(
    records: Iterable[Record], file_format: Format, start: Chunk, bytes_each: int, rows_each: int
) -> Iterator[Chunk]:
    (begin, end, first, rows), line = start, start.line
    for record in records:
        end, line, rows = end + record.size, line + record.lines, rows + (not _empty(record, file_format))
        if end - begin >= bytes_each or rows >= rows_each:
            yield Chunk(begin, end, first, rows)
            begin, first, rows = end, line, 0
    if rows:
        yield Chunk(begin, end, first, rows)


def _records(blocks: Iterator[bytes], file_format: Format) -> Iterator[Record]:
    return _csv_records(blocks) if file_format.kind == "csv" else _lines(blocks)


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
    """Yield records, each of which ends at a line's end outside of quotes.

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
    """Return the record that starts at `at`; None if its end is not in the buffer yet."""
    match = (_LAST_RECORD if ended else _RECORD).match(buffer, at)
    if match and match.end() - at <= MAX_LINE_BYTES:
        return Record(match[0], match.end() - at, match[0].count(b"\n") or 1)
    held = len(buffer) - at
    if held <= MAX_LINE_BYTES and not ended:
        return None
    end = buffer.find(b"\n", at, at + MAX_LINE_BYTES)
    if end < 0 and held > MAX_LINE_BYTES:
        return _rest_of_line(buffer, at, 0, ended)
    size = held if end < 0 else end + 1 - at
    return Record(buffer[at : at + size], size, 1, "unclosed_quote")


def _rest_of_line(buffer: bytes, at: int, skipped: int, ended: bool) -> Record | None:
    """Return a line that is too long to hold; without an error if its end is yet to come."""
    end = buffer.find(b"\n", at)
    if end < 0 and not ended:
        return Record(b"", len(buffer) - at, 0) if len(buffer) > at else None
    return Record(b"", skipped + (len(buffer) if end < 0 else end + 1) - at, 1, "line_too_long")


def _cells(record: str) -> list[str]:
    """Return the cells of a record without its line end."""
    matches = _CELLS.findall(record)
    if len(matches) > 1 and not matches[-2][3]:  # what findall sees behind the last cell
        matches.pop()
    return [quoted.replace('""', '"') + after or plain for quoted, after, plain, _ in matches]


def _empty(record: Record, file_format: Format) -> bool:
    """Return True for a record without a row: a blank line, or in CSV one without anything."""
    if record.error:
        return False
    return record.data in (b"\n", b"\r\n", b"\r") if file_format.kind == "csv" else not record.data.strip()


def _without_end(record: str) -> str:
    return record.removesuffix("\n").removesuffix("\r")


def _constant(name: str) -> NoReturn:
    raise ValueError("no JSON")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > len(value := dict(pairs)):
        raise ValueError("a key comes twice")
    return value


# From records to rows


def _rows(records: Iterable[Record], file_format: Format, line: int) -> Iterator[Row]:
    parse = _PARSERS[file_format.kind]
    for record in records:
        if record.error:
            yield Row(line, None, "", record.error)
        elif not _empty(record, file_format):
            try:
                yield parse(line, record.data.decode(), file_format)
            except UnicodeDecodeError:
                yield Row(line, None, "", "invalid_encoding")
        line += record.lines


def _txt_row(line: int, record: str, file_format: Format) -> Row:
    return _row(line, None, _without_end(record))


def _csv_row(line: int, record: str, file_format: Format) -> Row:
    cells, (count, text, identifier) = _cells(_without_end(record)), file_format.columns
    name = cells[identifier] if 0 <= identifier < len(cells) else None
    return _row(line, name, cells[text]) if len(cells) == count else Row(line, _valid_id(name), "", "ragged")


_decode = json.JSONDecoder(parse_constant=_constant).decode


def _jsonl_row(line: int, record: str, file_format: Format) -> Row:
    try:
        value = _decode(record)
    except (ValueError, RecursionError):
        return Row(line, None, "", "invalid_json")
    if not isinstance(value, dict):
        return Row(line, None, "", "invalid_json")
    name = value.get(file_format.id_column)
    if isinstance(name, int) and not isinstance(name, bool):
        name = str(name)
    if name is not None and not isinstance(name, str):
        return Row(line, None, "", "wrong_type")
    if file_format.text_column not in value:
        return Row(line, _valid_id(name), "", "missing_text")
    return _row(line, name, value[file_format.text_column])


def _row(line: int, name: str | None, text: Any) -> Row:
    if not isinstance(text, str):
        return Row(line, _valid_id(name), "", "wrong_type")
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


def _valid_id(name: str | None) -> str | None:
    """Return an id that a row with an error can be named by, else None."""
    return None if name is None or len(name) > MAX_ID_LENGTH or not _encodes(name) else name


def _encodes(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


_PARSERS: dict[str, Callable[[int, str, Format], Row]] = {"jsonl": _jsonl_row, "csv": _csv_row, "txt": _txt_row}


# From records to labelled rows

_UNREADABLE = {
    "line_too_long": (f"line {{}} has more than {MAX_LINE_BYTES:,} bytes", "shorten its text, or leave it out"),
    "unclosed_quote": ("line {} has a quote that is not closed", "close it; a quote within quotes is written twice"),
    "invalid_encoding": ("line {} is not valid Unicode in the file's encoding", "save the file as UTF-8"),
}


def _labelled_rows(records: Iterable[Record], file_format: Format, line: int) -> Iterator[LabelledRow]:
    parse = _LABELLED_PARSERS[file_format.kind]
    for record in records:
        if not _empty(record, file_format):
            try:
                text = record.data.decode()
                error = record.error
            except UnicodeDecodeError:
                error = record.error or "invalid_encoding"
            if error:
                problem, hint = _UNREADABLE[error]
                raise RowsError("bad_row", problem=problem.format(line), hint=hint)
            yield parse(line, text, file_format)
        line += record.lines


def _labelled_csv_row(line: int, record: str, file_format: Format) -> LabelledRow:
    cells, (count, text, _) = _cells(_without_end(record)), file_format.columns
    if len(cells) != count:
        problem = f"line {line} has {len(cells)} cell{'s' * (len(cells) != 1)}, the header {count}"
        raise RowsError("bad_row", problem=problem, hint="quote cells that hold a comma or a line end")
    return _labelled_row(line, cells[text], cells[file_format.label_index])


_decode_distinct = json.JSONDecoder(parse_constant=_constant, object_pairs_hook=_distinct).decode


def _labelled_jsonl_row(line: int, record: str, file_format: Format) -> LabelledRow:
    columns = {"text": file_format.text_column, "label": str(file_format.label_column)}
    example = json.dumps(dict.fromkeys(columns.values(), "…"), ensure_ascii=False)
    hint = f"write one object a line, its keys distinct, such as {example}"
    try:
        value = _decode_distinct(record)
    except (ValueError, RecursionError) as error:
        where = f" (character {error.pos + 1})" if isinstance(error, json.JSONDecodeError) else ""
        raise RowsError("bad_row", problem=f"line {line} is not JSON{where}", hint=hint) from None
    if not isinstance(value, dict):
        raise RowsError("bad_row", problem=f"line {line} is not a JSON object", hint=hint)
    for role, column in columns.items():
        if column not in value:
            raise _no_column(role, column, [*value], f"line {line} has ")
    return _labelled_row(line, *(value[column] for column in columns.values()))


def _labelled_row(line: int, text: object, label: object) -> LabelledRow:
    if label is None:
        label = ""
    elif isinstance(label, bool | int | float):
        label = json.dumps(label)
    if not isinstance(text, str):
        raise RowsError("bad_row", problem=f"the text in line {line} is not a string", hint="give every row a text")
    if not isinstance(label, str):
        problem = f"the label in line {line} is neither a string nor a number"
        raise RowsError("bad_row", problem=problem, hint="give every row a label")
    label = label.strip()
    if not label.isprintable():
        problem = f"the label in line {line} cannot be printed"
        raise RowsError("bad_row", problem=problem, hint="give every row a label")
    return LabelledRow(line, text, label)


_LABELLED_PARSERS: dict[str, Callable[[int, str, Format], LabelledRow]] = {
    "jsonl": _labelled_jsonl_row,
    "csv": _labelled_csv_row,
}
