"""List the features that weigh most for each label, as words and pairs of words that a person can read.

Only features of at least 50 training texts are listed, so that no single writer's words are published.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from candor.text.features import combine, hash_words
from candor.text.identity import Identity

from .corpus import Corpus, spellings
from .export import Additive
from .stack import full_logits

MIN_DF = 50
"""Minimum number of training texts that hold a listed n-gram."""
TOP = 20
"""N-grams listed for each label."""


def strongest_ngrams(
    model: Additive, texts: Sequence[str], labels: Sequence[str], identity: Identity | None = None
) -> dict[str, list[dict[str, Any]]]:
    """Return the heaviest n-grams of each label.

    Args:
        model: The trained model.
        texts: The texts that it was trained on.
        labels: K labels.
        identity: Terms that it does not tell apart.

    Returns:
        For each label, by descending weight and then by name: `ngram`, `weight` (its logit less the mean of the other
        labels', before the scale of a text) and `texts`, the number of texts that hold it.
    """
    words, pairs = document_counts(texts, identity)
    names = [*words, *(" ".join(pair) for pair in pairs)]
    counts = [*words.values(), *pairs.values()]
    order = np.argsort(model.hashes)
    hashes = np.concatenate([hash_words(words), _pair_hashes(list(pairs))])
    at = order[np.minimum(np.searchsorted(model.hashes[order], hashes), len(order) - 1)]
    weights = np.where((model.hashes[at] == hashes)[:, None], model.weights[at], 0.0)
    return {label: _heaviest(_contrast(weights, index), names, counts) for index, label in enumerate(labels)}


def _pair_hashes(pairs: Sequence[tuple[str, str]]) -> NDArray[np.uint32]:
    if not pairs:
        return np.empty(0, np.uint32)
    hashes = hash_words([word for pair in pairs for word in pair])
    return combine("pair", hashes, np.arange(0, len(hashes) + 1, 2))[0]


def document_counts(
    texts: Sequence[str], identity: Identity | None = None
) -> tuple[dict[str, int], dict[tuple[str, str], int]]:
    """Count the texts that hold each word and each pair of neighbours; those in too few texts are left out."""
    corpus, spelled = Corpus.of(texts, identity), spellings(texts, identity)
    documents = np.repeat(np.arange(len(corpus), dtype=np.uint64), np.diff(corpus.bounds))
    hashes, tokens = np.unique(corpus.hashes, return_inverse=True)
    frequencies = _document_frequencies(tokens, documents)
    names = [spelled[word].decode() for word in hashes.tolist()]
    frequent = frequencies >= MIN_DF
    neighbours = (documents[1:] == documents[:-1]) & frequent[tokens[1:]] & frequent[tokens[:-1]]
    keys, pairs = np.unique(tokens[:-1][neighbours] * len(names) + tokens[1:][neighbours], return_inverse=True)
    pair_frequencies = _document_frequencies(pairs, documents[1:][neighbours])
    kept = np.flatnonzero(pair_frequencies >= MIN_DF)
    firsts, seconds = np.divmod(keys[kept], max(len(names), 1))
    return (
        {names[word]: int(frequencies[word]) for word in np.flatnonzero(frequent).tolist()},
        {
            (names[first], names[second]): count
            for first, second, count in zip(
                firsts.tolist(), seconds.tolist(), pair_frequencies[kept].tolist(), strict=True
            )
        },
    )


def _document_frequencies(grams: NDArray[np.int64], documents: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return the number of documents that hold each gram, from the gram and the document of each occurrence."""
    keys = grams.astype(np.uint64) << np.uint64(32) | documents
    keys.sort()  # far quicker than np.unique, which hashes
    first = np.append(True, keys[1:] != keys[:-1])[: len(keys)]
    return np.bincount((keys[first] >> np.uint64(32)).astype(np.int64))


def _contrast(weights: NDArray[np.float64], label: int) -> NDArray[np.float64]:
    """Return [n] a label's weights less the others' mean, from weights [n, C]."""
    full = full_logits(weights)
    others = (full.sum(axis=1) - full[:, label]) / (full.shape[1] - 1)
    contrast: NDArray[np.float64] = full[:, label] - others
    return contrast


def _heaviest(weights: NDArray[np.float64], names: Sequence[str], counts: Sequence[int]) -> list[dict[str, Any]]:
    order = sorted(range(len(names)), key=lambda index: (-weights[index], names[index]))[:TOP]
    return [
        {"ngram": names[i], "weight": round(float(weights[i]), 4), "texts": int(counts[i])}
        for i in order
        if weights[i] > 0
    ]
