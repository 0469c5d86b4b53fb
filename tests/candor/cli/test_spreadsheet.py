"""results.csv: no cell is a formula in any spreadsheet, and the input's columns stand beside ours on request."""

import csv
import json
import re
import time
import unicodedata

import pytest

from candor.cli.main import main
from candor.cli.spreadsheet import escape_formula, spreadsheet

FORMULAS = [
    "=1+1", "+1", "-1", "@SUM(A1)", "＝1+1", "＋1", "－1", "＠x", "﹦1", "\n=1", "\r=1", "\r\n=1", "\t=1", " =1", '"=1',
    "\u00a0=1", "\u3000＝1", "\ufeff=1", "\u200b=1", "\x00=1", "\x1b=1", "a;=1", "a; =1", 'a;"=1', "a;;=1", "a\t=1",
    "a|=1", "a\n=1", "a\r\n-1", "a;b;@x", "=cmd|' /C calc'!A0", ";=1", " ; =1", "\n;\t =1", '=HYPERLINK("http://e.com","x")',
]  # fmt: skip
PLAIN = [
    "",
    "good",
    "5-1",
    "a=b",
    "jane@example.com",
    "so-so",
    "1+1",
    "a, -b",
    "it's - fine",
    "a ＝ b",
    '"',
    " ",
    "a; b",
    "1|2",
]
BEGINS = re.compile(r'[\s"\x00-\x20\u200b-\u200f\u2060\ufeff]*[=+\-@＝＋－＠﹦﹢﹣﹫]')


@pytest.mark.parametrize("formula", FORMULAS)
def test_escape_formula_wherever_a_cell_may_begin(formula):
    """No cell begins with a formula, however the table is divided: by commas, semicolons, tabs, bars or lines."""
    assert any(map(BEGINS.match, re.split(r"[;|\t\r\n]", formula)))
    escaped = escape_formula(formula)
    assert not [piece for piece in re.split(r"[;|\t\r\n]", escaped) if BEGINS.match(piece)]
    assert escaped.replace("'", "") == formula.replace("'", "")
    assert escape_formula(f"x{formula}") == f"x{formula}" or re.search(r"[;|\t\r\n]", formula)


def test_escape_formula_behind_what_is_not_shown():
    """No character that programs do not show hides a formula; one that is shown makes it a text."""
    unseen = [chr(code) for code in range(0x10000) if unicodedata.category(chr(code)) in ("Cc", "Cf")]
    shown = {*"\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\ufff9\ufffa\ufffb"}  # a number's sign
    unseen = [*sorted({*unseen} - shown), "\ufe0f", "\u034f", "\u3164"]
    assert {"\xad", "\u202e", "\u061c", "\u2066"} <= {*unseen}
    for character in unseen:
        assert escape_formula(f"{character}=1").startswith("'")
        assert "'" in escape_formula(f"a;{character}=1")
    assert escape_formula("\u06dd=1") == "\u06dd=1"


@pytest.mark.parametrize("cell", PLAIN)
def test_escape_formula_leaves_others_alone(cell):
    assert escape_formula(cell) == cell


def test_escape_formula_takes_linear_time():
    """Runs of dividers and white space cost no more a character than words do."""

    def seconds(cell):
        start = time.process_time()
        escape_formula(cell)
        return time.process_time() - start

    for odd in (";", "\n", " ;", '"', "\t", ";="):
        worst = min(seconds(odd * (1_000_000 // len(odd))) for _ in range(3))
        assert worst < 40 * max(min(seconds("good; film " * 90_000) for _ in range(3)), 0.001), odd


def test_spreadsheet_escapes_labels_and_columns():
    """Ids, labels, the text and the names of columns are cells of users, too. No order of their names hides one."""
    result = {"line": 2, "id": "=1", "label": "=a", "decision": "＋b", "probabilities": {"=a": 0.5}, "text": "a;=1"}
    result["columns"] = {"\n=c": "@d", "label": "-e"}
    failed = {"line": 3, "error": {"code": "blank"}, "columns": {"late": "x"}}
    settings = {"text": "mask", "columns": True}
    header, *rows = csv.reader(spreadsheet(lambda: [result, failed], ["=a", "label"], settings))
    assert header == [
        "line",
        "id",
        "label",
        "decision",
        "'=a",
        "label (probability)",
        "error",
        "text",
        "'\n'=c",
        "label (input)",
        "late",
    ]
    assert rows[0] == ["2", "'=1", "'=a", "'＋b", "0.5", "", "", "a;'=1", "'@d", "'-e", ""]
    assert rows[1] == ["3", "", "", "", "", "", "blank", "", "", "", "x"]
    header, *_ = csv.reader(spreadsheet(lambda: [result], ["=a"], {"text": ""}))
    assert header == ["line", "id", "label", "decision", "'=a", "error"]


def scored(path, *options):
    """Score a file; return its results, its table, and all that was written."""
    output = path.parent / "-".join(["out", *options])
    assert main(["score", str(path), str(output), "--processes", "1", "--csv", *options]) == 0
    (folder,) = output.iterdir()
    assert main(["verify", str(folder / "manifest.json")]) == 0
    results = [json.loads(line) for line in (folder / "part-00000.jsonl").read_text().splitlines()]
    with (folder / "results.csv").open(newline="") as file:
        table = list(csv.reader(file))
    return results, table, "".join(each.read_text() for each in folder.iterdir())


def test_score_with_columns_puts_them_beside(tmp_path):
    """The other columns stand in each result and in the table, personal data masked; without the option none does."""
    path = tmp_path / "a.csv"
    path.write_text(
        "id,text,Rating,mail,Password,,Rating\n"
        "1,A wonderful film.,5,jane@example.com,hunter2,,x\n"
        "2,,4,no mail,,y,\n"
        "3,A dull mess.,1\n"
        "4,a,b,c,d,e,f,g\n"
    )
    results, table, written = scored(path, "--with-columns")
    names = ["Rating", "mail", "Password", "column 6", "Rating (column 7)"]
    assert [each.get("columns") for each in results] == [
        dict(zip(names, ["5", "[EMAIL]", "[PASSWORD]", "", "x"], strict=True)),
        dict(zip(names, ["4", "no mail", "", "y", ""], strict=True)),
        dict(zip(names, ["1", "", "", "", ""], strict=True)),
        {},
    ]
    assert table[0][-5:] == names
    assert [row[-5] for row in table[1:]] == ["5", "4", "1", ""]
    assert not [secret for secret in ("wonderful", "jane@", "hunter2") if secret in written]
    _, masked, written = scored(path, "--with-columns", "--with-text", "mask")
    assert masked[1][-6:] == ["A wonderful film.", "5", "*" * 16, "*" * 7, "", "x"]
    assert not [secret for secret in ("jane@", "hunter2") if secret in written]
    results, table, written = scored(path)
    assert table[0] == ["line", "id", "label", "decision", "negative", "positive", "error"]
    assert '"columns"' not in written
    assert "Rating" not in written


def test_score_with_columns_keeps_fields_of_json(tmp_path):
    """Fields of JSON are kept as text, whatever they are; broken Unicode in one costs no row."""
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"id":1,"text":"A wonderful film.","n":7.0,"who":{"mail":"jane@example.com"},"no":null,"odd":"\\ud800é"}\n'
        '{"text":"","late":[true]}\n'
    )
    results, table, written = scored(path, "--with-columns")
    assert results[0]["columns"] == {"n": "7.0", "who": '{"mail":"[EMAIL]"}', "no": "", "odd": "?é"}
    assert results[1]["columns"] == {"late": "[true]"}
    assert table[0][-5:] == ["n", "who", "no", "odd", "late"]
    assert "jane" not in written


def test_spreadsheet_label_called_as_a_column_has_its_own():
    """A label that has the name of one of our columns, or of the input's, has a column of its own."""
    labels = ["error", "label", "text", "queue"]
    result = {"line": 1, "label": "error", "decision": "error", "probabilities": dict.fromkeys(labels, 0.25)}
    result |= {"text": "t", "columns": {"queue": "q"}}
    header, row = csv.reader(spreadsheet(lambda: [result], labels, {"text": "mask", "columns": True}))
    assert len({*header}) == len(header) == len(row)
    named = dict(zip(header, row, strict=True))
    assert (named["label"], named["error"], named["text"], named["queue (input)"]) == ("error", "", "t", "q")
    assert [named[f"{label} (probability)"] for label in labels[:3]] + [named["queue"]] == ["0.25"] * 4
