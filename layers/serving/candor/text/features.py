"""Turn text into numbers: hashed unigrams and bigrams, ragged, without a vocabulary.

Feature hashing: Weinberger et al. 2009, "Feature Hashing for Large Scale Multitask Learning". A token's hash comes from
its first 16 bytes and its length, mixed by multiply and xorshift. The top bits of the hash are its bucket, as in
multiply-shift hashing (Dietzfelbinger et al. 1997). Every step is a NumPy pass over a whole block of texts, so that a
text costs a few microseconds.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from candor.text.clean import join

VERSION = 1
"""Version of the hash. Change it whenever any text gets other buckets: bundles of other versions are refused."""

_WORD_BYTES = b"abcdefghijklmnopqrstuvwxyz0123456789'" + bytes(range(0x80, 0x100))
_PADDING = b" " * 17  # ends the last token, and lets 16 bytes be read from the start of every token


def _byte_classes() -> bytes:
    table = bytearray(b" " * 256)
    table[0] = 0  # the separator
    for byte in _WORD_BYTES:
        table[byte] = byte
    for byte in b"ABCDEFGHIJKLMNOPQRSTUVWXYZ":
        table[byte] = byte + 32
    return bytes(table)


_BYTE_CLASSES = _byte_classes()
# _SHIFT[n] is the left shift that keeps the first n bytes of a word of 8 bytes, where n bytes of the token are left.
_SHIFT = np.array([64 - 8 * n for n in range(9)], dtype=np.uint64)
_M1, _M2, _M3 = (np.uint64(m) for m in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
_HALF = np.uint64(32)


class Features(NamedTuple):
    """Ragged features of a block of n texts: u unigrams, b bigrams, and the row (text) each belongs to, ascending."""

    unigrams: NDArray[np.int32]
    """[u] bucket of each token, in [0, 2**unigram_bits)"""
    unigram_rows: NDArray[np.int32]
    """[u] row of each token, in [0, n)"""
    bigrams: NDArray[np.int32]
    """[b] bucket of each pair of neighbouring tokens, in [0, 2**bigram_bits)"""
    bigram_rows: NDArray[np.int32]
    """[b] row of each pair, in [0, n)"""
    tokens: NDArray[np.int32]
    """[n] number of tokens in each text"""


@dataclass(frozen=True)
class Featuriser:
    """Hash texts into buckets. A bundle stores these settings, so that serving cannot differ from training.

    Example:
        >>> features = Featuriser()(["A good film", ""])
        >>> features.tokens.tolist(), features.unigram_rows.tolist(), len(features.bigrams)
        ([3, 0], [0, 0, 0], 2)
    """

    unigram_bits: int = 17
    """Binary logarithm of the number of unigram buckets."""
    bigram_bits: int = 20
    """Binary logarithm of the number of bigram buckets."""
    version: int = VERSION
    """Version of the hash with which the model was trained."""

    def to_dict(self) -> dict[str, int]:
        """Return the settings as JSON-ready keyword arguments: `Featuriser(**settings.to_dict())` is an equal one."""
        return asdict(self)

    def __call__(self, texts: Sequence[str]) -> Features:
        """Return the features of a block of texts.

        A text has the same buckets alone and at any position of any block.

        Args:
            texts: The n texts of the block, as callers wrote them.

        Returns:
            Features of all n texts. A text without tokens has none.
        """
        data = _clean_bytes(texts)
        starts, lengths, bounds = _tokenize(data, len(texts))
        hashes = _hash(data, starts, lengths)
        pairs = hashes[:-1] * _M3 + hashes[1:]
        tokens = (bounds[1:] - bounds[:-1]).astype(np.int32)
        rows = np.arange(len(texts), dtype=np.int32)
        if len(texts) > 1:
            same_text = np.ones(len(pairs) + 1, dtype=bool)
            same_text[bounds[1:-1] - 1] = False
            pairs = pairs[same_text[: len(pairs)]]
        return Features(
            _bucket(hashes, self.unigram_bits),
            rows.repeat(tokens),
            _bucket(_mix(pairs), self.bigram_bits),
            rows.repeat(np.maximum(tokens - 1, 0)),
            tokens,
        )

    def tokens(self, text: str) -> tuple[bytes, NDArray[np.int64], NDArray[np.int64]]:
        """Tokenize one text.

        Args:
            text: The text as the caller wrote it.

        Returns:
            The clean text in UTF-8, then the start [u] and the length [u] of each of its u tokens, in bytes.
        """
        data = _clean_bytes([text])
        starts, lengths, _ = _tokenize(data, 1)
        return data, starts, lengths


def _clean_bytes(texts: Sequence[str]) -> bytes:
    """Return the clean texts in UTF-8 with separators between them; every byte that is no part of a word is a space."""
    return join(list(texts)).encode("utf-8", "replace").translate(_BYTE_CLASSES)


def _tokenize(data: bytes, n_texts: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return start [u] and length [u] of each token in bytes, and the index of each text's first token, [n + 1]."""
    codes = np.frombuffer(b" " + data + b" ", dtype=np.uint8)
    word = codes > 0x20
    edges = (word[1:] != word[:-1]).nonzero()[0]
    starts = edges[0::2]
    bounds = np.zeros(n_texts + 1, dtype=np.int64)
    bounds[-1] = len(starts)
    if n_texts > 1:
        bounds[1:-1] = starts.searchsorted((codes == 0).nonzero()[0] - 1)
    return starts, edges[1::2] - starts, bounds


def _hash(data: bytes, starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.uint64]:
    words = np.ndarray(shape=(len(data) + 10,), dtype="<u8", buffer=data + _PADDING, strides=(1,))
    hashes = words[starts] << _SHIFT.take(lengths, mode="clip")
    hashes *= _M1
    hashes += lengths.view(np.uint64)
    long = (lengths > 8).nonzero()[0]  # one token in eight
    rest = words[starts[long] + 8] << _SHIFT.take(lengths[long] - 8, mode="clip")
    hashes[long] = _mix(hashes[long]) + rest
    return _mix(hashes)


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread every bit to the top bits, which make the bucket."""
    mixed = values >> _HALF
    mixed ^= values
    mixed *= _M2
    return mixed


def _bucket(hashes: NDArray[np.uint64], bits: int) -> NDArray[np.int32]:
    return (hashes >> np.uint64(64 - bits)).astype(np.int32)
