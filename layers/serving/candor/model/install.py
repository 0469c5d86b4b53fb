"""Check a bundle as serving would, and pin its digest in a template."""

import json
import re
from pathlib import Path

from candor.errors import CandorError
from candor.model.classifier import Classifier


class InstallError(CandorError):
    """A bundle that does not answer its golden cases, or a template with no place for its digest."""


def check(path: Path, digest: str = "") -> None:
    """Raise InstallError unless the bundle in a folder answers its golden cases as recorded."""
    classifier = Classifier.load(path, digest)
    golden = json.loads(classifier.bundle.read("golden.json"))
    predictions = classifier.predict([case["text"] for case in golden["cases"]])
    for case, prediction in zip(golden["cases"], predictions, strict=True):
        worst = max(abs(prediction.probabilities[label] - p) for label, p in case["probabilities"].items())
        if prediction.label != case["label"] or worst > golden["tolerance"]:
            raise InstallError("the bundle does not answer its own golden cases")


def pinned(template: Path, digest: str) -> bytes:
    """Return the template's content with a bundle's digest in its place.

    Raises:
        InstallError: The template does not have exactly one BUNDLE_DIGEST.
    """
    line = rb'(BUNDLE_DIGEST: )"[0-9a-f]{64}"'
    content, count = re.subn(line, rb'\1"' + digest.encode() + b'"', template.read_bytes())
    if count != 1:
        raise InstallError(
            f'{template.name} should hold one BUNDLE_DIGEST: "…" of 64 hexadecimal digits, and has {count}'
        )
    return content
