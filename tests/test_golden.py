"""The bundle's golden cases: every runtime returns the probabilities that training recorded."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from candor.model import bundle
from candor.model.classifier import Classifier
from candor.settings import Settings
from tests.environments import environment

ROOT = Path(__file__).parents[1]
EDGE = Path(os.environ.get("EDGE", ROOT / ".venv/edge/bin/python"))
CLASSIFIER = Classifier.load(Settings.from_environ().bundle)
GOLDEN = json.loads(CLASSIFIER.bundle.read("golden.json"))
TEXTS = [case["text"] for case in GOLDEN["cases"]]

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


def close(actual, expected, tolerance):
    return all(actual[label] == pytest.approx(p, abs=tolerance) for label, p in expected.items())


def test_golden_cases_hold_alone_and_in_a_block():
    for case, beside in zip(GOLDEN["cases"], CLASSIFIER.predict(TEXTS), strict=True):
        (alone,) = CLASSIFIER.predict([case["text"]])
        assert alone.label == beside.label == case["label"]
        assert alone == beside
        assert close(alone.probabilities, case["probabilities"], GOLDEN["tolerance"])


def test_golden_cases_hold_in_the_trained_model():
    """Training compares the exported model with the trained weights, and exports none that differs."""
    for case in GOLDEN["cases"]:
        assert max(case["trained"], key=case["trained"].get) == case["label"]
        assert close(case["trained"], case["probabilities"], 0.01)


def test_golden_cases_have_obvious_labels():
    """Each label has at least five cases whose label a person knows."""
    known = [case["label"] for case in GOLDEN["cases"] if case["known"]]
    assert all(known.count(label) >= 5 for label in CLASSIFIER.bundle.labels)
    by_text = {case["text"]: case["label"] for case in GOLDEN["cases"]}
    assert by_text["I hated it. Terrible dialogue, cheap effects, and a stupid ending. Avoid."] == "negative"
    assert by_text["I loved every minute of it! Great cast, great music, and a perfect ending."] == "positive"


def test_golden_cases_hold_in_tflite_runtime():
    if "EDGE" not in os.environ:
        environment("edge")
    if not EDGE.exists():
        reason = f"{EDGE} is missing, so nothing ran under tflite-runtime: put python3.11 on the PATH"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    variables = {"PYTHONPATH": str(ROOT / "layers/serving"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [EDGE, "-c", ELSEWHERE, CLASSIFIER.bundle.path]
    done = subprocess.run(command, input=json.dumps(TEXTS), env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    elsewhere = json.loads(done.stdout)
    assert elsewhere["runtime"] == "tflite_runtime"
    for text, alone, block, ids in zip(TEXTS, elsewhere["alone"], elsewhere["block"], elsewhere["ids"], strict=True):
        here = CLASSIFIER.predict([text])[0].probabilities
        assert close(alone, here, 1e-5)
        assert close(block, here, 1e-5)
        assert ids == [each.tolist() for each in CLASSIFIER.featuriser([text], CLASSIFIER.table)]


texts = st.text(max_size=80) | st.sampled_from([*TEXTS, "", "a", "\0", "\ud800", "good " * 500, "x" * 5000])


@given(st.lists(texts, min_size=1, max_size=12))
@settings(deadline=None, max_examples=150)
def test_predict_same_alone_and_in_any_block(block):
    together = CLASSIFIER.probabilities(block)
    for row, (text, beside) in enumerate(zip(block, CLASSIFIER.predict(block), strict=True)):
        assert together[row] == pytest.approx(CLASSIFIER.probabilities([text])[0], abs=1e-6)
        assert CLASSIFIER.predict([text]) == [beside]


def test_predict_700_texts_keep_their_order():
    block = [TEXTS[i % len(TEXTS)] for i in range(700)]
    together = [prediction.probabilities for prediction in CLASSIFIER.predict(block)]
    assert together == [CLASSIFIER.predict([text])[0].probabilities for text in block]


def test_bundle_is_small_and_cites_its_data():
    files = list(CLASSIFIER.bundle.path.iterdir())
    assert sum(file.stat().st_size for file in files) <= 8_000_000
    card = CLASSIFIER.bundle.read("card.md").decode()
    for words in ("Large Movie Review Dataset", "Maas", "ACL 2011", "weights are ours"):
        assert words in card
    assert CLASSIFIER.bundle.model["data"]["citation"] in card


def test_golden_cases_notice_swapped_labels(tmp_path):
    copy = tmp_path / "bundle"
    shutil.copytree(CLASSIFIER.bundle.path, copy)
    described = json.loads((copy / "model.json").read_bytes())
    described["labels"].reverse()
    files = {file.name: file.read_bytes() for file in copy.iterdir() if file.name != "manifest.json"}
    bundle.write(copy, files | {"model.json": bundle.canonical(described)})
    swapped = Classifier.load(copy)
    assert [prediction.label for prediction in swapped.predict(TEXTS)] != [case["label"] for case in GOLDEN["cases"]]
