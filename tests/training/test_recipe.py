"""Candidates, folds, and the stack that ships."""

import math
import time

import numpy as np
import pytest

from candor.text.features import Featuriser, hash_words
from training import data, recipe, stack
from training.corpus import Corpus, spellings
from training.design import Design
from training.recipe import (
    CANDIDATES,
    FEW,
    FEW_CANDIDATES,
    PLAIN,
    TAUGHT,
    Candidate,
    Teaching,
    choose_stack,
    compare,
    fit_all,
)
from training.vectors import Vectors

TOPICS = [["lemon", "sour", "maize"], ["ruby", "cherry", "rose"], ["sky", "sea", "azure"]]


def written(n, n_labels=3, seed=0):
    """Return n texts of noise, most with words of their label's topic, and their label indices."""
    random = np.random.default_rng(seed)
    targets = np.arange(n) % n_labels
    noise = [f"n{index}" for index in range(40)]
    texts = []
    for target in targets:
        topic = target if random.random() < 0.9 else random.integers(n_labels)
        texts.append(" ".join(random.permutation([*random.choice(noise, 5), *random.choice(TOPICS[topic], 2)])))
    return texts, targets


def designed(texts, kinds=("word", "pair", "char")):
    words = [word for topic in TOPICS for word in topic]
    vectors = Vectors(words, np.random.default_rng(4).normal(size=(len(words), 4)).astype(np.float32))
    return Design.of(Corpus.of(texts), spellings(texts), vectors, kinds)


def compared(texts, targets, candidates=CANDIDATES, n_folds=3, **options):
    folds = data.folds(texts, targets, n_folds, 1)
    return compare(designed(texts), targets, Teaching.of(targets, int(targets.max()) + 1), folds, candidates, **options)


@pytest.fixture(scope="module")
def three():
    texts, targets = written(90)
    return texts, targets, compared(texts, targets)


def test_compare_tries_every_candidate_plain_first(three):
    """All candidates are in the table, plain logistic regression first, and their weights are those of the stack."""
    found = three[2]
    assert [each.name for each in found.tried] == [each.name for each in CANDIDATES]
    assert found.tried[0].name == PLAIN
    chosen = {candidate.name: scalar for scalar, candidate, _ in found.chosen}
    assert {each.name: each.scalar for each in found.tried if each.scalar} == chosen
    assert found.temperature == pytest.approx(1 / sum(chosen.values()))
    assert all(c in candidate.penalties for _, candidate, c in found.chosen)


def test_candidates_always_hold_plain_regression():
    for candidates in (CANDIDATES, FEW_CANDIDATES):
        assert candidates[0].name == PLAIN
        assert not candidates[0].ratios
        assert not candidates[0].vectors


def test_compare_scores_every_text_held_out_once(three):
    """Logits are of models that have not learnt from the text: they are worse than those of models that have."""
    texts, targets, found = three
    assert sorted(found.held_out.tolist()) == list(range(len(texts)))
    assert found.logits.shape == (90, 3)
    learning = data.folds(texts, targets, 3, 1)[0][0]
    assert found.member_logits.shape == (len(learning), 3)
    right = [
        (logits.argmax(axis=1) == targets[rows]).mean()
        for logits, rows in ((found.member_logits, learning), (found.logits, found.held_out))
    ]
    assert 0.6 < right[1] < right[0]


def test_compare_held_out_labels_are_not_learnt():
    """Labels without any bearing on the texts are guessed no better than by chance."""
    texts, _ = written(120, 2)
    targets = np.random.default_rng(3).integers(0, 2, 120)
    found = compared(texts, targets)
    accuracy = float(((found.logits[:, 0] > 0) == targets[found.held_out]).mean())
    assert abs(accuracy - 0.5) < 0.13
    assert abs(found.logits).mean() < 1


def test_compare_twice_gives_same_bits(three):
    texts, targets, first = three
    again = compared(texts, targets)
    assert again.logits.tobytes() == first.logits.tobytes()
    assert again.chosen == first.chosen
    models = [fit_all(designed(texts), Teaching.of(targets, 3), each.chosen, 1000) for each in (first, again)]
    assert models[0].weights.tobytes() == models[1].weights.tobytes()


def test_fit_all_label_order_does_not_matter(three):
    """Other indices of the same labels permute the columns of the model, and nothing else."""
    texts, targets, found = three
    order = np.array([2, 0, 1])
    plain = fit_all(designed(texts), Teaching.of(targets, 3), found.chosen, 1000)
    permuted = fit_all(designed(texts), Teaching.of(order[targets], 3), found.chosen, 1000)
    assert np.abs(permuted.weights[:, order] - plain.weights).max() < 0.02 * np.abs(plain.weights).max()
    assert np.abs(permuted.bias[order] - plain.bias).max() < 0.02
    assert np.array_equal(permuted.q, plain.q)
    assert np.abs(permuted.weights - plain.weights).max() > 0.5 * np.abs(plain.weights).max()


def test_compare_two_labels_swapped_change_signs():
    """Two labels have one column, whose sign is the second label's."""
    texts, targets = written(60, 2)
    folds = data.folds(texts, targets, 3, 1)
    one = compare(designed(texts), targets, Teaching.of(targets, 2), folds, CANDIDATES)
    swapped = compare(designed(texts), 1 - targets, Teaching.of(1 - targets, 2), folds, CANDIDATES)
    assert one.logits.shape == (60, 1)
    assert np.abs(swapped.logits + one.logits).max() < 0.1 * np.abs(one.logits).max()


def test_fit_all_keeps_max_rows_that_matter_most(three):
    """A small table keeps the words that tell labels apart, and no row more than allowed."""
    texts, targets, found = three
    whole = fit_all(designed(texts), Teaching.of(targets, 3), found.chosen, 100_000)
    small = fit_all(designed(texts), Teaching.of(targets, 3), found.chosen, 40)
    assert len(small.hashes) == len(small.weights) == len(small.q) == 40 < len(whole.hashes)
    assert np.isin(hash_words(word for topic in TOPICS for word in topic), small.hashes).sum() >= 8
    fit_exactly = fit_all(designed(texts), Teaching.of(targets, 3), found.chosen, len(whole.hashes))
    assert np.array_equal(fit_exactly.weights, whole.weights)


def test_compare_guesses_are_learnt_from():
    """Guesses about texts without a label teach what no labelled text says, and come from the rows learnt from."""
    texts, targets = ["lemon n1 n2", "ruby n2 n3"] * 8, np.array([0, 1] * 8)
    texts = [f"{text} n{index}" for index, text in enumerate(texts)]
    unlabelled = ["sour maize"] * 20 + ["cherry rose"] * 20
    design = designed([*texts, *unlabelled])
    asked = []

    def guess(rows):
        asked.append(rows)
        return np.repeat([[0.9, 0.1], [0.1, 0.9]], 20, axis=0)

    folds = data.folds(texts, targets, 4, 1)
    found = compare(design, targets, Teaching.of(targets, 2, guess=guess), folds, [TAUGHT])
    assert [rows.tolist() for rows in asked] == [rows.tolist() for rows, _ in folds]
    assert found.member_logits.shape == (len(folds[0][0]), 1)
    assert len(found.logits) == len(texts)
    weights = []
    for each in (guess, None):
        own = design if each else designed(texts)
        model = fit_all(own, Teaching.of(targets, 2, guess=each), found.chosen, 10_000)
        words = Featuriser(("word",))(["sour maize", "cherry rose"], model.table)
        weights.append(model.in_table_order().logits(words.ids, words.rows, 2)[:, 1] - model.bias)
    assert weights[0][0] < -0.3 < 0.3 < weights[0][1]
    assert weights[0][1] - weights[0][0] > weights[1][1] - weights[1][0] + 0.5


def test_compare_past_deadline_still_tries_plain():
    """Without time there is one fold and one candidate, and a model."""
    texts, targets = written(60)
    found = compared(texts, targets, deadline=time.monotonic() - 1)
    assert [each.name for each in found.tried] == [PLAIN]
    assert [candidate.name for _, candidate, _ in found.chosen] == [PLAIN]
    assert found.held_out.tolist() == data.folds(texts, targets, 3, 1)[0][1].tolist()
    assert len(compared(texts, targets, deadline=math.inf).tried) == len(CANDIDATES)


def test_compare_screening_keeps_plain(monkeypatch):
    """A candidate that wins the first fold, which tells who may go on, is still compared with plain on the others.

    The first fold has words of one text each, known by their vectors only; in the others vectors are noise.
    """
    monkeypatch.setattr(recipe, "_SCREENED", 100)
    random, loud = np.random.default_rng(0), Candidate("loud vectors", ratios=False, vectors=50.0, penalties=(10.0,))
    rare, noise = [f"r{index}" for index in range(80)], [f"n{index}" for index in range(60)]
    table = random.normal(size=(140, 64)).astype(np.float32)
    table[:80, 0] = np.where(np.arange(80) % 2, 6, -6)
    texts = [*rare, *(" ".join([*random.choice(noise, 4), ("red", "blue")[index % 2]]) for index in range(200))]
    targets = np.arange(280) % 2
    design = Design.of(Corpus.of(texts), spellings(texts), Vectors([*rare, *noise], table), ("word",))
    parts = [np.arange(start, stop) for start, stop in ((0, 40), (40, 80), (80, 180), (180, 280))]
    folds = [(parts[0], parts[1]), (parts[2], parts[3]), (parts[3], parts[2])]
    alone = compare(design, targets, Teaching.of(targets, 2), folds[:1], [CANDIDATES[0], loud])
    assert [candidate.name for _, candidate, _ in alone.chosen] == ["loud vectors"]
    found = compare(design, targets, Teaching.of(targets, 2), folds, [CANDIDATES[0], loud])
    assert PLAIN in [candidate.name for _, candidate, _ in found.chosen]
    assert ((found.logits[:, 0] > 0) == targets[found.held_out])[40:].mean() > 0.95


def scores_of(correct, loss_scale):
    """Return logits of two labels, right where `correct` is, for targets of 1: surer with a larger scale."""
    return np.where(correct, 1.0, -1.0)[:, None] * loss_scale


def crossed(n, only_plain, only_other, both):
    """Return scores of two models by how many texts each alone, both, and neither get right; the other has less loss.

    The other is unsure where it is wrong, so that its log loss is the lower one.
    """
    plain, other = np.zeros(n, bool), np.zeros(n, bool)
    plain[: only_plain + both] = True
    other[only_plain : only_plain + both + only_other] = True
    return {PLAIN: scores_of(plain, 1.0), "other": np.where(other, 4.0, -0.01)[:, None]}


@pytest.mark.parametrize("n", [FEW, 5000])
def test_choose_stack_many_texts_never_loses_to_plain(n):
    """Of many texts a lead of one is enough for plain logistic regression to keep the rest out."""
    lost, won = crossed(n, 30, 29, n // 2), crossed(n, 29, 30, n // 2)
    targets = np.ones(n, np.int64)
    for scores in (lost, won):
        chosen = choose_stack(scores, targets)
        total = sum(scalar * scores[name] for name, scalar in chosen.items())
        assert (total > 0).sum() >= (scores[PLAIN] > 0).sum()
    assert "other" in choose_stack(won, targets)


@pytest.mark.parametrize("seed", range(6))
def test_choose_stack_random_scores_keep_to_plain(seed):
    random = np.random.default_rng(seed)
    targets = random.integers(0, 3, FEW)
    names = [PLAIN, "a", "b", "c"]
    scores = {name: random.normal(size=(FEW, 3)) + random.uniform(0.5, 2) * np.eye(3)[targets] for name in names}
    chosen = choose_stack(scores, targets)
    total = sum(scalar * scores[name] for name, scalar in chosen.items())
    right = [(each.argmax(axis=1) == targets).sum() for each in (total, scores[PLAIN])]
    assert right[0] >= right[1]


@pytest.mark.parametrize(("only_plain", "only_other", "ships"), [(12, 6, True), (20, 6, False), (3, 0, False)])
def test_choose_stack_few_texts_asks_for_significance(only_plain, only_other, ships):
    """Of few texts the lead must exceed 1.645 roots of the number of texts that one alone gets right (McNemar)."""
    n = FEW - 1
    scores = crossed(n, only_plain, only_other, 300)
    significant = only_plain - only_other > 1.645 * (only_plain + only_other) ** 0.5
    assert significant is not ships
    chosen = choose_stack(scores, np.ones(n, np.int64))
    total = sum(scalar * scores[name] for name, scalar in chosen.items())
    assert bool((total > 0).sum() < (scores[PLAIN] > 0).sum()) is ships


def test_choose_stack_favourite_ships_alone():
    """The favourite needs no lead in log loss, but significantly more texts must not be right with plain regression."""
    targets, scores = np.ones(300, np.int64), crossed(300, 12, 6, 200)
    swapped = {PLAIN: scores[PLAIN], "other": 0.01 * scores[PLAIN] + 1e-3 * scores["other"]}
    for each in (scores, swapped):
        assert list(choose_stack(each, targets, "other")) == ["other"]
    assert list(choose_stack(crossed(300, 20, 6, 200), targets, "other")) != ["other"]
    assert list(choose_stack(scores, targets, "unknown")) == list(choose_stack(scores, targets))


def test_choose_stack_empty_texts_ships_plain():
    """Where no text says anything, no candidate has scores, and plain logistic regression ships."""
    scores = {PLAIN: np.zeros((8, 1)), "other": np.zeros((8, 1))}
    assert list(choose_stack(scores, np.array([0, 1] * 4))) == [PLAIN]
    assert list(choose_stack({"a": np.zeros((4, 3))}, np.array([0, 1, 2, 0]))) == ["a"]


def two_alike(n=2000):
    """Return scores of three models of like worth whose errors differ, and the targets."""
    random = np.random.default_rng(0)
    targets = random.integers(0, 3, n)
    names = (PLAIN, "a", "b")
    return {name: 1.5 * np.eye(3)[targets] + random.normal(size=(n, 3)) for name in names}, targets


def test_choose_stack_keeps_all_for_a_slight_loss(monkeypatch):
    """A model that adds nothing stays in the stack where leaving it out gains under 1 %; if lean, it goes."""
    scores, targets = two_alike()
    scores["b"] = scores["a"] + 0.05 * np.random.default_rng(1).normal(size=scores["a"].shape)
    chosen = [choose_stack(scores, targets, lean=lean) for lean in (False, True)]
    losses = [stack.log_loss(sum(a * scores[name] for name, a in each.items()), targets) for each in chosen]
    assert list(chosen[0]) == [*scores]
    assert list(chosen[1]) == [PLAIN, "a"]
    assert losses[1] < losses[0] < 1.01 * losses[1]
    monkeypatch.setattr(recipe, "_SLIGHT", 0.0)
    assert choose_stack(scores, targets) == chosen[1]
