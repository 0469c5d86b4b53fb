"""Read every term of some groups of people as one feature, so that no answer depends on which of them a text names.

"Her food" and "his food" have the same features then, and so have "a Muslim film" and "a Catholic film": counterfactual
token fairness (Garg et al. 2019, "Counterfactual Fairness in Text Classification through Robustness") by construction,
in training and serving alike. Only the features change. Offsets and explanations are of the words as they were written.
"""

import json
from collections.abc import Mapping, Sequence

import numpy as np

from candor.text.features import Hashes, Ints, hash_tokens, hash_words
from candor.text.tokens import tokenize

FILE = "identity.json"
"""Name of the bundle's file of groups and terms, which is canonical JSON of {"groups": {group: [term, …]}}."""
SOMEONE = b"any person"
"""Stands for every term among the model's words. No token can be this, since it has a space."""
_SOMEONE = hash_words([SOMEONE])
_SIBILANTS = ("s", "x", "z", "ch", "sh")
_FILTER_SHIFT = np.array(16, np.uint32)  # a term is first looked up by the upper half of its hash


class Identity:
    """The terms of some groups.

    Args:
        groups: Terms by group, such as {"religion": ["muslim", "catholic"]}. Each is a token of its own, in any case.
            Plurals and possessives of English terms are terms, too: muslims, muslim's, muslims'.

    Attributes:
        groups: The groups as given.
        hashes: uint32 [h] hashes of all forms of all terms, ascending.
        mark: uint32 [1] hash of the feature that they become.

    Raises:
        ValueError: A term is not one token.
    """

    mark = _SOMEONE

    def __init__(self, groups: Mapping[str, Sequence[str]]) -> None:
        self.groups = groups
        words = forms([term for terms in groups.values() for term in terms])
        tokens = tokenize(words)
        sizes = np.diff(tokens.bounds)
        if (sizes != 1).any() or not tokens.is_word.all():
            raise ValueError(f"not one word: {words[int((sizes != 1).argmax())]}")
        self.hashes: Hashes = np.unique(hash_tokens(tokens))
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

    def merge(self, hashes: Hashes) -> Ints:
        """Replace the hash of each term by `mark`, in place.

        Args:
            hashes: uint32 [t] hashes of tokens.

        Returns:
            The indices of the terms, ascending.
        """
        likely: Ints = self._filter.take(hashes >> _FILTER_SHIFT).nonzero()[0]
        if not len(likely):
            return likely
        these = hashes.take(likely)
        found: Ints = likely[self.hashes.take(self.hashes.searchsorted(these), mode="clip") == these]
        hashes[found] = self.mark
        return found


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
