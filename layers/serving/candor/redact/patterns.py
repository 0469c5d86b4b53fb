"""Compile regular expressions on first use: compiling all of them at import would cost every cold start."""

import re
from collections.abc import Iterable
from functools import cache, lru_cache

Match = tuple[str, int, int]
"""A match in normalised text: (entity_type, begin, end)."""

compiled = lru_cache(maxsize=None)(re.compile)


@cache
def any_word(words: tuple[str, ...]) -> str:
    """Return a pattern that matches any of the words in any case, the longest first.

    No letter or digit may precede the match and no letter may follow it. The pattern starts with a set of characters,
    with which the regular expression engine skips quickly over other text.

    Args:
        words: Words or phrases in lower case, ASCII or Chinese.

    Example:
        >>> [match[0] for match in re.finditer(any_word(("tel", "telephone")), "Telephone, hotel, tel5, tell")]
        ['Telephone', 'tel']
    """
    by_first, branches = group_by_first_letter(words), []
    for first, rests in by_first.items():
        start = f"(?<=[{first}{first.upper()}])(?<![A-Za-z0-9].)" if first.isascii() else f"(?<={first})"
        branches.append(f"{start}(?i:{'|'.join(rests)})")
    return (
        f"[{''.join(sorted({*by_first, *map(str.upper, by_first)}))}](?:{'|'.join(branches)})(?<!(?=[A-Za-z][A-Za-z]).)"
    )


def rarest_part(word: str) -> str:
    """Return the part of a context word that is searched first: the longest, but "name" of "screen name" and the like.

    Example:
        >>> rarest_part("social security"), rarest_part("screen name")
        ('security', 'name')
    """
    parts = re.findall("[a-z]+", word.lower())
    return "name" if "name" in parts else max(parts, key=len)


def group_by_first_letter(words: Iterable[str]) -> dict[str, list[str]]:
    """Group words by first letter. The values are patterns of the rests of the words, the longest first.

    Example:
        >>> group_by_first_letter(["st", "street", "road"])
        {'s': ['treet', 't'], 'r': ['oad']}
    """
    groups: dict[str, list[str]] = {}
    for word in sorted(words, key=len, reverse=True):
        groups.setdefault(word[0], []).append(re.escape(word[1:]))
    return groups
