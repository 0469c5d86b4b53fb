"""Planning counts many records at a time: the same chunks as one record after another, in a bounded number of steps."""

import gzip
import random
import zlib
from io import BytesIO

import pytest

from candor.batch import decode, records, rows
from candor.batch.faults import RowsError
from candor.batch.formats import Format
from candor.batch.rows import plan, read

PIECES = [
    b"a",
    b"bad film",
    b'"',
    b'""',
    b'"x"',
    b',"',
    b",",
    b" ",
    b"\n",
    b"\r",
    b"\r\n",
    b"\x0b",
    b"x" * 30,
    b'{"text":"a"}',
    b"\n\n\n",
    "\u00a0".encode(),
    "\u3000".encode(),
    "\x85".encode(),
    "é".encode(),
]
KINDS = ("txt", "jsonl", "csv")


def in_blocks(content, size):
    return (content[begin : begin + size] for begin in range(0, len(content), size))


def chunks(content, kind, size, limits, counted):
    shape = Format(kind, encoding="utf-8", text_column="text", delimiter=",", columns=(1, 0, -1))
    start = rows.Chunk(0, 0, 1, 0)
    blank = [0]
    planned = list(rows._chunks(counted(in_blocks(content, size), shape), start, *limits, blank.append))
    return planned, sum(blank)


def one_by_one(blocks, shape):
    return records.counted_records(records.records(blocks, shape), shape)


@pytest.mark.parametrize("kind", KINDS)
def test_plan_many_at_a_time_as_one_by_one(kind, monkeypatch):
    """Whatever the bytes and wherever blocks end: the same chunks, rows and line numbers."""
    monkeypatch.setattr(records, "MAX_LINE_BYTES", 60)
    monkeypatch.setattr(records, "_WINDOW", 20)
    monkeypatch.setattr(records, "_SOME", 3)
    chance = random.Random(kind)
    for _ in range(1500):
        content = b"".join(chance.choices(PIECES, k=chance.choice([1, 5, 30, 120])))
        limits, size = (chance.choice([7, 50, 1 << 20]), chance.choice([1, 4, 1 << 20])), chance.choice([1, 3, 17, 400])
        expected = chunks(content, kind, size, limits, one_by_one)
        assert chunks(content, kind, size, limits, records.stretches) == expected, content


ELEMENTS = [
    b"1", b"[]", b"{}", b"null", b'"a"', b'{"text":"a, b]}"}', b'[["\\\\"],{"a":[1,2]}]', b'"\\""', b'"\\\\\\","',
    b'"\xff"', b'"' + b"long, " * 9 + b'"',
]  # fmt: skip
GAPS = [b",", b", ", b",\n", b" ,\r\n", b"\r,", b",\t\n\n  "]
DAMAGES = [b"", b",", b"]", b"[", b"}", b'"', b"x", b"\\", b",]", b"] , [1,2"]


def outcome(elements):
    start = rows.Chunk(0, 0, 1, 0)
    try:
        return list(rows._chunks(elements, start, 50, 4, lambda count: None))
    except RowsError as error:
        return error.problem


def test_plan_arrays_many_at_a_time_as_one_by_one(monkeypatch):
    """Whatever the elements, and wherever an array is damaged: the same chunks, or the same fault."""
    monkeypatch.setattr(records, "_WINDOW", 10)
    monkeypatch.setattr(records, "BLOCK", 40)
    chance, faults = random.Random(7), 0
    for _ in range(4000):
        each = chance.choices(ELEMENTS, k=chance.choice([0, 1, 5, 40]))
        data = b"".join(part for element in each for part in (element, chance.choice(GAPS)))
        data = data.rstrip(b", \t\r\n") + b"]" + chance.choice([b"", b"\n", b" \n"])
        if chance.random() < 0.3:
            place = chance.randrange(len(data))
            data = data[:place] + chance.choice(DAMAGES) + data[place + chance.randrange(3) :]
        single = records._counted(records._elements(data, 3, whole=True), lambda data: False)
        expected = outcome(single)
        assert outcome(records.Elements(data, 3).stretches()) == expected, data
        faults += isinstance(expected, str)
    assert 400 < faults < 1200


def test_plan_short_elements_are_not_looked_at_each(monkeypatch):
    """Of an array of many elements, a few are looked at one by one: those in which columns are looked for, the last."""
    looked_at = []
    decode_next = records._decode_next
    monkeypatch.setattr(records, "_decode_next", lambda *args: looked_at.append(1) or decode_next(*args))
    content = b"[" + b",".join([b'{"text":"a"}'] * 100_000) + b"]"
    planned = plan(iter([content]), Format.of("a.json"), 1 << 40, 1 << 40)[1]
    assert sum(chunk.rows for chunk in planned) == 100_000
    assert 0 < len(looked_at) <= 300


@pytest.mark.parametrize("kind", KINDS)
def test_plan_short_lines_are_not_looked_at_each(kind, monkeypatch):
    """A million short lines take a few steps of NumPy, not one each."""
    looked_at = []
    count = records._counted

    def counted(each, is_empty):
        return count((looked_at.append(record) or record for record in each), is_empty)

    monkeypatch.setattr(records, "_counted", counted)
    for line in (b"a\n\n", b'"a ""b"",\nc"\n\n'):
        content = b"text\n" + line * 300_000
        _, planned = plan(in_blocks(content, decode.BLOCK), Format.of(f"a.{kind}", "text"), 1 << 40, 1 << 40)
        assert sum(chunk.rows for chunk in planned) >= 300_000
        assert len(looked_at) <= 1
    odd = b"text\n" + b'a "b"\n' * 50
    list(plan(in_blocks(odd, decode.BLOCK), Format.of("a.csv", "text"), 1 << 40, 1 << 40)[1])
    assert len(looked_at) >= 50


def test_plan_long_quoted_records_are_as_one_by_one():
    """Records that end in a later block, and quoted ones around the limit of a line."""
    for size in (300_000, records.MAX_LINE_BYTES - 3, records.MAX_LINE_BYTES - 2):
        content = b"".join((b'"a"\n', b'"' + b"x\n" * (size // 2) + b"x" * (size % 2) + b'"\n', b'"b"\n' * 3))
        limits = 1 << 40, 2
        expected = chunks(content, "csv", decode.BLOCK, limits, one_by_one)
        assert chunks(content, "csv", decode.BLOCK, limits, records.stretches) == expected
        assert (expected[0][0].rows, len(expected[0]) > 3) == (2, size > records.MAX_LINE_BYTES - 3)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b"text" + b",a" * 5000 + b"\n"),
        ("a.csv", b"id" + b",a" * 5000 + b"\n"),
        ("a.jsonl", b"{%s}\n" % b",".join(b'"%d":1' % number for number in range(5000))),
    ],
)
def test_plan_more_columns_than_can_be_read(name, content):
    """A table of too many columns is refused, with what helps; many commas in a text are none."""
    with pytest.raises(RowsError, match="4,096") as raised:
        plan(iter([content]), Format.of(name), 1 << 40, 1 << 40)
    assert raised.value.code == "too_many_columns"
    assert raised.value.hint
    fine = b"text" + b",a" * 4000 + b'\n"' + b"a, " * 5000 + b'"\n'
    assert sum(chunk.rows for chunk in plan(iter([fine]), Format.of("a.csv"), 1 << 40, 1 << 40)[1]) == 1


def test_plan_more_records_than_can_be_planned(monkeypatch):
    """A file of more lines than a function can count is refused, with what helps."""
    monkeypatch.setattr(rows, "MAX_FILE_RECORDS", 1000)
    fine = plan(in_blocks(b"a\n" * 900, 100), Format.of("a.txt"), 1 << 40, 1 << 40)[1]
    assert sum(chunk.rows for chunk in fine) == 900
    with pytest.raises(RowsError, match="split it") as raised:
        list(plan(in_blocks(b"a\n" * 1200, 100), Format.of("a.txt"), 1 << 40, 1 << 40)[1])
    assert raised.value.code == "too_many_rows"


class Counting:
    """A zlib module whose bytes are counted, given and copied."""

    def __init__(self):
        self.copied = 0

    def decompressobj(self, bits):
        counting, real = self, zlib.decompressobj(bits)

        class Member:
            eof = property(lambda self: real.eof)

            def decompress(self, data, size):
                counting.copied += len(data)
                return real.decompress(data, size)

            @property
            def unused_data(self):
                counting.copied += len(real.unused_data)
                return real.unused_data

            unconsumed_tail = property(lambda self: real.unconsumed_tail)

        return Member()

    error = zlib.error


def test_gzip_members_are_not_copied_each_time(monkeypatch):
    """What stands behind a member's end is copied a few times, not once for each member before it."""
    content = gzip.compress(random.Random(1).randbytes(200), mtime=0) * 4000
    monkeypatch.setattr(decode, "zlib", counting := Counting())
    unpacked = b"".join(decode._unpacked(in_blocks(content, decode.BLOCK)))
    assert len(unpacked) == 200 * 4000
    assert counting.copied <= 8 * len(content)


@pytest.mark.parametrize("member", [b"", b"a\n"])
def test_gzip_thousands_of_tiny_members_are_refused(member):
    """A member costs as much as a few hundred bytes of text, so that not many may be tiny."""
    some = gzip.compress(b"good\n") + gzip.compress(member) * 900
    assert next(row.text for row in read(BytesIO(some), "a.txt.gz")) == "good"
    with pytest.raises(RowsError, match="members") as raised:
        list(read(BytesIO(some * 3), "a.txt.gz"))
    assert raised.value.hint.startswith("pack it as one")


def test_gzip_in_gzip_says_so():
    """A gzip that was packed twice gets the hint that fits."""
    once = gzip.compress(b"good\n")
    assert len(list(read(BytesIO(once), "a.txt.gz"))) == 1
    with pytest.raises(RowsError, match="gzip within a gzip") as raised:
        list(read(BytesIO(gzip.compress(once)), "a.txt.gz"))
    assert "gunzip" in raised.value.hint
