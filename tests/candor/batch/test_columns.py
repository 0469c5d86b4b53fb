import pytest

from candor.batch.columns import Choice, Table, choose, looks_headless
from candor.batch.rows import RowsError

LONG = ["it broke after a day", "I like this one a lot", "so it came late again", "what a good idea it was"]
GUESSES = {  # names, columns of values, text, label
    "usual names": (["Id", "Review Text", "Rating"], [["1", "2"], ["a", "b"], ["5", "1"]], 1, 2),
    "a title beside the text": (["title", "body", "class"], [["a", "b"], ["c", "d"], ["x", "y"]], 1, 2),
    "a title alone": (["title", "topic"], [["a", "b"], ["x", "y"]], 0, 1),
    "camel case": (["reviewText", "overall"], [["a", "b"], ["5", "1"]], 0, 1),
    "the other of two": (["comment", "verdict"], [["a", "b"], ["x", "y"]], 0, 1),
    "by content": (["v1", "v2"], [["x", "y", "x", "y"], LONG], 1, 0),
    "by content among ids": (["nr", "q", "kind"], [["1", "2", "3", "4"], LONG, ["x", "y", "x", "y"]], 1, 2),
    "text that is a number": (["comment", "remark", "label"], [["1", "2", "3", "4"], LONG, ["x"] * 4], 1, 2),
}


def table(names, values):
    return Table(names, list(zip(*values, strict=True)))


@pytest.mark.parametrize(("names", "values", "text", "label"), GUESSES.values(), ids=GUESSES)
def test_choose_one_choice_is_taken(names, values, text, label):
    assert choose(table(names, values), None, None, labelled=True) == Choice(text, label)


UNCLEAR = {  # names, columns of values, the role that is not clear
    "two texts": (["review", "comment", "label"], [LONG, LONG[::-1], ["x"] * 4], "text"),
    "two labels": (["text", "class", "topic"], [LONG, ["x", "y"] * 2, ["v", "w"] * 2], "label"),
    "an id is no label": (["id", "text"], [["1", "2", "3", "4"], LONG], "label"),
    "values that never come again": (["text", "ref"], [LONG * 3, [f"r{n}" for n in "abcdefghijkl"]], "label"),
    "nothing like a text": (["a", "b"], [["x", "y"], ["v", "w"]], "text"),
}


@pytest.mark.parametrize(("names", "values", "role"), UNCLEAR.values(), ids=UNCLEAR)
def test_choose_unclear_names_columns_and_option(names, values, role):
    with pytest.raises(RowsError) as raised:
        choose(table(names, values), None, None, labelled=True)
    assert raised.value.code == f"no_{role}_column"
    assert "columns are " + ", ".join(map(repr, names)) in raised.value.problem
    assert f"--{role}-column" in raised.value.hint


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("two texts", "; 'review' or 'comment' may hold the texts"),
        ("two labels", "; 'class' or 'topic' may hold the labels"),
        ("an id is no label", "columns are 'id', 'text'"),
        ("nothing like a text", "columns are 'a', 'b'"),
    ],
)
def test_choose_doubtful_columns_are_named(case, said):
    """Where several columns may be meant, the message names them; else it has the list of columns only."""
    names, values, _ = UNCLEAR[case]
    with pytest.raises(RowsError) as raised:
        choose(table(names, values), None, None, labelled=True)
    assert raised.value.problem.endswith(said)
    with pytest.raises(RowsError) as raised:  # a name that the user gives is not in doubt
        choose(table(names, values), "none", "none", labelled=True)
    assert "may hold" not in raised.value.problem


@pytest.mark.parametrize("names", [["Ticket export 2026"], ["Tickets"], ["Date"], ["Weekly report", "", ""]])
def test_choose_title_above_header_is_told(names):
    """The first hint is to delete what stands above the header; a header of usual names has none."""
    rows = [["x"] * len(names)]
    with pytest.raises(RowsError) as raised:
        choose(Table(names, rows), None, None, labelled=True)
    assert raised.value.hint.startswith("delete the lines above the header, if there are any; ")
    assert "--no-header" in raised.value.hint
    with pytest.raises(RowsError) as raised:
        choose(Table(["id", "date", "ref"], [["1", "2", "3"]]), None, None, labelled=True)
    assert "delete the lines" not in raised.value.hint


def test_choose_default_names_win():
    names = ["text", "review", "label", "class"]
    assert choose(Table(names, []), None, None, labelled=True) == Choice(0, 2)
    assert choose(Table(names, []), "review", "class", labelled=True) == Choice(1, 3)


def test_choose_named_column_must_exist():
    names = ["text", "label"]
    with pytest.raises(RowsError, match="no column named 'body'"):
        choose(Table(names, []), "body", None, labelled=False)
    with pytest.raises(RowsError, match="no column named 'stars'"):
        choose(Table(names, []), None, "stars", labelled=True)
    assert choose(Table(names, []), None, None, labelled=False) == Choice(0, None)


@pytest.mark.parametrize(
    ("names", "rows"),
    [
        (["5", "fine"], []),
        (["She liked it.", "yes"], []),
        (["jane@example.com", "yes"], []),
        (["fine", "yes"], [["bad", "no"], ["good", "yes"]]),
    ],
)
def test_headless_first_row_is_noticed(names, rows):
    """The first record is a row, not a header; the message shows nothing of it."""
    assert looks_headless(Table(names, rows))
    assert not looks_headless(Table(["ref", "verdict"], rows))
    with pytest.raises(RowsError) as raised:
        choose(Table(names, rows), None, None, labelled=True)
    assert not [name for name in names if len(name) > 1 and name in raised.value.problem]
    assert "--no-header" in raised.value.hint
