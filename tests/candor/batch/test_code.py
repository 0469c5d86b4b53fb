"""The digest of the code that decides what results hold: what it covers, and that it is the same wherever it runs."""

import ast
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from candor.batch import code

PACKAGE = Path(code.__file__).parents[1]


def imported(name):
    """Return the modules of candor that a module imports, by their paths in the package."""
    tree, found = ast.parse((PACKAGE / name).read_bytes()), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("candor"):
            base = node.module.replace(".", "/").removeprefix("candor").lstrip("/")
            found |= {f"{base}.py", f"{base}/__init__.py", *(f"{base}/{each.name}.py" for each in node.names)}
    return {each for each in found if (PACKAGE / each).is_file()}


def test_digest_covers_all_that_scoring_imports():
    """A module that a row can depend on counts; those that do not count are reached by no import."""
    reached, waiting = set(), {"batch/jobs.py"}
    while waiting:
        reached |= waiting
        waiting = {each for name in waiting - code.APART for each in imported(name)} - reached
    assert reached - {*code.modules()} == {"batch/code.py", "errors.py", "storage.py"}
    assert {"redact/rules.py", "text/tokens.py", "batch/records.py", "limits.py"} < reached & {*code.modules()}
    assert all((PACKAGE / name).is_file() for name in code.APART)


def digest_in(path, **options):
    script = "from candor.batch import code; print(code.digest())"
    environment = {"PYTHONPATH": str(path), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.check_output([sys.executable, "-c", script], env=environment, text=True, **options).strip()


def test_digest_same_code_same_digest(tmp_path):
    """Line ends, bytecode and other files do not count, nor whether it runs from an archive; a changed byte does."""
    copied = tmp_path / "windows/candor"
    shutil.copytree(PACKAGE, copied, ignore=shutil.ignore_patterns("__pycache__", "cli"))
    for path in copied.rglob("*.py"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    (copied / "redact/notes (1).py").write_text("left by an editor")
    (copied / "redact/rules.py.orig").write_text("")
    (copied / "text/__pycache__").mkdir()
    (copied / "text/__pycache__/tokens.cpython-313.pyc").write_bytes(b"")
    with zipfile.ZipFile(tmp_path / "candor.zip", "w") as archive:
        for path in copied.rglob("*"):
            archive.write(path, path.relative_to(copied.parent))
    assert digest_in(copied.parent) == digest_in(tmp_path / "candor.zip") == code.digest()
    with (copied / "redact/rules.py").open("a") as file:
        file.write("# changed\n")
    assert digest_in(copied.parent) != code.digest()


def test_identity_names_what_results_depend_on():
    assert {*code.identity()} == {"candor", "sha256", "python", "numpy", "interpreter", "machine"}
    assert code.identity()["machine"] == os.uname().machine
    assert code.identity()["interpreter"].split()[0] in ("ai_edge_litert", "tflite_runtime")
