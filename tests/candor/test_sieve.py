"""What the sieve lets through, find finds nothing in: planted entities, look-alikes, evasions, mixtures of all."""

import json
import random
from itertools import chain

import pytest

from candor.classifier import Classifier
from candor.redact import find
from candor.settings import Settings
from candor.sieve import suspects
from tests.benchmark import redact as bench
from tests.candor.test_redact import EXAMPLES

CLASSIFIER = Classifier.load(Settings.from_environ().bundle)
PLAIN = [case["text"] for case in json.loads(CLASSIFIER.bundle.read("golden.json"))["cases"] if case["known"]]
JOINTS = [" ", ". ", ", ", "\n", "", " – ", "’s ", " “", "é ", ": ", "\x85", "\u00a0", " is ", "\t"]


def missed(texts):
    held = set(suspects(texts))
    assert held <= set(range(len(texts)))
    return [text for place, text in enumerate(texts) if place not in held and find(text)]


def test_every_planted_entity_is_held_back_in_every_disguise():
    texts = [text.text for text in bench.planted(1900, 7)]
    disguised = [bench.evaded(bench.planted(300, 8, bench.EVADING), name) for name in bench.EVASIONS]
    texts += [text.text for text in chain.from_iterable(disguised)]
    texts += list(chain.from_iterable(EXAMPLES.values()))
    found = sum(bool(find(text)) for text in texts)
    assert found > 0.95 * len(texts)
    assert missed(texts) == []


@pytest.mark.parametrize("seed", range(20))
def test_mixtures_of_everything_are_held_back_where_something_is_found(seed):
    chance = random.Random(seed)
    pieces = [*chain.from_iterable(EXAMPLES.values()), *bench.NEGATIVES, *chain.from_iterable(bench.BESIDE.values())]
    pieces += [word for text in PLAIN for word in text.split()] * 3 + [text[:40] for text in bench.ADVERSARIES.values()]
    pieces += [made(chance) for made in bench.MAKERS.values()]
    texts = []
    for _ in range(250):
        some = chance.choices(pieces, k=chance.randint(1, 12))
        if chance.random() < 0.3:
            some = [piece[chance.randint(0, 3) : len(piece) - chance.randint(0, 3)] for piece in some]
        texts.append("".join(chain.from_iterable((piece, chance.choice(JOINTS)) for piece in some)))
    assert missed(texts) == []
    assert any(map(find, texts))


def test_plain_texts_pass():
    assert len(suspects(PLAIN)) < 0.2 * len(PLAIN)
    assert suspects([]) == []
    assert suspects(["", "?!", "a\0b"]) == [2]


def test_one_text_is_read_the_same_alone_and_among_many():
    texts = PLAIN[:40] + [text.text for text in bench.planted(60, 9)]
    together = CLASSIFIER.predict(texts)
    assert together == [CLASSIFIER.predict([text])[0] for text in texts]
