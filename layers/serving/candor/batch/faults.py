"""Say what is wrong with a row or with a file of texts, without showing a text.

A row's error is a code of ERRORS and stands in the row's place. A file's is a RowsError with a code of FAULTS.
"""

from collections.abc import Mapping

from candor.errors import CandorError
from candor.limits import (
    MANY_MEMBERS,
    MAX_COLUMNS,
    MAX_FILE_RECORDS,
    MAX_ID_LENGTH,
    MAX_INPUT_BYTES,
    MAX_JSON_BYTES,
    MAX_LINE_BYTES,
    MAX_SHOWN_NAME,
    MAX_SHOWN_WORDS,
    MAX_TEXT_BYTES,
    MAX_UNPACKED,
    MIN_MEMBER_BYTES,
)

READERS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".txt")
"""Endings of file names that can be read, each also with .gz."""

ERRORS = {
    "blank": "The text is empty or blank.",
    "text_too_large": f"The text has more than {MAX_TEXT_BYTES:,} bytes of UTF-8.",
    "line_too_long": f"The line has more than {MAX_LINE_BYTES:,} bytes.",
    "invalid_encoding": "The row is not valid Unicode in the file's encoding.",
    "invalid_json": "The line is not a JSON object.",
    "missing_text": "The row has no text.",
    "wrong_type": "The text is not a string.",
    "id_too_long": f"The id has more than {MAX_ID_LENGTH} characters.",
    "ragged": "The row has not as many cells as the header.",
    "unclosed_quote": f"A quote in the line is not closed within {MAX_LINE_BYTES:,} bytes.",
}
"""Codes of a row's error, as results show them."""

FAULTS = {
    "unknown_format": f"expected {', '.join(READERS[:-1])} or {READERS[-1]}, or one of them with .gz",
    "unknown_encoding": "it is neither UTF-8 nor UTF-16 with a byte order mark",
    "unsupported_encoding": "no encoding of that name can be read",
    "not_gzip": "it is damaged, or no gzip although its name ends in .gz",
    "unexpected_gzip": "it is a gzip, but its name does not end in .gz",
    "gzip_in_gzip": "it is a gzip within a gzip",
    "gzip_members": f"the gzip has more than {MANY_MEMBERS:,} members of less than {MIN_MEMBER_BYTES} bytes on average",
    "damaged_gzip": "the gzip is truncated or damaged",
    "gzip_bomb": f"the gzip unpacks to more than {MAX_UNPACKED} times its size",
    "no_header": "there seems to be no header",
    "no_text_column": "no column of the CSV header, or more than one, is named as the text column",
    "no_id_column": "no column of the CSV header has the name that is given for the id column",
    "two_id_columns": "more than one column of the CSV header is named as the id column",
    "too_many_columns": f"it has more than {MAX_COLUMNS:,} columns",
    "too_many_rows": f"it has more than {MAX_FILE_RECORDS // 10**6} million lines: split it at line ends",
    "too_large": f"it has more than {MAX_INPUT_BYTES // 10**9} GB: split it at line ends",
    "bad_json": "it is neither a JSON array of objects nor one JSON object a line",
    "json_too_large": f"it is a JSON array of more than {MAX_JSON_BYTES // 10**6} MB",
    # Only where labels are read, to train or to evaluate:
    "no_labels": "plain lines of text have no labels: expected a table or JSON",
    "no_label_column": "no column is named as the label column",
    "two_label_columns": "more than one column of the CSV header is named as the label column",
    "multi_label": "a row has several labels: Candor learns one label a text",
    "bad_row": "a row has no text or no label",
}
"""Codes of what is wrong with a file as a whole, as manifests show them."""

_EXPORTS = {
    ".parquet": 'Parquet is not supported yet; export it: python -c "import pandas; '
    "pandas.read_parquet('in.parquet').to_csv('out.csv', index=False)\"",
    ".xlsx": "save it as CSV UTF-8 in the spreadsheet",
    ".xls": "save it as CSV UTF-8 in the spreadsheet",
    ".ods": "save it as CSV UTF-8 in the spreadsheet",
}
_HINTS = {
    "unknown_encoding": "save it as UTF-8, or pass --encoding NAME",
    "not_gzip": "copy it again; if it is not compressed, remove .gz from its name",
    "unexpected_gzip": "rename it so that it ends in .gz",
    "gzip_in_gzip": "unpack it once: gunzip",
    "gzip_members": "pack it as one member: gunzip -c old.gz | gzip > new.gz",
    "damaged_gzip": "copy or fetch it again",
    "gzip_bomb": "unpack it first",
    "bad_json": "write an array of objects, or one object a line: jq -c . in.json > out.jsonl",
    "too_many_columns": "keep the columns of ids and texts: csvcut -c id,text in.csv > out.csv",
    "json_too_large": "write one object a line: jq -c '.[]' in.json > out.jsonl",
    "no_labels": "export it as CSV with a column of texts and one of labels",
    "multi_label": "keep one label a row, or train one model a label",
}
REMEDIES = {
    "invalid_json": "write one object a line: jq -c . in.json > out.jsonl; or name a table .csv, plain lines .txt",
    "ragged": "put quotes around cells that hold a delimiter, or name the right one: --delimiter",
    "unclosed_quote": "close the quotes; one within quotes is written twice",
    "text_too_large": "split the texts",
    "line_too_long": "check that lines end where rows do",
}
"""What helps where all rows have one error, by its code; others may lie in the wrong column."""
_FEWEST_DIGITS = 5  # of what may be a number of somebody's, and no name


class RowsError(CandorError):
    """The file cannot be read; trying again will not help.

    Args:
        code: One of FAULTS.
        file: The file's name.
        problem: What is wrong in this very file, with the names of its columns; never a text. None: FAULTS[code].
        hint: What helps: an option to pass, or what to do to the file.

    Example:
        >>> str(RowsError("damaged_gzip", "reviews.csv.gz"))
        'reviews.csv.gz: the gzip is truncated or damaged'
    """

    def __init__(self, code: str, file: str = "the file", problem: str = "", hint: str = "") -> None:
        super().__init__(code, file, problem, hint)
        self.code, self.file = code, file
        self.problem, self.hint = problem or FAULTS[code], hint or _HINTS.get(code, "")

    def __str__(self) -> str:
        return f"{self.file}: {self.problem}"

    def named(self, file: str) -> "RowsError":
        """Return the same error about a file of this name."""
        return RowsError(self.code, file, self.problem, self.hint)


def export_hint(name: str, otherwise: str = "") -> str:
    """Return how to make a file that can be read out of one of another format.

    Example:
        >>> export_hint("reviews.xlsx")
        'save it as CSV UTF-8 in the spreadsheet'
    """
    bare = name.lower().removesuffix(".gz")
    known = [hint for suffix, hint in _EXPORTS.items() if bare.endswith(suffix)]
    return known[0] if known else otherwise or f"export it as CSV; supported: {', '.join(READERS)} (+ .gz)"


def shown(name: str) -> str:
    """Return a column's name or a label as messages show it: only its length if it may be a text in the wrong place.

    Example:
        >>> shown("stars"), shown("He loves it."), shown("jane@example.com")
        ("'stars'", 'one of 12 characters', 'one of 16 characters')
    """
    return repr(name) if is_name(name) else f"one of {len(name)} characters"


def is_name(name: str) -> bool:
    """Return whether something looks like the name of a column or label: short, few words, no sentence, no number."""
    bare = name.strip()
    return (
        len(name) <= MAX_SHOWN_NAME
        and len(bare.split()) <= MAX_SHOWN_WORDS
        and not bare.endswith((".", "!", "?", "。", "！", "？", "…"))
        and "@" not in bare
        and sum(character.isdigit() for character in bare) < _FEWEST_DIGITS
    )


def named_labels(counts: Mapping[str, int]) -> str:
    """Return labels with their numbers of rows as messages show them: the five most frequent ones.

    Example:
        >>> named_labels({"refund": 12, "Billing": 1})
        "'refund' (12 rows), 'Billing' (1 row)"
    """
    most = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    names = [f"{shown(label)} ({n:,} row{'s' * (n != 1)})" for label, n in most[:_MAX_LABELS]]
    return ", ".join(names) + f" and {len(most) - _MAX_LABELS} more" * (len(most) > _MAX_LABELS)


_MAX_LABELS = 5  # that a message names
