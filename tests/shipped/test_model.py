"""The model that ships: found wherever it lies, reaches its bars, cites its data, and answers as people would."""

import inspect
import json
import shutil
import unittest

import pytest

from candor.model.bundle import Bundle, canonical, write
from candor.model.classifier import Classifier
from candor.operate.drift import ALARM, WINDOW, Monitor
from tests.functions.test_api import UNFAMILIAR
from tests.shipped.bundle import ROOT, shipped_bundle
from tests.trained import FIVE


@pytest.fixture
def classifier(shipped):
    return Classifier(shipped)


@pytest.fixture
def checkout(shipped, tmp_path):
    """Return a folder with what shipped_bundle() reads: the bundle that ships in use."""
    (tmp_path / "layers/model").mkdir(parents=True)
    shutil.copy(ROOT / "layers/model/shipped.json", tmp_path / "layers/model")
    shutil.copytree(shipped.path, tmp_path / "layers/model/bundle")
    return tmp_path


def test_shipped_json_is_the_bundles(shipped):
    named = json.loads((ROOT / "layers/model/shipped.json").read_text())
    assert named == shipped.identity


def test_shipped_bundle_is_found_in_use_or_stored(checkout):
    """Another model in use, or another version in the store, is not taken for it."""
    in_use, stored = checkout / "layers/model/bundle", checkout / "models/imdb-sentiment/2/bundle"
    assert shipped_bundle(checkout) == in_use
    shutil.copytree(in_use, stored)
    shutil.rmtree(in_use)
    shutil.copytree(FIVE, in_use)
    shutil.copytree(FIVE, checkout / "models/imdb-sentiment/1/bundle")
    assert shipped_bundle(checkout) == stored
    shutil.rmtree(stored)
    with pytest.raises(AssertionError, match=r"unpack layers/model/bundle of the release to\nmodels/imdb-sentiment/"):
        shipped_bundle(checkout)


def test_shipped_bundle_reaches_the_bars(shipped):
    """The bundle reaches the bars that the page of figures names."""
    metrics = json.loads(shipped.read("metrics.json"))
    assert metrics["test"]["ours"]["all"]["accuracy"]["value"] >= 0.913
    assert metrics["test"]["ours"]["copies"] == 123
    assert metrics["parity"]["labels_agree"] >= 0.999
    assert metrics["parity"]["max_probability_difference"] <= 0.01


def test_shipped_bundle_is_small_and_cites_its_data(shipped):
    assert sum(file.stat().st_size for file in shipped.path.iterdir()) <= 8_000_000
    card = shipped.read("card.md").decode()
    for words in ("Large Movie Review Dataset", "Maas", "ACL 2011", "the authors of Candor", "Apache-2.0"):
        assert words in card
    assert shipped.model["data"]["citation"] in card


def test_shipped_golden_cases_have_obvious_labels(shipped):
    """Each label has at least five cases whose label a person knows."""
    cases = json.loads(shipped.read("golden.json"))["cases"]
    known = [case["label"] for case in cases if case["known"]]
    assert all(known.count(label) >= 5 for label in shipped.labels)
    assert all(abs(case["trained"][label] - p) <= 0.01 for case in cases for label, p in case["probabilities"].items())
    by_text = {case["text"]: case["label"] for case in cases}
    assert by_text["I hated it. Terrible dialogue, cheap effects, and a stupid ending. Avoid."] == "negative"
    assert by_text["I loved every minute of it! Great cast, great music, and a perfect ending."] == "positive"


@pytest.mark.parametrize(("text", "codes"), UNFAMILIAR)
def test_shipped_model_unfamiliar_text_warns(text, codes, classifier):
    assert list(classifier.predict([text])[0].warnings) == codes


def test_shipped_model_other_domain_alarms(classifier):
    """Texts about testing software are unlike reviews of films."""
    texts = [doc for _, member in inspect.getmembers(unittest.TestCase) if (doc := inspect.getdoc(member))]
    predicted = classifier.predict((texts * (WINDOW // len(texts) + 1))[:WINDOW])
    (report,) = Monitor(classifier.drift_reference).add(predicted)
    assert report.max_psi > ALARM


def test_shipped_model_damaged_is_not_taken(checkout):
    """A bundle with another manifest is another bundle, whatever its name."""
    in_use = checkout / "layers/model/bundle"
    opened = Bundle.open(in_use)
    write(in_use, opened.files | {"model.json": canonical(opened.model | {"seed": 2})})
    with pytest.raises(AssertionError, match="is neither in use nor in the store"):
        shipped_bundle(checkout)
