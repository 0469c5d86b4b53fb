"""From a data set to a calibrated model: how much is tried, how large it may be, and what ships."""

import math
import time
from dataclasses import replace

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline

from candor.model.classifier import softmax
from candor.text.features import Featuriser
from training import data, encoder, learn, recipe, vectors
from training.corpus import Corpus
from training.export import Additive
from training.guesses import Guesses
from training.learn import (
    FEW_ROWS,
    LARGE,
    MAX_ROWS,
    N_FOLDS,
    N_FOLDS_MANY_LABELS,
    N_FOLDS_MANY_TEXTS,
    Plan,
    Texts,
    evidence,
    table_size,
)
from training.recipe import PLAIN

WORDS = {0: ["good", "fine", "great", "fun"], 1: ["bad", "grim", "dull", "poor"]}


def written(n, seed=0):
    """Return n short texts with a word of their label each, and the label indices."""
    random = np.random.default_rng(seed)
    targets = np.arange(n) % 2
    noise = ["film", "stuff", "a", "the", "plot", "scene"]
    texts = [
        f"{' '.join(random.choice(noise, 3))} {random.choice(WORDS[int(target)])}. x{number}q"
        for number, target in enumerate(targets)
    ]
    return texts, targets


def data_set(n=30, unlabelled=0, **changes):
    texts, targets = written(n)
    return replace(Texts(texts, targets, 2, written(unlabelled, 1)[0]), **changes)


def probabilities(learnt, texts):
    """Return the probability of the second label by the weights that are exported."""
    served = learnt.additive.quantised(learnt.bits).in_table_order()
    found = Featuriser(learnt.kinds)(texts, learnt.additive.table)
    logits = served.logits(found.ids, found.rows, len(texts))
    return 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))


@pytest.fixture(scope="module")
def thirty():
    return learn.learn(data_set(), 1, 0.5)


def test_learn_thirty_texts_give_a_model(thirty):
    """Thirty labels are enough for a model that knows words of its texts, and like words by their vectors."""
    found = probabilities(thirty, ["a good film", "a grim scene", "excellent", "terrible"])
    assert (found > 0.5).tolist() == [False, True, False, True]
    assert sorted(thirty.held_out.tolist()) == list(range(30))
    assert thirty.held_out[: len(thirty.first)].tolist() == thirty.first.tolist()
    assert not set(thirty.learning) & set(thirty.first)
    assert [each.name for each in thirty.tried] == [each.name for each in recipe.FEW_CANDIDATES]
    assert thirty.settings["folds"] == N_FOLDS


def test_learn_oov_rates_are_shares_of_words(thirty):
    """Each text ends with a word that no other has; marks are no words."""
    assert (thirty.words == 5).all()
    assert set(np.round(thirty.oov_rates, 2)) <= {0.0, 0.2, 0.4}
    assert np.median(thirty.oov_rates) == pytest.approx(0.2)


def stars(n=300):
    """Return a table of made-up reviews with stars, of which most are fives: one word in some tells."""
    random = np.random.default_rng(3)
    common = ["it", "was", "the", "and", "product", "came", "when", "this", "order", "very", "day", "quite", "after"]
    lines = ["Review Text,Rating"]
    for number in range(n):
        rating = int(random.choice([1, 2, 3, 4, 5], p=[0.2, 0.06, 0.06, 0.08, 0.6]))
        own = [f"w{rating}{chr(97 + int(random.integers(8)))}" for _ in range(3)]
        words = [*random.choice(common, 10), *own, f"x{number}"]
        lines.append(f"{' '.join(random.permutation(words))},{rating}")
    return "\n".join(lines) + "\n"


def test_learn_stars_beats_logistic_regression(tmp_path):
    """On few and uneven ratings it is at least as good as plain logistic regression on the same split."""
    (tmp_path / "stars.csv").write_text(stars())
    dataset = data.load(tmp_path / "stars.csv")
    assert dataset.labels == ("1", "2", "3", "4", "5")
    learnt = learn.learn(Texts(dataset.texts, dataset.targets, 5, []), 1, None)
    truth, texts = dataset.targets[learnt.first], np.array(dataset.texts, object)
    plain = make_pipeline(TfidfVectorizer(), LogisticRegression(max_iter=1000))
    theirs = plain.fit(texts[learnt.learning], dataset.targets[learnt.learning]).predict_proba(texts[learnt.first])
    ours = softmax(learnt.first_logits)
    assert (ours.argmax(axis=1) == truth).mean() >= (theirs.argmax(axis=1) == truth).mean() > np.mean(truth == 4)
    assert log_loss(truth, ours, labels=range(5)) <= log_loss(truth, theirs, labels=range(5))


@pytest.mark.parametrize("n_labels", [2, 3, 77, 150, 400, 1000])
@pytest.mark.parametrize("n_features", [100, 10_000_000])
def test_table_size_default_fits_the_limit(n_features, n_labels):
    """Weights, norms and the table's own bytes of all rows stay within 3 or 8 MB, and use most of it."""
    rows, bits = table_size(n_features, n_labels, None)
    columns = 1 if n_labels == 2 else n_labels
    limit = 3e6 if n_labels == 2 else 8e6
    size = rows * (columns * bits / 8 + 2 + 3.3) + 5000 * n_labels
    assert 0 < rows <= MAX_ROWS
    assert size < limit
    assert rows == MAX_ROWS or size > 0.75 * limit
    assert bits == (16 if n_labels == 2 or n_features == 100 else 8)
    assert rows > 1_000


def test_table_size_keeps_16_bits_if_all_fit():
    """Eight bits are taken only where 16 would cost features."""
    rows, bits = table_size(10**9, 77, 8.0)
    assert bits == 8
    fewer = table_size(1, 77, 8.0)[0]
    assert table_size(fewer, 77, 8.0) == (fewer, 16)
    assert table_size(fewer + 1, 77, 8.0) == (rows, 8)
    assert rows > 1.9 * fewer


def test_table_size_follows_size_asked_for():
    found = [table_size(10**9, 3, size)[0] for size in (0.3, 1, 3, 50)]
    assert found == sorted(set(found))
    assert found[-1] == MAX_ROWS
    assert table_size(10**9, 400, 0.3)[0] == 1


@pytest.mark.parametrize("n_labels", [2, 77])
def test_bundle_of_full_table_is_within_the_size(n_labels):
    """The exported files of as many rows as table_size allows are as small as it promises."""
    rows, bits = table_size(10**9, n_labels, 1.0)
    random = np.random.default_rng(1)
    hashes = np.unique(random.integers(0, 2**32, 2 * rows, dtype=np.uint64).astype(np.uint32))[:rows]
    columns = 1 if n_labels == 2 else n_labels
    weights = random.normal(size=(rows, columns))
    model = Additive(hashes, weights, random.random(rows), np.zeros(columns), 1.0)
    assert len(hashes) == rows
    sizes = {name: len(content) for name, content in model.to_files(bits).items()}
    assert 0.4e6 < sum(sizes.values()) < 1e6 - learn._OTHER_FILES / 2 - learn._LABEL * n_labels


def test_evidence_is_what_most_texts_have():
    """Thresholds are what all but one held-out text in a hundred have, rounded down."""
    words = np.full(200, 10)
    known = np.where(np.arange(200) < 1, 1, np.where(np.arange(200) < 40, 5, 9))
    assert evidence(known, words).min_known_share == 0.5
    assert evidence(known, words).min_known_words == 2
    rare = np.where(np.arange(200) < 10, 1, 9)
    assert evidence(rare, words).min_known_share == 0.1
    assert evidence(rare, words).min_known_words == 1


def test_evidence_asks_for_no_more_than_two_thirds():
    """Where all words are known a text may still have a new one; an empty text does not count."""
    found = evidence(np.array([9, 9, 0]), np.array([9, 9, 0]))
    assert (found.min_known_share, found.min_known_words) == (0.66, 2)
    assert evidence(np.array([0, 0]), np.array([0, 0])).suffices(0, 0) is False
    assert evidence(np.array([0]), np.array([3])).min_known_words == 1


def planned(n, n_labels=2, unlabelled=0):
    texts = [f"t{index}" for index in range(n)]
    return Plan.of(Texts(texts, np.arange(n) % n_labels, n_labels, [""] * unlabelled), 1)


@pytest.mark.parametrize(
    ("n", "n_labels", "names", "folds", "kinds"),
    [
        (2 * FEW_ROWS - 1, 2, recipe.FEW_CANDIDATES, N_FOLDS, 3),
        (2 * FEW_ROWS, 2, recipe.CANDIDATES, N_FOLDS, 3),
        (10_000, 2, recipe.CANDIDATES, N_FOLDS_MANY_TEXTS, 3),
        (800, 40, [each for each in recipe.CANDIDATES if not each.ratios], N_FOLDS_MANY_LABELS, 3),
        (LARGE + 1, 2, recipe.CANDIDATES[:2], 1, 2),
    ],
    ids=["few", "enough", "many texts", "many labels", "large"],
)
def test_plan_follows_the_size_of_the_data(n, n_labels, names, folds, kinds):
    plan = planned(n, n_labels)
    assert [each.name for each in plan.candidates] == [each.name for each in names]
    assert plan.candidates[0].name == PLAIN
    assert len(plan.folds) == folds
    assert len(plan.kinds) == kinds
    assert (plan.vectors is None) is (n > LARGE)
    assert (plan.candidates[0].penalties == names[0].penalties) is (n <= LARGE)
    assert plan.deadline == math.inf


def test_plan_large_split_holds_out_a_tenth():
    plan = planned(LARGE + 10)
    assert len(plan.folds[0][1]) == pytest.approx(LARGE / 10, rel=0.01)
    assert plan.min_df == 2
    as_many_unlabelled = planned(6000, unlabelled=6000)
    assert len(as_many_unlabelled.folds) == 1
    assert len(planned(6000, unlabelled=5000).folds) == N_FOLDS


def test_learn_past_deadline_gives_a_model():
    """Without time plain logistic regression is fitted, and no student is taught."""
    texts = data_set(60, unlabelled=20)
    learnt = learn.learn(texts, 1, 0.5, minutes=1e-9)
    assert [each.name for each in learnt.tried] == [PLAIN]
    assert (probabilities(learnt, ["good good film", "grim grim film"]) > 0.5).tolist() == [False, True]


@pytest.fixture
def without_encoder(monkeypatch):
    monkeypatch.setattr(encoder, "PACKAGE", "no_such_package")


def test_learn_unlabelled_ships_the_lower_log_loss(without_encoder):
    """A student of texts without a label is compared with labels alone, and one of the two ships."""
    texts = data_set(60, unlabelled=60)
    learnt = learn.learn(texts, 1, 0.5)
    *alone, student = learnt.tried
    assert student.name == "student of texts without a label"
    assert [each.name for each in alone] == [each.name for each in recipe.CANDIDATES]
    ships = student.scalar > 0
    assert ships is not any(each.scalar for each in alone)
    own = learn.learn(replace(texts, unlabelled=()), 1, 0.5)
    loss = learn.stack.log_loss(own.first_logits, texts.targets[own.first])
    assert ships is (student.log_loss < loss)
    assert learnt.kinds == (learn.StudentConfig().kinds if ships else ("word", "pair", "char"))


def test_learn_student_ships_as_it_was_measured(without_encoder):
    """The student's own first fold gives its figures, and its table is within the size."""
    targets = np.where(np.arange(60) % 10 < 3, 1 - written(60)[1], written(60)[1])
    texts = data_set(60, unlabelled=60, targets=targets)  # three labels of ten are wrong: too sure without a scalar
    plan = Plan.of(texts, 1)
    student = learn._Student.of(texts, plan, 1, 0.3)
    learnt = student.learnt(0.3)
    assert learnt.held_out.tolist() == plan.folds[0][1].tolist()
    assert len(learnt.additive.hashes) <= table_size(0, 2, 0.3)[0]
    found = probabilities(learnt, [texts.texts[row] for row in learnt.first])
    assert np.abs(np.log(found / (1 - found)) - learnt.logits[:, 0]).max() < 0.01
    assert student.temperature > 1.1
    assert learnt.words.tolist() == [5] * len(learnt.first)


def test_lacks_encoder_only_where_it_would_help(monkeypatch, without_encoder):
    """The encoder is missed with few labels and texts without one; not with many labels, without texts, or if there."""
    few, many = data_set(30, unlabelled=20), data_set(2 * learn.FEW_LABELS, unlabelled=20)
    assert learn.lacks_encoder(few)
    assert not learn.lacks_encoder(many)
    assert not learn.lacks_encoder(replace(few, unlabelled=()))
    monkeypatch.setattr(encoder, "PACKAGE", "json")
    assert not learn.lacks_encoder(few)
    monkeypatch.setattr(encoder, "installed", lambda: True)  # what is missed is what would be used
    assert [learn.few_labels(each) for each in (few, many, replace(few, unlabelled=()))] == [True, False, False]


def test_learn_guesses_of_encoder_are_tried(monkeypatch, tiny_encoder):
    """With few labels the encoder teaches the recipe, and one of the two ships."""
    monkeypatch.setattr(encoder, "PACKAGE", "json")
    monkeypatch.setattr(encoder, "package_folder", lambda: tiny_encoder)
    texts = data_set(30, unlabelled=20)
    assert learn.few_labels(texts)
    learnt = learn.learn(texts, 1, 0.5)
    assert [each.name for each in learnt.tried] == [*(each.name for each in recipe.FEW_CANDIDATES), recipe.TAUGHT.name]
    assert sum(each.scalar > 0 for each in learnt.tried[:2]) == 0 or not learnt.tried[2].scalar
    assert learnt.logits.shape == (30, 1)


def test_learn_deadline_in_guesses_gives_a_model(monkeypatch, tiny_encoder):
    """Time that is over while guesses are tried leaves fewer folds to compare by, and a model."""
    monkeypatch.setattr(encoder, "PACKAGE", "json")
    monkeypatch.setattr(encoder, "package_folder", lambda: tiny_encoder)
    texts, begin = data_set(30, unlabelled=20), time.monotonic
    plain = learn.teacher

    def slow(*arguments):
        monkeypatch.setattr(time, "monotonic", lambda: begin() + 3600)
        return plain(*arguments)

    monkeypatch.setattr(learn, "teacher", slow)
    learnt = learn.learn(texts, 1, 0.5, minutes=1)
    assert len(learnt.tried) == 3
    assert (probabilities(learnt, ["good good film", "grim grim film"]) > 0.5).tolist() == [False, True]


def test_reference_is_plain_regression():
    texts, targets = written(40)
    logits = learn.reference(texts, targets, 2)(["good film", "grim film", "unheard-of"])
    assert logits.shape == (3, 2)
    assert (logits[:, 1] > logits[:, 0]).tolist()[:2] == [False, True]
    assert abs(logits[2, 1] - logits[2, 0]) < 0.5


def guesses_about(texts, held_out):
    """Return guesses that know the label of each unlabelled text, and say nothing of words."""
    known = 8.0 * written(len(texts.unlabelled), 1)[1] - 4
    sentences = Corpus.of(texts.unlabelled).sentences()
    return Guesses(
        known,
        sentences,
        {1: np.repeat(known, sentences)},
        {"{word}": np.zeros(len(vectors.load().words))},
        np.isin(np.arange(len(texts.texts)), held_out),
    )


def test_learn_student_takes_guesses_of_encoder():
    """Guesses help where labels are wrong, unless the encoder has learnt from the texts to validate on."""
    texts = data_set(60, unlabelled=60, targets=np.arange(60) // 2 % 2)  # labels that say nothing
    plan = Plan.of(texts, 1)
    first = plan.folds[0][1]
    word, truth = [f"{kind}." for kinds in WORDS.values() for kind in kinds], np.array([1] * 4 + [0] * 4)

    def right(student):
        logits = student.additive
        found = Corpus.of(word).counts(student.config.kinds, logits.hashes)[1] @ logits.weights
        return float(((found[:, 0] > 0) != truth).mean())

    honest = learn._Student.of(replace(texts, guesses=guesses_about(texts, first)), plan, 1, 0.3)
    learnt_from = learn._Student.of(replace(texts, guesses=guesses_about(texts, first[1:])), plan, 1, 0.3)
    without = learn._Student.of(texts, plan, 1, 0.3)
    assert honest.guesses
    assert right(honest) == 1
    assert not learnt_from.guesses
    assert not without.guesses
    assert learnt_from.additive.weights.tobytes() == without.additive.weights.tobytes()
    assert without.additive.bias.tolist() == [0]
    assert honest.tried(True)[0].name != without.tried(True)[0].name


def test_soft_labels_leave_out_changed_texts():
    """Windows of a text whose number of sentences redaction has changed have no guess that is theirs."""
    unlabelled = Corpus.of(["one two three. four five six.", "seven eight nine.", "ten eleven twelve. a. b c d."])
    words = {"{word}": np.zeros(len(vectors.load().words))}
    guesses = Guesses(np.array([1.0, 2, 3]), np.array([2, 1, 3]), {1: np.arange(6.0)}, words, np.ones(1, bool))
    found = learn.soft_labels(guesses, unlabelled)
    assert np.log(found.texts[:, 1] / found.texts[:, 0]) == pytest.approx([1, 2, 3])
    logits = np.log(found.windows.targets[:, 1] / found.windows.targets[:, 0])
    assert logits == pytest.approx([0, 1, 2, 3, 5])  # "a." is too short
    assert len(found.windows.corpus) == 5
    changed = learn.soft_labels(
        guesses._replace(sentences=np.array([1, 1, 3]), windows={1: np.arange(5.0)}), unlabelled
    )
    logits = np.log(changed.windows.targets[:, 1] / changed.windows.targets[:, 0])
    assert logits == pytest.approx([1, 2, 4])
    assert len(changed.words.corpus) == len(vectors.load().words)
