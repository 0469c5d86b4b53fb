"""Which texts of a block may hold personal data: a sieve in front of candor.redact.find, at a tenth of its time.

What it lets through without a look, find finds nothing in; what it holds back is for find to judge. Each condition here
is one that a rule of candor.redact.finder needs, looser and in NumPy, for all texts of a block at once.
"""

import re
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from candor.redact.finder import STARTERS, keyed

Places = NDArray[np.int64]

_DIGIT, _ALWAYS, _PERCENT, _AMPERSAND, _BRACKET, _HIGH, _COLON, _SLASH, _DOT, _DASH = range(1, 11)
_PADDING = b" " * 8
_NEAR = 192  # bytes between a word and the number that it stands beside
_LONG = 19  # characters of the shortest key with a beginning of its own
_SECRET = 40  # of one that is told by its length
_BITS = 18
_MULTIPLIER = 0x9E3779B97F4A7C15
_SHIFT = np.array([64 - 8 * n for n in range(9)], dtype=np.uint64)
_QUOTES = str.maketrans("‘’“”–—", "''\"\"--")  # as candor.redact reads them
_HEX = np.isin(np.arange(256), list(b"0123456789abcdefABCDEF"))


def _kinds() -> bytes:
    table = bytearray(256)
    for octet in range(256):
        if (octet < 32 and octet not in b"\t\n\r") or octet == 127:
            table[octet] = _ALWAYS
        elif octet >= 128:
            table[octet] = _HIGH
    for characters, kind in {
        b"0123456789": _DIGIT, b"@_": _ALWAYS, b"%": _PERCENT, b"&": _AMPERSAND, b"[": _BRACKET, b":": _COLON,
        b"/": _SLASH, b".": _DOT, b"-": _DASH,
    }.items():  # fmt: skip
        for octet in characters:
            table[octet] = kind
    table[0] = 0  # between texts; a text that holds one is held back as a whole
    return bytes(table)


_KINDS = _kinds()
_LOW = bytes(octet + 32 if 65 <= octet <= 90 else octet for octet in range(256))

# What has to stand at a word of the text for a rule of its kind to hold; of the others, a number near it.
_AT = {
    "name": re.compile(
        r"(?i:name)(?:'s| is|:)[ \n][A-Z]|(?i:called|call me)[ \n][A-Z]|(?i:signed|regards|sincerely),?[ \n][A-Z]|"
        r"(?i:attn|contact|patient|customer|ask for|speak to|dear):? [MDPS]"
    ),
    "birth": re.compile(
        r"(?i:born|birth[a-z]*|d\.?o\.?b\.?)(?i: on)?(?i: is| was| on)? ?[:=]? ?(?i:on |the )?"
        r"(?i:[0-9]|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
    ),
    "account": re.compile(r"(?i:account|acct|sort code|iban)"),
    "user": re.compile(r"[A-Za-z]+(?: (?:[a-zA-Z]{2,4}))?[ \t]{0,2}(?:is|[:=])"),
    "key": re.compile(r"[A-Za-z]+(?:-----|(?s:.){0,60}?[A-Za-z0-9_.\-+/=]{16})"),
    "password": re.compile(r"[A-Za-z]+(?: [a-zA-Z]{4,6})?[ \t]{0,2}(?:is|was|[:=])"),
}
_FEWEST = {"account": 5, "driver": 5, "passport": 5, "routing": 5}  # digits in the text; of other kinds one
_NUMBERLESS = {"name", "user", "password", "key", "www"}


class Words:
    """The words that announce something, in a perfect hash table of their first eight letters and their length."""

    def __init__(self) -> None:
        names: dict[tuple[int, int], set[str]] = {}
        for word, pairs in {**STARTERS, b"www": {("www", "www")}}.items():
            kinds = {name for name, _ in pairs} - {"address"}  # which has a street in it
            if kinds and word != b"a":  # of "a/c", whose stroke is looked for
                names.setdefault((int.from_bytes(word[:8].rjust(8, b"\0"), "little"), len(word)), set()).update(kinds)
        self.names = [[], *(sorted(each) for each in names.values())]
        self.keys, self.lengths = np.array([(0, 0), *names], dtype=np.uint64).T
        self.numberless = np.array([bool(_NUMBERLESS & {*each}) for each in self.names])
        self.street = np.array([each == ["street"] for each in self.names])
        self.salt = next(salt for salt in range(1, 1000) if len({*self._places(salt).tolist()}) == len(self.names))
        self.table = np.zeros(1 << _BITS, dtype=np.int16)
        self.table[self._places(self.salt)] = np.arange(len(self.names))

    def _places(self, salt: int) -> Places:
        return _buckets(self.keys, self.lengths, salt)

    def find(self, keys: NDArray[np.uint64], lengths: Places) -> tuple[Places, Places]:
        """Which of a text's words are some of these, and which of these."""
        sizes = lengths.astype(np.uint64)
        found = self.table[_buckets(keys, sizes, self.salt)]
        maybe = found.nonzero()[0]
        words = found[maybe]
        sure = (self.keys[words] == keys[maybe]) & (self.lengths[words] == sizes[maybe])
        return maybe[sure], words[sure]


def _buckets(keys: NDArray[np.uint64], lengths: NDArray[np.uint64], salt: int) -> NDArray[np.int64]:
    mixed = (keys ^ (lengths << np.uint64(3))) * np.uint64((_MULTIPLIER * (2 * salt - 1)) % (1 << 64))
    return (mixed >> np.uint64(64 - _BITS)).astype(np.int64)


_words = cache(Words)


def suspects(texts: Sequence[str]) -> list[int]:
    """Places of the texts that may hold something, ascending."""
    held = _Block(texts).held()
    held |= {place for place, text in enumerate(texts) if "\0" in text}
    return sorted(place for place in held if place < len(texts))


class _Block:
    """Texts end to end, as bytes: where they start, and where in them stands what a rule could go by."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts, self.encoded = texts, [text.encode("utf-8", "replace") for text in texts]
        blob = b"\0".join([b"", *self.encoded, _PADDING])
        self.starts = np.cumsum([1, *(len(each) + 1 for each in self.encoded)])
        self.raw = np.frombuffer(blob, np.uint8)
        self.low = blob.translate(_LOW)
        kinds = np.frombuffer(blob.translate(_KINDS), np.uint8)
        self.places = kinds.nonzero()[0]
        self.kinds = kinds[self.places]
        self.digits = self._of(_DIGIT)
        self.count = np.bincount(self.row(self.digits), minlength=len(texts) + 1)

    def _of(self, kind: int) -> Places:
        found: Places = self.places[self.kinds == kind]
        return found

    def row(self, places: Places) -> Places:
        found: Places = self.starts.searchsorted(places, side="right") - 1
        return found

    def held(self) -> set[int]:
        places = [self._of(_ALWAYS), self.escapes(), self.beyond_ascii(), self.numbers(), self.machines(), self.links()]
        rows = set(self.row(np.concatenate(places)).tolist())
        for check in (self.ibans, self.keys, self.announced):
            rows |= check(rows)
        return rows

    def escapes(self) -> Places:
        """Percent escapes, character references, and what looks like a mask of ours."""
        percent, reference, bracket = self._of(_PERCENT), self._of(_AMPERSAND), self._of(_BRACKET)
        after = self.raw[reference + 1]
        capital = self.raw[bracket + 1]
        return np.concatenate(
            [
                percent[_HEX[self.raw[percent + 1]]],
                reference[(after == 35) | ((after | 32) - 97 < 26)],
                bracket[capital - 65 < 26],
            ]
        )

    def beyond_ascii(self) -> Places:
        """All but accented Latin letters, and quotes and dashes; the latter only where there are hardly any digits."""
        high = self._of(_HIGH)
        lead, second, third = self.raw[high], self.raw[high + 1], self.raw[high + 2]
        letters = high[(lead == 0xC3) & (second >= 0x80)]
        marks = high[(lead == 0xE2) & (second == 0x80) & np.isin(third, [0x93, 0x94, 0x98, 0x99, 0x9C, 0x9D, 0xA6])]
        marks = marks[self.count[self.row(marks)] < 4]
        plain = np.concatenate([letters, letters + 1, marks, marks + 1, marks + 2])
        return np.setdiff1d(high, plain, assume_unique=True)

    def numbers(self) -> Places:
        """Seven digits with at most three characters between each two of them, or four numbers with dots between."""
        digits = self.digits
        near = digits[:-6][digits[6:] - digits[:-6] <= 24] if len(digits) > 6 else digits[:0]
        dots = self._of(_DOT)
        dots = dots[(self.raw[dots - 1] - 48 < 10) & (self.raw[dots + 1] - 48 < 10)]
        return np.concatenate([near, dots[:-2][dots[2:] - dots[:-2] <= 8] if len(dots) > 2 else dots[:0]])

    def machines(self) -> Places:
        """Colons, dashes and dots as in addresses of machines."""
        colons, dashes, dots = self._of(_COLON), self._of(_DASH), self._of(_DOT)
        apart = dots[:-1][dots[1:] - dots[:-1] == 5]
        return np.concatenate(
            [
                colons[:-1][colons[1:] - colons[:-1] <= 5],
                dashes[:-4][dashes[4:] - dashes[:-4] == 12] if len(dashes) > 4 else dashes[:0],
                apart[_HEX[self.raw[apart + 1]]],
            ]
        )

    def links(self) -> Places:
        colons, slashes = self._of(_COLON), self._of(_SLASH)
        return np.concatenate(
            [
                colons[(self.raw[colons + 1] == 47) & (self.raw[colons + 2] == 47)],
                slashes[(self.raw[slashes - 3] == 46) | (self.raw[slashes - 4] == 46)],
                slashes[((self.raw[slashes - 1] | 32) == 97) & ((self.raw[slashes + 1] | 32) == 99)],
            ]
        )

    def ibans(self, known: set[int]) -> set[int]:
        """Two letters and two digits, in a text with enough digits."""
        digits = self.digits[:-1][np.diff(self.digits) == 1]
        letters = ((self.raw[digits - 1] | 32) - 97 < 26) & ((self.raw[digits - 2] | 32) - 97 < 26)
        rows = self.row(digits[letters])
        return set(rows[self.count[rows] >= 7].tolist())

    def keys(self, known: set[int]) -> set[int]:
        """What begins as keys do, in texts with so long a stretch without a space."""
        spaces = (self.raw <= 32).nonzero()[0]
        sizes = np.diff(spaces)
        long = set(self.row(spaces[:-1][sizes > _LONG] + 1).tolist())
        longest = set(self.row(spaces[:-1][sizes > _SECRET] + 1).tolist())
        return longest | {row for row in long - known if row < len(self.texts) and keyed(self.texts[row])}

    def announced(self, known: set[int]) -> set[int]:
        """Words with what a rule of theirs wants at them, or a number near."""
        letter = np.frombuffer(self.low, np.uint8) - 97 < 26
        edges = (letter[1:] != letter[:-1]).nonzero()[0] + 1
        begins, lengths = edges[0::2], np.diff(edges)[0::2]
        words = np.ndarray((len(self.low) - 7,), "<u8", self.low, strides=(1,))
        keys = words[begins] << _SHIFT.take(lengths, mode="clip")
        hits, found = _words().find(keys, lengths)
        places, rows = begins[hits], self.row(begins[hits])
        digit = np.append(self.digits, np.iinfo(np.int64).max)
        following = self.digits.searchsorted(places)
        after = digit[following] - places
        before = places - np.append(-(1 << 40), self.digits)[following]
        near = np.where(
            _words().street[found],
            (before <= _NEAR) & (self.raw[places] < 97),  # "12 High Street", with a capital
            (after <= _NEAR) | (before <= _NEAR),
        )
        kept = (near | _words().numberless[found]).nonzero()[0]
        held: set[int] = set()
        for word, row, place in zip(found[kept].tolist(), rows[kept].tolist(), places[kept].tolist(), strict=True):
            new = row not in held and row not in known
            if new and any(self._holds(name, row, place) for name in _words().names[word]):
                held.add(row)
        return held

    def _holds(self, name: str, row: int, place: int) -> bool:
        text = self.texts[row]
        if name not in _NUMBERLESS and self.count[row] < _FEWEST.get(name, 1):
            return False
        if name not in _AT:
            return True
        at = place - int(self.starts[row])
        if text.isascii():
            return _AT[name].match(text, at) is not None
        here = self.encoded[row][at : at + _NEAR].decode("utf-8", "replace").translate(_QUOTES)
        return _AT[name].match(here) is not None
