"""Locate each token in the caller's own text, in code points, through a clean-up that changes lengths.

The clean-up is a chain of replacements. Each replacement is kept as the span it replaced, so that an offset in its
output maps back to an offset in its input, and from step to step to the text as it was sent.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from candor.text import references
from candor.text.clean import NON_ASCII, TAGS, replacement
from candor.text.tokens import tokenize

Span = tuple[int, int]
"""Begin and end (exclusive) of a stretch of text, in code points."""
Offsets = NDArray[np.int64]
_BEYOND_ASCII = re.compile(r"[\x00-\x7f]?[^\x00-\x7f]+")  # with the character that a combining mark may join


@dataclass(frozen=True)
class Edits:
    """The n replaced spans of an input, ascending, and the span each became in the output."""

    before: Offsets
    """[n, 2] begin and end in the input"""
    after: Offsets
    """[n, 2] begin and end in the output"""

    @classmethod
    def from_replacements(cls, replacements: Iterable[tuple[int, int, int]]) -> "Edits":
        """Build from (begin in the input, end in the input, length in the output) of each replacement, ascending."""
        begins, ends, lengths = np.array([(0, 0, 0), *replacements], dtype=np.int64).T
        shift = np.cumsum(lengths - (ends - begins))
        after_ends = ends + shift
        return cls(np.stack([begins, ends], axis=1), np.stack([after_ends - lengths, after_ends], axis=1))

    def to_input(self, offsets: Offsets, side: int) -> Offsets:
        """Map characters of the output to the input.

        Args:
            offsets: [m] offsets of characters in the output.
            side: 0 for where the character begins in the input, 1 for where it ends (exclusive).

        Returns:
            [m] offsets in the input. A character of a replacement maps to an edge of the whole replaced span.

        Example:
            >>> edits = Edits.from_replacements([(1, 7, 1)])  # "a<br />b" became "a b"
            >>> edits.to_input(np.array([0, 1, 2]), 0).tolist(), edits.to_input(np.array([0, 1, 2]), 1).tolist()
            ([0, 1, 7], [1, 7, 8])
        """
        index = self.after[:, 0].searchsorted(offsets, side="right") - 1
        unchanged = offsets - self.after[index, 1] + self.before[index, 1] + side
        mapped: Offsets = np.where(offsets < self.after[index, 1], self.before[index, side], unchanged)
        return mapped


def spans(text: str) -> list[Span]:
    """Return the span of each token in the text as it was written, in code points.

    Args:
        text: The text as the caller wrote it.

    Returns:
        One (begin, end) for each word and each punctuation mark, in order.

    Example:
        >>> spans("Good!<br />FILM")
        [(0, 4), (4, 5), (11, 15)]
    """
    chain = [Edits.from_replacements(step) for step in _steps(text)]
    begins, ends = _clean_spans(text)
    for edits in reversed(chain):
        begins, ends = edits.to_input(begins, 0), edits.to_input(ends - 1, 1)
    return list(zip(begins.tolist(), ends.tolist(), strict=True))


def _clean_spans(text: str) -> tuple[Offsets, Offsets]:
    """Return begins [u] and ends [u] of the tokens in the clean text, in code points rather than bytes."""
    data, starts, lengths, *_ = tokenize([text])
    codes = np.frombuffer(data, np.uint8)
    # The clean text begins after one separator, of one byte.
    characters = np.concatenate([[-1], np.cumsum((codes & 0xC0) != 0x80) - 1])
    return characters[starts], characters[starts + lengths]


def _steps(text: str) -> Iterator[Iterator[tuple[int, int, int]]]:
    """Yield the replacements of candor.text.clean.clean step by step, each step on the output of the one before."""
    if "&" in text:
        yield map(tuple, references.edits(text).tolist())
        text = references.read(text)
    if not text.isascii():
        folds = list(_folds(text))
        yield iter(folds)
        text = unicodedata.normalize("NFKC", text).lower()
        yield ((m.start(), m.end(), len(replacement(m[0]))) for m in NON_ASCII.finditer(text))
        text = NON_ASCII.sub(lambda match: replacement(match[0]), text)
    for pattern in TAGS:
        yield ((match.start(), match.end(), 1) for match in pattern.finditer(text))
        text = pattern.sub(" ", text)


def _folds(text: str) -> Iterator[tuple[int, int, int]]:
    """Yield the smallest spans that NFKC and lower case fold independently, and the length each becomes."""
    for run in _BEYOND_ASCII.finditer(text):
        begin = run.start()
        for end in range(run.start() + 1, run.end() + 1):
            if end == run.end() or _is_boundary(text[begin:end], text[end]):
                yield begin, end, len(_fold(text[begin:end]))
                begin = end


def _is_boundary(left: str, right: str) -> bool:
    """Return True if NFKC folds left and right independently of each other."""
    return not unicodedata.combining(right) and _fold(left + right) == _fold(left) + _fold(right)


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", text).lower()
