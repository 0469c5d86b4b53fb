"""Where personal data is, in a text. Each kind has its rule; where two rules overlap, the surer one counts.

A rule reads normalised text, whose digits are 0 to 9. Numbers are not bounded by letters, so that letters glued to them
hide nothing. What most texts have nothing of is asked first, of all of the text at once.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from candor.redact import addresses, numbers
from candor.redact.digits import FEWEST, Digits
from candor.redact.entities import Entity
from candor.redact.normalise import Normal
from candor.redact.patterns import Find, compiled
from candor.redact.rules import LITERALS, RULES, SHORTEST, aws_secrets, chinese_addresses

_FEW = 4  # digits in an address of a machine, with dots between
_DASHES = 5  # in one without digits
_VISIBLE = bytes(ord(" " if chr(octet).isspace() else "x") for octet in range(256))
_NO_DIGITS = bytes(octet for octet in range(256) if octet not in b"0123456789")
_LETTERS = bytes(ord(chr(octet).lower()) if chr(octet).isalpha() else 32 for octet in range(128)) + b" " * 128
_HAN = "[\u4e00-\u9fff]"


def find(text: str) -> list[Entity]:
    """Entities in order, none overlapping another, as offsets of `text` in code points."""
    normal = Normal(text)
    chosen = _chosen(_candidates(normal.text), len(normal.text))
    return [Entity(kind, *normal.span(begin, end)) for begin, end, kind in chosen]


def _chosen(candidates: Iterator[Find], length: int) -> list[tuple[int, int, str]]:
    """Of candidates in order of sureness, those that no surer one overlaps; in order of place."""
    taken, chosen = bytearray(length), []
    for kind, begin, end in candidates:
        if taken.find(1, begin, end) < 0:
            taken[begin:end] = b"\1" * (end - begin)
            chosen.append((begin, end, kind))
    return sorted(chosen)


def _candidates(text: str) -> Iterator[Find]:
    """Surest first."""
    octets = text.encode("ascii", "replace")
    digits = len(octets.translate(None, _NO_DIGITS))
    words = octets.translate(_LETTERS).split()
    han = not text.isascii() and compiled(_HAN).search(text) is not None
    if "/" in text:
        yield from addresses.links(text)
    if b"www" in words:
        yield from addresses.hosts(text)
    yield from addresses.emails(text)
    if has_token(octets, SHORTEST) or "-----BEGIN " in text:
        for literal in LITERALS:
            yield from literal.find(text)
        if b"secret" in words or b"aws" in words:
            yield from aws_secrets(text)
    yield from announced(text, _starters(digits).intersection(words), digits, han)
    if han and "号" in text:
        yield from chinese_addresses(text)
    if digits >= _FEW or ":" in text or text.count("-") >= _DASHES:
        yield from addresses.machines(text)
    if digits >= FEWEST and (found := Digits.of(text)):
        yield from numbers.checked(text, found)
        yield from numbers.ibans(text)
        yield from numbers.shaped(text, found)
    yield from addresses.handles(text)


# Words: a rule is tried only where one of its words is among those of the text, cut where there are no letters.

_Pair = tuple[int, str]  # a rule by its place, and one of its words


def _starts() -> tuple[dict[bytes, list[_Pair]], list[_Pair], list[_Pair]]:
    """Rules by one part of their words; those whose words are to be looked for as they are; and those of Chinese."""
    parted: dict[bytes, list[_Pair]] = {}
    short: list[_Pair] = []
    chinese: list[_Pair] = []
    for place, rule in enumerate(RULES):
        for word in rule.words:
            if not word.isascii():
                chinese.append((place, word))
            elif len(part := part_of(word)) == 1:
                short.append((place, word))
            else:
                parted.setdefault(part.encode(), []).append((place, word))
    return parted, short, chinese


def part_of(word: str) -> str:
    """The part that a text is asked for first: the longest, but of "screen name" and the like the rarer one."""
    parts = re.findall("[a-z]+", word.lower())
    return "name" if "name" in parts else max(parts, key=len)


PARTED, _SHORT, _CHINESE = _starts()


@lru_cache(maxsize=16)
def _of(digits: int) -> frozenset[bytes]:
    return frozenset(part for part, pairs in PARTED.items() if any(RULES[place].digits <= digits for place, _ in pairs))


def _starters(digits: int) -> frozenset[bytes]:
    """Words worth a look in a text of so many digits."""
    return _of(min(digits, 9))


def announced(text: str, parts: Iterable[bytes], digits: int, han: bool = False) -> Iterator[Find]:
    """What rules find whose words have one of these parts, in a text of so many digits."""
    pairs = [pair for part in parts for pair in PARTED[part]]
    pairs += _SHORT if digits >= _FEWEST_SHORT else []
    pairs += _CHINESE if han else []
    if not pairs:
        return
    low = text.lower()
    low = low if len(low) == len(text) else text
    found: dict[int, list[str]] = {}
    for place, word in pairs:
        rule = RULES[place]
        if rule.digits <= digits and word in (text if rule.own else low):
            found.setdefault(place, []).append(word)
    for place in sorted(found):
        token = RULES[place].token
        if not token or has_token(text.encode("ascii", "replace"), token):
            yield from RULES[place].find(text, low, found[place])


def has_token(octets: bytes, length: int) -> bool:
    """Whether so many visible characters stand in a row."""
    return b"x" * length in octets.translate(_VISIBLE)


_FEWEST_SHORT = min(RULES[place].digits for place, _ in _SHORT)
