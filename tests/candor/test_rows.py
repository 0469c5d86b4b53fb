import codecs
import csv
import gzip
import io
import json
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from candor.rows import ERRORS, FAULTS, MAX_LINE_BYTES, Chunk, Format, Row, RowsError, plan, read, read_chunk

NASTY = [
    "a\u0085b",
    "a\u2028b",
    'say "hi"',
    "back\\slash",
    "two\nlines",
    "comma, semi;",
    "é 好 🙂",
    " x ",
    "a\r\nb",
    "=1+1",
    "nul\0",
]
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda text: text.strip())


def rows(content, name, **columns):
    return list(read(io.BytesIO(content), name, **columns))


def as_csv(table):
    stream = io.StringIO(newline="")
    csv.writer(stream).writerows(table)
    return stream.getvalue().encode()


@given(st.lists(texts | st.sampled_from(NASTY), max_size=8))
@settings(deadline=None)
def test_any_text_survives_both_formats_packed_or_not(given_texts):
    as_lines = "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in given_texts).encode()
    for packed, suffix in ((bytes, ""), (gzip.compress, ".gz")):
        assert [row.text for row in rows(packed(as_lines), f"x.jsonl{suffix}")] == given_texts
        # A CSV cell keeps its line ends; a reader of csv's own makes the same of the same bytes.
        made = as_csv([["text"], *([text] for text in given_texts)])
        expected = [cells[0] for cells in csv.reader(io.StringIO(made.decode(), newline="")) if cells][1:]
        assert [row.text for row in rows(packed(made), f"x.csv{suffix}")] == expected


def test_lines_end_at_newlines_only():
    assert [row.text for row in rows("a\u0085b\u2028c\r\nd\n\n e".encode(), "x.txt")] == ["a\u0085b\u2028c", "d", " e"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_byte_order_mark_tells_the_encoding(encoding):
    assert rows('{"text": "é好"}\n'.encode(encoding), "x.jsonl") == [Row(1, None, "é好")]


def test_ids_and_other_columns_are_found_by_name():
    assert rows(b"n,body\n7,good\n", "x.csv", text="body", identifier="n") == [Row(2, "7", "good")]
    assert rows(b'{"n": 7, "body": "good"}\n', "x.jsonl", text="body", identifier="n") == [Row(1, "7", "good")]


BAD = {
    b"{bad\n": "invalid_json",
    b"[1]\n": "invalid_json",
    b'{"a": 1}\n': "missing_text",
    b'{"text": 1}\n': "wrong_type",
    b'{"text": "a", "id": [1]}\n': "wrong_type",
    b'{"text": " "}\n': "blank",
    b'{"text": "\xff"}\n': "invalid_encoding",
    b'{"text": "\\ud800"}\n': "invalid_encoding",
    b'{"text": "' + b"a" * 20_001 + b'"}\n': "text_too_large",
    b'{"text": "' + b"a" * MAX_LINE_BYTES + b'"}\n': "line_too_long",
}


@pytest.mark.parametrize("line", BAD, ids=BAD.values())
def test_a_bad_row_is_a_row_with_an_error_between_good_ones(line):
    good = b'{"text": "good"}\n'
    found = rows(good + line + good, "x.jsonl")
    assert [row.error for row in found] == ["", BAD[line], ""]
    assert [row.line for row in found] == [1, 2, 3]
    assert BAD[line] in ERRORS


def test_bad_rows_of_a_csv_do_not_cost_the_good_ones():
    content = b"id,text\n1,good\n2\n3,\n4,\xff\n5," + b"a" * (MAX_LINE_BYTES + 1) + b"\n6,fine\n"
    found = rows(content, "x.csv")
    assert [row.error for row in found] == ["", "ragged", "blank", "invalid_encoding", "line_too_long", ""]
    assert found[-1].text == "fine"


def test_the_line_of_a_row_is_where_it_starts():
    assert [row.line for row in rows(b'text\n"a\nb"\nc\n', "x.csv")] == [2, 4]


@pytest.mark.parametrize(
    ("content", "name", "word"),
    [
        (b"text\na\n", "x.pdf", "jsonl"),
        (b"body\na\n", "x.csv", "text"),
        (b"text,text\na,b\n", "x.csv", "text"),
        (gzip.compress(b"text\na\n")[:-5], "x.csv.gz", "truncated"),
        (b"text\na\n", "x.csv.gz", "damaged"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_its_reason(content, name, word):
    with pytest.raises(RowsError, match=word):
        rows(content, name)
    assert rows(gzip.compress(b"text\na\n"), "x.csv.gz") == [Row(2, None, "a")]


def test_files_of_several_gzip_members_and_empty_ones_are_read():
    assert len(rows(gzip.compress(b"a\n") + gzip.compress(b"b\n"), "x.txt.gz")) == 2
    assert rows(b"", "x.jsonl") == rows(b"", "x.csv") == rows(b"text\n", "x.csv") == []


def nasty_table():
    """200 rows: what a text may hold, each kind of bad row, and blank lines between."""
    return [
        NASTY[number % len(NASTY)] + (f" {number}" if number % 3 else "")
        if number % 13
        else ("", " ", "x" * 20_001)[number % 3]
        for number in range(200)
    ]


def nasty_file(kind):
    if kind == "csv":
        lines = [as_csv([[number, text]]) for number, text in enumerate(nasty_table())]
        lines[50], lines[100], lines[150] = b'51,"a"b"c\n', b"101\n", b"\r\n"
        return b"id,text\r\n" + b"".join(lines[:-1]) + lines[-1].rstrip()
    if kind == "txt":
        return "\n".join(text.replace("\n", "\r") for text in nasty_table()).encode()
    lines = [
        json.dumps({"id": number, "text": text}, ensure_ascii=False).encode()
        for number, text in enumerate(nasty_table())
    ]
    lines[50], lines[100], lines[150] = b"{bad", b'{"text": "\xff"}', b""
    return b"\n".join(lines)


ENCODINGS = {
    "": bytes,
    " with a mark": lambda content: codecs.BOM_UTF8 + content,
    " in UTF-16": lambda content: content.replace(b"\xff", b"?").decode().encode("utf-16"),
}


def in_pieces(content, size):
    return (content[start : start + size] for start in range(0, len(content), size))


def planned(*asked):
    shape, chunks = plan(*asked)
    return shape, list(chunks)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize("kind", ["jsonl", "csv", "txt"])
def test_every_boundary_of_a_file_gives_the_same_rows(kind, packed, encoding):
    content = ENCODINGS[encoding](nasty_file(kind))
    content = gzip.compress(content) if packed else content
    whole = rows(content, f"x.{kind}{packed}")
    assert len(whole) > 180
    assert {row.error for row in whole} >= {"", "text_too_large"}
    shape, single = planned(in_pieces(content, 4096), Format.of(f"x.{kind}{packed}"), 1 << 30, 1)
    assert sum(chunk.rows for chunk in single) == len(whole)
    assert [chunk.end for chunk in single[:-1]] == [chunk.begin for chunk in single[1:]]

    def read_part(chunk):
        part = content[chunk.begin : chunk.end] if shape.direct else content
        return list(read_chunk(in_pieces(part, 1000), shape, chunk))

    for number in range(0, len(single), 1 if shape.direct else 23):
        first = Chunk(single[0].begin, single[number].end, single[0].line, 0)
        second = Chunk(single[number].end, single[-1].end, single[min(number + 1, len(single) - 1)].line, 0)
        rest = read_part(second) if number + 1 < len(single) else []
        assert read_part(first) + rest == whole, number


@pytest.mark.parametrize("size", [1, 1000, 1 << 20])
def test_chunks_end_with_the_record_that_reaches_either_number(size):
    content = nasty_file("jsonl")
    _, chunks = planned(in_pieces(content, 999), Format.of("x.jsonl"), size, 30)
    assert chunks[-1].end == len(content)
    assert all(chunk.rows <= 30 for chunk in chunks)
    assert all(chunk.rows == 30 or chunk.end - chunk.begin >= size for chunk in chunks[:-1])
    assert sum(chunk.rows for chunk in chunks) == len(rows(content, "x.jsonl"))


def test_a_header_alone_or_nothing_at_all_is_no_chunk():
    assert planned([b"id,text\n"], Format.of("x.csv"), 1, 1)[1] == []
    assert planned([], Format.of("x.csv"), 1, 1)[1] == []
    assert planned([b"\n \n"], Format.of("x.jsonl"), 1 << 20, 10)[1] == []


WHOLE = {
    "damaged_gzip": ("x.txt.gz", gzip.compress(b"good\n" * 1000)[:-9]),
    "not_gzip": ("x.txt.gz", b"good\n"),
    "unexpected_gzip": ("x.txt", gzip.compress(b"good\n")),
    "gzip_bomb": ("x.txt.gz", gzip.compress(b"a" * (80 << 20))),
    "unknown_encoding": ("x.txt", "good".encode("utf-32")),
    "no_text_column": ("x.csv", b"id,body\n1,good\n"),
    "two_id_columns": ("x.csv", b"id,id,text\n1,2,good\n"),
    "unknown_format": ("x.pdf", b"%PDF"),
}


@pytest.mark.parametrize("code", WHOLE)
def test_a_file_that_cannot_be_read_says_why_and_shows_nothing_of_it(code):
    name, content = WHOLE[code]
    with pytest.raises(RowsError) as raised:
        rows(content, name)
    assert raised.value.code == code
    assert str(raised.value) == f"{name}: {FAULTS[code]}"


def test_members_of_a_gzip_follow_each_other_and_zeros_after_them_are_nothing():
    packed = gzip.compress(b"one\n") + gzip.compress(b"two\n")
    assert [row.text for row in rows(packed + b"\0" * 512, "x.txt.gz")] == ["one", "two"]
    with pytest.raises(RowsError):
        rows(packed + b"\0rest", "x.txt.gz")


def test_a_line_of_100_megabytes_is_one_error_and_is_never_held():
    def pieces():
        yield b'{"text": "good"}\n{"text": "'
        for _ in range(100):
            yield b"a" * 1_000_000
        yield b'"}\n{"text": "good"}\n'

    tracemalloc.start()
    shape, chunks = planned(pieces(), Format.of("x.jsonl"), 1 << 40, 1 << 40)
    found = list(read_chunk(pieces(), shape, chunks[0]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [row.error for row in found] == ["", "line_too_long", ""]
    assert peak < 8 << 20
