"""Who may import whom, read from the syntax trees, so that imports within functions count too."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# The only modules that may import a library.
ONLY = {
    "ai_edge_litert": {"layers/serving/candor/interpreter.py"},
    "tflite_runtime": {"layers/serving/candor/interpreter.py"},
    "boto3": {"layers/serving/candor/storage.py", "functions/pre_traffic/app.py"},
}
NEVER_DEPLOYED = {"tensorflow", "keras", "training", "events", "tests", "pydantic", "sklearn", "matplotlib", "yaml"}
FUNCTIONS = {path.name for path in (ROOT / "functions").iterdir() if path.is_dir()}


def imported(source: str) -> set[str]:
    """Top-level names of what a module imports, by statement or by a literal name."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module)
        elif isinstance(node, ast.Call) and "import" in ast.unparse(node.func):
            names |= {leaf.value for leaf in ast.walk(node) if isinstance(leaf, ast.Constant)}
    return {name.split(".")[0] for name in names if isinstance(name, str)}


def modules(folder):
    found = {path.relative_to(ROOT): imported(path.read_text()) for path in sorted((ROOT / folder).rglob("*.py"))}
    assert found
    return found


def test_an_import_is_seen_wherever_it_stands():
    source = (
        "import a.b\ndef f():\n    from c.d import e\n    import_module('f.g')\n    __import__('h')\nfrom . import i"
    )
    assert imported(source) == {"a", "c", "f", "h"}


@pytest.mark.parametrize("folder", ["functions", "layers/serving"])
def test_what_is_deployed_imports_nothing_that_is_not(folder):
    for path, names in modules(folder).items():
        assert not names & NEVER_DEPLOYED, path


def test_the_shared_package_imports_no_function():
    for path, names in modules("layers/serving").items():
        assert not names & FUNCTIONS, path


def test_functions_never_import_each_other():
    for path, names in modules("functions").items():
        assert not names & (FUNCTIONS - {path.parts[1]}), path


def test_training_imports_no_function():
    for path, names in modules("training").items():
        assert not names & FUNCTIONS, path


def test_a_library_with_a_keeper_is_imported_by_nobody_else():
    for path, names in (modules("functions") | modules("layers/serving")).items():
        assert not {name for name in names & ONLY.keys() if path.as_posix() not in ONLY[name]}, path


def test_the_interpreter_is_the_one_that_loads_tensorflow_lite():
    (keeper,) = ONLY["ai_edge_litert"]
    assert "import_module(name)" in (ROOT / keeper).read_text()
    assert "ai_edge_litert.interpreter" in (ROOT / keeper).read_text()
