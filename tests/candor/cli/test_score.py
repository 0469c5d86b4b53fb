"""`candor score`, `candor verify` and `candor report` as a user runs them."""

import csv
import gzip
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from shlex import quote
from xml.etree import ElementTree

import pytest

from candor.batch import jobs, manifests
from candor.cli import score
from candor.cli.main import main
from candor.cli.width import columns
from candor.model.classifier import Classifier
from candor.settings import Settings
from candor.storage import Folder
from tests import bundles
from tests.commands import ENVIRONMENT
from tests.interrupt import heed

ROOT = Path(__file__).parents[3]
TEXTS = [
    "A wonderful film, superbly acted, from the first minute to the last.",
    "A dull, boring mess.",
    "",
    "The first half is fine, the second is not.",
    "一部很好的电影",
]


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "reviews.jsonl"
    lines = [json.dumps({"id": f"r{i}", "text": text}, ensure_ascii=False) for i, text in enumerate(TEXTS)]
    path.write_text("\n".join([*lines, "{bad"]) + "\n")
    return path


def run(source, output, *options):
    assert main(["score", str(source), str(output), "--processes", "2", *options]) == 0
    (folder,) = output.iterdir()
    results = [
        json.loads(line) for part in sorted(folder.glob("part-*")) for line in part.read_text().split("\n") if line
    ]
    return folder, results, json.loads((folder / "manifest.json").read_text())


def test_score_every_row_has_result_or_error(source, tmp_path, capsys):
    _, results, manifest = run(source, tmp_path / "out")
    assert [(each["line"], each.get("id")) for each in results] == [*((i + 1, f"r{i}") for i in range(5)), (6, None)]
    assert [each.get("decision", each.get("error", {}).get("code")) for each in results] == [
        "positive", "negative", "blank", "uncertain", "uncertain", "invalid_json",
    ]  # fmt: skip
    expected = Classifier.load(Settings.from_environ().bundle).predict([TEXTS[0]])[0]
    assert results[0]["probabilities"] == expected.probabilities
    assert manifest["counts"]["read"] == 6
    assert manifest["counts"]["errors"] == {"blank": 1, "invalid_json": 1}
    assert "4 of 6 rows scored" in capsys.readouterr().out


def test_summarise_long_labels_stay_in_columns(capsys):
    """Counts stand below each other, however long or wide a label is."""
    labels = {"pos": 1, "a label of more than sixteen": 1234, "退货退款退货退款退货退款": 2, "x" * 200: 3}
    counts = {"read": 9, "scored": 9, "labels": labels, "decisions": {"uncertain": 9}, "errors": {}}
    score.summarise({"folder": "out", "counts": counts, "model": {"name": "tickets"}})
    rows = capsys.readouterr().out.splitlines()[1:]
    assert len(rows) == 5
    assert {columns(row.rpartition(" ")[0]) for row in rows} == {2 + 9 + 1 + score.MAX_NAME}
    assert not [row for row in rows if "x" * score.MAX_NAME in row]


def test_score_any_processes_give_the_same_bytes(source, tmp_path):
    folders = [
        run(source, tmp_path / name, "--rows", "2", "--processes", processes)[0]
        for name, processes in (("a", "1"), ("b", "3"))
    ]
    contents = [{part.name: part.read_bytes() for part in folder.iterdir()} for folder in folders]
    manifests = [json.loads(content.pop("manifest.json")) for content in contents]
    assert contents[0] == contents[1]
    assert len(contents[0]) == 3
    assert all(manifest.pop("times") and manifest.pop("seal") for manifest in manifests)
    assert manifests[0] == manifests[1]
    assert run(source, tmp_path / "a", "--rows", "2")[0] == folders[0]


def stopped(*_, **__):
    raise KeyboardInterrupt


def test_score_stopped_run_goes_on(source, tmp_path, monkeypatch):
    monkeypatch.setattr(manifests, "finish", stopped)
    assert main(["score", str(source), str(tmp_path / "out"), "--rows", "2", "--processes", "2"]) == 130
    monkeypatch.undo()
    (folder,) = (tmp_path / "out").iterdir()
    (folder / "part-00002.jsonl").unlink()
    kept = {path: path.stat().st_ino for path in folder.glob("part-*")}
    assert len(kept) == 2
    results = run(source, tmp_path / "out", "--rows", "2")[1]
    assert results == run(source, tmp_path / "whole", "--rows", "2")[1]
    assert {path: path.stat().st_ino for path in kept} == kept, "a finished part was made again"


def test_score_explain_adds_attributions(source, tmp_path):
    assert "attributions" not in run(source, tmp_path / "plain")[1][0]
    result = run(source, tmp_path / "explained", "--explain")[1][0]
    found = result["attributions"]
    assert result["base_value"] + sum(each["value"] for each in found) == pytest.approx(result["logit"], abs=1e-6)
    assert [TEXTS[0][each["begin"] : each["end"]] for each in found][:4] == ["A", "wonderful", "film", ","]


def test_score_sigint_keeps_finished_parts(tmp_path):
    source = tmp_path / "many.txt"
    source.write_text("A wonderful film, and a long one, with a story to tell.\n" * 400_000)
    command = [sys.executable, "-m", "candor", "score", source, tmp_path / "out", "--processes", "1"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=ENVIRONMENT,
        preexec_fn=heed,
        **pipes,
    ) as process:
        try:
            while not list(tmp_path.glob("out/*/part-*")):
                assert process.poll() is None
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            said = process.communicate(timeout=60)[1]
        finally:
            process.kill()
    assert process.returncode == 130
    assert "finished parts are kept" in said
    assert "Traceback" not in said
    assert not list(tmp_path.glob("out/*/manifest.json"))


def in_parts(source, output):
    """The command that scores a file in parts of 100 rows."""
    return [sys.executable, "-m", "candor", "score", "--rows", "100", "--processes", "2", source, output]


def parts_and_list(output):
    """The parts that lie in a folder of results, and those that its manifest lists."""
    (manifest,) = output.glob("*/manifest.json")
    made = {part.name: part.read_bytes() for part in output.glob("*/part-*")}
    return made, json.loads(manifest.read_text())["parts"]


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A file of 4,000 rows, and its results from a run that nothing stopped."""
    folder = tmp_path_factory.mktemp("many")
    rows = [json.dumps({"id": str(i), "text": f"{TEXTS[i % 2]} It is number {i}."}) for i in range(4000)]
    (folder / "many.jsonl").write_text("\n".join(rows) + "\n")
    command = in_parts(folder / "many.jsonl", folder / "out")
    subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, check=True)
    return folder / "many.jsonl", parts_and_list(folder / "out")


@pytest.mark.parametrize("moment", [0.3, 0.5, 0.7, 0.9, 1.2, 1.6])
def test_score_sigkill_leaves_only_valid_parts(moment, many, tmp_path):
    source, whole = many
    command = in_parts(source, tmp_path / "out")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, start_new_session=True, **quiet) as process:
        time.sleep(moment)
        os.killpg(process.pid, signal.SIGKILL)
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert parts_and_list(tmp_path / "out") == whole
    assert len(whole[0]) == 40


def test_score_prints_and_keeps_no_text(tmp_path, capfd):
    source = tmp_path / "secret.jsonl"
    source.write_text('{"text": "zebra-4711 film"}\n{"text": 1, "zebra-4711": 2}\nzebra-4711\n')
    folder, results, _ = run(source, tmp_path / "out")
    assert len(results) == 3
    assert "zebra" in source.read_text()
    written = "".join(capfd.readouterr()) + "".join(path.read_text() for path in folder.iterdir())
    assert "zebra" not in written


def test_report_shows_counts_histogram_and_examples(source, tmp_path):
    source.write_text(source.read_text() + '{"text": "A wonderful <script>alert(1)</script> film."}\n')
    assert main(["report", str(source), str(tmp_path / "report.html")]) == 0
    page = (tmp_path / "report.html").read_text()
    assert "Texts scored: 5. Rows with an error: 2." in page
    assert "<svg" in page
    assert re.search(r"<mark title='\+\d\.\d\d'>wonderful</mark>", page)
    assert "<script>" not in page
    assert main(["report", str(tmp_path / "none.csv"), str(tmp_path / "none.html")]) == 2
    assert not (tmp_path / "none.html").exists()


def test_report_folds_many_labels(tmp_path):
    """Five decisions are shown with their examples; the others are folded. Names of the data stay text."""
    labels = [f"<b>queue {number}</b>" for number in range(30)]
    model = tmp_path / "model"
    model.mkdir()
    bundles.classifier(model, labels=labels, min_confidence=0.0)
    lines = [
        f"{left} {middle} {right}\n" for left in bundles.WORDS for middle in bundles.WORDS for right in ("it", "!")
    ]
    (tmp_path / "many.txt").write_text("".join(lines))
    assert main(["report", str(tmp_path / "many.txt"), str(tmp_path / "report.html"), "--model", str(model)]) == 0
    page = (tmp_path / "report.html").read_text()
    decisions = re.findall(r"<details( open)?><summary><bdi>([^<]*)</bdi>", page)
    assert len(decisions) > 8
    assert [bool(opened) for opened, _ in decisions] == [True] * 5 + [False] * (len(decisions) - 5)
    assert f"<summary>and {len(decisions) - 5} more</summary>" in page
    assert "&lt;b&gt;queue" in page
    assert "<b>" not in page
    assert "<bdi>" in page  # what the line above would find


def test_score_table_holds_no_formula(tmp_path):
    source = tmp_path / "cells.jsonl"
    ids = ["=1+1", "+1", "-1", "@x", "\tx", "plain", 'a,"b"\n']
    source.write_text("".join(json.dumps({"id": each, "text": "A wonderful film."}) + "\n" for each in ids) + "{bad\n")
    folder, _, _ = run(source, tmp_path / "out")
    assert not (folder / "results.csv").exists()
    folder, results, _ = run(source, tmp_path / "out", "--csv", "--picture")
    with (folder / "results.csv").open(newline="") as file:
        header, *table = csv.reader(file)
    assert header == ["line", "id", "label", "decision", "negative", "positive", "error"]
    assert [cells[1] for cells in table] == ["'=1+1", "'+1", "'-1", "'@x", "'\tx", "plain", 'a,"b"\n', ""]
    assert [cells[6] for cells in table] == [""] * 7 + ["invalid_json"]
    assert [float(cells[5]) for cells in table[:7]] == [each["probabilities"]["positive"] for each in results[:7]]
    svg = ElementTree.parse(folder / "histogram.svg").getroot()
    assert "7" in "".join(title.text.rpartition(": ")[2] for title in svg.iter("{http://www.w3.org/2000/svg}title"))


@pytest.mark.parametrize(("kind", "content"), [("txt", b"A wonderful film.\n"), ("csv", b"text\nA wonderful film.\n")])
def test_score_reads_standard_input(kind, content, tmp_path):
    command = [sys.executable, "-m", "candor", "score", "-", tmp_path / "out", "--stdin", kind]
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, input=content, capture_output=True, check=True)
    assert b"1 of 1 rows scored" in done.stdout
    (part,) = (tmp_path / "out").glob(f"stdin.{kind}-*/part-00000.jsonl")
    assert json.loads(part.read_text())["label"] == "positive"


def test_score_odd_file_name_stops_no_other(tmp_path, capsys):
    """What cannot be read has its reason on a line of its own, and the others their results; the status is 1."""
    make_odd(tmp_path / "in")
    command = ["score", str(tmp_path / "in"), str(tmp_path / "out"), "--processes", "1"]
    for _ in range(2):
        assert main(command) == 1
        said = capsys.readouterr()
        reasons = re.findall(r"^error: .*/in/([^:]*): (.*)$", said.err, re.MULTILINE)
        assert sorted(reasons) == sorted((name[:MAX_SHOWN], reason) for name, reason in ODD.items())
        assert "\x1b" not in said.out + said.err
        assert said.out.count("1 of 1 rows scored") == 2
    (tmp_path / "in/b.txt").unlink()
    (tmp_path / "in/\x1b[31mc.txt").unlink()
    assert main(command) == 2, "nothing is scored at all"


MAX_SHOWN = 250
ODD = {
    "a\\xff.txt": "its name is not UTF-8",
    "d\\xff/a.txt": "its name is not UTF-8",
    "x" * 242 + ".txt": "its name has more than 238 bytes",
    "pipe.txt": "not a file but a named pipe",
    "socket.csv": "not a file but a socket",
    "gone.txt": "a link to a file that is not there",
    "loop.csv": "Too many levels of symbolic links",
    "memory.txt": "Input/output error",
    "cut.csv.gz": "the gzip is truncated or damaged",
    "empty.csv": "nothing was scored: it has no rows",
}


def make_odd(folder):
    """Make a folder with what ODD names, and two good files, of which one has a name that turns a terminal red."""
    (folder / "dir.csv").mkdir(parents=True)
    for name in ("b.txt", "\x1b[31mc.txt", "x" * 242 + ".txt", "a\udcff.txt"):
        (folder / name).write_text("good\n")
    (folder / "d\udcff").mkdir()
    (folder / "d\udcff/a.txt").write_text("good\n")
    os.mkfifo(folder / "pipe.txt")
    with socket.socket(socket.AF_UNIX) as bound:
        here = Path.cwd()
        os.chdir(folder)  # a socket's path has at most 107 bytes
        bound.bind("socket.csv")
        os.chdir(here)
    (folder / "gone.txt").symlink_to("nowhere")
    (folder / "loop.csv").symlink_to("loop.csv")
    (folder / "memory.txt").symlink_to("/proc/self/mem")
    (folder / "cut.csv.gz").write_bytes(gzip.compress(b"text\n")[:-4])
    (folder / "empty.csv").touch()


def test_score_changing_file_stops_no_other(tmp_path, monkeypatch, capsys):
    """A file that grows, shrinks or goes while it is read has its reason; the others are scored."""
    (tmp_path / "in").mkdir()
    for name in ("a", "b", "c", "d"):
        (tmp_path / f"in/{name}.txt").write_text("good\n" * 1000)
    read = Folder.blocks

    def disturbed(self, source, *bounds):
        path = self.root / source.key
        change = {"a": lambda: os.truncate(path, 9999), "b": lambda: os.truncate(path, 9), "c": path.unlink}
        change.get(path.stem, lambda: None)()
        return read(self, source, *bounds)

    monkeypatch.setattr(Folder, "blocks", disturbed)
    assert main(["score", str(tmp_path / "in"), str(tmp_path / "out"), "--processes", "1"]) == 1
    said = capsys.readouterr()
    assert re.findall(r"/in/(\w)\.txt: \w\.txt (.*)", said.err) == [
        ("a", "was modified while it was read; run the command again"),
        ("b", "was modified while it was read; run the command again"),
        ("c", "does not exist or is not a file"),
    ]
    assert "1,000 of 1,000 rows scored" in said.out
    assert [path.parent.name[:5] for path in tmp_path.glob("out/*/manifest.json")] == ["d.txt"]


def test_score_killed_worker_stops_no_other(tmp_path):
    """A file whose worker is killed, as for want of memory, has its reason; the next one gets new workers."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.txt").write_text("A wonderful film, and a long one, with a story to tell.\n" * 200_000)
    (tmp_path / "in/b.txt").write_text("good\n" * 30)
    command = [sys.executable, "-m", "candor", "score", "in", "out", "--processes", "2", "--rows", "10000"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=tmp_path, env=ENVIRONMENT, start_new_session=True, **pipes) as process:
        try:
            while not list(tmp_path.glob("out/a*/part-*")):
                assert process.poll() is None
                time.sleep(0.02)
            workers = [number for number in session_of(process.pid) if b"spawn_main" in command_of(number)]
            os.kill(int(workers[0]), signal.SIGKILL)
            out, err = process.communicate(timeout=60)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 1
    assert "in/a.txt: a worker process was killed, perhaps for want of memory" in err
    assert "30 of 30 rows scored" in out
    assert all_end(process.pid)


def command_of(number):
    """The command line of a process."""
    return Path(f"/proc/{number}/cmdline").read_bytes()


def test_score_fault_in_a_file_stops_no_other(tmp_path, monkeypatch, capsys):
    """An error that nobody foresaw, whose message may hold a text, is named by its kind and costs its file only."""
    (tmp_path / "a.txt").write_text("good\n")
    (tmp_path / "b.txt").write_text("good\n")
    plan = jobs.plan

    def broken(inbox, source, *rest):
        if source.key == "a.txt":
            raise LookupError("Xyzzy")
        return plan(inbox, source, *rest)

    monkeypatch.setattr(jobs, "plan", broken)
    assert main(["score", str(tmp_path), str(tmp_path / "out"), "--processes", "1"]) == 70
    said = capsys.readouterr()
    assert "unexpected LookupError" in said.err
    assert "Xyzzy" not in said.err
    assert "1 of 1 rows scored" in said.out


def test_score_many_files_load_one_model(tmp_path, monkeypatch):
    """The model is loaded once a run, and no process is started for files of one part."""
    loads: list[Path] = []
    load, pool = Classifier.load, score.ProcessPoolExecutor
    monkeypatch.setattr(Classifier, "load", lambda path, digest="": loads.append(path) or load(path, digest))
    monkeypatch.setattr(score, "ProcessPoolExecutor", lambda *options: loads.append("pool") or pool(*options))
    for number in range(20):
        (tmp_path / f"{number}.txt").write_text(f"good {number}\n")
    assert main(["score", str(tmp_path), str(tmp_path / "out"), "--processes", "2"]) == 0
    assert len(list(tmp_path.glob("out/*/manifest.json"))) == 20
    assert len(loads) == 1
    for number in range(2):
        (tmp_path / f"{number}.txt").write_text("good\nbad\n")
    assert main(["score", str(tmp_path), str(tmp_path / "out"), "--processes", "2", "--rows", "1"]) == 0
    assert loads[1:] == [loads[0], "pool"]


def test_score_again_with_table_reads_no_result(source, tmp_path):
    """Results below the input folder, tables too, are not scored again."""
    for _ in range(2):
        assert main(["score", str(tmp_path), str(tmp_path / "out"), "--processes", "1", "--csv"]) == 0
    assert len(list((tmp_path / "out").iterdir())) == 1
    assert not list(tmp_path.rglob(".*.new"))


READERS_GONE = {  # where the output goes, exit status
    "| head -n 1": 1,
    "2>&1 | head -n 1": 1,
    "2>&1 >/dev/null | true": 1,
    ">/dev/full": 1,
    "2>/dev/full": 1,
    ">&- 2>&-": 1,
}


@pytest.mark.parametrize(("where", "status"), READERS_GONE.items(), ids=READERS_GONE)
def test_score_reader_gone_scores_all_files(where, status, tmp_path):
    """Who reads the output may go, or have no room: all files are scored, with table and picture, and no noise."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in/0.txt").touch()  # has its reason on stderr
    for number in range(1, 6):
        (tmp_path / f"in/{number}.txt").write_text("good\n")
    command = f"{quote(sys.executable)} -m candor score in out --processes 1 --csv --picture {where}"
    command += '; exit "${PIPESTATUS[0]}"'
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, timeout=60)
    assert done.returncode == status
    assert b"Traceback" not in done.stderr
    assert b"Broken" not in done.stderr
    for name in ("manifest.json", "results.csv", "histogram.svg"):
        assert len(list(tmp_path.glob(f"out/*/{name}"))) == 6
    if "/dev/full" not in where:
        (tmp_path / "in/0.txt").unlink()
        done = subprocess.run(["bash", "-c", command], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, timeout=60)
        assert done.returncode == 0


def test_score_note_that_nobody_reads_stops_nothing(tmp_path):
    """A damaged part is made again, and the note on it may find no reader."""
    (tmp_path / "a.txt").write_text("good\n")
    command = f"{quote(sys.executable)} -m candor score a.txt out --processes 1"
    subprocess.run(command, shell=True, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, check=True)
    (part,) = tmp_path.glob("out/*/part-00000.jsonl")
    whole = part.read_bytes()
    for where, noted in (("2>/dev/full", False), ("", True)):
        part.write_bytes(whole.replace(b"positive", b"negative"))
        done = subprocess.run(f"{command} {where}", shell=True, cwd=tmp_path, env=ENVIRONMENT, capture_output=True)
        assert (done.returncode, part.read_bytes(), b"note: " in done.stderr) == (0, whole, noted)


ENDINGS = {  # signal, whether every process of the session gets it, exit status
    "SIGTERM": (signal.SIGTERM, False, 130),
    "SIGKILL": (signal.SIGKILL, False, -9),
    "terminal closed": (signal.SIGHUP, True, 130),
    "Ctrl-C": (signal.SIGINT, True, 130),
}


@pytest.mark.parametrize(("how", "all_of_them", "status"), ENDINGS.values(), ids=ENDINGS)
def test_score_ended_from_outside_leaves_no_worker(how, all_of_them, status, tmp_path):
    """Whatever ends the command ends its workers and is no fault; the same command makes what is missing."""
    source = tmp_path / "many.txt"
    source.write_text("A wonderful film, and a long one, with a story to tell.\n" * 250_000)
    command = [sys.executable, "-m", "candor", "score", "many.txt", "out", "--processes", "2", "--rows", "5000"]
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(
        command, cwd=tmp_path, env=ENVIRONMENT, start_new_session=True, preexec_fn=heed, **pipes
    ) as process:
        try:
            while not list(tmp_path.glob("out/*/part-*")):
                assert process.poll() is None
                time.sleep(0.02)
            assert len(session_of(process.pid)) > 1
            (os.killpg if all_of_them else os.kill)(process.pid, how)
            said = process.communicate(timeout=60)[1]
            assert all_end(process.pid)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == status
    assert "Traceback" not in said
    assert how == signal.SIGKILL or "finished parts are kept" in said
    kept = {part.name: part.stat().st_mtime_ns for part in tmp_path.glob("out/*/part-*")}
    assert 0 < len(kept) < 50
    assert subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True).returncode == 0
    made = {part.name: part.stat().st_mtime_ns for part in tmp_path.glob("out/*/part-*")}
    assert len(made) == 50
    assert kept.items() <= made.items()


def test_score_nohup_outlives_terminal(tmp_path):
    """A hang-up that the caller ignores, as nohup does, does not end the work."""
    (tmp_path / "many.txt").write_text("A wonderful film, and a long one, with a story to tell.\n" * 100_000)
    command = [
        "nohup",
        sys.executable,
        "-m",
        "candor",
        "score",
        "many.txt",
        "out",
        "--processes",
        "2",
        "--rows",
        "5000",
    ]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=tmp_path, env=ENVIRONMENT, start_new_session=True, **quiet) as process:
        try:
            while not list(tmp_path.glob("out/*/part-*")):
                assert process.poll() is None
                time.sleep(0.02)
            os.killpg(process.pid, signal.SIGHUP)
            assert process.wait(timeout=60) == 0
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert list(tmp_path.glob("out/*/manifest.json"))


def all_end(leader):
    """Return whether all processes of a session come to their end."""
    deadline = time.monotonic() + 20
    while session_of(leader) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not session_of(leader)


def session_of(leader):
    """Numbers of the processes of a session that still run."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, _, session = stat.read_text().rpartition(")")[2].split()[:4]
            if int(session) == leader and state != "Z":
                found.append(stat.parent.name)
    return found


def test_score_unreadable_file_stops_no_other(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.csv").write_text("id,ref\n1,good\n")
    (tmp_path / "in/b.csv").write_text("id,text\n1,good\n")
    for _ in range(2):
        assert main(["score", str(tmp_path / "in"), str(tmp_path / "out"), "--processes", "1"]) == 1
        said = capsys.readouterr()
        assert said.err == (
            f"error: {tmp_path}/in/a.csv: no column named 'text'; its columns are 'id', 'ref'\n"
            "hint: pass --text-column NAME (make: TEXT=NAME)\n"
        )
        assert "1 of 1 rows scored" in said.out
    statuses = {
        path.parent.name[:5]: json.loads(path.read_text())["status"] for path in tmp_path.glob("out/*/manifest.json")
    }
    assert statuses == {"b.csv": "done"}  # a job on AWS writes a manifest of the other, too, for want of a terminal


SOUND = ("text\n" + "a good film\n" * 50).encode()
SOUND_OBJECTS = json.dumps([{"text": "a good film"}] * 50).encode()


@pytest.mark.parametrize(
    ("name", "sound", "damaged"),
    [
        ("a.csv.gz", gzip.compress(SOUND), gzip.compress(SOUND)[:-4]),
        ("a.json", SOUND_OBJECTS, SOUND_OBJECTS[:-1]),
        ("a.csv", SOUND, b"ref\n1\n2\n"),
    ],
    ids=["gzip", "array", "table"],
)
def test_score_rejected_file_leaves_nothing(name, sound, damaged, tmp_path, capsys):
    """A file that cannot be read, be it found out at its last byte, leaves no part and no manifest; mended it does."""
    source = tmp_path / name
    for content, status in ((damaged, 2), (sound, 0)):
        source.write_bytes(content)
        assert main(["score", str(source), str(tmp_path / "out"), "--rows", "10", "--processes", "2"]) == status
        assert bool([*tmp_path.glob("out/*")]) is (status == 0)


NOTHING = {  # name, content, options, what is said
    "wrong field": (
        "a.jsonl",
        b'{"reviewText":"Xyzzy film","overall":5}\n',
        ["--text", "body"],
        "its only row has the error missing_text; its fields are 'reviewText', 'overall'",
    ),
    "all ragged": (
        "a.csv",
        b"id,text\n1,Xyzzy,b\n",
        [],
        "its only row has the error ragged; its columns are 'id', 'text'",
    ),
    "all invalid": ("a.jsonl", b"Xyzzy\n{Xyzzy\n", [], "all 2 rows have the error invalid_json"),
    "all blank": ("a.txt", b" \n\xc2\xa0\n", [], "it has no rows but 2 blank lines"),
    "empty": ("a.csv", b"", [], "it has no rows"),
    "a header only": ("a.csv", b"id,text\n", [], "it has no rows; its columns are 'id', 'text'"),
    "an empty array": ("a.json", b"[]", [], "it has no rows"),
}


@pytest.mark.parametrize(("name", "content", "options", "reason"), NOTHING.values(), ids=NOTHING)
def test_score_nothing_scored_exits_2(name, content, options, reason, tmp_path, capsys):
    """Where no text was scored the status is not 0, now and when it is asked again; columns are named, texts not."""
    (tmp_path / name).write_bytes(content)
    command = ["score", str(tmp_path / name), str(tmp_path / "out"), "--processes", "1", *options]
    for _ in range(2):
        assert main(command) == 2
        said = capsys.readouterr()
        assert f"error: {tmp_path / name}: nothing was scored: {reason}\nhint: " in said.err
        assert said.err.endswith("check that it is the file you mean\n") is (reason.startswith("it has no rows"))
        assert "Xyzzy" not in said.out + said.err
    (tmp_path / name).write_bytes(b'[{"text":"good","body":"good"}]' if ".json" in name else b"text,body\ngood,good\n")
    assert main(command) == 0


def test_score_says_which_column_it_found(tmp_path, capsys, monkeypatch):
    """A column that is found and not named is told, stands in the manifest, and is verified."""
    (tmp_path / "a.csv").write_text("Review Text;Rating\nA wonderful film.;5\n")
    folder, _, manifest = run(tmp_path / "a.csv", tmp_path / "out")
    assert "  reading texts from 'Review Text'\n" in capsys.readouterr().out
    assert manifest["columns"] == {"text": "Review Text"}
    with monkeypatch.context() as patched:  # verified by what was found then, whatever would be found now
        patched.setattr("candor.batch.columns._TEXT_NAMES", ())
        patched.setattr("candor.batch.code.digest", lambda: "0" * 64)
        assert main(["verify", str(folder)]) == 0
        assert main(["score", str(tmp_path / "a.csv"), str(tmp_path / "other")]) == 2
    named, _, manifest = run(tmp_path / "a.csv", tmp_path / "named", "--text", "Review Text")
    assert "columns" not in manifest
    assert (named / "part-00000.jsonl").read_bytes() == (folder / "part-00000.jsonl").read_bytes()


def test_score_named_encoding_is_read_and_verified(tmp_path, capsys):
    """Rows that are no UTF-8 are counted with the encoding they suggest; named, it is read and part of the job."""
    (tmp_path / "a.csv").write_bytes("v|text\n1|A wonderful café.\n2|A dull mess.\n".encode("cp1252"))
    plain, _, manifest = run(tmp_path / "a.csv", tmp_path / "out")
    assert manifest["counts"]["scored"] == 1
    assert "1 row is not valid in the file's encoding; the bytes suggest cp1252" in capsys.readouterr().err
    folder, results, manifest = run(tmp_path / "a.csv", tmp_path / "named", "--encoding", "windows-1252")
    assert [each["label"] for each in results] == ["positive", "negative"]
    assert manifest["settings"]["reading"] == {"encoding": "cp1252"}
    assert main(["verify", str(folder)]) == main(["verify", str(plain)]) == 0


def test_score_no_header_numbers_columns(tmp_path):
    (tmp_path / "a.csv").write_text("7,A wonderful film.\n8,A dull mess.\n")
    _, results, _ = run(tmp_path / "a.csv", tmp_path / "out", "--no-header", "--text", "2", "--id", "1")
    assert [(each["line"], each["id"], each["label"]) for each in results] == [
        (1, "7", "positive"),
        (2, "8", "negative"),
    ]


def test_score_table_has_a_mark_on_request(source, tmp_path):
    """Excel takes a table for UTF-8 only if a byte order mark says so."""
    folder, _, _ = run(source, tmp_path / "plain", "--csv")
    plain = (folder / "results.csv").read_bytes()
    assert not plain.startswith(b"\xef\xbb\xbf")
    folder, _, _ = run(source, tmp_path / "marked", "--csv-bom")
    assert (folder / "results.csv").read_bytes() == b"\xef\xbb\xbf" + plain


def test_report_nothing_scored_writes_no_page(tmp_path, capsys):
    (tmp_path / "a.csv").write_text('id,text\n1," "\n')
    assert main(["report", str(tmp_path / "a.csv"), str(tmp_path / "a.html")]) == 2
    assert "a.csv: nothing was scored: 1 × blank" in capsys.readouterr().err
    assert not (tmp_path / "a.html").exists()
    (tmp_path / "a.csv").write_text("Comment,n\nA wonderful film.,1\n")
    assert main(["report", str(tmp_path / "a.csv"), str(tmp_path / "a.html")]) == 0
    assert "reading texts from 'Comment'" in capsys.readouterr().out
