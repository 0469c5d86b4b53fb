"""The environment of `candor` as a process of its own."""

from pathlib import Path

from tests.trained import TWO

SERVING = Path(__file__).parents[1] / "layers/serving"
ENVIRONMENT = {"PYTHONPATH": str(SERVING), "PATH": "/usr/bin:/bin", "BUNDLE_PATH": str(TWO)}
"""What it needs, and nothing else of this process's."""
