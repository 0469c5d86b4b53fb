"""Turn a file's bytes, in any encoding, also gzipped, into a stream of UTF-8.

Bytes that are no text in the file's encoding become bytes that are no UTF-8, so that each costs its own row only.
"""

import codecs
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain

from candor.batch.faults import RowsError
from candor.batch.formats import Format
from candor.limits import ALWAYS_UNPACKED, MANY_MEMBERS, MAX_UNPACKED, MIN_MEMBER_BYTES

BLOCK = 1 << 18

_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
"""Byte order marks, those first that begin with another."""
_UTF16 = ("utf-16-le", "utf-16-be")
_OTHER_FILES = {b"PK\x03\x04": "a ZIP archive or a spreadsheet", b"PAR1\x15": "Parquet"}
_BAD = "candor.batch.decode"
codecs.register_error(_BAD, lambda error: ("\udcff", error.end))  # type: ignore[attr-defined]  # UnicodeDecodeError has it


def decoded(blocks: Iterator[bytes], file_format: Format) -> tuple[Format, Iterator[bytes], int]:
    """Return the format with its encoding, the text as UTF-8 without byte order mark, and the offset of its start."""
    if file_format.compressed:
        blocks = _unpacked(blocks)
    start, blocks = peeked(blocks, 8)
    if start.startswith(b"\x1f\x8b"):
        raise RowsError("gzip_in_gzip" if file_format.compressed else "unexpected_gzip")
    mark = next((mark for mark in _MARKS if start.startswith(mark)), b"")
    if not mark and not file_format.encoding:
        _check_start(start)
    encoding = _MARKS.get(mark) or file_format.encoding or "utf-8"
    if encoding.startswith("utf-32") and not file_format.encoding:
        raise RowsError("unknown_encoding", hint="save it as UTF-8, or pass --encoding utf-32")
    if encoding in ("utf-16", "utf-32"):
        encoding += "-le"
    blocks = dropped(blocks, len(mark))
    if encoding == "utf-8":
        return replace(file_format, encoding=encoding), blocks, len(mark)
    return replace(file_format, encoding=encoding), _transcoded(blocks, encoding), 0


class Replay:
    """Blocks that can be read a second time, from the start, if only a few have been read.

    Args:
        blocks: The blocks; each is taken once.

    Attributes:
        whole: False if so many bytes have been read that they are not kept.
    """

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks, self._kept, self._size, self.whole = iter(blocks), list[bytes](), 0, True

    def __iter__(self) -> Iterator[bytes]:
        for block in self._blocks:
            self._size += len(block)
            if self._size > _MAX_KEPT:
                self._kept, self.whole = [], False
            if self.whole:
                self._kept.append(block)
            yield block

    def again(self) -> Iterator[bytes]:
        """Yield the blocks from the start. What reads them otherwise must have stopped."""
        while self._kept:
            yield self._kept.pop(0)
        yield from self._blocks


_MAX_KEPT = 4 << 20  # bytes


def peeked(blocks: Iterator[bytes], size: int) -> tuple[bytes, Iterator[bytes]]:
    """Return the first `size` bytes, and all blocks, these bytes included."""
    start = b""
    for block in blocks:
        start += block
        if len(start) >= size:
            break
    return start[:size], chain([start], blocks)


def dropped(blocks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Yield the blocks without their first `size` bytes."""
    for block in blocks:
        yield block[size:]
        size = max(size - len(block), 0)


def part(blocks: Iterable[bytes], begin: int, end: int, offset: int) -> Iterator[bytes]:
    """Yield bytes [begin, end) of a text whose first block starts at `offset`."""
    for block in blocks:
        if offset >= end:
            return
        yield block[max(begin - offset, 0) : end - offset]
        offset += len(block)


def _check_start(start: bytes) -> None:
    """Raise RowsError for a file that begins as no text in UTF-8 does."""
    for magic, kind in _OTHER_FILES.items():
        if start.startswith(magic):
            raise RowsError("unknown_format", problem=f"it is {kind}, whatever its name says")
    if b"\0" in start[:2]:  # UTF-16 or UTF-32 without a mark
        likely = likely_encoding(start)
        hint = f"pass --encoding {likely}" if likely else ""
        raise RowsError("unknown_encoding", hint=hint)


def _transcoded(blocks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    # Half a surrogate pair or half a character becomes bytes that are no UTF-8: an error in place.
    decoder = codecs.getincrementaldecoder(encoding)("surrogatepass" if encoding in _UTF16 else _BAD)
    for block in blocks:
        yield decoder.decode(block).encode("utf-8", "surrogatepass")
    if encoding in _UTF16:
        if decoder.getstate()[0]:
            yield b"\xff"
    elif rest := decoder.decode(b"", True):
        yield rest.encode("utf-8", "surrogatepass")


def _unpacked(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the content of a gzip's members (RFC 1952), never more than a block at a time.

    A member is given little at first and then more and more, because zlib copies what stands behind a member's end.
    """
    member, bytes_in, bytes_out, members, step = zlib.decompressobj(31), 0, 0, 1, _FIRST_STEP
    held = bytearray()  # of small members, until there is some work for those who read it
    for block in blocks:
        at = 0
        while at < len(block):
            if member.eof:
                if not block[at] and not block[at:].strip(b"\0"):
                    break  # zeros, which some tools fill the last sector with
                member, members, step = zlib.decompressobj(31), members + 1, _FIRST_STEP
                if members > MANY_MEMBERS and bytes_in + at < MIN_MEMBER_BYTES * members:
                    raise RowsError("gzip_members")
            given = block[at : at + step]
            try:
                data = member.decompress(given, BLOCK)
            except zlib.error:
                raise RowsError("damaged_gzip" if bytes_out else "not_gzip") from None
            bytes_out += len(data)
            if bytes_out > max(MAX_UNPACKED * (bytes_in + len(block)), ALWAYS_UNPACKED):
                raise RowsError("gzip_bomb")
            held += data
            if len(held) >= _HELD:
                yield bytes(held)
                held.clear()
            at += len(given) - len(member.unused_data if member.eof else member.unconsumed_tail)
            step = min(4 * step, BLOCK)
        bytes_in += len(block)
    yield bytes(held)
    if not member.eof:
        raise RowsError("damaged_gzip" if bytes_in else "not_gzip")


_FIRST_STEP, _HELD = 1 << 9, 1 << 16  # bytes


# What bytes suggest that are no UTF-8

_HIGH = re.compile(rb"[\x80-\xff]+")
_INNER = re.compile(rb"(?<=[A-Za-z])[\x80-\xff](?=[A-Za-z])")
# The commonest accented letters of encodings that have them where cp1252 has marks.
_OLD_LETTERS = {"mac_roman": "éèöüçôêäàñ".encode("mac_roman"), "cp850": "éüäöçàèñ".encode("cp850")}
_FEWEST = 8  # characters of a script, to say that it is one


def likely_encoding(data: bytes) -> str:
    """Return the encoding that bytes suggest which are no UTF-8, or "" where the evidence is weak.

    Args:
        data: Lines that are not UTF-8, or the first bytes of a file.

    Examples:
        >>> likely_encoding("It’s a café".encode("cp1252")), likely_encoding("text".encode("utf-16-be"))
        ('cp1252', 'utf-16-be')
    """
    if b"\0" in data:
        return _likely_wide(data)
    runs = _HIGH.findall(data)
    if not runs:
        return ""
    for encoding, is_likely in (("shift_jis", _is_japanese), ("euc_jp", _is_japanese), ("euc_kr", _is_korean)):
        if is_likely(_text(data, encoding)):
            return encoding
    if _common_share(data, b"\xb0\xd7") > 0.8 and _text(data, "gb18030"):  # level 1 of GB 2312: the commonest 3,755
        return "gb18030"
    if _common_share(data, b"\xa4\xc6") > 0.8 and _text(data, "big5"):  # level 1 of Big5: the commonest 5,401
        return "big5"
    if _is_cyrillic(_text(data, "cp1251")):
        return "cp1251"
    if sum(len(run) == 1 for run in runs) < 0.8 * len(runs):
        return ""
    inner = _INNER.findall(data)  # single letters among ASCII
    for encoding, usual in _OLD_LETTERS.items():
        if len(inner) >= 3 and sum(letter in usual for letter in inner) > 0.7 * len(inner):
            return encoding
    return "cp1252" if _text(data, "cp1252") else "latin-1"


def _likely_wide(data: bytes) -> str:
    if len(data) >= 8 and not any(data[1:8:4]) and not any(data[2:8:4]):
        return "utf-32-le" if data[0] else "utf-32-be"
    even, odd = data[::2].count(0), data[1::2].count(0)
    return "utf-16-le" if odd > even else "utf-16-be" if even > odd else ""


def _text(data: bytes, encoding: str) -> str:
    """Return the text in an encoding; empty if the bytes are none."""
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return ""


def _share(text: str, first: str, last: str) -> float:
    """Return the share of a range among the characters that are not ASCII; 0 where they are too few to tell."""
    other = [character for character in text if character > "\x7f"]
    return sum(first <= each <= last for each in other) / len(other) if len(other) >= _FEWEST else 0


def _is_japanese(text: str) -> bool:
    return _share(text, "\u3041", "\u30fc") > 0.3 and _share(text, "\u3000", "\u9fff") > 0.95


def _is_korean(text: str) -> bool:
    return _share(text, "\uac00", "\ud7a3") > 0.95


def _is_cyrillic(text: str) -> bool:
    return _share(text, "а", "я") > 0.7 and _share(text, "Ё", "ё") > 0.9


def _common_share(data: bytes, leads: bytes) -> float:
    """Return the share of characters of two bytes whose lead byte lies in a range; 0 where they are too few to tell."""
    pairs = re.findall(rb"([\x81-\xfe])[\x40-\xfe]", data)
    letters = [pair for pair in pairs if pair[0] > 0xA3]  # below are punctuation and symbols
    return sum(leads[0] <= pair[0] <= leads[1] for pair in letters) / len(letters) if len(letters) >= _FEWEST else 0
