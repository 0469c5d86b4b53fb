"""`make train` as a user runs it: a file in, a bundle out, or one clear line and nothing changed."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from candor.bundle import Bundle
from candor.classifier import Classifier
from candor.features import Featuriser
from tests.interrupt import heed
from training import deploy, fit
from training.corpus import Corpus
from training.export import to_tflite
from training.model import priors
from training.strongest import strongest
from training.train import Deployed, main

ROOT = Path(__file__).parents[2]
FRUIT = {"red": ("cherry", "tomato", "ruby"), "yellow": ("lemon", "banana", "maize"), "青": ("青空", "海", "blau")}


def rows(count=40):
    """Texts of three labels, each with words of its own among words of no meaning."""
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
    places = ["--bundle", str(folder / "bundle"), "--report", str(folder / "report")]
    return main(["--data", str(data), "--text-column", "body", "--label-column", "colour", *places, *options])


@pytest.fixture(scope="module")
def trained(table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", "1700000000")
        assert train(table, folder) == 0
    return folder


def test_a_users_own_labels_as_many_as_there_are_are_learnt_and_served(trained):
    classifier = Classifier.load(trained / "bundle")
    assert classifier.bundle.labels == tuple(sorted(FRUIT))
    found = classifier.predict(["a lemon and a banana", "ruby of tomato", "海 near 青空"])
    assert [prediction.label for prediction in found] == ["yellow", "red", "青"]


def test_the_bundle_describes_itself(trained):
    model = Bundle.open(trained / "bundle").model
    assert model["created"] == "2023-11-14T22:13:20+00:00"
    assert model["data"]["texts"] == 120
    assert model["data"]["source"] == "fruit.csv"
    assert model["seed"] == 1
    assert model["libraries"].keys() >= {"tensorflow", "keras", "numpy", "ai-edge-litert"}
    assert model["metrics"]["parity"]["labels_agree"] >= 0.999


def test_the_report_has_both_networks_their_intervals_and_pictures(trained):
    report = json.loads((trained / "report/report.json").read_text())
    for network in ("ours", "baseline"):
        accuracy = report["metrics"]["validation"][network]["all"]["accuracy"]
        assert 0 <= accuracy["low"] <= accuracy["value"] <= accuracy["high"] <= 1
    assert report["history"].keys() == {"ours", "baseline"}
    assert report["cost"]["seconds"] > 0
    pictures = {path.stem for path in (trained / "report").glob("*.png")}
    assert pictures >= {"learning_curve", "roc", "precision_recall", "score_histogram", "confusion_matrix"}
    assert all((trained / f"report/{name}.png").read_bytes().startswith(b"\x89PNG") for name in pictures)


def test_the_same_seed_gives_the_same_bundle_and_another_seed_another(trained, table, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    digests = {}
    for seed in ("1", "2"):
        (tmp_path / seed).mkdir()
        assert train(table, tmp_path / seed, "--seed", seed) == 0
        digests[seed] = Bundle.open(tmp_path / seed / "bundle").digest
    assert digests["1"] == Bundle.open(trained / "bundle").digest
    assert digests["2"] != digests["1"]


BAD = {
    "no such file": (None, "fruit.csv"),
    "an empty file": ("", "fruit.csv"),
    "a header only": ("body,colour\n", "fruit.csv"),
    "a missing column": ("text,colour\na,b\n", "body"),
    "one label": ("body,colour\na,red\nb,red\n", "label"),
    "a label with one row": ("body,colour\na,red\nb,red\nc,blue\n", "blue"),
    "not UTF-8": (b"body,colour\n\xff,red\n", "UTF-8"),
    "a row cut short": ("body,colour\na,red\nb\n", "row"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_data_is_one_clear_line_and_leaves_the_old_bundle(case, trained, tmp_path, capsys):
    content, word = BAD[case]
    data = tmp_path / "fruit.csv"
    if content is not None:
        data.write_bytes(content if isinstance(content, bytes) else content.encode())
    before = Bundle.open(trained / "bundle").digest
    assert train(data, trained) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert word in said
    assert Bundle.open(trained / "bundle").digest == before
    assert sorted(path.name for path in trained.iterdir()) == ["bundle", "report"]


def test_a_golden_case_that_the_model_gets_wrong_stops_the_export(trained, table, tmp_path, capsys):
    golden = tmp_path / "golden.jsonl"
    before = Bundle.open(trained / "bundle").digest
    golden.write_text('{"text": "a lemon and a banana", "label": "red"}\n')
    assert train(table, trained, "--golden", str(golden)) == 2
    assert "golden case 1" in capsys.readouterr().err
    assert Bundle.open(trained / "bundle").digest == before
    golden.write_text('{"text": "a lemon and a banana", "label": "yellow"}\n')
    (tmp_path / "right").mkdir()
    assert train(table, tmp_path / "right", "--golden", str(golden)) == 0


def test_ctrl_c_leaves_the_old_bundle_and_no_traceback(trained, table):
    before = Bundle.open(trained / "bundle").digest
    columns = ["--text-column", "body", "--label-column", "colour"]
    command = [sys.executable, "-m", "training.train", "--data", table, *columns, "--bundle", trained / "bundle"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "layers/serving"), "PYTHONUNBUFFERED": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    command += ["--report", trained / "report"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, preexec_fn=heed, **pipes)
    while "5/7" not in process.stdout.readline():
        assert process.poll() is None
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "is as it was" in said
    assert "Traceback" not in said
    assert Bundle.open(trained / "bundle").digest == before
    assert sorted(path.name for path in trained.iterdir()) == ["bundle", "report"]


@pytest.fixture(scope="module")
def network():
    featuriser = Featuriser()
    texts, labels = zip(*rows(10), strict=True)
    weights = np.eye(3)[[sorted(FRUIT).index(label) for label in labels]]
    labelled = fit.Labelled(Corpus.of(texts, featuriser), weights)
    made, _ = fit.learn(labelled, None, labelled, featuriser, fit.Recipe(), seed=3)
    return made, featuriser, labelled.corpus


def test_the_exported_model_says_what_the_keras_model_says(network):
    made, featuriser, corpus = network
    full = fit.softmax(fit.logits(made, corpus, featuriser))
    small = Deployed(to_tflite(made), featuriser)(corpus)
    assert deploy.parity(full, small)["max_probability_difference"] <= 0.01
    with pytest.raises(deploy.ExportError, match="agree on"):
        deploy.parity(full, small[:, ::-1])


def test_cooling_divides_every_logit_and_a_temperature_is_found_again(network):
    made, featuriser, corpus = network
    before = fit.logits(made, corpus, featuriser)
    made.cool(2.0)
    assert fit.logits(made, corpus, featuriser) == pytest.approx(before / 2, abs=1e-5)
    made.cool(0.5)
    random = np.random.default_rng(1)
    logits = random.normal(size=(20_000, 3))
    targets = (fit.softmax(logits).cumsum(axis=1) < random.random((20_000, 1))).sum(axis=1)
    assert fit.temperature(logits * 1.7, targets) == pytest.approx(1.7, rel=0.05)


def test_corpus_gives_the_features_that_the_featuriser_gives():
    featuriser = Featuriser()
    texts = [text for text, _ in rows(200)] + ["", "one", ""]
    corpus, index = Corpus.of(texts, featuriser), np.array([5, 602, 0, 600, 601, 300])
    for taken, made in zip(corpus.take(index), featuriser([texts[i] for i in index]), strict=True):
        assert taken.tolist() == made.tolist()


def test_priors_favour_the_label_whose_texts_hold_a_word():
    featuriser = Featuriser()
    corpus = Corpus.of(["good film", "good plot", "bad film", "bad plot"], featuriser)
    scales = priors(corpus, np.eye(2)[[1, 1, 0, 0]], featuriser).unigrams[:, 0]
    good, bad, film = (scales[featuriser([word]).unigrams[0]] for word in ("good", "bad", "film"))
    assert good > 0 > bad
    assert film == pytest.approx(0, abs=1e-6)


def test_pinning_needs_exactly_one_place(tmp_path):
    template = tmp_path / "template.yaml"
    template.write_text(f'A: 1\nBUNDLE_DIGEST: "{"0" * 64}"\n')
    deploy.pin(template, "f" * 64)
    assert template.read_text() == f'A: 1\nBUNDLE_DIGEST: "{"f" * 64}"\n'
    assert list(tmp_path.iterdir()) == [template]
    template.write_text("A: 1\n")
    with pytest.raises(deploy.ExportError, match="BUNDLE_DIGEST"):
        deploy.pin(template, "f" * 64)


def test_the_card_shows_the_heaviest_words_and_none_that_few_texts_hold():
    featuriser = Featuriser()
    texts = ["the cherry seen of late"] * 60 + ["a lemon near me"] * 60 + ["a secret of the ruby"] * 49
    weights = np.eye(2)[[0] * 60 + [1] * 60 + [0] * 49]
    labelled = fit.Labelled(Corpus.of(texts, featuriser), weights)
    made, _ = fit.learn(labelled, None, labelled, featuriser, fit.Recipe(), seed=3)
    found = strongest(made, texts, ("red", "yellow"))
    shown = {label: {each["ngram"] for each in grams} for label, grams in found.items()}
    assert {"cherry", "the cherry"} <= shown["red"]
    assert {"lemon", "a lemon"} <= shown["yellow"]
    assert not [gram for grams in shown.values() for gram in grams if "secret" in gram or "ruby" in gram]
    assert all(each["texts"] >= 50 for grams in found.values() for each in grams)


def test_the_report_says_what_the_temperature_and_deciding_less_often_buy(trained):
    decisions = json.loads((trained / "bundle/metrics.json").read_text())["decisions"]
    assert 1 / 3 <= decisions["min_confidence"] <= 1
    found = decisions["validation"]
    assert found["after"]["ece"]["low"] <= found["after"]["ece"]["high"]
    assert found["coverage"][0]["coverage"] == 1.0
    assert {"reliability", "coverage"} <= {path.stem for path in (trained / "report").glob("*.png")}
