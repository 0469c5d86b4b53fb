"""`candor train` as a user runs it: a file in, a bundle out, or one clear error and nothing changed."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from candor.cli.main import main
from candor.model.bundle import Bundle
from candor.model.classifier import Classifier
from candor.model.install import InstallError, pin
from tests.interrupt import heed
from training import bundle_files, encoder, recipe
from training.corpus import Corpus, spellings
from training.data import Dataset
from training.design import Design
from training.recipe import CANDIDATES
from training.strongest import strongest_ngrams
from training.train import Exported, find

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "candor", "train"]
COLUMNS = ["--text-column", "body", "--label-column", "colour"]
FRUIT = {"red": ("cherry", "tomato", "ruby"), "yellow": ("lemon", "banana", "maize"), "青": ("青空", "海", "blau")}


def rows(count=40):
    """Yield texts of three labels, each with words of its own among words of no meaning."""
    random = np.random.default_rng(5)
    for number in range(count):
        for label, words in FRUIT.items():
            noise = " ".join(random.choice(["the", "of", "and", "seen", "bought", "near"], 6))
            yield f"{noise} {words[number % 3]} {words[(number + 1) % 3]}, {number}", label


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "fruit.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("body", "colour"), *rows()])
    return path


def train(data, folder, *options):
    """The report goes beside the bundle, not into the folder with the pictures of the model that ships."""
    bundle = str(folder / "bundle")
    return main(["train", str(data), "--text", "body", "--label", "colour", "--bundle", bundle, *options])


@pytest.fixture(scope="module")
def environment(entry_point):
    """Return the environment of a process that runs `candor train` from the checkout."""
    path = os.pathsep.join([str(ROOT / "layers/serving"), str(ROOT), str(entry_point)])
    return {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


def trained_apart(table, environment, folder, string_hashes):
    """Train in a process of its own, with string hashes of a seed."""
    return subprocess.run(
        [*COMMAND, table, *COLUMNS, "--bundle", folder / "bundle"],
        env={**environment, "SOURCE_DATE_EPOCH": "1700000000", "PYTHONHASHSEED": string_hashes},
        capture_output=True,
        text=True,
        check=True,
    )


@pytest.fixture(scope="module")
def session(table, environment, tmp_path_factory):
    """A training from its start to its end, in a process of its own: folder, standard output, standard error."""
    folder = tmp_path_factory.mktemp("trained")
    done = trained_apart(table, environment, folder, "1")
    return folder, done.stdout, done.stderr


@pytest.fixture(scope="module")
def trained(session):
    return session[0]


def test_train_prints_what_it_tried(session):
    """The output is what was tried, warnings, a table of labels, what was measured, and the commands that come next."""
    folder, output, errors = session
    lines = output.splitlines()
    assert errors == ""
    assert lines[0] == "fruit: 120 texts; labels red (40), yellow (40), 青 (40)"
    assert lines[2].split() == ["tried", "accuracy", "log", "loss", "weight", "CPU", "s"]
    assert [line[:32].strip() for line in lines[3:7]] == [candidate.name for candidate in CANDIDATES]
    assert lines[7].startswith("together, as weighted ")
    assert lines[8].startswith("warning: 120 rows are too few for a threshold to trust: ")
    assert lines[9].startswith("baseline network, epoch ")
    assert lines[11:13] == ["held out, 15 texts", "label      support  precision  recall      f1"]
    assert [line.split()[:2] for line in lines[13:16]] == [["red", "5"], ["yellow", "5"], ["青", "5"]]
    assert lines[16].startswith("macro avg       15")
    assert lines[18] == "accuracy     100.00% (95% interval 79.61% to 100.00%)"
    assert f"bundle       {folder / 'bundle'} ({Bundle.open(folder / 'bundle').digest[:12]})" in lines
    assert lines[-4:] == [
        "next:",
        f"  candor use {folder / 'bundle'}",
        f"  candor serve --model {folder / 'bundle'}",
        f"  candor score FILE --model {folder / 'bundle'}",
    ]


def test_train_own_labels_are_served(trained):
    """A user's own labels, as many as there are, are learnt and served."""
    classifier = Classifier.load(trained / "bundle")
    assert classifier.bundle.labels == tuple(sorted(FRUIT))
    found = classifier.predict(["a lemon and a banana", "ruby of tomato", "海 near 青空"])
    assert [prediction.label for prediction in found] == ["yellow", "red", "青"]


def test_bundle_describes_itself(trained):
    model = Bundle.open(trained / "bundle").model
    assert model["created"] == "2023-11-14T22:13:20+00:00"
    assert model["data"]["texts"] == 120
    assert model["data"]["source"] == "fruit.csv"
    assert model["seed"] == 1
    assert model["libraries"].keys() >= {"tensorflow", "keras", "numpy", "scipy", "ai-edge-litert"}
    assert model["metrics"]["parity"]["labels_agree"] == 1
    assert model["featuriser"] == {"kinds": ["word", "pair", "char"], "version": 2}
    assert model["evidence"].keys() == {"min_known_share", "min_known_words"}


def test_report_has_both_networks_and_pictures(trained):
    """The report has both networks, their intervals and pictures."""
    report = json.loads((trained / "bundle-report/report.json").read_text())
    for network in ("ours", "baseline"):
        accuracy = report["metrics"]["validation"][network]["all"]["accuracy"]
        assert 0 <= accuracy["low"] <= accuracy["value"] <= accuracy["high"] <= 1
    assert report["history"].keys() == {"baseline"}
    assert [each["name"] for each in report["tried"]] == [candidate.name for candidate in CANDIDATES]
    assert report["cost"]["seconds"] > 0
    pictures = {path.stem for path in (trained / "bundle-report").glob("*.png")}
    assert pictures >= {"learning_curve", "roc", "precision_recall", "score_histogram", "confusion_matrix"}
    assert all((trained / f"bundle-report/{name}.png").read_bytes().startswith(b"\x89PNG") for name in pictures)


def test_train_seed_decides_the_bundle(trained, table, tmp_path, monkeypatch):
    """The same seed gives the same bundle, and another seed another one."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    digests = {}
    for seed in ("1", "2"):
        (tmp_path / seed).mkdir()
        assert train(table, tmp_path / seed, "--seed", seed) == 0
        digests[seed] = Bundle.open(tmp_path / seed / "bundle").digest
    assert digests["1"] == Bundle.open(trained / "bundle").digest
    assert digests["2"] != digests["1"]


def test_train_string_hashes_do_not_matter(trained, table, environment, tmp_path):
    """The same data, seed and code give the same files, whatever the order of Python's sets."""
    trained_apart(table, environment, tmp_path, "2")
    assert Bundle.open(tmp_path / "bundle").files == Bundle.open(trained / "bundle").files


def test_train_few_and_empty_labels_are_served(table, tmp_path, capsys, monkeypatch):
    """Thirty labels and rows without one give a bundle within its size that knows what only those rows say."""
    monkeypatch.setattr(encoder, "PACKAGE", "no_such_package")
    labelled = [*rows(10)]
    data = tmp_path / "few.csv"
    with data.open("w", newline="") as file:
        csv.writer(file).writerows([("body", "colour"), *labelled, *((text, "") for text, _ in rows(6))])
    (tmp_path / "more.txt").write_text("a lemon of late\nanother cherry\n")
    options = ["--size", "0.4", "--minutes", "5", "--unlabelled", str(tmp_path / "more.txt")]
    assert train(data, tmp_path, *options) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "few: 30 texts; labels red (10), yellow (10), 青 (10); 20 texts without a label"
    assert [line for line in lines if line.startswith("student of texts without a label")]
    assert [line.partition(": figures")[0] for line in lines if line.startswith("warning: label")] == [
        "warning: label red has 10 rows (and 2 other labels fewer than 20)"
    ]
    assert len([line for line in lines if line.startswith("threshold    decides ")]) == 1
    classifier = Classifier.load(tmp_path / "bundle")
    assert classifier.bundle.model["data"]["unlabelled_texts"] == 20
    assert sum(map(len, classifier.bundle.files.values())) < 400_000
    found = classifier.predict(["a lemon and a banana", "ruby and tomato", "海 near 青空", "zzz"])
    assert [each.label for each in found[:3]] == ["yellow", "red", "青"]
    assert found[3].warnings == ("LOW_EVIDENCE",)


BAD = {
    "no such file": (None, "{} does not exist", ""),
    "an empty file": ("", "{} is empty", "it needs a text and a label in each row, and at least two labels"),
    "a header only": (
        "body,colour\n",
        "{} is empty",
        "it needs a text and a label in each row, and at least two labels",
    ),
    "a missing column": (
        "text,colour\na,b\n",
        "fruit.csv: no column named 'body'; its columns are 'text', 'colour'",
        "pass --text-column NAME (make: TEXT=NAME)",
    ),
    "one label": ("body,colour\na,red\nb,red\n", "{} has one label only", "a classifier needs at least two"),
    "a label with one row": (
        "body,colour\na,red\nb,red\nc,blue\n",
        "{}: label 'blue' has 1 row (line 4)",
        "each label needs two different texts, so that one can be held out; add some, or leave these labels out: "
        "--skip-bad-rows",
    ),
    "not UTF-8": (
        b"body,colour\n\xff,red\n",
        "fruit.csv: line 2 is not valid UTF-8; the bytes suggest cp1252",
        "pass --encoding cp1252",
    ),
    "a row too long": (
        "body,colour\na,red\nb,c,red\n",
        "fruit.csv: line 3 has 3 cells, the header 2",
        "quote cells that hold a delimiter or a line end; or leave them out: --skip-bad-rows",
    ),
}


@pytest.mark.parametrize(("content", "error", "hint"), BAD.values(), ids=BAD)
def test_train_bad_data_keeps_old_bundle(content, error, hint, trained, tmp_path, capsys):
    """Bad data is one clear error, and leaves the old bundle."""
    data = tmp_path / "fruit.csv"
    if content is not None:
        data.write_bytes(content if isinstance(content, bytes) else content.encode())
    before = Bundle.open(trained / "bundle").digest
    assert train(data, trained) == 2
    assert capsys.readouterr().err == f"error: {error.format(data)}\n" + (f"hint: {hint}\n" if hint else "")
    assert Bundle.open(trained / "bundle").digest == before
    assert sorted(path.name for path in trained.iterdir()) == ["bundle", "bundle-report"]


def test_train_wrong_golden_case_keeps_old_bundle(trained, table, tmp_path, capsys):
    """A golden case that the model gets wrong stops the export."""
    golden = tmp_path / "golden.jsonl"
    before = Bundle.open(trained / "bundle").digest
    golden.write_text('{"text": "a lemon and a banana", "label": "red"}\n')
    assert train(table, trained, "--golden", str(golden)) == 2
    assert capsys.readouterr().err == "error: golden case 1, whose label is red, is predicted as yellow\n"
    assert Bundle.open(trained / "bundle").digest == before
    golden.write_text('{"text": "a lemon and a banana", "label": "yellow"}\n')
    (tmp_path / "right").mkdir()
    assert train(table, tmp_path / "right", "--golden", str(golden)) == 0


def test_train_ctrl_c_keeps_old_bundle(trained, table, environment):
    """Ctrl-C ends with one line and status 130, and leaves the old bundle."""
    before = Bundle.open(trained / "bundle").digest
    places = ["--bundle", trained / "bundle", "--report", trained / "bundle-report"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen([*COMMAND, table, *COLUMNS, *places], env=environment, preexec_fn=heed, **pipes)
    try:
        while "fruit:" not in process.stdout.readline():
            assert process.poll() is None
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        errors = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    assert (process.returncode, errors) == (130, f"error: interrupted; {trained / 'bundle'} is as it was\n")
    assert Bundle.open(trained / "bundle").digest == before
    assert sorted(path.name for path in trained.iterdir()) == ["bundle", "bundle-report"]


def test_find_names_the_file_of_a_suspect():
    """Where texts come from several files, a suspect row names its own."""
    targets, n = np.tile([0, 1], 10), 20
    logits = np.where(targets == 1, 4.0, -4.0)[:, None]
    logits[5] *= -1
    files = tuple(f"{row}.csv" for row in range(n))
    dataset = Dataset(
        name="a",
        labels=("x", "y"),
        texts=[""] * n,
        targets=targets,
        lines=np.arange(n),
        files=files,
        digest="",
        source="",
    )
    held_out = np.arange(n)[::-1]
    found = find(dataset, cast(Any, SimpleNamespace(logits=logits[::-1], held_out=held_out)))["suspect_labels"]
    assert [(each["file"], each["line"]) for each in found["most"]] == [("5.csv", 5)]


def test_export_checks_the_model():
    """A model that is not the trained one is not exported."""
    full = np.array([[0.9, 0.1]] * 200)
    assert bundle_files.parity(full, full)["max_probability_difference"] == 0
    with pytest.raises(bundle_files.ExportError, match="agree on"):
        bundle_files.parity(full, full[:, ::-1])


def test_compare_exported_is_the_trained_model(trained):
    """The exported integers and the trained weights give the same probabilities."""
    files = Bundle.open(trained / "bundle").files
    exported = Exported(files, ("word", "pair", "char"))
    classifier = Classifier.load(trained / "bundle")
    texts = [text for text, _ in rows(5)] + ["", "unseen zitron"]
    assert exported(texts) == pytest.approx(classifier.probabilities(texts), abs=1e-9)


def test_pin_needs_exactly_one_place(tmp_path):
    template = tmp_path / "template.yaml"
    template.write_text(f'A: 1\nBUNDLE_DIGEST: "{"0" * 64}"\n')
    pin(template, "f" * 64)
    assert template.read_text() == f'A: 1\nBUNDLE_DIGEST: "{"f" * 64}"\n'
    assert list(tmp_path.iterdir()) == [template]
    template.write_text("A: 1\n")
    with pytest.raises(InstallError, match="BUNDLE_DIGEST"):
        pin(template, "f" * 64)


def test_strongest_ngrams_hide_rare_words():
    """The heaviest words are listed, but none that few texts hold; equal ones by name."""
    texts = ["the cherry seen of late"] * 60 + ["a lemon near me"] * 60 + ["a secret of the ruby"] * 49
    targets = np.array([0] * 60 + [1] * 60 + [0] * 49)
    design = Design.of(Corpus.of(texts), spellings(texts), None, ("word", "pair"))
    model = recipe.fit_all(design, targets, 2, [(1.0, CANDIDATES[0], 10.0)], 1000)
    found = strongest_ngrams(model, texts, ("red", "yellow"))
    shown = {label: {each["ngram"] for each in grams} for label, grams in found.items()}
    assert {"cherry", "the cherry"} <= shown["red"]
    assert {"lemon", "a lemon"} <= shown["yellow"]
    assert not [gram for grams in shown.values() for gram in grams if "secret" in gram or "ruby" in gram]
    assert all(each["texts"] >= 50 for grams in found.values() for each in grams)
    ranked = [(-each["weight"], each["ngram"]) for each in found["yellow"]]
    assert ranked == sorted(ranked)


def test_report_has_calibration_and_coverage(trained):
    decisions = json.loads((trained / "bundle/metrics.json").read_text())["decisions"]
    assert 1 / 3 <= decisions["min_confidence"] <= 1
    assert decisions["interval"]["low"] <= decisions["min_confidence"] <= decisions["interval"]["high"]
    found = decisions["validation"]
    assert found["after"]["ece"]["low"] <= found["after"]["ece"]["high"]
    assert found["coverage"][0]["coverage"] == 1.0
    assert {"reliability", "coverage"} <= {path.stem for path in (trained / "bundle-report").glob("*.png")}
