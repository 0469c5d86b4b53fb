"""Locate each token in the caller's own text, in code points, through a clean-up that changes lengths.

The clean-up is a chain of replacements. Each replacement is kept as the span it replaced, so that an offset in its
output maps back to an offset in its input, and from step to step to the text as it was sent.
"""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from candor.text import references
from candor.text.characters import CharacterTable, codes_of
from candor.text.clean import TAGS, bound, fold, mark_bounds, replace, replacement_lengths
from candor.text.tokens import tokenize

Span = tuple[int, int]
"""Begin and end (exclusive) of a stretch of text, in code points."""
Offsets = NDArray[np.int64]
SECONDS = (
    "\u09be\u09d7\u0b3e\u0b56\u0b57\u0bbe\u0bd7\u0cc2\u0cd5\u0cd6\u0d3e\u0d57\u0dcf\u0ddf\u102e\u1b35\U00011127"
    "\U0001133e\U00011357\U000113b8\U000113bb\U000113c2\U000113c5\U000113c7\U000113c8\U000113c9\U000114b0\U000114ba"
    "\U000114bd\U000115af\U00011930\U0001611e\U0001611f\U00016120\U00016129\U00016d63\U00016d67\U00016d68\U00016d69"
)
"""Letters that may become one with the letter before them, besides Korean ones (UAX 15: NFC_Quick_Check is Maybe)."""
_KOREAN_SECONDS = "\u1161", "\u11c2"  # vowels and last consonants


@dataclass(frozen=True)
class Edits:
    """The n replaced spans of an input, ascending, and the span each became in the output."""

    before: Offsets
    """[n, 2] begin and end in the input"""
    after: Offsets
    """[n, 2] begin and end in the output"""

    @classmethod
    def of(cls, begins: Offsets, ends: Offsets, lengths: Offsets) -> "Edits":
        """Build from the begin and the end of each replaced span in the input, ascending, and its length in the output.

        Args:
            begins: [n]
            ends: [n]
            lengths: [n]
        """
        begins, ends, lengths = (np.concatenate([[0], each]) for each in (begins, ends, lengths))
        after_ends = ends + np.cumsum(lengths - (ends - begins))
        return cls(np.stack([begins, ends], axis=1), np.stack([after_ends - lengths, after_ends], axis=1))

    def to_input(self, offsets: Offsets, side: int) -> Offsets:
        """Map characters of the output to the input.

        Args:
            offsets: [m] offsets of characters in the output.
            side: 0 for where the character begins in the input, 1 for where it ends (exclusive).

        Returns:
            [m] offsets in the input. A character of a replacement maps to an edge of the whole replaced span.

        Example:
            >>> edits = Edits.of(np.array([1]), np.array([7]), np.array([1]))  # "a<br />b" became "a b"
            >>> edits.to_input(np.array([0, 1, 2]), 0).tolist(), edits.to_input(np.array([0, 1, 2]), 1).tolist()
            ([0, 1, 7], [1, 7, 8])
        """
        index = self.after[:, 0].searchsorted(offsets, side="right") - 1
        unchanged = offsets - self.after[index, 1] + self.before[index, 1] + side
        mapped: Offsets = np.where(offsets < self.after[index, 1], self.before[index, side], unchanged)
        return mapped


def spans(text: str, *earlier: Edits) -> list[Span]:
    """Return the span of each token in the text as it was written, in code points.

    Args:
        text: The text as the caller wrote it,
        earlier: or as these edits made it of that, in order.

    Returns:
        One (begin, end) for each word and each punctuation mark, in order.

    Example:
        >>> spans("Good!<br />FILM")
        [(0, 4), (4, 5), (11, 15)]
    """
    begins, ends = _clean_spans(text)
    for edits in reversed([*earlier, *_steps(text)]):
        begins, ends = edits.to_input(begins, 0), edits.to_input(ends - 1, 1)
    return list(zip(begins.tolist(), ends.tolist(), strict=True))


def _clean_spans(text: str) -> tuple[Offsets, Offsets]:
    """Return begins [u] and ends [u] of the tokens in the clean text, in code points rather than bytes."""
    data, starts, lengths, *_ = tokenize([text])
    codes = np.frombuffer(data, np.uint8)
    # The clean text begins after one separator, of one byte.
    characters = np.concatenate([[-1], np.cumsum((codes & 0xC0) != 0x80) - 1])
    return characters[starts], characters[starts + lengths]


def _steps(text: str) -> Iterator[Edits]:
    """Yield the replacements of candor.text.clean.clean step by step, each step on the output of the one before."""
    if "&" in text:
        yield Edits.of(*references.edits(text).T)
        text = references.read(text)
    if not text.isascii():
        bounded = bound(text)
        if len(bounded) > len(text):
            joiners = mark_bounds(codes_of(text))
            yield Edits.of(joiners, joiners, np.ones_like(joiners))
        yield _fold_edits(bounded)
        text = fold(bounded)
        yield _changed(replacement_lengths(text))
        text = replace(text)
    for pattern in TAGS:
        if found := [match.span() for match in pattern.finditer(text)]:
            begins, ends = np.array(found, np.int64).T
            yield Edits.of(begins, ends, np.ones_like(begins))
            text = pattern.sub(" ", text)


def _changed(lengths: Offsets) -> Edits:
    """Return the edits of characters whose lengths change, given the new length of each character."""
    begins = (lengths != 1).nonzero()[0]
    return Edits.of(begins, begins + 1, lengths[begins])


def _fold_edits(text: str) -> Edits:
    """Return what NFKC and lower case do to a text whose marks are bounded: to each of the smallest independent spans.

    Characters that fold alone are looked up all at once. The others, such as a letter and its accent, are few.
    """
    codes = codes_of(text)
    if unicodedata.is_normalized("NFKC", text):
        return _changed(_lower_length(codes).astype(np.int64))
    begins = (_joins(codes) == 1).nonzero()[0]
    begins = begins if len(begins) and not begins[0] else np.append(0, begins)
    ends = np.append(begins[1:], len(text))
    alone = ends - begins == 1
    lengths = _folded_length(codes[begins]).astype(np.int64)
    edits = np.stack([begins, ends, lengths], axis=1)
    clusters = [edit for span in edits[~alone, :2].tolist() for edit in _cluster_edits(text, *span)]
    edits = np.concatenate([edits[alone & (lengths != 1)], np.array(clusters, np.int64).reshape(-1, 3)])
    return Edits.of(*edits[edits[:, 0].argsort()].T)


def _cluster_edits(text: str, begin: int, end: int) -> list[tuple[int, int, int]]:
    """Return the edits, as Edits.of takes them, of a span whose characters may become one or change places."""
    cluster = text[begin:end]
    folded = fold(cluster)
    if len(folded) == end - begin and unicodedata.is_normalized("NFKC", cluster):
        return []
    each = [_fold_alone(character) for character in cluster]
    if "".join(each) != folded:
        return [(begin, end, len(folded))]
    return [(at, at + 1, len(alone)) for at, alone in enumerate(each, begin) if len(alone) != 1]


def _joins_or_not(character: str) -> int:
    """Return 2 for a character that NFKC may move or join to the one before it, else 1."""
    first = unicodedata.normalize("NFKD", character)[0]
    korean = _KOREAN_SECONDS[0] <= first <= _KOREAN_SECONDS[1]
    return 2 if korean or first in SECONDS or unicodedata.combining(first) else 1


_joins = CharacterTable(_joins_or_not)
_lower_length = CharacterTable(lambda character: len(character.lower()))
_fold_alone = lru_cache(maxsize=1 << 12)(fold)
_folded_length = CharacterTable(lambda character: len(fold(character)))
