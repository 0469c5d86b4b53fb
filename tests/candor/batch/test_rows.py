import codecs
import csv
import doctest
import gzip
import io
import json
import pickle
import tracemalloc
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from candor.batch import rows as module
from candor.batch.labelled import read_labelled
from candor.batch.rows import (
    ERRORS,
    FAULTS,
    Chunk,
    Format,
    Row,
    RowsError,
    plan,
    read,
    read_chunk,
)
from candor.limits import MAX_JSON_BYTES, MAX_LINE_BYTES
from candor.storage import Folder

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
def test_read_any_text_returns_it_unchanged(given_texts):
    """JSON lines and CSV keep any text, compressed or not."""
    as_lines = "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in given_texts).encode()
    for packed, suffix in ((bytes, ""), (gzip.compress, ".gz")):
        assert [row.text for row in rows(packed(as_lines), f"x.jsonl{suffix}")] == given_texts
        # A CSV cell keeps its line ends; a reader of csv's own makes the same of the same bytes.
        made = as_csv([["text"], *([text] for text in given_texts)])
        expected = [cells[0] for cells in csv.reader(io.StringIO(made.decode(), newline="")) if cells][1:]
        assert [row.text for row in rows(packed(made), f"x.csv{suffix}")] == expected


def test_read_txt_cuts_at_newlines_only():
    found = rows("a\u0085b\u2028c\r\nd\n\n e".encode(), "x.txt")
    assert [row.text for row in found] == ["a\u0085b\u2028c", "d", " e"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_read_byte_order_mark_selects_encoding(encoding):
    assert rows('{"text": "é好"}\n'.encode(encoding), "x.jsonl") == [Row(1, None, "é好")]


def test_read_column_names_select_text_and_id():
    assert rows(b"n,body\n7,good\n", "x.csv", text_column="body", id_column="n") == [Row(2, "7", "good")]
    assert rows(b'{"n": 7, "body": "good"}\n', "x.jsonl", text_column="body", id_column="n") == [Row(1, "7", "good")]


BAD = {
    b"{bad\n": "invalid_json",
    b"[1]\n": "invalid_json",
    b'{"a": 1}\n': "missing_text",
    b'{"text": 1}\n': "wrong_type",
    b'{"text": " "}\n': "blank",
    b'{"text": "\xff"}\n': "invalid_encoding",
    b'{"text": "\\ud800"}\n': "invalid_encoding",
    b'{"text": "' + b"a" * 20_001 + b'"}\n': "text_too_large",
    b'{"text": "' + b"a" * MAX_LINE_BYTES + b'"}\n': "line_too_long",
}


@pytest.mark.parametrize("line", BAD, ids=BAD.values())
def test_read_bad_json_row_has_error_in_place(line):
    """A bad row does not cost the good ones around it."""
    good = b'{"text": "good"}\n'
    found = rows(good + line + good, "x.jsonl")
    assert [row.error for row in found] == ["", BAD[line], ""]
    assert [row.line for row in found] == [1, 2, 3]
    assert BAD[line] in ERRORS


def test_read_bad_csv_rows_have_errors_in_place():
    """A bad row does not cost the good ones around it."""
    content = b"id,text\n1,good\n2\n3,\n3,a,b\n4,\xff\n5," + b"a" * (MAX_LINE_BYTES + 1) + b"\n6,fine\n"
    found = rows(content, "x.csv")
    assert [row.error for row in found] == ["", "blank", "blank", "ragged", "invalid_encoding", "line_too_long", ""]
    assert found[-1].text == "fine"


def test_read_multiline_cell_reports_first_line():
    assert [row.line for row in rows(b'text\n"a\nb"\nc\n', "x.csv")] == [2, 4]


@pytest.mark.parametrize(
    ("content", "name", "word"),
    [
        (b"text\na\n", "x.pdf", "jsonl"),
        (b"ref\na\n", "x.csv", "text"),
        (b"text,text\na,b\n", "x.csv", "text"),
        (gzip.compress(b"text\na\n")[:-5], "x.csv.gz", "truncated"),
        (b"text\na\n", "x.csv.gz", "damaged"),
    ],
)
def test_read_unreadable_file_raises_reason(content, name, word):
    """The message has the word that tells what is wrong."""
    with pytest.raises(RowsError, match=word):
        rows(content, name)
    assert rows(gzip.compress(b"text\na\n"), "x.csv.gz") == [Row(2, None, "a")]


def test_read_gzip_members_and_empty_files():
    """A gzip may have several members; an empty file has no rows."""
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
def test_chunks_cut_anywhere_give_the_same_rows(kind, packed, encoding):
    """Chunks give the rows of the whole file, whichever record they are cut at."""
    content = ENCODINGS[encoding](nasty_file(kind))
    content = gzip.compress(content) if packed else content
    whole = rows(content, f"x.{kind}{packed}")
    assert len(whole) > 180
    assert {row.error for row in whole} >= {"", "text_too_large"}
    shape, single = planned(in_pieces(content, 4096), Format.of(f"x.{kind}{packed}"), 1 << 30, 1)
    assert sum(chunk.rows for chunk in single) == len(whole)
    assert [chunk.end for chunk in single[:-1]] == [chunk.begin for chunk in single[1:]]

    def read_part(chunk):
        part = content[chunk.begin : chunk.end] if shape.seekable else content
        return list(read_chunk(in_pieces(part, 1000), shape, chunk))

    for number in range(0, len(single), 1 if shape.seekable else 23):
        first = Chunk(single[0].begin, single[number].end, single[0].line, 0)
        second = Chunk(single[number].end, single[-1].end, single[min(number + 1, len(single) - 1)].line, 0)
        rest = read_part(second) if number + 1 < len(single) else []
        assert read_part(first) + rest == whole, number


@pytest.mark.parametrize("size", [1, 1000, 1 << 20])
def test_plan_chunk_ends_at_either_limit(size):
    """A chunk ends with the record that reaches the number of bytes or of rows."""
    content = nasty_file("jsonl")
    _, chunks = planned(in_pieces(content, 999), Format.of("x.jsonl"), size, 30)
    assert chunks[-1].end == len(content)
    assert all(chunk.rows <= 30 for chunk in chunks)
    assert all(chunk.rows == 30 or chunk.end - chunk.begin >= size for chunk in chunks[:-1])
    assert sum(chunk.rows for chunk in chunks) == len(rows(content, "x.jsonl"))


def test_plan_without_rows_makes_no_chunk():
    assert planned([b"id,text\n"], Format.of("x.csv"), 1, 1)[1] == []
    assert planned([], Format.of("x.csv"), 1, 1)[1] == []
    assert planned([b"\n \n"], Format.of("x.jsonl"), 1 << 20, 10)[1] == []


WHOLE = {
    "damaged_gzip": ("x.txt.gz", gzip.compress(b"good\n" * 1000)[:-9]),
    "not_gzip": ("x.txt.gz", b"good\n"),
    "unexpected_gzip": ("x.txt", gzip.compress(b"good\n")),
    "gzip_bomb": ("x.txt.gz", gzip.compress(b"a" * (80 << 20))),
    "unknown_encoding": ("x.txt", "good".encode("utf-32")),
    "no_header": ("x.csv", b"7,good\n8,fine\n"),
    "bad_json": ("x.json", b'{"data":\n[]}'),
    "json_too_large": ("x.json", b"[" + b" " * MAX_JSON_BYTES),
    "no_text_column": ("x.csv", b"id,ref\n1,good\n"),
    "two_id_columns": ("x.csv", b"id,id,text\n1,2,good\n"),
    "unknown_format": ("x.pdf", b"%PDF"),
}

MESSAGES = {  # those that are about this very file
    "no_text_column": "no column named 'text'; its columns are 'id', 'ref'",
    "no_header": "there seems to be no header: line 1, of 2 cells, looks like a row",
    "two_id_columns": "2 columns named 'id' among 'id', 'id', 'text'",
}


@pytest.mark.parametrize("code", WHOLE)
def test_read_fault_has_code_and_message(code):
    """Each fault has its code and a message."""
    name, content = WHOLE[code]
    with pytest.raises(RowsError) as raised:
        rows(content, name)
    assert raised.value.code == code
    assert str(raised.value) == f"{name}: {MESSAGES.get(code, FAULTS[code])}"


def test_read_named_id_column_is_required():
    """Whoever names a column of ids counts on them. The default one may be missing."""
    assert rows(b"ref,text\n7,good\n", "x.csv") == [Row(2, None, "good")]
    assert rows(b"ref,text\n7,good\n", "x.csv", id_column="ref") == [Row(2, "7", "good")]
    with pytest.raises(RowsError) as raised:
        rows(b"ref,text\n7,good\n", "x.csv", id_column="Ref")
    assert (raised.value.code, raised.value.problem) == (
        "no_id_column",
        "no column named 'Ref'; its columns are 'ref', 'text'",
    )
    assert raised.value.hint == "pass --id-column ref (make: ID=ref)"


def test_gzip_zeros_after_members_are_ignored():
    packed = gzip.compress(b"one\n") + gzip.compress(b"two\n")
    assert [row.text for row in rows(packed + b"\0" * 512, "x.txt.gz")] == ["one", "two"]
    with pytest.raises(RowsError):
        rows(packed + b"\0rest", "x.txt.gz")


def test_line_of_100_mb_is_one_error_in_8_mb():
    """A line that is too long is one error, and is never held in memory."""

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


COLUMNS = {  # header, name asked for, index found
    "exact": (b"id,text,other", "text", 1),
    "exact before trimmed": (b" text,text", "text", 1),
    "space before": (b"id, text", "text", 1),
    "space after": (b"text\t,id", "text", 0),
    "space asked for": (b"text,id", " text ", 0),
    "space in both": (b"text, text", " text", 1),
    "quotes and signs": (b'"Your ""idea""",cost ($USD)', 'Your "idea"', 0),
    "a line end": (b'"two\nlines",b', "two\nlines", 0),
}


@pytest.mark.parametrize(("header", "wanted", "index"), COLUMNS.values(), ids=COLUMNS)
def test_column_exact_name_wins_else_trimmed(header, wanted, index):
    """A column is found by its exact name, else by the only one that equals it but for white space around."""
    cells = [b"a", b"b", b"c"][: header.count(b",") + 1]
    content = header + b"\n" + b",".join(cells) + b"\n"
    assert [row.text for row in rows(content, "x.csv", text_column=wanted)] == [cells[index].decode()]
    table, _ = plan([content], Format.of("x.csv", wanted), 1, 1)
    assert table.columns[:2] == (len(cells), index)


def test_column_of_ids_has_exactly_that_name():
    """A header that only looks like it gives no ids: results stay those of earlier versions."""
    assert [row.id for row in rows(b" id,text\n7,good\n", "x.csv")] == [None]
    assert [row.id for row in rows(b"id,text\n7,good\n", "x.csv")] == ["7"]


def refusal(content, name, reader=read_labelled, **columns):
    with pytest.raises(RowsError) as raised:
        list(reader(io.BytesIO(content), name, **columns))
    error = raised.value
    assert "\n" not in f"{error}{error.hint}"
    assert "Xyzzy" not in f"{error}{error.hint}"
    return error.code, str(error).removeprefix(f"{name}: "), error.hint


def test_column_missing_lists_columns_and_option():
    """The message lists the columns that are there, and the hint names the option, with the likely column."""
    assert refusal(b"id,Texts\n", "x.csv", read, text_column="text") == (
        "no_text_column",
        "no column named 'text'; its columns are 'id', 'Texts'",
        "pass --text-column Texts (make: TEXT=Texts)",
    )
    assert refusal(b"text,ref,n\n", "x.csv") == (
        "no_label_column",
        "no column named 'label'; its columns are 'text', 'ref', 'n'",
        "pass --label-column NAME (make: LABEL=NAME)",
    )
    assert refusal(b"my label,text\n", "x.csv", label_column="label")[2] == (
        "pass --label-column 'my label' (make: LABEL='my label')"
    )
    assert refusal(b" text,text \n", "x.csv")[:2] == (
        "no_text_column",
        "2 columns named 'text' among ' text', 'text '",
    )
    assert refusal(b"text,label,label\n", "x.csv")[0] == "two_label_columns"


def test_column_missing_shows_no_text_of_the_file():
    """A first line that looks like a row is not listed, and many columns are not either."""
    assert refusal(b"I bought this for Xyzzy and he loves it,yes\n", "x.csv")[1] == (
        "there seems to be no header: line 1, of 2 cells, looks like a row"
    )
    assert refusal(b"Xyzzy,yes\nfine,yes\n", "x.csv")[0] == "no_header"  # a value comes again
    assert refusal(b"text,label,I bought this for Xyzzy and he loves it\n", "x.csv", text_column="b")[1] == (
        "no column named 'b'; its columns are 'text', 'label', one of 39 characters"
    )
    many = ",".join(f"c{'abcdefghijklmnopqrstuvwxy'[number]}" for number in range(25)).encode()
    assert refusal(many, "x.csv")[1].endswith("'ct', 5 more")


def test_header_unclosed_quote_is_refused():
    """A header whose quote is never closed is told from one without the column."""
    assert refusal(b'"text,label\na,b\n', "x.csv")[1] == (
        "the header cannot be read: A quote in the line is not closed within 1,000,000 bytes."
    )


def test_error_crosses_processes_whole():
    """A pool of processes hands an error on with its message and hint."""
    error = RowsError("no_text_column", problem="no column named 'text'", hint="pass --text-column NAME")
    same = pickle.loads(pickle.dumps(error.named("x.csv")))
    assert (str(same), same.hint, same.code) == ("x.csv: no column named 'text'", error.hint, error.code)


def test_format_dict_round_trips_with_stable_keys():
    """A job that an older version planned can be scored by a newer one."""
    planned_format, _ = plan([b"id,text\n1,a\n"], Format.of("x.csv"), 1, 1)
    assert planned_format.to_dict().keys() == {
        "kind",
        "packed",
        "encoding",
        "text",
        "id",
        "columns",
        "delimiter",
        "rules",
    }
    assert Format.from_dict(json.loads(json.dumps(planned_format.to_dict()))) == planned_format
    earlier = {**planned_format.to_dict()}
    del earlier["delimiter"], earlier["rules"]
    assert Format.from_dict(earlier) == replace(planned_format, rules=1)


def test_examples_in_docstrings_run():
    assert doctest.testmod(module).failed == 0


def test_plan_counts_lines_at_once_from_a_store(tmp_path, monkeypatch):
    """Lines are counted many at a time, also if the first block is as large as a store reads them."""
    counted: list[str] = []
    slow = module.counted_records
    monkeypatch.setattr(module, "counted_records", lambda each, kind: counted.append(kind.kind) or slow(each, kind))
    late = (b" " * 900_000 + b"\n") * 10 + b"text\ngood\n"  # its start is not kept
    for name, content in (("a.txt", b"good film\n" * 1_800_000), ("a.json", b'[{"text":"good"}]'), ("a.csv", late)):
        (tmp_path / name).write_bytes(content)
        inbox = Folder(tmp_path)
        _, chunks = plan(inbox.blocks(inbox.source(name)), Format.of(name), 1 << 24, 20_000)
        assert sum(chunk.rows for chunk in chunks) == content.count(b"g")
    assert counted == ["csv"]
