"""The golden cases of two small models and of the one in use: every runtime returns what training recorded."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from candor.model import bundle
from candor.model.classifier import Classifier
from candor.resources import BUNDLE
from tests.environments import environment
from tests.trained import FIVE, TWO

ROOT = Path(__file__).parents[1]
EDGE = Path(os.environ.get("EDGE", ROOT / ".venv/edge/bin/python"))

# Run by another Python with another TensorFlow Lite runtime: prints its name, and the features and probabilities.
ELSEWHERE = """
import json, sys
from pathlib import Path
from candor.model.classifier import Classifier
classifier = Classifier.load(Path(sys.argv[1]))
texts = json.load(sys.stdin)
alone = [classifier.predict([text])[0].probabilities for text in texts]
block = [prediction.probabilities for prediction in classifier.predict(texts)]
ids = [[each.tolist() for each in classifier.featuriser([text], classifier.table)] for text in texts]
runtime = next(name for name in ("ai_edge_litert", "tflite_runtime") if name in sys.modules)
json.dump({"runtime": runtime, "alone": alone, "block": block, "ids": ids}, sys.stdout)
"""


@pytest.fixture(scope="module", params=[TWO, FIVE, BUNDLE], ids=["two", "five", "in use"])
def classifier(request):
    return Classifier.load(request.param)


@pytest.fixture(scope="module")
def golden(classifier):
    return json.loads(classifier.bundle.read("golden.json"))


@pytest.fixture(scope="module")
def texts(golden):
    return [case["text"] for case in golden["cases"]]


def close(actual, expected, tolerance):
    return all(actual[label] == pytest.approx(p, abs=tolerance) for label, p in expected.items())


def test_golden_cases_hold_alone_and_in_a_block(classifier, golden, texts):
    for case, beside in zip(golden["cases"], classifier.predict(texts), strict=True):
        (alone,) = classifier.predict([case["text"]])
        assert alone.label == beside.label == case["label"]
        assert alone == beside
        assert close(alone.probabilities, case["probabilities"], golden["tolerance"])


@pytest.mark.parametrize("path", [TWO, FIVE], ids=["two", "five"])
def test_golden_cases_hold_in_the_trained_model(path):
    """Training compares the exported model with the trained weights, and exports none that differs by much."""
    for case in json.loads((path / "golden.json").read_text())["cases"]:
        assert max(case["trained"], key=case["trained"].get) == case["label"]
        assert close(case["trained"], case["probabilities"], 0.01)


def test_golden_cases_hold_in_tflite_runtime(classifier, texts):
    if "EDGE" not in os.environ:
        environment("edge")
    if not EDGE.exists():
        reason = f"{EDGE} is missing, so nothing ran under tflite-runtime: put python3.11 on the PATH"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    variables = {"PYTHONPATH": str(ROOT / "layers/serving"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [EDGE, "-c", ELSEWHERE, classifier.bundle.path]
    done = subprocess.run(command, input=json.dumps(texts), env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    elsewhere = json.loads(done.stdout)
    assert elsewhere["runtime"] == "tflite_runtime"
    for text, alone, block, ids in zip(texts, elsewhere["alone"], elsewhere["block"], elsewhere["ids"], strict=True):
        here = classifier.predict([text])[0].probabilities
        assert close(alone, here, 1e-5)
        assert close(block, here, 1e-5)
        assert ids == [each.tolist() for each in classifier.featuriser([text], classifier.table)]


odd = st.sampled_from(["A wonderful film.", "my parcel", "", "a", "\0", "\ud800", "good " * 500, "x" * 5000])


@given(block=st.lists(st.text(max_size=80) | odd, min_size=1, max_size=12))
@settings(deadline=None, max_examples=75)
def test_predict_same_alone_and_in_any_block(classifier, block):
    together = classifier.probabilities(block)
    for row, (text, beside) in enumerate(zip(block, classifier.predict(block), strict=True)):
        assert together[row] == pytest.approx(classifier.probabilities([text])[0], abs=1e-6)
        assert classifier.predict([text]) == [beside]


def test_predict_700_texts_keep_their_order(classifier, texts):
    block = [texts[i % len(texts)] for i in range(700)]
    together = [prediction.probabilities for prediction in classifier.predict(block)]
    assert together == [classifier.predict([text])[0].probabilities for text in block]


@pytest.mark.parametrize("path", [TWO, FIVE], ids=["two", "five"])
def test_golden_cases_notice_swapped_labels(path, tmp_path):
    opened = bundle.Bundle.open(path)
    described = opened.model | {"labels": [*reversed(opened.labels)]}
    bundle.write(tmp_path, opened.files | {"model.json": bundle.canonical(described)})
    cases = json.loads(opened.read("golden.json"))["cases"]
    texts = [case["text"] for case in cases]
    labels = [[each.label for each in Classifier.load(folder).predict(texts)] for folder in (path, tmp_path)]
    assert labels[0] == [case["label"] for case in cases] != labels[1]
