"""Learn a model from anyone's labelled texts: candidates, folds, a calibrated stack, one table.

Every candidate is a linear model on the same weighted features, so their weighted sum is one, too. Candidates are
compared and stacked on scores for texts that they have not learnt from; plain logistic regression is always among
them. The stack is then fitted again on all texts, and cut to the size that is asked for.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from . import stack
from .design import Design, Weighting
from .export import Additive
from .solvers import Inputs, Linear, fit, log_count_ratios
from .stack import Tried

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Singles = NDArray[np.float32]


@dataclass(frozen=True)
class Candidate:
    """A linear model that may become part of the stack."""

    name: str
    """Its name in the table of what was tried."""
    ratios: bool
    """Weigh features by log-count ratios."""
    vectors: float
    """Weight of static word vectors; 0 is without them."""
    penalties: tuple[float, ...]
    """Inverse strengths of the L2 penalty to choose from."""

    def inputs(self, inputs: Inputs) -> Inputs:
        """Return what this candidate sees of texts."""
        return Inputs(inputs.counts, np.float32(self.vectors) * inputs.sums if self.vectors else inputs.sums[:, :0])

    def fit(self, inputs: Inputs, targets: Singles, c: float) -> Linear:
        """Fit the candidate to the targets [n, K] of n texts."""
        own = self.inputs(inputs)
        ratios = log_count_ratios(own.counts, targets) if self.ratios else None
        return fit(own, targets, c, ratios)


FEW = 1000
"""Texts below which accuracies are compared by a test."""
_SIGNIFICANT = 1.645
"""Standard errors of a difference that is not chance: one-sided 5 %."""
_SLIGHT = 0.01
"""Part of the log loss that a stack of all candidates may lose to one of fewer."""
_SCREENED = 100_000
"""Texts times labels from which the first fold tells which candidates go on."""
SHIPPED = "together, as weighted"
"""Name of the row of the table for the stack."""
PLAIN = "logistic regression"
"""Name of the candidate that always takes part, and that the stack must not lose to."""
CANDIDATES = (
    Candidate(PLAIN, ratios=False, vectors=0.0, penalties=(10.0, 30.0)),
    Candidate("nb-weighted", ratios=True, vectors=0.0, penalties=(1.0, 3.0, 10.0)),
    Candidate("with word vectors", ratios=False, vectors=0.5, penalties=(3.0, 10.0, 30.0)),
    Candidate("nb-weighted with word vectors", ratios=True, vectors=1.0, penalties=(1.0, 3.0, 10.0)),
)
FEW_CANDIDATES = (CANDIDATES[0], Candidate("word vectors first", ratios=False, vectors=1.0, penalties=(10.0,)))
"""For a few rows a label, where folds say too little to choose by."""
TAUGHT = Candidate("taught by the encoder", ratios=False, vectors=1.0, penalties=(1.0,))
"""For guesses about texts without a label."""
TAUGHT_MANY_LABELS = replace(TAUGHT, penalties=(10.0,))
Fold = tuple[Ints, Ints]
"""Rows to learn from, and rows to score."""


@dataclass(frozen=True)
class Compared:
    """What the comparison chose, and its scores for texts that it had not learnt from."""

    chosen: "Chosen"
    held_out: Ints
    """[m] rows of the texts below"""
    logits: Floats
    """[m, C] calibrated logits of texts by models that have not learnt from them"""
    known_words: Ints
    """[m] number of words of each that those models knew"""
    member_logits: Floats
    """[l, C] calibrated logits of the texts that the first fold's models have learnt from"""
    temperature: float
    """What calibration divided the logits by."""
    tried: list[Tried]
    shipped: Tried
    plain: NDArray[np.bool_] | None
    """[f] where plain logistic regression is right about the texts that the first fold held out"""


Guess = Callable[[Ints], Floats]
"""From the rows of labelled texts to learn from, the probabilities [u, K] of the labels of u texts without one."""


@dataclass(frozen=True)
class Teaching:
    """What is learnt about the texts of a design: n with a label, u that are guessed about, and m copies of the n."""

    targets: Singles
    """[n, K] weight of each label for each text: 1 for its label, if all count alike"""
    guess: Guess | None = None
    """Guesses the labels of the u texts."""
    sources: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    """[m] text that each copy is of. It is learnt from with that text, and has its label."""

    @classmethod
    def of(cls, targets: Ints, n_labels: int, weights: Floats | None = None, **more: Any) -> "Teaching":
        """Return what to learn about texts with targets [n], each with a weight [n]."""
        one_hot = np.eye(n_labels, dtype=np.float32)[targets]
        return cls(one_hot if weights is None else one_hot * weights[:, None].astype(np.float32), **more)

    def rows(self, design: Design, rows: Ints) -> tuple[Ints, Singles]:
        """Return the rows of the design to learn from, and their targets, where the labelled ones are `rows`."""
        parts, soft = [rows], [self.targets[rows]]
        first_copy = len(design) - len(self.sources)
        if self.guess is not None:
            parts.append(np.arange(len(self.targets), first_copy))
            soft.append(self.guess(rows).astype(np.float32))
        copies = np.flatnonzero(np.isin(self.sources, rows))
        parts.append(first_copy + copies)
        soft.append(self.targets[self.sources[copies]])
        return np.concatenate(parts), np.concatenate(soft)


def compare(
    design: Design,
    targets: Ints,
    teaching: Teaching,
    folds: Sequence[Fold],
    candidates: Sequence[Candidate],
    deadline: float = math.inf,
    favourite: str = "",
) -> Compared:
    """Fit candidates on each fold, and choose the stack of them that is best on the other texts.

    Args:
        design: The n texts, and after them those that `teaching` has beside them.
        targets: [n] label indices.
        teaching: What is learnt about them.
        folds: One or more.
        candidates: What to try.
        deadline: Value of time.monotonic() after which nothing more is tried than the first candidate on one fold.
        favourite: Name of a candidate that ships alone, unless plain logistic regression beats it: for few texts, where
            log losses are chance.
    """
    compared = _Comparison(candidates)
    known: list[Ints] = []
    names, n_labels = list(compared.candidates), teaching.targets.shape[1]
    total = sum(len(candidate.penalties) for candidate in candidates) + (len(folds) - 1) * len(candidates)
    with tqdm(total=total, desc="comparing", unit=" fits", leave=False, disable=None) as bar:
        for number, (rows, held_out) in enumerate(folds):
            if number and time.monotonic() > deadline:
                folds = folds[:number]
                break
            taught, soft = teaching.rows(design, rows)
            weighting = Weighting.of(design, taught)
            learning, scoring = weighting.inputs(design, taught), weighting.inputs(design, held_out)
            for name in names:
                if number or name == next(iter(compared.candidates)) or time.monotonic() <= deadline:
                    compared.add(name, learning, soft, scoring, targets[held_out], bar.update)
            names = [name for name in names if compared.scores[name]]
            if not number and len(targets) * n_labels > _SCREENED:
                first = {name: compared.scores[name][0] for name in names}
                chosen = choose_stack(first, targets[held_out], favourite, lean=True)
                plain = {PLAIN} if len(held_out) < FEW else set()  # of few texts one fold cannot tell who is better
                names = [name for name in names if name in chosen or name in plain]
            known.append(weighting.known_words(design, held_out))
    held_out = np.concatenate([held_out for _, held_out in folds])
    scores = {name: np.concatenate(compared.scores[name]) for name in names}
    if PLAIN in compared.candidates and PLAIN not in names:  # it lost to this stack, but maybe not to a part of it
        scalars = dict(zip(names, stack.fit_scalars([*scores.values()], targets[held_out]).tolist(), strict=True))
    else:
        scalars = choose_stack(scores, targets[held_out], favourite)
    logits = _weighted(scores, scalars)
    return Compared(
        [(scalar, compared.candidates[name], compared.penalties[name][0]) for name, scalar in scalars.items()],
        held_out,
        logits,
        np.concatenate(known),
        _weighted(compared.member_scores, scalars)[: len(folds[0][0])],
        1 / sum(scalars.values()),
        *compared.tried(targets, [rows for _, rows in folds], scalars, logits),
        correct(compared.scores[PLAIN][0], targets[folds[0][1]]) if compared.scores.get(PLAIN) else None,
    )


def _weighted(scores: Mapping[str, Floats], scalars: Mapping[str, float]) -> Floats:
    total: Floats = np.sum([scalar * scores[name] for name, scalar in scalars.items()], axis=0)
    return total


class _Comparison:
    """Scores of candidates for held-out texts. The first fold chooses a candidate's penalty."""

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self.candidates = {candidate.name: candidate for candidate in candidates}
        self.penalties = {candidate.name: candidate.penalties for candidate in candidates}
        self.scores: dict[str, list[Floats]] = {candidate.name: [] for candidate in candidates}
        self.member_scores: dict[str, Floats] = {}
        self.seconds = dict.fromkeys(self.candidates, 0.0)

    def add(
        self,
        name: str,
        learning: Inputs,
        targets: Singles,
        scoring: Inputs,
        held_out: Ints,
        on_fit: Callable[[], object],
    ) -> None:
        """Fit a candidate on one fold."""
        start = time.process_time()
        options, candidate = [], self.candidates[name]
        for c in self.penalties[name]:
            linear = candidate.fit(learning, targets, c)
            on_fit()
            scores = candidate.inputs(scoring).scores(linear)
            scalar = stack.fit_scalars([scores], held_out)[0]
            options.append((stack.log_loss(scalar * scores, held_out), c, scores, linear))
        _, c, scores, linear = min(options, key=lambda option: option[:2])
        self.penalties[name] = (c,)
        self.member_scores.setdefault(name, candidate.inputs(learning).scores(linear))
        self.scores[name].append(scores)
        self.seconds[name] += time.process_time() - start

    def tried(
        self, targets: Ints, held_out: Sequence[Ints], scalars: Mapping[str, float], logits: Floats
    ) -> tuple[list[Tried], Tried]:
        """Return the rows of candidates and that of what ships, over the folds that all of them scored.

        Args:
            targets: [n] label indices of all texts.
            held_out: Rows that each fold held out.
            scalars: The stack that ships.
            logits: [m, C] its logits for the texts that were held out.
        """
        every = {name: scores for name, scores in self.scores.items() if scores}
        n_folds = min(map(len, every.values()))
        truth = targets[np.concatenate(held_out[:n_folds])]
        rows = []
        for name, parts in every.items():
            scores = np.concatenate(parts[:n_folds])
            alone = stack.fit_scalars([scores], truth)[0] * scores
            rows.append(_row(name, alone, truth, scalars.get(name, 0.0), self.seconds[name]))
        return rows, _row(SHIPPED, logits[: len(truth)], truth, 1.0, sum(self.seconds.values()))


def _row(name: str, logits: Floats, targets: Ints, scalar: float, seconds: float) -> Tried:
    accuracy = float(correct(logits, targets).mean())
    return Tried(name, accuracy, stack.log_loss(logits, targets), scalar, seconds)


def choose_stack(
    scores: Mapping[str, Floats], targets: Ints, favourite: str = "", lean: bool = False
) -> dict[str, float]:
    """Return the scalars of the stack to ship, by candidate.

    It is the stack with the lowest log loss among all candidates together, all but one, and each alone, of those that
    plain logistic regression does not beat in accuracy. Of fewer than FEW texts a small lead is chance: there it has to
    be right where the other is wrong significantly more often than the reverse (McNemar 1947, one-sided 5 %).
    All together ship unless the lowest is more than 1 % lower: a mean of more models decides more texts.

    Args:
        scores: [n, C] of each candidate, for texts that it has not learnt from.
        targets: [n] label indices.
        favourite: As for `compare`.
        lean: Take the lowest in any case, for it costs less to go on with fewer.
    """
    names = list(scores)
    if favourite in names and not beats(correct(scores[PLAIN], targets), correct(scores[favourite], targets)):
        names = [favourite]
    sets = [*([name] for name in names), names, *([other for other in names if other != name] for name in names)]
    options = []
    for chosen in {tuple(each): each for each in sets if each}.values():
        scalars = stack.fit_scalars([scores[name] for name in chosen], targets)
        parts = zip(chosen, scalars.tolist(), strict=True)
        kept = [(name, a) for name, a in parts if len(chosen) == 1 or a * scores[name].std() > 0.01]
        if kept:
            logits = _weighted(scores, dict(kept))
            options.append((stack.log_loss(logits, targets), correct(logits, targets), dict(kept), len(chosen)))
    plain = correct(scores[PLAIN], targets) if PLAIN in names else np.zeros(len(targets), bool)
    options = [each for each in options if not beats(plain, each[1])]
    lowest = min(options, key=lambda each: each[0])
    for together in (each for each in options if each[3] == len(names) and not lean):
        if together[0] <= (1 + _SLIGHT) * lowest[0]:
            return together[2]
    return lowest[2]


def correct(logits: Floats, targets: Ints) -> NDArray[np.bool_]:
    """Return [n] where logits [n, C] give the targets [n]."""
    right: NDArray[np.bool_] = stack.full_logits(logits).argmax(axis=1) == targets
    return right


def beats(plain: NDArray[np.bool_], other: NDArray[np.bool_]) -> bool:
    """Return True if the first of two models is right more often; of fewer than FEW texts, significantly so.

    Args:
        plain: [n] where the first one is right.
        other: [n] where the second one is right.
    """
    lead, apart = int(plain.sum()) - int(other.sum()), int((plain != other).sum())
    return lead > (_SIGNIFICANT * apart**0.5 if len(plain) < FEW else 0)


Chosen = Sequence[tuple[float, Candidate, float]]
"""Scalar, candidate and penalty of each part of the stack."""


def fit_all(design: Design, teaching: Teaching, chosen: Chosen, max_rows: int) -> Additive:
    """Fit the chosen stack on all texts; if its table is too large, again on the features that fit in.

    Args:
        design: As for `compare`.
        teaching: As for `compare`.
        chosen: Result of `compare`.
        max_rows: Maximum number of features.
    """
    rows, soft = teaching.rows(design, np.arange(len(teaching.targets)))
    weighting = Weighting.of(design, rows)
    additive, importance = _fold(design, weighting, _fit(design, weighting, rows, soft, chosen))
    kept = np.ones(len(importance), bool)
    if len(importance) > max_rows:
        kept[np.argsort(-importance, kind="stable")[max_rows:]] = False
        weighting = weighting.only(kept)
        additive, _ = _fold(design, weighting, _fit(design, weighting, rows, soft, chosen))
    return replace(additive, hashes=additive.hashes[kept], weights=additive.weights[kept], q=additive.q[kept])


def _fit(
    design: Design, weighting: Weighting, rows: Ints, targets: Singles, chosen: Chosen
) -> tuple[Floats, Floats, Floats]:
    """Return weights of features [F, C] and of static vectors [D, C], and bias [C], of the stack."""
    inputs = weighting.inputs(design, rows)
    used, width = weighting.used, 1 if targets.shape[1] == 2 else targets.shape[1]
    features, vectors = np.zeros((len(weighting.idf), width)), np.zeros((inputs.sums.shape[1], width))
    bias = np.zeros(width)
    for scalar, candidate, c in tqdm(chosen, desc="fitting", unit=" models", leave=False, disable=None):
        linear = candidate.fit(inputs, targets, c)
        features[used] += scalar * linear.weights[: len(used)]
        if candidate.vectors:
            vectors += scalar * candidate.vectors * linear.weights[len(used) :]
        bias += scalar * linear.bias
    return features, vectors, bias


def _fold(design: Design, weighting: Weighting, fitted: tuple[Floats, Floats, Floats]) -> tuple[Additive, Floats]:
    """Fold idf, static vectors and the characters of known words into one row a feature.

    Returns:
        The model, and [F] how much each row matters: its norm times the root of its document frequency.
    """
    features, vectors, bias = fitted
    weights, q = features * weighting.idf[:, None], weighting.q.copy()
    words, chars = slice(0, design.n_words), slice(design.first_char, None)
    weights[words] += (design.vectors * weighting.vector_scale) @ vectors + design.spelled @ weights[chars]
    q[words] += design.spelled @ q[chars]
    if weights.shape[1] > 1:  # softmax does not change
        weights -= weights.mean(axis=1, keepdims=True)
        bias = bias - bias.mean()
    df = np.bincount(design.counts.indices, minlength=len(q))
    importance = np.sqrt(df + 0.5) * np.linalg.norm(weights, axis=1)
    return Additive(design.hashes, weights, q, bias, weighting.floor), importance
