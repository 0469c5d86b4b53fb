"""Make the file of guesses: `python -m training.guesses.make pieces`, then tune.py on a GPU, then `… make pack`.

`pieces` cuts IMDB's reviews into the encoder's word pieces, token by token of ours, so that windows of both are the
same. `pack` averages the logits of tune.py's models, calibrates them on reviews that no model has learnt from, and
rounds them.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from candor.redact.sieve import redact_texts
from candor.text.tokens import tokenize, words_of

from .. import data, learn, stack, vectors
from ..corpus import Corpus
from ..encoder import package_folder
from ..lessons import negations
from . import FRAMES, PATH, Guesses, pack

REVIEWS = {"self1": 0.77, "self2": 0.9, "halfway": 1.0, "wide3": 0.6}
"""Weight of each model of tune.py in guesses about reviews. Those that know films best."""
WINDOWS = {"halfway": 1.0, "self1": 0.6, "self2": 0.6, "wide1": 0.4, "wide2": 0.6, "wide3": 0.8}
"""In guesses about windows."""
WORDS = {"wide1": 1.0, "wide2": 1.0, "wide3": 1.0, "halfway": 1.0}
"""In guesses about words. Those that know most beside films."""
SEED = 1  # of `make train`: the fold that it holds out is held out here, too

Floats = NDArray[np.float64]


@click.group()
def make() -> None:
    """Make the file of guesses."""


@make.command()
@click.argument("reviews", type=click.Path(path_type=Path))
@click.argument("work", type=click.Path(path_type=Path))
def pieces(reviews: Path, work: Path) -> None:
    """Write what tune.py reads to WORK, from REVIEWS: IMDB as a folder or an archive."""
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    dataset = data.load(reviews)
    texts, unlabelled = redact_texts(dataset.texts), redact_texts(dataset.unlabelled)
    learning, held_out = learn.Plan.of(learn.Texts(texts, dataset.targets, 2, unlabelled), SEED).folds[0]
    lessons = negations()
    groups = {
        "labelled": [texts[row] for row in learning],
        "held_out": [texts[row] for row in held_out],
        "unlabelled": unlabelled,
        "lessons": [text for text, _ in lessons],
    }
    for number, frame in enumerate(FRAMES):
        groups[f"words.{number}"] = [frame.format(word=word) for word in vectors.load().words]
    tokenizer = Tokenizer.from_file(str(package_folder() / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    arrays: dict[str, Any] = {
        "labelled.targets": dataset.targets[learning],
        "held_out.targets": dataset.targets[held_out],
        "lessons.targets": np.array([praise for _, praise in lessons], np.int64),
    }
    known: dict[bytes, list[int]] = {}
    for name, group in groups.items():
        arrays.update({f"{name}.{part}": values for part, values in cut(group, tokenizer, known).items()})
    work.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(work / "pieces.npz", **arrays)
    weights = load_file(package_folder() / "model.safetensors")
    weights["embeddings.position_embeddings.weight"] += weights["embeddings.token_type_embeddings.weight"][0]
    np.savez(work / "encoder.npz", **weights)


def cut(texts: Sequence[str], tokenizer: Any, known: dict[bytes, list[int]]) -> dict[str, NDArray[Any]]:
    """Cut texts into word pieces.

    Args:
        texts: n texts.
        tokenizer: A `tokenizers.Tokenizer`.
        known: The pieces of each token so far; new ones are added.

    Returns:
        "ids", the pieces of all texts, end to end; "bounds" [n + 1], where each text begins; "ends", where sentences
        end; "sentences" [n], how many each text has.
    """
    corpus, tokens = Corpus.of(texts), words_of(tokenize(texts))
    new = sorted(set(tokens) - known.keys())
    encoded = tokenizer.encode_batch([token.decode("utf-8", "replace") for token in new], add_special_tokens=False)
    known.update(zip(new, (each.ids for each in encoded), strict=True))
    lengths = np.array([len(known[token]) for token in tokens], np.int64)
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    last, _ = corpus.slices(1)
    return {
        "ids": np.array([piece for token in tokens for piece in known[token]], np.uint16),
        "bounds": starts[corpus.bounds],
        "ends": starts[last.bounds[1:]],
        "sentences": corpus.sentences(),
    }


@make.command("pack")
@click.argument("reviews", type=click.Path(path_type=Path))
@click.argument("work", type=click.Path(path_type=Path))
@click.option("--output", type=click.Path(path_type=Path), default=PATH, show_default="in place", help="File to write.")
def pack_guesses(reviews: Path, work: Path, output: Path) -> None:
    """Write the file of guesses about REVIEWS from what tune.py left in WORK, and print its SHA-256."""
    dataset = data.load(reviews)
    texts, unlabelled = redact_texts(dataset.texts), redact_texts(dataset.unlabelled)
    _, held_out = learn.Plan.of(learn.Texts(texts, dataset.targets, 2, unlabelled), SEED).folds[0]
    targets, mask = dataset.targets[held_out], np.zeros(len(texts), bool)
    mask[held_out] = True
    corpus = Corpus.of([texts[row] for row in held_out])
    models = {name: dict(np.load(work / f"{name}.npz")) for name in {**REVIEWS, **WINDOWS, **WORDS}}

    def calibrated(suffix: str, weights: Mapping[str, float], truth: NDArray[np.int64]) -> Floats:
        scalar = stack.fit_scalars([mean(models, f"held_out{suffix}", weights)[:, None]], truth)[0]
        return mean(models, f"unlabelled{suffix}", weights) * float(scalar)

    sizes = sorted(int(name[11:]) for name in next(iter(models.values())) if name.startswith("unlabelled."))
    guesses = Guesses(
        calibrated("", REVIEWS, targets),
        Corpus.of(unlabelled).sentences(),
        {size: calibrated(f".{size}", WINDOWS, targets[corpus.slices(size)[1]]) for size in sizes},
        {frame: mean(models, f"words.{number}", WORDS) for number, frame in enumerate(FRAMES)},
        mask,
    )
    content = pack(guesses, dataset.texts, dataset.unlabelled)
    output.write_bytes(content)
    click.echo(f"{output}: {len(content):,} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}")


def mean(models: Mapping[str, Mapping[str, NDArray[Any]]], name: str, weights: Mapping[str, float]) -> Floats:
    """Return the weighted mean of models' logits.

    Example:
        >>> mean({"a": {"x": np.array([1.0])}, "b": {"x": np.array([4.0])}}, "x", {"a": 2, "b": 1}).tolist()
        [2.0]
    """
    total: Floats = np.sum([weight * models[each][name].astype(np.float64) for each, weight in weights.items()], axis=0)
    return total / sum(weights.values())


if __name__ == "__main__":
    make()
