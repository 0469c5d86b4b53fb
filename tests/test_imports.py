"""Who may import whom, read from the syntax trees, so that imports within functions count too."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# The only modules that may import a library.
ONLY = {
    "ai_edge_litert": {"layers/serving/candor/model/interpreter.py"},
    "tflite_runtime": {"layers/serving/candor/model/interpreter.py"},
    "boto3": {
        "layers/serving/candor/storage.py",
        "layers/serving/candor/cli/torture/bucket.py",
        "functions/pre_traffic/app.py",
    },
}
NEVER_DEPLOYED = {
    "tensorflow",
    "keras",
    "training",
    "candor_training",
    "events",
    "tests",
    "pydantic",
    "sklearn",
    "matplotlib",
    "yaml",
}
ON_ONE_MACHINE = {"tensorflow", "keras", "training", "candor_training", "events", "tests"}
FUNCTIONS = {path.name for path in (ROOT / "functions").iterdir() if path.is_dir()}
WINGS = {path.name for path in (ROOT / "layers/serving/candor").iterdir() if (path / "__init__.py").exists()}
# Arrows run down: what the modules of each wing may import of the others.
BELOW = {
    "cli": WINGS,
    "batch": {"model", "redact", "text"},
    "operate": {"model", "redact", "text"},
    "model": {"redact", "text"},
    "redact": {"text"},
    "text": set(),
    "": {"model"},
}


def imported(source: str, package: str = "") -> set[str]:
    """Dotted names of what a module imports, by statement or by a literal name."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not (node.level and package == "candor"), "candor imports by absolute names, so that arrows show"
            names |= {f"{node.module}.{alias.name}" for alias in node.names if not node.level}
        elif isinstance(node, ast.Call) and "import" in ast.unparse(node.func):
            names |= {leaf.value for leaf in ast.walk(node) if isinstance(leaf, ast.Constant)}
    return {name for name in names if isinstance(name, str)}


def top(names: set[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


def modules(folder):
    found = {
        path.relative_to(ROOT): imported(path.read_text(), "candor" if "serving" in folder else "")
        for path in sorted((ROOT / folder).rglob("*.py"))
    }
    assert found
    return found


def deployed():
    """Modules of the functions and of the serving layer, which leaves out the command line."""
    found = modules("functions") | modules("layers/serving")
    return {
        path: names
        for path, names in found.items()
        if "candor/cli" not in path.as_posix() and path.name != "__main__.py"
    }


def wing(path: Path) -> str:
    """The wing that a module of candor lies in; "" for those beside the wings."""
    return path.parts[3] if len(path.parts) > 4 else "cli" if path.name == "__main__.py" else ""


def test_import_scan_sees_every_kind():
    """An import is seen wherever it stands."""
    source = (
        "import a.b\ndef f():\n    from c.d import e\n    import_module('f.g')\n    __import__('h')\nfrom . import i"
    )
    assert imported(source) == {"a.b", "c.d.e", "f.g", "h"}


def test_import_scan_refuses_relative_imports():
    assert imported("from . import fit") == set()
    with pytest.raises(AssertionError, match="absolute names"):
        imported("from ..cli import score", "candor")


def test_deployed_code_imports_only_deployed_code():
    for path, names in deployed().items():
        assert not top(names) & NEVER_DEPLOYED, path
        assert not any(name.startswith("candor.cli") for name in names), path


def test_command_line_imports_no_training():
    for path, names in modules("layers/serving/candor/cli").items():
        assert not top(names) & ON_ONE_MACHINE, path


def test_wings_import_only_downwards():
    assert BELOW.keys() - {""} == WINGS
    for path, names in modules("layers/serving/candor").items():
        here = wing(path)
        used = {name.split(".")[1] for name in names if name.startswith("candor.")} & WINGS
        assert used <= BELOW[here] | {here}, path


def test_shared_package_imports_no_function():
    for path, names in modules("layers/serving").items():
        assert not top(names) & FUNCTIONS, path


def test_functions_never_import_each_other():
    for path, names in modules("functions").items():
        assert not top(names) & (FUNCTIONS - {path.parts[1]}), path


def test_training_imports_no_function():
    for path, names in modules("training").items():
        assert not top(names) & FUNCTIONS, path


def test_kept_libraries_are_imported_by_their_keeper():
    for path, names in (modules("functions") | modules("layers/serving")).items():
        assert not {name for name in top(names) & ONLY.keys() if path.as_posix() not in ONLY[name]}, path


def test_interpreter_loads_tensorflow_lite():
    (keeper,) = ONLY["ai_edge_litert"]
    assert "import_module(name)" in (ROOT / keeper).read_text()
    assert "ai_edge_litert.interpreter" in (ROOT / keeper).read_text()
