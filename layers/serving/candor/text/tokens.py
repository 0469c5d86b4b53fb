"""Cut texts into tokens: words, and punctuation marks that stand alone. One NumPy pass over a whole block of texts."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from candor.text.clean import join

Ints = NDArray[np.int64]

PUNCTUATION = b'!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~'
"""ASCII marks that are tokens. An apostrophe is part of a word."""

PADDING = b" " * 17
"""Ends the last token of a block, and lets 16 bytes be read from the start of every token."""

_WORD_BYTES = b"abcdefghijklmnopqrstuvwxyz0123456789'" + bytes(range(0x80, 0x100))
_SPACE = 0x20
# In clean data a mark is its place in PUNCTUATION plus one, so that comparisons tell words from marks.
_MARKS = bytes(range(1, len(PUNCTUATION) + 1))


def _byte_classes() -> bytes:
    table = bytearray(b" " * 256)
    table[0] = 0  # the separator
    for byte in _WORD_BYTES:
        table[byte] = byte
    for byte in b"ABCDEFGHIJKLMNOPQRSTUVWXYZ":
        table[byte] = byte + 32
    for byte, code in zip(PUNCTUATION, _MARKS, strict=True):
        table[byte] = code
    return bytes(table)


_BYTE_CLASSES = _byte_classes()
# Bytes below the first mark wrap around to values above the last.
_FIRST_MARK, _N_MARKS = np.array(_MARKS[0], np.uint8), np.array(len(_MARKS), np.uint8)
_LAST_NO_WORD = np.array(_SPACE, np.uint8)
_READABLE = bytes.maketrans(_MARKS, PUNCTUATION)


class Tokens(NamedTuple):
    """The t tokens of a block of n texts, in order."""

    data: bytes
    """The clean texts, encoded by `encode`, with separators, then PADDING."""
    starts: Ints
    """[t] where each token begins, in bytes of `data`"""
    lengths: Ints
    """[t] bytes of each token"""
    bounds: Ints
    """[n + 1] index of each text's first token, then t"""
    is_word: NDArray[np.bool_]
    """[t] True for a word, False for a punctuation mark"""


def tokenize(texts: Sequence[str]) -> Tokens:
    """Cut a block of texts into tokens.

    A word is a run of letters, digits and apostrophes. Each ASCII punctuation mark is a token of its own.

    Args:
        texts: The n texts of the block, as callers wrote them.

    Returns:
        Their tokens. A text has the same tokens alone and at any position of any block.

    Example:
        >>> words_of(tokenize(["Isn't it GOOD?!"]))
        [b"isn't", b'it', b'good', b'?', b'!']
    """
    data = join(texts, PADDING).translate(_BYTE_CLASSES)
    codes = np.frombuffer(data, dtype=np.uint8)
    in_word, mark = codes > _LAST_NO_WORD, codes - _FIRST_MARK < _N_MARKS
    # A mark begins and ends anywhere, a word only where no word goes on.
    begins = in_word[1:] > in_word[:-1]
    begins |= mark[1:]
    ends = in_word[:-1] > in_word[1:]
    ends |= mark[:-1]
    starts, lengths = begins.nonzero()[0], ends.nonzero()[0]
    lengths -= starts
    starts += 1
    bounds = np.zeros(len(texts) + 1, dtype=np.int64)
    bounds[-1] = len(starts)
    if len(texts) > 1:
        bounds[1:-1] = starts.searchsorted((codes == 0).nonzero()[0][1:-1])
    return Tokens(data, starts, lengths, bounds, in_word.take(starts))


def encode(text: str) -> bytes:
    """Return clean text in UTF-8, in lower case; bytes of no token are spaces, and marks have codes of their own."""
    return text.encode("utf-8", "replace").translate(_BYTE_CLASSES)


def words_of(tokens: Tokens) -> list[bytes]:
    """Return the t tokens as bytes that a person can read."""
    data = tokens.data.translate(_READABLE)
    ends = tokens.starts + tokens.lengths
    return [data[start:end] for start, end in zip(tokens.starts.tolist(), ends.tolist(), strict=True)]
