"""`make score`, `make verify-results` and `make report` as a user runs them."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

from candor.classifier import Classifier
from candor.settings import Settings
from events import report, score
from tests.interrupt import heed

ROOT = Path(__file__).parents[1]
TEXTS = [
    "A wonderful film.",
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
    assert score.main([str(source), str(output), "--processes", "2", *options]) == 0
    (folder,) = output.iterdir()
    results = [
        json.loads(line) for part in sorted(folder.glob("part-*")) for line in part.read_text().split("\n") if line
    ]
    return folder, results, json.loads((folder / "manifest.json").read_text())


def test_every_row_has_a_result_or_an_error_in_its_place(source, tmp_path, capsys):
    _, results, receipt = run(source, tmp_path / "out")
    assert [(each["line"], each.get("id")) for each in results] == [*((i + 1, f"r{i}") for i in range(5)), (6, None)]
    assert [each.get("decision", each.get("error", {}).get("code")) for each in results] == [
        "positive", "negative", "blank", "uncertain", "uncertain", "invalid_json",
    ]  # fmt: skip
    expected = Classifier.load(Settings.from_environ().bundle).predict([TEXTS[0]])[0]
    assert results[0]["probabilities"] == expected.probabilities
    assert receipt["counts"]["read"] == 6
    assert receipt["counts"]["errors"] == {"blank": 1, "invalid_json": 1}
    assert "4 of 6 rows scored" in capsys.readouterr().out


def test_parts_have_the_same_bytes_whatever_the_processes_and_however_often(source, tmp_path):
    folders = [
        run(source, tmp_path / name, "--rows", "2", "--processes", processes)[0]
        for name, processes in (("a", "1"), ("b", "3"))
    ]
    contents = [{part.name: part.read_bytes() for part in folder.iterdir()} for folder in folders]
    receipts = [json.loads(content.pop("manifest.json")) for content in contents]
    assert contents[0] == contents[1]
    assert len(contents[0]) == 3
    assert all(receipt.pop("times") for receipt in receipts)
    assert receipts[0] == receipts[1]
    assert run(source, tmp_path / "a", "--rows", "2")[0] == folders[0]


def test_a_run_that_was_stopped_is_taken_up_where_it_stopped(source, tmp_path):
    folder, results, _ = run(source, tmp_path / "out", "--rows", "2")
    kept = (folder / "part-00001.jsonl").read_bytes().replace(b'"tokens":', b'"tokens": ')
    (folder / "part-00001.jsonl").write_bytes(kept)
    (folder / "part-00002.jsonl").unlink()
    (folder / "manifest.json").unlink()
    assert run(source, tmp_path / "out", "--rows", "2")[1] == results
    assert (folder / "part-00001.jsonl").read_bytes() == kept, "a finished part was made again"


def test_attributions_come_on_request_and_point_into_the_text(source, tmp_path):
    assert "attributions" not in run(source, tmp_path / "plain")[1][0]
    found = run(source, tmp_path / "explained", "--explain")[1][0]["attributions"]
    assert [TEXTS[0][each["begin"] : each["end"]] for each in found] == ["A", "wonderful", "film"]


def test_a_receipt_holds_until_anything_that_it_names_changes(source, tmp_path, capsys):
    folder, _, _ = run(source, tmp_path / "out")
    manifest, part = folder / "manifest.json", folder / "part-00000.jsonl"
    assert score.main(["--verify", str(manifest)]) == 0
    for path, change, word in (
        (part, lambda content: content.replace(b"positive", b"negative", 1), "part-00000"),
        (source, lambda content: content + b'{"text": "more"}\n', "reviews.jsonl"),
        (manifest, lambda content: content.replace(b'"read": 6', b'"read": 7'), "counts"),
    ):
        whole = path.read_bytes()
        path.write_bytes(change(whole))
        capsys.readouterr()
        assert score.main(["--verify", str(manifest)]) == 1
        assert word in capsys.readouterr().err
        path.write_bytes(whole)
    assert score.main(["--verify", str(manifest)]) == 0


def test_folders_and_patterns_stand_for_the_files_in_them(source, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a.txt", "b.csv", "c.md"):
        (tmp_path / "in" / name).write_text("text\ngood\n")
    assert [path.name for path in score.inputs(str(tmp_path / "in"))] == ["a.txt", "b.csv"]
    assert [path.name for path in score.inputs(str(tmp_path / "in/*.t*"))] == ["a.txt"]


@pytest.mark.parametrize("named", ["nothing.csv", "in.md"])
def test_what_cannot_be_read_is_one_clear_line(named, tmp_path, capsys):
    (tmp_path / "in.md").write_text("x")
    assert score.main([str(tmp_path / named), str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert ".jsonl" in said
    assert not (tmp_path / "out").exists()


def test_ctrl_c_keeps_finished_parts_and_says_so(tmp_path):
    source = tmp_path / "many.txt"
    source.write_text("A wonderful film, and a long one, with a story to tell.\n" * 400_000)
    command = [sys.executable, "-m", "events.score", source, tmp_path / "out", "--processes", "1"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT / "layers/serving"), "PATH": "/usr/bin:/bin"},
        preexec_fn=heed,
        **pipes,
    )
    while not list(tmp_path.glob("out/*/part-*")):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "finished parts are kept" in said
    assert "Traceback" not in said
    assert not list(tmp_path.glob("out/*/manifest.json"))


@pytest.mark.parametrize("moment", [0.3, 0.5, 0.7, 0.9, 1.2, 1.6])
def test_a_run_that_is_killed_at_any_moment_leaves_nothing_that_the_next_one_would_not_make(moment, tmp_path):
    rows = [json.dumps({"id": str(i), "text": f"{TEXTS[i % 2]} It is number {i}."}) for i in range(4000)]
    (tmp_path / "many.jsonl").write_text("\n".join(rows) + "\n")
    command = [sys.executable, "-m", "events.score", "--rows", "100", "--processes", "2", str(tmp_path / "many.jsonl")]
    environment = {**os.environ, "PYTHONPATH": "layers/serving"}
    with subprocess.Popen(
        [*command, str(tmp_path / "out")],
        cwd=ROOT,
        env=environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        time.sleep(moment)
        os.killpg(process.pid, signal.SIGKILL)
    for output in ("out", "whole"):
        done = subprocess.run([*command, str(tmp_path / output)], cwd=ROOT, env=environment, capture_output=True)
        assert done.returncode == 0, done.stderr
    made, whole = (
        {part.name: part.read_bytes() for part in tmp_path.glob(f"{name}/*/part-*")} for name in ("out", "whole")
    )
    assert made == whole
    assert len(whole) == 40
    receipts = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("*/*/manifest.json"))]
    assert receipts[0]["parts"] == receipts[1]["parts"]


def test_no_text_reaches_receipt_or_terminal(tmp_path, capfd):
    source = tmp_path / "secret.jsonl"
    source.write_text('{"text": "zebra-4711 film"}\n{"text": 1, "zebra-4711": 2}\nzebra-4711\n')
    folder, results, _ = run(source, tmp_path / "out")
    assert len(results) == 3
    assert "zebra" in source.read_text()
    written = "".join(capfd.readouterr()) + "".join(path.read_text() for path in folder.iterdir())
    assert "zebra" not in written


def test_a_report_shows_counts_a_histogram_and_examples_with_their_words(source, tmp_path):
    source.write_text(source.read_text() + '{"text": "A wonderful <script>alert(1)</script> film."}\n')
    assert report.main([str(source), str(tmp_path / "report.html")]) == 0
    page = (tmp_path / "report.html").read_text()
    assert "5 texts scored, 2 rows with an error" in page
    assert "<svg" in page
    assert re.search(r"<mark title='\+\d\.\d\d'>wonderful</mark>", page)
    assert "<script>" not in page
    assert report.main([str(tmp_path / "none.csv"), str(tmp_path / "none.html")]) == 2
    assert not (tmp_path / "none.html").exists()


def test_a_table_and_a_picture_come_on_request_and_no_cell_is_a_formula(tmp_path):
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
def test_standard_input_is_a_file_like_any_other(kind, content, tmp_path):
    command = [sys.executable, "-m", "events.score", "-", tmp_path / "out", "--stdin", kind]
    environment = {"PYTHONPATH": str(ROOT / "layers/serving"), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=ROOT, env=environment, input=content, capture_output=True, check=True)
    assert b"1 of 1 rows scored" in done.stdout
    (part,) = (tmp_path / "out").glob(f"stdin.{kind}-*/part-00000.jsonl")
    assert json.loads(part.read_text())["label"] == "positive"


def test_one_file_that_cannot_be_read_costs_the_others_nothing(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.csv").write_text("id,body\n1,good\n")
    (tmp_path / "in/b.csv").write_text("id,text\n1,good\n")
    for _ in range(2):
        assert score.main([str(tmp_path / "in"), str(tmp_path / "out"), "--processes", "1"]) == 2
        said = capsys.readouterr()
        assert said.err == "score: a.csv: no column of the CSV header, or more than one, is named as the text column\n"
        assert "1 of 1 rows scored" in said.out
    statuses = {
        path.parent.name[:5]: json.loads(path.read_text())["status"] for path in tmp_path.glob("out/*/manifest.json")
    }
    assert statuses == {"a.csv": "rejected", "b.csv": "done"}
