"""Configuration from environment variables, read once into a frozen object."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from candor.limits import CHUNK_ROWS, JOB_CONCURRENCY


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

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Read the settings from environment variables.

        Raises:
            ValueError: MIN_CONFIDENCE, CHUNK_ROWS or CONCURRENCY is not a number.
        """
        return cls(
            Path(environ.get("BUNDLE_PATH", "/opt/bundle")),
            environ.get("BUNDLE_DIGEST", ""),
            environ.get("RESULTS_BUCKET", ""),
            environ.get("TEXT_COLUMN", "text"),
            environ.get("ID_COLUMN", "id"),
            float(environ["MIN_CONFIDENCE"]) if environ.get("MIN_CONFIDENCE") else None,
            environ.get("EXPLAIN") == "true",
            environ.get("REDACT") != "false",
            environ.get("WITH_TEXT", ""),
            int(environ.get("CHUNK_ROWS", CHUNK_ROWS)),
            int(environ.get("CONCURRENCY", JOB_CONCURRENCY)),
        )
