"""Environments under .venv/ that single tests need beside their own: made on demand, as `make test` makes them."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def environment(name: str) -> Path:
    """Return .venv/NAME, made first if it is missing or older than its lock.

    Fails the test if it cannot be made. `edge` needs Python 3.11, and stays missing without one.
    """
    variables = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    command = ["make", f".venv/{name}/.made"]
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.fail(f"make could not make .venv/{name}:\n{done.stdout}{done.stderr}")
    return ROOT / ".venv" / name
