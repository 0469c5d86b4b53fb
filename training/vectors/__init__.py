"""Load static word vectors, distilled once from a sentence encoder, so that training needs neither it nor PyTorch.

vectors.npz.xz holds 28,000 English words in 128 dimensions. Summed over a text, they come near the text's embedding by
all-MiniLM-L6-v2. `python -m training.vectors.distil` makes the file; README.md beside it has the licence, the digests
and the provenance. No label of any data set played a part.
"""

import hashlib
import io
import lzma
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from candor.text.features import hash_words
from candor.text.identity import Identity

PATH = Path(__file__).with_name("vectors.npz.xz")
SHA256 = "09948d745f2d811e9b7709c4cdb39ac806e4ce4c431d612c9ec5c0bd7f6fc206"
"""SHA-256 (hex) of the file. `make vectors` prints it."""
STEP = 0.25
"""Step of the numbers in the file, in standard deviations."""


class Vectors(NamedTuple):
    """Words and their vectors. A text's vector is the sum of its words'."""

    words: list[str]
    """V words, sorted; each is one token of the featuriser."""
    vectors: NDArray[np.float32]
    """[V, 128], already weighted, so that frequent words are short (Arora et al. 2017)."""

    def without(self, identity: Identity | None) -> "Vectors":
        """Return the words that are no terms of `identity`, with their vectors."""
        if identity is None:
            return self
        kept = np.flatnonzero(~np.isin(hash_words(self.words), identity.hashes))
        return Vectors([self.words[index] for index in kept.tolist()], self.vectors[kept])


class VectorsError(Exception):
    """The file of vectors is missing or is another one."""


@cache
def load(path: Path = PATH, sha256: str = SHA256) -> Vectors:
    """Load the vectors: 2 MB, 0.2 seconds.

    Args:
        path: The file.
        sha256: The SHA-256 (hex) that it must have.

    Raises:
        VectorsError: The file is missing, or is damaged or another one.

    Example:
        >>> words, vectors = load()
        >>> good, great, table = (vectors[words.index(word)] for word in ("good", "great", "table"))
        >>> bool(good @ great > 2 * good @ table), vectors.shape[1]
        (True, 128)
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise VectorsError(f"{path.name} cannot be read ({error.strerror or error}); install Candor again") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise VectorsError(f"{path.name} is damaged, or not the one that this release was made with")
    return unpack(content)


def pack(words: list[str], vectors: NDArray[np.float64]) -> bytes:
    """Return the content of a file of vectors; the same vectors give the same bytes.

    One step for all columns leaves the least error at a size, as later components vary less (reverse water-filling;
    Cover and Thomas 2006, "Elements of Information Theory", 10.3). xz then needs about 4.5 bits a number.

    Args:
        words: V words.
        vectors: [V, d] their vectors; each number becomes an integer of 8 bits, off by 7 % of the standard deviation.
    """
    step = np.float32(vectors.std() * STEP)
    arrays = {
        "words": np.frombuffer("\n".join(words).encode(), np.uint8),
        "codes": np.ascontiguousarray(np.rint(vectors / step).clip(-127, 127).astype(np.int8).T),
        "step": step,
    }
    # np.savez stamps each array with 1 January 1980 and does not compress; xz does, and keeps no time.
    content = io.BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type]
    return lzma.compress(content.getvalue(), preset=9 | lzma.PRESET_EXTREME)


def unpack(content: bytes) -> Vectors:
    """Return the words and vectors of a file's content.

    Example:
        >>> unpack(pack(["bad", "good"], np.array([[-1, 0.5], [1, 0.25]]))).words
        ['bad', 'good']
    """
    arrays = np.load(io.BytesIO(lzma.decompress(content)))
    words = arrays["words"].tobytes().decode().split("\n")
    vectors = arrays["codes"].T.astype(np.float32, order="C")
    vectors *= arrays["step"]
    return Vectors(words, vectors)
