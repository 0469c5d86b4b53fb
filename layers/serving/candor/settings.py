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

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        return cls(Path(environ.get("BUNDLE_PATH", "/opt/bundle")), environ.get("BUNDLE_DIGEST", ""))
