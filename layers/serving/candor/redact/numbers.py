"""Numbers of cards, of accounts, of people and of telephones: groups of digits with little between them.

Where one may begin is told by candor.redact.digits; here it is judged, by its checksum or its shape and the word before.
"""

import re
from collections.abc import Iterator, Sequence
from functools import reduce
from heapq import heappop, heapreplace
from itertools import pairwise
from operator import or_
from typing import NamedTuple

from candor.redact import checks
from candor.redact.digits import FREEPHONE, HIGH, NORTH_AMERICAN, SHAPES, Digits, flags
from candor.redact.patterns import Find, any_of, compiled

_PATIENCE = 100  # numbers that turn out to be nothing, and as many bytes of text for one more
_NEAR = 48  # characters before a number in which its word stands
_WIDEST = 28  # characters of a telephone number at most

_PHONE_WORDS = (
    "phone", "telephone", "tel", "call", "calling", "called", "mobile", "cell", "cellphone", "fax", "text", "whatsapp", "whats app", "sms",
    "hotline", "number", "numbers", "reach me", "reach us", "dial", "ring", "contact", "电话", "手机", "联系", "致电", "拨打", "热线", "传真", "短信",
)  # fmt: skip
_PERSON_WORDS = ("ssn", "social security", "itin", "taxpayer", "tax id")
_OTHER_WORDS = (
    "isbn", "order", "invoice", "tracking", "serial", "model", "item", "part", "case", "ticket", "reference", "ref", "订单", "编号", "单号",
)  # fmt: skip


_FAR = {_PHONE_WORDS: 20, _PERSON_WORDS: 24, _OTHER_WORDS: 16}  # characters between a word and its number, at most
_YEARS = r"(?:1[89]|20)[0-9]{2}[ \-/]+(?:1[89]|20)[0-9]{2}"
_X = r"[ _\-]?[xX]"


def checked(text: str, digits: Digits) -> Iterator[Find]:
    """Numbers that a checksum vouches for: cards and resident IDs. Of several that overlap the first, then the shortest."""
    value, free = digits.octets.decode(), 0
    nearest = [(-1, length, 0, flags(bits)) for length, bits in digits.residents()]
    nearest += [(-1, length, 1, _issued(flags(bits), value, length)) for length, bits in digits.cards()]
    while nearest:
        place, length, rank, where = nearest[0]
        if place >= free and (found := (_resident, _card)[rank](text, digits, place, place + length)):
            yield found
            free = place + length
        following = where.find("1", max(place + 1, free))
        if following < 0:
            heappop(nearest)
        else:
            heapreplace(nearest, (following, length, rank, where))


def _issued(where: str, digits: str, length: int) -> str:
    """Those of the places from which on digits are of an issuer's range."""
    kept = bytearray(b"0") * len(where)
    for match in re.finditer("1", where):
        if checks.issued(digits, length, match.start()):
            kept[match.start()] = 49
    return kept.decode()


def _card(text: str, digits: Digits, place: int, end: int) -> Find:
    return "CREDIT_DEBIT_NUMBER", *digits.span(place, end)


def _resident(text: str, digits: Digits, place: int, end: int) -> Find | None:
    value, (begin, after) = digits.value(place, end), digits.span(place, end)
    if len(value) == 17:
        x = compiled(_X).match(text, after)
        if not x:
            return None
        value, after = value + "X", x.end()
    return ("CN_RESIDENT_ID", begin, after) if checks.resident_id(value) else None


_LETTER_OR_DIGIT = (
    bytes(97 if chr(octet).isalpha() else 48 if chr(octet).isdigit() else 32 for octet in range(128)) + b" " * 128
)
_IBAN_GAP = r"[ _.\x1f-]"


def ibans(text: str) -> Iterator[Find]:
    """From two letters before two digits on: 15 to 33 letters and digits, whatever stands between them."""
    for match in re.finditer(b"aa00", text.encode("ascii", "replace").translate(_LETTER_OR_DIGIT)):
        place = match.start()
        length = checks.IBAN_LENGTHS.get(text[place : place + 2].upper(), 0)
        value, end = compiled(_IBAN_GAP).sub("", text[place : place + 45])[:length] if length else "", place
        if value.isalnum() and checks.iban(value.upper()):
            for letter in value:
                end = text.index(letter, end) + 1
            yield "INTERNATIONAL_BANK_ACCOUNT_NUMBER", place, end


class Words(NamedTuple):
    """Where in a text a digit follows a word for numbers of a kind, in the same line."""

    phone: set[int]
    person: set[int]
    other: set[int]

    @classmethod
    def of(cls, text: str, digits: Digits) -> "Words":
        low, regions = text.lower(), digits.before_runs(_NEAR)
        return cls(*(_followed(text, low, words, regions) for words in (_PHONE_WORDS, _PERSON_WORDS, _OTHER_WORDS)))


def _followed(text: str, low: str, words: tuple[str, ...], regions: Sequence[tuple[int, int]]) -> set[int]:
    if not any(word in low for word in words):
        return set()
    pattern = compiled(rf"{any_of(words)}[^0-9\n]{{0,{_FAR[words]}}}+(?=[0-9])")
    return {match.end() for begin, end in regions for match in pattern.finditer(text, begin, end)}


class Number(NamedTuple):
    """Neighbouring groups of digits that may be a telephone's number, or one of a person."""

    text: str
    """As it stands there."""
    digits: str
    shape: tuple[int, ...]
    """How many digits each group has."""
    before: str
    """The character before it."""
    whole: bool
    """Whether it is all of its run."""
    phone: bool
    """Whether a word for a telephone's number comes before; likewise for a person's, and for numbers of other things."""
    person: bool
    other: bool


def shaped(text: str, digits: Digits) -> Iterator[Find]:
    """Telephone numbers and those of people in the US, told by their shape or the word before them; the longest first.

    Of a text that has hundreds of what nearly are some, the rest is taken for telephone numbers without a look: who
    writes such a text can neither hide a number in it nor make it take long.
    """
    if not digits.grouped():
        return
    words, free, patience = Words.of(text, digits), 0, _PATIENCE + len(text) // _PATIENCE
    by_length = digits.phones(words.phone | words.person)
    starts = {length: flags(bits).ljust(len(digits.octets), "0") for length, bits in by_length.items() if bits}
    for match in re.finditer("1", flags(reduce(or_, by_length.values(), 0))):
        place = match.start()
        if place < free:
            continue
        lengths = [length for length in sorted(starts, reverse=True) if starts[length][place] == "1"]
        if patience < 0:
            free = place + lengths[0]
            yield "PHONE", *digits.span(place, free)
            continue
        likely = _likely(digits, place, words)
        for length in lengths:
            if length in likely and (found := _judged(text, digits, place, length, words)):
                yield found
                free = place + length
                break
        else:
            patience -= 1


def _likely(digits: Digits, place: int, words: Words) -> Sequence[int]:
    """Lengths that a number from there on may have: of several groups, as the country has it that they name.

    Numbers of people in the US may start likewise.
    """
    lengths = [end - place for end in digits.ends(place)]
    prefix = digits.prefix(place)
    if prefix < 0 or len(lengths) < 2:
        return lengths
    fewest, most = checks.subscriber(digits.value(place + prefix, place + prefix + 3))
    only = {*range(fewest + prefix, most + prefix + 2), 11, 13}  # with the (0) that some write; and those of China
    if lengths[:3] == [3, 5, 9] or digits.offset(place) in words.person:
        only.add(9)
    return [length for length in lengths if length in only or (not prefix and length == lengths[0])]


def _judged(text: str, digits: Digits, place: int, length: int, words: Words) -> Find | None:
    end = place + length
    begin, after = digits.span(place, end)
    if after - begin > _WIDEST:
        return None
    shape = tuple(later - sooner for sooner, later in pairwise([place, *digits.ends(place)]) if later <= end)
    whole = digits.begins(place) and digits.over(end)
    before, announced = text[max(0, begin - 1) : begin], (begin in where for where in words)
    kind = _of_shape(Number(text[begin:after], digits.value(place, end), shape, before, whole, *announced))
    return (kind, begin - (before in ("+", "(")), after) if kind else None


def _of_shape(number: Number) -> str:
    if len(number.digits) == 9 and (number.shape == (3, 2, 4) or number.person):
        if checks.itin(number.digits):
            return "US_INDIVIDUAL_TAX_IDENTIFICATION_NUMBER"
        if checks.ssn(number.digits):
            return "SSN"
    return "PHONE" if _phone(number) else ""


def _phone(number: Number) -> bool:
    digits, groups = number.digits, len(number.shape)
    if number.before == "+" or (digits.startswith("00") and groups > 1):
        international = digits.removeprefix("00")
        fewest, most = checks.subscriber(international)
        return fewest <= len(international) - ("(0)" in number.text) <= most
    if _mobile(digits):
        return True
    if (not number.whole and groups == 1) or number.before in ("$", "€", "£", "¥", "#") or number.other:
        return False
    if number.phone:
        years = number.shape == (4, 4) and compiled(_YEARS).fullmatch(number.text)
        return (groups > 1 or len(digits) <= 12) and not years
    return groups > 1 and _national(number)


def _mobile(digits: str) -> bool:
    """Of China: 1, then 3 to 9, then nine digits; maybe after 86."""
    own = digits.removeprefix("86") if len(digits) == 13 else digits
    return len(own) == 11 and own[0] == "1" and own[1] in "3456789"


def _national(number: Number) -> bool:
    """A form that some country writes its numbers in, of separators and digits that no date or amount has."""
    digits, shape = number.digits, number.shape
    if shape not in SHAPES:
        return False
    if digits[0] == "0":
        return 9 <= len(digits) <= 12
    if shape in NORTH_AMERICAN:
        own = digits[-10:]
        own_office = shape != (6, 4) or own[3] in "23456789"
        return own[0] in "23456789" and own_office and (len(digits) == 10 or digits[0] == "1")
    if shape == (5, 5):
        return digits[0] in "6789"
    if digits[:3] in ("400", "800"):
        return shape in FREEPHONE
    if number.before == "(":
        return 9 <= len(digits) <= 12
    return shape in HIGH and digits[0] in "6789" and "." not in number.text and not digits.endswith("000")
