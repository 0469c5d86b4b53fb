"""The additive student, on tiny texts that one can judge by eye."""

from dataclasses import replace

import numpy as np
import pytest

from candor.text.features import hash_words
from training.corpus import Corpus
from training.lbfgs import minimise
from training.student import Guessed, Guesses, Lessons, Student, StudentConfig, Vectors, teach_student

CONFIG = StudentConfig(kinds=("word", "pair", "negated"), floor=4.0, windows=1, student_l2=1e-4, teacher_l2=1e-4)
WORDS = (("dire", "poor", "dull"), ("good", "fine", "great"), ("red", "blue", "green"))


def texts(n: int, labels: int, seed: int) -> tuple[list[str], np.ndarray]:
    """Return texts of n sentences of three words, most of them of the text's label."""
    random = np.random.default_rng(seed)
    targets = np.arange(n) % labels
    made = []
    for target in targets:
        words = [WORDS[target][random.integers(3)] for _ in range(6)] + ["the", "one"]
        made.append(". ".join(" ".join(random.permutation(words)[:3]) for _ in range(3)) + ".")
    return made, targets


def taught(labels: int = 2, config: StudentConfig = CONFIG, **more: object) -> Student:
    labelled, targets = texts(30, labels, 1)
    unlabelled, _ = texts(60, labels, 2)
    return teach_student(Corpus.of(labelled), targets, Corpus.of(unlabelled), labels, config, 3, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("labels", [2, 3])
def test_student_knows_words_of_each_label(labels: int) -> None:
    student = taught(labels)
    test, targets = texts(30, labels, 4)
    logits = student.logits(Corpus.of(test), CONFIG.kinds)
    assert logits.shape == (30, labels)
    assert (logits.argmax(axis=1) == targets).all()
    columns = 1 if labels == 2 else labels
    assert student.weights.shape == (len(student.hashes), columns)
    assert student.bias.tolist() == [0.0] * columns
    assert len(student.q) == len(student.hashes) == len(np.unique(student.hashes))
    short = student.logits(Corpus.of([WORDS[label][0] for label in range(labels)]), CONFIG.kinds)
    assert short.argmax(axis=1).tolist() == list(range(labels))


def test_a_text_without_evidence_has_even_odds() -> None:
    assert taught(3).logits(Corpus.of(["", "unheard-of"]), CONFIG.kinds).tolist() == [[0.0] * 3] * 2


def test_the_same_seed_gives_the_same_bits() -> None:
    first, second, other = taught(), taught(), taught(config=replace(CONFIG, windows=2))
    assert first.weights.tobytes() == second.weights.tobytes()
    assert first.hashes.tobytes() == second.hashes.tobytes()
    assert first.weights.tobytes() != other.weights.tobytes()


def test_only_as_many_rows_are_kept_as_fit() -> None:
    every = taught()
    few = taught(config=replace(CONFIG, max_rows=6))
    assert len(every.hashes) > len(few.hashes) == 6
    assert set(few.hashes.tolist()) <= set(every.hashes.tolist())
    assert {int(hash_words([word])[0]) for word in (*WORDS[0], *WORDS[1])} == set(few.hashes.tolist())


def test_rare_features_have_no_row() -> None:
    rare = Corpus.of(["dire dire singular. poor dire dull", "good fine. fine great good"])
    labelled, targets = texts(30, 2, 1)
    student = teach_student(
        Corpus.of(labelled) + rare, np.append(targets, [0, 1]), Corpus.of(texts(30, 2, 2)[0]), 2, CONFIG, 3
    )
    assert int(hash_words(["singular"])[0]) not in student.hashes
    assert int(hash_words(["dire"])[0]) in student.hashes


def test_static_vectors_reach_unseen_words() -> None:
    words = [*WORDS[0], "abysmal", *WORDS[1], "superb"]
    vectors = Vectors(hash_words(words), np.float32([[-1, 0.1]] * 4 + [[1, 0.1]] * 4))
    plain, student = taught(), taught(vectors=vectors)
    unseen = Corpus.of(["abysmal", "superb"])
    assert plain.logits(unseen, CONFIG.kinds).tolist() == [[0.0, 0.0]] * 2
    assert student.logits(unseen, CONFIG.kinds).argmax(axis=1).tolist() == [0, 1]
    scaled = taught(vectors=Vectors(vectors.hashes[::-1], 1024 * vectors.vectors[::-1]))
    assert scaled.weights.tobytes() == student.weights.tobytes()
    full = taught(config=replace(CONFIG, max_rows=len(plain.hashes)), vectors=vectors)
    assert len(full.hashes) == len(plain.hashes)


def test_negation_turns_a_word() -> None:
    words = [*WORDS[0], *WORDS[1]]
    negated = Corpus.of([f"not {word}" for word in words])
    flipped = taught(config=replace(CONFIG, flip=3.0)).logits(negated, CONFIG.kinds)
    assert flipped.argmax(axis=1).tolist() == [1, 1, 1, 0, 0, 0]
    config = replace(CONFIG, kinds=("word", "pair"))
    assert taught(config=config).logits(negated, config.kinds).argmax(axis=1).tolist() == [0, 0, 0, 1, 1, 1]


def test_lessons_teach_negation() -> None:
    words = [*WORDS[0], *WORDS[1]]
    sentences = [*words, *(f"not {word}" for word in words)]
    labelled, targets = texts(30, 2, 1)
    lessons = Lessons(Corpus.of(sentences), np.array([0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 0, 0]))
    unlabelled = Corpus.of(texts(60, 2, 2)[0] + sentences + sentences)  # twice, or their features are too rare
    config = replace(CONFIG, flip=0.0, lesson_share=0.3, student_l2=1e-6)
    student = teach_student(Corpus.of(labelled), targets, unlabelled, 2, config, 3)
    assert student.logits(lessons.corpus, CONFIG.kinds).argmax(axis=1).tolist()[6:] == [0, 0, 0, 1, 1, 1]
    student = teach_student(Corpus.of(labelled), targets, unlabelled, 2, config, 3, lessons=lessons)
    assert student.logits(lessons.corpus, CONFIG.kinds).argmax(axis=1).tolist() == lessons.targets.tolist()


def test_without_unlabelled_texts_the_student_learns_from_labels() -> None:
    labelled, targets = texts(30, 2, 1)
    student = teach_student(Corpus.of(labelled), targets, Corpus.of([]), 2, CONFIG, 3)
    assert (student.logits(Corpus.of(labelled), CONFIG.kinds).argmax(axis=1) == targets).all()


def test_minimum_of_a_stretched_bowl() -> None:
    stretch = np.geomspace(1, 100, 20)

    def bowl(x: np.ndarray) -> tuple[float, np.ndarray]:
        return float((stretch * (x - 1) ** 2).sum()), 2 * stretch * (x - 1)

    np.testing.assert_allclose(minimise(bowl, np.zeros(20), 200, 1e-12), 1, atol=1e-4)
    assert minimise(bowl, np.ones(20), 200, 1e-12).tolist() == [1.0] * 20


def soft(sentences: list[str], praise: list[float]) -> Guessed:
    return Guessed(Corpus.of(sentences), np.stack([1 - np.array(praise), praise], axis=1))


def test_guesses_replace_those_of_the_teacher() -> None:
    """Guesses that turn the labels around turn the student, and windows and words teach it more."""
    _, targets = texts(60, 2, 2)
    nothing = soft([], [])
    good, dire = (Corpus.of([word]) for word in ("good", "dire"))
    plain = taught(config=replace(CONFIG, label_weight=0.0))
    turned = taught(config=replace(CONFIG, label_weight=0.0), guesses=Guesses(np.eye(2)[1 - targets], nothing, nothing))
    for word, label in ((good, 1), (dire, 0)):
        assert plain.logits(word, CONFIG.kinds).argmax(axis=1).tolist() == [label]
        assert turned.logits(word, CONFIG.kinds).argmax(axis=1).tolist() == [1 - label]


def test_guesses_about_windows_and_words_teach() -> None:
    """A sentence need not inherit what its text says."""
    even = np.full((60, 2), 0.5)
    none, windows, words = soft([], []), soft(["good the one."] * 9, [1.0] * 9), soft(["dire"] * 9, [0.0] * 9)
    config = replace(CONFIG, label_weight=0.0, word_share=0.5)
    for guesses, word, sign in (
        (Guesses(even, none, none), "good", 0),
        (Guesses(even, windows, none), "good", 1),
        (Guesses(even, none, none), "dire", 0),
        (Guesses(even, none, words), "dire", -1),
    ):
        logit = taught(config=config, guesses=guesses).logits(Corpus.of([word]), config.kinds)[0, 1]
        assert abs(logit) < 0.01 if sign == 0 else sign * logit > 0.05
