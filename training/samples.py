"""Read the sample texts of a model: its page offers them to every visitor, so none may come from the data.

This module needs no TensorFlow, so that faults of the samples are reported before TensorFlow has loaded.
"""

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from candor.batch.rows import read
from candor.redact import redact

from .data import DataError, readable

IMDB_SAMPLES = Path(__file__).parent / "golden/imdb_samples.jsonl"
"""Samples of models of IMDB, which we wrote."""
MAX_SAMPLES = 8
MAX_CHARACTERS = 2_000
_NOT_WORD = re.compile(r"(<br\s*/?>|[\W_])+", re.IGNORECASE)


def load_samples(path: Path, text_column: str | None, data_texts: Iterable[str]) -> list[str]:
    """Read the samples of a model. Blank rows are left out.

    Args:
        path: A .txt file with a sample on each line, or a .csv or .jsonl file with a column of texts; also with .gz.
        text_column: The column of texts, or field of JSON; None: `text`, or else what is clearly the texts.
        data_texts: The texts of the data, which no sample may repeat.

    Returns:
        From 1 to MAX_SAMPLES texts, each of at most MAX_CHARACTERS characters, without personal data.

    Raises:
        DataError: The file cannot be read, or a sample may not be shown. The message never holds the sample.
    """
    samples = _read(path, text_column)
    if not samples:
        raise DataError(f"{path.name} has no sample", "write a text on each line of a .txt file")
    if len(samples) > MAX_SAMPLES:
        raise DataError(f"{path.name} has {len(samples)} samples", f"keep at most {MAX_SAMPLES}")
    for line, text in samples:
        where = f"{path.name}: the sample on line {line}"
        if len(text) > MAX_CHARACTERS:
            raise DataError(f"{where} has {len(text):,} characters", f"shorten it to at most {MAX_CHARACTERS:,}")
        if kinds := sorted({kind for kind, _, _ in redact(text).entities}):
            raise DataError(f"{where} holds personal data: {', '.join(kinds)}", "leave it out: every visitor sees it")
    wanted = {words: line for line, text in samples if (words := _words(text))}
    for text in data_texts:
        if copied := wanted.get(_words(text)):
            raise DataError(
                f"{path.name}: the sample on line {copied} is a text of the data",
                "write one yourself: every visitor sees the samples, and the data's texts are private",
            )
    return [text for _, text in samples]


def _read(path: Path, text_column: str | None) -> list[tuple[int, str]]:
    """Return the line and the text of each sample."""
    with readable(path), path.open("rb") as file:
        rows = list(read(file, path.name, text_column))
    for row in rows:
        if row.error not in ("", "blank"):
            raise DataError(f"{path.name}: the sample on line {row.line} cannot be read ({row.error})", "mend the line")
    return [(row.line, row.text.strip()) for row in rows if not row.error]


def _words(text: str) -> str:
    """Return a text without what a copy may differ in: case, marks, spaces and HTML line breaks.

    Example:
        >>> _words("Don't PAY<br />twice!") == _words("don't pay twice")
        True
    """
    return _NOT_WORD.sub(" ", unicodedata.normalize("NFC", text)).casefold().strip()
