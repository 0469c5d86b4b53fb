"""Choose how to learn from a data set, by its size, and learn: the recipe, and a student where texts have no label.

The recipe (candor_training.recipe) compares and stacks linear models over folds. Where the data set has texts without
a label, a student (candor_training.student) is taught from guesses about them, and ships if its log loss on held-out
texts is the lower one.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from candor.model.classifier import softmax
from candor.text.evidence import Evidence
from candor.text.features import hash_words
from candor.text.identity import Identity
from candor.text.tokens import PUNCTUATION

from . import data, encoder, recipe, stack, vectors
from . import guesses as guesses_of_reviews
from .corpus import MIN_WINDOW_TOKENS, Corpus, spellings
from .design import Design
from .export import Additive
from .guesses import Guesses
from .stack import Tried
from .student import Guessed, Lessons, StudentConfig, teach_student
from .student import Guesses as SoftLabels
from .student import Vectors as WordVectors

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DEFAULT_SIZE = {2: 3.0}
"""Maximum size in MB of a bundle by its number of labels; OTHER_SIZE for the rest."""
OTHER_SIZE = 8.0
MAX_ROWS = 429_496
"""Features of a table, at most: so many of 2³² fingerprints let one unseen word in 10,000 pass for a known one."""
LARGE = 50_000
"""Texts from which one split stands for folds, and characters and word vectors are not worth their time."""
N_FOLDS, N_FOLDS_MANY_TEXTS, N_FOLDS_MANY_LABELS = 8, 4, 3
MANY_TEXTS, MANY_LABELS = 10_000, 20
"""Texts and labels from which a fold costs so much that fewer must do. Many folds learn from nearly all texts, so that
what they say of confidence holds for the model that is fitted on all."""
FEW_ROWS, FEW_LABELS = 20, 200
"""Rows a label below which word vectors lead, and below which an encoder's guesses are asked for."""
MAX_GUESSED = 5000
"""Texts without a label that the encoder reads: 20 a second."""
SPLIT = 10
"""One text in so many is held out where one split stands for folds."""
MAX_KNOWN_SHARE, MAX_KNOWN_WORDS, RARE = 2 / 3, 2, 0.01
"""Evidence that a text must have: what all but this rare share of held-out texts have, but not more than this."""


@dataclass(frozen=True)
class Texts:
    """What to learn from, redacted."""

    texts: Sequence[str]
    targets: Ints
    """[n] label indices."""
    n_labels: int
    unlabelled: Sequence[str]
    lessons: Sequence[tuple[str, int]] = ()
    """Sentences of ours and their label indices, for a student only."""
    guesses: Guesses | None = None
    """What a tuned encoder guesses about `unlabelled`, where label 1 of 2 is praise; for a student only."""
    identity: Identity | None = None
    """Terms that the model must not tell apart."""
    weights: Floats | None = None
    """[n] how much each text counts, 1 on average; None: all alike."""
    copies: Sequence[str] = ()
    """m copies of texts with some words changed, to learn from as well."""
    sources: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    """[m] text that each is a copy of."""

    def teaching(self, guess: recipe.Guess | None = None) -> recipe.Teaching:
        """Return what is learnt about the texts."""
        return recipe.Teaching.of(self.targets, self.n_labels, self.weights, guess=guess, sources=self.sources)

    def corpus(self, texts: Sequence[str]) -> Corpus:
        """Return texts as the model reads them."""
        return Corpus.of(texts, self.identity)

    def spellings(self, texts: Sequence[str]) -> dict[int, bytes]:
        """Return the bytes of each token of `corpus`, by its hash."""
        return spellings(texts, self.identity)


@dataclass(frozen=True)
class Learnt:
    """A calibrated model, and how it does on texts that it has not learnt from."""

    additive: Additive
    kinds: tuple[str, ...]
    """Kinds of features, of candor.text.features.KINDS."""
    bits: int
    """8 or 16, of an exported weight."""
    learning: Ints
    """Rows that the model of `first` has learnt from: those of the first fold."""
    first: Ints
    """Rows of the first fold that were held out."""
    member_logits: Floats
    """[l, C] calibrated logits of the texts in `learning`, by a model that has learnt from them and not from `first`"""
    held_out: Ints
    """[m] rows of all texts that were held out of some fold, those in `first` first"""
    logits: Floats
    """[m, C] their calibrated logits, by models that have not learnt from them"""
    words: Ints
    """[m] number of their words"""
    oov_rates: Floats
    """[m] share of their words that those models do not know"""
    evidence: Evidence
    temperature: float
    """What calibration divided the logits by."""
    tried: Sequence[Tried]
    shipped: Tried | None
    """How the stack does on the same texts as its parts; None if it is no stack."""
    settings: Mapping[str, Any]
    """How it was learnt, for model.json."""

    @property
    def first_logits(self) -> Floats:
        """Calibrated logits [f, C] of the texts in `first`."""
        return self.logits[: len(self.first)]


def learn(texts: Texts, seed: int, size: float | None, minutes: float | None = None, *, quick: bool = False) -> Learnt:
    """Learn a model.

    Args:
        texts: What to learn from.
        seed: Seed of all draws.
        size: Maximum size of the bundle in MB; None: by the number of labels.
        minutes: Time after which nothing more is tried; None: no limit. What is being fitted is finished.
        quick: Learn from labelled texts only, by one candidate, and test it on the first fold: a model to hold another
            against.
    """
    if quick:
        texts = replace(texts, unlabelled=())
    plan = replace(Plan.of(texts, seed), deadline=time.monotonic() + 60 * (math.inf if minutes is None else minutes))
    if quick:
        plan = plan.quick()
    alone = _Trial.of(texts, plan)
    if not texts.unlabelled or time.monotonic() > plan.deadline:
        return alone.learnt(size)
    taught: _Trial | _Student
    better: _Trial | _Student
    if few_labels(texts):  # where labels are few, they cannot tell much: the guesses have the benefit of the doubt
        taught = _Trial.of(texts, plan, teacher(texts, seed))
        right = alone.correct[: len(taught.correct)]  # where time ran out, the guesses have seen fewer folds
        better = alone if recipe.beats(right, taught.correct) else taught
    else:
        taught = _Student.of(texts, plan, seed, size)
        beaten = alone.log_loss <= taught.log_loss or (
            alone.compared.plain is not None and recipe.beats(alone.compared.plain, taught.correct)
        )
        better = alone if beaten else taught
    return replace(better.learnt(size), tried=[*alone.tried(better is alone), *taught.tried(better is taught)])


@dataclass(frozen=True)
class Plan:
    """How much to try, by the size of the data set."""

    folds: Sequence[recipe.Fold]
    kinds: tuple[str, ...]
    candidates: Sequence[recipe.Candidate]
    vectors: vectors.Vectors | None
    min_df: int
    favourite: str = ""
    """Name of the candidate that ships where texts are too few to choose by."""
    deadline: float = math.inf
    """Value of time.monotonic() after which nothing more is tried."""

    @classmethod
    def of(cls, texts: Texts, seed: int) -> "Plan":
        """Plan for a data set."""
        n, k = len(texts.texts), texts.n_labels
        large = n > LARGE or len(texts.unlabelled) >= n > LARGE // SPLIT
        if large:
            drawn = data.folds(texts.texts, texts.targets, SPLIT, seed)
            folds = [min(drawn, key=lambda fold: len(fold[1]))]  # not the one with a text that many rows repeat
        else:
            n_folds = N_FOLDS if n < MANY_TEXTS else N_FOLDS_MANY_TEXTS
            n_folds = n_folds if k <= MANY_LABELS else N_FOLDS_MANY_LABELS
            folds = data.folds(texts.texts, texts.targets, n_folds, seed)
        candidates: Sequence[recipe.Candidate] = recipe.CANDIDATES
        if n < FEW_ROWS * k:
            candidates = recipe.FEW_CANDIDATES
        elif large:
            candidates = [replace(each, penalties=each.penalties[:-1]) for each in candidates if not each.vectors]
        if k > MANY_LABELS:
            candidates = [each for each in candidates if not each.ratios]
        return cls(
            folds,
            ("word", "pair") if large else ("word", "pair", "char"),
            candidates,
            None if large else vectors.load().without(texts.identity),
            max(2, n // 100_000),
            candidates[-1].name if n < FEW_ROWS * k else "",
        )

    def quick(self) -> "Plan":
        """Plan for the first fold, and one penalty of the last candidate that needs no word vectors."""
        last = [each for each in self.candidates if not each.vectors][-1]
        one = replace(last, penalties=last.penalties[:1])
        return replace(self, folds=self.folds[:1], candidates=[one], vectors=None, favourite="")


@dataclass(frozen=True)
class _Trial:
    """The recipe, compared on the folds of a plan, with or without guesses about texts that have no label."""

    texts: Texts
    plan: Plan
    design: Design
    compared: recipe.Compared
    guess: recipe.Guess | None

    @classmethod
    def of(cls, texts: Texts, plan: Plan, guess: recipe.Guess | None = None) -> "_Trial":
        """Compare."""
        every = [*texts.texts, *(texts.unlabelled[:MAX_GUESSED] if guess else ()), *texts.copies]
        design = Design.of(texts.corpus(every), texts.spellings(every), plan.vectors, plan.kinds, plan.min_df)
        candidates = plan.candidates
        if guess:
            candidates = [recipe.TAUGHT if texts.n_labels <= MANY_LABELS else recipe.TAUGHT_MANY_LABELS]
        compared = recipe.compare(
            design, texts.targets, texts.teaching(guess), plan.folds, candidates, plan.deadline, plan.favourite
        )
        return cls(texts, plan, design, compared, guess)

    @property
    def log_loss(self) -> float:
        """Mean log loss of the first fold's held-out texts, in nats."""
        first = self.plan.folds[0][1]
        return stack.log_loss(self.compared.logits[: len(first)], self.texts.targets[first])

    @property
    def correct(self) -> NDArray[np.bool_]:
        """[m] where the held-out texts get their label."""
        return recipe.correct(self.compared.logits, self.texts.targets[self.compared.held_out])

    def tried(self, ships: bool) -> list[Tried]:
        """Return the rows of the table of what was tried."""
        return [each if ships else replace(each, scalar=0.0) for each in self.compared.tried]

    def learnt(self, size: float | None) -> Learnt:
        """Fit what was chosen on all texts."""
        texts, plan, compared = self.texts, self.plan, self.compared
        max_rows, bits = table_size(len(self.design.hashes), texts.n_labels, size)
        additive = recipe.fit_all(self.design, texts.teaching(self.guess), compared.chosen, max_rows)
        words = self.design.word_tokens[compared.held_out]
        parts = [{"name": each.name, "scalar": round(scalar, 6), "c": c} for scalar, each, c in compared.chosen]
        return Learnt(
            additive,
            plan.kinds,
            bits,
            plan.folds[0][0],
            plan.folds[0][1],
            compared.member_logits,
            compared.held_out,
            compared.logits,
            words,
            1 - compared.known_words / np.maximum(words, 1),
            evidence(compared.known_words, words),
            compared.temperature,
            compared.tried,
            compared.shipped,
            {"kinds": list(plan.kinds), "parts": parts, "folds": len(plan.folds)},
        )


@dataclass(frozen=True)
class _Student:
    """A student of the first fold's texts and of those without a label. It ships as it was measured."""

    texts: Texts
    plan: Plan
    config: StudentConfig
    additive: Additive
    logits: Floats
    """[f, C] calibrated logits of the texts that were held out"""
    member_logits: Floats
    temperature: float
    seconds: float
    guesses: str
    """SHA-256 (hex) of the file of guesses that it learnt from, or ""."""

    @classmethod
    def of(cls, texts: Texts, plan: Plan, seed: int, size: float | None) -> "_Student":
        """Teach it."""
        start = time.process_time()
        (learning, first), vectors_of = plan.folds[0], vectors.load().without(texts.identity)
        max_rows, _ = table_size(0, texts.n_labels, size)
        config = StudentConfig(max_rows=max_rows)
        corpus, unlabelled = texts.corpus(texts.texts), texts.corpus(texts.unlabelled)
        guesses = None
        if texts.guesses is not None and texts.guesses.held_out[first].all():  # or validation would flatter
            guesses = soft_labels(texts.guesses, unlabelled, texts.identity)
        lessons, copies = None, np.flatnonzero(np.isin(texts.sources, learning))
        if texts.lessons:
            sentences, targets = zip(*texts.lessons, strict=True)
            lessons = Lessons(texts.corpus(sentences), np.array(targets, np.int64))
        taught = teach_student(
            corpus.take(learning) + texts.corpus([texts.copies[copy] for copy in copies.tolist()]),
            np.concatenate([texts.targets[learning], texts.targets[texts.sources[copies]]]),
            unlabelled,
            texts.n_labels,
            config,
            seed,
            WordVectors(hash_words(vectors_of.words), vectors_of.vectors),
            lessons,
            guesses,
            None if texts.weights is None else texts.weights[np.concatenate([learning, texts.sources[copies]])],
        )
        scores = [taught.logits(corpus.take(rows), config.kinds) for rows in (first, learning)]
        if texts.n_labels == 2:
            scores = [each[:, 1:] - each[:, :1] for each in scores]
        scalar = float(stack.fit_scalars(scores[:1], texts.targets[first])[0])
        scores, bias = [scalar * each for each in scores], scalar * taught.bias
        if texts.guesses is not None and guesses:  # short texts tell best which way a model leans
            held_out, sides = corpus.take(first), [(scores[0], texts.targets[first])]
            for size in texts.guesses.windows:
                windows, index = held_out.slices(size)
                sides.append((scalar * taught.logits(windows, config.kinds)[:, 1:], texts.targets[first][index]))
            bias = bias + stack.fit_intercept(*zip(*sides, strict=True))
            scores = [each + bias for each in scores]
        additive = Additive(taught.hashes, scalar * taught.weights, taught.q, bias, taught.floor)
        seconds = time.process_time() - start
        used = guesses_of_reviews.SHA256 if guesses else ""
        return cls(texts, plan, config, additive, scores[0], scores[1], 1 / scalar, seconds, used)

    @property
    def log_loss(self) -> float:
        """Mean log loss of the first fold's held-out texts, in nats."""
        return stack.log_loss(self.logits, self.texts.targets[self.plan.folds[0][1]])

    @property
    def correct(self) -> NDArray[np.bool_]:
        """[f] where the texts that were held out get their label."""
        return recipe.correct(self.logits, self.texts.targets[self.plan.folds[0][1]])

    def tried(self, ships: bool) -> list[Tried]:
        """Return the rows of the table of what was tried."""
        name = "student of an encoder's guesses" if self.guesses else "student of texts without a label"
        return [Tried(name, float(self.correct.mean()), self.log_loss, 1 / self.temperature * ships, self.seconds)]

    def learnt(self, size: float | None) -> Learnt:
        """Return the student."""
        learning, first = self.plan.folds[0]
        held_out = [self.texts.texts[row] for row in first]
        spelled = self.texts.spellings(held_out)
        hashes, counts = self.texts.corpus(held_out).counts(["word"])
        is_word = np.array([spelled[each][0] not in PUNCTUATION for each in hashes.tolist()])
        of_model = is_word & np.isin(hashes, self.additive.hashes)
        words, known = ((counts @ each.astype(np.float32)).astype(np.int64) for each in (is_word, of_model))
        return Learnt(
            self.additive,
            self.config.kinds,
            table_size(len(self.additive.hashes), self.texts.n_labels, size)[1],
            learning,
            first,
            self.member_logits,
            first,
            self.logits,
            words,
            1 - known / np.maximum(words, 1),
            evidence(known, words),
            self.temperature,
            [],
            None,
            asdict(self.config)
            | {"kinds": list(self.config.kinds), "sentences": list(self.config.sentences), "guesses": self.guesses},
        )


def soft_labels(guesses: Guesses, unlabelled: Corpus, identity: Identity | None = None) -> SoftLabels:
    """Return guesses as probabilities of two labels, with what they are about.

    Args:
        guesses: Logits of the second label.
        unlabelled: The u texts that they are about. Where redaction has changed a text's number of sentences, its
            windows are left out.
        identity: Terms that the model does not tell apart.
    """
    known = unlabelled.sentences() == guesses.sentences
    windows, logits = Corpus.of([]), [np.empty(0)]
    for size, each in guesses.windows.items():
        cut, _ = unlabelled.take(np.flatnonzero(known)).slices(size)
        long = np.diff(cut.bounds) >= MIN_WINDOW_TOKENS
        windows += cut.take(np.flatnonzero(long))
        logits.append(each[np.repeat(known, -(-guesses.sentences // size))][long])
    words = [frame.format(word=word) for frame in guesses.words for word in vectors.load().words]
    return SoftLabels(
        _even(guesses.reviews),
        Guessed(windows, _even(np.concatenate(logits))),
        Guessed(Corpus.of(words, identity), _even(np.concatenate(list(guesses.words.values())))),
    )


def _even(logits: Floats) -> Floats:
    probabilities: Floats = softmax(stack.full_logits(logits[:, None]))
    return probabilities


def few_labels(texts: Texts) -> bool:
    """Return True if an encoder's guesses are likely to help, and the encoder is installed."""
    return _guesses_help(texts) and encoder.installed()


def lacks_encoder(texts: Texts) -> bool:
    """Return True if an encoder's guesses are likely to help, but the encoder is not installed."""
    return _guesses_help(texts) and not encoder.installed()


def _guesses_help(texts: Texts) -> bool:
    return bool(texts.unlabelled) and len(texts.texts) < FEW_LABELS * texts.n_labels


def teacher(texts: Texts, seed: int) -> recipe.Guess:
    """Return the encoder's guesses about the texts without a label: logistic regression on its embeddings."""
    model = encoder.Encoder.load()
    labelled, unlabelled = model.encode(texts.texts), model.encode(texts.unlabelled[:MAX_GUESSED])

    def guess(rows: Ints) -> Floats:
        return encoder.teach(labelled[rows], texts.targets[rows], unlabelled, texts.n_labels, seed)

    return guess


def table_size(n_features: int, n_labels: int, size: float | None) -> tuple[int, int]:
    """Return the maximum number of features, and the bits of a weight: 16 if all features fit so, else 8.

    Args:
        n_features: Features that there are.
        n_labels: Number of labels.
        size: Maximum size of the bundle in MB; None: by the number of labels.
    """
    limit = DEFAULT_SIZE.get(n_labels, OTHER_SIZE) if size is None else size
    columns = 1 if n_labels == 2 else n_labels
    room = limit * 1e6 - _OTHER_FILES - _LABEL * n_labels
    rows = {bits: int(room / (columns * bits / 8 + 2 + _TABLE_ROW)) for bits in (16, 8)}
    bits = 16 if n_features <= rows[16] or n_labels == 2 else 8
    return max(1, min(rows[bits], MAX_ROWS)), bits


_OTHER_FILES = 150_000  # bytes of the card, the metrics and the graph
_LABEL = 5_000  # bytes of them for each label; measured: 3,600 with names of 25 letters
_TABLE_ROW = 4.0  # bytes of features.bin for each feature; measured: 3 to 3.3, above 4 for small tables


def evidence(known: Ints, words: Ints) -> Evidence:
    """Return what a text needs to be like those that were held out.

    Args:
        known: [m] number of known words of each held-out text.
        words: [m] number of words.
    """
    known, words = known[words > 0], words[words > 0]
    if not len(words):
        return Evidence(0.0, 1)
    share = float(np.quantile(known / words, RARE, method="lower"))
    return Evidence(
        math.floor(100 * min(share, MAX_KNOWN_SHARE)) / 100,
        int(min(max(np.quantile(known, RARE, method="lower"), 1), MAX_KNOWN_WORDS)),
    )


def reference(taught: Sequence[str], targets: Ints, n_labels: int) -> Callable[[Sequence[str]], Floats]:
    """Teach plain logistic regression.

    Args:
        taught: n texts.
        targets: [n] label indices.
        n_labels: Number of labels, K.

    Returns:
        A function that returns logits [m, K] of m texts.
    """
    kinds = ("word", "pair")
    design = Design.of(Corpus.of(taught), spellings(taught), None, kinds)
    plain = [
        (1.0, candidate, candidate.penalties[0]) for candidate in recipe.CANDIDATES if candidate.name == recipe.PLAIN
    ]
    additive = recipe.fit_all(design, recipe.Teaching.of(targets, n_labels), plain, MAX_ROWS)

    def logits(texts: Sequence[str]) -> Floats:
        counts = Corpus.of(texts).counts(kinds, additive.hashes)[1]
        scale = 1 / np.sqrt(np.maximum(counts @ additive.q, additive.floor))
        return stack.full_logits((counts @ additive.weights) * scale[:, None] + additive.bias)

    return logits
