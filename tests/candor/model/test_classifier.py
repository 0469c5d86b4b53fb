"""A classifier answers for each text by itself, whatever its length and whoever stands beside it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from candor.model import classifier as module
from candor.model.classifier import Classifier, model_inputs
from candor.text.features import KINDS, Features
from tests import bundles

FIVE = ("anger", "fear", "joy", "love", "sadness")
pieces = st.sampled_from([*bundles.WORDS, "wonderfull", "goodish", "xyzzy", "好", "n't", "don't", "“", "…", "<br />"])
texts = st.lists(pieces, max_size=12).map(" ".join) | st.text(max_size=20)


@pytest.fixture(
    scope="module", params=[(("negative", "positive"), 16), (("negative", "positive"), 8), (FIVE, 16), (FIVE, 8)]
)
def made_up(request, tmp_path_factory):
    """A classifier of every kind of feature."""
    labels, bits = request.param
    return bundles.classifier(tmp_path_factory.mktemp("bundle"), kinds=KINDS, labels=labels, bits=bits)


def logits(classifier: Classifier, block):
    return classifier._predict(model_inputs(classifier.featuriser(block, classifier.table)))["logits"][: len(block)]


@given(block=st.lists(texts, min_size=1, max_size=10))
@settings(max_examples=60, deadline=None)
def test_predict_text_in_any_block_has_same_logits(made_up, block):
    """A text alone and anywhere in any block has the same logits, to the bit."""
    together = logits(made_up, block)
    for row, text in enumerate(block):
        assert logits(made_up, [text])[0].tobytes() == together[row].tobytes()


def test_predict_many_texts_equals_one_by_one(made_up):
    """More texts than a block holds get the answers that each gets alone."""
    many = [f"it is {word}, {'not ' * (number % 3)}good" for number, word in enumerate([*bundles.WORDS] * 12)]
    assert made_up.predict(many) == [made_up.predict([text])[0] for text in many]
    assert made_up.predict([]) == []


def test_predict_text_without_known_features_has_logits_of_bias(made_up):
    """Nothing known, nothing added: the logits are the bias, alone and among others."""
    bias = bundles.additive(KINDS, len(made_up.bundle.labels)).bias
    expected = (np.array([0.0, *bias]) if len(bias) == 1 else bias).astype(np.float32)
    for block in (["", ":;"], ["", "a wonderful film"], [""]):
        assert logits(made_up, block)[0].tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("text", "words", "codes"),
    [
        ("You.", 1, ("LOW_EVIDENCE",)),
        ("It.", 1, ("LOW_EVIDENCE",)),
        ("?!", 0, ("LOW_EVIDENCE",)),
        ("", 0, ("LOW_EVIDENCE",)),
        ("xyzzy xyzzy xyzzy good film", 5, ("LOW_EVIDENCE",)),
        ("A good film!", 3, ()),
    ],
)
def test_predict_counts_words_and_warns_of_little_evidence(made_up, text, words, codes):
    """`tokens` counts words, not marks; too few or too small a share of known words gives a warning."""
    prediction = made_up.predict([text])[0]
    assert (prediction.tokens, prediction.warnings) == (words, codes)
    assert prediction.decision(0.0) == ("uncertain" if codes else prediction.label)


def test_predict_curly_quotes_equal_straight_ones(made_up):
    """Typographic marks make no difference."""
    curly, straight = made_up.predict(["“Wonderful”—it isn’t dull…", '"Wonderful"-it isn\'t dull...'])
    assert curly == straight


def test_predict_oov_rate_is_share_of_unknown_words(made_up):
    """Marks count neither as known nor as unknown."""
    assert made_up.predict(["good! xyzzy! film, plugh"])[0].oov_rate == 0.5


def test_model_inputs_leave_out_what_an_int32_cannot_sum(monkeypatch):
    """A text has its first MAX_FEATURES features, whatever the order of rows and the texts beside it."""
    monkeypatch.setattr(module, "MAX_FEATURES", 3)
    ids, rows = np.arange(8, dtype=np.int32), np.array([0, 1, 1, 1, 0, 1, 1, 0], dtype=np.int32)
    nothing = np.zeros(2, dtype=np.int32)
    inputs = model_inputs(Features(ids, rows, nothing, nothing, nothing, nothing))
    assert (inputs["ids"].tolist(), inputs["rows"].tolist()) == ([0, 4, 7, 1, 2, 3], [0, 0, 0, 1, 1, 1])


def test_model_inputs_of_many_texts_stay_as_they_are(monkeypatch):
    """The limit is one of a text: a block may have more features, and is not sorted then."""
    monkeypatch.setattr(module, "MAX_FEATURES", 3)
    ids, rows = np.arange(6, dtype=np.int32), np.array([0, 1, 2, 0, 1, 2], dtype=np.int32)
    nothing = np.zeros(3, dtype=np.int32)
    inputs = model_inputs(Features(ids, rows, nothing, nothing, nothing, nothing))
    assert inputs["ids"] is ids
    assert inputs["rows"] is rows
