"""Small bundles of made-up models, exported as training exports real ones."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from candor.model import bundle
from candor.model.classifier import Classifier
from candor.text.features import char_grams, combine, hash_tokens
from candor.text.tokens import tokenize
from training.export import Additive

WORDS = {
    "good": 1.2, "wonderful": 2.0, "great": 1.5, "moving": 0.9, "bad": -1.3, "boring": -1.9, "dull": -1.6,
    "waste": -2.0, "not": -0.4, "a": 0.02, "the": 0.01, "film": 0.05, "of": -0.02, "time": -0.1, "very": 0.1,
    "it": 0.0, "is": 0.03, "was": -0.05, "and": 0.04, "but": -0.15, "!": 0.3, "?": -0.3, ",": 0.02, ".": 0.01,
    '"': -0.03, "-": 0.05,
}  # fmt: skip
"""Words and marks that the made-up models know, and their weights."""
TEXTS = [" ".join(WORDS)] + [f"it is {left} {right}, not a {left} film." for left in WORDS for right in ("good", "bad")]
"""Texts whose n-grams the made-up models know."""


def additive(kinds: Sequence[str] = ("word", "pair"), labels: int = 2, seed: int = 0) -> Additive:
    """Return a model of the kinds' features in TEXTS: for two labels the words weigh what WORDS says."""
    random = np.random.default_rng(seed)
    tokens = tokenize(TEXTS)
    hashes = hash_tokens(tokens)
    parts = [combine(kind, hashes, tokens.bounds)[0] for kind in kinds if kind != "char"]
    if "char" in kinds:
        parts.append(char_grams([word.encode() for word in WORDS if word.isalpha()])[0])
    every = np.unique(np.concatenate(parts))
    columns = labels if labels > 2 else 1
    weights = random.normal(0, 0.3, (len(every), columns))
    words = hash_tokens(tokenize(WORDS))
    places = every.searchsorted(words)
    weights[places, -1] = [*WORDS.values()]
    q = random.uniform(0.1, 2, len(every))
    return Additive(every, weights, q, random.normal(0, 0.2, columns), floor=4.0)


def model_json(kinds: Sequence[str], labels: Sequence[str], **changes: Any) -> dict[str, Any]:
    """Return a model.json with all that the classifier needs."""
    return {
        "name": "made-up",
        "version": "1",
        "created": "2026-01-01T00:00:00Z",
        "labels": [*labels],
        "metrics": {},
        "data": {},
        "licence": "CC0-1.0",
        "featuriser": {"kinds": [*kinds], "version": 3},
        "evidence": {"min_known_share": 0.5, "min_known_words": 2},
        "scripts": ["LATIN"],
        "min_confidence": 0.7,
        "redacts": False,
        "drift": {},
    } | changes


def files(
    kinds: Sequence[str] = ("word", "pair"),
    labels: Sequence[str] = ("negative", "positive"),
    bits: int = 16,
    **changes: Any,
) -> Mapping[str, bytes]:
    """Return the files of a bundle. Changes are keys of its model.json."""
    model = additive(kinds, len(labels))
    return {"model.json": bundle.canonical(model_json(kinds, labels, **changes)), **model.to_files(bits)}


def classifier(folder: Path, **options: Any) -> Classifier:
    """Write a bundle into an existing folder and load it. Options are those of `files`."""
    bundle.write(folder, files(**options))
    return Classifier.load(folder)
