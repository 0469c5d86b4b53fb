"""Find the columns of texts and labels: those that are named, else the usual names, else what the content shows.

Nothing is guessed unless there is one choice. A message lists the columns that are there, and never a text: where the
first record looks like a row, it says that there seems to be no header.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from candor.batch.faults import RowsError, is_name, shown
from candor.batch.formats import DEFAULT_LABEL, DEFAULT_TEXT, DELIMITERS
from candor.limits import MAX_SHOWN_NAME, MAX_SHOWN_NAMES

SAMPLE_ROWS = 200
"""Rows that are looked at to find a column that is not named."""
SAMPLE_BYTES = 1 << 18
MAX_DOUBTFUL = 3
"""Columns that a message names as the ones that may be meant."""

# Usual names in lower case, without what is no letter or digit; the second list where none of the first is there.
_TEXT_NAMES = (
    "text texts review reviews reviewtext reviewbody reviewcontent body textbody message messages messagetext msg "
    "comment comments commenttext content contents sentence sentences tweet tweets tweettext document utterance "
    "feedback description post posttext fulltext emailtext emailbody verbatim 文本 内容 评论 评价 本文 レビュー",
    "title headline subject summary question query phrase",
)
_LABEL_NAMES = (
    "label labels labelname class classes classlabel category categories sentiment rating ratings reviewrating star "
    "stars starrating target targets queue topic intent tag tags polarity overall emotion genre 标签 类别 情感",
    "score y type department airlinesentiment sentimentlabel classindex classid labelid",
)
_OTHER_NAMES = "id index no nr number row key uuid date time timestamp created createdat url link"
_USUAL = {name for names in (_OTHER_NAMES, *_TEXT_NAMES, *_LABEL_NAMES) for name in names.split()}
_ABOVE = "delete the lines above the header, if there are any"
_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)*")


class Table(NamedTuple):
    """The names of a file's columns, and its first rows: a cell for each column, "" where there is none."""

    names: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbered: bool = False
    """There is no header: columns are named by their numbers."""
    is_json: bool = False

    def values(self, index: int) -> list[str]:
        """Return the cells of a column that are not blank, without white space around."""
        return [cell for row in self.rows if (cell := row[index].strip())]


class Choice(NamedTuple):
    """Indices of the columns of texts and labels; None where labels are not asked for."""

    text: int
    label: int | None


def choose(table: Table, text: str | None, label: str | None, *, labelled: bool) -> Choice:
    """Return the columns to read.

    Args:
        table: The names of the columns, and some rows.
        text: The column of texts that the user names; None: find it.
        label: The column of labels, likewise.
        labelled: Whether labels are read.

    Raises:
        RowsError: A column that is named is not there, or more than once; or one that is not named is not clear.

    Example:
        >>> choose(Table(["id", "Review Text", "Rating"], [["1", "good film", "5"]]), None, None, labelled=True)
        Choice(text=1, label=2)
    """
    texts = _named(table, "text", text)
    labels = _named(table, "label", label) if labelled else None
    if texts is None:
        texts = _guess(table, _TEXT_NAMES, _may_be_text, _is_text, labels)
    if labelled and labels is None:
        labels = _guess(table, _LABEL_NAMES, _may_be_label, _is_label, texts)
    if labelled and (texts is None) != (labels is None):  # of two columns the other one is left
        rest = [index for index, name in enumerate(table.names) if name.strip() and index not in (texts, labels)]
        may_be = _may_be_text if texts is None else _may_be_label
        name = table.names[rest[0]] if len(rest) == 1 else ""
        if name and is_name(name) and may_be(table.values(rest[0]), _bare(name)):
            texts, labels = (rest[0], labels) if texts is None else (texts, rest[0])
    if texts is None or (text is None and texts == labels):
        raise missing(
            table, "text", text, [] if text else _candidates(table, _TEXT_NAMES, _may_be_text, _is_text, labels)
        )
    if labelled and (labels is None or (label is None and texts == labels)):
        among = [] if label else _candidates(table, _LABEL_NAMES, _may_be_label, _is_label, texts)
        raise missing(table, "label", label, among)
    return Choice(texts, labels)


def matching(names: Sequence[str], wanted: str, role: str, *, trim: bool) -> int | None:
    """Return the index of the column with exactly this name; with `trim` else one that only differs by outer blanks.

    Raises:
        RowsError: Several columns have the name.
    """
    for trimmed in (str, str.strip) if trim else (str,):
        matches = [index for index, name in enumerate(names) if trimmed(name) == trimmed(wanted)]
        if len(matches) > 1:
            problem = f"{len(matches)} columns named {wanted!r} among {listed(names)}"
            code = "no_text_column" if role == "text" else f"two_{role}_columns"
            raise RowsError(code, problem=problem, hint=f"rename one, or {_option(role)}")
        if matches:
            return matches[0]
    return None


def listed(names: Sequence[str]) -> str:
    """Return the names of columns as messages list them.

    Example:
        >>> listed(["id", "your view"]), listed(["good film", "pos"])
        ("'id', 'your view'", "one of 9 characters, 'pos'")
    """
    named = [shown_column(names, index) for index, name in enumerate(names) if name.strip()]
    more = [f"{len(named) - MAX_SHOWN_NAMES} more"] if len(named) > MAX_SHOWN_NAMES else []
    return ", ".join([*named[:MAX_SHOWN_NAMES], *more]) or "none"


def shown_column(names: Sequence[str], index: int) -> str:
    """Return a column's name as messages show it: where no name is a usual one, several words may be a text."""
    name = names[index]
    single = len(name.split()) == 1 or any(_bare(each) in _USUAL for each in names)
    return shown(name) if single else f"one of {len(name)} characters"


def looks_headless(table: Table) -> bool:
    """Return whether the first record looks like a row: a number, a sentence, or a value that comes again below.

    Example:
        >>> looks_headless(Table(["0", "fine"], [])), looks_headless(Table(["id", "text"], [["1", "fine"]]))
        (True, False)
    """
    if table.numbered or table.is_json or any(_bare(name) in _USUAL for name in table.names):
        return False
    for index, name in enumerate(table.names):
        bare = name.strip()
        if bare and (not is_name(name) or _NUMBER.fullmatch(bare) or bare in table.values(index)):
            return True
    return False


def missing(table: Table, role: str, wanted: str | None, doubtful: Sequence[int] = ()) -> RowsError:
    """Return the error for a column that is not there, or not clear.

    Args:
        table: The names of the columns, and some rows.
        role: "text", "label" or "id".
        wanted: The column that the user names; for an id there is one.
        doubtful: Indices of the columns of which each may be the one.
    """
    if looks_headless(table):
        return _headless(table)
    if table.numbered:
        problem = (
            f"no column {wanted}: the file has {len(table.names)}" if wanted else f"the column of {role}s is not clear"
        )
        return RowsError(
            f"no_{role}_column",
            problem=problem,
            hint=f"pass --{role}-column with a number from 1 to {len(table.names)}",
        )
    kind = "fields" if table.is_json else "columns"
    wanted = wanted or {"text": DEFAULT_TEXT, "label": DEFAULT_LABEL}[role]
    from difflib import get_close_matches  # 3 ms that only an error pays

    close = get_close_matches(wanted.strip().lower(), [name.strip().lower() for name in table.names], 1)
    likely = [name for name in table.names if [name.strip().lower()] == close and len(name) <= MAX_SHOWN_NAME]
    problem = f"no {kind[:-1]} named {wanted!r}; its {kind} are {listed(table.names)}"
    if 2 <= len(doubtful) <= MAX_DOUBTFUL:
        problem += f"; {' or '.join(shown_column(table.names, index) for index in doubtful)} may hold the {role}s"
    return RowsError(f"no_{role}_column", problem=problem, hint=_hint(table, role, likely))


def _hint(table: Table, role: str, likely: Sequence[str]) -> str:
    if len(table.names) == 1 and not table.is_json and " " not in table.names[0]:
        for name, character in DELIMITERS.items():
            if character in table.names[0]:
                return f"its cells seem to be divided by another character: pass --delimiter {name}"
        if divider := _divider(table.names[0], (*likely, DEFAULT_TEXT)):
            return f"its cells seem to be divided by another character: pass --delimiter '{divider}'"
    usual = table.is_json or likely or (len(table.names) > 1 and any(_bare(name) in _USUAL for name in table.names))
    if usual:
        return _option(role, *likely[:1])
    return f"{_ABOVE}; {_option(role)}; if the file has no header, pass --no-header"


def _divider(header: str, wanted: Sequence[str]) -> str:
    """Return a character that divides a header so that one of the pieces has a usual name of a column; else ""."""
    for character in dict.fromkeys(header):
        if character.isascii() and character.isprintable() and not character.isalnum() and character not in "\"' _-.":
            pieces = [_bare(piece) for piece in header.split(character)]
            if all(pieces) and any(piece in _USUAL or piece in wanted for piece in pieces):
                return character
    return ""


def _headless(table: Table) -> RowsError:
    rows = Table([str(number) for number in range(1, len(table.names) + 1)], [table.names, *table.rows], numbered=True)
    text = _guess(rows, (), _may_be_text, _is_text, None)
    label = _guess(rows, (), _may_be_label, _is_label, text)
    numbers = ["N" if index is None else str(index + 1) for index in (text, label)]
    problem = f"there seems to be no header: line 1, of {len(table.names)} cells, looks like a row"
    hint = (
        f"{_ABOVE}; if the file has no header, pass --no-header, and columns by their number: "
        f"--text-column {numbers[0]} (--label-column {numbers[1]}); "
        "if line 1 is a header, pass --text-column NAME"
    )
    return RowsError("no_header", problem=problem, hint=hint)


def _named(table: Table, role: str, wanted: str | None) -> int | None:
    """Return the column that the user names, or the one of the default name if there is one."""
    if wanted is None:
        if table.numbered:
            return None
        return matching(table.names, {"text": DEFAULT_TEXT, "label": DEFAULT_LABEL}[role], role, trim=True)
    found = matching(table.names, wanted, role, trim=True)
    if found is None:
        raise missing(table, role, wanted)
    return found


def _option(role: str, name: str = "NAME") -> str:
    from shlex import quote

    return f"pass --{role}-column {quote(name)} (make: {role.upper()}={quote(name)})"


# Guesses

_Test = Callable[[Sequence[str], str], bool]


def _guess(table: Table, usual: Iterable[str], may_be: _Test, is_one: _Test, taken: int | None) -> int | None:
    """Return the one column of a usual name, else the one whose content says what it is, else None."""
    found = _candidates(table, usual, may_be, is_one, taken)
    return found[0] if len(found) == 1 else None


def _candidates(table: Table, usual: Iterable[str], may_be: _Test, is_one: _Test, taken: int | None) -> list[int]:
    """Return the columns of usual names, those first whose content says so, else those whose content alone does."""
    if looks_headless(table):
        return []
    named: list[int] = []
    bare = [_bare(name) for name in table.names]
    free = [index for index in range(len(bare)) if index != taken and may_be(table.values(index), bare[index])]
    for names in usual:
        known = [index for index in free if bare[index] in names.split()]
        if len(known) == 1:
            return known
        if known:
            free = named = known
            break
    return [index for index in free if is_one(table.values(index), bare[index])] or named


def _bare(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())


def _may_be_text(values: Sequence[str], name: str) -> bool:
    return not values or any(re.search(r"[^\W\d_]", value) for value in values)


def _is_text(values: Sequence[str], name: str) -> bool:
    """Return whether cells look like texts: several words each, mostly letters, and hardly two alike."""
    if len(values) < 2 or len(set(values)) < 0.7 * len(values):
        return False
    words = sum(len(value.split()) + len(re.findall(r"[\u0e00-\u0eff\u3040-\u9fff]", value)) for value in values)
    letters = sum(character.isalpha() for value in values for character in value)
    return words >= 3 * len(values) and letters >= 0.5 * sum(map(len, values))


def _may_be_label(values: Sequence[str], name: str) -> bool:
    """Return whether cells may be labels: short, and some of them alike where there are many."""
    different = len(set(values))
    return (
        name not in _OTHER_NAMES.split()
        and all(len(value) <= 100 for value in values)
        and (len(values) < 10 or different <= 0.5 * len(values))
    )


def _is_label(values: Sequence[str], name: str) -> bool:
    """Return whether cells look like labels: two or more short values, each of them several times."""
    different = set(values)
    short = all(len(value.split()) <= 4 and len(value) <= 40 for value in different)
    return 2 <= len(different) <= len(values) / 2 and short and not name.endswith("id")
