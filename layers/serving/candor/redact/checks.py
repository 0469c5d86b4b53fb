"""Validate numbers by the checksums and ranges of their public specifications.

All values are compact: digits (and letters) without separators.
"""

import re
from datetime import date
from functools import cache

_DOUBLED = bytes(
    (2 * (byte - 48)) // 10 + (2 * (byte - 48)) % 10 + 48 if 48 <= byte < 58 else 48 for byte in range(256)
)
IBAN_LENGTHS = {
    country: int(length)
    for length, countries in (
        entry.split(":")
        for entry in [
            "15:NO",
            "16:BE",
            "18:DK,FI,FK,FO,GL,NL,SD",
            "19:MK,SI",
            "20:AT,BA,EE,KZ,LT,LU,MN,XK",
            "21:CH,HR,LI,LV",
            "22:BG,BH,CR,DE,GB,GE,IE,ME,RS,VA",
            "23:AE,GI,IL,IQ,OM,SO,TL",
            "24:AD,CZ,ES,MD,PK,RO,SA,SE,SK,TN,VG",
            "25:LY,PT,ST",
            "26:IS,TR",
            "27:BI,DJ,FR,GR,IT,MC,MR,SM",
            "28:AL,AZ,BY,CY,DO,GT,HN,HU,LB,NI,PL,SV",
            "29:BR,EG,PS,QA,UA",
            "30:JO,KW,MU,YE",
            "31:MT,SC",
            "32:LC",
            "33:RU",
        ]
    )
    for country in countries.split(",")
}
"""Length of an IBAN by country code (SWIFT, IBAN Registry)."""
_LETTER_VALUES = {ord(letter): str(ord(letter) - 55) for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
# Issuer identification numbers (ISO/IEC 7812) of cards in use: first digits, and lengths of the cards.
_IIN_RANGES = (
    ("4", (13, 16, 19)),  # Visa
    ("5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720", (16,)),  # Mastercard
    ("3[47]", (15,)),  # American Express
    ("6011|64[4-9]|65|62|81", (16, 17, 18, 19)),  # Discover, UnionPay
    ("30[0-5]|3095|3[689]", (14, 15, 16, 17, 18, 19)),  # Diners Club
    ("352[89]|35[3-8]", (16, 17, 18, 19)),  # JCB
    ("220[0-4]", (16, 17, 18, 19)),  # Mir
    ("5[0678]|6", (13, 14, 15, 16, 17, 18, 19)),  # Maestro, RuPay, Verve
    ("9792", (16,)),  # Troy
)
IIN_PATTERNS = {
    length: re.compile("|".join(first for first, lengths in _IIN_RANGES if length in lengths))
    for length in range(13, 20)
}
"""Patterns of the first digits of cards, by length."""
IIN_FIRST_DIGITS = {
    length: bytes({ord(start[0]) for first, lengths in _IIN_RANGES if length in lengths for start in first.split("|")})
    for length in IIN_PATTERNS
}
"""ASCII codes of the first digits that cards of a length may have, by length."""
_PROVINCES = frozenset(
    [
        "11",
        "12",
        "13",
        "14",
        "15",
        "21",
        "22",
        "23",
        "31",
        "32",
        "33",
        "34",
        "35",
        "36",
        "37",
        "41",
        "42",
        "43",
        "44",
        "45",
        "46",
        "50",
        "51",
        "52",
        "53",
        "54",
        "61",
        "62",
        "63",
        "64",
        "65",
        "71",
        "81",
        "82",
        "83",
    ]
)
PROVINCE_DIGITS = {
    first.encode(): "".join(province[1] for province in sorted(_PROVINCES) if province[0] == first).encode()
    for first in sorted({province[0] for province in _PROVINCES})
}
"""Second digits of province codes, by first digit, as ASCII."""
RESIDENT_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
"""Weights of the digits of a resident ID (ISO 7064, MOD 11-2)."""
_DAYS = {f"{date.fromordinal(day):%m%d}" for day in range(1, 366)} | {"0229"}
# Minimum and maximum number of digits after a calling code: ITU-T E.164 and national plans. Any other code has 6 to 11.
_CALLING_CODES = {
    "1": (10, 10), "7": (10, 10), "20": (8, 10), "27": (9, 9), "30": (10, 10), "31": (9, 9), "32": (8, 9), "33": (9, 9),
    "34": (9, 9), "36": (8, 9), "39": (6, 12), "40": (9, 9), "41": (9, 9), "43": (7, 13), "44": (9, 10), "45": (8, 8),
    "46": (7, 10), "47": (8, 8), "48": (9, 9), "49": (6, 12), "51": (8, 9), "52": (10, 11), "53": (6, 8), "54": (10, 11),
    "55": (10, 11), "56": (9, 9), "57": (10, 10), "58": (10, 10), "60": (7, 10), "61": (9, 9), "62": (7, 12),
    "63": (8, 10), "64": (8, 10), "65": (8, 8), "66": (8, 9), "81": (9, 10), "82": (8, 11), "84": (9, 10), "86": (9, 11),
    "90": (10, 10), "91": (10, 10), "92": (9, 10), "93": (9, 9), "94": (9, 9), "95": (7, 10), "98": (10, 10),
}  # fmt: skip
_THREE_DIGIT_CODES = re.compile(
    r"2[1-69][0-9]|27[0-9]|28[0-9]|3[578][0-9]|42[0-9]|5[09][0-9]|6[789][0-9]|8[05789][0-9]|9[679][0-9]"
)


def luhn(digits: str) -> bool:
    """Return True if the digits pass the Luhn check (ISO/IEC 7812-1, annex B).

    Example:
        >>> luhn("4111111111111111"), luhn("4111111111111112")
        (True, False)
    """
    octets = digits.encode()
    return (sum(octets[::-1][::2]) + sum(octets[::-1][1::2].translate(_DOUBLED)) - 48 * len(octets)) % 10 == 0


def matches_iin(digits: str, length: int, start: int = 0) -> bool:
    """Return True if the digits from `start` on begin with an issuer identification number (IIN) of cards of `length`.

    Args:
        digits: Digits, possibly of more than one number.
        length: Number of digits of the card, from 13 to 19.
        start: Index of the card's first digit.

    Example:
        >>> matches_iin("378282246310005", 15), matches_iin("411111111111116", 15)
        (True, False)
    """
    return IIN_PATTERNS[length].match(digits, start) is not None


def iban(value: str) -> bool:
    """Return True if the value is a valid IBAN (ISO 13616): the country's length, and 1 modulo 97 (ISO 7064).

    Example:
        >>> iban("GB82WEST12345698765432"), iban("GB82WEST12345698765433")
        (True, False)
    """
    if len(value) != IBAN_LENGTHS.get(value[:2]) or not value.isascii() or not value.isalnum():
        return False
    return int((value[4:] + value[:4]).translate(_LETTER_VALUES)) % 97 == 1


def resident_id(value: str) -> bool:
    """Return True if the value is a valid Chinese resident ID (GB 11643): a province and a date of birth.

    A value of 18 characters also has a check character. The form of 1984 has 15 digits and none.

    Example:
        >>> resident_id("11010519491231002X"), resident_id("110105194912310021")
        (True, False)
    """
    if not has_province(value):
        return False
    if len(value) == 15:
        return is_valid_birth_date(f"19{value[6:12]}")
    total = sum(weight * int(digit) for weight, digit in zip(RESIDENT_ID_WEIGHTS, value, strict=False))
    return value[17].upper() == "10X98765432"[total % 11] and is_valid_birth_date(value[6:14])


def has_province(digits: str, start: int = 0) -> bool:
    """Return True if the digits from `start` on begin with a province code, or with 9 and a province code.

    IDs of foreign permanent residents begin with 9.
    """
    start += digits[start] == "9"
    return digits[start : start + 2] in _PROVINCES


def is_valid_birth_date(digits: str) -> bool:
    """Return True if the digits, yyyymmdd, are a calendar date from 1850 to the end of the current year.

    Example:
        >>> is_valid_birth_date("19490228"), is_valid_birth_date("19490230")
        (True, False)
    """
    year, leap_day = int(digits[:4]), digits[4:] == "0229"
    if not 1850 <= year <= date.today().year or digits[4:] not in _DAYS:
        return False
    return not leap_day or (year % 4 == 0 and year != 1900)


def ssn(digits: str) -> bool:
    """Return True if nine digits can be a US Social Security number.

    The US Social Security Administration assigns no area 000, 666 or 900 to 999, no group 00 and no serial 0000.
    """
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    return area not in ("000", "666") and area[0] != "9" and group != "00" and serial != "0000"


def itin(digits: str) -> bool:
    """Return True if nine digits can be a US individual taxpayer identification number.

    The US Internal Revenue Service assigns numbers that begin with 9 and whose fourth and fifth digits are 50 to 65, 70
    to 88, 90 to 92 or 94 to 99.
    """
    group = int(digits[3:5])
    return digits[0] == "9" and (50 <= group <= 65 or 70 <= group <= 88 or (group >= 90 and group != 93))


def routing(digits: str) -> bool:
    """Return True if nine digits are a valid routing number of the American Bankers Association.

    The digits weighted by 3, 7, 1 sum to a multiple of 10, and the first two are a Federal Reserve district.

    Example:
        >>> routing("021000021"), routing("021000022")
        (True, False)
    """
    total = sum(weight * int(digit) for weight, digit in zip((3, 7, 1) * 3, digits, strict=True))
    first = int(digits[:2])
    return total % 10 == 0 and (first <= 12 or 21 <= first <= 32 or 61 <= first <= 72 or first == 80)


@cache
def international_length(digits: str) -> tuple[int, int]:
    """Return the minimum and maximum number of digits of an international number, calling code included.

    Args:
        digits: The first three digits of the number, after + or 00. Answers are cached.

    Returns:
        (minimum, maximum), or (0, 0) if the digits begin with no calling code.

    Example:
        >>> international_length("441"), international_length("000")
        ((11, 12), (0, 0))
    """
    for length in (1, 2):
        if digits[:length] in _CALLING_CODES:
            minimum, maximum = _CALLING_CODES[digits[:length]]
            return minimum + length, maximum + length
    return (9, 14) if _THREE_DIGIT_CODES.match(digits) else (0, 0)
