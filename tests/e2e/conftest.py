"""Fixtures of the end-to-end tests: AWS's tools, the stack that `sam build` makes, and a Docker engine."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.e2e.stack import ROOT, SAM, run
from tests.environments import environment


@pytest.fixture(scope="session")
def sam() -> Path:
    """Return the AWS SAM command; make its environment first if it is missing."""
    if "SAM" not in os.environ:
        environment("sam")
    return SAM


@pytest.fixture(scope="session")
def checkov() -> list[str | Path]:
    """Return the checkov command; make its environment first if it is missing."""
    return [environment("scan") / "bin/python", "-m", "checkov.main"]  # its script can't start from a path with a space


@pytest.fixture(scope="session")
def built(sam: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that `sam build` makes, from clean."""
    folder = tmp_path_factory.mktemp("sam") / "build"
    run(sam, "build", "--build-dir", folder, "--no-cached")
    return folder


@pytest.fixture(scope="session")
def engine() -> None:
    """Start a Docker engine that has Lambda's base image. Without one, fail in CI and skip elsewhere."""
    script = ROOT / "tests/e2e/docker-start"
    started = subprocess.run([script], cwd=ROOT, capture_output=True, text=True, check=False)
    if started.returncode == 0:
        return
    reason = f"no Docker engine, so nothing ran in Lambda's container: {started.stderr.strip()[-300:]}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
