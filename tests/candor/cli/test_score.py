"""`candor score`, `candor verify` and `candor report` as a user runs them."""

import csv
import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from shlex import quote
from xml.etree import ElementTree

import pytest

from candor.batch import manifests
from candor.cli import score
from candor.cli.main import main
from candor.cli.width import columns
from candor.model.classifier import Classifier
from candor.settings import Settings
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


def test_inputs_expand_folders_and_patterns(tmp_path):
    (tmp_path / "in/.venv").mkdir(parents=True)
    for name in ("a.txt", "b.csv", "c.md", ".venv/d.csv", ".e.csv"):
        (tmp_path / "in" / name).write_text("text\ngood\n")
    with ExitStack() as stack:
        assert [path.name for path in score.inputs(str(tmp_path / "in"), stack)] == ["a.txt", "b.csv"]
        assert [path.name for path in score.inputs(str(tmp_path / "in/*.t*"), stack)] == ["a.txt"]
        assert [path.name for path in score.inputs(str(tmp_path / "in/.e.csv"), stack)] == [".e.csv"]


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
    """A file whose name is not UTF-8 has its reason, and the others their results."""
    (tmp_path / "in").mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path / "in") + b"/a\xff.txt")).write_text("good\n")
    (tmp_path / "in/b.txt").write_text("good\n")
    assert main(["score", str(tmp_path / "in"), str(tmp_path / "out"), "--processes", "1"]) == 2
    said = capsys.readouterr()
    assert said.err.endswith("a\\xff.txt: its name is not UTF-8\n")
    assert "1 of 1 rows scored" in said.out


def test_score_again_with_table_reads_no_result(source, tmp_path):
    """Results below the input folder, tables too, are not scored again."""
    for _ in range(2):
        assert main(["score", str(tmp_path), str(tmp_path / "out"), "--processes", "1", "--csv"]) == 0
    assert len(list((tmp_path / "out").iterdir())) == 1
    assert not list(tmp_path.rglob(".*.new"))


def test_score_reader_gone_scores_all_files(tmp_path):
    (tmp_path / "in").mkdir()
    for number in range(5):
        (tmp_path / f"in/{number}.txt").write_text("good\n")
    command = f"{quote(sys.executable)} -m candor score in out --processes 1 | head -n 1"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, timeout=60)
    assert done.stderr == b""
    assert len(list(tmp_path.glob("out/*/manifest.json"))) == 5


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_score_ended_from_outside_leaves_no_worker(how, tmp_path):
    (tmp_path / "many.txt").write_text("A wonderful film, and a long one, with a story to tell.\n" * 400_000)
    command = [sys.executable, "-m", "candor", "score", "many.txt", "out", "--processes", "2"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=tmp_path, env=ENVIRONMENT, start_new_session=True, **quiet) as process:
        try:
            while not list(tmp_path.glob("out/*/part-*")):
                assert process.poll() is None
                time.sleep(0.02)
            process.send_signal(how)
            process.wait(timeout=60)
            deadline = time.monotonic() + 20
            while session_of(process.pid):
                assert time.monotonic() < deadline, session_of(process.pid)
                time.sleep(0.1)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


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
        assert main(["score", str(tmp_path / "in"), str(tmp_path / "out"), "--processes", "1"]) == 2
        said = capsys.readouterr()
        assert said.err == (
            "error: a.csv: no column named 'text'; its columns are 'id', 'ref'\n"
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
        "all 1 rows have an error; its fields are 'reviewText', 'overall'",
    ),
    "all ragged": ("a.csv", b"id,text\n1,Xyzzy,b\n", [], "all 1 rows have an error; its columns are 'id', 'text'"),
    "all invalid": ("a.jsonl", b"Xyzzy\n{Xyzzy\n", [], "all 2 rows have an error"),
    "all blank": ("a.txt", b" \n\xc2\xa0\n", [], "all 1 rows have an error"),
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
    assert "1 rows are not valid in the file's encoding; the bytes suggest cp1252" in capsys.readouterr().err
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
    (tmp_path / "a.csv").write_text('text\n" "\n')
    assert main(["report", str(tmp_path / "a.csv"), str(tmp_path / "a.html")]) == 2
    assert "a.csv: nothing was scored: 1 × blank" in capsys.readouterr().err
    assert not (tmp_path / "a.html").exists()
    (tmp_path / "a.csv").write_text("Comment,n\nA wonderful film.,1\n")
    assert main(["report", str(tmp_path / "a.csv"), str(tmp_path / "a.html")]) == 0
    assert "reading texts from 'Comment'" in capsys.readouterr().out
