"""What the end-to-end tests run on: the stack that `sam build` makes, and a Docker engine with Lambda's base image."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.e2e.stack import ROOT, SAM, run


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `sam build` makes, from clean."""
    assert SAM.exists(), f"{SAM} is missing: `make build` makes it"
    folder = tmp_path_factory.mktemp("sam") / "build"
    run(SAM, "build", "--build-dir", folder, "--no-cached")
    return folder


@pytest.fixture(scope="session")
def engine() -> None:
    """A running Docker engine that has Lambda's base image, or a failure in CI and a skip on a laptop."""
    script = ROOT / "tests/e2e/docker-start"
    started = subprocess.run([script], cwd=ROOT, capture_output=True, text=True, check=False)
    if started.returncode == 0:
        return
    reason = f"no Docker engine, so nothing ran in Lambda's container: {started.stderr.strip()[-300:]}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
