"""Explanations against brute force: Shapley's axioms, and exact values by enumeration on short texts."""

from itertools import combinations
from math import factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from candor.model.classifier import Classifier, model_inputs
from candor.model.explain import METHOD, METHOD_LONG, Explainer, _Network
from candor.settings import Settings

CLASSIFIER = Classifier.load(Settings.from_environ().bundle)
EXPLAINER = Explainer(CLASSIFIER)
WORDS = ["good", "bad", "not", "a", "film", "boring", "wonderful", "the", "waste", "of", "time", "very"]
texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=9).map(" ".join)
FEATURISER = CLASSIFIER.featuriser


def test_explainer_redacted_text_has_original_offsets():
    """Offsets are those of the text as given, although the model reads it redacted."""
    text = "Write to jane.wonderful.doe@example.com or see http://jane:secret@example.com/film: a dull film."
    explanation = EXPLAINER(text, "positive")
    words = [text[begin:end] for begin, end in explanation.spans]
    assert words[-3:] == ["a", "dull", "film"]
    assert words[:2] == ["Write", "to"]
    assert "jane.wonderful.doe@example.com" in words


def game(text):
    """Return the log-odds of "positive" for any set of a text's tokens. A token left out takes its pairs along."""
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
    """Return each player's mean gain over all orders: the definition (Shapley 1953)."""
    players, values = range(count), np.zeros(count)
    utility = {kept: value(set(kept)) for size in range(count + 1) for kept in combinations(players, size)}
    for player in players:
        for kept in utility:
            if player not in kept:
                weight = factorial(len(kept)) * factorial(count - len(kept) - 1) / factorial(count)
                values[player] += weight * (utility[tuple(sorted((*kept, player)))] - utility[kept])
    return values


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
def test_explainer_values_equal_enumerated_shapley(text):
    """Values of short texts equal Shapley values by enumeration."""
    value, count = game(text)
    values = EXPLAINER(text, "positive").values
    assert count <= 12
    assert values == pytest.approx(shapley(value, count), abs=1e-4)
    assert np.abs(values).max() > 0.1, "the tolerance would hide a wrong value"


@given(texts)
@settings(max_examples=100, deadline=None)
def test_explainer_values_and_base_sum_to_the_logit(text):
    """Efficiency: values and base add up to the logit, which gives the probability."""
    explanation = EXPLAINER(text, "positive")
    assert explanation.base + explanation.values.sum() + explanation.residual == pytest.approx(
        explanation.logit, abs=1e-12
    )
    assert abs(explanation.residual) <= 1e-5
    probability = CLASSIFIER.predict([text])[0].probabilities["positive"]
    assert 1 / (1 + np.exp(-explanation.logit)) == pytest.approx(probability, abs=1e-6)


@given(texts)
@settings(max_examples=50, deadline=None)
def test_explainer_other_label_negates_the_values(text):
    """Antisymmetry: what speaks for one label speaks against the other."""
    one, other = EXPLAINER(text, "positive"), EXPLAINER(text, "negative")
    assert one.values == pytest.approx(-other.values)
    assert one.logit == pytest.approx(-other.logit)
    assert one.spans == other.spans


@given(st.sampled_from(WORDS), st.integers(2, 6))
@settings(deadline=None)
def test_explainer_equal_words_have_equal_values(word, count):
    """Symmetry: the two ends of a repetition of one word have the same value."""
    values = EXPLAINER(" ".join([word] * count), "positive").values
    assert values[0] == pytest.approx(values[-1], abs=1e-6)


parts = arrays(np.float32, st.tuples(st.integers(1, 9), st.just(4)), elements=st.floats(-2, 2, width=32))
BIAS, OUTPUT = np.array([0.3, -0.5, 0.0, 1.0], np.float32), np.array([1.0, -2.0, 0.5, 3.0])
NETWORK = _Network(BIAS, OUTPUT)


@pytest.mark.parametrize("method", [NETWORK.shapley, NETWORK.integrated_gradients])
class TestAxioms:
    """Axioms of attribution, for both methods of sharing out the network's part."""

    @given(parts=parts)
    @settings(deadline=None)
    def test_efficiency(self, method, parts):
        gained = NETWORK(parts.astype(np.float64).sum(axis=0)) - NETWORK(np.zeros(4))
        assert method(parts).sum() == pytest.approx(gained, abs=1e-6)

    @given(parts=parts)
    @settings(deadline=None)
    def test_dummy(self, method, parts):
        parts[0] = 0
        assert method(parts)[0] == 0

    @given(parts=parts)
    @settings(deadline=None)
    def test_symmetry(self, method, parts):
        twice = np.concatenate([parts, parts[:1]])
        assert method(twice)[0] == pytest.approx(method(twice)[-1], abs=1e-9)

    @given(parts=parts, weight=st.floats(-3, 3))
    @settings(deadline=None)
    def test_linearity(self, method, parts, weight):
        other = _Network(BIAS, np.array([0.2, 1.0, -1.0, 0.0]))
        both = _Network(BIAS, OUTPUT + weight * other.output)
        name = method.__name__
        expected = method(parts) + weight * getattr(other, name)(parts)
        assert getattr(both, name)(parts) == pytest.approx(expected, abs=1e-6)


def test_shapley_converges_to_integrated_gradients():
    """Shapley values approach integrated gradients as tokens are split into smaller ones."""
    random, gaps = np.random.default_rng(1), {1: 0.0, 4: 0.0}
    for _ in range(20):
        parts = random.normal(size=(3, 4)).astype(np.float32)
        for times in gaps:
            split = NETWORK.shapley(np.repeat(parts / times, times, axis=0)).reshape(3, times).sum(axis=1)
            gaps[times] += np.abs(split - NETWORK.integrated_gradients(parts)).max()
    assert gaps[4] < 0.6 * gaps[1]


def test_explainer_long_text_uses_integrated_gradients():
    """Texts of more than 12 tokens use the other method, and add up too."""
    short, long = EXPLAINER("good " * 12, "positive"), EXPLAINER("good film " * 500, "positive")
    assert (short.method, long.method) == (METHOD, METHOD_LONG)
    assert abs(long.residual) <= 1e-4


def test_explainer_pair_is_shared_by_halves():
    """Each token of a pair gets half of the pair's weight."""
    explanation = EXPLAINER("not good", "positive")
    parts = EXPLAINER._explain(
        {name: getattr(FEATURISER(["not good"]), name) for name in ("unigrams", "bigrams", "tokens")}
    )
    network = _Network(parts["hidden_bias"], parts["output"][:, 0].astype(np.float64)).shapley(parts["hidden"])
    pair = explanation.values - parts["unigrams"][:, 0] - network
    assert pair[0] == pytest.approx(pair[1])
    assert pair.sum() == pytest.approx(parts["bigrams"][0, 0])


def test_explainer_spans_are_in_the_text_as_written():
    """Each token has its span in the text as it was written."""
    text = "Wonderful!<br /><br />Not “BORING”，很好"
    explanation = EXPLAINER(text, "positive")
    assert [text[begin:end] for begin, end in explanation.spans] == ["Wonderful", "Not", "BORING", "很", "好"]
    assert len(explanation.values) == 5
    assert explanation.values[0] > 0 > explanation.values[2]


def test_explainer_text_without_tokens_has_only_a_base():
    """A text without tokens has no values: its base is its logit."""
    explanation = EXPLAINER("?!", "negative")
    assert (explanation.spans, len(explanation.values), explanation.residual) == ([], 0, 0)
    assert explanation.base == explanation.logit
