"""The environment, read once."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    bundle: Path
    """BUNDLE_PATH, the folder of the model bundle; the model layer puts it at /opt/bundle."""
    bundle_digest: str
    """BUNDLE_DIGEST, the SHA-256 of the bundle's manifest, in hex; empty: any intact bundle will do."""

    results: str = ""
    """RESULTS_BUCKET, where batch jobs write."""
    text_column: str = "text"
    """TEXT_COLUMN and ID_COLUMN, the names of a batch file's columns."""
    id_column: str = "id"
    min_confidence: float | None = None
    """MIN_CONFIDENCE of a batch decision; empty: the model's own."""
    explain: bool = False
    """EXPLAIN, whether batch results hold attributions: "true" or anything else."""
    redact: bool = True
    """REDACT, whether the model sees batch texts redacted: "false" or anything else."""
    text: str = ""
    """WITH_TEXT, the mode of candor.redact in which batch results repeat the text; empty: they don't."""
    chunk_rows: int = 20_000
    """CHUNK_ROWS of a part, at most."""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
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
            int(environ.get("CHUNK_ROWS", "20000")),
        )
