"""Warn about texts unlike those the model was trained on, whose predictions should not be relied on."""

import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from candor.text import references
from candor.text.characters import CharacterTable, codes_of

MIN_SCRIPT_SHARE = 0.001
"""Minimum share of a script among the letters of the training texts for the script to count as seen in training."""

WARNINGS = {
    "LOW_EVIDENCE": "The model knows too few of the text's words to go by.",
    "LANGUAGE_UNSUPPORTED": "Most of the text is in a script that the model has never seen.",
}
"""Public warning codes and their messages."""


@dataclass(frozen=True)
class Evidence:
    """What a text must have for its prediction to be relied on. Training chooses it, and the bundle keeps it."""

    min_known_share: float
    """Minimum share of known words among the words of a text, from 0 to 1."""
    min_known_words: int
    """Minimum number of known words."""

    def suffices(self, words: int, known: int) -> bool:
        """Return True if a text with so many words, so many of them known, has enough of both. One word is needed.

        Example:
            >>> evidence = Evidence(min_known_share=0.5, min_known_words=2)
            >>> evidence.suffices(4, 2), evidence.suffices(5, 2), evidence.suffices(1, 1)
            (True, False, False)
        """
        return words > 0 and known >= self.min_known_words and known >= self.min_known_share * words


def warnings(text: str, words: int, known: int, trained_scripts: Iterable[str], evidence: Evidence) -> list[str]:
    """Return the codes of the WARNINGS that apply to a text.

    Args:
        text: The text as the caller wrote it.
        words: Number of words in the text.
        known: Number of those words that the model knows.
        trained_scripts: Scripts seen in training, such as "LATIN".
        evidence: What the text must have.

    Returns:
        Keys of WARNINGS, without repetition; empty if the prediction can be relied on.

    Example:
        >>> evidence = Evidence(min_known_share=0.5, min_known_words=1)
        >>> warnings("good xyzzy film", 3, 2, ["LATIN"], evidence), warnings("好好好", 3, 3, ["LATIN"], evidence)
        ([], ['LANGUAGE_UNSUPPORTED'])
    """
    codes = []
    if "&" in text and (not text.isascii() or references.may_leave_ascii(text)):
        text = references.read(text)
    if (
        not text.isascii()
        and not _mostly_latin(text, trained_scripts)
        and unseen_script_share(text, frozenset(trained_scripts)) > 0.5
    ):
        codes.append("LANGUAGE_UNSUPPORTED")
    if not evidence.suffices(words, known):
        codes.append("LOW_EVIDENCE")
    return codes


_NO_LETTERS = bytes(octet for octet in range(128) if not chr(octet).isalpha())


def _mostly_latin(text: str, trained_scripts: Iterable[str]) -> bool:
    """Return True if ASCII letters alone are the majority: true of most texts, and 100 times cheaper than counting."""
    ascii_octets = text.encode("ascii", "ignore")
    return "LATIN" in trained_scripts and len(ascii_octets.translate(None, _NO_LETTERS)) >= len(text) - len(
        ascii_octets
    )


def unseen_script_share(text: str, trained_scripts: frozenset[str]) -> float:
    """Return the share of the text's letters, from 0 to 1, that belong to none of the scripts; 0 without letters.

    Example:
        >>> unseen_script_share("好 a 1!", frozenset({"LATIN"}))
        0.5
    """
    counts = count_scripts(text)
    return 1 - sum(counts[name] for name in trained_scripts) / max(counts.total(), 1) if counts else 0.0


def count_scripts(text: str) -> Counter[str]:
    """Count the letters of the text by script. Other characters are not counted."""
    numbers = np.bincount(_script_numbers(codes_of(text))).tolist()
    return Counter({_scripts[number]: count for number, count in enumerate(numbers) if count and _scripts[number]})


def script(character: str) -> str:
    """Return the script of a letter, such as "LATIN" or "CJK": the first word of its Unicode name; "" for a non-letter.

    Example:
        >>> script("é"), script("好"), script("ж"), script("1")
        ('LATIN', 'CJK', 'CYRILLIC', '')
    """
    if unicodedata.category(character)[0] != "L":
        return ""
    return unicodedata.name(unicodedata.normalize("NFKC", character)[:1], "").partition(" ")[0].partition("-")[0]


def _script_number(character: str) -> int:
    """Return the number of a character's script, a new one if it is the first of its script."""
    name = script(character)
    if name not in _scripts:
        _scripts.append(name)
    return _scripts.index(name, 1)


_scripts = ["", ""]  # by number: what is no letter is 1
_script_numbers = CharacterTable(_script_number)
