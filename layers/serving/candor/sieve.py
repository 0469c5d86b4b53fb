"""Which texts of a block may hold personal data: a sieve in front of candor.redact.find, at a fraction of its time.

What it lets through without a look, find finds nothing in; what it holds back is for find to judge. Each condition here
is one that a rule of candor.redact needs, looser and in NumPy, for all texts of a block at once.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from candor.redact.finder import PARTED, announced
from candor.redact.normalise import Normal
from candor.redact.rules import RULES, SHORTEST, STARTS, Rule

Places = NDArray[np.int64]

_DIGIT, _ALWAYS, _PERCENT, _AMPERSAND, _BRACKET, _HIGH, _COLON, _SLASH, _DOT, _DASH = range(1, 11)
_PADDING = b" " * 16
_NEAR = 192  # bytes between the number of a house and its street
_WWW = b"www"
_SECRET = 40  # of a key that is told by its length
_FAR = 1 << 40
_BITS = 14
_CASE = 0x20  # what makes a letter of ASCII a lower-case one, and no other sign a letter
_MULTIPLIER = 0x9E3779B97F4A7C15
_BYTES = np.arange(256)
_HEX = np.isin(_BYTES, list(b"0123456789abcdefABCDEF"))
_GAP = np.isin(_BYTES, list(b" \t\r\n_()/-."))
_LETTER = ((_BYTES | 32) - 97) % 256 < 26
# Second bytes of Latin-1 signs that normalised text has as they are, and of those that become one plain sign.
_SAME = np.isin(_BYTES, list(b"\xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa9\xab\xac\xae\xb0\xb1\xb6\xbb\xbf"))
_MARK = np.isin(_BYTES, list(b"\x85\x91\x92\x93\x94\x96\x97\xb4"))
_WIDE_MARK = np.isin(_BYTES, list(b"\x93\x94\x98\x99\x9c\x9d\xa6"))  # third bytes of quotes, dashes and an ellipsis
_STARTS = [start.encode() for start in STARTS]


def _kinds() -> NDArray[np.uint8]:
    table = np.zeros(256, np.uint8)
    for characters, kind in {
        bytes({*range(1, 32)} - {*b"\t\n\r"}) + b"\x7f@": _ALWAYS, b"0123456789": _DIGIT, b"%": _PERCENT,
        b"&": _AMPERSAND, b"[": _BRACKET, b":": _COLON, b"/": _SLASH, b".": _DOT, b"-": _DASH,
        bytes(range(128, 256)): _HIGH,
    }.items():  # fmt: skip
        table[list(characters)] = kind
    return table  # of a zero nothing: it stands between texts, and a text that holds one is held back as a whole


_KINDS = _kinds()
_KEPT = bytes((_KINDS > 0).tolist())


class Words:
    """The words that announce something, in a perfect hash table of their first eight letters."""

    def __init__(self) -> None:
        parts: dict[int, list[bytes]] = {}
        for part in (*PARTED, _WWW):
            parts.setdefault(int.from_bytes(part[:8], "little"), []).append(part)
        self.parts = [[], *parts.values()]
        self.pairs = [[pair for part in each for pair in _pairs(part)] for each in self.parts]
        self.digits = np.array([min((rule.digits for rule, _, _ in each), default=0) for each in self.pairs])
        self.street = np.array([bool(each) and all(rule.own for rule, _, _ in each) for each in self.pairs])
        self.keys = np.array([0, *parts], dtype=np.uint64)
        self.salt = next(
            salt for salt in range(1, 10000) if len({*self._buckets(self.keys, salt).tolist()}) == len(self.parts)
        )
        self.table = np.zeros(1 << _BITS, dtype=np.int16)
        self.table[self._buckets(self.keys, self.salt)] = np.arange(len(self.parts))
        self.starts = np.zeros(1 << 16, np.bool_)
        """By its first two letters, whether a word may be one of them."""
        self.starts[self.keys[1:] & np.uint64(0xFFFF)] = True

    def find(self, blob: bytes) -> tuple[Places, Places]:
        """Where words start that are some of these, or start with eight letters of theirs, in any case; and which."""
        letter = (np.frombuffer(blob, np.uint8) | _CASE) - 97 < 26
        begins = (letter[1:] > letter[:-1]).nonzero()[0] + 1
        twos = np.ndarray((len(blob) - 1,), "<u2", blob, strides=(1,))
        begins = begins[self.starts[twos[begins] | _CASE * 0x101]]
        eights = np.ndarray((len(blob) - 7,), "<u8", blob, strides=(1,))
        keys = _letters_of(eights[begins] | np.uint64(_CASE * 0x0101010101010101))
        found = self.table[self._buckets(keys, self.salt)]
        sure = (self.keys[found] == keys).nonzero()[0]
        return begins[sure], found[sure]

    @staticmethod
    def _buckets(keys: NDArray[np.uint64], salt: int) -> NDArray[np.uint64]:
        return (keys * np.uint64((_MULTIPLIER * (2 * salt - 1)) % (1 << 64))) >> np.uint64(64 - _BITS)


def _letters_of(eights: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Of eight bytes each those before the first that is no lower-case letter: all bytes at once, by their top bits."""
    tops = np.uint64(0x8080808080808080)
    low = eights & ~tops
    other = (~(low + np.uint64(0x1F1F1F1F1F1F1F1F)) | (low + np.uint64(0x0505050505050505)) | eights) & tops
    return eights & (((other & (~other + np.uint64(1))) >> np.uint64(7)) - np.uint64(1))


def _pairs(part: bytes) -> list[tuple[Rule, bytes, int]]:
    """Rules with a word that has this part in it, the word in lower case, and where in it the part stands."""
    words = [(RULES[place], word.lower().encode()) for place, word in PARTED.get(part, ())]
    return [(rule, word, word.index(part)) for rule, word in words]


_words = cache(Words)


def _keyed(token: bytes) -> bool:
    token = token if token.isascii() else Normal(token.decode("utf-8", "replace")).text.encode()
    return any(start in token for start in _STARTS)


def suspects(texts: Sequence[str]) -> list[int]:
    """Places of the texts that may hold something, ascending."""
    held = _Block(texts).held()
    held |= {place for place, text in enumerate(texts) if "\0" in text}
    return sorted(place for place in held if place < len(texts))


class _Block:
    """Texts end to end, as bytes: where they start, and where in them stands what a rule could go by."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts
        encoded = [text.encode("utf-8", "replace") for text in texts]
        self.blob = blob = b"\0".join([b"", *encoded, _PADDING])
        self.starts = np.cumsum([1, *(len(each) + 1 for each in encoded)])
        self.raw = np.frombuffer(blob, np.uint8)
        self.places = np.frombuffer(blob.translate(_KEPT), np.bool_).nonzero()[0]
        self.kinds = _KINDS[self.raw[self.places]]
        self.digits = self._of(_DIGIT)
        self.count = np.bincount(self.row(self.digits), minlength=len(texts) + 1)
        self._last, self._next = np.append(-_FAR, self.digits), np.append(self.digits, _FAR)
        self.spaces = (self.raw <= 32).nonzero()[0]

    def _of(self, kind: int) -> Places:
        found: Places = self.places[self.kinds == kind]
        return found

    def row(self, places: Places) -> Places:
        found: Places = self.starts.searchsorted(places, side="right") - 1
        return found

    def held(self) -> set[int]:
        checks = self.escapes, self.beyond_ascii, self.numbers, self.machines, self.links, self.keys
        places = [self._of(_ALWAYS), *(check() for check in checks)]
        rows = set(self.row(np.concatenate(places)).tolist())
        return rows | self.announced(rows)

    def escapes(self) -> Places:
        """Percent escapes, character references, and what looks like a mask of ours."""
        percent, reference, bracket = self._of(_PERCENT), self._of(_AMPERSAND), self._of(_BRACKET)
        raw = self.raw
        ends = np.zeros(len(reference), np.bool_)
        for offset in range(3, 10):
            ends |= raw[reference + offset] == 59
        capitals = (raw[bracket + 1] - 65 < 26) & (raw[bracket + 2] - 65 < 26) & (raw[bracket + 3] - 65 < 31)
        return np.concatenate(
            [percent[_HEX[raw[percent + 1]] & _HEX[raw[percent + 2]]], reference[ends], bracket[capitals]]
        )

    def beyond_ascii(self) -> Places:
        """All but accented Latin letters and signs; quotes and dashes only beside digits, or as in MAC addresses."""
        high = self._of(_HIGH)
        if not len(high):
            return high
        lead, second, third = self.raw[high], self.raw[high + 1], self.raw[high + 2]
        same = high[(lead == 0xC3) | ((lead == 0xC2) & _SAME[second])]
        marks = high[(lead == 0xC2) & _MARK[second]]
        wide = high[(lead == 0xE2) & (second == 0x80) & _WIDE_MARK[third]]
        marks, wide = marks[~self._telling(marks, 2)], wide[~self._telling(wide, 3)]
        plain = np.concatenate([same, same + 1, marks, marks + 1, wide, wide + 1, wide + 2])
        return np.setdiff1d(high, plain, assume_unique=True)

    def _telling(self, marks: Places, width: int) -> NDArray[np.bool_]:
        """Whether marks of so many bytes stand beside a digit, between pairs as in MAC addresses, or before BEGIN."""
        raw, after = self.raw, marks + width
        following = self.digits.searchsorted(marks)
        near: NDArray[np.bool_] = (marks - self._last[following] <= 6) | (self._next[following] - marks <= 6)
        before, behind = _HEX[raw[marks - 2]] & _HEX[raw[marks - 1]], _HEX[raw[after]] & _HEX[raw[after + 1]]
        near |= before & behind & ~_LETTER[raw[after + 2]]
        near |= ((raw[after] == 66) & (raw[after + 1] == 69)) | (raw[after] == 45) | (raw[marks - 1] == 45)
        return near

    def numbers(self) -> Places:
        """Seven digits with only gaps between, or four numbers with dots between, or an IBAN's first four."""
        digits, raw = self.digits, self.raw
        apart = np.diff(digits)
        near = (apart == 1) | ((apart <= 4) & _GAP[raw[digits[:-1] + 1]] & _GAP[raw[digits[1:] - 1]])
        run = np.cumsum(np.append(0, near))
        runs = digits[:-6][run[6:] - run[:-6] == 6]
        dots = self._of(_DOT)
        dots = dots[(raw[dots - 1] - 48 < 10) & (raw[dots + 1] - 48 < 10)]
        pairs = digits[:-1][apart == 1]
        ibans = pairs[_LETTER[raw[pairs - 1]] & _LETTER[raw[pairs - 2]]]
        ibans = ibans[self.count[self.row(ibans)] >= 7]
        return np.concatenate([runs, dots[:-2][dots[2:] - dots[:-2] <= 8], ibans])

    def machines(self) -> Places:
        """Colons, dashes and dots as in addresses of machines, in dates of birth and before keys."""
        raw, colons, dashes, dots = self.raw, self._of(_COLON), self._of(_DASH), self._of(_DOT)
        apart = dots[:-1][np.diff(dots) == 5]
        initials = dots[((raw[dots - 1] | 32) == 100) & ((raw[dots + 1] | 32) == 111) & ((raw[dots + 3] | 32) == 98)]
        return np.concatenate(
            [
                colons[:-1][np.diff(colons) <= 5],
                dashes[:-4][dashes[4:] - dashes[:-4] == 12],
                apart[_HEX[raw[apart + 1]]],
                initials[self.count[self.row(initials)] >= 3],
                dashes[:-4][(dashes[4:] - dashes[:-4] == 4) & (raw[dashes[4:] + 1] == 66)],
            ]
        )

    def links(self) -> Places:
        """A scheme's or a domain's end, and the accounts that are written a/c."""
        raw, colons, slashes = self.raw, self._of(_COLON), self._of(_SLASH)
        accounts = slashes[((raw[slashes - 1] | 32) == 97) & ((raw[slashes + 1] | 32) == 99)]
        domains = slashes[((raw[slashes - 3] == 46) | (raw[slashes - 4] == 46)) & (raw[slashes + 1] > 32)]
        return np.concatenate(
            [
                colons[(raw[colons + 1] == 47) & (raw[colons + 2] == 47)],
                domains[_LETTER[raw[domains - 1]] & _LETTER[raw[domains - 2]]],
                accounts[self.count[self.row(accounts)] >= 6],
            ]
        )

    def keys(self) -> Places:
        """Stretches without a space that begin as keys do, or are as long as those that begin like nothing."""
        sizes = np.diff(self.spaces)
        long = (sizes > SHORTEST).nonzero()[0]
        begins, ends = self.spaces[long] + 1, self.spaces[long + 1]
        tokens = [self.blob[begin:end] for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)]
        if not _keyed(b" ".join(tokens)):
            return begins[sizes[long] > _SECRET]
        return begins[[len(token) >= _SECRET or _keyed(token) for token in tokens]]

    def announced(self, known: set[int]) -> set[int]:
        """Texts with words of rules that find something in them."""
        words = _words()
        places, found = words.find(self.blob)
        rows, before = self.row(places), places - self._last[self.digits.searchsorted(places)]
        kept = self.count[rows] >= words.digits[found]
        kept &= ~words.street[found] | ((before < _NEAR) & (self.raw[places] < 97))  # "12 High Street", with a capital
        held: set[int] = set()
        for row, word, place in zip(rows[kept].tolist(), found[kept].tolist(), places[kept].tolist(), strict=True):
            if row not in known and row not in held and self._holds(words, word, row, place):
                held.add(row)
        return held

    def _holds(self, words: Words, word: int, row: int, place: int) -> bool:
        """Whether a rule does where its word stands; of a text that is not all ASCII, anywhere in it."""
        count = int(self.count[row])
        rules = [
            (rule, offset)
            for rule, phrase, offset in words.pairs[word]
            if rule.digits <= count and self._reads(place - offset, phrase)
        ]
        text = self.texts[row]
        if not text.isascii():
            return _WWW in words.parts[word] or (
                bool(rules) and any(announced(Normal(text).text, words.parts[word], count))
            )
        at = place - int(self.starts[row])
        return _WWW in words.parts[word] or any(rule.stands(text, at - offset) for rule, offset in rules)

    def _reads(self, begin: int, phrase: bytes) -> bool:
        """Whether a phrase stands there, or what is not ASCII and may be read so."""
        there = self.blob[begin : begin + len(phrase)]
        return there.lower() == phrase or not there.isascii()
