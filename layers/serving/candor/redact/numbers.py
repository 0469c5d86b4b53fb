"""Find numbers of cards, bank accounts, people and telephones: groups of digits with little between them.

candor.redact.digits finds where such a number may begin. This module decides each candidate by its checksum, or by its
shape and the words before it.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import reduce
from heapq import heappop, heapreplace
from operator import or_, sub
from typing import NamedTuple

from candor.redact import checks
from candor.redact.digits import FREEPHONE, NORTH_AMERICAN, PHONE_SHAPES, STARTING_6_TO_9, Digits, flags
from candor.redact.patterns import Match, any_word, compiled

_PATIENCE = 100  # candidates that may be rejected in a text, and one more for each 100 characters
_CONTEXT = 48  # characters before a number in which its word may begin
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
    queue = [(-1, length, 0, flags(bits)) for length, bits in digits.resident_ids()]
    queue += [(-1, length, 1, _with_iin(flags(bits), value, length)) for length, bits in digits.cards()]
    while queue:
        position, length, rank, starts = queue[0]
        if position >= free and (match := (_resident_id, _card)[rank](text, digits, position, position + length)):
            yield match
            free = position + length
        following = starts.find("1", max(position + 1, free))
        if following < 0:
            heappop(queue)
        else:
            heapreplace(queue, (following, length, rank, starts))


def _with_iin(starts: str, digits: str, length: int) -> str:
    """Keep the start positions whose digits match an issuer identification number (IIN) range."""
    kept = bytearray(b"0") * len(starts)
    for match in re.finditer("1", starts):
        if checks.matches_iin(digits, length, match.start()):
            kept[match.start()] = 49
    return kept.decode()


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
    if not any(word in lowered for word in words):
        return set()
    pattern = compiled(rf"{any_word(words)}[^0-9\n]{{0,{_MAX_DISTANCE[words]}}}+(?=[0-9])")
    regions = digits.regions_before_runs(_CONTEXT)
    return {match.end() for begin, end in regions for match in pattern.finditer(text, begin, end)}


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
    starts = [
        (length, flags(bits).ljust(len(digits.octets), "0"))
        for length, bits in sorted(by_length.items(), reverse=True)
        if bits
    ]
    for start in re.finditer("1", flags(reduce(or_, by_length.values(), 0))):
        position = start.start()
        if position < free:
            continue
        lengths = [length for length, at in starts if at[position] == "1"]
        if patience < 0:
            free = position + lengths[0]
            yield "PHONE", *digits.span(position, free)
            continue
        ends = digits.group_ends(position)
        plausible = _plausible_lengths(digits, position, ends, context)
        for length in lengths:
            if length in plausible and (match := _classify(text, digits, position, length, ends, context)):
                yield match
                free = position + length
                break
        else:
            patience -= 1


def _plausible_lengths(digits: Digits, position: int, ends: Sequence[int], context: Context) -> Sequence[int]:
    """Return lengths of a number that begins here. A calling code limits numbers of several groups to its country's.

    US Social Security numbers may begin like an international number, so that their length stays.
    """
    lengths = [end - position for end in ends]
    prefix = digits.international_prefix(position)
    if prefix < 0 or len(lengths) < 2:
        return lengths
    minimum, maximum = checks.international_length(digits.value(position + prefix, position + prefix + 3))
    allowed = {*range(minimum + prefix, maximum + prefix + 2), 11, 13}  # with the (0) that some write; China's lengths
    if lengths[:3] == [3, 5, 9] or digits.offset(position) in context.person:
        allowed.add(9)
    return [length for length in lengths if length in allowed or (not prefix and length == lengths[0])]


def _classify(
    text: str, digits: Digits, position: int, length: int, ends: Sequence[int], context: Context
) -> Match | None:
    """Return the entity of so many digits from a position on, from which groups end at `ends`; None if it is none."""
    end = position + length
    begin, after = digits.span(position, end)
    if after - begin > _MAX_PHONE_WIDTH:
        return None
    bounds = [position, *ends[: bisect_right(ends, end)]]
    candidate = Candidate(
        text[begin:after],
        digits.value(position, end),
        tuple(map(sub, bounds[1:], bounds)),
        text[begin - 1] if begin else "",
        digits.starts_run(position) and digits.ends_run(end),
        begin in context.phone,
        begin in context.person,
        begin in context.other,
    )
    entity_type = _entity_type(candidate)
    return (entity_type, begin - (candidate.before in ("+", "(")), after) if entity_type else None


def _entity_type(candidate: Candidate) -> str:
    if len(candidate.digits) == 9 and (candidate.shape == (3, 2, 4) or candidate.person):
        if checks.itin(candidate.digits):
            return "US_INDIVIDUAL_TAX_IDENTIFICATION_NUMBER"
        if checks.ssn(candidate.digits):
            return "SSN"
    return "PHONE" if _is_phone(candidate) else ""


def _is_phone(candidate: Candidate) -> bool:
    digits, groups = candidate.digits, len(candidate.shape)
    if candidate.before == "+" or (digits.startswith("00") and groups > 1):
        international = digits.removeprefix("00")
        minimum, maximum = checks.international_length(international)
        return minimum <= len(international) - ("(0)" in candidate.text) <= maximum
    if _is_chinese_mobile(digits):
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
