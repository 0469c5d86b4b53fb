import csv
import gzip
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from candor.rows import ERRORS, MAX_LINE_BYTES, Row, RowsError, read

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
