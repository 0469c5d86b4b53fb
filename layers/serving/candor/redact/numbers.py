"""Find numbers of cards, bank accounts, people and telephones: groups of digits with little between them.

candor.redact.digits finds where such a number may begin. This module decides each candidate by its checksum, or by its
shape and the words before it.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache, partial
from heapq import heappop, heapreplace
from typing import NamedTuple

import numpy as np

from candor.redact import checks
from candor.redact.digits import Digits, flags
from candor.redact.patterns import Match, any_word, compiled, rarest_part

_PATIENCE = 100  # candidates that may be rejected in a text, and one more for each 100 characters
_MAX_PHONE_WIDTH = 28  # characters of a telephone number, gaps included

_PHONE_WORDS = (
    "phone", "telephone", "tel", "call", "calling", "called", "mobile", "cell", "cellphone", "fax", "text", "whatsapp", "whats app", "sms",
    "hotline", "number", "numbers", "reach me", "reach us", "dial", "ring", "contact", "电话", "手机", "联系", "致电", "拨打", "热线", "传真", "短信",
)  # fmt: skip
_PERSON_WORDS = ("ssn", "social security", "itin", "taxpayer", "tax id")
_OTHER_WORDS = (
    "isbn", "order", "invoice", "tracking", "serial", "model", "item", "part", "case", "ticket", "reference", "ref", "订单", "编号", "单号",
)  # fmt: skip


_MAX_DISTANCE = {_PHONE_WORDS: 20, _PERSON_WORDS: 24, _OTHER_WORDS: 16}  # characters between a word and its number
_NO_PHONE_AFTER = ("$", "€", "£", "¥", "#")
_YEARS = r"(?:1[89]|20)[0-9]{2}[ \-/]+(?:1[89]|20)[0-9]{2}"
_CHECK_X = r"[ _\-]?[xX]"


def checksummed(text: str, digits: Digits) -> Iterator[Match]:
    """Yield card numbers and resident IDs with a valid checksum. Of overlapping ones the first wins, then the shortest.

    Args:
        text: A normalised text.
        digits: Its digits.
    """
    value, free = digits.octets.decode(), 0
    queue = [(-1, length, 0, flags(bits).tobytes()) for length, bits in digits.resident_ids()]
    queue += [(-1, length, 1, _with_iin(bits, value, length)) for length, bits in digits.cards()]
    while queue:
        position, length, rank, starts = queue[0]
        if position >= free and (match := (_resident_id, _card)[rank](text, digits, position, position + length)):
            yield match
            free = position + length
        following = starts.find(1, max(position + 1, free))
        if following < 0:
            heappop(queue)
        else:
            heapreplace(queue, (following, length, rank, starts))


def _with_iin(windows: int, digits: str, length: int) -> bytes:
    """Keep the windows whose digits match an issuer identification number (IIN) range: 0 or 1 per position."""
    starts = flags(windows)
    begins_card = checks.IIN_PATTERNS[length].match
    for start in starts.nonzero()[0].tolist():
        if not begins_card(digits, start):
            starts[start] = 0
    return starts.tobytes()


def _card(text: str, digits: Digits, position: int, end: int) -> Match:
    return "CREDIT_DEBIT_NUMBER", *digits.span(position, end)


def _resident_id(text: str, digits: Digits, position: int, end: int) -> Match | None:
    value, (begin, after) = digits.value(position, end), digits.span(position, end)
    if len(value) == 17:
        x = compiled(_CHECK_X).match(text, after)
        if not x:
            return None
        value, after = value + "X", x.end()
    return ("CN_RESIDENT_ID", begin, after) if checks.resident_id(value) else None


_LETTER_OR_DIGIT = (
    bytes(97 if chr(octet).isalpha() else 48 if chr(octet).isdigit() else 32 for octet in range(128)) + b" " * 128
)
_IBAN_GAP = r"[ _.\x1f-]"


def ibans(text: str) -> Iterator[Match]:
    """Yield IBANs: two letters, two digits and 11 to 29 letters and digits, with gaps, whatever stands around them.

    Example:
        >>> list(ibans("to GB82 WEST 1234 5698 7654 32!"))
        [('INTERNATIONAL_BANK_ACCOUNT_NUMBER', 3, 30)]
    """
    for match in re.finditer(b"aa00", text.encode("ascii", "replace").translate(_LETTER_OR_DIGIT)):
        begin = match.start()
        length = checks.IBAN_LENGTHS.get(text[begin : begin + 2].upper(), 0)
        value, end = text[begin : begin + length], begin + length
        if not value.isalnum() and length:
            value = compiled(_IBAN_GAP).sub("", text[begin : begin + 45])[:length]
            written = compiled(rf"(?:{_IBAN_GAP}*+.){{{length}}}").match(text, begin)
            end = written.end() if written else begin
        if end > begin and value.isalnum() and checks.iban(value.upper()):
            yield "INTERNATIONAL_BANK_ACCOUNT_NUMBER", begin, end


class Context(NamedTuple):
    """Offsets of digits that follow a word for a kind of number, on the same line."""

    phone: set[int]
    """After words for telephone numbers."""
    person: set[int]
    """After words for US Social Security and taxpayer numbers."""
    other: set[int]
    """After words for other numbers, such as orders."""

    @classmethod
    def from_text(cls, text: str, digits: Digits, words: Sequence[bytes]) -> "Context":
        """Search the words before each run of digits of a normalised text, whose ASCII words are `words`."""
        occurring = frozenset(words)
        return cls(*(_announced(text, occurring, each, digits) for each in (_PHONE_WORDS, _PERSON_WORDS, _OTHER_WORDS)))


@cache
def _parts(words: tuple[str, ...]) -> tuple[frozenset[bytes], tuple[str, ...]]:
    """Return the ASCII parts of the words that are searched first, and the words that are not ASCII."""
    ascii_parts = frozenset(rarest_part(word).encode() for word in words if word.isascii())
    return ascii_parts, tuple(word for word in words if not word.isascii())


def _announced(text: str, occurring: frozenset[bytes], words: tuple[str, ...], digits: Digits) -> set[int]:
    """Return the offsets of the digits that follow one of the words, given the ASCII words that occur in the text."""
    ascii_parts, others = _parts(words)
    if occurring.isdisjoint(ascii_parts) and (text.isascii() or not any(map(text.__contains__, others))):
        return set()
    pattern = compiled(rf"{any_word(words)}[^0-9\n]{{0,{_MAX_DISTANCE[words]}}}+(?=[0-9])")
    return {match.end() for begin, end in digits.regions_before_runs for match in pattern.finditer(text, begin, end)}


class Candidate(NamedTuple):
    """Neighbouring groups of digits that may be a telephone number, or a US number of a person."""

    text: str
    """The stretch of text, gaps included."""
    digits: str
    """Its digits, without gaps."""
    shape: tuple[int, ...]
    """Number of digits in each group."""
    before: str
    """The character before it; "" at the start of the text."""
    whole: bool
    """True if it is its whole run."""
    phone: bool
    """True if a word for a telephone number precedes it."""
    person: bool
    """True if a word for a Social Security or taxpayer number precedes it."""
    other: bool
    """True if a word for another kind of number precedes it."""


_candidate = partial(tuple.__new__, Candidate)  # of tuples, three times as fast as to call the class


def phones_and_ssns(text: str, digits: Digits, words: Sequence[bytes]) -> Iterator[Match]:
    """Yield telephone numbers and US Social Security and taxpayer numbers, by shape or preceding word, longest first.

    After hundreds of rejected candidates, the remaining ones are taken for telephone numbers without a look, so that a
    crafted text can neither hide a number nor take long.

    Args:
        text: A normalised text.
        digits: Its digits.
        words: Its ASCII words in lower case.
    """
    if not digits.has_phone_length():
        return
    context, free, patience = Context.from_text(text, digits, words), 0, _PATIENCE + len(text) // _PATIENCE
    by_length = digits.phone_numbers(context.phone | context.person)
    unlike = context.person | context.other
    value, sizes = digits.octets.decode(), (digits.edges[1:] - digits.edges[:-1]).tolist()
    for position, end, begin, after, first, last, ends_run, known, is_last in _windows(digits, by_length):
        if position < free:
            continue
        entity_type = "PHONE" if patience < 0 else ""
        if not entity_type and after - begin <= _MAX_PHONE_WIDTH:
            before, mark = text[begin - 1 : begin], value[position - 1]
            if mark != "+" and (
                known == _CHINESE_MOBILE
                or (known == _NATIONAL and begin not in unlike and before not in _NO_PHONE_AFTER)
            ):
                entity_type = "PHONE"
            else:
                candidate = _candidate(
                    (
                        text[begin:after],
                        value[position:end],
                        tuple(sizes[first:last]),
                        before,
                        ends_run and mark in "#+",
                        begin in context.phone,
                        begin in context.person,
                        begin in context.other,
                    )
                )
                prefix = 0 if mark == "+" else 2 if value.startswith("00", position) else -1
                if prefix < 0 or _has_plausible_length(candidate, prefix, bool(ends_run)):
                    entity_type = _entity_type(candidate, known)
            if before in ("+", "(") and entity_type:
                begin -= 1
        if entity_type:
            yield entity_type, begin, after
            free = end
        else:
            patience -= is_last


_NATIONAL, _CHINESE_MOBILE = 1, 2


def _windows(digits: Digits, by_length: dict[int, int]) -> Iterator[tuple[int, ...]]:
    """Yield windows by position, the longest first, given the bitset of starts of each length.

    Returns:
        Tuples of the window's first position and its end, the offset of its first digit and the one after its last, the
        index of its first group and the one after its last, whether its run ends with it, _NATIONAL or _CHINESE_MOBILE
        or 0, and whether it is the last window of its position.
    """
    positions, ends, known = [], [], []
    for length, bits in sorted(by_length.items(), reverse=True):
        if bits:
            starts = flags(bits).nonzero()[0]
            kinds = np.zeros(len(digits.octets) + 8, np.uint8)
            for kind, windows in (_NATIONAL, digits.national), (_CHINESE_MOBILE, digits.chinese_mobiles):
                if fitting := windows.get(length, 0) & bits:
                    kinds[flags(fitting).nonzero()[0]] = kind
            positions.append(starts)
            ends.append(starts + length)
            known.append(kinds[starts])
    if not positions:
        return iter(())
    begins, order = np.concatenate(positions), np.concatenate(positions).argsort(kind="stable")
    begins, after = begins[order], np.concatenate(ends)[order]
    is_last = np.ones(len(begins), np.bool_)
    is_last[:-1] = begins[1:] != begins[:-1]
    columns = (
        begins,
        after,
        digits.offsets[begins],
        digits.offsets[after - 1] + 1,
        digits.edges.searchsorted(begins),
        digits.edges.searchsorted(after),
        digits.breaks[after],
        np.concatenate(known)[order],
        is_last,
    )
    return zip(*(column.tolist() for column in columns), strict=True)


def _has_plausible_length(candidate: Candidate, prefix: int, ends_run: bool) -> bool:
    """Return True if a calling code, after a prefix of so many digits, leaves a number its length.

    It limits numbers of several groups to its country's. US Social Security numbers may begin like an international
    number, so that their length stays.
    """
    length, groups = len(candidate.digits), len(candidate.shape)
    if groups == 1 and (ends_run or not prefix):
        return True
    minimum, maximum = checks.international_length(candidate.digits[prefix : prefix + 3])
    return (
        minimum + prefix <= length <= maximum + prefix + 1  # with the (0) that some write
        or length in (11, 13)  # as in China
        or (length == 9 and (candidate.shape == (3, 2, 4) or candidate.person))
    )


def _entity_type(candidate: Candidate, known: int) -> str:
    """Return the type of entity that a candidate is, "" if it is none."""
    digits = candidate.digits
    if len(digits) == 9 and (candidate.shape == (3, 2, 4) or candidate.person):
        if checks.itin(digits):
            return "US_INDIVIDUAL_TAX_IDENTIFICATION_NUMBER"
        if checks.ssn(digits):
            return "SSN"
    return "PHONE" if _is_phone(candidate, known) else ""


def _is_phone(candidate: Candidate, known: int) -> bool:
    text, digits, shape, before, whole, phone, _, other = candidate
    groups = len(shape)
    if before == "+" or (groups > 1 and digits.startswith("00")):
        international = digits.removeprefix("00")
        minimum, maximum = checks.international_length(international[:3])
        return minimum <= len(international) - ("(0)" in text) <= maximum
    if known == _CHINESE_MOBILE:
        return True
    if (groups == 1 and not whole) or before in _NO_PHONE_AFTER or other:
        return False
    if phone:
        years = shape == (4, 4) and compiled(_YEARS).fullmatch(text)
        return (groups > 1 or len(digits) <= 12) and not years
    return known == _NATIONAL
