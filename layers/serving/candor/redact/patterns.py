"""Regular expressions that are compiled when first needed: all of them would cost each cold start."""

import re
from collections.abc import Iterable
from functools import cache, lru_cache

Find = tuple[str, int, int]
"""A kind, and where in normalised text it was found: begin and end."""

compiled = lru_cache(maxsize=None)(re.compile)


@cache
def any_of(words: tuple[str, ...]) -> str:
    """A pattern of any of these words in any case, the longest first, with no letter or digit before and no letter after.

    It starts with a set of characters, for which the regular expression engine skips quickly through the rest.
    """
    firsts, branches = by_first(words), []
    for first, rests in firsts.items():
        start = f"(?<=[{first}{first.upper()}])(?<![A-Za-z0-9].)" if first.isascii() else f"(?<={first})"
        branches.append(f"{start}(?i:{'|'.join(rests)})")
    return f"[{''.join(sorted({*firsts, *map(str.upper, firsts)}))}](?:{'|'.join(branches)})(?<!(?=[A-Za-z][A-Za-z]).)"


def by_first(words: Iterable[str]) -> dict[str, list[str]]:
    """Patterns of what follows the first letter of each word, the longest first."""
    firsts: dict[str, list[str]] = {}
    for word in sorted(words, key=len, reverse=True):
        firsts.setdefault(word[0], []).append(re.escape(word[1:]))
    return firsts
