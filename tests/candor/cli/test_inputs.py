"""What the INPUT of `candor score` stands for."""

from contextlib import ExitStack

import pytest

from candor.cli.errors import CommandError
from candor.cli.inputs import inputs
from candor.cli.main import main


def test_inputs_expand_folders_and_patterns(tmp_path):
    (tmp_path / "in/.venv").mkdir(parents=True)
    for name in ("a.txt", "b.csv", "c.md", ".venv/d.csv", ".e.csv"):
        (tmp_path / "in" / name).write_text("text\ngood\n")
    with ExitStack() as stack:
        assert [path.name for path in inputs(str(tmp_path / "in"), stack).files] == ["a.txt", "b.csv"]
        assert [path.name for path in inputs(str(tmp_path / "in/*.t*"), stack).files] == ["a.txt"]
        assert [path.name for path in inputs(str(tmp_path / "in/.e.csv"), stack).files] == [".e.csv"]


def found(named):
    """Return the paths of the files to read, relative to the working directory."""
    with ExitStack() as stack:
        return [str(path) for path in inputs(named, stack).files]


@pytest.fixture
def scored(tmp_path, monkeypatch):
    """A folder of two files, and in it: results of a run, of a run that was stopped, and what looks like results."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in/sub").mkdir(parents=True)
    for name in ("a.txt", "sub/b.csv"):
        (tmp_path / "in" / name).write_text("text\ngood\n")
    for output in ("out", "stopped", "renamed"):
        assert main(["score", "in", f"in/{output}", "--processes", "1", "--rows", "1", "--csv"]) == 0
    for folder in (tmp_path / "in/stopped").iterdir():
        (folder / "manifest.json").unlink()
        if (part := folder / "part-00001.jsonl").exists():
            part.with_name("part-00000.jsonl").unlink()
    for folder in (tmp_path / "in/renamed").iterdir():
        folder.rename(folder.with_name(folder.name[:3]))
    (tmp_path / "in/own-0123456789abcdef").mkdir()
    (tmp_path / "in/own-0123456789abcdef/a.csv").write_text("text\ngood\n")
    (tmp_path / "in/shards").mkdir()
    (tmp_path / "in/shards/part-00000.jsonl").write_text('{"text":"good"}\n')
    (tmp_path / "in/shards/manifest.json").write_text('[{"text":"good"}]\n')
    return ["a.txt", "own-0123456789abcdef/a.csv", "shards/manifest.json", "shards/part-00000.jsonl", "sub/b.csv"]


@pytest.mark.parametrize("named", ["in", "in/**", "in/*", "in/**/*", "link", "li*/**"])
def test_inputs_leave_results_out(named, scored, tmp_path):
    """Results in the folder are no input, finished or not, by whatever path; files that look like them are."""
    (tmp_path / "link").symlink_to("in")
    (tmp_path / "in/linked").symlink_to("out")
    (part,) = tmp_path.glob("in/out/a.txt-*/part-00000.jsonl")
    (tmp_path / "in/part.jsonl").symlink_to(part)
    expected = [f"{'link' if 'li' in named else 'in'}/{name}" for name in scored]
    assert sorted(found(named)) == expected
    with pytest.raises(CommandError, match="only results of Candor's"):
        found(str(part))


def test_inputs_scored_into_themselves(tmp_path, monkeypatch):
    """The folder of the texts may be that of the results: each text is scored once."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("good\n")
    for _ in range(2):
        assert main(["score", ".", ".", "--processes", "1"]) == 0
        assert found(".") == ["a.txt"]
    assert len(list(tmp_path.glob("*/"))) == 1


def test_inputs_links_stay_apart(tmp_path, monkeypatch):
    """A link to a file is a file of its own name; one to a folder is not followed, and none goes round in circles."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in/sub").mkdir(parents=True)
    (tmp_path / "in/a.txt").write_text("good\n")
    (tmp_path / "in/b.txt").symlink_to("a.txt")
    (tmp_path / "in/sub/up").symlink_to("..")
    assert found("in") == ["in/a.txt", "in/b.txt"]
    assert sorted(found("in/**")) == ["in/a.txt", "in/b.txt"]
