"""From text to numbers: hashed unigrams and bigrams, ragged, without a vocabulary.

Feature hashing: Weinberger et al. 2009, "Feature Hashing for Large Scale Multitask Learning". A token's hash comes from
its first 16 bytes and its length, mixed by multiply and xorshift (the finaliser of Steele et al. 2014, SplitMix64).
Every step is a NumPy pass over a whole block of texts, so a block costs a few microseconds a text.
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
_LOW_MASK = np.array([(1 << 8 * min(n, 8)) - 1 for n in range(17)], dtype=np.uint64)
_HIGH_MASK = np.array([(1 << 8 * max(n - 8, 0)) - 1 for n in range(17)], dtype=np.uint64)
_M1, _M2, _M3, _M4 = (
    np.uint64(m) for m in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0xD6E8FEB86659FD93)
)
_S31, _S29 = np.uint64(31), np.uint64(29)


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
        data = text_module.join(list(texts)).encode("utf-8", "replace").translate(_BYTE_CLASSES)
        starts, ends, separators = _tokens(data)
        edges = np.searchsorted(starts, separators)
        tokens = np.diff(edges, prepend=0, append=len(starts))[: len(texts)].astype(np.int32)
        rows = np.repeat(np.arange(len(texts), dtype=np.int32), tokens)
        hashes = _hash(data, starts, ends - starts)
        inside = rows[1:] == rows[:-1]
        bigrams = _bucket(_mix(hashes[:-1] * _M4 + hashes[1:])[inside], self.bigram_bits)
        return Features(_bucket(hashes, self.unigram_bits), rows, bigrams, rows[1:][inside], tokens)


def _tokens(data: bytes) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Starts and ends of the runs of word bytes, and where the separators stand."""
    codes = np.frombuffer(b" " + data + b" ", dtype=np.uint8)
    word = codes > 0x20
    edges = np.flatnonzero(word[1:] != word[:-1])
    return edges[0::2], edges[1::2], np.flatnonzero(codes[1:-1] == 0)


def _hash(data: bytes, starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.uint64]:
    words = np.ndarray(shape=(len(data) + 9,), dtype="<u8", buffer=data + _PADDING, strides=(1,))
    clipped = np.minimum(lengths, 16)
    low = words[starts] & _LOW_MASK[clipped]
    high = words[starts + np.minimum(lengths, 8)] & _HIGH_MASK[clipped]
    return _mix(_mix(low * _M1 + lengths.astype(np.uint64)) + high * _M4)


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    values = (values ^ (values >> _S31)) * _M2
    values = (values ^ (values >> _S29)) * _M3
    return values ^ (values >> _S31)


def _bucket(hashes: NDArray[np.uint64], bits: int) -> NDArray[np.int32]:
    return (hashes >> np.uint64(64 - bits)).astype(np.int32)
