"""Configuration from environment variables, read once into a frozen object."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from candor.limits import CHUNK_ROWS, JOB_CONCURRENCY
from candor.values import number, whole

T = TypeVar("T")


@dataclass(frozen=True)
class Settings:
    """Configuration of a Lambda function. template.yaml sets the variables.

    Example:
        >>> Settings.from_environ({"MIN_CONFIDENCE": "0.8", "EXPLAIN": "true"}).min_confidence
        0.8
    """

    bundle: Path
    """BUNDLE_PATH: folder of the model bundle (default: /opt/bundle, where the model layer unpacks it)."""
    bundle_digest: str
    """BUNDLE_DIGEST: SHA-256 (hex) of the bundle's manifest. Empty (the default) accepts any intact bundle."""

    results_bucket: str = ""
    """RESULTS_BUCKET: name of the bucket that batch jobs write to."""
    text_column: str = "text"
    """TEXT_COLUMN: name of the column with the texts in a batch file."""
    id_column: str = "id"
    """ID_COLUMN: name of the column with the ids in a batch file."""
    min_confidence: float | None = None
    """MIN_CONFIDENCE: probability below which a batch decision is "uncertain" (default: the model's own)."""
    explain: bool = False
    """EXPLAIN=true adds attributions to batch results (default: off)."""
    redact: bool = True
    """REDACT=false lets the model see unredacted batch texts (default: redacted)."""
    with_text: str = ""
    """WITH_TEXT: "replace" or "mask" repeats the redacted text in batch results (default: no text)."""
    chunk_rows: int = CHUNK_ROWS
    """CHUNK_ROWS: maximum rows per part of the results."""
    concurrency: int = JOB_CONCURRENCY
    """CONCURRENCY: maximum of a batch job's chunks that are scored at a time."""
    delimiter: str = ""
    """DELIMITER: what stands between the cells of a batch table, such as ";" or "tab" (default: found in the file)."""
    encoding: str = ""
    """ENCODING: encoding of batch files, such as cp1252 (default: UTF-8, or what a byte order mark says)."""
    header: bool = True
    """HEADER=false: the first line of a batch table is a row; columns are named by their numbers (default: names)."""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Read the settings from environment variables.

        Raises:
            ValueError: A value is not one that the variable can have. The message names the variable.
        """
        for name, values in _CHOICES.items():
            if (value := environ.get(name, "")) not in ("", *values):
                raise ValueError(f"{name}: {value!r} is not {' or '.join(values)}")
        return cls(
            Path(environ.get("BUNDLE_PATH", "/opt/bundle")),
            environ.get("BUNDLE_DIGEST", ""),
            environ.get("RESULTS_BUCKET", ""),
            environ.get("TEXT_COLUMN", "text"),
            environ.get("ID_COLUMN", "id"),
            _named("MIN_CONFIDENCE", environ.get("MIN_CONFIDENCE"), lambda value: number(value, 0, 1), None),
            environ.get("EXPLAIN") == "true",
            environ.get("REDACT") != "false",
            environ.get("WITH_TEXT", ""),
            _named("CHUNK_ROWS", environ.get("CHUNK_ROWS"), lambda value: whole(value, 1), CHUNK_ROWS),
            _named("CONCURRENCY", environ.get("CONCURRENCY"), lambda value: whole(value, 1), JOB_CONCURRENCY),
            environ.get("DELIMITER", ""),
            environ.get("ENCODING", ""),
            environ.get("HEADER") != "false",
        )


_CHOICES = {
    "EXPLAIN": ("true", "false"),
    "REDACT": ("true", "false"),
    "WITH_TEXT": ("replace", "mask"),
    "HEADER": ("true", "false"),
}


def _named(name: str, value: str | None, read: Callable[[str], T], default: T) -> T:
    """Return the value of a variable as a number, or the default if it is empty; an error names the variable."""
    try:
        return read(value) if value else default
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
