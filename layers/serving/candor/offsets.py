"""Where in the caller's own text each token stands, in code points, through a clean-up that changes lengths.

The clean-up is a chain of replacements. Each is kept as the spans that it replaced, so that a place in its output can
be carried back to its input, and so from the last output to the text as it was sent.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from candor import text as text_module
from candor.features import Featuriser

Span = tuple[int, int]
Places = NDArray[np.int64]
_BEYOND_ASCII = re.compile(r"[\x00-\x7f]?[^\x00-\x7f]+")  # with what a combining mark may join


@dataclass(frozen=True)
class Edits:
    """Replaced spans of an input, ascending, and what each became in the output: [n, 2], begin and end."""

    before: Places
    after: Places

    @classmethod
    def of(cls, replaced: Iterable[tuple[int, int, int]]) -> "Edits":
        """From begin and end in the input and the length of what stands there in the output."""
        begins, ends, lengths = np.array([(0, 0, 0), *replaced], dtype=np.int64).T
        shift = np.cumsum(lengths - (ends - begins))
        after_ends = ends + shift
        return cls(np.stack([begins, ends], axis=1), np.stack([after_ends - lengths, after_ends], axis=1))

    def back(self, positions: Places, side: int) -> Places:
        """Where in the input the characters at these places of the output begin (side 0) or end (side 1)."""
        index = self.after[:, 0].searchsorted(positions, side="right") - 1
        unchanged = positions - self.after[index, 1] + self.before[index, 1] + side
        found: Places = np.where(positions < self.after[index, 1], self.before[index, side], unchanged)
        return found


def spans(text: str, featuriser: Featuriser) -> list[Span]:
    """[tokens] begin and end of each token of the featuriser's in the text, in code points."""
    chain = [Edits.of(step) for step in _steps(text)]
    begins, ends = _characters(text, featuriser)
    for edits in reversed(chain):
        begins, ends = edits.back(begins, 0), edits.back(ends - 1, 1)
    return list(zip(begins.tolist(), ends.tolist(), strict=True))


def _characters(text: str, featuriser: Featuriser) -> tuple[Places, Places]:
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
