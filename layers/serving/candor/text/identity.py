"""Read every term of some groups of people as one feature, so that no answer depends on which of them a text names.

"Her food" and "his food" have the same features then, and so have "a Muslim film" and "a Catholic film": counterfactual
token fairness (Garg et al. 2019, "Counterfactual Fairness in Text Classification through Robustness") by construction,
in training and serving alike. Only the features change. Offsets and explanations are of the words as they were written.
"""

import json
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from candor.text.features import Hashes, Ints, hash_tokens, hash_words, mentions
from candor.text.tokens import tokenize

FILE = "identity.json"
"""Name of the bundle's file of groups and terms, which is canonical JSON of {"groups": {group: [term, …]}}."""
SOMEONE = b"any person"
"""Stands for every term among the model's words. No token can be this, since it has a space."""
_SOMEONE = hash_words([SOMEONE])
_SIBILANTS = ("s", "x", "z", "ch", "sh")
_BLOCK = 256  # texts that are cut into tokens at a time
_MARK = np.array(_SOMEONE[0])  # NumPy writes an array without a dimension faster
_FILTER_SHIFT = np.array(16, np.uint32)  # a term is first looked up by the upper half of its hash


class Identity:
    """The terms of some groups.

    Args:
        groups: Terms by group, such as {"religion": ["muslim", "catholic"]}. Each is a token of its own, in any case.
            Plurals and possessives of English terms are terms, too: muslims, muslim's, muslims'.

    Attributes:
        groups: The groups as given.
        names: Names of the groups.
        hashes: uint32 [h] hashes of all forms of all terms, ascending.
        mark: uint32 [1] hash of the feature that they become.

    Raises:
        ValueError: A term is not one token.
    """

    mark = _SOMEONE

    def __init__(self, groups: Mapping[str, Sequence[str]]) -> None:
        self.groups, self.names = groups, tuple(groups)
        words = [forms(terms) for terms in groups.values()]
        numbers = np.repeat(np.arange(len(words)), np.array([len(each) for each in words], dtype=np.int64))
        self.hashes: Hashes
        self.hashes, first = np.unique(_hash([word for each in words for word in each]), return_index=True)
        self._group_of: Ints = numbers[first]
        self._filter = np.zeros(1 << 16, dtype=bool)
        self._filter[self.hashes >> _FILTER_SHIFT] = True

    @classmethod
    def from_json(cls, content: bytes) -> "Identity":
        """Read the terms from a bundle's FILE.

        Raises:
            ValueError: It is no such file.
        """
        try:
            return cls(json.loads(content)["groups"])
        except (KeyError, TypeError, AttributeError):
            raise ValueError("not a file of groups and their terms") from None

    def merge(self, hashes: Hashes) -> tuple[Ints, Ints]:
        """Replace the hash of each term by `mark`, in place.

        Args:
            hashes: uint32 [t] hashes of tokens.

        Returns:
            [m] index of each term, ascending, and [m] its group: the index among `names`.
        """
        likely: Ints = self._filter.take(hashes >> _FILTER_SHIFT).nonzero()[0]
        if not len(likely):
            return likely, likely
        these = hashes.take(likely)
        places = self.hashes.searchsorted(these)
        held = (self.hashes.take(places, mode="clip") == these).nonzero()[0]
        terms = likely.take(held)
        hashes[terms] = _MARK
        return terms, self._group_of.take(places.take(held))

    def mentions(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        """Return which of the G groups each of n texts mentions, [n, G]."""
        found = [np.empty((0, len(self.names)), dtype=bool)]
        for start in range(0, len(texts), _BLOCK):
            tokens = tokenize(texts[start : start + _BLOCK])
            found.append(mentions(*self.merge(hash_tokens(tokens)), tokens.bounds, len(self.names)))
        return np.concatenate(found)


def _hash(words: Sequence[str]) -> Hashes:
    """Return the hash of each word, uint32 [w].

    Raises:
        ValueError: A word is not one token.
    """
    plain = np.array([word.isascii() for word in words], dtype=bool)
    lengths = [len(word) for word in words if word.isascii()]
    # As one text they take a third of the time. Their tokens have these lengths only if each is one token.
    together = tokenize([" ".join(word for word in words if word.isascii())])
    apart = tokenize([word for word in words if not word.isascii()])
    right = together.lengths.tolist() == lengths and (np.diff(apart.bounds) == 1).all()
    if not (right and together.is_word.all() and apart.is_word.all()):
        raise ValueError(f"not one word: {next(word for word in words if tokenize([word]).is_word.tolist() != [True])}")
    hashes = np.empty(len(words), dtype=np.uint32)
    hashes[plain], hashes[~plain] = hash_tokens(together), hash_tokens(apart)
    return hashes


def forms(terms: Sequence[str]) -> list[str]:
    """Return terms with their English plurals and possessives, as a reader would write them; Chinese ones have none.

    Example:
        >>> forms(["catholic", "gypsy", "女"])
        ['catholic', "catholic's", 'catholics', "catholics'", 'gypsy', "gypsy's", 'gypsies', "gypsies'", '女']
    """
    found = []
    for term in terms:
        found.append(term)
        if term.lower() == term.upper():  # a script without cases
            continue
        if term.endswith("man"):
            plural, of_plural = f"{term[:-3]}men", f"{term[:-3]}men's"
        else:
            ends_in_y = term.endswith("y") and term[-2:-1] not in "aeiou"
            plural = f"{term[:-1]}ies" if ends_in_y else f"{term}es" if term.endswith(_SIBILANTS) else f"{term}s"
            of_plural = f"{plural}'"
        found += [f"{term}'s", plural, of_plural]
    return found
