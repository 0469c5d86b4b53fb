"""What a prediction may not be relied on for: texts unlike those that the model has learnt from."""

import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

MIN_KNOWN_SHARE = 2 / 3  # of a text's tokens; of the official IMDB test's 25,000 reviews the least is 0.77
MIN_SCRIPT_SHARE = 0.001  # of the training texts' letters that makes a script one that the model has seen

WARNINGS = {
    "LOW_EVIDENCE": "The model knows too few of the text's words to go by.",
    "LANGUAGE_UNSUPPORTED": "Most of the text is in a script that the model has never seen.",
}


def warnings(text: str, tokens: int, known: int, seen: Iterable[str]) -> list[str]:
    """Codes of WARNINGS for a text, from its tokens, the known ones of them, and the scripts seen in training."""
    found = []
    if not text.isascii() and not _mostly_latin(text, seen) and unseen_share(text, frozenset(seen)) > 0.5:
        found.append("LANGUAGE_UNSUPPORTED")
    if known < MIN_KNOWN_SHARE * tokens or not tokens:
        found.append("LOW_EVIDENCE")
    return found


_NO_LETTERS = bytes(octet for octet in range(128) if not chr(octet).isalpha())


def _mostly_latin(text: str, seen: Iterable[str]) -> bool:
    """Whether ASCII letters alone settle it, as in most texts: to count by script takes a hundred times as long."""
    plain = text.encode("ascii", "ignore")
    return "LATIN" in seen and len(plain.translate(None, _NO_LETTERS)) >= len(text) - len(plain)


def unseen_share(text: str, seen: frozenset[str]) -> float:
    """The share of the text's letters that belong to none of the scripts."""
    counts = scripts(text)
    return 1 - sum(counts[name] for name in seen) / max(counts.total(), 1) if counts else 0.0


def scripts(text: str) -> Counter[str]:
    """How many letters of each script there are."""
    counts: Counter[str] = Counter()
    for character, count in Counter(text).items():
        if name := script(character):
            counts[name] += count
    return counts


@lru_cache(maxsize=1 << 14)
def script(character: str) -> str:
    """A letter's script by the first word of its Unicode name, such as LATIN or CJK; "" for what is no letter."""
    if unicodedata.category(character)[0] != "L":
        return ""
    return unicodedata.name(unicodedata.normalize("NFKC", character)[:1], "").partition(" ")[0].partition("-")[0]
