"""The environment that template.yaml gives a function, set before any test imports a handler; and other models in it.

Tests run on a small model of their own, whatever model is in use; commands find it by BUNDLE_PATH, as the handlers do.
Tests of the model that ships take `shipped`: it is that model wherever it lies (tests/shipped).
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from candor.cli.gateway import template, variables
from candor.model.bundle import Bundle
from tests.shipped.bundle import shipped_bundle
from tests.trained import TWO

os.environ.update(variables(template()) | {"BUNDLE_PATH": str(TWO), "BUNDLE_DIGEST": Bundle.open(TWO).digest})
for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
    os.environ[name] = "testing"  # no test may reach an AWS account
os.environ["AWS_DEFAULT_REGION"] = "eu-central-1"


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], Bundle]]:
    """Return a function that makes a bundle the one of handlers and commands, as long as the test runs."""
    from api import app

    def forget() -> None:
        app.classifier.cache_clear()
        app.explainer.cache_clear()

    def change(path: Path) -> Bundle:
        bundle = Bundle.open(path)
        monkeypatch.setenv("BUNDLE_PATH", str(path))
        monkeypatch.setenv("BUNDLE_DIGEST", bundle.digest)
        forget()
        return bundle

    yield change
    forget()


@pytest.fixture
def shipped(load: Callable[[Path], Bundle]) -> Bundle:
    """Return the bundle that ships, as the one of handlers and commands."""
    return load(shipped_bundle())
