"""Distil static word vectors from the sentence encoder: `make vectors`, or `python -m training.vectors.distil`.

Each word is encoded alone. Its embedding is centred, reduced to 128 principal components, and multiplied by
1e-3 / (1e-3 + p(word)): smooth inverse frequency (Arora et al. 2017, "A Simple but Tough-to-Beat Baseline for Sentence
Embeddings"). Words and frequencies come from IMDB's training reviews, those without a label included. Which label a
review has is not looked at, and its test split is not read.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from candor.text.tokens import is_word, tokenize, words_of

from .. import data
from ..encoder import Encoder, EncoderError
from . import PATH, pack

DIMENSIONS = 128
MIN_DF = 30  # reviews that a word must be in, unless the encoder has it whole: rarer ones are names and slips
SIF = 1e-3

Floats = NDArray[np.float64]


@click.command()
@click.argument("reviews", type=click.Path(path_type=Path), required=False)
@click.option("--output", type=click.Path(path_type=Path), default=PATH, help="File to write.", show_default="in place")
def distil(reviews: Path | None, output: Path) -> None:
    """Distil word vectors from the encoder and from REVIEWS, IMDB's as a folder or an archive.

    Without REVIEWS the official archive is downloaded to .data (84 MB). Takes some 3 minutes on one core.
    """
    try:
        encoder = Encoder.load()
        dataset = data.load(reviews)
    except (EncoderError, data.DataError) as error:
        raise click.ClickException(f"{error.problem}\nhint: {error.hint}") from None
    n_texts, occurrences, in_texts = count([dataset.texts, dataset.unlabelled])
    whole = own_tokens(word for word in encoder.tokenizer.get_vocab() if not word.startswith(("##", "[")))
    words = sorted(whole | {word for word, n in in_texts.items() if n >= MIN_DF})
    frequencies = np.array([occurrences[word] for word in words]) / occurrences.total()
    components = reduce(encoder.encode(words, "words").astype(np.float64))
    content = pack(words, components, sif(frequencies))
    output.write_bytes(content)
    click.echo(
        f"{len(words):,} words: {len(whole):,} of the encoder, others in {MIN_DF} of {n_texts:,} reviews or more\n"
        f"reviews: {dataset.name}, digest {dataset.digest}\n"
        f"{output.name}: {len(content):,} bytes\n"
        f'SHA256 = "{hashlib.sha256(content).hexdigest()}"'
    )


def count(collections: Iterable[Sequence[str]]) -> tuple[int, Counter[str], Counter[str]]:
    """Return the number of texts, each word's occurrences, and the number of texts that each word is in."""
    n_texts, occurrences, in_texts = 0, Counter[str](), Counter[str]()
    for texts in collections:
        for text in tqdm(texts, desc="words", unit=" texts", leave=False, disable=None):
            n_texts += 1
            words = Counter(tokens(text))
            occurrences.update(words)
            in_texts.update(words.keys())
    return n_texts, occurrences, in_texts


def tokens(text: str) -> list[str]:
    """Return the words of a text, as the featuriser cuts it.

    Example:
        >>> tokens("It's NOT bad!")
        ["it's", 'not', 'bad']
    """
    cut = tokenize([text])
    words = zip(words_of(cut), is_word(cut).tolist(), strict=True)
    return [word.decode("utf-8", "replace") for word, is_one in words if is_one]


def own_tokens(words: Iterable[str]) -> set[str]:
    """Return the words that a text can have as one token: no capitals, no punctuation.

    Example:
        >>> sorted(own_tokens(["good", "Good", "so-so", "don't", "é", "!"]))
        ["don't", 'good', 'é']
    """
    return {word for word in words if tokens(word) == [word]}


def reduce(embeddings: Floats, dimensions: int = DIMENSIONS) -> Floats:
    """Return the principal components [V, dimensions] of embeddings [V, d], in falling order of variance.

    The sign of a component is free; the largest loading of each is made positive, so that every machine chooses alike.
    """
    centred = embeddings - embeddings.mean(0)
    loadings = np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :dimensions]
    loadings *= np.sign(loadings[np.abs(loadings).argmax(0), np.arange(loadings.shape[1])])
    components: Floats = centred @ loadings
    return components


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
