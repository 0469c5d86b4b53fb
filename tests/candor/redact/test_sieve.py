"""The sieve selects every text in which find finds something: planted entities, evasions and mixtures of all."""

import json
import random
from itertools import chain

import pytest

from candor.model.classifier import Classifier
from candor.redact import find
from candor.redact.sieve import candidate_indices
from candor.settings import Settings
from tests.benchmark import redact as bench
from tests.candor.redact.test_redact import EXAMPLES

CLASSIFIER = Classifier.load(Settings.from_environ().bundle)
PLAIN = [case["text"] for case in json.loads(CLASSIFIER.bundle.read("golden.json"))["cases"] if case["known"]]
JOINTS = [" ", ". ", ", ", "\n", "", " – ", "’s ", " “", "é ", ": ", "\x85", "\u00a0", " is ", "\t"]


def missed(texts):
    """Return the texts with entities that the sieve does not select."""
    selected = set(candidate_indices(texts))
    assert selected <= set(range(len(texts)))
    return [text for index, text in enumerate(texts) if index not in selected and find(text)]


def test_sieve_selects_planted_and_disguised_entities():
    """Every planted entity is selected, in every disguise."""
    texts = [text.text for text in bench.planted(1900, 7)]
    disguised = [bench.evaded(bench.planted(300, 8, bench.EVADING), name) for name in bench.EVASIONS]
    texts += [text.text for text in chain.from_iterable(disguised)]
    texts += list(chain.from_iterable(EXAMPLES.values()))
    with_entities = sum(bool(find(text)) for text in texts)
    assert with_entities > 0.95 * len(texts)
    assert missed(texts) == []


@pytest.mark.parametrize("seed", range(20))
def test_sieve_selects_mixtures_with_entities(seed):
    """Random mixtures are selected wherever find finds something."""
    chance = random.Random(seed)
    pieces = [*chain.from_iterable(EXAMPLES.values()), *bench.NEGATIVES, *chain.from_iterable(bench.CONTEXT.values())]
    pieces += [word for text in PLAIN for word in text.split()] * 3 + [text[:40] for text in bench.ADVERSARIES.values()]
    pieces += [make(chance) for make in bench.MAKERS.values()]
    texts = []
    for _ in range(250):
        chosen = chance.choices(pieces, k=chance.randint(1, 12))
        if chance.random() < 0.3:
            chosen = [piece[chance.randint(0, 3) : len(piece) - chance.randint(0, 3)] for piece in chosen]
        texts.append("".join(chain.from_iterable((piece, chance.choice(JOINTS)) for piece in chosen)))
    assert missed(texts) == []
    assert any(map(find, texts))


def test_sieve_plain_texts_are_not_selected():
    """Most plain texts are not selected."""
    assert len(candidate_indices(PLAIN)) < 0.2 * len(PLAIN)
    assert candidate_indices([]) == []
    assert candidate_indices(["", "?!", "a\0b"]) == [2]


def test_classifier_predict_block_equals_single_texts():
    """A text gets the same prediction alone and among many."""
    texts = PLAIN[:40] + [text.text for text in bench.planted(60, 9)]
    together = CLASSIFIER.predict(texts)
    assert together == [CLASSIFIER.predict([text])[0] for text in texts]
