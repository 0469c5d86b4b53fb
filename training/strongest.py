"""List the features that weigh most for each label, as words and pairs of words that a person can read.

Only features of at least 50 training texts are listed, so that no single writer's words are published.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from tqdm import tqdm

from candor.text.features import Featuriser

from .model import WideAndDeep

MIN_DF = 50
"""Minimum number of training texts that hold a listed n-gram."""
TOP = 20
"""N-grams listed for each label."""


def strongest_ngrams(
    network: WideAndDeep, texts: Sequence[str], labels: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    """Return the heaviest n-grams of each label.

    Args:
        network: The trained network.
        texts: The texts that it was trained on.
        labels: K labels.

    Returns:
        For each label, by descending weight: `ngram`, `weight` (its logit less the mean of the other labels') and
        `texts`, the number of texts that hold it.
    """
    words, pairs = document_counts(texts, network.featuriser)
    wide = [np.asarray(table * scale) for table, scale in zip(network.wide, network.scales, strict=True)]
    grams = [" ".join(gram) for gram in pairs]
    ids = network.featuriser(list(words)).unigrams, network.featuriser(grams).bigrams
    weights = np.concatenate([table[rows] for table, rows in zip(wide, ids, strict=True)])
    names, counts = [*words, *grams], [*words.values(), *pairs.values()]
    return {label: _heaviest(_contrast(weights, index), names, counts) for index, label in enumerate(labels)}


def document_counts(texts: Sequence[str], featuriser: Featuriser) -> tuple[dict[str, int], dict[tuple[str, str], int]]:
    """Count the texts that hold each word and each pair of neighbours; those in too few texts are left out."""
    tokens = [_tokens(text, featuriser) for text in tqdm(texts, "counting words", leave=False, disable=None)]
    words = _frequent(Counter(word for each in tokens for word in set(each)))
    pairs = Counter(pair for each in tokens for pair in set(pairwise(each)) if pair[0] in words and pair[1] in words)
    return words, _frequent(pairs)


def _frequent(counts: Counter[Any]) -> dict[Any, int]:
    return {gram: count for gram, count in counts.items() if count >= MIN_DF}


def _tokens(text: str, featuriser: Featuriser) -> list[str]:
    data, starts, lengths = featuriser.tokens(text)
    return [
        data[start : start + length].decode() for start, length in zip(starts.tolist(), lengths.tolist(), strict=True)
    ]


def _contrast(weights: np.ndarray, label: int) -> np.ndarray:
    """Return [n] a label's weights less the others' mean, from weights [n, K - 1]; the first label's are 0."""
    full = np.pad(weights, ((0, 0), (1, 0)))
    others = (full.sum(axis=1) - full[:, label]) / (full.shape[1] - 1)
    contrast: np.ndarray = full[:, label] - others
    return contrast


def _heaviest(weights: np.ndarray, names: Sequence[str], counts: Sequence[int]) -> list[dict[str, Any]]:
    order = np.argsort(-weights, kind="stable")[:TOP]
    return [
        {"ngram": names[i], "weight": round(float(weights[i]), 4), "texts": int(counts[i])}
        for i in order
        if weights[i] > 0
    ]
