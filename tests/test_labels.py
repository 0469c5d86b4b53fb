"""Every part of the service with two labels and with five, of which one is not ASCII: what the bundle says, holds."""

import csv
import html
import json
from dataclasses import replace
from itertools import product
from types import SimpleNamespace

import jsonschema
import pytest

from api import app, openapi
from candor.batch.steps import Batch
from candor.cli.gateway import event
from candor.cli.main import main
from candor.cli.torture.bucket import buckets
from candor.cli.torture.schedules import SETTINGS, World, manifests, parts
from candor.model.classifier import Classifier
from candor.operate.drift import WINDOW, Monitor
from candor.operate.rollout import find_faults
from candor.storage import S3
from tests.trained import FIVE, TWO

DOCUMENT = openapi.build()
JSON = [("Content-Type", "application/json")]


@pytest.fixture(params=[TWO, FIVE], ids=["two", "five"])
def bundle(request, load):
    return load(request.param)


@pytest.fixture
def cases(bundle):
    """Texts whose label a person knows, some of each label."""
    known = [case for case in json.loads(bundle.read("golden.json"))["cases"] if case["known"]]
    assert {case["label"] for case in known} == {*bundle.labels}
    return known


def version(request):
    return app.handler(request, SimpleNamespace(aws_request_id="x"))


def ask(method, path, body=None, schema=""):
    """Return the answer, which must be of a schema of the API's contract."""
    answer = version(event(method, path, JSON, json.dumps(body).encode() if body else b""))
    content = json.loads(answer["body"])
    if schema:
        published = {"$ref": f"#/components/schemas/{schema}", "components": DOCUMENT["components"]}
        jsonschema.validate(content, published)
    return answer["statusCode"], content


def test_model_lists_its_labels(bundle):
    status, model = ask("GET", "/v1/model", schema="Model")
    assert (status, model["labels"]) == (200, [*bundle.labels])
    card = version(event("GET", "/v1/model/card", [], b""))["body"]
    assert all(label in card for label in bundle.labels)


def test_predict_has_each_label_once(bundle, cases):
    for case in cases:
        status, answer = ask("POST", "/v1/predict", {"text": case["text"], "min_confidence": 0}, "Result")
        assert (status, answer["label"], answer["decision"]) == (200, case["label"], case["label"])
        assert [*answer["probabilities"]] == [*bundle.labels]
        assert answer["probabilities"] == pytest.approx(case["probabilities"], abs=1e-5)
        assert sum(round(p * 10**6) for p in answer["probabilities"].values()) == 10**6
        assert max(answer["probabilities"], key=answer["probabilities"].get) == case["label"]


def test_batch_answers_as_one_by_one(bundle, cases):
    documents = [{"text": case["text"]} for case in cases]
    status, answer = ask("POST", "/v1/predict/batch", {"documents": documents}, "Results")
    assert status == 200
    for document, result in zip(documents, answer["results"], strict=True):
        alone = ask("POST", "/v1/predict", document)[1]
        assert result["probabilities"] == alone["probabilities"]
        assert result["decision"] == alone["decision"]


def test_explain_speaks_for_any_label(bundle, cases):
    """Values and base sum to the logit, which is highest for the label that is predicted."""
    logits, text = {}, (cases[0]["text"] + " ") * 10_000
    for label, size in product(bundle.labels, (20_000, 100)):
        body = {"text": text[:size], "explain": True, "explain_label": label}
        explained = ask("POST", "/v1/predict", body, "Result")[1]["explanation"]
        total = explained["base_value"] + sum(each["value"] for each in explained["attributions"])
        assert explained["label"] == label
        assert total == pytest.approx(explained["logit"], abs=1e-6)
        logits[label] = explained["logit"]
    assert max(logits, key=logits.get) == cases[0]["label"]


def test_explain_unknown_label_names_the_models(bundle):
    status, problem = ask("POST", "/v1/predict", {"text": "good", "explain": True, "explain_label": "no"}, "Problem")
    assert status == 422
    assert ", ".join(bundle.labels) in problem["detail"]


def test_metrics_count_each_decision(bundle, cases, capsys, monkeypatch):
    monkeypatch.delenv("POWERTOOLS_METRICS_DISABLED", raising=False)
    ask("POST", "/v1/predict/batch", {"documents": [{"text": case["text"]} for case in cases], "min_confidence": 0})
    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "CloudWatchMetrics" in line]
    counts = {name.removeprefix("Decided."): line[name] for name in line if name.startswith("Decided.")}
    labels = [case["label"] for case in cases]
    assert counts == {label: [float(labels.count(label))] for label in bundle.labels}


def test_rollout_finds_another_label(bundle):
    """The check before traffic passes the version, and stops one that answers with a wrong label."""

    def changed(request):
        answer = version(request)
        body = json.loads(answer["body"])
        for result in body.get("results", [])[:1]:
            result["label"] = next(label for label in bundle.labels if label != result["label"])
        return answer | {"body": json.dumps(body)}

    assert find_faults(version, bundle) == []
    assert find_faults(changed, bundle) == ["golden case 1 is not answered as recorded"]


def test_drift_of_one_label_alarms_for_labels(bundle, cases):
    classifier = Classifier(bundle)
    predicted = classifier.predict([cases[0]["text"]]) * WINDOW
    (report,) = Monitor(classifier.drift_reference).add(predicted)
    assert report.psi["label"] > 0.25
    assert report.histograms["label"] == {label: WINDOW * (label == cases[0]["label"]) for label in bundle.labels}


@pytest.fixture
def labelled(cases, tmp_path):
    path = tmp_path / "labelled.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *((case["text"], case["label"]) for case in cases)])
    return path


def test_job_same_bytes_as_score_command(bundle, cases, labelled, tmp_path):
    """A batch job on AWS and `candor score` give the same bytes, a column a label, and a manifest that verifies."""
    with buckets() as real:
        world = World(real)
        settings = replace(SETTINGS, bundle=bundle.path)
        world.batch = Batch(settings, lambda name: S3(name, world.client))
        assert world.start(world.put("in/labelled.csv", labelled.read_bytes())).status == "SUCCEEDED"
        (manifest,), made = manifests(real), parts(real)
    command = ["score", str(labelled), str(tmp_path / "out"), "--rows", str(SETTINGS.chunk_rows), "--csv", "--picture"]
    assert main([*command, "--processes", "1"]) == 0
    (folder,) = (tmp_path / "out").iterdir()
    assert {part.name: part.read_bytes() for part in folder.glob("part-*")} == made
    assert {*manifest["counts"]["labels"]} == {*bundle.labels}
    with (folder / "results.csv").open(newline="", encoding="utf-8") as file:
        table = [*csv.DictReader(file)]
    assert [row["label"] for row in table] == [case["label"] for case in cases]
    assert {*bundle.labels} <= table[0].keys()
    assert main(["verify", str(folder / "manifest.json")]) == 0


def test_threshold_that_equals_the_confidence_decides(bundle, cases, labelled, capsys, tmp_path):
    """The published probability as threshold decides, a millionth more does not: over HTTP and in every command."""
    text, label = cases[0]["text"], cases[0]["label"]
    confidence = ask("POST", "/v1/predict", {"text": text})[1]["probabilities"][label]
    for number, (threshold, decision) in enumerate([(confidence, label), (round(confidence + 1e-6, 6), "uncertain")]):
        alone = ask("POST", "/v1/predict", {"text": text, "min_confidence": threshold})[1]
        batch = ask("POST", "/v1/predict/batch", {"documents": [{"text": text}], "min_confidence": threshold})[1]
        capsys.readouterr()
        assert main(["predict", "--json", text, "--min-confidence", repr(threshold)]) == 0
        printed = json.loads(capsys.readouterr().out)
        out = tmp_path / str(number)
        options = ["--min-confidence", repr(threshold), "--processes", "1", "--explain"]
        assert main(["score", str(labelled), str(out), *options]) == 0
        scored = json.loads(next(out.glob("*/part-00000.jsonl")).read_text(encoding="utf-8").splitlines()[0])
        for answer in (alone, batch["results"][0], printed, scored):
            assert (answer["decision"], answer["probabilities"][label]) == (decision, confidence)


def test_report_shows_each_label(bundle, labelled, tmp_path):
    assert main(["report", str(labelled), str(tmp_path / "report.html")]) == 0
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert all(html.escape(label) in page for label in bundle.labels)


def test_evaluate_golden_cases_are_all_right(bundle, cases, labelled, capsys):
    assert main(["evaluate", str(labelled), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["n"], figures["accuracy"]["value"]) == (len(cases), 1.0)
    assert figures["confusion_matrix"]["labels"] == [*bundle.labels]


def test_predict_and_explain_commands_know_each_label(bundle, cases, capsys):
    for case in cases:
        assert main(["predict", "--json", case["text"]]) == 0
        assert json.loads(capsys.readouterr().out)["label"] == case["label"]
    for label in bundle.labels:
        assert main(["explain", "--json", cases[0]["text"], "--label", label]) == 0
        assert json.loads(capsys.readouterr().out)["label"] == label
