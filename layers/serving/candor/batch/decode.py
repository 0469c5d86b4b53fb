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
_START = 64  # bytes that show what kind of file it is

_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
"""Byte order marks, those first that begin with another."""
_UTF16 = ("utf-16-le", "utf-16-be")
_OTHER_FILES = {
    b"PK\x03\x04": "a ZIP archive or a spreadsheet",
    b"PAR1": "Parquet",
    b"\xd0\xcf\x11\xe0": "an old spreadsheet or document of Microsoft Office",
    b"%PDF-": "a PDF",
    b"SQLite f": "a SQLite database",
    b"BZh91AY": "a bzip2 archive",
    b"\xfd7zXZ\0": "an xz archive",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
    b"ARROW1": "Arrow",
    b"<!DOCTYP": "a web page",
    b"<!doctyp": "a web page",
    b"<html": "a web page",
    b"<?xml": "XML",
}
_BAD = "candor.batch.decode"
codecs.register_error(_BAD, lambda error: ("\udcff", error.end))  # type: ignore[attr-defined]  # UnicodeDecodeError has it


def decoded(blocks: Iterator[bytes], file_format: Format) -> tuple[Format, Iterator[bytes], int]:
    """Return the format with its encoding, the text as UTF-8 without byte order mark, and the offset of its start."""
    if file_format.compressed:
        blocks = _unpacked(blocks)
    start, blocks = peeked(blocks, _START)
    if start.startswith(b"\x1f\x8b"):
        raise RowsError("gzip_in_gzip" if file_format.compressed else "unexpected_gzip")
    mark = next((mark for mark in _MARKS if start.startswith(mark)), b"")
    if not mark and not file_format.encoding:
        _check_start(start, file_format)
    encoding = _MARKS.get(mark) or file_format.encoding or "utf-8"
    if encoding.startswith("utf-32") and not file_format.encoding:
        raise RowsError("unknown_encoding", hint="save it as UTF-8, or pass --encoding utf-32")
    if encoding in ("utf-16", "utf-32"):
        encoding += "-le"
    if not mark and encoding.startswith(("utf-16", "utf-32")) and b"\0" not in start and _is_utf8(start):
        raise RowsError(
            "unknown_encoding",
            problem=f"it is no {encoding[:6].upper()}, but seems to be UTF-8",
            hint="leave --encoding out",
        )
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
            if self._size > _MAX_KEPT and self._size > len(block):
                self._kept, self.whole = [], False
            if self.whole:
                self._kept.append(block)
            yield block

    def again(self) -> Iterator[bytes]:
        """Yield the blocks from the start. What reads them otherwise must have stopped."""
        while self._kept:
            yield self._kept.pop(0)
        yield from self._blocks


_MAX_KEPT = 4 << 20  # bytes; the first block is kept in any case, and a store reads 8 MB at a time


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


def _check_start(start: bytes, file_format: Format) -> None:
    """Raise RowsError for a file that begins as no text in UTF-8 does, or as no table or JSON."""
    for magic, kind in _OTHER_FILES.items():
        if start.startswith(magic) and not (file_format.kind == "txt" and magic.decode("latin-1").isprintable()):
            hint = "save the spreadsheet as CSV UTF-8, or unpack the archive" if magic == b"PK\x03\x04" else ""
            hint = hint or ("unpack it first" if "archive" in kind else "export it as CSV UTF-8")
            raise RowsError("unknown_format", problem=f"it is {kind}, whatever its name says", hint=hint)
    if b"\0" in start[:2]:  # UTF-16 or UTF-32 without a mark
        likely = likely_encoding(start)
        hint = f"pass --encoding {likely}" if likely else ""
        raise RowsError("unknown_encoding", hint=hint)


def _is_utf8(start: bytes) -> bool:
    """Return whether bytes are the start of a text in UTF-8 that is not empty."""
    try:
        return bool(codecs.getincrementaldecoder("utf-8")().decode(start))
    except UnicodeDecodeError:
        return False


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

_LOOKED_AT = 1 << 13  # bytes that each encoding of one byte a character is tried on
_FEWEST = 8  # characters of a script, to say that it is one
_FEWEST_OLD = 3  # accented letters, to name another encoding than cp1252
_SHARE = 0.9  # of what is not ASCII that must make sense
_WEST = "àáâãäåæçèéêëìíîïñòóôõöøùúûüßœÿ"
_CENTRAL = "ąćęłńóśźżáčďéěíňřšťúůýžäöüőűôßăâîşţđ"
_LATIN = {  # the letters that each is used for; those first that are the commonest
    "cp1252": _WEST,
    "cp1254": "çğıöşüâîûi̇",
    "cp1250": _CENTRAL,
    "iso8859_2": _CENTRAL,
    "mac_roman": _WEST,
    "cp850": _WEST,
    "cp1257": "āčēģīķļņšūžąęėįųõäöü",
    "latin-1": _WEST,
}
_RUSSIAN = "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъіё"
_GREEK = "αοιετσνηυρπκμλίόάήωςέγδύώθχφβξζψ"
_HEBREW = "יוהלאמתרנבשדעקחפגכטזסצםןךףץ"
_ARABIC = "اليمنوتربسعدقفحكجهشطصخزضثذغظ"
_THAI = "านรอกเงมยลวดท่้สตะปบคหีแจิัพชขใไ"
_SCRIPTS = {  # the first and the last letter in lower case, and the letters from the commonest one on
    "cp1251": ("а", "ґ", _RUSSIAN),
    "koi8_r": ("а", "ґ", _RUSSIAN),
    "koi8_u": ("а", "ґ", _RUSSIAN),
    "cp866": ("а", "ґ", _RUSSIAN),
    "iso8859_5": ("а", "ґ", _RUSSIAN),
    "mac_cyrillic": ("а", "ґ", _RUSSIAN),
    "cp1253": ("ΐ", "ώ", _GREEK),
    "iso8859_7": ("ΐ", "ώ", _GREEK),
    "cp1255": ("א", "ת", _HEBREW),
    "cp1256": ("ء", "ي", _ARABIC),
    "iso8859_6": ("ء", "ي", _ARABIC),
    "cp874": ("ก", "๛", _THAI),
}
_CAPITAL, _UPPER = 1.5, 0.1  # minus log likelihoods of a capital that begins a word, and of one behind a capital
_COMMON = 12  # letters of a script that are its commonest
_DECAY = 0.1  # of letters ordered by frequency, each is that much rarer than the one before
_RARE, _FOREIGN = 5.0, 10.0  # minus log likelihoods of another letter of the script, and of what is none there
_OPENING, _CLOSING, _BETWEEN = "„‚«‹¿¡", "”’»›…", "“‘–—€£¥§©®™°·•№\u00a0"


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
    if data.isascii():
        return ""
    for encoding, is_likely in _ASIAN:
        if is_likely(_text(data, encoding)):
            return encoding
    if _common_share(data, b"\xb0\xd7") > 0.8 and _text(data, "gb18030"):  # level 1 of GB 2312: the commonest 3,755
        return "gb18030"
    if _common_share(data, b"\xa4\xc6") > 0.8:  # level 1 of Big5: the commonest 5,401
        for encoding in ("big5", "cp950", "big5hkscs"):
            if _text(data, encoding):
                return encoding
    data = data[:_LOOKED_AT]
    latin = [encoding for encoding in _LATIN if encoding != "latin-1" or not _text(data, "cp1252")]
    scores = {encoding: _sense_of_latin(data, encoding) for encoding in latin}
    if scripts := [encoding for encoding in _SCRIPTS if _sense_of_script(data, encoding)]:
        script = max(scripts, key=lambda encoding: _likelihood(data, encoding))
        scores[script] = _sense_of_script(data, script)
    best = max(scores, key=lambda encoding: scores[encoding])  # of equal ones the first
    return best if scores[best] else ""


def _sense_of_latin(data: bytes, encoding: str) -> float:
    """Return how well bytes make sense as accented letters among plain ones; 0 where they make none."""
    letters, good, total = _LATIN[encoding], 0, 0
    for before, character, after in _others(data, encoding):
        alone = not (_is_other_letter(before) and _is_other_letter(after))
        good += (character.lower() in letters and alone and _is_cased(before, character)) or _is_mark(
            before, character, after
        )
        total += not (encoding == "latin-1" and "\x80" <= character <= "\x9f")
    few = encoding not in ("cp1252", "latin-1") and total < _FEWEST_OLD
    return good / total if total and not few and good >= _SHARE * total else 0


def _sense_of_script(data: bytes, encoding: str) -> float:
    """Return how well bytes make sense as letters of another script, less so if they are its rare ones."""
    (first, last, common), good, frequent, total = _SCRIPTS[encoding], 0, 0, 0
    for before, character, after in _others(data, encoding):
        lower = character.lower()
        apart = not (before.isascii() and before.isalpha()) and not (after.isascii() and after.isalpha())
        is_letter = first <= lower <= last and apart and _is_cased(before, character)
        good += is_letter or _is_mark(before, character, after)
        frequent += is_letter and lower in common[:_COMMON]
        total += 1
    return (good + frequent) / (2 * total) if total >= _FEWEST and good >= _SHARE * total else 0


def _likelihood(data: bytes, encoding: str) -> float:
    """Return the log likelihood of bytes as words of a script: of its letters, each by itself, and of their case."""
    first, last, letters = _SCRIPTS[encoding]
    ranks = {letter: rank for rank, letter in enumerate(letters)}
    total = 0.0
    for before, character, _ in _others(data, encoding):
        lower = character.lower()
        total -= _DECAY * ranks[lower] if lower in ranks else _RARE if first <= lower <= last else _FOREIGN
        if character.isupper():
            total -= _UPPER if before.isupper() else _FOREIGN if before.isalpha() else _CAPITAL
    return total


def _others(data: bytes, encoding: str) -> Iterator[tuple[str, str, str]]:
    """Yield each character that is not ASCII, between its neighbours."""
    text = f" {data.decode(encoding, 'replace')} "
    for at in range(1, len(text) - 1):
        if text[at] > "\x7f":
            yield text[at - 1], text[at], text[at + 1]


def _is_other_letter(character: str) -> bool:
    return character > "\x7f" and character.isalpha()


def _is_cased(before: str, character: str) -> bool:
    """Return whether a letter's case is as words have it: no capital follows a small letter."""
    return not (character.isupper() and before.islower())


def _is_mark(before: str, character: str, after: str) -> bool:
    """Return whether a character is a punctuation mark in its place."""
    if character == "’" and before.isalpha():
        return True
    if character in _OPENING:
        return not before.isalnum()
    return (character in _CLOSING and not after.isalnum()) or (
        character in _BETWEEN and not (before.isalpha() and after.isalpha())
    )


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


_ASIAN = (
    ("shift_jis", _is_japanese),
    ("cp932", _is_japanese),
    ("euc_jp", _is_japanese),
    ("euc_kr", _is_korean),
    ("cp949", _is_korean),
)


def _common_share(data: bytes, leads: bytes) -> float:
    """Return the share of characters of two bytes whose lead byte lies in a range; 0 where they are too few to tell."""
    pairs = re.findall(rb"([\x81-\xfe])[\x40-\xfe]", data)
    letters = [pair for pair in pairs if pair[0] > 0xA3]  # below are punctuation and symbols
    return sum(leads[0] <= pair[0] <= leads[1] for pair in letters) / len(letters) if len(letters) >= _FEWEST else 0
