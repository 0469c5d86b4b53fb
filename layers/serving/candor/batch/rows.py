"""Read files of texts into rows: tables, JSON lines, JSON arrays or plain lines, in any encoding, also gzipped.

A file is decoded to a stream of UTF-8 (candor.batch.decode) and cut into records (candor.batch.records), which become
rows. `plan` cuts it into chunks at the ends of records. At the start of a record the parser depends on nothing but the
line number, so the chunks give the same rows as the whole file, wherever it is cut.

Scoring (`plan`, `read_chunk`, `read`) returns a bad row with an error in place. Training and evaluation read the same
records with their labels: candor.batch.labelled.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from typing import IO, Any, NamedTuple, NoReturn

from candor.batch import columns, decode
from candor.batch.columns import SAMPLE_BYTES, SAMPLE_ROWS, Table
from candor.batch.faults import ERRORS, FAULTS, READERS, RowsError, shown
from candor.batch.formats import DEFAULT_ID, DEFAULT_LABEL, DEFAULT_TEXT, DELIMITERS, Format, Reading
from candor.batch.records import (
    Blanks,
    Elements,
    Record,
    Stretch,
    cells,
    counted_records,
    emptiness,
    opened_array,
    records,
    stretches,
    without_end,
)
from candor.limits import MAX_COLUMNS, MAX_FILE_RECORDS, MAX_ID_LENGTH, MAX_TEXT_BYTES

__all__ = [
    "ERRORS",
    "FAULTS",
    "READERS",
    "Chunk",
    "Format",
    "Reading",
    "Row",
    "RowsError",
    "blocks",
    "chosen",
    "likely_encoding",
    "plan",
    "read",
    "read_chunk",
    "shown",
    "table_of",
]

_PEEK, _PEEKED = 1 << 16, 1000  # bytes, and records in them, in which a kind of file is looked for
_LOOK = 1 << 14  # bytes in which a delimiter is looked for
_SAMPLE_CELLS = 200 * 1024  # that are looked at to find a column: fewer rows of wide tables
_ISO_2022_JP = re.compile(rb"\x1b\$[@B]")  # switches to JIS X 0208
_SEPARATOR_LINE = re.compile(rb'"?sep=([^\w\s"]|\t)"?(?:\r\n|\r|\n)', re.IGNORECASE)


class Row(NamedTuple):
    """A text, or the code of ERRORS that says why there is none. `line` is the one that it starts in, from 1."""

    line: int
    id: str | None
    text: str
    error: str = ""
    columns: tuple[tuple[str, str], ...] = ()
    """Names and cells of the other columns, if they are kept."""


class Chunk(NamedTuple):
    """Bytes [begin, end) of the text as UTF-8; `line` is the number of its first line, from 1."""

    begin: int
    end: int
    line: int
    rows: int


class Opened(NamedTuple):
    """A file whose format is known: the records with rows, and the offset and line at which they start."""

    format: Format
    records: Iterator[Record]
    offset: int
    line: int
    elements: Elements | None = None
    """The elements of an array, which is held whole."""


def read(
    file: IO[bytes],
    name: str,
    text_column: str | None = None,
    id_column: str = "id",
    reading: Reading | None = None,
    on_format: Callable[[Format], None] = lambda file_format: None,
) -> Iterator[Row]:
    r"""Yield all rows of a file, bad ones with an error in place.

    Args:
        file: The file's bytes.
        name: Its name, whose end tells the format.
        text_column: The column of texts, or field of JSON. None: `text`, or else what is clearly the texts.
        id_column: The column of ids, if there is one.
        reading: What the user says about the file.
        on_format: Called with the format once it is known.

    Raises:
        RowsError: The file cannot be read as a whole.

    Example:
        >>> from io import BytesIO
        >>> list(read(BytesIO(b"id,text\n7,good\n8,\n"), "reviews.csv"))  # doctest: +ELLIPSIS
        [Row(line=2, id='7', text='good', error='', columns=()), Row(line=3, id='8', ..., error='blank', columns=())]
    """
    try:
        found = opened(file_blocks(file), Format.of(name, text_column, id_column, reading))
        on_format(found.format)
        yield from _rows(found.records, found.format, found.line)
    except RowsError as error:
        raise error.named(name) from None


def plan(
    blocks: Iterable[bytes],
    file_format: Format,
    bytes_each: int,
    rows_each: int,
    on_blank: Callable[[int], None] = lambda count: None,
) -> tuple[Format, Iterator[Chunk]]:
    """Find out how to read a file, and cut it into chunks.

    Args:
        blocks: The file's bytes.
        file_format: What is known of it from its name.
        bytes_each: A chunk ends with the record that reaches this many bytes,
        rows_each: or this many rows.
        on_blank: Called with the number of records that are left out because they are blank, some at a time.

    Returns:
        The format with its encoding and columns, and the chunks.

    Raises:
        RowsError: The file cannot be read as a whole. Iterating over the chunks raises it, too.
    """
    replay = decode.Replay(blocks)
    found = opened(iter(replay), file_format, on_blank)
    start = Chunk(found.offset, found.offset, found.line, 0)
    if found.elements:
        counted = found.elements.stretches()
    elif not replay.whole:
        counted = counted_records(found.records, found.format)
    else:
        _, decoded, offset = decode.decoded(replay.again(), file_format)
        counted = stretches(decode.dropped(decoded, found.offset - offset), found.format)
    return found.format, _chunks(counted, start, bytes_each, rows_each, on_blank)


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
        _, decoded, offset = decode.decoded(iter(blocks), file_format)
        blocks = decode.part(decoded, chunk.begin, chunk.end, offset)
    return _rows(records(iter(blocks), file_format), file_format, chunk.line)


def blocks(rows: Iterator[Row], size: int) -> Iterator[list[Row]]:
    """Yield lists of up to `size` rows."""
    while block := list(islice(rows, size)):
        yield block


def chosen(file_format: Format) -> str:
    """Return a sentence on the columns that were found without being named, for the user to check.

    Example:
        >>> chosen(Format("csv", text_column="Review Text", label_column="Rating", labelled=True))
        "reading texts from 'Review Text', labels from 'Rating'"
    """
    found = [("texts", file_format.text_column, file_format.columns[1])]
    if file_format.labelled:
        found.append(("labels", file_format.label_column, file_format.label_index))
    named = [f"{role} from {_column_name(name or '', index, file_format)}" for role, name, index in found]
    return f"reading {', '.join(named)}"


def _column_name(name: str, index: int, file_format: Format) -> str:
    return shown(name) if file_format.header and not shown(name).startswith("one of") else f"column {index + 1}"


def table_of(file: IO[bytes], name: str, reading: Reading | None = None) -> Table | None:
    """Return the names of a file's columns or fields, and its first rows; None where it has none to name.

    Raises:
        RowsError: The file cannot be read as a whole, or holds whole columns.
    """
    file_format, start, _, _ = _started(file_blocks(file), Format.of(name, reading=reading))
    if file_format.kind == "txt":
        return None
    table, seen = _sampled(start, file_format)
    if table.is_json and len(seen) == 1 and isinstance(value := _object(seen[0].data), dict) and is_columnar(value):
        raise columnar()
    return table


def likely_encoding(file: IO[bytes], name: str, reading: Reading | None = None) -> str:
    """Return the encoding that the rows of a file suggest which are not valid in its own; "" where they show none."""
    file_format, start, _, _ = _started(file_blocks(file), Format.of(name, reading=reading))
    bad, size = [], 0
    for record in islice(start, 1_000_000):
        if not _is_utf8(record.data):
            bad.append(record.data)
            size += len(record.data)
        if size > _PEEK:
            break
    return decode.likely_encoding(b"".join(bad)) if file_format.encoding == "utf-8" else ""


def not_utf8(lines: str, data: bytes) -> RowsError:
    """Return the error for lines, named with their verb, that are not UTF-8, and whose bytes are `data`."""
    likely = decode.likely_encoding(data)
    suggested = f"; the bytes suggest {likely}" if likely else ""
    hint = f"pass --encoding {likely or 'NAME, such as cp1252'}"
    return RowsError("unknown_encoding", problem=f"{lines} not valid UTF-8{suggested}", hint=hint)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


# From a file's bytes to the first record with a row


def file_blocks(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the bytes of a file, a block at a time."""
    return iter(lambda: file.read(decode.BLOCK), b"")


def opened(
    blocks: Iterator[bytes], file_format: Format, on_blank: Callable[[int], None] = lambda count: None
) -> Opened:
    """Find out how to read a file: its encoding, delimiter and columns. `on_blank` is called as by plan().

    Raises:
        RowsError: The file cannot be read as a whole.
    """
    file_format, start, offset, line = _started(blocks, file_format)
    if file_format.kind == "txt":
        return Opened(replace(file_format, text_column=file_format.text_column or DEFAULT_TEXT), start, offset, line)
    header = None
    if file_format.kind == "csv" and file_format.header:
        is_empty = Blanks(file_format)
        for record in start:
            offset, line = offset + record.size, line + record.lines
            if record.error:
                raise RowsError("no_text_column", problem=f"the header cannot be read: {ERRORS[record.error]}")
            if not is_empty(record.data) or file_format.rules == 1:
                header = record
                break
            on_blank(1)
    elements = start if isinstance(start, Elements) else None
    file_format, start = _with_columns(file_format, header, start)
    return Opened(file_format, start, offset, line, elements)


def _started(blocks: Iterator[bytes], file_format: Format) -> tuple[Format, Iterator[Record], int, int]:
    """Return the format without its columns, all records, and the offset and line at which they start."""
    file_format, decoded, offset = decode.decoded(blocks, file_format)
    start, decoded = decode.peeked(decoded, _PEEK)
    if file_format.rules > 2 and file_format.encoding == "utf-8" and _ISO_2022_JP.search(start):
        problem = "it is Japanese in an encoding of seven bits"
        raise RowsError("unknown_encoding", problem=problem, hint="pass --encoding iso2022_jp")
    if file_format.kind in ("json", "jsonl") and file_format.rules > 1:
        file_format = replace(file_format, kind=_kind_of_json(start, file_format.kind))
    if file_format.kind == "json":
        opening, elements = opened_array(decoded)
        return file_format, elements, offset + opening.size, 1 + opening.lines
    line = 1
    if file_format.kind == "csv" and file_format.rules > 1:
        named, size = _separator_line(start)
        decoded, offset, line = decode.dropped(decoded, size), offset + size, 2 if size else 1
        delimiter = file_format.delimiter or named or _delimiter(start[size:], file_format)
        file_format = replace(file_format, delimiter=delimiter)
    return file_format, records(decoded, file_format), offset, line


def _kind_of_json(start: bytes, kind: str) -> str:
    """Return "json" for an array and "jsonl" for objects on lines, whatever the file's name says."""
    bare = start.lstrip()
    if bare.startswith(b"[") and (kind == "json" or bare[1:].lstrip().startswith(b"{")):
        return "json"
    if kind == "json" and bare:
        first = next(records(iter([start]), Format("jsonl")), Record(b"", 0, 0))
        if first.size < _PEEK and not isinstance(_object(first.data), dict):
            raise RowsError("bad_json")
    return "jsonl"


def _separator_line(start: bytes) -> tuple[str, int]:
    """Return the delimiter that a first line such as `sep=;` names, and the line's size; "" and 0 without one."""
    match = _SEPARATOR_LINE.match(start)
    return (match[1].decode(), match.end()) if match else ("", 0)


def _delimiter(start: bytes, file_format: Format) -> str:
    """Return the delimiter by which the first records fit best: the wanted columns, then rows as long as the header."""
    best, best_score = ",", (0, 0.0, 0)
    wanted = {name.strip() for name in (file_format.text_column or DEFAULT_TEXT, file_format.label_column) if name}
    start = start[:_LOOK]
    for delimiter in DELIMITERS.values():
        if delimiter.encode() not in start:
            continue
        candidate = replace(file_format, delimiter=delimiter)
        some = islice(records(iter([start]), candidate), _PEEKED)
        first = (record for record in some if not record.data.isspace())
        table = [_record_cells(record, candidate) for record in islice(first, 20) if not _is_wide(record, candidate)]
        header, rows = (table[0] if table else []), table[1:-1] or table[1:]  # the last one may be cut off
        width = len([name for name in header if name.strip()])
        if width < 2:
            continue
        filled = [len(row) for row in rows if any(cell.strip() for cell in row)]
        agreement = sum(length == len(header) for length in filled) / len(filled) if filled else 0.5
        named = sum(name.strip() in wanted for name in header) if file_format.header else 0
        score = (named, round(agreement, 1), width)
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _record_cells(record: Record, file_format: Format) -> list[str]:
    return cells(without_end(record.data.decode("utf-8", "replace")), file_format)


def _is_wide(record: Record, file_format: Format) -> bool:
    """Return whether a record may have more cells than a table has columns."""
    return record.data.count(file_format.delimiter.encode()) >= MAX_COLUMNS


def _with_columns(
    file_format: Format, header: Record | None, start: Iterator[Record]
) -> tuple[Format, Iterator[Record]]:
    """Return the format with its columns, and all records. They are looked at where a column is not named."""
    without_rows = replace(
        file_format,
        text_column=file_format.text_column or DEFAULT_TEXT,
        label_column=file_format.label_column or DEFAULT_LABEL,
    )
    if file_format.kind == "csv" and header is None and file_format.header:  # an empty file
        return without_rows, start
    table, seen = Table([], [], is_json=file_format.kind != "csv"), list[Record]()
    if header:
        if _is_wide(header, file_format):
            raise RowsError("too_many_columns")
        table = Table(_record_cells(header, file_format), [])
        if not _all_named(table, file_format):
            sampled, seen = _sampled(start, file_format, table.names)
            table = sampled
    elif file_format.kind == "csv":
        table, seen = _sampled(start, file_format)
        if not seen:
            return without_rows, start
    else:
        if file_format.text_column is not None and not file_format.labelled:
            return file_format, start  # rows without this field say so in their place
        table, seen = _sampled(start, file_format)
        if not table.names:  # no object among the first rows: each says so in its place
            return without_rows, chain(seen, start)
        rest = next(start, None)
        if rest:  # a field that is named may begin further down
            later = [name for name in (file_format.text_column, file_format.label_column) if name]
            names = list(dict.fromkeys([*table.names, *later]))
            rows = [[*row, *[""] * (len(names) - len(row))] for row in table.rows]
            table, seen = table._replace(names=names, rows=rows), [*seen, rest]
    try:
        choice = columns.choose(table, file_format.text_column, file_format.label_column, labelled=file_format.labelled)
    except RowsError:
        if header and not _is_utf8(header.data) and file_format.encoding == "utf-8":
            bad = b"".join(record.data for record in [header, *seen] if not _is_utf8(record.data))
            raise not_utf8("the header is", bad) from None
        if header and header.data.lstrip().startswith((b'{"', b'[{"', b"[\n")):
            hint = "rename it so that it ends in .json or .jsonl"
            raise RowsError("unknown_format", problem="it is JSON, whatever its name says", hint=hint) from None
        if not header and (packed := _packed(seen)):
            raise packed from None
        raise
    found = replace(file_format, text_column=table.names[choice.text])
    if choice.label is not None:
        found = replace(found, label_column=table.names[choice.label], label_index=choice.label)
    if found.kind == "csv":
        if found.kept is not None:
            found = replace(found, kept=_distinct(table.names))
        # Ids are read from a column of exactly that name: results of files that have none are to stay as they were.
        ids = None if found.labelled else columns.matching(table.names, found.id_column, "id", trim=False)
        if ids is None and not found.labelled and found.id_column != DEFAULT_ID:
            raise columns.missing(table, "id", found.id_column)
        found = replace(found, columns=(len(table.names), choice.text, -1 if ids is None else ids))
    return found, chain(seen, start)


def _packed(seen: Sequence[Record]) -> RowsError | None:
    """Return the error for one object that holds all rows, as an answer of an API or an export of pandas does."""
    value = _object(seen[0].data) if len(seen) == 1 else None
    if not isinstance(value, dict):
        return None
    for name, held in value.items():
        if isinstance(held, list) and held and all(isinstance(each, dict) for each in held):
            field = f".{name}[]" if name.isascii() and name.isidentifier() else '.["NAME"][]'
            problem = f"its rows stand in the field {shown(name)} of one object"
            return RowsError("bad_json", problem=problem, hint=f"take them out: jq -c '{field}' in.json > out.jsonl")
    if value.keys() >= {"columns", "data"} or is_columnar(value):
        return columnar()
    return None


def is_columnar(value: dict[str, Any]) -> bool:
    """Return whether an object seems to hold whole columns: a list, or an object with the rows' numbers, for each."""
    held = [each for each in value.values() if isinstance(each, list | dict)]
    return bool(held) and all(isinstance(each, list) or [*each][:1] in (["0"], ["1"]) for each in held)


def columnar() -> RowsError:
    """Return the error for a file of whole columns."""
    problem = "it is one object that holds whole columns, as pandas' to_json writes them"
    return RowsError("bad_json", problem=problem, hint="write one object a row: to_json(orient='records', lines=True)")


def _distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Return names of columns of which none is empty or comes twice.

    Example:
        >>> _distinct(["a", "", "a"])
        ('a', 'column 2', 'a (column 3)')
    """
    found: list[str] = []
    for number, name in enumerate(names, 1):
        bare = name.strip()
        place = f"{bare} (column {number})" if bare else f"column {number}"
        found.append(bare if bare and bare not in found else place)
    return tuple(found)


def _all_named(table: Table, file_format: Format) -> bool:
    """Return whether a header has the columns that are wanted, so that no row need be looked at."""
    names = {name.strip() for name in table.names}
    wanted = [file_format.text_column or DEFAULT_TEXT]
    wanted += [file_format.label_column or DEFAULT_LABEL] * file_format.labelled
    return all(name.strip() in names for name in wanted)


def _sampled(
    start: Iterator[Record], file_format: Format, names: Sequence[str] | None = None
) -> tuple[Table, list[Record]]:
    """Return the names of a file's columns and its first rows, and the records that were taken for it."""
    seen, size = list[Record](), 0
    for record in start:
        seen.append(record)
        size += record.size
        if len(seen) >= SAMPLE_ROWS or size >= SAMPLE_BYTES:
            break
    is_empty = emptiness(file_format)
    whole = [record for record in seen if not record.error and not is_empty(record.data)]
    if file_format.kind != "csv":
        values = [value for record in whole if isinstance(value := _object(record.data), dict)]
        fields = list(dict.fromkeys(name for value in values for name in value))
        if len(fields) > MAX_COLUMNS:
            hint = "pass --text-column NAME, or keep fewer fields: jq -c '{id, text}' in.jsonl > out.jsonl"
            raise RowsError("too_many_columns", problem=f"its rows have more than {MAX_COLUMNS:,} fields", hint=hint)
        values = values[: _SAMPLE_CELLS // max(len(fields), 1)]
        rows = [[_as_cell(value.get(name)) for name in fields] for value in values]
        return Table(fields, rows, is_json=True), seen
    table = [_record_cells(record, file_format) for record in whole if not _is_wide(record, file_format)]
    if whole and not table and names is None:
        raise RowsError("too_many_columns")
    if names is None and file_format.header:
        names, table = (table[0], table[1:]) if table else ([], [])
    width = len(names) if names is not None else max(map(len, table), default=0)
    rows = [[*row[:width], *[""] * (width - len(row))] for row in table[: _SAMPLE_CELLS // max(width, 1)]]
    numbers = [str(number) for number in range(1, width + 1)]
    return Table(numbers if names is None else names, rows, numbered=names is None), seen


def _as_cell(value: object) -> str:
    return as_text(value[0] if isinstance(value, list) and len(value) == 1 else value)


def as_text(value: object) -> str:
    """Return a JSON value as the text of a cell: a string itself, null as "", anything else as it is written in JSON.

    Example:
        >>> as_text("a"), as_text(decode_json("7.0")), as_text(True), as_text({"$oid": "5f"})
        ('a', '7.0', 'true', '{"$oid":"5f"}')
    """
    if isinstance(value, str):
        return value
    if isinstance(value, _Written):
        return value.written
    return "" if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _object(data: bytes) -> object:
    try:
        return decode_json(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None


def _chunks(
    counted: Iterable[Stretch], start: Chunk, bytes_each: int, rows_each: int, on_blank: Callable[[int], None]
) -> Iterator[Chunk]:
    """Cut records into chunks, each of which ends with the record that reaches either number."""
    begin, end, first, rows = start
    line = first
    for stretch in counted:
        if line > MAX_FILE_RECORDS:
            raise RowsError("too_many_rows")
        on_blank(len(stretch.rows) - int(stretch.rows[-1]))
        done = 0  # records of the stretch
        while done < len(stretch.bytes):
            rows_before = int(stretch.rows[done - 1]) if done else 0
            last = min(
                int(stretch.bytes.searchsorted(begin + bytes_each - end)),
                int(stretch.rows.searchsorted(rows_before + rows_each - rows)),
            )
            last = max(last, done)
            if last >= len(stretch.bytes):
                rows += int(stretch.rows[-1]) - rows_before
                break
            rows += int(stretch.rows[last]) - rows_before
            cut, done = end + int(stretch.bytes[last]), last + 1
            yield Chunk(begin, cut, first, rows)
            begin, first, rows = cut, line + int(stretch.lines[last]), 0
        end, line = end + int(stretch.bytes[-1]), line + int(stretch.lines[-1])
    if rows:
        yield Chunk(begin, end, first, rows)


# From records to rows


class _Written(float):
    """A number with the digits in which it was written: as an id, 7.0 is not 7."""

    written: str

    def __new__(cls, written: str) -> "_Written":
        number = super().__new__(cls, written)
        number.written = written
        return number


def _constant(name: str) -> NoReturn:
    raise json.JSONDecodeError("no JSON", name, 0)


def whole_number(digits: str) -> int | str:
    """Return a whole number of JSON; one that Python refuses to read, which takes long, as it is written."""
    return int(digits) if len(digits) < _MAX_DIGITS else digits


_MAX_DIGITS = 4000  # of a whole number; Python's own limit is 4,300
_decode = json.JSONDecoder(parse_constant=_constant, parse_float=_Written).decode
_decode_long = json.JSONDecoder(parse_constant=_constant, parse_float=_Written, parse_int=whole_number).decode


def decode_json(text: str) -> Any:
    """Parse JSON, in which NaN and Infinity are no numbers (RFC 8259). Whole numbers may have any length.

    Raises:
        ValueError: It is no JSON.
        RecursionError: It is nested too deeply.
    """
    try:
        return _decode(text)
    except json.JSONDecodeError:
        raise
    except ValueError:  # a number that Python would take long to read
        return _decode_long(text)


def _rows(records: Iterable[Record], file_format: Format, line: int) -> Iterator[Row]:
    parse, is_empty = _PARSERS[file_format.kind], emptiness(file_format)
    for data, _, lines, error in records:
        if error:
            yield Row(line, None, "", error)
        elif not is_empty(data):
            try:
                yield parse(line, data.decode(), file_format)
            except UnicodeDecodeError:
                yield Row(line, None, "", "invalid_encoding")
        line += lines


def _txt_row(line: int, record: str, file_format: Format) -> Row:
    return _row(line, None, without_end(record))


def _csv_row(line: int, record: str, file_format: Format) -> Row:
    found, (count, text, identifier) = cells(without_end(record), file_format), file_format.columns
    name = found[identifier] if 0 <= identifier < len(found) else None
    if len(found) != count and not fit(found, file_format):
        return Row(line, _valid_id(name), "", "ragged")
    row = _row(line, name, cell_at(found, text))
    if file_format.kept is None:
        return row
    own = (text, identifier)
    others = ((each, cell_at(found, at)) for at, each in enumerate(file_format.kept) if at not in own)
    return row._replace(columns=tuple(others))


def fit(found: list[str], file_format: Format) -> bool:
    """Return True if a record may have another number of cells than the header: fewer, or more that are empty."""
    count = file_format.columns[0]
    if file_format.rules == 1:
        return len(found) == count
    return not any(cell.strip() for cell in found[count:])


def cell_at(found: list[str], index: int) -> str:
    """Return a cell; those that are missing at the end of a record are empty."""
    return found[index] if index < len(found) else ""


def _json_row(line: int, record: str, file_format: Format) -> Row:
    if file_format.rules > 2:
        record = record.removeprefix("\ufeff")  # as stands where files were joined
    try:
        value = decode_json(record)
    except (ValueError, RecursionError):
        return Row(line, None, "", "invalid_json")
    if not isinstance(value, dict):
        return Row(line, None, "", "invalid_json")
    row = _object_row(line, value, file_format)
    if file_format.kept is None:
        return row
    own = (file_format.text_column, file_format.id_column)
    others = ((_encodable(each), _encodable(as_text(other))) for each, other in value.items() if each not in own)
    return row._replace(columns=tuple(others))


def _object_row(line: int, value: dict[str, Any], file_format: Format) -> Row:
    name = value.get(file_format.id_column)
    if name is not None and not isinstance(name, str):
        if file_format.rules < 3 and (isinstance(name, bool) or not isinstance(name, int)):
            return Row(line, None, "", "wrong_type")
        name = as_text(name)
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


def _encodable(text: str) -> str:
    """Return a text in which what is no valid Unicode is a question mark."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _encodes(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


_PARSERS: dict[str, Callable[[int, str, Format], Row]] = {
    "jsonl": _json_row,
    "json": _json_row,
    "csv": _csv_row,
    "txt": _txt_row,
}
