"""The golden cases of two small models and of the one in use: every runtime returns what training recorded."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from candor.model import bundle
from candor.model.classifier import Classifier
from candor.resources import BUNDLE
from candor.text.features import KINDS
from tests import bundles
from tests.environments import environment
from tests.trained import FIVE, TWO

ROOT = Path(__file__).parents[1]
EDGE = Path(os.environ.get("EDGE", ROOT / ".venv/edge/bin/python"))

# Run by a Python with a TensorFlow Lite runtime: prints its name, the features and probabilities, and for each size of
# a block one digest of all logits, probabilities and predictions.
ELSEWHERE = """
import hashlib, json, sys
from pathlib import Path
from candor.model.classifier import Classifier, model_inputs
classifier = Classifier.load(Path(sys.argv[1]))
texts = json.load(sys.stdin)

def digest(size):
    content = hashlib.sha256()
    blocks = [texts[start : start + size] for start in range(0, len(texts), size)]
    for block in blocks:
        logits = classifier._predict(model_inputs(classifier.featuriser(block, classifier.table)))["logits"]
        content.update(logits[: len(block)].tobytes())
    for block in blocks:
        content.update(classifier.probabilities(block).tobytes())
    for block in blocks:
        content.update("".join(map(repr, classifier.predict(block))).encode())
    return content.hexdigest()

sizes = {size: digest(size) for size in map(int, sys.argv[2:])}
alone = [classifier.predict([text])[0].probabilities for text in texts]
ids = [[each.tolist() for each in classifier.featuriser([text], classifier.table)] for text in texts]
runtime = next(name for name in ("ai_edge_litert", "tflite_runtime") if name in sys.modules)
json.dump({"runtime": runtime, "sizes": sizes, "alone": alone, "ids": ids}, sys.stdout)
"""
SIZES = [1, 2, 3, 7, 16, 64, 100, 255, 256, 300]


def run_in(python, path, texts):
    """Return what another Python prints of a bundle and of texts."""
    variables = {"PYTHONPATH": str(ROOT / "layers/serving"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [python, "-c", ELSEWHERE, path, *map(str, SIZES)]
    done = subprocess.run(command, input=json.dumps(texts), env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def edge():
    """A Python 3.11 with tflite-runtime."""
    if "EDGE" not in os.environ:
        environment("edge")
    if not EDGE.exists():
        reason = f"{EDGE} is missing, so nothing ran under tflite-runtime: put python3.11 on the PATH"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    return EDGE


@pytest.fixture(scope="module", params=[8, 16], ids=["8 bits", "16 bits"])
def many_labels(request, tmp_path_factory):
    """A bundle of 77 labels, of every kind of feature."""
    folder, labels = tmp_path_factory.mktemp("bundle"), [f"label {number}" for number in range(77)]
    bundle.write(folder, bundles.files(kinds=KINDS, labels=labels, bits=request.param))
    return folder


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


def test_golden_cases_hold_in_tflite_runtime(classifier, texts, edge):
    elsewhere = run_in(edge, classifier.bundle.path, texts)
    assert elsewhere["runtime"] == "tflite_runtime"
    for text, alone, ids in zip(texts, elsewhere["alone"], elsewhere["ids"], strict=True):
        assert alone == classifier.predict([text])[0].probabilities
        assert ids == [each.tolist() for each in classifier.featuriser([text], classifier.table)]


def mixed(texts):
    """Return 300 texts of many lengths: parts of some, and several in one."""
    pairs = [f"{texts[n % len(texts)]} {texts[-n % len(texts)]}" for n in range(300)]
    return [(pair * (1 + n % 5))[n % 23 :][: 7 * n % 400] for n, pair in enumerate(pairs)]


def test_block_size_leaves_every_bit_as_it_is(classifier, texts, edge):
    """Logits, probabilities and predictions of a text have the same bits whatever the block, in both runtimes."""
    for python, runtime in ((sys.executable, "ai_edge_litert"), (edge, "tflite_runtime")):
        printed = run_in(python, classifier.bundle.path, mixed(texts))
        assert printed["runtime"] == runtime
        assert [*printed["sizes"]] == [*map(str, SIZES)]
        assert len({*printed["sizes"].values()}) == 1, printed["sizes"]


def test_block_size_of_77_labels_same_bits(many_labels, edge):
    """Sums over 77 labels, too, do not depend on the block."""
    for python in (sys.executable, edge):
        printed = run_in(python, many_labels, mixed(bundles.TEXTS))
        assert len({*printed["sizes"].values()}) == 1, printed["sizes"]
        assert len({json.dumps(each) for each in printed["alone"]}) > 150, "the texts do not differ"


odd = st.sampled_from(["A wonderful film.", "my parcel", "", "a", "\0", "\ud800", "good " * 500, "x" * 5000])


@given(block=st.lists(st.text(max_size=80) | odd, min_size=1, max_size=12))
@settings(deadline=None, max_examples=75)
def test_predict_same_alone_and_in_any_block(classifier, block):
    together = classifier.probabilities(block)
    for row, (text, beside) in enumerate(zip(block, classifier.predict(block), strict=True)):
        assert together[row].tobytes() == classifier.probabilities([text])[0].tobytes()
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
