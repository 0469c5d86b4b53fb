"""What `candor train` says before TensorFlow is loaded: usage, data that cannot be used, and help."""

import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import click
import pytest

from candor.cli.main import main
from training.command import train

ROOT = Path(__file__).parents[2]
USAGE = "error: {}\nhint: candor train --help lists arguments and options\n"
GOOD = "text,label\na,x\nb,x\nc,y\nd,y\n"
CASES = {
    "negative seed": (
        ["good.csv", "--seed", "-1"],
        2,
        USAGE.format("invalid value for '--seed': '-1' is not a whole number from 0 to 4294967295"),
    ),
    "seed is no number": (
        ["good.csv", "--seed", "one"],
        2,
        USAGE.format("invalid value for '--seed': 'one' is not a whole number from 0 to 4294967295"),
    ),
    "empty path": ([""], 2, USAGE.format("invalid value for '[DATA]...': the path is empty")),
    "empty store": (
        ["good.csv", "--store", ""],
        2,
        USAGE.format("invalid value for '--store': the name is empty"),
    ),
    "name with a slash": (
        ["good.csv", "--name", "a/b"],
        2,
        USAGE.format(
            "invalid value for '--name': 'a/b' is no name: up to 63 letters, digits and . _ -, "
            "the first a letter or digit"
        ),
    ),
    "owner in two lines": (
        ["good.csv", "--owner", "a\nb"],
        2,
        USAGE.format("invalid value for '--owner': a line of 1 to 1000 printable characters is expected"),
    ),
    "noun of two lines": (
        ["good.csv", "--text-noun", "a\nticket"],
        2,
        USAGE.format("invalid value for '--text-noun': a line of 1 to 30 printable characters is expected"),
    ),
    "noun too long": (
        ["good.csv", "--text-noun", "x" * 31],
        2,
        USAGE.format("invalid value for '--text-noun': a line of 1 to 30 printable characters is expected"),
    ),
    "no such samples": (["good.csv", "--samples", "none.txt"], 2, "error: none.txt does not exist\n"),
    "samples of the data": (
        ["good.csv", "--samples", "good.csv"],
        2,
        "error: good.csv: the sample on line 2 is a text of the data\n"
        "hint: write one yourself: every visitor sees the samples, and the data's texts are private\n",
    ),
    "two files": (["good.csv", "b.csv"], 2, "error: b.csv does not exist\n"),
    "no such golden file": (["good.csv", "--golden", "none.jsonl"], 2, "error: none.jsonl does not exist\n"),
    "folder as golden file": (
        ["good.csv", "--golden", "good.jsonl"],
        2,
        "error: good.jsonl cannot be read: Is a directory\n",
    ),
    "no such file": (["none.csv"], 2, "error: none.csv does not exist\n"),
    "unknown kind": (
        ["good.md"],
        2,
        "error: good.md is of an unknown kind\n"
        "hint: pass a .csv, .tsv, .jsonl or .json file (also with .gz), a folder with a sub-folder of .txt files for "
        "each label, or IMDB as a folder, .tar.gz, .tgz or .tar\n",
    ),
    "parquet": (
        ["good.parquet"],
        2,
        "error: good.parquet is of an unknown kind\n"
        'hint: Parquet is not supported yet; export it: python -c "import pandas; '
        "pandas.read_parquet('in.parquet').to_csv('out.csv', index=False)\"\n",
    ),
    "other columns": (
        ["good.csv", "--text", "body"],
        2,
        "error: good.csv: no column named 'body'; its columns are 'text', 'label'\n"
        "hint: pass --text-column NAME (make: TEXT=NAME)\n",
    ),
    "likely column": (
        ["good.csv", "--label", "Labels"],
        2,
        "error: good.csv: no column named 'Labels'; its columns are 'text', 'label'\n"
        "hint: pass --label-column label (make: LABEL=label)\n",
    ),
    "no such unlabelled file": (["good.csv", "--unlabelled", "none.txt"], 2, "error: none.txt does not exist\n"),
    "empty unlabelled path": (
        ["good.csv", "--unlabelled", ""],
        2,
        USAGE.format("invalid value for '--unlabelled': the path is empty"),
    ),
    "unlabelled without a text": (
        ["good.csv", "--unlabelled", "blank.txt"],
        2,
        "error: blank.txt has no text that can be read\nhint: pass a .csv, .jsonl or .txt file of texts\n",
    ),
    "folder as unlabelled file": (
        ["good.csv", "--unlabelled", "good.jsonl"],
        2,
        "error: good.jsonl cannot be read: Is a directory\n",
    ),
    "no such test file": (["good.csv", "--test", "none.csv"], 2, "error: none.csv does not exist\n"),
    "no data and no such test file": (["--test", "none.csv"], 2, "error: none.csv does not exist\n"),
    "no data and no such golden file": (["--golden", "none.jsonl"], 2, "error: none.jsonl does not exist\n"),
    "empty test path": (
        ["good.csv", "--test", ""],
        2,
        USAGE.format("invalid value for '--test': the path is empty"),
    ),
    "test on other labels": (
        ["good.csv", "--test", "golden.csv"],
        2,
        "error: golden.csv: 1 of 1 rows have labels that the data to train on lacks: 'z' (1 row)\n"
        "hint: train on rows of these labels, too, or leave them out of the test\n",
    ),
    "test on what was learnt": (
        ["good.csv", "--test", "good.csv"],
        2,
        "error: every text of good.csv is also in the data to train on\nhint: test on texts that are not\n",
    ),
    "size too small": (
        ["good.csv", "--size", "0.2"],
        2,
        USAGE.format("invalid value for '--size': '0.2' is not a number from 0.3 to 50"),
    ),
    "size too large": (
        ["good.csv", "--size", "51"],
        2,
        USAGE.format("invalid value for '--size': '51' is not a number from 0.3 to 50"),
    ),
    "size is no number": (
        ["good.csv", "--size", "3MB"],
        2,
        USAGE.format("invalid value for '--size': '3MB' is not a number from 0.3 to 50"),
    ),
    "size is nan": (
        ["good.csv", "--size", "nan"],
        2,
        USAGE.format("invalid value for '--size': 'nan' is not a number from 0.3 to 50"),
    ),
    "no minutes": (
        ["good.csv", "--minutes", "0"],
        2,
        USAGE.format("invalid value for '--minutes': '0' is not a number above 0"),
    ),
    "minutes are no number": (
        ["good.csv", "--minutes", "soon"],
        2,
        USAGE.format("invalid value for '--minutes': 'soon' is not a number above 0"),
    ),
    "minutes are nan": (
        ["good.csv", "--minutes", "nan"],
        2,
        USAGE.format("invalid value for '--minutes': 'nan' is not a number above 0"),
    ),
    "minutes without end": (
        ["good.csv", "--minutes", "inf"],
        2,
        USAGE.format("invalid value for '--minutes': 'inf' is not a number above 0"),
    ),
    "golden label": (
        ["good.csv", "--golden", "golden.csv"],
        2,
        "error: golden.csv: the data has no label 'z', as line 2 has\nhint: use 'x', 'y'\n",
    ),
}


def run(*arguments):
    """Run the command as `candor` does, and return its exit status."""
    return main(["train", *arguments])


@pytest.fixture
def folder(entry_point, tmp_path, monkeypatch):
    """A working directory with a good file and some others."""
    monkeypatch.chdir(tmp_path)
    for name, content in {
        "good.csv": GOOD,
        "good.parquet": GOOD,
        "good.md": GOOD,
        "golden.csv": "text,label\na,z\n",
        "blank.txt": "\n \n",
    }.items():
        (tmp_path / name).write_text(content)
    (tmp_path / "good.jsonl").mkdir()
    return tmp_path


@pytest.mark.parametrize(("arguments", "status", "errors"), CASES.values(), ids=CASES)
def test_train_refusal_has_status_and_stderr(arguments, status, errors, folder, capsys):
    before = sorted(folder.iterdir())
    assert run(*arguments) == status
    assert capsys.readouterr() == ("", errors)
    assert sorted(folder.iterdir()) == before


def test_train_without_tensorflow_names_the_extra(folder, capsys, monkeypatch):
    """A missing TensorFlow is reported before anything is downloaded."""
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    assert run() == 2
    assert capsys.readouterr() == (
        "",
        "error: training needs TensorFlow, which is not installed\n"
        "hint: in a checkout of Candor: pip install '.[train]', or make train\n",
    )
    assert not (folder / ".data").exists()


def test_train_help_describes_every_option(entry_point, capsys):
    """Each option has a help text, and the help has an example."""
    assert all(option.help for option in train.params if isinstance(option, click.Option))
    assert run("--help") == 0
    output, errors = capsys.readouterr()
    assert "candor train tickets.csv --text body --label queue" in output
    assert errors == ""


def test_train_help_imports_neither_numpy_nor_keras():
    """The help costs no import that takes long."""
    code = (
        "import sys; from training.command import train; train(['--help'], standalone_mode=False); "
        "sys.exit(', '.join({'numpy', 'keras', 'tensorflow', 'matplotlib'} & sys.modules.keys()) or 0)"
    )
    environment = {"PYTHONPATH": str(ROOT / "layers/serving"), "PATH": ""}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_train_checks_terms_before_tensorflow():
    """TensorFlow writes to the terminal while it loads, so that is held back; what comes before must not load it."""
    code = (
        "import sys; from training.command import _care; _care(None, (), (), way='off', accepted=''); "
        "from training import fairness, summary, bundle_files; "
        "sys.exit(', '.join({'keras', 'tensorflow'} & sys.modules.keys()) or 0)"
    )
    environment = {"PYTHONPATH": str(ROOT / "layers/serving"), "PATH": ""}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "name",
    [
        *("bundle_files", "corpus", "data", "encoder", "findings", "lessons", "membership", "pictures", "stack"),
        *("summary", "vectors"),
    ],
)
def test_examples_in_docstrings_run(name):
    done = doctest.testmod(importlib.import_module(f"training.{name}"))
    assert (done.failed, done.attempted > 0) == (0, True)
