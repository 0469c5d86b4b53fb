"""`candor fairness` as a user runs it."""

import csv
import json

import numpy as np
import pytest

from candor.cli.main import main
from candor.model.classifier import Classifier
from tests.trained import TWO
from training.fairness import limits

GOOD = {"faith": ["muslim", "catholic"], "who": ["woman", "man"]}

pytestmark = pytest.mark.usefixtures("entry_point")


def run(*options, model=TWO):
    return main(["fairness", "--model", str(model), *map(str, options)])


def written(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.fixture
def texts(tmp_path):
    """Fifty labelled reviews, each with a term."""
    path = tmp_path / "texts.csv"
    rows = [
        (f"A {'great' if number % 2 else 'dull'} film, said the {term} {number}.", number % 2)
        for number in range(25)
        for term in ("woman", "Muslim")
    ]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(
            [("text", "label"), *((text, ("negative", "positive")[side]) for text, side in rows)]
        )
    return path


def test_fairness_of_a_model_without_texts(capsys):
    """The test model cannot tell terms apart, and its control words have a line of their own."""
    assert run() == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["group", "largest", "difference"]
    assert [line.split()[-1] for line in lines[1:-2]] == ["0.000"] * 9
    assert lines[-2].startswith("control words")
    assert lines[-1] == "within the limits"


def test_fairness_of_terms_that_a_model_tells_apart(tmp_path, capsys):
    """Exit status 1: as groups, words of praise and blame pass the limit."""
    terms = written(tmp_path / "terms.json", {"moods": ["great", "dull"], "who": ["woman", "man"]})
    assert run("--identity", terms) == 1
    assert "beyond the limits: in one sentence, terms of the group 'moods' move" in capsys.readouterr().out
    assert run("--identity", written(terms, {"who": ["woman", "man"]})) == 0


def test_fairness_of_texts_counts_changes(texts, tmp_path, capsys):
    terms = written(tmp_path / "terms.json", GOOD)
    assert (
        run("--texts", texts, "--identity", terms, "--label", "label", "--json", "--report", tmp_path / "new/it") == 0
    )
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads((tmp_path / "new/it/fairness.json").read_text())
    assert (tmp_path / "new/it/fairness.png").read_bytes().startswith(b"\x89PNG")
    assert found["model"] == Classifier.load(TWO).bundle.identity
    assert found["chosen"]["texts"] == 50
    assert found["chosen"]["swaps"]["faith"]["texts"] == found["chosen"]["swaps"]["who"]["texts"] == 25
    assert found["chosen"]["swaps"]["who"]["label_flips"]["count"] == 0
    assert found["chosen"]["groups"]["overall"]["accuracy"] > 0.9
    assert found["gate"] == {"limits": limits(), "passed": []}
    assert run("--texts", texts, "--identity", terms) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["faith", "25", "0.00%", "0.00%", "0.000"]


def test_fairness_compares_ways(texts, tmp_path, capsys):
    terms = written(tmp_path / "terms.json", GOOD)
    assert run("--compare", texts, "--identity", terms, "--report", tmp_path / "ways") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["way", "accuracy"]
    assert [line.split()[0] for line in lines[1:5]] == ["one-feature", "augment", "reweigh", "off"]
    found = json.loads((tmp_path / "ways/fairness.json").read_text())
    assert found["ways"]["one-feature"]["gap"] == found["ways"]["one-feature"]["flips"] == 0
    assert np.isfinite([each["accuracy"]["value"] for each in found["ways"].values()]).all()
    assert (tmp_path / "ways/ways.png").read_bytes().startswith(b"\x89PNG")


BAD = {
    "term in two groups": (["--identity", {"a": ["red"], "b": ["red"]}], "'red' is in two groups, 'a' and 'b'"),
    "phrase": (["--identity", {"a": ["middle aged"]}], "'middle aged' of the group 'a' is no single word to the model"),
    "empty terms": (["--identity", ""], "is not JSON"),
    "empty texts": (["--texts", ""], "has no text that can be read"),
    "empty labelled texts": (["--compare", ""], "is empty"),
    "one label": (["--compare", '[{"text": "a", "label": "b"}]'], ""),
    "other labels": (
        ["--label", "label", "--texts", '[{"text": "a", "label": "b"}]'],
        "1 label is none of the model's",
    ),
    "audit and comparison": (["--texts", "[]", "--compare", "[]"], "--texts and --compare are given"),
}


@pytest.mark.parametrize(("arguments", "said"), BAD.values(), ids=BAD)
def test_fairness_refuses_bad_input(arguments, said, tmp_path, capsys):
    """Exit status 2, one line and a hint."""
    options = [
        each
        if isinstance(each, str) and (each.startswith("--") or each == "label")
        else written(tmp_path / f"{number}.json", each)
        for number, each in enumerate(arguments)
    ]
    assert run(*options) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    lines = errors.splitlines()
    assert lines[0].startswith("error: ")
    assert said in lines[0]
    assert len(lines) == 2
    assert lines[1].startswith("hint: ")


def test_fairness_of_missing_files(tmp_path, capsys):
    for option in ("--identity", "--texts", "--compare"):
        assert run(option, tmp_path / "none.csv") == 2
        assert capsys.readouterr().err.startswith("error: ")
