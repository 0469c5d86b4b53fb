"""Read and write model bundles: folders of files, each verified against a manifest.

manifest.json is the canonical JSON of {"files": {name: {"bytes": n, "sha256": hex}}}. Its own SHA-256 is the bundle's
digest, which template.yaml pins. One changed byte anywhere therefore no longer matches the pinned digest.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from candor.errors import BundleError

MANIFEST = "manifest.json"
REQUIRED = {
    **dict.fromkeys(("name", "version", "created", "licence"), str),
    "labels": list,
    **dict.fromkeys(("metrics", "data"), dict),
}
"""Keys that model.json must have, and the types of their values."""
NOT_STATED = "not stated"
"""Stands for what the model's owner said nothing about."""
NEUTRAL_TEXT = "Put a text of your own here: this one is about nothing in particular."
"""A text to show a request with, for a model without samples."""


class Bundle:
    """A verified bundle, held in memory.

    Attributes:
        path: Folder that the bundle was read from.
        digest: SHA-256 of manifest.json, in hex.
        files: Content by file name, without manifest.json.
        model: Content of model.json.
        labels: Label names, in the order of the model's outputs.
    """

    def __init__(self, path: Path, digest: str, files: dict[str, bytes]) -> None:
        self.path, self.digest, self.files = path, digest, files
        self.model: dict[str, Any] = _parse("model.json", self.read("model.json"))
        if missing := [name for name in REQUIRED if name not in self.model]:
            raise BundleError(f"model.json lacks {', '.join(missing)}")
        if wrong := [name for name, kind in REQUIRED.items() if not isinstance(self.model[name], kind)]:
            raise BundleError(f"model.json has a value of the wrong type: {', '.join(wrong)}")
        self.labels: tuple[str, ...] = tuple(self.model["labels"])
        if not all(isinstance(label, str) for label in self.labels):
            raise BundleError("model.json has a label that is no string")

    @property
    def identity(self) -> dict[str, str]:
        """Name, version and digest, as answers and manifests show them."""
        return {"name": self.model["name"], "version": self.model["version"], "sha256": self.digest}

    @property
    def text_noun(self) -> str:
        """What a text is called, such as "ticket"; "text" if the bundle does not say."""
        return str(self.model.get("text_noun", "text"))

    @property
    def samples(self) -> tuple[str, ...]:
        """Texts to try the model on, which its owner wrote; often none."""
        return tuple(self.model.get("samples", ()))

    @property
    def example(self) -> str:
        """A text to show a request with: the first sample, or a neutral text."""
        return self.samples[0] if self.samples else NEUTRAL_TEXT

    @classmethod
    def open(cls, path: Path, digest: str = "") -> "Bundle":
        """Read a bundle and verify every file against the manifest.

        Args:
            path: Folder of the bundle.
            digest: Expected digest in hex; "" accepts any.

        Returns:
            The verified bundle.

        Raises:
            BundleError: The digest differs, a file is missing or differs from the manifest (the message names the first
                one), or model.json lacks a required key.
        """
        manifest = _read(path, MANIFEST)
        actual = hashlib.sha256(manifest).hexdigest()
        if digest and actual != digest:
            raise BundleError(f"{MANIFEST} has SHA-256 {actual}, but {digest} was deployed")
        expected = listed(manifest)
        files = {name: _read(path, name) for name in sorted(expected)}
        for name, content in files.items():
            if describe(content) != expected[name]:
                raise BundleError(f"{name} is not the file that {MANIFEST} describes")
        return cls(path, actual, files)

    def read(self, name: str) -> bytes:
        """Return the content of one file, as it was verified when the bundle was opened.

        Raises:
            BundleError: The manifest does not list the file.
        """
        try:
            return self.files[name]
        except KeyError:
            raise BundleError(f"{name} is not listed in {MANIFEST}") from None


def write(path: Path, files: Mapping[str, bytes]) -> str:
    """Write a bundle: the files and their manifest.

    Args:
        path: Existing folder.
        files: Content by file name. The order does not matter.

    Returns:
        The bundle's digest, in hex.
    """
    for name, content in sealed(files).items():
        (path / name).write_bytes(content)
    return digest((path / MANIFEST).read_bytes())


def sealed(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files of a bundle with their manifest, which comes last.

    Args:
        files: Content by file name, without the manifest. The order does not matter.
    """
    manifest = canonical({"files": {name: describe(content) for name, content in files.items()}})
    return {**files, MANIFEST: manifest}


def digest(manifest: bytes) -> str:
    """Return the digest, in hex, of the bundle with this manifest."""
    return hashlib.sha256(manifest).hexdigest()


def listed(manifest: bytes) -> dict[str, Any]:
    """Return what a manifest says of each file.

    Raises:
        BundleError: It is no manifest, or lists a path outside the bundle.
    """
    files = _parse(MANIFEST, manifest).get("files")
    if not isinstance(files, dict):
        raise BundleError(f"{MANIFEST} does not list the bundle's files")
    if any(Path(name).name != name for name in files):
        raise BundleError(f"{MANIFEST} lists a path outside the bundle")
    return files


def describe(content: bytes) -> dict[str, Any]:
    """Return the manifest entry of a file: its size in bytes and its SHA-256 in hex.

    Example:
        >>> describe(b"")["bytes"], describe(b"")["sha256"][:8]
        (0, 'e3b0c442')
    """
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def canonical(value: Any) -> bytes:
    r"""Encode a value as canonical JSON: sorted keys, UTF-8, one final line end. Equal values give equal bytes.

    Raises:
        ValueError: The value contains NaN or an infinity.

    Example:
        >>> canonical({"b": 1, "a": []})
        b'{\n "a": [],\n "b": 1\n}\n'
    """
    return (json.dumps(value, sort_keys=True, ensure_ascii=False, indent=1, allow_nan=False) + "\n").encode()


def _read(path: Path, name: str) -> bytes:
    try:
        return (path / name).read_bytes()
    except OSError as error:
        raise BundleError(f"{name} cannot be read: {error.strerror}") from error
    except ValueError:  # a name that no file can have
        raise BundleError(f"{MANIFEST} lists a name that no file can have") from None


def _parse(name: str, content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{name} is not JSON") from error
    if not isinstance(value, dict):
        raise BundleError(f"{name} is not a JSON object")
    return value
