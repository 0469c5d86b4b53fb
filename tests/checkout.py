"""Copies of the checkout, with another model in use."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
MADE = {"build", "dist", "models", "report", "results"}
"""Folders that .gitignore keeps out of the checkout, beside the hidden ones."""
LINK = ".link"
"""Folder for the path, on which the copy's trainer has the name of its installed package."""


def copy(folder: Path, bundle: Path) -> Path:
    """Copy the checkout's own files to a new folder, and make a bundle the model in use there. Return the folder."""
    folder.mkdir()
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for path in ROOT.iterdir():
        if path.is_dir() and not path.name.startswith(".") and path.name not in MADE:
            shutil.copytree(path, folder / path.name, ignore=ignored)
        elif path.is_file():
            shutil.copy(path, folder)
    (folder / LINK).mkdir()
    (folder / LINK / "candor_training").symlink_to("../training")
    run(folder, "-m", "candor", "use", str(bundle))
    return folder


def run(folder: Path, *arguments: str) -> str:
    """Run Python in a copy, on its code and in an environment that knows nothing of this test; return its output."""
    path = os.pathsep.join(str(folder / each) for each in (LINK, "functions", "layers/serving", "."))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BUNDLE_", "PYTEST_", "COV_"))}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=kept | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout
