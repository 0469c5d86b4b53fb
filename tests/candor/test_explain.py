"""Explanations against brute force: Shapley's axioms, and exact values by enumeration on short texts."""

from itertools import combinations
from math import factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from candor.classifier import Classifier, model_inputs
from candor.explain import METHOD, METHOD_LONG, Explainer, _Network
from candor.settings import Settings

CLASSIFIER = Classifier.load(Settings.from_environ().bundle)
EXPLAINER = Explainer(CLASSIFIER)
WORDS = ["good", "bad", "not", "a", "film", "boring", "wonderful", "the", "waste", "of", "time", "very"]
texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=9).map(" ".join)
FEATURISER = CLASSIFIER.featuriser


def test_offsets_are_those_of_the_text_as_it_was_given_although_the_model_reads_it_redacted():
    text = "Write to jane.wonderful.doe@example.com or see http://jane:secret@example.com/film: a dull film."
    found = EXPLAINER(text, "positive")
    words = [text[begin:end] for begin, end in found.spans]
    assert words[-3:] == ["a", "dull", "film"]
    assert words[:2] == ["Write", "to"]
    assert "jane.wonderful.doe@example.com" in words


def game(text):
    """The log-odds of "positive" for any set of a text's tokens: one left out takes its pairs along."""
    features = FEATURISER([text])
    count = len(features.unigrams)
    blank = np.int32(1 << FEATURISER.unigram_bits), np.int32(1 << FEATURISER.bigram_bits)

    def value(kept):
        alone = np.array([i in kept for i in range(count)])
        pairs = alone[:-1] & alone[1:]
        masked = features._replace(
            unigrams=np.where(alone, features.unigrams, blank[0]), bigrams=np.where(pairs, features.bigrams, blank[1])
        )
        logits = EXPLAINER._predict(model_inputs(masked, FEATURISER))["logits"][0]
        return float(logits[1] - logits[0])

    return value, count


def shapley(value, count):
    """By definition (Shapley 1953): each player's mean gain over all orders."""
    players, found = range(count), np.zeros(count)
    worth = {kept: value(set(kept)) for size in range(count + 1) for kept in combinations(players, size)}
    for player in players:
        for kept in worth:
            if player not in kept:
                weight = factorial(len(kept)) * factorial(count - len(kept) - 1) / factorial(count)
                found[player] += weight * (worth[tuple(sorted((*kept, player)))] - worth[kept])
    return found


@pytest.mark.parametrize(
    "text",
    [
        "wonderful film",
        "not good",
        "a waste of time",
        "not a very good film the waste of a wonderful time",
        "good bad good bad good bad",
        "the film was not boring it was wonderful and very moving",
        "boring boring boring boring boring boring the film of the film",
    ],
)
def test_values_are_shapleys_by_enumeration(text):
    value, count = game(text)
    found = EXPLAINER(text, "positive").values
    assert count <= 12
    assert found == pytest.approx(shapley(value, count), abs=1e-4)
    assert np.abs(found).max() > 0.1, "the tolerance would hide a wrong value"


@given(texts)
@settings(max_examples=100, deadline=None)
def test_efficiency_values_and_base_add_up_to_the_logit(text):
    found = EXPLAINER(text, "positive")
    assert found.base + found.values.sum() + found.residual == pytest.approx(found.logit, abs=1e-12)
    assert abs(found.residual) <= 1e-5
    probability = CLASSIFIER.predict([text])[0].probabilities["positive"]
    assert 1 / (1 + np.exp(-found.logit)) == pytest.approx(probability, abs=1e-6)


@given(texts)
@settings(max_examples=50, deadline=None)
def test_antisymmetry_what_speaks_for_one_label_speaks_against_the_other(text):
    one, other = EXPLAINER(text, "positive"), EXPLAINER(text, "negative")
    assert one.values == pytest.approx(-other.values)
    assert one.logit == pytest.approx(-other.logit)
    assert one.spans == other.spans


@given(st.sampled_from(WORDS), st.integers(2, 6))
@settings(deadline=None)
def test_symmetry_the_two_ends_of_a_run_of_one_word_have_the_same_value(word, count):
    values = EXPLAINER(" ".join([word] * count), "positive").values
    assert values[0] == pytest.approx(values[-1], abs=1e-6)


parts = arrays(np.float32, st.tuples(st.integers(1, 9), st.just(4)), elements=st.floats(-2, 2, width=32))
BIAS, OUTPUT = np.array([0.3, -0.5, 0.0, 1.0], np.float32), np.array([1.0, -2.0, 0.5, 3.0])
NETWORK = _Network(BIAS, OUTPUT)


@pytest.mark.parametrize("way", [NETWORK.shapley, NETWORK.gradients])
class TestAxioms:
    """Of both ways to share out the network's part."""

    @given(parts=parts)
    @settings(deadline=None)
    def test_efficiency(self, way, parts):
        gained = NETWORK(parts.astype(np.float64).sum(axis=0)) - NETWORK(np.zeros(4))
        assert way(parts).sum() == pytest.approx(gained, abs=1e-6)

    @given(parts=parts)
    @settings(deadline=None)
    def test_dummy(self, way, parts):
        parts[0] = 0
        assert way(parts)[0] == 0

    @given(parts=parts)
    @settings(deadline=None)
    def test_symmetry(self, way, parts):
        twice = np.concatenate([parts, parts[:1]])
        assert way(twice)[0] == pytest.approx(way(twice)[-1], abs=1e-9)

    @given(parts=parts, weight=st.floats(-3, 3))
    @settings(deadline=None)
    def test_linearity(self, way, parts, weight):
        other = _Network(BIAS, np.array([0.2, 1.0, -1.0, 0.0]))
        both = _Network(BIAS, OUTPUT + weight * other.output)
        name = way.__name__
        expected = way(parts) + weight * getattr(other, name)(parts)
        assert getattr(both, name)(parts) == pytest.approx(expected, abs=1e-6)


def test_shapleys_values_tend_to_integrated_gradients_as_words_are_split_into_ever_smaller_ones():
    random, gaps = np.random.default_rng(1), {1: 0.0, 4: 0.0}
    for _ in range(20):
        parts = random.normal(size=(3, 4)).astype(np.float32)
        for times in gaps:
            split = NETWORK.shapley(np.repeat(parts / times, times, axis=0)).reshape(3, times).sum(axis=1)
            gaps[times] += np.abs(split - NETWORK.gradients(parts)).max()
    assert gaps[4] < 0.6 * gaps[1]


def test_long_texts_are_explained_by_the_other_method_and_add_up_too():
    short, long = EXPLAINER("good " * 12, "positive"), EXPLAINER("good film " * 500, "positive")
    assert (short.method, long.method) == (METHOD, METHOD_LONG)
    assert abs(long.residual) <= 1e-4


def test_a_pair_is_shared_by_halves():
    found = EXPLAINER("not good", "positive")
    parts = EXPLAINER._explain(
        {name: getattr(FEATURISER(["not good"]), name) for name in ("unigrams", "bigrams", "tokens")}
    )
    network = _Network(parts["hidden_bias"], parts["output"][:, 0].astype(np.float64)).shapley(parts["hidden"])
    pair = found.values - parts["unigrams"][:, 0] - network
    assert pair[0] == pytest.approx(pair[1])
    assert pair.sum() == pytest.approx(parts["bigrams"][0, 0])


def test_each_token_has_its_place_in_the_text_as_it_was_written():
    text = "Wonderful!<br /><br />Not “BORING”，很好"
    found = EXPLAINER(text, "positive")
    assert [text[begin:end] for begin, end in found.spans] == ["Wonderful", "Not", "BORING", "很", "好"]
    assert len(found.values) == 5
    assert found.values[0] > 0 > found.values[2]


def test_a_text_without_tokens_is_all_base():
    found = EXPLAINER("?!", "negative")
    assert (found.spans, len(found.values), found.residual) == ([], 0, 0)
    assert found.base == found.logit
