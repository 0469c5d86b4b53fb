"""Load the terms of groups of people that a model must not tell apart: ours, or a user's own.

Ours are in terms.json: words by which English texts name a person's gender, sexuality, race, religion, nationality,
disability, age or means, given names of many origins, and single characters that do so in Chinese. A word that is
mostly about something else is left out, such as "poor", which in a review speaks of the acting.
"""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from candor.errors import HintedError
from candor.text.features import hash_tokens, negated_tokens
from candor.text.identity import Identity, forms
from candor.text.tokens import tokenize

PATH = Path(__file__).with_name("terms.json")
MAX_TERMS = 3000
"""Terms of all groups together: what the featuriser was measured with."""
_FORMAT = 'write it as JSON of groups and their terms, such as {"religion": ["muslim", "catholic"]}'


class IdentityError(HintedError):
    """The groups or their terms cannot be used."""


def load(path: Path | None = None, keep: Collection[str] = ()) -> Identity:
    """Load groups and their terms.

    Args:
        path: A JSON file of a user's own; None: ours.
        keep: Groups to leave out, because telling them apart is the model's task.

    Raises:
        IdentityError: The file cannot be read or has no terms, a term is in two groups, is no single word or is a
            negator, or there is no such group to keep.
    """
    groups = _read(path or PATH)
    if unknown := sorted({*keep} - {*groups}):
        raise IdentityError(f"there is no group {unknown[0]!r} to keep", f"the groups are {', '.join(groups)}")
    kept = {name: terms for name, terms in groups.items() if name not in keep}
    _check(kept, (path or PATH).name)
    return Identity(kept)


def _read(path: Path) -> dict[str, list[str]]:
    """Return the terms by group, in lower case."""
    try:
        groups = json.loads(path.read_bytes())
    except OSError as error:
        raise IdentityError(f"{path.name} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise IdentityError(f"{path.name} is not JSON", _FORMAT) from None
    if not isinstance(groups, dict) or not all(_is_list_of_words(terms) for terms in groups.values()):
        raise IdentityError(f"{path.name} does not list terms by group", _FORMAT)
    if empty := [name for name, terms in groups.items() if not terms]:
        raise IdentityError(f"the group {empty[0]!r} of {path.name} has no terms", "list some, or leave it out")
    if not groups:
        raise IdentityError(f"{path.name} has no groups", _FORMAT)
    return {name: [term.lower() for term in terms] for name, terms in groups.items()}


def _is_list_of_words(terms: object) -> bool:
    return isinstance(terms, list) and all(isinstance(term, str) for term in terms)


def _check(groups: Mapping[str, Sequence[str]], file: str) -> None:
    """Raise an IdentityError for terms that cannot be used together."""
    if (count := sum(map(len, groups.values()))) > MAX_TERMS:
        raise IdentityError(f"{file} has {count:,} terms", f"list at most {MAX_TERMS:,}")
    for name, terms in groups.items():
        for term in terms:
            tokens = tokenize([f"{term} so"])
            if tokens.is_word.tolist() != [True, True]:
                raise IdentityError(
                    f"{term!r} of the group {name!r} is no single word to the model",
                    "list single words; of a phrase, the word that only this group has",
                )
            if len(negated_tokens(hash_tokens(tokens), tokens.bounds)):
                raise IdentityError(f"{term!r} of the group {name!r} negates the words after it", "leave it out")
    owners = [(form, name) for name, terms in groups.items() for form in dict.fromkeys(forms(terms))]
    twice = [form for form, count in Counter(form for form, _ in owners).items() if count > 1]
    if twice:
        both = [name for form, name in owners if form == twice[0]]
        raise IdentityError(f"{twice[0]!r} is in two groups, {both[0]!r} and {both[1]!r}", "leave it in one of them")
