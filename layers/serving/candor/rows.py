"""Rows of texts from a stream: JSON lines, CSV or plain lines, also gzipped. A bad row is a row with an error in place.

Lines end at "\\n" only: str.splitlines also cuts at U+0085, U+2028 and others, which reviews do contain. Memory does
not grow with the file, nor with a line.
"""

import codecs
import csv
import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import IO, Any, cast

from candor.errors import CandorError
from candor.limits import MAX_TEXT_BYTES

MAX_LINE_BYTES = 1_000_000
_CHUNK = 1 << 16

ERRORS = {
    "blank": "The text is empty or blank.",
    "text_too_large": f"The text has more than {MAX_TEXT_BYTES:,} bytes of UTF-8.",
    "line_too_long": f"The line has more than {MAX_LINE_BYTES:,} bytes.",
    "invalid_encoding": "The row is not valid UTF-8.",
    "invalid_json": "The line is not a JSON object.",
    "missing_text": "The row has no text.",
    "wrong_type": "The text is not a string, or the id neither a string nor a number.",
    "ragged": "The row has not as many cells as the header.",
}


class RowsError(CandorError):
    """The file as a whole cannot be read: an unknown kind, a missing column, a broken archive."""


@dataclass(frozen=True)
class Row:
    """One row: a text, or the code of ERRORS that says why there is none. `line` is where it starts, from 1."""

    line: int
    id: str | None
    text: str
    error: str = ""


def read(file: IO[bytes], name: str, text: str = "text", identifier: str = "id") -> Iterator[Row]:
    """The rows of a file whose name says its kind: .jsonl, .csv or .txt, each also with .gz. Raises RowsError."""
    bare = name.lower().removesuffix(".gz")
    for suffix, reader in READERS.items():
        if bare.endswith(suffix):
            packed = name.lower().endswith(".gz")
            stream = cast(IO[bytes], gzip.GzipFile(fileobj=file)) if packed else file
            try:
                yield from reader(_lines(stream), text, identifier)
            except (OSError, EOFError, ValueError) as error:
                raise RowsError(f"{name} is truncated or damaged ({type(error).__name__})") from None
            return
    raise RowsError(f"{name}: expected .jsonl, .csv or .txt, or one of them with .gz")


Lines = Iterator[tuple[int, bytes | None]]


def _lines(file: IO[bytes]) -> Lines:
    """Line numbers and lines as UTF-8 with their ends; None for a line over the limit."""
    number, held, long = 1, b"", False
    for chunk in _utf8(file):
        *whole, rest = (held + chunk).split(b"\n")
        for line in whole:
            yield number, None if long or len(line) > MAX_LINE_BYTES else line + b"\n"
            number, long = number + 1, False
        long = long or len(rest) > MAX_LINE_BYTES
        held = b"" if long else rest
    if held or long:
        yield number, None if long else held


def _utf8(file: IO[bytes]) -> Iterator[bytes]:
    """The file's bytes without a byte order mark; UTF-16, which its mark tells, as UTF-8."""
    first = file.read(_CHUNK)
    if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        decoder = codecs.getincrementaldecoder("utf-16")()
        while first:
            yield decoder.decode(first).encode("utf-8", "surrogatepass")
            first = file.read(_CHUNK)
        yield decoder.decode(b"", final=True).encode()
        return
    first = first.removeprefix(codecs.BOM_UTF8)
    while first:
        yield first
        first = file.read(_CHUNK)


def _txt(lines: Lines, text: str, identifier: str) -> Iterator[Row]:
    """A text a line; blank lines are no rows."""
    for number, line in lines:
        if line is None:
            yield Row(number, None, "", "line_too_long")
        elif line.strip():
            yield _row(number, None, _decoded(line))


def _jsonl(lines: Lines, text: str, identifier: str) -> Iterator[Row]:
    for number, line in lines:
        if line is None:
            yield Row(number, None, "", "line_too_long")
        elif line.strip():
            yield _object(number, line, text, identifier)


def _object(number: int, line: bytes, text: str, identifier: str) -> Row:
    try:
        found = json.loads(line.decode())
    except UnicodeDecodeError:
        return Row(number, None, "", "invalid_encoding")
    except (ValueError, RecursionError):
        return Row(number, None, "", "invalid_json")
    if not isinstance(found, dict):
        return Row(number, None, "", "invalid_json")
    name = found.get(identifier)
    if isinstance(name, int) and not isinstance(name, bool):
        name = str(name)
    if name is not None and not isinstance(name, str):
        return Row(number, None, "", "wrong_type")
    if text not in found:
        return Row(number, name, "", "missing_text")
    return _row(number, name, found[text])


def _csv(lines: Lines, text: str, identifier: str) -> Iterator[Row]:
    """RFC 4180: a header, quotes doubled within quotes, line ends within quotes kept."""
    csv.field_size_limit(MAX_LINE_BYTES)
    seen = [0]
    reader = csv.reader(_numbered(lines, seen))
    header = next(reader, None)
    if header is None:
        return
    if header.count(text) != 1:
        raise RowsError(f"no column, or more than one, is named {text!r}; there are {len(header)} columns")
    place, named = header.index(text), header.index(identifier) if identifier in header else None
    while True:
        start = seen[0] + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield Row(start, None, "", "line_too_long")
            continue
        if not cells:
            continue
        name = cells[named] if named is not None and named < len(cells) else None
        yield _row(start, name, cells[place]) if len(cells) == len(header) else Row(start, name, "", "ragged")


def _numbered(lines: Lines, seen: list[int]) -> Iterator[str]:
    for number, line in lines:
        seen[0] = number
        yield "\0" * (MAX_LINE_BYTES + 1) if line is None else line.decode("utf-8", "surrogateescape")


READERS: dict[str, Callable[[Lines, str, str], Iterator[Row]]] = {".jsonl": _jsonl, ".csv": _csv, ".txt": _txt}


def _decoded(line: bytes) -> str:
    return line.decode("utf-8", "surrogateescape").removesuffix("\n").removesuffix("\r")


def _row(line: int, name: str | None, text: Any) -> Row:
    if not isinstance(text, str):
        return Row(line, name, "", "wrong_type")
    try:
        size = len(text.encode())
        (name or "").encode()
    except UnicodeEncodeError:
        return Row(line, None, "", "invalid_encoding")
    if size > MAX_TEXT_BYTES:
        return Row(line, name, "", "text_too_large")
    return Row(line, name, text, "" if text.strip() else "blank")


def blocks(rows: Iterator[Row], size: int) -> Iterator[list[Row]]:
    """Lists of up to `size` rows."""
    while block := list(islice(rows, size)):
        yield block
