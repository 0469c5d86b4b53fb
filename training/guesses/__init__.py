"""Find what a tuned encoder guesses about the reviews without a label, so that training needs neither it nor a GPU.

guesses.npz.xz holds a logit of praise for each of IMDB's 50,000 reviews without a label, for windows of a few sentences
of theirs, and for English words in a few frames. It holds no text: a review is known by its place in the order of
SHA-256. `python -m training.guesses.make` makes the file; README.md beside it has the licence, the digests and the
provenance.
"""

import hashlib
import io
import lzma
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import data

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PATH = Path(__file__).with_name("guesses.npz.xz")
SHA256 = "ac91db9b91122bb70fce50cfc928eaaaecd82e406e67f82c54014c001e065a83"
"""SHA-256 (hex) of the file. `python -m training.guesses.make pack` prints it."""
STEP = 0.25
"""Step of the logits in the file."""
FRAMES = ("{word}", "it is {word} .", "it is not {word} .")
"""What a word of training.vectors is guessed in."""

_KEY = 4  # bytes of a digest that tell which texts were held out


class Guesses(NamedTuple):
    """Logits of praise for u reviews without a label; 0 is even odds."""

    reviews: Floats
    """[u]"""
    sentences: Ints
    """[u] number of sentences of each review, as Corpus.slices counts them"""
    windows: Mapping[int, Floats]
    """By its number of sentences, the logits of all windows of all reviews, in the order of Corpus.slices"""
    words: Mapping[str, Floats]
    """By frame, [V] logits of the words of training.vectors in it"""
    held_out: NDArray[np.bool_]
    """[n] labelled reviews that the encoder has not learnt from"""


class GuessesError(Exception):
    """The file of guesses is missing or is another one."""


def find(
    texts: Sequence[str], unlabelled: Sequence[str], path: Path = PATH, sha256: str | None = None
) -> Guesses | None:
    """Find the guesses about texts without a label: 1 MB, 2 seconds.

    Args:
        texts: n labelled texts.
        unlabelled: u texts without a label, before redaction.
        path: The file.
        sha256: The SHA-256 (hex) that it must have; None: that of this release.

    Returns:
        The guesses; None if these are not the texts that the file is about. HTML line breaks don't count.

    Raises:
        GuessesError: The file is missing, or is damaged or another one.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise GuessesError(f"{path.name} cannot be read ({error.strerror or error}); install Candor again") from error
    if hashlib.sha256(content).hexdigest() != (SHA256 if sha256 is None else sha256):
        raise GuessesError(f"{path.name} is damaged, or not the one that this release was made with")
    return unpack(content, texts, unlabelled)


def pack(guesses: Guesses, texts: Sequence[str], unlabelled: Sequence[str]) -> bytes:
    """Return the content of a file of guesses; the same guesses give the same bytes.

    Args:
        guesses: Guesses about the texts. Copies of a text have those of the first.
        texts: n labelled texts.
        unlabelled: u texts without a label.
    """
    digests = _digests(unlabelled)
    distinct, first = np.unique(digests, return_index=True)
    held_out = [digest[:_KEY] for digest, held in zip(_digests(texts), guesses.held_out, strict=True) if held]
    arrays = {
        "texts": np.frombuffer(_digest_of(distinct), np.uint8),
        "held_out": np.frombuffer(b"".join(sorted(set(held_out))), np.uint8),
        "sentences": guesses.sentences[first].astype(np.uint16),
        "reviews": _codes(guesses.reviews[first]),
    }
    for size, logits in guesses.windows.items():
        arrays[f"windows.{size}"] = _codes(logits[_windows(guesses.sentences, size, first)])
    for index, frame in enumerate(FRAMES):
        arrays[f"words.{index}"] = _codes(guesses.words[frame])
    content = io.BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type]
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 0, "lp": 0, "pb": 0}]
    return lzma.compress(content.getvalue(), filters=filters)


def unpack(content: bytes, texts: Sequence[str], unlabelled: Sequence[str]) -> Guesses | None:
    """Return the guesses of a file's content about texts; None if it is about others."""
    arrays = np.load(io.BytesIO(lzma.decompress(content)))
    distinct, index = np.unique(_digests(unlabelled), return_inverse=True)
    if _digest_of(distinct) != arrays["texts"].tobytes():
        return None
    sentences = arrays["sentences"].astype(np.int64)
    keys = arrays["held_out"].tobytes()
    held_out = {keys[start : start + _KEY] for start in range(0, len(keys), _KEY)}
    windows = {int(name[8:]): arrays[name] for name in arrays.files if name.startswith("windows.")}
    return Guesses(
        STEP * arrays["reviews"][index].astype(np.float64),
        sentences[index],
        {size: STEP * codes[_windows(sentences, size, index)].astype(np.float64) for size, codes in windows.items()},
        {frame: STEP * arrays[f"words.{number}"].astype(np.float64) for number, frame in enumerate(FRAMES)},
        np.array([digest[:_KEY] in held_out for digest in _digests(texts)], bool),
    )


def _digests(texts: Sequence[str]) -> list[bytes]:
    return [hashlib.sha256(data.without_breaks(text).encode("utf-8", "surrogatepass")).digest() for text in texts]


def _digest_of(digests: Sequence[bytes] | NDArray[np.bytes_]) -> bytes:
    """Return one digest of ascending ones. NumPy drops zeros at a digest's end, so each is padded again."""
    return hashlib.sha256(b"".join(bytes(digest).ljust(32, b"\0") for digest in digests)).digest()


def _codes(logits: Floats) -> NDArray[np.int8]:
    codes: NDArray[np.int8] = np.rint(logits / STEP).clip(-127, 127).astype(np.int8)
    return codes


def _windows(sentences: Ints, size: int, texts: Ints) -> Ints:
    """Return the indices of the windows of the texts in `texts`, in its order.

    Example:
        >>> _windows(np.array([3, 1, 2]), 2, np.array([2, 0])).tolist()
        [3, 0, 1]
    """
    counts = -(-sentences // size)
    starts, chosen = np.cumsum(counts) - counts, counts[texts]
    offset = np.arange(chosen.sum()) - np.repeat(np.cumsum(chosen) - chosen, chosen)
    indices: Ints = np.repeat(starts[texts], chosen) + offset
    return indices
