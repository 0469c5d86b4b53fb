"""Put a bundle in its place: written beside the old one, checked as serving would, then swapped in."""

import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from candor.errors import CandorError
from candor.model import bundle
from candor.model.classifier import Classifier


class InstallError(CandorError):
    """A bundle that does not answer its golden cases, or a template with no place for its digest."""


@contextmanager
def installed(contents: Mapping[str, bytes], target: Path) -> Iterator[str]:
    """Have a bundle in a folder, in place of the one that may be there.

    The old bundle stays whole until the new one has passed its check, and comes back if what follows fails.

    Args:
        contents: The bytes of each file by its name, without the manifest.
        target: The bundle's folder.

    Yields:
        The new bundle's digest (hex), with the new bundle in its place.

    Raises:
        InstallError: The new bundle does not answer its golden cases.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as folder:
        new, old = Path(folder) / "new", Path(folder) / "old"
        new.mkdir()
        digest = bundle.write(new, contents)
        check(new, digest)
        try:
            if target.exists():
                target.rename(old)
            new.rename(target)
            yield digest
        except BaseException:
            if old.exists():
                if target.exists():
                    target.rename(new)
                old.rename(target)
            raise


def check(path: Path, digest: str = "") -> None:
    """Raise InstallError unless the bundle in a folder answers its golden cases as recorded."""
    classifier = Classifier.load(path, digest)
    golden = json.loads(classifier.bundle.read("golden.json"))
    predictions = classifier.predict([case["text"] for case in golden["cases"]])
    for case, prediction in zip(golden["cases"], predictions, strict=True):
        worst = max(abs(prediction.probabilities[label] - p) for label, p in case["probabilities"].items())
        if prediction.label != case["label"] or worst > golden["tolerance"]:
            raise InstallError("the bundle does not answer its own golden cases")


def pinned(template: Path, digest: str) -> str:
    """Return the template's text with a bundle's digest in its place.

    Raises:
        InstallError: The template does not have exactly one BUNDLE_DIGEST.
    """
    text, count = re.subn(r'(BUNDLE_DIGEST: )"[0-9a-f]{64}"', rf'\1"{digest}"', template.read_text())
    if count != 1:
        raise InstallError(
            f'{template.name} should hold one BUNDLE_DIGEST: "…" of 64 hexadecimal digits, and has {count}'
        )
    return text


def write(path: Path, content: bytes) -> None:
    """Write a file in one step; its mode stays."""
    new = path.with_suffix(".new")
    new.write_bytes(content)
    if path.exists():
        shutil.copymode(path, new)
    new.replace(path)
