"""The built layers: what Lambda needs and nothing else, loadable on Amazon Linux 2023, and reproducible."""

import importlib.util
import json
import marshal
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import CodeType

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection

from tests.e2e.stack import LAYERS, ROOT, answers, digests, essence, events, make_layer

GLIBC = (2, 34)  # of Amazon Linux 2023, under Lambda's python3.12 and later
MAX_MEGABYTES = 80
UNCHECKED_HASH = 0b01  # PEP 552: the .pyc holds a hash of its source and is never checked against it
LITERT = {
    "__init__.py",
    "_pywrap_litert_interpreter_wrapper.so",
    "interpreter.py",
    "libpywrap_litert_common.so",
    "metrics_interface.py",
    "metrics_portable.py",
}
LIBRARIES = {
    "ai_edge_litert",
    "aws_lambda_powertools",
    "boto3",
    "botocore",
    "dateutil",
    "jmespath",
    "numpy",
    "numpy.libs",
    "s3transfer",
    "six.py",
    "typing_extensions.py",
    "urllib3",
}
UNNEEDED = {"tests", "testing", "conftest.py", "f2py", "include", "bin", "swagger_ui", "RECORD", "Makefile"}


def native(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and ".so" in path.suffixes)


def newest_glibc(library: Path) -> tuple[int, ...]:
    """Return the highest GLIBC_ version among the symbols that a native library needs; (0,) if it needs none."""
    with library.open("rb") as file:
        needs = ELFFile(file).get_section_by_name(".gnu.version_r")
        versioned = needs.iter_versions() if isinstance(needs, GNUVerNeedSection) else ()
        names = [symbol.name for _, symbols in versioned for symbol in symbols]
    versions = [name.removeprefix("GLIBC_") for name in names if name.startswith("GLIBC_")]
    return max((tuple(map(int, version.split("."))) for version in versions), default=(0,))


def machine(library: Path) -> str:
    with library.open("rb") as file:
        name: str = ELFFile(file).get_machine_arch()
    return name


def code_objects(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from code_objects(constant)


def compiled(source: Path) -> Path:
    return source.parent / "__pycache__" / f"{source.stem}.cpython-313.pyc"


def megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


@pytest.mark.parametrize("layer", LAYERS)
def test_layer_built_twice_has_the_same_digests(layer: str, built: Path, tmp_path: Path) -> None:
    again = make_layer(layer, tmp_path)
    assert digests(again) == digests(built / layer)
    assert digests(again), "an empty layer equals itself"


def test_runtime_layer_has_pinned_libraries_only(built: Path) -> None:
    names = {path.name for path in (built / "RuntimeLayer/python").iterdir()}
    assert {path.name for path in (built / "RuntimeLayer").iterdir()} == {"python"}
    assert {name for name in names if not name.endswith(".dist-info")} - {"__pycache__"} == LIBRARIES
    requirements = (ROOT / LAYERS["RuntimeLayer"] / "requirements.txt").read_text()
    pins = re.findall(r"^([\w.-]+)==([\w.]+)", requirements, re.MULTILINE)
    pinned = {f"{name.replace('-', '_')}-{version}" for name, version in pins}
    assert {name.removesuffix(".dist-info") for name in names if name.endswith(".dist-info")} <= pinned


def test_runtime_layer_has_litert_interpreter_only(built: Path) -> None:
    shipped = {path.name for path in (built / "RuntimeLayer/python/ai_edge_litert").iterdir()}
    assert shipped - {"__pycache__"} == LITERT


def test_runtime_layer_has_no_tests_stubs_headers(built: Path) -> None:
    libraries = built / "RuntimeLayer/python"
    code = [path.relative_to(libraries) for path in libraries.rglob("*") if ".dist-info" not in str(path)]
    assert [path for path in code if set(path.parts) & UNNEEDED] == []
    assert [path for path in code if path.suffix in {".pyi", ".pxd", ".pyx", ".h", ".c", ".a"}] == []
    assert [path for path in libraries.glob("*.dist-info/*") if path.name == "RECORD"] == []


def test_serving_layer_is_candor_without_cli(built: Path) -> None:
    source = ROOT / "layers/serving/candor"
    files = (path.relative_to(source) for path in source.rglob("*") if path.is_file() and path.suffix != ".pyc")
    deployed = {path for path in files if path.parts[0] not in ("cli", "__main__.py")}
    package = built / "ServingLayer/python/candor"
    shipped = {path.relative_to(package) for path in package.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert shipped == deployed
    assert [path.name for path in (built / "ServingLayer/python").iterdir()] == ["candor"]


def test_model_layer_is_the_bundle(built: Path) -> None:
    assert digests(built / "ModelLayer/bundle") == digests(ROOT / "layers/model/bundle")
    assert [path.name for path in (built / "ModelLayer").iterdir()] == ["bundle"]


def test_function_has_its_sources_only(built: Path) -> None:
    shipped = {name for name in digests(built / "ApiFunction") if not name.endswith(".pyc")}
    source = ROOT / "functions"
    files = {str(path.relative_to(source)) for path in source.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert shipped == files - {"Makefile"}


def test_layers_unpacked_size_is_limited(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = {layer: megabytes(built / layer) for layer in LAYERS}
    with capsys.disabled():
        print(
            f"\nlayers unpacked, MB: {sum(sizes.values()):.1f} =",
            {name: round(size, 1) for name, size in sizes.items()},
        )
    assert sum(sizes.values()) <= MAX_MEGABYTES


@pytest.mark.parametrize(("architecture", "arch"), [("x86_64", "x64"), ("arm64", "AArch64")])
def test_native_libraries_load_on_amazon_linux_2023(architecture: str, arch: str, tmp_path: Path) -> None:
    libraries = native(make_layer("RuntimeLayer", tmp_path, architecture))
    assert {machine(library) for library in libraries} == {arch}
    newest = {library.name: newest_glibc(library) for library in libraries}
    assert {name: version for name, version in newest.items() if version > GLIBC} == {}
    assert max(newest.values()) > (2, 0), "no GLIBC_ symbol at all: newest_glibc() reads nothing"


@pytest.mark.parametrize(
    ("part", "home"), [("RuntimeLayer", "/opt"), ("ServingLayer", "/opt"), ("ApiFunction", "/var/task")]
)
def test_bytecode_is_unchecked_without_build_path(part: str, home: str, built: Path) -> None:
    """Bytecode is loaded without a check of its source, and names no path of the build."""
    sources = sorted((built / part).rglob("*.py"))
    assert sources
    for source in sources:
        content = compiled(source).read_bytes()
        assert content[:4] == importlib.util.MAGIC_NUMBER
        assert int.from_bytes(content[4:8], "little") == UNCHECKED_HASH
        expected = f"{home}/{source.relative_to(built / part)}"
        assert {code.co_filename for code in code_objects(marshal.loads(content[16:]))} == {expected}


def test_every_bytecode_file_has_its_module(built: Path) -> None:
    shipped = {path for part in (*LAYERS, "ApiFunction") for path in (built / part).rglob("*.pyc")}
    assert shipped == {compiled(path) for part in (*LAYERS, "ApiFunction") for path in (built / part).rglob("*.py")}


def test_built_folders_answer_like_the_sources(built: Path) -> None:
    path = [built / "ApiFunction", built / "RuntimeLayer/python", built / "ServingLayer/python"]
    predict = events()["predict"]
    documents = [{"text": f"A wonderful film, number {number}: é."} for number in range(100)]
    batch = {"path": "/v1/predict/batch", "resource": "/v1/predict/batch", "body": json.dumps({"documents": documents})}
    sample = [*events().values(), {**predict, **batch}]
    alone = answers(sample, path, built / "ModelLayer/bundle", "-I", "-S")
    here = answers(sample, [ROOT / "functions", ROOT / "layers/serving"], ROOT / "layers/model/bundle")
    assert [essence(answer["statusCode"], answer["body"]) for answer in alone] == [
        essence(answer["statusCode"], answer["body"]) for answer in here
    ]
    assert {answer["statusCode"] for answer in alone} == {200}


@pytest.mark.parametrize("layer", ["RuntimeLayer", "ServingLayer"])
def test_layer_without_python_3_13_fails_clearly(layer: str, tmp_path: Path) -> None:
    make = shutil.which("make")
    assert make is not None
    environment = {"PATH": str(tmp_path), "ARTIFACTS_DIR": str(tmp_path / "layer")}
    command: list[str | Path] = [make, "--directory", ROOT / LAYERS[layer], f"build-{layer}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "needs Python 3.13" in done.stderr
    assert not (tmp_path / "layer").exists()
