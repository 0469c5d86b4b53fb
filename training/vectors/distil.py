"""Distil static word vectors from the sentence encoder: `make vectors`, or `python -m training.vectors.distil`.

Each word is encoded alone. Its embedding is centred and multiplied by 1e-3 / (1e-3 + p(word)): smooth inverse frequency
(Arora et al. 2017, "A Simple but Tough-to-Beat Baseline for Sentence Embeddings"). Then all vectors are fitted to
24,000 sentences, so that the sum of a sentence's words comes near the encoder's embedding of the sentence: a word alone
does not show what it does to others. At last they are reduced to the 128 principal components of the words.

Words, frequencies and sentences come from IMDB's training reviews, those without a label included. Which label a review
has is not looked at, and its test split is not read.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import compress
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from candor.text.clean import strip_tags
from candor.text.tokens import tokenize, words_of

from .. import data
from ..encoder import Encoder, EncoderError
from . import PATH, pack

DIMENSIONS = 128
MIN_DF = 30  # reviews that a word must be in, unless the encoder has it whole: rarer ones are names and slips
SIF = 1e-3
SENTENCES = 24_000  # reviews that give one; 8,000 explain 4 points less of the variance of others than 18,000
WORDS_A_SENTENCE = range(3, 25)
RIDGE = 1.0  # of 0.3, 1, 3 and 10 the best on held-out sentences
STEPS = 60  # of conjugate gradients; 30 explain 0.1 points less

_SENTENCE_END = re.compile(r"(?<=[.!?;])\s+")

Floats = NDArray[np.float64]


@click.command()
@click.argument("reviews", type=click.Path(path_type=Path), required=False)
@click.option("--output", type=click.Path(path_type=Path), default=PATH, help="File to write.", show_default="in place")
def distil(reviews: Path | None, output: Path) -> None:
    """Distil word vectors from the encoder and from REVIEWS, IMDB's as a folder or an archive.

    Without REVIEWS the official archive is downloaded to .data (84 MB). Takes some 8 minutes on one core.
    """
    try:
        encoder = Encoder.load()
        dataset = data.load(reviews)
    except (EncoderError, data.DataError) as error:
        raise click.ClickException(f"{error.problem}\nhint: {error.hint}") from None
    texts = sorted([*dataset.texts, *dataset.unlabelled])  # they come by label; sorted, none of it is left
    occurrences, in_texts = count(texts)
    whole = own_tokens(word for word in encoder.tokenizer.get_vocab() if not word.startswith(("##", "[")))
    words = sorted(whole | {word for word, n in in_texts.items() if n >= MIN_DF})
    frequencies = np.array([occurrences[word] for word in words]) / occurrences.total()
    centred = _centred(encoder.encode(words, "words"))
    sentences = sample(texts, SENTENCES)
    vectors = refit(centred * sif(frequencies)[:, None], sentences, words, _centred(encoder.encode(sentences)))
    content = pack(words, vectors @ loadings(centred))
    output.write_bytes(content)
    click.echo(
        f"{len(words):,} words: {len(whole):,} of the encoder, others in {MIN_DF} of {len(texts):,} reviews or more\n"
        f"{len(sentences):,} sentences\n"
        f"reviews: {dataset.name}, digest {dataset.digest}\n"
        f"{output.name}: {len(content):,} bytes\n"
        f'SHA256 = "{hashlib.sha256(content).hexdigest()}"'
    )


def count(texts: Sequence[str]) -> tuple[Counter[str], Counter[str]]:
    """Return each word's occurrences, and the number of texts that it is in."""
    occurrences, in_texts = Counter[str](), Counter[str]()
    for text in tqdm(texts, desc="counting", unit=" texts", leave=False, disable=None):
        words = Counter(tokens(text))
        occurrences.update(words)
        in_texts.update(words.keys())
    return occurrences, in_texts


def sample(texts: Sequence[str], n: int, seed: int = 0) -> list[str]:
    """Return a sentence of WORDS_A_SENTENCE words from each of n texts drawn at random; texts without one give none.

    Example:
        >>> sample(["<b>Dull.</b> A film about nothing. See it."], 9)
        ['A film about nothing.']
    """
    random = np.random.default_rng(seed)
    sentences = []
    for index in random.permutation(len(texts))[:n]:
        parts = map(str.strip, _SENTENCE_END.split(strip_tags(texts[index])))
        fitting = [part for part in parts if len(part.split()) in WORDS_A_SENTENCE]
        if fitting:
            sentences.append(fitting[random.integers(len(fitting))])
    return sentences


def tokens(text: str) -> list[str]:
    """Return the words of a text as the featuriser cuts it, without punctuation marks.

    Example:
        >>> tokens("It's NOT bad!")
        ["it's", 'not', 'bad']
    """
    found = tokenize([text])
    return [token.decode("utf-8", "replace") for token in compress(words_of(found), found.is_word)]


def own_tokens(words: Iterable[str]) -> set[str]:
    """Return the words that a text can have as one token: no capitals, no punctuation.

    Example:
        >>> sorted(own_tokens(["good", "Good", "so-so", "don't", "é", "!"]))
        ["don't", 'good', 'é']
    """
    return {word for word in words if tokens(word) == [word]}


def refit(vectors: Floats, sentences: Sequence[str], words: Sequence[str], embeddings: Floats) -> Floats:
    """Move vectors so that their sums come near the embeddings of sentences: ridge regression towards where they are.

    A sum is divided by the root of its number of words, and all sums by one scale. A word of no sentence stays.

    Args:
        vectors: [V, d] of the words.
        sentences: s texts.
        words: V words.
        embeddings: [s, d] of the sentences, centred.

    Returns:
        [V, d] vectors.
    """
    counts = _mean_counts(sentences, words)
    sums = counts @ vectors
    centred = _centred(sums)
    scale = (centred * embeddings).sum() / (centred**2).sum()
    # Conjugate gradients (Hestenes and Stiefel 1952) for (CᵀC + RIDGE) move = Cᵀ rest, each dimension by itself.
    move = np.zeros_like(vectors)
    residual = counts.T @ (embeddings - scale * centred)
    direction, power = residual.copy(), (residual**2).sum(0)
    for _ in range(STEPS):
        image = counts.T @ (counts @ direction) + RIDGE * direction
        step = power / np.maximum((direction * image).sum(0), 1e-12)
        move += step * direction
        residual -= step * image
        power, before = (residual**2).sum(0), power
        direction = residual + power / np.maximum(before, 1e-12) * direction
    moved: Floats = vectors + move / scale
    return moved


def _mean_counts(sentences: Sequence[str], words: Sequence[str]) -> Any:
    """Return how often each word occurs in each sentence, over the root of its known words: sparse [s, V]."""
    from scipy.sparse import csr_array

    index = {word: column for column, word in enumerate(words)}
    columns = [[index[word] for word in tokens(sentence) if word in index] for sentence in sentences]
    lengths = np.array([len(found) for found in columns])
    values = np.repeat(1 / np.sqrt(np.maximum(lengths, 1)), lengths)
    rows = np.repeat(np.arange(len(sentences)), lengths)
    return csr_array(
        (values, (rows, np.array([column for found in columns for column in found], np.int64))),
        shape=(len(sentences), len(words)),
    )


def loadings(centred: Floats, dimensions: int = DIMENSIONS) -> Floats:
    """Return the principal axes [d, dimensions] of centred embeddings [V, d], in falling order of variance.

    The sign of an axis is free; the largest number of each is made positive, so that every machine chooses alike.
    """
    axes: Floats = np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :dimensions]
    axes *= np.sign(axes[np.abs(axes).argmax(0), np.arange(axes.shape[1])])
    return axes


def _centred(embeddings: NDArray[Any]) -> Floats:
    """Return embeddings [n, d] in float64, less their mean."""
    exact = embeddings.astype(np.float64)
    centred: Floats = exact - exact.mean(0)
    return centred


def sif(frequencies: Floats) -> Floats:
    """Return the weights of words by smooth inverse frequency.

    Example:
        >>> sif(np.array([0, 1e-3])).tolist()
        [1.0, 0.5]
    """
    weights: Floats = SIF / (SIF + frequencies)
    return weights


if __name__ == "__main__":
    distil()
