"""Files as people have them: what other products were reported to get wrong, each with its right rows."""

import gzip
import io
from dataclasses import replace

import pytest

from candor.batch.formats import Format
from candor.batch.labelled import read_labelled
from candor.batch.rows import Reading, RowsError, plan, read, read_chunk, table_of

MAC = 'text,label\r"The café was great, we loved it",pos\r"Don’t buy",neg\rLovely,pos\r'
GOOGLE_PLAY = (
    "Package Name,App Version Code,Review Language,Device,Review Submit Date and Time,Star Rating,Review Title,"
    "Review Text,Developer Reply Text\n"
    'com.e.app,0,en,dev,2024-01-01T10:00:00Z,1,,"Bad app, crashes",\n'
    "com.e.app,1,en,dev,2024-01-02T10:00:00Z,5,,Très bien – merci,\n"
    "com.e.app,2,en,dev,2024-01-03T10:00:00Z,1,,won’t open,\n"
)
SMS = (
    "v1,v2,,,\r\n"
    'ham,"Go until jurong point, crazy.. Available only",,,\r\n'
    "spam,Free entry in 2 a wkly comp £100,,,\r\n"
    "ham,It's ok – see u later,,,\r\n"
    'ham,"Hmm, my ""roommate"" said", and more, here",\r\n'
)
NO_HEADER = (
    '"0","1467810369","Mon Apr 06 22:19:45 PDT 2009","NO_QUERY","_user_","@switch - Awww, a bummer. &lt;3"\n'
    '"4","1467810672","Mon Apr 06 22:19:49 PDT 2009","NO_QUERY","u2","is happy http://twitpic.com/2y1zl"\n'
)
CASES = {  # name of the file, its bytes, its texts, their labels
    "names of a shop": ("a.csv", b"Review Text,Rating\r\nfine,5\r\nso so,3\r\n", ["fine", "so so"], ["5", "3"]),
    "no-break space": (
        "a.csv",
        "text,label\ngood,very\u00a0 good\nbad,bad\nfine,very good\n".encode(),
        ["good", "bad", "fine"],
        ["very good", "bad", "very good"],
    ),
    "Persian": ("a.csv", "text,label\na,می\u200cخواهم\n".encode(), ["a"], ["می\u200cخواهم"]),
    "family": ("a.csv", "text,label\na,👨‍👩‍👧\n".encode(), ["a"], ["👨‍👩‍👧"]),
    "flag": ("a.csv", "text,label\na,🏴󠁧󠁢󠁥󠁮󠁧󠁿\n".encode(), ["a"], ["🏴󠁧󠁢󠁥󠁮󠁧󠁿"]),
    "Mac": (
        "a.csv",
        MAC.encode(),
        ["The café was great, we loved it", "Don’t buy", "Lovely"],
        ["pos", "neg", "pos"],
    ),
    "Mac without a last end": ("a.csv", MAC.encode()[:-1], None, ["pos", "neg", "pos"]),
    "Mac in JSON lines": ("a.jsonl", b'{"text":"a","label":"x"}\r{"text":"b","label":"y"}\r', ["a", "b"], ["x", "y"]),
    "mixed ends": ("a.csv", b"text,label\r\na,x\rb,y\r\nc,x\n", ["a", "b", "c"], ["x", "y", "x"]),
    "mixed ends in JSON lines": (
        "a.jsonl",
        b'{"text":"a","label":"x"}\r\n{"text":"b","label":"y"}\r{"text":"c","label":"x"}\n',
        ["a", "b", "c"],
        ["x", "y", "x"],
    ),
    "fields of a shop": ("a.jsonl", b'{"reviewText":"good film","overall":5}\n', ["good film"], ["5"]),
    "extra comma": ("a.csv", b'text,label\r\n"good film",pos,\r\nbad,neg,,\r\n', ["good film", "bad"], ["pos", "neg"]),
    "short rows": (
        "a.csv",
        b'text,label,notes\r\n"good film",pos\r\nbad,neg,\r\nfine,pos,ok\r\n',
        ["good film", "bad", "fine"],
        ["pos", "neg", "pos"],
    ),
    "semicolons": ("a.csv", b"text;label\nso, so;x\nb;y\n", ["so, so", "b"], ["x", "y"]),
    "a line that names the delimiter": ("a.csv", b"sep=;\r\ntext;label\r\nso, so;x\r\n", ["so, so"], ["x"]),
    "tabs in CSV": ("a.csv", b"text\tlabel\nso, so\tx\n", ["so, so"], ["x"]),
    "bars": ("a.csv", b"id|text|label\n1|so, so|x\n2|b|y\n", ["so, so", "b"], ["x", "y"]),
    "TSV": ("a.tsv", b'label\ttext\nx\tsay "so"\n', ['say "so"'], ["x"]),
    "NDJSON": ("a.ndjson", b'{"text":"a","label":"x"}\n', ["a"], ["x"]),
    "array": (
        "a.json",
        b'\n[ {"text": "a,\\n[b]",\n"label": "x"}\n, {"text":"\xc3\xa9","label":"y"}]\n',
        ["a,\n[b]", "é"],
        ["x", "y"],
    ),
    "array under another name": ("a.jsonl", b'[{"text":"a","label":"x"}]', ["a"], ["x"]),
    "lines named .json": ("a.json", b'{"text":"a","label":"x"}\n{"text":"b","label":"y"}\n', ["a", "b"], ["x", "y"]),
    "UTF-16": (
        "a.csv",
        GOOGLE_PLAY.encode("utf-16"),
        ["Bad app, crashes", "Très bien – merci", "won’t open"],
        ["1", "5", "1"],
    ),
    "UTF-16, big-endian": ("a.csv", b"\xfe\xff" + GOOGLE_PLAY.encode("utf-16-be"), None, ["1", "5", "1"]),
    "blank lines first": ("a.csv", b"\r\n\r\ntext;label\r\na;x\r\n", ["a"], ["x"]),
    "a list of labels by its usual name": ("a.jsonl", b'{"text":"a","labels":["x"]}\n', ["a"], ["x"]),
    "blank rows": (
        "a.csv",
        "\ufefftext,label\r\n=good value,pos\r\n-bad,neg\r\n,\r\n , \r\n".encode(),
        ["=good value", "-bad"],
        ["pos", "neg"],
    ),
    "blank in any script": (
        "a.csv",
        '\n \u00a0\ntext,label\n\na,x\n \n"",\n" ","\u3000"\n\u3000,\u2003\n\x0b\x0c,\n\u0085\n"\n",\nb,y\n\n'.encode(),
        ["a", "b"],
        ["x", "y"],
    ),
    "blank in any script, with tabs": (
        "a.tsv",
        'text\tlabel\na\tx\n \t"\u00a0"\n\t\u3000\nb\ty\n'.encode(),
        None,
        ["x", "y"],
    ),
    "blank lines in JSON lines": (
        "a.jsonl",
        '\n\u00a0\n{"text":"a","label":"x"}\n\n \n\u3000\n\x0b\r\u2028\r\n{"text":"b","label":"y"}\n\n'.encode(),
        ["a", "b"],
        ["x", "y"],
    ),
    "joined files": (
        "a.jsonl",
        '\ufeff{"text":"a","label":"x"}\n\ufeff{"text":"b","label":"y"}\n'.encode(),
        ["a", "b"],
        ["x", "y"],
    ),
    "a number of 5,000 digits": (
        "a.jsonl",
        b'{"id":%s,"n":[-%s],"text":"a","label":"x"}\n' % (b"1", b"9" * 5000),
        ["a"],
        ["x"],
    ),
    "blank rows with semicolons": ("a.csv", b"text;label\r\na;x\r\n;\r\n;;\r\n", ["a"], ["x"]),
    "a list of one label": ("a.jsonl", b'{"id":1,"text":"good","label":["pos"]}\n', ["good"], ["pos"]),
    "one number": (
        "a.jsonl",
        b'{"text":"a","label":5}\n{"text":"b","label":5.0}\n{"text":"c","label":"5"}\n{"text":"d","label":"5.00"}\n',
        ["a", "b", "c", "d"],
        ["5", "5", "5", "5"],
    ),
    "a bar in a label": ("a.csv", b"text,label\na,x|y\n", ["a"], ["x|y"]),
}


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize(("name", "content", "texts", "labels"), CASES.values(), ids=CASES)
def test_case_reads_the_same_in_every_reader(name, content, texts, labels, packed):
    """Training, scoring and chunks of one record give the same texts in the same lines."""
    name, content = (f"{name}.gz", gzip.compress(content)) if packed else (name, content)
    labelled = list(read_labelled(io.BytesIO(content), name))
    assert [row.label for row in labelled] == labels
    assert texts is None or [row.text for row in labelled] == texts
    scored = list(read(io.BytesIO(content), name))
    assert [(row.line, row.text, row.error) for row in scored] == [(row.line, row.text, "") for row in labelled]
    file_format, chunks = plan([content], Format.of(name), 1, 1)
    chunks = list(chunks)
    assert sum(chunk.rows for chunk in chunks) == len(labels)
    assert all(chunk.rows < 2 for chunk in chunks)
    parts = [content[chunk.begin : chunk.end] if file_format.seekable else content for chunk in chunks]
    cut = [row for chunk, part in zip(chunks, parts, strict=True) for row in read_chunk([part], file_format, chunk)]
    assert cut == scored


def test_case_encoding_that_is_named():
    """Bytes that are no UTF-8 are refused with the encoding that they suggest, and read once it is named."""
    content = SMS.encode("cp1252")
    with pytest.raises(RowsError) as raised:
        list(read_labelled(io.BytesIO(content), "a.csv"))
    assert raised.value.problem == "lines 3, 4 are not valid UTF-8; the bytes suggest cp1252"
    assert raised.value.hint == "pass --encoding cp1252"
    assert {row.error for row in read(io.BytesIO(content), "a.csv")} == {"", "invalid_encoding"}
    said: list[str] = []
    named = Reading(encoding="windows-1252")
    rows = list(read_labelled(io.BytesIO(content), "a.csv", reading=named, say=said.append))
    assert [row.label for row in rows] == ["ham", "spam", "ham", "ham"]
    assert rows[1].text.endswith("£100")
    assert rows[3].text == 'Hmm, my "roommate" said'
    assert said == ["reading texts from 'v2', labels from 'v1'"]
    assert [row.text for row in read(io.BytesIO(content), "a.csv", reading=named)] == [row.text for row in rows]


def test_case_header_in_another_encoding():
    """A header that is no UTF-8 is said to be so, unless the columns that are read are there."""
    content = "texte,catégorie\ncafé,x\n".encode("cp1252")
    with pytest.raises(RowsError) as raised:
        list(read_labelled(io.BytesIO(content), "a.csv"))
    assert raised.value.problem == "the header is not valid UTF-8; the bytes suggest cp1252"
    (row,) = read_labelled(io.BytesIO(content), "a.csv", "texte", "catégorie", Reading(encoding="cp1252"))
    assert (row.text, row.label) == ("café", "x")
    content = "text,label,catégorie\na,x,y\n".encode("cp1252")
    assert [row.text for row in read(io.BytesIO(content), "a.csv")] == ["a"]


def test_case_other_delimiter_in_tsv_is_named():
    with pytest.raises(RowsError) as raised:
        list(read(io.BytesIO(b"body;label\na;x\n"), "a.tsv"))
    assert raised.value.hint.endswith("pass --delimiter semicolon")
    (row,) = read(io.BytesIO(b"body;label\na;x\n"), "a.tsv", reading=Reading(delimiter="semicolon"))
    assert row.text == "a"


def test_case_without_header_needs_the_option():
    """The message shows no text and says how to go on; the option reads the first line as a row."""
    with pytest.raises(RowsError) as raised:
        list(read(io.BytesIO(NO_HEADER.encode()), "a.csv"))
    said = f"{raised.value} {raised.value.hint}"
    assert "there seems to be no header" in said
    assert "--no-header" in said
    assert "--text-column 6" in said
    assert not [word for word in ("switch", "Awww", "14678", "user", "QUERY") if word in said]
    content, named = io.BytesIO(NO_HEADER.encode()), Reading(header=False)
    rows = list(read_labelled(content, "a.csv", "6", "1", named))
    assert [(row.line, row.label) for row in rows] == [(1, "0"), (2, "4")]
    assert rows[1].text.startswith("is happy")
    content.seek(0)
    assert [row.id for row in read(content, "a.csv", "6", "2", named)] == ["1467810369", "1467810672"]
    with pytest.raises(RowsError) as raised:  # short ones that cannot be told from a header
        list(read(io.BytesIO(b"good film,pos\nbad film,neg\n"), "a.csv"))
    assert "good" not in f"{raised.value} {raised.value.hint}"
    assert "--no-header" in raised.value.hint
    with pytest.raises(RowsError, match="no column 7: the file has 6"):
        list(read(io.BytesIO(NO_HEADER.encode()), "a.csv", "7", reading=named))


def test_case_plain_lines_of_a_mac():
    assert [row.text for row in read(io.BytesIO(b"good film\rbad film\rfine"), "a.txt")] == [
        "good film",
        "bad film",
        "fine",
    ]


def test_case_more_text_than_cells_is_ragged():
    """A row with more text than cells is an error; one with fewer cells has none."""
    content = b"id,text\n1,a,b\n2\n3,c,\n"
    assert [row.error for row in read(io.BytesIO(content), "a.csv")] == ["ragged", "blank", ""]
    with pytest.raises(RowsError, match="line 2 has 3 cells, the header 2"):
        list(read_labelled(io.BytesIO(b"text,label\na,b,c\n"), "a.csv"))
    assert list(read_labelled(io.BytesIO(b"text,label\na,b,\n"), "a.csv"))


def test_case_several_labels_are_refused():
    """A list of several labels is refused in one sentence; a list of none is a text without a label."""
    many = b'{"text":"a","label":["x","y"]}\n{"text":"b","label":[]}\n{"text":"c","label":["x"]}\n'
    with pytest.raises(RowsError) as raised:
        list(read_labelled(io.BytesIO(many), "a.jsonl", unlabelled=True))
    assert (raised.value.code, raised.value.problem) == (
        "multi_label",
        "line 1 has 2 labels: Candor learns one label a text",
    )
    rows = list(read_labelled(io.BytesIO(many), "a.jsonl", unlabelled=True, skip_bad_rows=True))
    assert [(row.text, row.label) for row in rows] == [("b", ""), ("c", "x")]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b'{"data":\n[{"text":"Xyzzy"}]}', "it is neither a JSON array of objects nor one JSON object a line"),
        (b'[{"text":"a"},\n{"text":"Xyzzy"', "the array is damaged or cut off: what begins in line 2 is not JSON"),
        (b'[{"text":"a"},\n', "the array is cut off in line 2"),
    ],
)
def test_json_damaged_is_refused(content, problem):
    with pytest.raises(RowsError) as raised:
        list(read(io.BytesIO(content), "a.json"))
    assert raised.value.problem == problem
    assert [row.text for row in read(io.BytesIO(b'[{"text":"a"},\n{"text":"b"}]'), "a.json")] == ["a", "b"]
    assert list(read(io.BytesIO(b"[]"), "a.json")) == []


@pytest.mark.parametrize("delimiter", [";", "semicolon", "^", r"\t", "tab"])
def test_delimiter_given_is_used(delimiter):
    """A delimiter that is given counts, also one that is not looked for."""
    character = {"semicolon": ";", "tab": "\t", r"\t": "\t"}.get(delimiter, delimiter)
    content = f"text{character}label\na, b|c{character}x\n".encode()
    (row,) = read_labelled(io.BytesIO(content), "a.csv", reading=Reading(delimiter=delimiter))
    assert (row.text, row.label) == ("a, b|c", "x")


@pytest.mark.parametrize("delimiter", ["ab", "a", '"', "\n", " ", "é"])
def test_delimiter_that_is_none_is_refused(delimiter):
    with pytest.raises(ValueError, match="no delimiter"):
        Reading(delimiter=delimiter)
    assert Reading(delimiter="|").delimiter == "|"


BLANK = ["", " ", "\t", "\u00a0", "\u3000", "\u0085", "\u2028", "\x0b\x0c", "\x1c", "\u1680\u2000\u200a\u202f\u205f"]
FULL = ["0", "\u200b", "\x01", "\u0301"]


@pytest.mark.parametrize("kind", ["txt", "jsonl", "csv", "tsv"])
def test_blank_lines_count_alike_in_every_format(kind):
    """The same lines are blank in every format, be they first or last, and their number is known; no others are."""
    row = {"txt": "{}", "jsonl": '{{"text":"{}"}}', "csv": '"{}"', "tsv": "{}"}[kind]
    end = "\r\n" if kind == "csv" else "\n"
    header = ["text"] if kind in ("csv", "tsv") else []
    lines = [*BLANK, *header, *(blank or row.format("a") for blank in BLANK), row.format("b"), *BLANK]
    content = end.join(lines).encode()
    blank: list[int] = []
    file_format, chunks = plan([content], Format.of(f"a.{kind}"), 40, 3, blank.append)
    chunks = list(chunks)
    texts = [row.text for chunk in chunks for row in read_chunk([content[chunk.begin : chunk.end]], file_format, chunk)]
    assert texts == ["a", "b"] == [row.text for row in read(io.BytesIO(content), f"a.{kind}")]
    assert sum(blank) == 3 * len(BLANK) - 1  # one stands for a row
    if kind != "jsonl":
        for full in FULL:
            content = "\n".join([*header, full]).encode()
            assert len(list(read(io.BytesIO(content), f"a.{kind}"))) == 1


IDS = {
    "7": "7", "7.0": "7.0", "1.10": "1.10", "-0": "0", "1e400": "1e400", "true": "true", "false": "false", '""': "",
    "123456789012345678901234567890": "123456789012345678901234567890", '"a"': "a", "null": None,
    '{"$oid":"5f"}': '{"$oid":"5f"}', '[1, "é"]': '[1,"é"]',
}  # fmt: skip


def test_ids_of_any_kind_lose_no_row():
    """An id is kept as text, as it is written; null is none. Earlier rules, by which old results hold, lost the row."""
    content = "".join(f'{{"id":{name},"text":"good"}}\n' for name in IDS).encode()
    found = list(read(io.BytesIO(content), "a.jsonl"))
    assert [(row.id, row.text) for row in found] == [(name, "good") for name in IDS.values()]
    file_format, chunks = plan([content], replace(Format.of("a.jsonl"), rules=2), 1 << 20, 100)
    errors = [row.error for row in read_chunk([content], file_format, next(chunks))]
    assert errors.count("wrong_type") == 7


OTHERS = {  # name, content, what is said, what helps
    "columns of pandas": (
        "a.json",
        b'{"text":{"0":"Xyzzy","1":"Xyzzy"},"id":{"0":5,"1":6}}',
        "it is one object that holds whole columns, as pandas' to_json writes them",
        "to_json(orient='records', lines=True)",
    ),
    "lists of pandas": ("a.json", b'{"text":["Xyzzy"],"id":[5]}', "holds whole columns", "orient='records'"),
    "a split table of pandas": (
        "a.json",
        b'{"columns":["text"],"index":[0],"data":[["Xyzzy"]]}',
        "holds whole columns",
        "orient='records'",
    ),
    "an answer of an API": (
        "a.json",
        b'{"total":1,"data":[{"text":"Xyzzy"}]}',
        "its rows stand in the field 'data' of one object",
        "jq -c '.data[]' in.json",
    ),
    "an answer in a field of an odd name": (
        "a.json",
        b'{"Jane \'; rm":[{"text":"Xyzzy"}]}',
        "rows stand",
        '.["NAME"][]',
    ),
    "an object on several lines": (
        "a.json",
        b'{\n"text": "Xyzzy"\n}\n',
        "it is neither a JSON array of objects nor one JSON object a line",
        "jq -c . in.json",
    ),
    "JSON named as a table": ("a.csv", b'{"text":"Xyzzy"}\n', "it is JSON, whatever its name says", ".jsonl"),
    "an array named as a table": ("a.tsv", b'[{"text":"Xyzzy"}]\n', "it is JSON, whatever its name says", ".json"),
    "a PDF": ("a.csv", b"%PDF-1.7\n", "it is a PDF, whatever its name says", "export it as CSV"),
    "an old spreadsheet": ("a.csv", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old spreadsheet", "export it as CSV"),
    "a web page": ("a.csv", b"<!DOCTYPE html>", "it is a web page", "export it as CSV"),
    "another archive": ("a.jsonl", b"\x28\xb5\x2f\xfd\x04\x00", "it is a zstd archive", "unpack it first"),
    "a delimiter that is not looked for": (
        "a.csv",
        b"id^text\n1^Xyzzy\n",
        "its columns are 'id^text'",
        "pass --delimiter '^'",
    ),
}


@pytest.mark.parametrize(("name", "content", "problem", "hint"), OTHERS.values(), ids=OTHERS)
def test_file_of_another_kind_says_what_was_seen(name, content, problem, hint):
    """A file that is not what its name says is refused with what it is and what helps, and without a text of it."""
    with pytest.raises(RowsError) as raised:  # when the file is opened, or once no row of it could be scored
        (list(read(io.BytesIO(content), name)), table_of(io.BytesIO(content), name))
    assert problem in raised.value.problem
    assert hint in raised.value.hint
    assert "Xyzzy" not in f"{raised.value} {raised.value.hint}"


def test_file_that_looks_like_another_kind_is_read():
    """Plain lines may begin in any way, and an object may hold a list."""
    for start in ("<html> is a tag", "%PDF- is how they begin", "PAR1", "<?xml"):
        assert [row.text for row in read(io.BytesIO(f"{start}\n".encode()), "a.txt")] == [start]
    content = b'{"text":"good","data":[{"a":1}],"0":{"0":1}}\n'
    assert [row.text for row in read(io.BytesIO(content), "a.json")] == ["good"]
    assert [row.text for row in read(io.BytesIO(b"id^text\n1^good\n"), "a.csv", reading=Reading(delimiter="^"))] == [
        "good"
    ]
