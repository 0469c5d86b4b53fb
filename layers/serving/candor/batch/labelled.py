"""Read labelled texts, to train or to evaluate: files with a column of labels, or a folder for each label.

The records are those that scoring reads. All rows that cannot be used are named at once, by their lines, or left out
if the user says so. No message shows a text.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, NamedTuple

from candor.batch import decode
from candor.batch.columns import listed
from candor.batch.faults import READERS, RowsError, shown
from candor.batch.formats import Format, Reading
from candor.batch.labels import LabelError, MultiLabelError, case_variants, normalised
from candor.batch.records import Record, cells, emptiness, without_end
from candor.batch.rows import cell_at, chosen, file_blocks, fit, not_utf8, opened, whole_number
from candor.limits import MAX_LINE_BYTES, MAX_SHOWN_LINES

Say = Callable[[str], None]
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)


class LabelledRow(NamedTuple):
    """A text, also one too long to score, and its label, or "".

    `line` is where it starts, from 1; `file` is empty where only one is read.
    """

    line: int
    text: str
    label: str
    file: str = ""


class _Bad(NamedTuple):
    """A row that cannot be used: what its line does, and what helps."""

    line: int
    problem: str
    hint: str
    code: str = "bad_row"
    data: bytes = b""
    reason: str = ""
    """What is wrong with this row in particular; several rows show that of the first one."""


def read_labelled(
    file: IO[bytes],
    name: str,
    text_column: str | None = None,
    label_column: str | None = None,
    reading: Reading | None = None,
    *,
    unlabelled: bool = False,
    skip_bad_rows: bool = False,
    say: Say = lambda sentence: None,
) -> Iterator[LabelledRow]:
    r"""Yield the labelled rows of a file.

    Labels are in their one form (candor.batch.labels). Texts may be longer than a request may have them. A blank
    text with a label cannot be used.

    Args:
        file: The file's bytes.
        name: Its name, whose end tells the format.
        text_column: The column of texts, or field of JSON. None: `text`, or else what is clearly the texts.
        label_column: The column of labels, likewise.
        reading: What the user says about the file.
        unlabelled: Accept rows without a label; theirs is "". Those without a text, too, are left out.
        skip_bad_rows: Leave out rows that cannot be used.
        say: Called with sentences on what was found out or left out.

    Raises:
        RowsError: The file cannot be read, or, after the last row, some rows cannot be used: it names all of them.

    Example:
        >>> from io import BytesIO
        >>> list(read_labelled(BytesIO(b"text,label\ngood, pos \n"), "reviews.csv"))
        [LabelledRow(line=2, text='good', label='pos', file='')]
    """
    bad: list[_Bad] = []
    try:
        asked = Format.of(name, text_column, reading=reading)
        if asked.kind == "txt":
            _, decoded, _ = decode.decoded(file_blocks(file), asked)
            tabbed = b"\t" in next(iter(decoded), b"").partition(b"\n")[0]
            raise RowsError("no_labels", hint="its lines hold tabs: rename it to .tsv" if tabbed else "")
        found = opened(file_blocks(file), replace(asked, label_column=label_column, labelled=True))
        if (text_column or "text", label_column or "label") != (found.format.text_column, found.format.label_column):
            say(chosen(found.format))
        for row in _rows(found.records, found.format, found.line):
            if isinstance(row, _Bad):
                bad.append(row)
            elif row.label and not row.text.strip():
                bad.append(
                    _Bad(row.line, "has a label, but no text|have a label, but no text", "give every row a text")
                )
            elif row.label or (unlabelled and row.text.strip()):
                yield row
            elif not unlabelled:
                bad.append(_Bad(row.line, "has no label|have no label", "give every row a label"))
        if bad and not skip_bad_rows:
            raise _all_of(bad, found.format)
        if bad:
            say(f"{_problems(bad)}: left out")
    except RowsError as error:
        raise error.named(name) from None


def read_all(
    paths: Sequence[Path],
    text_column: str | None = None,
    label_column: str | None = None,
    reading: Reading | None = None,
    *,
    unlabelled: bool = False,
    skip_bad_rows: bool = False,
    say: Say = lambda sentence: None,
) -> Iterator[LabelledRow]:
    """Yield the labelled rows of files and folders, one after the other.

    A folder has a sub-folder for each label, with a text in each of its .txt files, or it has files with labels.

    Args:
        paths: Files and folders.
        text_column: As for read_labelled.
        label_column: As for read_labelled.
        reading: As for read_labelled.
        unlabelled: As for read_labelled.
        skip_bad_rows: As for read_labelled.
        say: As for read_labelled.

    Raises:
        RowsError: A file cannot be read, a row cannot be used, or a folder has no labelled texts.
        OSError: A file cannot be opened.
    """
    sources = [(each, path) for path in paths for each in (labelled_files(path) if path.is_dir() else [path])]
    several = len(sources) > 1
    blank: list[str] = []

    def told(sentence: str, file: Path) -> None:
        say(f"{file.name}: {sentence}" if several else sentence)

    for file, given in sources:
        name = str(file.relative_to(given)) if given.is_dir() else file.name
        if given.is_dir() and file.parent != given:
            row = LabelledRow(1, _whole_text(file, name, reading or Reading()), _folder_label(file.parent), name)
            if row.text.strip():
                yield row
            else:
                blank.append(name)
            continue
        with file.open("rb") as content:
            for row in read_labelled(
                content,
                file.name,
                text_column,
                label_column,
                reading,
                unlabelled=unlabelled,
                skip_bad_rows=skip_bad_rows,
                say=lambda sentence, file=file: told(sentence, file),  # type: ignore[misc]  # mypy: no default of a lambda
            ):
                yield row._replace(file=name) if several else row
    if blank:
        problem = f"{_count(len(blank), 'file has no text', 'files have no text')}: {_some(blank)}"
        if not skip_bad_rows:
            hint = "delete them, or leave them out: --skip-bad-rows"
            raise RowsError("bad_row", ", ".join(path.name for path in paths), problem, hint)
        say(f"{problem}: left out")


def labelled_files(folder: Path) -> list[Path]:
    """Return the files of a folder that hold labelled texts: one a text below a folder a label, else those in it.

    Raises:
        RowsError: There are none.
    """
    visible = sorted(each for each in folder.iterdir() if not each.name.startswith("."))
    texts = {each: _texts_of(each) for each in visible if each.is_dir()}
    if sum(map(bool, texts.values())) > 1:
        return [file for files in texts.values() for file in files]
    tables = tuple(kind + packed for kind in READERS if kind != ".txt" for packed in ("", ".gz"))
    files = [each for each in visible if each.is_file() and each.name.lower().endswith(tables)]
    if files:
        return files
    problem = "it has neither a sub-folder of .txt files for each label, nor files with labels"
    raise RowsError(
        "no_labels", folder.name, problem, "expected such as pos/1.txt and neg/1.txt, or .csv or .jsonl files"
    )


def _texts_of(folder: Path) -> list[Path]:
    return sorted((each for each in folder.glob("*.txt") if not each.name.startswith(".")), key=_by_number)


def _by_number(file: Path) -> tuple[tuple[int, str], ...]:
    """Sort 2.txt before 10.txt."""
    parts = re.findall(r"\d+|\D+", file.stem)
    return tuple((int(part), "") if part.isascii() and part.isdigit() else (-1, part) for part in parts)


def _folder_label(folder: Path) -> str:
    try:
        label = normalised(folder.name)
    except LabelError as error:
        raise RowsError("bad_row", folder.name, f"its name is a label {error}", "rename the folder") from None
    return label


def _whole_text(file: Path, name: str, reading: Reading) -> str:
    asked = Format("txt", encoding=reading.encoding)
    try:
        with file.open("rb") as content:
            _, decoded, _ = decode.decoded(file_blocks(content), asked)
            data = b"".join(decoded)
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _not_valid(f"line {line} is", data, asked).named(name) from None
    except RowsError as error:
        raise error.named(name) from None


# Copies


def content_digest(rows: Iterable[tuple[str, str]]) -> str:
    """Return the SHA-256 (hex) of texts and their labels in their order, whatever file or folder they came in.

    Example:
        >>> content_digest([("good", "pos")]) == content_digest([("goodp", "os")])
        False
    """
    content = hashlib.sha256()
    for part in (part for row in rows for part in row):
        encoded = part.encode("utf-8", "surrogatepass")
        content.update(len(encoded).to_bytes(8, "big") + encoded)
    return content.hexdigest()


def copy_key(text: str) -> str:
    """Return what copies of a text share: the text in NFC without HTML line breaks, with single spaces.

    Example:
        >>> copy_key("so  good<br />") == copy_key(" so good")
        True
    """
    text = _BREAK.sub("", text)
    return " ".join(text.split()) if text.isascii() else " ".join(unicodedata.normalize("NFC", text).split())


def remarks(rows: Sequence[LabelledRow]) -> list[str]:
    """Return sentences on labelled rows that are worth a look: copies, contradictions, labels that look alike.

    Example:
        >>> remarks([LabelledRow(1, "a", "x"), LabelledRow(2, "a ", "x"), LabelledRow(3, "a", "X")])[0]
        '2 rows are copies of another row'
    """
    groups: dict[str, list[LabelledRow]] = {}
    for row in rows:
        if row.label:
            groups.setdefault(copy_key(row.text), []).append(row)
    copies = sum(map(len, groups.values())) - len(groups)
    torn = [group for group in groups.values() if len({row.label for row in group}) > 1]
    said = []
    if copies:
        said.append(f"{_count(copies, 'row is a copy', 'rows are copies')} of another row")
    if torn:
        several = _count(len(torn), "text has more than one label", "texts have more than one label")
        said.append(f"{several}: {_places([row for group in torn for row in group])}")
    alike = case_variants(row.label for row in rows if row.label)
    for variants in alike[:MAX_SHOWN_LINES]:
        said.append(f"labels {', '.join(map(shown, variants))} differ in case only, and count as different labels")
    if len(alike) > MAX_SHOWN_LINES:
        said.append(f"{len(alike) - MAX_SHOWN_LINES:,} more groups of labels differ in case only")
    return said


def _places(rows: Sequence[LabelledRow]) -> str:
    if not rows[0].file:
        return line_list([row.line for row in rows])
    return _some([f"{row.file} line {row.line}" for row in rows])


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_SHOWN_LINES:,} more" if len(names) > MAX_SHOWN_LINES else ""
    return ", ".join(names[:MAX_SHOWN_LINES]) + more


def line_list(lines: Sequence[int]) -> str:
    """Return numbers of lines as messages list them: the first ten, and how many more.

    Example:
        >>> line_list([3]), line_list([3, 17])
        ('line 3', 'lines 3, 17')
    """
    listed = ", ".join(f"{line}" for line in lines[:MAX_SHOWN_LINES])
    more = f" and {len(lines) - MAX_SHOWN_LINES:,} more" if len(lines) > MAX_SHOWN_LINES else ""
    return f"line{'s' * (len(lines) > 1)} {listed}{more}"


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


# From records to labelled rows

_UNREADABLE = {
    "line_too_long": (f"has more than {MAX_LINE_BYTES:,} bytes", "shorten its text"),
    "unclosed_quote": ("has a quote that is not closed", "close it; a quote within quotes is written twice"),
}


def _rows(records: Iterable[Record], file_format: Format, line: int) -> Iterator[LabelledRow | _Bad]:
    parse, is_empty = _csv_row if file_format.kind == "csv" else _json_row, emptiness(file_format)
    for record in records:
        if record.error:
            problem, hint = _UNREADABLE[record.error]
            yield _Bad(line, f"{problem}|{problem.replace('has', 'have', 1)}", hint)
        elif not is_empty(record.data):
            try:
                text = record.data.decode()
            except UnicodeDecodeError:
                yield _Bad(line, "is|are", "", "encoding", record.data)
            else:
                yield parse(line, text, file_format)
        line += record.lines


def _csv_row(line: int, record: str, file_format: Format) -> LabelledRow | _Bad:
    found, (count, text, _) = cells(without_end(record), file_format), file_format.columns
    if len(found) != count and not fit(found, file_format):
        problem = f"has {len(found)} cells, the header {count}|have more cells than the header"
        return _Bad(line, problem, "quote cells that hold a delimiter or a line end")
    return _row(line, cell_at(found, text), cell_at(found, file_format.label_index))


def _json_row(line: int, record: str, file_format: Format) -> LabelledRow | _Bad:
    text, label = str(file_format.text_column), str(file_format.label_column)
    example = json.dumps({text: "…", label: "…"}, ensure_ascii=False)
    hint = f"write one object a line, its keys distinct, such as {example}"
    try:
        value = _decode_distinct(record.removeprefix("\ufeff"))
    except (ValueError, RecursionError) as error:
        where = f" (character {error.pos + 1})" if isinstance(error, json.JSONDecodeError) else ""
        return _Bad(line, f"is not JSON{where}|are not JSON", hint)
    if not isinstance(value, dict):
        return _Bad(line, "is not a JSON object|are not JSON objects", hint)
    if text not in value:
        problem = f"has no field {shown(text)}; its fields are {listed([*value])}|have no field {shown(text)}"
        return _Bad(line, problem, "pass --text-column NAME (make: TEXT=NAME)", "no_text_column")
    return _row(line, value[text], value.get(label))


def _distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len(pairs) > len(value := dict(pairs)):
        raise ValueError("a key comes twice")
    return value


def _constant(name: str) -> object:
    raise ValueError("no JSON")


_decode_distinct = json.JSONDecoder(
    parse_constant=_constant, parse_int=whole_number, object_pairs_hook=_distinct
).decode


def _row(line: int, text: object, label: object) -> LabelledRow | _Bad:
    if not isinstance(text, str):
        return _Bad(line, "has a text that is not a string|have a text that is not a string", "give every row a text")
    try:
        return LabelledRow(line, text, normalised(label))
    except MultiLabelError as error:
        return _Bad(line, f"has {error}|have several labels", "", "multi_label")
    except LabelError as error:
        problem = f"has a label {error}|have a label that cannot be used"
        hint = "give every row a label in letters, such as good; if the columns are swapped, pass --label-column NAME"
        return _Bad(line, problem, hint, reason=str(error))


# What is wrong with all rows


def _all_of(bad: Sequence[_Bad], file_format: Format) -> RowsError:
    first = bad[0]
    if first.code == "encoding":
        data = b"".join(each.data for each in bad if each.code == "encoding")[: 1 << 16]
        lines = [each.line for each in bad if each.code == "encoding"]
        return _not_valid(f"{line_list(lines)} {'is' if len(lines) == 1 else 'are'}", data, file_format)
    if all(each.code == "multi_label" for each in bad):
        problem = f"{_problems(bad)}: Candor learns one label a text"
        return RowsError("multi_label", problem=problem, hint="keep one label a row, or pass --skip-bad-rows")
    code = first.code if first.code.startswith("no_") else "bad_row"
    hints = list(dict.fromkeys(each.hint for each in bad if each.hint))
    return RowsError(
        code,
        problem=_problems(bad),
        hint=f"{hints[0] if hints else 'correct them'}; or leave them out: --skip-bad-rows",
    )


def _problems(bad: Sequence[_Bad]) -> str:
    """Return what is wrong with which lines, one clause for each kind."""
    groups: dict[str, list[_Bad]] = {}
    for each in bad:
        groups.setdefault(each.problem.partition("|")[2], []).append(each)
    clauses = []
    for many, group in groups.items():
        one = group[0].problem.partition("|")[0]
        if group[0].code == "encoding":
            one, many = "is not valid in the file's encoding", "are not valid in the file's encoding"
        lines = [each.line for each in group]
        if reason := group[0].reason:
            many += f", the first one {reason}"
        clauses.append(
            f"line {lines[0]} {one}" if len(lines) == 1 else f"{len(lines):,} rows {many}: {line_list(lines)}"
        )
    return "; ".join(clauses)


def _not_valid(lines: str, data: bytes, file_format: Format) -> RowsError:
    """Return the error for lines, named with their verb, that are not in the file's encoding."""
    if file_format.encoding in ("", "utf-8"):
        return not_utf8(lines, data)
    problem = f"{lines} not valid in {file_format.encoding}"
    return RowsError("bad_row", problem=problem, hint="pass another --encoding, or --skip-bad-rows")
