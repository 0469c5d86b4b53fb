"""The wheel, in a clean environment of each Python that it supports: installed, called, and removed with the folder."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
import zipfile
from pathlib import Path

import pytest

import candor
from tests import checkout
from tests.trained import TWO

ROOT = Path(__file__).parents[1]
VERSIONS = ("3.11", "3.12", "3.13")
TEXT = "A wonderful film."


def python_of(version: str) -> str | None:
    """The interpreter of a version, if there is one that works."""
    for name in (f"python{version}", sys.executable):
        path = shutil.which(name)
        code = "import sys, venv; print('%d.%d' % sys.version_info[:2])"
        if path and subprocess.run([path, "-c", code], capture_output=True, text=True).stdout.strip() == version:
            return path
    return None


PYTHONS = [pytest.param(path, id=version) for version in VERSIONS if (path := python_of(version))]


def clean() -> dict[str, str]:
    """An environment that holds nothing of the checkout."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "BUNDLE", "VIRTUAL"))}


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, env=clean(), check=False, timeout=600, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from a copy of the checkout in which a small model is in use, so that nothing is left in it."""
    folder = tmp_path_factory.mktemp("wheel")
    source = checkout.copy(folder / "a checkout", TWO)
    run(
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        str(folder),
        str(source),
    )
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module", params=PYTHONS)
def installed(request, wheel, tmp_path_factory):
    """The scripts' folder of an environment with the wheel and its locked dependencies, and nothing else."""
    folder = tmp_path_factory.mktemp("environment")
    run(request.param, "-m", "venv", str(folder))
    python = str(folder / "bin/python")
    pip = (python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    run(*pip, "--no-deps", "--require-hashes", "--requirement", str(ROOT / "requirements/package.txt"))
    run(*pip, "--no-deps", str(wheel))
    run(python, "-m", "pip", "--disable-pip-version-check", "check")
    return folder / "bin"


def test_pythons_include_this_one():
    """At least the Python of the functions is there; others are tried where they are installed."""
    assert any(parameter.id == "3.13" for parameter in PYTHONS)


def test_wheel_holds_two_packages_and_the_model(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        described = archive.read(metadata).decode()
        model = archive.read("candor/shipped/layers/model/bundle/model.tflite")
    assert {name.split("/")[0] for name in names} == {"candor", "candor_training", metadata.split("/")[0]}
    assert model == (TWO / "model.tflite").read_bytes()
    assert f"Version: {candor.__version__}\n" in described
    assert "License-Expression: Apache-2.0\n" in described
    assert "candor/py.typed" in names
    assert not [name for name in names if "__pycache__" in name or name.endswith(".png")]


def test_wheel_holds_every_module(wheel):
    """Packages are listed by hand in pyproject.toml; one that is forgotten would be missed here."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for folder, package in (("layers/serving/candor", "candor"), ("training", "candor_training")):
        for path in (ROOT / folder).rglob("*.py"):
            assert f"{package}/{path.relative_to(ROOT / folder).as_posix()}" in names


@pytest.mark.parametrize("folder", ["guesses", "vectors"])
def test_wheel_holds_what_an_encoder_taught(wheel, folder):
    """Training from the wheel needs it, and its README holds the licence."""
    with zipfile.ZipFile(wheel) as archive:
        for name in (f"{folder}.npz.xz", "README.md"):
            assert archive.read(f"candor_training/{folder}/{name}") == (ROOT / "training" / folder / name).read_bytes()


def test_installed_version_is_the_packages(installed, tmp_path):
    assert run(installed / "candor", "--version", cwd=tmp_path) == f"candor {candor.__version__}\n"


def test_installed_library_predicts(installed, tmp_path):
    code = f"import candor; print(candor.load().predict([{TEXT!r}])[0].label)"
    assert run(installed / "python", "-W", "error", "-c", code, cwd=tmp_path) == "positive\n"


def test_installed_import_loads_nothing_heavy(installed, tmp_path):
    code = "import candor, sys; print(sorted({'numpy', 'click', 'yaml'} & sys.modules.keys()))"
    assert run(installed / "python", "-c", code, cwd=tmp_path) == "[]\n"


def test_installed_command_scores_and_verifies(installed, tmp_path):
    (tmp_path / "reviews.csv").write_text(f"id,text\n1,{TEXT}\n2,A dull mess.\n")
    assert json.loads(run(installed / "candor", "predict", "--json", TEXT, cwd=tmp_path))["label"] == "positive"
    shown = run(
        installed / "candor", "score", "reviews.csv", "results", "--processes", "2", "--rows", "1", cwd=tmp_path
    )
    assert "2 of 2 rows scored" in shown
    (manifest,) = tmp_path.glob("results/*/manifest.json")
    assert "all holds" in run(installed / "candor", "verify", str(manifest), cwd=tmp_path)


def test_installed_command_serves(installed, tmp_path):
    command = [str(installed / "candor"), "serve", "--port", "0"]
    log = tmp_path / "said"
    with (
        log.open("w") as file,
        subprocess.Popen(command, cwd=tmp_path, env=clean(), stdout=file, stderr=file) as server,
    ):
        try:
            deadline = time.monotonic() + 30
            while not (found := re.search(r"http://127\.0\.0\.1:\d+", log.read_text())):
                assert server.poll() is None, log.read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)
            body = json.dumps({"text": TEXT}).encode()
            request = urllib.request.Request(f"{found[0]}/v1/predict", body, {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=20) as answer:
                assert json.load(answer)["label"] == "positive"
            for path in ("/", "/openapi.json", "/v1/model/card"):
                with urllib.request.urlopen(found[0] + path, timeout=20) as answer:
                    assert answer.read()
        finally:
            server.terminate()
            server.wait(timeout=20)


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["train", "reviews.csv"], "pip install '.[train]'"),
        (["torture"], "pip install '.[torture]'"),
        (["use", "."], "--model NAME"),
    ],
)
def test_installed_command_names_missing_extra(arguments, hint, installed, tmp_path):
    (tmp_path / "reviews.csv").write_text("text,label\na,x\nb,x\nc,y\nd,y\n")
    done = subprocess.run(
        [installed / "candor", *arguments], cwd=tmp_path, env=clean(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert re.match(r"error: .+\nhint: .+\n$", done.stderr), done.stderr
    assert hint in done.stderr
