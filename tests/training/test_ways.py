"""Ways of training: what is learnt from, and with what weight."""

import numpy as np
import pytest

from candor.text.features import hash_words
from training import ways
from training.identity.lexicon import Lexicon
from training.learn import Texts

GROUPS = {"faith": ["muslim", "catholic"], "who": ["woman", "man"]}


def written(n=200):
    """Return texts of two labels: those that name a muslim are negative more often than the others."""
    random = np.random.default_rng(3)
    targets = random.integers(2, size=n)
    texts = []
    for row, target in enumerate(targets.tolist()):
        faith = "muslim" if target == 0 and row % 3 else "catholic"
        texts.append(f"the {faith if row % 2 else ''} film is {'good' if target else 'bad'} n{row}")
    return Texts(texts, targets, 2, ["a woman came"])


def found(texts):
    return Lexicon(GROUPS).find(texts.texts)


def care(way, *balance):
    return ways.Care(way, GROUPS, balance=balance)


def test_prepare_one_feature_merges_all_terms():
    prepared = ways.prepare(written(), care("one-feature"), 1)
    hashes = {*prepared.corpus(["muslim catholic woman men"]).hashes.tolist()}
    assert len(hashes) == 1
    assert hash_words(["muslim"])[0] not in hashes
    assert prepared.weights is None
    assert not prepared.copies


def test_prepare_off_changes_nothing():
    texts = written()
    assert ways.prepare(texts, care("off"), 1) == texts


def test_prepare_augment_adds_swapped_copies():
    """A copy has the label of its text, and other terms of the same groups in the place of each."""
    texts = written()
    prepared = ways.prepare(texts, care("augment"), 1)
    named = [row for row, hits in enumerate(found(texts)) if hits]
    assert prepared.sources.tolist() == named
    for copy, row in zip(prepared.copies, named, strict=True):
        swapped = texts.texts[row].replace("muslim", "?").replace("catholic", "muslim").replace("?", "catholic")
        assert copy == swapped != texts.texts[row]
    assert prepared.unlabelled == ["a man came"]
    assert prepared.texts == texts.texts


def test_teaching_copies_go_with_their_texts():
    """No copy of a text that is held out is learnt from."""
    prepared = ways.prepare(written(), care("augment"), 1)
    teaching = prepared.teaching()
    every = range(len(prepared.texts) + len(prepared.copies))
    learnt = np.arange(0, len(prepared.texts), 3)
    rows, targets = teaching.rows(every, learnt)
    copies = rows[len(learnt) :] - len(prepared.texts)
    assert {*prepared.sources[copies].tolist()} == {*learnt.tolist()} & {*prepared.sources.tolist()}
    assert np.array_equal(targets[len(learnt) :].argmax(axis=1), prepared.targets[prepared.sources[copies]])


def test_prepare_reweigh_makes_labels_independent():
    """In weights, a group's texts have the labels of all texts (Kamiran and Calders 2012, equation 1)."""
    texts = written()
    prepared = ways.prepare(texts, care("reweigh"), 1)
    inside = np.array([bool(hits) for hits in found(texts)])
    weights = prepared.weights
    assert weights.mean() == pytest.approx(1)
    share = np.bincount(texts.targets) / len(texts.targets)
    weighed = np.bincount(texts.targets[inside], weights[inside]) / weights[inside].sum()
    assert weighed == pytest.approx(share, abs=0.01)
    plain = np.bincount(texts.targets[inside]) / inside.sum()
    assert abs(plain - share).max() > 0.01
    assert prepared.teaching().targets.sum(axis=1) == pytest.approx(weights, rel=1e-5)


def test_prepare_balance_labels():
    texts = Texts(["a", "b", "c", "d"], np.array([0, 0, 0, 1]), 2, [])
    weights = ways.prepare(texts, care("off", ways.LABELS), 1).weights
    assert weights[:3].sum() == pytest.approx(weights[3])
    assert ways.prepare(texts, care("off"), 1).weights is None


def test_prepare_balance_terms_of_a_group():
    texts = Texts(["muslim a", "muslim b", "muslim c", "catholic", "none"], np.array([0, 1, 0, 1, 0]), 2, [])
    weights = ways.prepare(texts, care("off", "faith"), 1).weights
    assert weights[:3].sum() == pytest.approx(weights[3])
    assert weights[:4].mean() == pytest.approx(weights[4])


def test_weights_are_bounded():
    texts = Texts(["a"] * 1000 + ["b"], np.array([0] * 1000 + [1]), 2, [])
    weights = ways.prepare(texts, care("off", ways.LABELS), 1).weights
    assert weights.max() / weights.min() <= ways.MAX_WEIGHT**2


def test_shares_hide_small_groups():
    texts = Texts(["muslim"] * 12 + ["woman"] * 3 + ["none"] * 20, np.array([0] * 15 + [1] * 20), 2, [])
    shares = ways.shares(texts, GROUPS, ("no", "yes"))
    assert shares["labels"] == {"no": 15, "yes": 20}
    assert shares["groups"]["faith"] == {"no": 12, "yes": 0}
    assert shares["groups"]["who"] == {"no": None, "yes": None}
