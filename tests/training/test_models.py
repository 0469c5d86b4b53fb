"""The bundles in tests/models are such as training writes today."""

import json
import re

import pytest

from candor.model.bundle import Bundle
from tests.trained import EPOCH, FIVE, TWO, train

DUE = "tests/models is out of date: run python -m tests.trained"


def shape(value):
    """Return JSON without its numbers and texts: keys, and the first item of a list."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    return [shape(each) for each in value[:1]] if isinstance(value, list) else type(value).__name__


@pytest.fixture(scope="module")
def trained(tmp_path_factory, entry_point):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", EPOCH)
        return Bundle.open(train(FIVE, tmp_path_factory.mktemp("models")))


def test_model_of_five_labels_is_what_training_writes(trained):
    committed = Bundle.open(FIVE)
    assert trained.files.keys() == committed.files.keys(), DUE
    for name in ("model.json", "metrics.json"):
        assert shape(json.loads(trained.read(name))) == shape(json.loads(committed.read(name))), f"{name}: {DUE}"
    assert trained.model["data"] == committed.model["data"], DUE
    cards = [re.sub(r"\d", "0", each.read("card.md").decode()) for each in (trained, committed)]
    assert cards[0] == cards[1], DUE
    again, cases = (json.loads(each.read("golden.json"))["cases"] for each in (trained, committed))
    assert [case["text"] for case in again] == [case["text"] for case in cases], DUE
    for case, other in zip(again, cases, strict=True):
        assert case["probabilities"] == pytest.approx(other["probabilities"], abs=0.01), DUE


def test_model_of_two_labels_has_the_same_facts(trained):
    committed = Bundle.open(TWO)
    assert committed.files.keys() == trained.files.keys(), DUE
    assert committed.model.keys() == trained.model.keys(), DUE
    assert committed.model["recipe"].keys() == trained.model["recipe"].keys(), DUE
