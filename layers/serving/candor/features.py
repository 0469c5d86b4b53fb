"""From text to numbers: hashed unigrams and bigrams, ragged, without a vocabulary.

Feature hashing: Weinberger et al. 2009, "Feature Hashing for Large Scale Multitask Learning". A token's hash comes from
its first 16 bytes and its length, mixed by multiply and xorshift; its top bits are the bucket, as in multiply-shift
hashing (Dietzfelbinger et al. 1997). Every step is a NumPy pass over a whole block of texts, which so
cost a few microseconds each.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from candor import text as text_module

VERSION = 1

_WORD_BYTES = b"abcdefghijklmnopqrstuvwxyz0123456789'" + bytes(range(0x80, 0x100))
_PADDING = b" " * 17  # so that 16 bytes can be read from every token start, and the last token ends


def _byte_classes() -> bytes:
    table = bytearray(b" " * 256)
    table[0] = 0  # the separator
    for byte in _WORD_BYTES:
        table[byte] = byte
    for byte in b"ABCDEFGHIJKLMNOPQRSTUVWXYZ":
        table[byte] = byte + 32
    return bytes(table)


_BYTE_CLASSES = _byte_classes()
# Left shifts that drop what follows the n bytes that a token has left, from a word of 8 bytes.
_SHIFT = np.array([64 - 8 * n for n in range(9)], dtype=np.uint64)
_M1, _M2, _M3 = (np.uint64(m) for m in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
_HALF = np.uint64(32)


class Features(NamedTuple):
    """The features of a block of n texts, ragged: `rows` says which text each id belongs to, in ascending order."""

    unigrams: NDArray[np.int32]
    """[u] bucket of each token, in [0, 2**unigram_bits)"""
    unigram_rows: NDArray[np.int32]
    """[u] in [0, n)"""
    bigrams: NDArray[np.int32]
    """[b] bucket of each two neighbours, in [0, 2**bigram_bits)"""
    bigram_rows: NDArray[np.int32]
    """[b] in [0, n)"""
    tokens: NDArray[np.int32]
    """[n] number of tokens of each text"""


@dataclass(frozen=True)
class Featuriser:
    """The settings that make ids; a bundle carries them, so serving can't differ from training."""

    unigram_bits: int = 17
    bigram_bits: int = 20
    version: int = VERSION

    def to_dict(self) -> dict[str, int]:
        return asdict(self)

    def __call__(self, texts: Sequence[str]) -> Features:
        """Features of a block of texts. The same text gives the same ids alone and anywhere in any block."""
        data = _data(texts)
        starts, lengths, bounds = _tokens(data, len(texts))
        hashes = _hash(data, starts, lengths)
        pairs = hashes[:-1] * _M3 + hashes[1:]
        tokens = (bounds[1:] - bounds[:-1]).astype(np.int32)
        texts_each = np.arange(len(texts), dtype=np.int32)
        if len(texts) > 1:
            within = np.ones(len(pairs) + 1, dtype=bool)
            within[bounds[1:-1] - 1] = False
            pairs = pairs[within[: len(pairs)]]
        return Features(
            _bucket(hashes, self.unigram_bits),
            texts_each.repeat(tokens),
            _bucket(_mix(pairs), self.bigram_bits),
            texts_each.repeat(np.maximum(tokens - 1, 0)),
            tokens,
        )

    def tokens(self, text: str) -> tuple[bytes, NDArray[np.int64], NDArray[np.int64]]:
        """The clean text in UTF-8, and where in it each token starts and how long it is, in bytes."""
        data = _data([text])
        starts, lengths, _ = _tokens(data, 1)
        return data, starts, lengths


def _data(texts: Sequence[str]) -> bytes:
    """Clean texts, a separator between each two of them, with all that is no part of a word a space."""
    return text_module.join(list(texts)).encode("utf-8", "replace").translate(_BYTE_CLASSES)


def _tokens(data: bytes, texts: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Where the runs of word bytes start, how long they are, and which of them each text begins at [texts + 1]."""
    codes = np.frombuffer(b" " + data + b" ", dtype=np.uint8)
    word = codes > 0x20
    edges = (word[1:] != word[:-1]).nonzero()[0]
    starts = edges[0::2]
    bounds = np.zeros(texts + 1, dtype=np.int64)
    bounds[-1] = len(starts)
    if texts > 1:
        bounds[1:-1] = starts.searchsorted((codes == 0).nonzero()[0] - 1)
    return starts, edges[1::2] - starts, bounds


def _hash(data: bytes, starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.uint64]:
    words = np.ndarray(shape=(len(data) + 10,), dtype="<u8", buffer=data + _PADDING, strides=(1,))
    hashes = words[starts] << _SHIFT.take(lengths, mode="clip")
    hashes *= _M1
    hashes += lengths.view(np.uint64)
    long = (lengths > 8).nonzero()[0]  # one in eight
    rest = words[starts[long] + 8] << _SHIFT.take(lengths[long] - 8, mode="clip")
    hashes[long] = _mix(hashes[long]) + rest
    return _mix(hashes)


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spreads every bit to the top ones, which are what a bucket is made of."""
    mixed = values >> _HALF
    mixed ^= values
    mixed *= _M2
    return mixed


def _bucket(hashes: NDArray[np.uint64], bits: int) -> NDArray[np.int32]:
    return (hashes >> np.uint64(64 - bits)).astype(np.int32)
