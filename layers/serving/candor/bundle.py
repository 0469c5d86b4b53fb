"""A model bundle: a folder of files that belong together, and the manifest that holds them to it.

manifest.json is the canonical JSON of {"files": {name: {"bytes": n, "sha256": hex}}}; its own SHA-256 is the bundle's
digest, which the template pins. So one changed byte anywhere changes a digest that somebody has written down.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from candor.errors import BundleError

MANIFEST = "manifest.json"
REQUIRED = ("name", "version", "created", "labels", "metrics", "data", "licence")  # of model.json


class Bundle:
    """A verified bundle. `model` is model.json; `digest` is hex; `labels` are in the order of the model's outputs."""

    def __init__(self, path: Path, digest: str, files: dict[str, bytes]) -> None:
        self.path, self.digest, self._files = path, digest, files
        self.model: dict[str, Any] = _parse("model.json", self.read("model.json"))
        if missing := [name for name in REQUIRED if name not in self.model]:
            raise BundleError(f"model.json lacks {', '.join(missing)}")
        self.labels: tuple[str, ...] = tuple(self.model["labels"])

    @classmethod
    def open(cls, path: Path, digest: str = "") -> "Bundle":
        """Read every file and hold it against the manifest, and the manifest against `digest` (hex) where one is given.

        Raises BundleError, which names the first file that does not hold.
        """
        manifest = _read(path, MANIFEST)
        actual = hashlib.sha256(manifest).hexdigest()
        if digest and actual != digest:
            raise BundleError(f"{MANIFEST} has SHA-256 {actual}, but {digest} was deployed")
        expected = _parse(MANIFEST, manifest).get("files", {})
        files = {name: _read(path, name) for name in sorted(expected)}
        for name, content in files.items():
            if describe(content) != expected[name]:
                raise BundleError(f"{name} is not the file that {MANIFEST} describes")
        return cls(path, actual, files)

    def read(self, name: str) -> bytes:
        """The bytes of one file, as verified when the bundle was opened. Raises BundleError if it has none such."""
        try:
            return self._files[name]
        except KeyError:
            raise BundleError(f"{name} is not listed in {MANIFEST}") from None


def write(path: Path, files: Mapping[str, bytes]) -> str:
    """Write the files and their manifest to an existing folder; returns the bundle's digest (hex)."""
    for name, content in files.items():
        (path / name).write_bytes(content)
    manifest = canonical({"files": {name: describe(content) for name, content in files.items()}})
    (path / MANIFEST).write_bytes(manifest)
    return hashlib.sha256(manifest).hexdigest()


def describe(content: bytes) -> dict[str, Any]:
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def canonical(value: Any) -> bytes:
    """JSON with sorted keys and a line end, the same bytes for the same value."""
    return (json.dumps(value, sort_keys=True, ensure_ascii=False, indent=1, allow_nan=False) + "\n").encode()


def _read(path: Path, name: str) -> bytes:
    if Path(name).name != name:
        raise BundleError(f"{MANIFEST} lists a path outside the bundle")
    try:
        return (path / name).read_bytes()
    except OSError as error:
        raise BundleError(f"{name} cannot be read: {error.strerror}") from error


def _parse(name: str, content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{name} is not JSON") from error
    if not isinstance(value, dict):
        raise BundleError(f"{name} is not a JSON object")
    return value
