"""Teach an additive student from a teacher's guesses about texts without a label.

A teacher learns from the labelled texts and labels the unlabelled ones with its sharpened probabilities; a student
learns from both (Scudder 1965; Xie et al. 2020, "Self-training with Noisy Student"). It learns mostly from guesses, so
that the model that ships reveals little about whose labels it saw (Shejwalkar and Houmansadr 2021, "Membership Privacy
for Machine Learning Models Through Knowledge Transfer"). It learns from windows of unlabelled texts, too, so that it
knows short texts, and from sentences of ours, if it is given any.

Both are the same convex problem, solved to the end. A model's logits are

    bias + Σ_f count_f · weights[f] / √max(Σ_f count_f · q[f], floor)

A weight is a learned factor times its feature's naive-Bayes log-count ratio, so that L2 on the factors keeps each
weight near what its count supports (Wang and Manning 2012, "Baselines and Bigrams"), plus a projection of its word's
static vector, if there is one: words that the texts lack get a weight from their vectors alone. A word under negation
starts with the opposite of the word's own weight, so that a few negations teach all of them. The minimum is found
by L-BFGS (candor_training.lbfgs). Sums are of one thread and in one order, so that the same texts, settings and seed
give the same bits.

Shapes: n texts, F features, R rows of the student's table, K labels, K' = 1 column of weights for two labels (that of
the second; the first has logit 0), else K; V static vectors of D dimensions.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack

from candor.model.classifier import softmax
from candor.text.features import combine, hash_words

from .corpus import Corpus
from .lbfgs import minimise
from .stack import full_logits

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Hashes = NDArray[np.uint32]

_MEMORY = 10  # pairs of steps and changes of gradient that L-BFGS keeps
_SAMPLE = 4096  # texts from which the curvature of vectors is taken
_SPREAD = 0.1  # p (1 - p) of a typical text


@dataclass(frozen=True)
class StudentConfig:
    """Hyperparameters. They were chosen on validation texts of IMDB; EXPERIMENTS.md says how."""

    kinds: tuple[str, ...] = ("word", "pair", "negated")
    """Kinds of features, of candor.text.features.KINDS without "char"."""
    min_df: int = 15
    """Minimum document frequency of a feature, so that rare words cannot identify an author. Lower for fewer than
    15,000 texts: one in a thousand, but at least 2."""
    max_rows: int = 429_496
    """Features kept, those that tell most. Those that static vectors add count as well."""
    smoothing: float = 3.0
    """Pseudo-count of the log-count ratio."""
    least_ratio: float = 0.3
    """Least log-count ratio, in absolute value, so that lessons can turn what says little in other texts."""
    floor: float = 270.0
    """Grams below which a text is scaled as if it had so many."""
    teacher_l2: float = 1e-6
    """Penalty on squared factors, beside the mean loss of a text; so are the next two."""
    student_l2: float = 5e-8
    vector_l2: float = 1e-6
    """On the projection of static vectors."""
    sharpness: float = 2.0
    """Multiplies the teacher's logits."""
    label_weight: float = 0.07
    """Loss weight of a labelled text in the student's training. Low, to limit membership inference."""
    guess_weight: float = 0.7
    """Loss weight of an unlabelled text."""
    window_weight: float = 0.25
    """Loss weight of a window of an unlabelled text."""
    windows: int = 6
    """Windows of each unlabelled text, if they are not guessed."""
    sentences: tuple[int, ...] = (1, 1, 1, 2, 2, 3, 5, 8)
    """Lengths of windows in sentences, equally likely."""
    word_share: float = 0.05
    """Share of guessed words in the loss weight of all texts."""
    flip: float = 2.5
    """A word under negation starts with minus so much of the word's own weight."""
    lesson_share: float = 0.03
    """Share of lessons in the loss weight of all texts."""
    iterations: int = 100
    """Steps of L-BFGS, at most."""
    tolerance: float = 3e-6
    """Ends a fit: the relative decrease of the loss in a step."""


class Vectors(NamedTuple):
    """Static vectors of V words."""

    hashes: Hashes
    """[V] hashes of the words; of words that share one, the first counts"""
    vectors: NDArray[np.float32]
    """[V, D], of any scale"""


class Lessons(NamedTuple):
    """Texts made for training, such as sentences with a negation."""

    corpus: Corpus
    targets: Ints
    """[n] label indices"""


class Guessed(NamedTuple):
    """Texts and a probability of each label."""

    corpus: Corpus
    targets: Floats
    """[n, K]"""


class Guesses(NamedTuple):
    """What a better teacher than ours guesses. It reads windows, so they need not inherit what the text says."""

    texts: Floats
    """[u, K] probability of each label for each unlabelled text"""
    windows: Guessed
    """Windows of these texts"""
    words: Guessed
    """Words in short frames"""


class Student(NamedTuple):
    """An additive model. Its logits are those of the module's formula; for two labels [0, logit]."""

    hashes: Hashes
    """[R] distinct, ascending"""
    weights: Floats
    """[R, K']"""
    q: Floats
    """[R] what a feature adds to the squared norm"""
    bias: Floats
    """[K']"""
    floor: float
    """Least squared norm"""

    def logits(self, corpus: Corpus, kinds: tuple[str, ...]) -> Floats:
        """Return the logits [n, K] of texts."""
        _, counts = corpus.counts(kinds, self.hashes)
        return _logits(counts, self.weights, _inverse_norms(counts, self.q, self.floor))


def teach_student(
    labelled: Corpus,
    targets: Ints,
    unlabelled: Corpus,
    n_labels: int,
    config: StudentConfig,
    seed: int,
    vectors: Vectors | None = None,
    lessons: Lessons | None = None,
    guesses: Guesses | None = None,
    weights: Floats | None = None,
) -> Student:
    """Teach a student.

    Args:
        labelled: Texts that the teacher learns from.
        targets: [n] their label indices.
        unlabelled: Texts that the teacher labels for the student.
        n_labels: Number of labels, K, at least 2.
        config: Hyperparameters.
        seed: Seed of the windows.
        vectors: Static vectors of words.
        lessons: Texts for the student only.
        guesses: Guesses of a better teacher, which then replace ours.
        weights: [n] how much each labelled text counts, 1 on average; None: all alike.

    Returns:
        The student.
    """
    if vectors is not None:
        vectors = _of_unit_length(vectors)
    both = labelled + unlabelled
    hashes, counts = both.counts(config.kinds, min_df=min(config.min_df, max(2, len(both) // 1000)))
    frequencies = np.bincount(counts.indices, minlength=len(hashes))
    words = np.unique(both.hashes)
    known = _known(hashes, words, vectors, config)
    truth = np.eye(n_labels)[targets]
    ours, theirs = counts[: len(labelled)], counts[len(labelled) :]
    del counts
    each = np.ones(len(labelled)) if weights is None else weights
    guessed = guesses.texts if guesses else _teach(ours, theirs, truth, each, config, known)
    parts, soft = [ours, theirs], [truth, guessed]
    shares = [config.label_weight * each, np.full(len(unlabelled), config.guess_weight)]
    for windows, targets_of in [guesses.windows] if guesses else _windows(unlabelled, guessed, config, seed):
        parts.append(windows.counts(config.kinds, hashes)[1])
        soft.append(targets_of)
        shares.append(np.full(len(windows), config.window_weight))
    total = sum(float(share.sum()) for share in shares)
    if guesses is not None and len(guesses.words.corpus):
        words_of, targets_of = guesses.words
        parts.append(words_of.counts(config.kinds, hashes)[1])
        soft.append(targets_of)
        shares.append(np.full(len(words_of), config.word_share * total / len(words_of)))
    if lessons is not None and len(lessons.corpus):
        parts.append(lessons.corpus.counts(config.kinds, hashes)[1])
        soft.append(np.eye(n_labels)[lessons.targets])
        shares.append(np.full(len(lessons.corpus), config.lesson_share * total / len(lessons.corpus)))
    everything, soft_targets, share = vstack(parts, format="csr"), np.concatenate(soft), np.concatenate(shares)
    del parts, ours, theirs
    problem = _Problem(everything, soft_targets, share, config, known)
    solution = problem.solve(config.student_l2)
    weights = problem.weights(solution)
    if len(hashes) > config.max_rows:
        telling = np.sqrt(frequencies) * np.abs(weights).max(axis=1)
        kept = np.sort(np.argsort(-telling, kind="stable")[: config.max_rows])
        hashes = hashes[kept]
        known = _known(hashes, words, vectors, config)
        problem = _Problem(everything[:, kept], soft_targets, share, config, known)
        solution = problem.solve(config.student_l2)
        weights = problem.weights(solution)
    hashes, weights = _with_unseen(hashes, weights, words, vectors, problem.projection(solution), config)
    return Student(hashes, weights, np.ones(len(hashes)), np.zeros(weights.shape[1]), config.floor)


def _teach(
    ours: csr_matrix, theirs: csr_matrix, truth: Floats, shares: Floats, config: StudentConfig, known: "_Known"
) -> Floats:
    """Learn from labelled texts, and return a probability of each label for the unlabelled ones, [u, K]."""
    teacher = _Problem(ours, truth, shares, config, known)
    weights = teacher.weights(teacher.solve(config.teacher_l2))
    logits = _logits(theirs, weights, _inverse_norms(theirs, np.ones(len(weights)), config.floor))
    probabilities: Floats = softmax(config.sharpness * logits)
    return probabilities


def _windows(unlabelled: Corpus, guessed: Floats, config: StudentConfig, seed: int) -> Iterator[Guessed]:
    """Cut windows out of the unlabelled texts. Each has the guess about its text."""
    random = np.random.default_rng(seed)
    for _ in range(config.windows):
        windows, index = unlabelled.windows(random, config.sentences)
        yield Guessed(windows, guessed[index])


class _Known(NamedTuple):
    """What is known of F features before any label is."""

    rows: Ints
    """[V'] features with a static vector"""
    vectors: Floats
    """[V', D]"""
    negated: Ints
    """[m] features that are a word under negation"""
    words: Ints
    """[m] these words' own features, each once"""


class _Problem:
    """A convex fit of soft targets.

    Args:
        counts: float32 [n, F] count of each feature in each text.
        targets: [n, K] probability of each label.
        shares: [n] loss weight of each text.
        config: Hyperparameters.
        known: What is known of the features.
    """

    def __init__(
        self,
        counts: csr_matrix,
        targets: Floats,
        shares: Floats,
        config: StudentConfig,
        known: _Known,
    ) -> None:
        self.counts, self.transposed, self.targets = counts, counts.T, targets
        self.shares = (shares / shares.sum())[:, None]
        self.config = config
        self.columns = 1 if targets.shape[1] == 2 else targets.shape[1]
        self.known = known
        self.norms = _inverse_norms(counts, np.ones(counts.shape[1]), config.floor)
        self.scale = self._ratios(targets * shares[:, None])

    def weights(self, solution: Floats) -> Floats:
        """Return weights [F, K'] for a solution [(F + D) · K']."""
        factors = solution[: self.scale.size].reshape(self.scale.shape)
        weights: Floats = self.scale * factors
        weights[self.known.rows] += np.einsum("fd,dk->fk", self.known.vectors, self.projection(solution))
        weights[self.known.negated] -= self.config.flip * weights[self.known.words]
        return weights

    def projection(self, solution: Floats) -> Floats:
        """Return what turns a static vector into weights, [D, K']."""
        return solution[self.scale.size :].reshape(-1, self.columns)

    def solve(self, l2: float) -> Floats:
        """Return the solution [(F + D) · K'] for a penalty on squared factors."""
        size = self.scale.size
        penalty = np.repeat([l2, self.config.vector_l2], [size, self.known.vectors.shape[1] * self.columns])

        def loss(solution: Floats) -> tuple[float, Floats]:
            logits = _logits(self.counts, self.weights(solution), self.norms)
            logits -= logits.max(axis=1, keepdims=True)
            exponents = np.exp(logits)
            totals = exponents.sum(axis=1, keepdims=True)
            mean = float((self.shares * (np.log(totals) - (self.targets * logits).sum(axis=1, keepdims=True))).sum())
            errors = (exponents / totals - self.targets)[:, -self.columns :] * self.norms[:, None]
            # float32 sums keep their accuracy where their terms are not tiny
            slopes = (self.transposed @ (errors * self.shares * len(errors)).astype(np.float32)) / len(errors)
            slopes[self.known.words] -= self.config.flip * slopes[self.known.negated]
            gradient = np.concatenate(
                [
                    (self.scale * slopes).ravel(),
                    np.einsum("fd,fk->dk", self.known.vectors, slopes[self.known.rows].astype(np.float64)).ravel(),
                ]
            )
            gradient += 2 * penalty * solution
            return mean + float((penalty * solution * solution).sum()), gradient

        # L-BFGS takes far fewer steps where all coordinates bend alike.
        units = 1 / np.sqrt(self._curvatures() + 2 * penalty)

        def in_units(point: Floats) -> tuple[float, Floats]:
            value, gradient = loss(units * point)
            return value, units * gradient

        solution: Floats = units * minimise(
            in_units, np.zeros(len(penalty)), self.config.iterations, self.config.tolerance, _MEMORY
        )
        return solution

    def _curvatures(self) -> Floats:
        """Return roughly the second derivative of the loss by each coordinate of a solution."""
        squares = csr_matrix((self.counts.data**2, self.counts.indices, self.counts.indptr), self.counts.shape)
        bends = self.shares * self.norms[:, None] ** 2
        factors = self.scale**2 * (squares.T @ bends)
        some = slice(None, None, len(self.norms) // _SAMPLE + 1)
        sums = self.counts[some][:, self.known.rows] @ self.known.vectors.astype(np.float32)
        vectors = (sums.astype(np.float64) ** 2 * bends[some]).sum(axis=0) / self.shares[some].sum()
        return _SPREAD * np.concatenate([factors.ravel(), np.repeat(vectors, self.columns)])

    def _ratios(self, label_shares: Floats) -> Floats:
        """Return the log-count ratios [F, K'], of texts that hold a feature."""
        held = csr_matrix((np.ones_like(self.counts.data), self.counts.indices, self.counts.indptr), self.counts.shape)
        counts = (held.T @ label_shares) + self.config.smoothing
        logs = np.log(counts / counts.sum(axis=0))
        ratios: Floats = logs[:, 1:] - logs[:, :1] if self.columns == 1 else logs - logs.mean(axis=1, keepdims=True)
        return np.maximum(np.abs(ratios), self.config.least_ratio)  # a factor can have either sign


def _inverse_norms(counts: csr_matrix, q: Floats, floor: float) -> Floats:
    norms: Floats = 1 / np.sqrt(np.maximum(counts @ q, floor))
    return norms


def _logits(counts: csr_matrix, weights: Floats, inverse_norms: Floats) -> Floats:
    """Return logits [n, K]."""
    logits: Floats = (counts @ weights.astype(np.float32)).astype(np.float64) * inverse_norms[:, None]
    return full_logits(logits)


def _of_unit_length(vectors: Vectors) -> Vectors:
    """Return distinct hashes, ascending, and their vectors, of a mean squared length of 1."""
    hashes, first = np.unique(vectors.hashes, return_index=True)
    chosen = vectors.vectors[first].astype(np.float64)
    length = np.sqrt(np.maximum((chosen**2).sum(axis=1).mean(), 1e-12))
    return Vectors(hashes, (chosen / length).astype(np.float32))


def _known(hashes: Hashes, words: Hashes, vectors: Vectors | None, config: StudentConfig) -> _Known:
    """Return what is known of features [F], which are ascending, where `words` are hashes of words."""
    rows, chosen = np.empty(0, np.int64), np.empty((0, 0))
    if vectors is not None:
        _, rows, index = np.intersect1d(hashes, vectors.hashes, assume_unique=True, return_indices=True)
        chosen = vectors.vectors[index].astype(np.float64)
    own = np.flatnonzero(np.isin(hashes, words, assume_unique=True))
    negated, index = _negated(hashes[own], config.kinds)
    _, first, second = np.intersect1d(hashes, negated, return_indices=True)
    return _Known(rows, chosen, first, own[index[second]])


def _negated(words: Hashes, kinds: tuple[str, ...]) -> tuple[Hashes, Ints]:
    """Return the hashes of words under negation, and each one's index in `words`; marks and negators have none."""
    if "negated" not in kinds:
        return np.empty(0, np.uint32), np.empty(0, np.int64)
    pairs = np.stack([np.broadcast_to(hash_words(["not"]), len(words)), words], axis=1).ravel()
    hashes, tokens = combine("negated", pairs, np.arange(0, len(pairs) + 1, 2))
    return hashes, tokens // 2


def _with_unseen(
    hashes: Hashes,
    weights: Floats,
    words: Hashes,
    vectors: Vectors | None,
    projection: Floats,
    config: StudentConfig,
) -> tuple[Hashes, Floats]:
    """Add words that have only a static vector, and words that were not seen under negation, as far as there is room.

    Those with the largest weights come first.
    """
    own = np.isin(hashes, words, assume_unique=True)
    more, gained = hashes[own], weights[own]
    if vectors is not None:
        unseen = ~np.isin(vectors.hashes, hashes)
        more = np.concatenate([more, vectors.hashes[unseen]])
        projected = np.einsum("vd,dk->vk", vectors.vectors[unseen].astype(np.float64), projection)
        gained = np.concatenate([gained, projected])
    negated, index = _negated(more, config.kinds)
    more, gained = np.concatenate([more, negated]), np.concatenate([gained, -config.flip * gained[index]])
    more, first = np.unique(more, return_index=True)
    gained = gained[first]
    new = np.flatnonzero(~np.isin(more, hashes))
    room = max(config.max_rows - len(hashes), 0)
    chosen = new[np.argsort(-np.abs(gained[new]).max(axis=1), kind="stable")[:room]]
    hashes = np.concatenate([hashes, more[chosen]])
    order = np.argsort(hashes, kind="stable")
    return hashes[order], np.concatenate([weights, gained[chosen]])[order]
