"""Find personal data in a text. Each entity type has its rule. Where rules overlap, the more certain one wins.

Rules read normalised text, whose digits are 0 to 9. A number may touch letters, so that nobody can hide it by gluing
letters to it. Cheap checks of the whole text come first and rule out most rules for most texts.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache, partial
from operator import itemgetter, le

from candor.redact import addresses, numbers
from candor.redact.digits import MIN_DIGITS, Digits
from candor.redact.entities import Entity
from candor.redact.normalise import NormalizedText
from candor.redact.patterns import Match, compiled, rarest_part
from candor.redact.rules import KEY_FORMATS, MIN_KEY_LENGTH, RULES, aws_secrets, chinese_addresses

_MIN_IPV4_DIGITS = 4
_MIN_MAC_DASHES = 5
_VISIBLE = bytes(ord(" " if chr(octet).isspace() else "x") for octet in range(256))
_NO_DIGITS = bytes(octet for octet in range(256) if octet not in b"0123456789")
_LETTERS = bytes(ord(chr(octet).lower()) if chr(octet).isalpha() else 32 for octet in range(128)) + b" " * 128
_HAN = "[\u4e00-\u9fff]"


def find(text: str) -> list[Entity]:
    """Find personal data.

    Args:
        text: The text as the caller wrote it.

    Returns:
        Entities in order, without overlap, with offsets of `text` in code points.

    Example:
        >>> find("call 555-123-4567")
        [Entity(type='PHONE', begin=5, end=17)]
    """
    normalized = NormalizedText(text)
    selected = _select(_candidates(normalized.text), len(normalized.text))
    if normalized.text != text:
        selected = [(entity_type, *normalized.to_original(begin, end)) for entity_type, begin, end in selected]
    return [*map(_entity, selected)]


_entity = partial(tuple.__new__, Entity)  # of tuples, three times as fast as to call the class


def _select(candidates: Iterable[Match], length: int) -> list[Match]:
    """Return, in order of offset, the candidates that overlap no earlier candidate: no more certain one."""
    matches = [*candidates]
    if len(matches) < 2:
        return matches
    in_order = sorted(matches, key=_begin)
    if all(map(le, map(_end, in_order), map(_begin, in_order[1:]))):
        return in_order
    taken, selected = bytearray(length), []
    is_taken = taken.find
    for match in matches:
        _, begin, end = match
        if is_taken(1, begin, end) < 0:
            taken[begin:end] = b"\1" * (end - begin)
            selected.append(match)
    return sorted(selected, key=_begin)


_begin, _end = itemgetter(1), itemgetter(2)


def _candidates(text: str) -> Iterator[Match]:
    """Yield matches of all rules, the most certain first."""
    octets = text.encode("ascii", "replace")
    n_digits = len(octets.translate(None, _NO_DIGITS))
    words = octets.translate(_LETTERS).split()
    has_han = not text.isascii() and compiled(_HAN).search(text) is not None
    if "/" in text:
        yield from addresses.links(text)
    if b"www" in words:
        yield from addresses.www_links(text)
    yield from addresses.emails(text)
    if has_token(octets, MIN_KEY_LENGTH) or "-----BEGIN " in text:
        for key_format in KEY_FORMATS:
            yield from key_format.find(text)
        if b"secret" in words or b"aws" in words:
            yield from aws_secrets(text)
    yield from context_matches(text, _active_parts(n_digits).intersection(words), n_digits, has_han)
    if has_han and "号" in text:
        yield from chinese_addresses(text)
    if n_digits >= _MIN_IPV4_DIGITS or ":" in text or text.count("-") >= _MIN_MAC_DASHES:
        yield from addresses.ip_and_mac_addresses(text)
    if n_digits >= MIN_DIGITS and (digits := Digits.from_text(text)):
        yield from numbers.checksummed(text, digits)
        yield from numbers.ibans(text)
        yield from numbers.phones_and_ssns(text, digits, words)
    yield from addresses.handles(text)


# A context rule is tried only where a part of one of its context words is a word of the text: a sequence of letters.

_RuleWord = tuple[int, str]  # index of a rule in RULES, and one of its context words


def _index() -> tuple[dict[bytes, list[_RuleWord]], list[_RuleWord], list[_RuleWord]]:
    """Return rules by a part of their context words, rules of words of single letters ("a/c"), and of Chinese words."""
    by_part: dict[bytes, list[_RuleWord]] = {}
    unparted: list[_RuleWord] = []
    chinese: list[_RuleWord] = []
    for index, rule in enumerate(RULES):
        for word in rule.context:
            if not word.isascii():
                chinese.append((index, word))
            elif len(part := rarest_part(word)) == 1:
                unparted.append((index, word))
            else:
                by_part.setdefault(part.encode(), []).append((index, word))
    return by_part, unparted, chinese


RULES_BY_PART, _UNPARTED, _CHINESE = _index()
"""(index of a rule, context word) by the ASCII part of the word that is searched first."""


@lru_cache(maxsize=16)
def _parts(n_digits: int) -> frozenset[bytes]:
    return frozenset(
        part
        for part, rule_words in RULES_BY_PART.items()
        if any(RULES[index].min_digits <= n_digits for index, _ in rule_words)
    )


def _active_parts(n_digits: int) -> frozenset[bytes]:
    """Return the parts whose rules may match a text with so many digits."""
    return _parts(min(n_digits, 9))


def context_matches(text: str, parts: Iterable[bytes], n_digits: int, has_han: bool = False) -> Iterator[Match]:
    """Yield matches of the context rules.

    Args:
        text: A normalised text.
        parts: Keys of RULES_BY_PART that occur in the text.
        n_digits: Number of digits in the text.
        has_han: True to try the rules with Chinese context words too.
    """
    rule_words = [rule_word for part in parts for rule_word in RULES_BY_PART[part]]
    rule_words += _UNPARTED if n_digits >= _MIN_UNPARTED_DIGITS else []
    rule_words += _CHINESE if has_han else []
    if not rule_words:
        return
    lowered = text.lower()
    lowered = lowered if len(lowered) == len(text) else text
    occurring: dict[int, list[str]] = {}
    for index, word in rule_words:
        rule = RULES[index]
        if rule.min_digits <= n_digits and word in (text if rule.word_offset else lowered):
            occurring.setdefault(index, []).append(word)
    for index in sorted(occurring):
        min_token = RULES[index].min_token
        if not min_token or has_token(text.encode("ascii", "replace"), min_token):
            yield from RULES[index].find(text, lowered, occurring[index])


def has_token(octets: bytes, length: int) -> bool:
    """Return True if at least `length` visible characters stand in a row.

    Example:
        >>> has_token(b"a long-word", 9), has_token(b"a long-word", 10)
        (True, False)
    """
    return b"x" * length in octets.translate(_VISIBLE)


_MIN_UNPARTED_DIGITS = min(RULES[index].min_digits for index, _ in _UNPARTED)
