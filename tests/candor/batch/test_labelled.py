import gzip
import io
import json

import pytest

from candor.batch.labelled import LabelledRow, read_all, read_labelled, remarks
from candor.batch.rows import RowsError, read
from candor.limits import MAX_LINE_BYTES, MAX_TEXT_BYTES
from tests.candor.batch.test_rows import as_csv, refusal


def labelled(content, name, **columns):
    return list(read_labelled(io.BytesIO(content), name, **columns))


@pytest.mark.parametrize("packed", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_labelled_any_encoding_reads_the_same(encoding, packed):
    """Labels come with the texts that scoring reads, in every encoding, compressed or not."""
    suffix = ".gz" if packed is gzip.compress else ""
    table = packed('stars,text\n5,é好\n 1 ,"a\nb"\n'.encode(encoding))
    lines = packed('{"stars": 5, "text": "é好"}\n{"stars": " 1 ", "text": "a\\nb"}\n'.encode(encoding))
    expected = [("é好", "5"), ("a\nb", "1")]
    assert [row[1:3] for row in labelled(table, f"x.csv{suffix}", label_column="stars")] == expected
    assert [row[1:3] for row in labelled(lines, f"x.jsonl{suffix}", label_column="stars")] == expected
    assert [row.text for row in read(io.BytesIO(table), f"x.csv{suffix}")] == [text for text, _ in expected]


def test_labelled_text_may_be_long():
    """Training takes texts that a request may not have, up to the limit of a line."""
    texts = ["x" * (MAX_TEXT_BYTES + 1), "x" * (MAX_LINE_BYTES - len(",no\n"))]
    assert labelled(as_csv([("text", "label"), *((text, "no") for text in texts)]).replace(b"\r", b""), "x.csv") == [
        LabelledRow(line, text, "no") for line, text in enumerate(texts, 2)
    ]


@pytest.mark.parametrize(("value", "label"), [(" b ", "b"), (1, "1"), (1.5, "1.5"), (True, "true"), ("é", "é")])
def test_labelled_json_label_becomes_its_text(value, label):
    """Numbers and truth values are labels by their JSON text; white space around does not count."""
    assert labelled(json.dumps({"text": "a", "label": value}).encode(), "x.jsonl") == [LabelledRow(1, "a", label)]


BAD_LABELLED = {
    "ragged": (
        b"text,label\n\nXyzzy,a,b\n",
        "x.csv",
        "line 3 has 3 cells, the header 2",
        "quote cells that hold a delimiter or a line end",
    ),
    "unclosed quote": (
        b'text,label\n"Xyzzy,no\n',
        "x.csv",
        "line 2 has a quote that is not closed",
        "close it; a quote within quotes is written twice",
    ),
    "long line": (
        b"text,label\n" + b"x" * MAX_LINE_BYTES + b",no\n",
        "x.csv",
        "line 2 has more than 1,000,000 bytes",
        "shorten its text",
    ),
    "encoding": (
        b"text,label\nXyzzy \xe9,no\n",
        "x.csv",
        "line 2 is not valid UTF-8; the bytes suggest cp1252",
        "pass --encoding cp1252",
    ),
    "empty label": (
        b"text,label\nXyzzy, \n",
        "x.csv",
        "line 2 has no label",
        "give every row a label",
    ),
    "null label": (
        b'{"text": "Xyzzy", "label": null}',
        "x.jsonl",
        "line 1 has no label",
        "give every row a label",
    ),
    "text is a number": (
        b'{"text": 1, "label": 1}',
        "x.jsonl",
        "line 1 has a text that is not a string",
        "give every row a text",
    ),
    "no JSON": (
        b'{"text": Xyzzy}',
        "x.jsonl",
        "line 1 is not JSON (character 10)",
        'write one object a line, its keys distinct, such as {"text": "…", "label": "…"}',
    ),
    "key twice": (
        b'{"text": "Xyzzy", "label": 1, "label": 2}',
        "x.jsonl",
        "line 1 is not JSON",
        'write one object a line, its keys distinct, such as {"text": "…", "label": "…"}',
    ),
    "no object": (
        b'["Xyzzy"]',
        "x.jsonl",
        "line 1 is not a JSON object",
        'write one object a line, its keys distinct, such as {"text": "…", "label": "…"}',
    ),
}


@pytest.mark.parametrize(("content", "name", "problem", "hint"), BAD_LABELLED.values(), ids=BAD_LABELLED)
def test_labelled_bad_row_raises_line_and_hint(content, name, problem, hint):
    """A bad row is refused with its line, what is wrong and what helps, and without its text."""
    code, option = "bad_row", "; or leave them out: --skip-bad-rows"
    if "encoding" in hint:
        code, option = "unknown_encoding", ""
    assert refusal(content, name) == (code, problem, hint + option)


@pytest.mark.parametrize(
    ("content", "name", "tabs"),
    [
        (b"good\n", "x.txt", False),
        (b"", "x.txt", False),
        (b"good\nbad\tno\n", "x.txt", False),
        (b"text\tlabel\ngood\tpos\n", "x.txt", True),
        (gzip.compress(b"text\tlabel\n"), "x.txt.gz", True),
        ("text\tlabel\n".encode("utf-16"), "x.txt", True),
    ],
)
def test_labelled_plain_lines_are_refused(content, name, tabs):
    """Lines of text have no labels; where they hold tabs, another name of the file helps."""
    code, _, hint = refusal(content, name)
    assert code == "no_labels"
    assert ("rename it to .tsv" in hint) is tabs


def test_labelled_json_without_label_lists_keys():
    assert refusal(b'{"text": "Xyzzy", "ref": 1, "n": 2}', "x.jsonl") == (
        "no_label_column",
        "no field named 'label'; its fields are 'text', 'ref', 'n'",
        "pass --label-column NAME (make: LABEL=NAME)",
    )


def test_labelled_bad_rows_are_named_at_once():
    """Every bad row is named, ten of a kind, and with the option they are left out and counted."""
    content = b"text,label\n" + b"a,x\nXyzzy,b,c\n" * 12 + b"a,\nb,y\n"
    code, problem, _ = refusal(content, "x.csv")
    assert code == "bad_row"
    assert problem == (
        "12 rows have more cells than the header: lines 3, 5, 7, 9, 11, 13, 15, 17, 19, 21 and 2 more; "
        "line 26 has no label"
    )
    said = []
    rows = labelled(content, "x.csv", skip_bad_rows=True, say=said.append)
    assert len(rows) == 13
    assert said == [f"{problem}: left out"]


def test_labelled_too_long_labels_are_one_clause():
    """Labels that are texts, each of another length, make one clause, not one each, and the hint asks about columns."""
    lines = [f"cat,{'x' * (length + 201)}" for length in range(500)]
    _, problem, hint = refusal("\n".join(["text,label", *lines, "a,b"]).encode(), "x.csv")
    assert problem == (
        "500 rows have a label that cannot be used, the first one of 201 characters, where 200 are allowed: "
        "lines 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 490 more"
    )
    assert "if the columns are swapped, pass --label-column NAME" in hint


def test_labelled_rows_not_labelled_yet_are_texts():
    """Where texts without a label are asked for, rows that have neither count nothing."""
    content = b'text,label\na,x\nb,\n"",""\nc,y\n'
    rows = labelled(content, "x.csv", unlabelled=True)
    assert [(row.text, row.label) for row in rows] == [("a", "x"), ("b", ""), ("c", "y")]
    lines = b'{"text":"a","label":"x"}\n{"text":"b"}\n{"text":"c","label":null}\n'
    assert [row.label for row in labelled(lines, "x.jsonl", unlabelled=True)] == ["x", "", ""]


def test_labelled_blank_text_is_a_bad_row():
    """A label without a text cannot be used, whatever its white space; a row that is wholly blank counts nothing."""
    content = b'text,label\na,x\n,y\n" \t",x\n,\n"\n",x\nb,y\n'
    problem = "3 rows have a label, but no text: lines 3, 4, 6"
    for unlabelled in (False, True):
        assert refusal(content, "x.csv") == (
            "bad_row",
            problem,
            "give every row a text; or leave them out: --skip-bad-rows",
        )
        said = []
        rows = labelled(content, "x.csv", unlabelled=unlabelled, skip_bad_rows=True, say=said.append)
        assert ([row.text for row in rows], said) == (["a", "b"], [f"{problem}: left out"])
    assert refusal(b'{"text": "\\u2003", "label": "x"}', "x.jsonl")[1] == "line 1 has a label, but no text"


def folder(path, files):
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def test_folder_of_labels_gives_a_text_a_file(tmp_path):
    """Sub-folders are labels, files are texts by number; other files and hidden ones count nothing."""
    files = {
        "pos/2.txt": b"good\nfilm",
        "pos/10.txt": b"fine",
        "very  bad/1.txt": "\ufeffmal café".encode("utf-16"),
        "pos/notes.md": b"no",
        "pos/.x.txt": b"no",
        ".git/1.txt": b"no",
        "readme.txt": b"no",
    }
    rows = list(read_all([folder(tmp_path / "data", files)]))
    assert [(row.text.lstrip("\ufeff"), row.label) for row in rows] == [
        ("good\nfilm", "pos"),
        ("fine", "pos"),
        ("mal café", "very bad"),
    ]
    assert rows[0].file == "pos/2.txt"
    (tmp_path / "data/pos/3.txt").write_bytes(b"Xyzzy\ncaf\xe9")
    with pytest.raises(RowsError) as raised:
        list(read_all([tmp_path / "data"]))
    assert str(raised.value) == "pos/3.txt: line 2 is not valid UTF-8; the bytes suggest cp1252"


def test_folder_of_labels_names_files_without_text(tmp_path):
    """Blank files of a folder a label are named all at once, or left out and counted."""
    folder(tmp_path / "data", {"pos/1.txt": b"good", "pos/2.txt": b" \n", "neg/1.txt": b"", "neg/2.txt": b"bad"})
    with pytest.raises(RowsError) as raised:
        list(read_all([tmp_path / "data"]))
    assert str(raised.value) == "data: 2 files have no text: neg/1.txt, pos/2.txt"
    assert raised.value.hint == "delete them, or leave them out: --skip-bad-rows"
    said = []
    rows = list(read_all([tmp_path / "data"], skip_bad_rows=True, say=said.append))
    assert [row.text for row in rows] == ["bad", "good"]
    assert said == ["2 files have no text: neg/1.txt, pos/2.txt: left out"]


def test_several_files_are_read_one_after_the_other(tmp_path):
    """Rows of several files name their file; a folder of files is read as its files are."""
    folder(tmp_path, {"a.csv": b"text,label\na,x\n", "b.jsonl": b'{"review":"b","stars":5}\n', "c.md": b"no"})
    said = []
    paths = [tmp_path / "a.csv", tmp_path / "b.jsonl"]
    rows = list(read_all(paths, say=said.append))
    assert rows == [LabelledRow(2, "a", "x", "a.csv"), LabelledRow(1, "b", "5", "b.jsonl")]
    assert said == ["b.jsonl: reading texts from 'review', labels from 'stars'"]
    assert list(read_all([tmp_path])) == rows
    assert next(read_all(paths[:1])).file == ""
    with pytest.raises(RowsError, match="neither a sub-folder"):
        list(read_all([folder(tmp_path / "empty", {"x.txt": b"a"})]))


def test_remarks_tell_copies_and_contradictions():
    """Copies, texts with two labels and labels that differ in case are told by their lines."""
    rows = [LabelledRow(*each) for each in [(2, "a", "x"), (3, "a ", "x"), (4, "b", "x"), (5, "b", "X"), (6, "c", "")]]
    assert remarks(rows) == [
        "2 rows are copies of another row",
        "1 text has more than one label: lines 4, 5",
        "labels 'X', 'x' differ in case only, and count as different labels",
    ]
    assert remarks(rows[:1]) == []
    many = [LabelledRow(n, f"{n}", f"{letter}{n // 2}") for n, letter in enumerate("aA" * 25)]
    assert (len(remarks(many)), remarks(many)[-1]) == (11, "15 more groups of labels differ in case only")
    several = [row._replace(file=f"{row.line}.csv") for row in rows]
    assert "1 text has more than one label: 4.csv line 4, 5.csv line 5" in remarks(several)
