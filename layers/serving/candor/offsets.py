"""Where in the caller's own text each token stands, in code points, through a clean-up that changes lengths.

The clean-up is a chain of replacements. Each is kept as the spans that it replaced, so that a place in its output can
be carried back to its input, and so from the last output to the text as it was sent.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from candor import text as text_module
from candor.features import Featuriser

Span = tuple[int, int]
_BEYOND_ASCII = re.compile(r"[\x00-\x7f]?[^\x00-\x7f]+")  # with what a combining mark may join


@dataclass(frozen=True)
class Edits:
    """Replaced spans of an input, ascending, and what each became in the output: (begin, end) of both."""

    before: list[Span]
    after: list[Span]

    @classmethod
    def of(cls, replaced: Iterable[tuple[int, int, int]]) -> "Edits":
        """From begin and end in the input and the length of what stands there in the output."""
        before, after, shift = [], [], 0
        for begin, end, length in replaced:
            before.append((begin, end))
            after.append((begin + shift, begin + shift + length))
            shift += length - (end - begin)
        return cls(before, after)

    def back(self, begin: int, end: int) -> Span:
        """The span of the input that a span of the output, not empty, came from."""
        return self._place(begin)[0], self._place(end - 1)[1]

    def _place(self, position: int) -> Span:
        """The span of the input that one character of the output came from."""
        index = bisect_right(self.after, (position, 1 << 60)) - 1
        if index < 0:
            return position, position + 1
        if position < self.after[index][1]:
            return self.before[index]
        moved = position - self.after[index][1] + self.before[index][1]
        return moved, moved + 1


def spans(text: str, featuriser: Featuriser) -> list[Span]:
    """[tokens] begin and end of each token of the featuriser's in the text, in code points."""
    chain = [Edits.of(step) for step in _steps(text)]
    starts, ends = _characters(text, featuriser)
    found = []
    for begin, end in zip(starts.tolist(), ends.tolist(), strict=True):
        for edits in reversed(chain):
            begin, end = edits.back(begin, end)
        found.append((begin, end))
    return found


def _characters(text: str, featuriser: Featuriser) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where tokens begin and end in the clean text, in characters rather than bytes."""
    data, starts, lengths = featuriser.tokens(text)
    if data.isascii():
        return starts, starts + lengths
    codes = np.frombuffer(data, np.uint8)
    characters = np.concatenate([[0], np.cumsum((codes & 0xC0) != 0x80)])
    return characters[starts], characters[starts + lengths]


def _steps(text: str) -> Iterator[Iterator[tuple[int, int, int]]]:
    """The replacements of candor.text.clean, step by step, each on the output of the one before."""
    if not text.isascii():
        folded = list(_folds(text))
        yield iter(folded)
        text = unicodedata.normalize("NFKC", text).lower()
        yield ((m.start(), m.end(), len(text_module.stand_in(m[0]))) for m in text_module.NON_ASCII.finditer(text))
        text = text_module.NON_ASCII.sub(lambda match: text_module.stand_in(match[0]), text)
    for pattern in text_module.TAGS:
        yield ((match.start(), match.end(), 1) for match in pattern.finditer(text))
        text = pattern.sub(" ", text)


def _folds(text: str) -> Iterator[tuple[int, int, int]]:
    """Spans that NFKC and lower case treat as one, and the length of what they become."""
    for run in _BEYOND_ASCII.finditer(text):
        begin = run.start()
        for place in range(run.start() + 1, run.end() + 1):
            if place == run.end() or _parts(text[begin:place], text[place]):
                yield begin, place, len(_fold(text[begin:place]))
                begin = place


def _parts(left: str, right: str) -> bool:
    """Whether NFKC leaves alone what stands on both sides of this border."""
    return not unicodedata.combining(right) and _fold(left + right) == _fold(left) + _fold(right)


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", text).lower()
