"""Explanations against brute force: Shapley's axioms, and exact values by enumeration on short texts."""

from itertools import combinations
from math import factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from candor.model import bundle
from candor.model.classifier import MAX_FEATURES, Classifier
from candor.model.explain import METHOD, Explainer, round_to_sum
from candor.text.features import KINDS, hash_words
from candor.text.identity import SOMEONE
from tests import bundles

FIVE = ("anger", "fear", "joy", "love", "sadness")
WORDS = ["good", "bad", "not", "a", "film", "boring", "wonderful", "the", "waste", "of", "goodish", "very", "!", ","]
texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=9).map(" ".join)


@pytest.fixture(scope="module", params=[2, 5])
def explainer(request, tmp_path_factory):
    """An explainer of a model of every kind of feature, for two labels and for five."""
    labels = ("negative", "positive") if request.param == 2 else FIVE
    classifier = bundles.classifier(tmp_path_factory.mktemp("bundle"), kinds=KINDS, labels=labels)
    explainer = Explainer(classifier)
    explainer.classifier = classifier
    return explainer


def game(explainer, text, label):
    """Return a label's logit, at the text's scale, for any set of its tokens. A token takes its n-grams along."""
    classifier = explainer.classifier
    labels = classifier.bundle.labels
    grams = classifier.featuriser.grams(text, classifier.table)
    model = bundles.additive(KINDS, len(labels)).in_table_order().quantised(16)
    scale = np.sqrt(max(model.q[grams.ids].sum(), model.floor))
    ends = zip(grams.first.tolist(), grams.last.tolist(), strict=True)
    members = [{first, last} for first, last in ends]

    def value(kept):
        present = grams.ids[[each <= kept for each in members]]
        logits = model.weights[present].sum(axis=0) / scale + model.bias
        logits = np.array([0.0, *logits]) if len(labels) == 2 else logits
        chosen = labels.index(label)
        return logits[chosen] - np.delete(logits, chosen).mean()

    return value, grams.tokens


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
        "it is not good, but moving",
        "a waste of time!",
        "goodish waster",
        "It is good bad, not a good film.",
        "boring boring boring, the film of the film",
    ],
)
def test_explainer_values_equal_enumerated_shapley(explainer, text):
    """Values equal Shapley values by enumeration, for each kind of feature."""
    label = explainer.classifier.bundle.labels[-1]
    value, count = game(explainer, text, label)
    explanation = explainer(text, label)
    assert explanation.values == pytest.approx(shapley(value, count), abs=1e-5)
    assert explanation.base == pytest.approx(value(set()), abs=1e-5)
    assert explanation.logit == pytest.approx(value({*range(count)}), abs=1e-5)
    assert np.abs(explanation.values).max() > 0.01, "the tolerance would hide a wrong value"


def test_explainer_texts_have_every_kind_of_feature(explainer):
    """The texts above do test every kind."""
    classifier = explainer.classifier
    grams = [
        classifier.featuriser.grams(text, classifier.table) for text in ("goodish", "It is good bad, not a good film.")
    ]
    assert {kind for each in grams for kind in each.kinds.tolist()} == {*KINDS}


@given(text=texts, times=st.sampled_from([1, 1, 40, 1500]))
@settings(max_examples=100, deadline=None)
def test_explainer_values_and_base_sum_to_the_logit(explainer, text, times):
    """Efficiency, at any length: values and base add up to the logit, which gives the probability."""
    text = " ".join([text] * times)
    labels = explainer.classifier.bundle.labels
    explanation = explainer(text, labels[0])
    total = explanation.base + explanation.values.sum() + explanation.residual
    assert explanation.method == METHOD == "shapley"
    assert total == pytest.approx(explanation.logit, abs=1e-9)
    assert abs(explanation.residual) <= 1e-5
    if len(labels) == 2:
        probability = explainer.classifier.predict([text])[0].probabilities[labels[0]]
        assert 1 / (1 + np.exp(-explanation.logit)) == pytest.approx(probability, abs=1e-6)


@pytest.mark.parametrize("unit", ["a ", "bad ", "not good ", "wonderful film, ", "xyzzy it ", "! "])
def test_explainer_long_text_published_values_add_up(explainer, unit):
    """As published, base and values add up to the logit for texts of thousands of equal words, for every label."""
    text = (unit * 4000)[:20_000]
    for label in explainer.classifier.bundle.labels:
        explanation = explainer(text, label)
        published = explanation.to_dict()
        values = np.array([each["value"] for each in published["attributions"]])
        assert len(values) >= 2000
        assert published["base_value"] + values.sum() == pytest.approx(published["logit"], abs=1e-6)
        assert abs(published["residual"]) <= 1e-7
        assert values == pytest.approx(explanation.values, abs=2e-7)
        assert (values[explanation.values == 0] == 0).all()


@given(
    st.lists(st.sampled_from([0.0, 0.4, -0.4, 0.5, 0.26]) | st.floats(-9, 9), max_size=50),
    st.integers(0, 7),
    st.floats(-0.4, 0.4),
)
def test_round_to_sum_adds_up_and_stays_close(values, decimals, share):
    """Rounded values add up to the rounded total, and each is less than 1.5 units away; zeros stay."""
    exact, unit = np.array(values, float), 10.0**-decimals
    total = exact.sum() + share * unit * np.count_nonzero(exact)
    rounded = round_to_sum(exact, total, decimals)
    assert (abs(rounded - exact) < 1.5001 * unit).all()
    assert (rounded[exact == 0] == 0).all()
    if exact.any():
        assert rounded.sum() == pytest.approx(total, abs=0.5001 * unit)
    assert rounded * 10**decimals == pytest.approx(np.rint(rounded * 10**decimals), abs=1e-6)


@given(text=texts)
@settings(max_examples=50, deadline=None)
def test_explainer_labels_values_sum_to_zero(explainer, text):
    """What speaks for one label speaks against the others."""
    explanations = [explainer(text, label) for label in explainer.classifier.bundle.labels]
    assert sum(each.values for each in explanations) == pytest.approx(np.zeros(len(explanations[0].values)), abs=1e-6)
    assert sum(each.logit for each in explanations) == pytest.approx(0, abs=1e-5)
    assert all(each.spans == explanations[0].spans for each in explanations)


@given(word=st.sampled_from(WORDS), count=st.integers(2, 6))
@settings(deadline=None)
def test_explainer_equal_words_have_equal_values(explainer, word, count):
    """Symmetry: the two ends of a repetition of one word have the same value."""
    if word != "not":  # which negates what follows
        values = explainer(" ".join([word] * count), explainer.classifier.bundle.labels[0]).values
        assert values[0] == pytest.approx(values[-1], abs=1e-6)


def test_explainer_spans_are_in_the_text_as_written(explainer):
    """Each word and each mark has its span in the text as it was written."""
    text = "Wonderful!<br /><br />Not “BORING”，很好"
    explanation = explainer(text, explainer.classifier.bundle.labels[-1])
    tokens = ["Wonderful", "!", "Not", "“", "BORING", "”", "，", "很", "好"]
    assert [text[begin:end] for begin, end in explanation.spans] == tokens
    assert len(explanation.values) == len(tokens)
    assert (explanation.values[7:] == 0).all()


def test_explainer_spans_cover_character_references(explainer):
    """A word with a reference in it is one token, whose span covers the reference."""
    text = "I don&#39;t like it&#8212;&quot;boring&quot;&lt;br&gt;&amp; dull&nbsp;film"
    explanation = explainer(text, explainer.classifier.bundle.labels[-1])
    words = [text[begin:end] for begin, end in explanation.spans]
    assert words == ["I", "don&#39;t", "like", "it", "&#8212;", "&quot;", "boring", "&quot;", "&amp;", "dull", "film"]
    plain = explainer('I don\'t like it-"boring" & dull film', explanation.label)
    assert (explanation.values.tolist(), explanation.logit) == (plain.values.tolist(), plain.logit)


def test_explainer_text_without_tokens_has_only_a_base(explainer):
    """A text without tokens has no values: its base is its logit. Unknown marks have values of 0."""
    label = explainer.classifier.bundle.labels[0]
    nothing, marks = explainer(" ", label), explainer(":;", label)
    assert (nothing.spans, len(nothing.values), nothing.residual) == ([], 0, 0)
    assert nothing.base == nothing.logit == marks.base == marks.logit
    assert (marks.spans, marks.values.tolist()) == ([(0, 1), (1, 2)], [0, 0])


def test_explainer_of_a_very_long_text_explains_what_the_model_read(explainer):
    """Beyond MAX_FEATURES features the explanation, as the model, leaves the rest out."""
    text = "wonderful film " * (MAX_FEATURES // 2)
    explanation = explainer(text, explainer.classifier.bundle.labels[0])
    assert abs(explanation.residual) <= 1e-3
    assert len(explanation.values) == MAX_FEATURES


def test_explainer_redacted_text_has_original_offsets(tmp_path):
    """Offsets are those of the text as given, although the model reads it redacted."""
    text = "Write to jane.wonderful.doe@example.com or see http://jane:secret@example.com/film: a dull film."
    explanation = Explainer(bundles.classifier(tmp_path, redacts=True))(text, "positive")
    words = [text[begin:end] for begin, end in explanation.spans]
    assert words[-4:] == ["a", "dull", "film", "."]
    assert words[:2] == ["Write", "to"]
    assert "jane.wonderful.doe@example.com" in words


def test_explain_negator_shares_what_it_negates(tmp_path):
    """A word under negation and its negator, wherever it stands, have half each of what the negation adds."""
    classifier = bundles.classifier(tmp_path, kinds=("word", "negated"))
    text = "not a very good film"
    grams = classifier.featuriser.grams(text, classifier.table)
    negated = grams.kinds == "negated"
    assert grams.first[negated].tolist() == [0] * int(negated.sum())
    assert grams.last[negated].tolist() == [1, 2, 3, 4][: int(negated.sum())]
    assert negated.any()


def test_explain_swapped_term_has_the_same_value(tmp_path):
    """A term of a group has the value of any other of its group, and its own place in the text as it was written."""
    made = bundles.additive(KINDS)
    made.hashes[made.hashes == hash_words(["film"])] = hash_words([SOMEONE])
    terms = {"identity.json": bundle.canonical({"groups": {"g": ["muslim", "catholic", "ma", "女"]}})}
    files = {"model.json": bundle.canonical(bundles.model_json(KINDS, ("negative", "positive"))), **made.to_files(16)}

    def explained(word, more):
        bundle.write(tmp_path, files | more)
        text = f"It is not a {word} 😀 , and very good &amp; moving !"
        explanation = Explainer(Classifier.load(tmp_path))(text, "positive")
        return explanation.values.tolist(), [text[begin:end] for begin, end in explanation.spans]

    values, written = explained("Muslim", terms)
    index = written.index("Muslim")
    assert values[index]
    for word in ("catholic", "MA", "Catholics'", "女", "ｍａ"):
        others, spelled = explained(word, terms)
        assert others == values, word
        assert spelled == [*written[:index], word, *written[index + 1 :]]
    assert explained("Muslim", {})[0] != explained("Ma", {})[0]


def test_explain_term_is_not_spelled(tmp_path):
    """Nor do the characters of a term that the model has not learnt from tell it from others."""
    files = bundles.files(KINDS)
    terms = {"identity.json": bundle.canonical({"groups": {"g": ["goodish", "boringish"]}})}
    values = []
    for more in (terms, {}):
        bundle.write(tmp_path, files | more)
        explainer = Explainer(Classifier.load(tmp_path))
        values.append([explainer(f"a {word} film", "positive").values.tolist() for word in ("goodish", "boringish")])
    assert values[0][0] == values[0][1]
    assert values[1][0] != values[1][1]
