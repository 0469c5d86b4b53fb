"""The features that weigh most for each label, as words and pairs of words that a person can read.

Only those that at least 50 training texts hold, so that no single writer's words are published.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from tqdm import tqdm

from candor.features import Featuriser
from training.model import WideAndDeep

LEAST_TEXTS = 50
SHOWN = 20  # a label


def strongest(network: WideAndDeep, texts: Sequence[str], labels: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """By label its heaviest n-grams, each with its weight (logit less the mean of the others') and number of texts."""
    words, pairs = counted(texts, network.featuriser)
    wide = [np.asarray(table * scale) for table, scale in zip(network.wide, network.scales, strict=True)]
    grams = [" ".join(gram) for gram in pairs]
    ids = network.featuriser(list(words)).unigrams, network.featuriser(grams).bigrams
    weights = np.concatenate([table[index] for table, index in zip(wide, ids, strict=True)])
    names, counts = [*words, *grams], [*words.values(), *pairs.values()]
    return {label: _heaviest(_contrast(weights, place), names, counts) for place, label in enumerate(labels)}


def counted(texts: Sequence[str], featuriser: Featuriser) -> tuple[dict[str, int], dict[tuple[str, str], int]]:
    """How many texts hold each word, and each two neighbours, that enough of them do."""
    tokens = [_tokens(text, featuriser) for text in tqdm(texts, "counting words", leave=False, disable=None)]
    words = _enough(Counter(word for each in tokens for word in set(each)))
    pairs = Counter(pair for each in tokens for pair in set(pairwise(each)) if pair[0] in words and pair[1] in words)
    return words, _enough(pairs)


def _enough(counts: Counter[Any]) -> dict[Any, int]:
    return {gram: count for gram, count in counts.items() if count >= LEAST_TEXTS}


def _tokens(text: str, featuriser: Featuriser) -> list[str]:
    data, starts, lengths = featuriser.tokens(text)
    return [
        data[start : start + length].decode() for start, length in zip(starts.tolist(), lengths.tolist(), strict=True)
    ]


def _contrast(weights: np.ndarray, label: int) -> np.ndarray:
    """[n] of weights [n, K - 1] of the labels after the first, whose own are 0."""
    full = np.pad(weights, ((0, 0), (1, 0)))
    others = (full.sum(axis=1) - full[:, label]) / (full.shape[1] - 1)
    contrast: np.ndarray = full[:, label] - others
    return contrast


def _heaviest(weights: np.ndarray, names: Sequence[str], counts: Sequence[int]) -> list[dict[str, Any]]:
    order = np.argsort(-weights, kind="stable")[:SHOWN]
    return [
        {"ngram": names[i], "weight": round(float(weights[i]), 4), "texts": int(counts[i])}
        for i in order
        if weights[i] > 0
    ]
