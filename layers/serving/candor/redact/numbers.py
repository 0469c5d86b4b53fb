"""Find numbers of cards, bank accounts, people and telephones: groups of digits with little between them.

candor.redact.digits finds where such a number may begin. This module decides each candidate by its checksum, or by its
shape and the words before it.
"""

import re
from collections.abc import Iterator
from functools import partial
from heapq import heappop, heapreplace
from typing import NamedTuple

import numpy as np

from candor.redact import checks
from candor.redact.digits import FREEPHONE, NORTH_AMERICAN, PHONE_SHAPES, STARTING_6_TO_9, Digits, flags
from candor.redact.patterns import Match, any_word, compiled

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
    for start in starts.nonzero()[0].tolist():
        starts[start] = checks.matches_iin(digits, length, start)
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
        value = compiled(_IBAN_GAP).sub("", text[begin : begin + 45])[:length] if length else ""
        if value.isalnum() and checks.iban(value.upper()):
            written = compiled(rf"(?:{_IBAN_GAP}*+.){{{length}}}").match(text, begin)
            if written:
                yield "INTERNATIONAL_BANK_ACCOUNT_NUMBER", *written.span()


class Context(NamedTuple):
    """Offsets of digits that follow a word for a kind of number, on the same line."""

    phone: set[int]
    """After words for telephone numbers."""
    person: set[int]
    """After words for US Social Security and taxpayer numbers."""
    other: set[int]
    """After words for other numbers, such as orders."""

    @classmethod
    def from_text(cls, text: str, digits: Digits) -> "Context":
        """Search the words before each run of digits of a normalised text."""
        lowered = text.lower()
        return cls(*(_announced(text, lowered, words, digits) for words in (_PHONE_WORDS, _PERSON_WORDS, _OTHER_WORDS)))


def _announced(text: str, lowered: str, words: tuple[str, ...], digits: Digits) -> set[int]:
    """Return the offsets of the digits that follow one of the words. `lowered` is the text in lower case."""
    if not any(map(lowered.__contains__, words)):
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


def phones_and_ssns(text: str, digits: Digits) -> Iterator[Match]:
    """Yield telephone numbers and US Social Security and taxpayer numbers, by shape or preceding word, longest first.

    After hundreds of rejected candidates, the remaining ones are taken for telephone numbers without a look, so that a
    crafted text can neither hide a number nor take long.

    Args:
        text: A normalised text.
        digits: Its digits.
    """
    if not digits.has_phone_length():
        return
    context, free, patience = Context.from_text(text, digits), 0, _PATIENCE + len(text) // _PATIENCE
    by_length = digits.phone_numbers(context.phone | context.person)
    value, sizes = digits.octets.decode(), (digits.edges[1:] - digits.edges[:-1]).tolist()
    for position, end, begin, after, first, last, ends_run, is_last in _windows(digits, by_length):
        if position < free:
            continue
        entity_type = "PHONE" if patience < 0 else ""
        if not entity_type and after - begin <= _MAX_PHONE_WIDTH:
            candidate = _candidate(
                (
                    text[begin:after],
                    value[position:end],
                    tuple(sizes[first:last]),
                    text[begin - 1 : begin],
                    ends_run and value[position - 1] in "#+",
                    begin in context.phone,
                    begin in context.person,
                    begin in context.other,
                )
            )
            prefix = 0 if value[position - 1] == "+" else 2 if value.startswith("00", position) else -1
            if prefix < 0 or _has_plausible_length(candidate, prefix, bool(ends_run)):
                entity_type = _entity_type(candidate)
                begin -= bool(entity_type) and candidate.before in ("+", "(")
        if entity_type:
            yield entity_type, begin, after
            free = end
        else:
            patience -= is_last


def _windows(digits: Digits, by_length: dict[int, int]) -> Iterator[tuple[int, ...]]:
    """Yield windows by position, the longest first, given the bitset of starts of each length.

    Returns:
        Tuples of the window's first position and its end, the offset of its first digit and the one after its last, the
        index of its first group and the one after its last, whether its run ends with it, and whether it is the last
        window of its position.
    """
    starts = [(length, flags(bits).nonzero()[0]) for length, bits in sorted(by_length.items(), reverse=True) if bits]
    if not starts:
        return iter(())
    positions = np.concatenate([each for _, each in starts])
    ends = np.concatenate([each + length for length, each in starts])
    order = positions.argsort(kind="stable")
    positions, ends = positions[order], ends[order]
    is_last = np.ones(len(positions), np.bool_)
    is_last[:-1] = positions[1:] != positions[:-1]
    columns = (
        positions,
        ends,
        digits.offsets[positions],
        digits.offsets[ends - 1] + 1,
        digits.edges.searchsorted(positions),
        digits.edges.searchsorted(ends),
        digits.breaks[ends],
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


def _entity_type(candidate: Candidate) -> str:
    """Return the type of entity that a candidate is, "" if it is none."""
    digits, shape = candidate.digits, candidate.shape
    if len(digits) == 9 and (shape == (3, 2, 4) or candidate.person):
        if checks.itin(digits):
            return "US_INDIVIDUAL_TAX_IDENTIFICATION_NUMBER"
        if checks.ssn(digits):
            return "SSN"
    return "PHONE" if _is_phone(candidate) else ""


def _is_phone(candidate: Candidate) -> bool:
    digits, groups = candidate.digits, len(candidate.shape)
    if candidate.before == "+" or (digits.startswith("00") and groups > 1):
        international = digits.removeprefix("00")
        minimum, maximum = checks.international_length(international[:3])
        return minimum <= len(international) - ("(0)" in candidate.text) <= maximum
    if len(digits) in (11, 13) and _is_chinese_mobile(digits):
        return True
    if (not candidate.whole and groups == 1) or candidate.before in ("$", "€", "£", "¥", "#") or candidate.other:
        return False
    if candidate.phone:
        years = candidate.shape == (4, 4) and compiled(_YEARS).fullmatch(candidate.text)
        return (groups > 1 or len(digits) <= 12) and not years
    return groups > 1 and _is_national(candidate)


def _is_chinese_mobile(digits: str) -> bool:
    """Return True for 1, then 3 to 9, then nine digits, possibly after calling code 86."""
    subscriber = digits.removeprefix("86") if len(digits) == 13 else digits
    return len(subscriber) == 11 and subscriber[0] == "1" and subscriber[1] in "3456789"


def _is_national(candidate: Candidate) -> bool:
    """Return True if groups and digits fit a number of some country, and neither a date nor an amount."""
    digits, shape = candidate.digits, candidate.shape
    if shape not in PHONE_SHAPES:
        return False
    if digits[0] == "0":
        return 9 <= len(digits) <= 12
    if shape in NORTH_AMERICAN:
        subscriber = digits[-10:]
        valid_exchange = shape != (6, 4) or subscriber[3] in "23456789"
        return subscriber[0] in "23456789" and valid_exchange and (len(digits) == 10 or digits[0] == "1")
    if shape == (5, 5):
        return digits[0] in "6789"
    if digits[:3] in ("400", "800"):
        return shape in FREEPHONE
    if candidate.before == "(":
        return 9 <= len(digits) <= 12
    return shape in STARTING_6_TO_9 and digits[0] in "6789" and "." not in candidate.text and not digits.endswith("000")
