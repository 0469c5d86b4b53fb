"""Find the terms of groups in texts, and exchange them for others."""

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from candor.text.features import hash_tokens
from candor.text.identity import forms
from candor.text.offsets import spans
from candor.text.tokens import tokenize

Ints = NDArray[np.int64]
Key = TypeVar("Key", bound=Hashable)
_BLOCK = 1024  # texts that are cut into tokens at a time


@dataclass(frozen=True)
class Entry:
    """A form of a term."""

    group: str
    term: str
    form: int
    """Index among the forms of the term."""


class Lexicon:
    """The forms of the terms of groups, by their hash.

    Args:
        groups: Terms by group.
    """

    def __init__(self, groups: Mapping[str, Sequence[str]]) -> None:
        self.groups = groups
        self.forms = {term: forms([term]) for terms in groups.values() for term in terms}
        entries = [
            (form, Entry(name, term, index))
            for name, terms in groups.items()
            for term in terms
            for index, form in enumerate(self.forms[term])
        ]
        hashes = hash_tokens(tokenize([form for form, _ in entries]))
        self._entries: dict[int, Entry] = {}
        for key, (_, entry) in zip(hashes.tolist(), entries, strict=True):
            self._entries.setdefault(key, entry)
        self._hashes = np.unique(hashes)
        self._others: dict[str, list[str]] = {}

    def find(self, texts: Sequence[str]) -> list[list[tuple[int, Entry]]]:
        """Return the terms of each text, with the index of their token."""
        found: list[list[tuple[int, Entry]]] = [[] for _ in texts]
        for start in range(0, len(texts), _BLOCK):
            tokens = tokenize(texts[start : start + _BLOCK])
            hashes = hash_tokens(tokens)
            hits = np.flatnonzero(np.isin(hashes, self._hashes))
            rows = tokens.bounds.searchsorted(hits, side="right") - 1
            for row, token, key in zip(rows.tolist(), hits.tolist(), hashes[hits].tolist(), strict=True):
                found[start + row].append((token - int(tokens.bounds[row]), self._entries[key]))
        return found

    def others(self, entry: Entry) -> list[str]:
        """Return the terms of the same group that have the same form, without the term itself."""
        if entry.term not in self._others:
            size = len(self.forms[entry.term])
            same = [term for term in self.groups[entry.group] if len(self.forms[term]) == size]
            self._others[entry.term] = [term for term in same if term != entry.term]
        return self._others[entry.term]

    def swap(self, text: str, found: Sequence[tuple[int, Entry]], choose: Callable[[Entry], str | None]) -> str:
        """Return the text with some of its terms exchanged, in the case that they were written in.

        Args:
            text: The text.
            found: Its terms.
            choose: Returns the term to take the place of another, or None to leave that one.
        """
        places, parts, last = spans(text), [], 0
        for token, entry in found:
            if (term := choose(entry)) is None:
                continue
            begin, end = places[token]
            parts += [text[last:begin], self._like(text[begin:end], term, entry)]
            last = end
        return "".join([*parts, text[last:]])

    def each(self, text: str, hit: tuple[int, Entry], terms: Sequence[str]) -> list[str]:
        """Return the text with each of some terms in the place of one of its own."""
        begin, end = spans(text)[hit[0]]
        return [f"{text[:begin]}{self._like(text[begin:end], term, hit[1])}{text[end:]}" for term in terms]

    def _like(self, written: str, term: str, entry: Entry) -> str:
        """Return a term in the form of another, and in the case that this was written in."""
        new = self.forms[term][entry.form]
        if written.isupper() and len(written) > 1:
            return new.upper()
        return new[:1].upper() + new[1:] if written[:1].isupper() else new

    def scramble(
        self, text: str, found: Sequence[tuple[int, Entry]], groups: Collection[str], random: np.random.Generator
    ) -> str:
        """Return the text with each term of some groups exchanged for another of its group, drawn at random."""

        def choose(entry: Entry) -> str | None:
            others = self.others(entry) if entry.group in groups else ()
            return others[int(random.integers(len(others)))] if others else None

        return self.swap(text, found, choose)


def rows_of(found: Sequence[Sequence[tuple[int, Entry]]], key: Callable[[Entry], Key | None]) -> dict[Key, Ints]:
    """Return the texts [m] that mention each key, ascending; the keys in the order in which they come.

    Args:
        found: Terms of n texts, as Lexicon.find returns them.
        key: What a term counts as, such as its group; None: as nothing.
    """
    rows: dict[Key, list[int]] = {}
    for row, hits in enumerate(found):
        for name in dict.fromkeys(key(entry) for _, entry in hits):
            if name is not None:
                rows.setdefault(name, []).append(row)
    return {name: np.array(each, np.int64) for name, each in rows.items()}
