"""Select the texts of a block that may contain personal data: a vectorised prefilter for candor.redact.find.

The sieve has no false negatives: a text that is not selected contains no entity. Each condition here is necessary for a
rule of candor.redact to match, but looser, and is tested in NumPy for all texts of a block at once.

Texts lie end to end in one sequence of bytes, here called the blob. An offset is an index into the blob, a row is the
index of a text.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from candor.redact.finder import RULES_BY_PART
from candor.redact.modes import redact
from candor.redact.normalise import NormalizedText
from candor.redact.rules import KEY_PREFIXES, MIN_KEY_LENGTH, RULES, Rule

Offsets = NDArray[np.int64]

_DIGIT, _ALWAYS, _PERCENT, _AMPERSAND, _BRACKET, _HIGH, _COLON, _SLASH, _DOT, _DASH = range(1, 11)
_PADDING = b" " * 16
_MAX_HOUSE_DISTANCE = 192  # bytes between the number of a house and its street
_WWW = b"www"
_AWS_SECRET_LENGTH = 40  # characters of a key without a prefix
_FAR = 1 << 40
_BLOCK_CHARACTERS = 1_000_000  # minimum size of a block of texts
_FEW = 8  # so many texts at most are redacted faster without looking for candidates first
_TRIES = 12  # context words of a text that match nothing, after which one search of all of it is cheaper
_TABLE_BITS = 14
_LOWER_CASE = 0x20  # this bit turns an ASCII letter into lower case, and turns no other character into a letter
_MULTIPLIER = 0x9E3779B97F4A7C15
_BYTES = np.arange(256)
_HEX = np.isin(_BYTES, list(b"0123456789abcdefABCDEF"))
_GAP = np.isin(_BYTES, list(b" \t\r\n_()/-."))
_LETTER = ((_BYTES | 32) - 97) % 256 < 26
# Second UTF-8 bytes of Latin-1 characters that normalisation keeps, and of those that become one quote or dash.
_SAME = np.isin(_BYTES, list(b"\xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa9\xab\xac\xae\xb0\xb1\xb6\xbb\xbf"))
_MARK = np.isin(_BYTES, list(b"\x85\x91\x92\x93\x94\x96\x97\xb4"))
_WIDE_MARK = np.isin(
    _BYTES, list(b"\x93\x94\x98\x99\x9c\x9d\xa6")
)  # third UTF-8 bytes of quotes, dashes and an ellipsis
_KEY_PREFIXES = [prefix.encode() for prefix in KEY_PREFIXES]


def _byte_classes() -> NDArray[np.uint8]:
    table = np.zeros(256, np.uint8)
    for characters, byte_class in {
        bytes({*range(1, 32)} - {*b"\t\n\r"}) + b"\x7f@": _ALWAYS, b"0123456789": _DIGIT, b"%": _PERCENT,
        b"&": _AMPERSAND, b"[": _BRACKET, b":": _COLON, b"/": _SLASH, b".": _DOT, b"-": _DASH,
        bytes(range(128, 256)): _HIGH,
    }.items():  # fmt: skip
        table[list(characters)] = byte_class
    return table  # NUL has no class: it separates texts, and a text that contains one is selected anyway


_BYTE_CLASSES = _byte_classes()
_CLASSIFIED = bytes((_BYTE_CLASSES > 0).tolist())


class ContextWords:
    """The context words of all rules, in a perfect hash table of the first eight letters of their rarest part.

    Entry 0 of each list and array below stands for no word.

    Attributes:
        parts: Parts of context words that share their first eight letters.
        phrases: (rule, context word, offset of the part in the word) of each of these parts.
        min_digits: Minimum digits in a text for any of these rules to match.
        street: True if the patterns of all these rules contain the word, as those of streets do.
        keys: The first eight letters as a little-endian integer, padded with zeros.
        salt: Number that selects a hash function without collisions.
        table: Index of the entry by hash value.
        starts: True for each pair of first letters that any part has.
    """

    def __init__(self) -> None:
        parts: dict[int, list[bytes]] = {}
        for part in (*RULES_BY_PART, _WWW):
            parts.setdefault(int.from_bytes(part[:8], "little"), []).append(part)
        self.parts = [[], *parts.values()]
        self.phrases = [[phrase for part in entry for phrase in _phrases(part)] for entry in self.parts]
        self.min_digits = np.array(
            [min((rule.min_digits for rule, _, _ in entry), default=0) for entry in self.phrases]
        )
        self.street = np.array(
            [bool(entry) and all(rule.word_offset for rule, _, _ in entry) for entry in self.phrases]
        )
        self.keys = np.array([0, *parts], dtype=np.uint64)
        self.salt = next(
            salt for salt in range(1, 10000) if len({*self._buckets(self.keys, salt).tolist()}) == len(self.parts)
        )
        self.table = np.zeros(1 << _TABLE_BITS, dtype=np.int16)
        self.table[self._buckets(self.keys, self.salt)] = np.arange(len(self.parts))
        self.starts = np.zeros(1 << 16, np.bool_)
        self.starts[self.keys[1:] & np.uint64(0xFFFF)] = True

    def find(self, blob: bytes) -> tuple[Offsets, Offsets]:
        """Find words of the blob, in any case, that equal a part or share its first eight letters.

        Returns:
            Offsets [m] of the words, and the indices [m] of their entries.
        """
        letter = (np.frombuffer(blob, np.uint8) | _LOWER_CASE) - 97 < 26
        begins = (letter[1:] > letter[:-1]).nonzero()[0] + 1
        twos = np.ndarray((len(blob) - 1,), "<u2", blob, strides=(1,))
        begins = begins[self.starts[twos[begins] | _LOWER_CASE * 0x101]]
        eights = np.ndarray((len(blob) - 7,), "<u8", blob, strides=(1,))
        keys = _leading_letters(eights[begins] | np.uint64(_LOWER_CASE * 0x0101010101010101))
        entries = self.table[self._buckets(keys, self.salt)]
        equal = (self.keys[entries] == keys).nonzero()[0]
        return begins[equal], entries[equal]

    @staticmethod
    def _buckets(keys: NDArray[np.uint64], salt: int) -> NDArray[np.uint64]:
        return (keys * np.uint64((_MULTIPLIER * (2 * salt - 1)) % (1 << 64))) >> np.uint64(64 - _TABLE_BITS)


def _leading_letters(eights: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Keep the lower-case letters at the start of each eight bytes and clear the rest, all bytes at once."""
    tops = np.uint64(0x8080808080808080)
    low = eights & ~tops
    other = (~(low + np.uint64(0x1F1F1F1F1F1F1F1F)) | (low + np.uint64(0x0505050505050505)) | eights) & tops
    return eights & (((other & (~other + np.uint64(1))) >> np.uint64(7)) - np.uint64(1))


def _phrases(part: bytes) -> list[tuple[Rule, bytes, int]]:
    """Return (rule, context word in lower case, offset of the part in the word) of each word that contains the part."""
    words = [(RULES[index], word.lower().encode()) for index, word in RULES_BY_PART.get(part, ())]
    return [(rule, word, word.index(part)) for rule, word in words]


_context_words = cache(ContextWords)


def _has_key_prefix(token: bytes) -> bool:
    token = token if token.isascii() else NormalizedText(token.decode("utf-8", "replace")).text.encode()
    return any(prefix in token for prefix in _KEY_PREFIXES)


def redact_texts(texts: Iterable[str]) -> list[str]:
    """Return each text as `redact` replaces personal data in it. Texts that cannot contain any are not searched.

    Texts are taken in blocks, so that only the result grows with their number.

    Example:
        >>> redact_texts(["a good film", "write to jane@example.com"])
        ['a good film', 'write to [EMAIL]']
    """
    redacted: list[str] = []
    for block in _blocks(texts):
        candidates = {*candidate_indices(block)} if len(block) > _FEW else range(len(block))
        redacted += [redact(text).text if index in candidates else text for index, text in enumerate(block)]
    return redacted


def _blocks(texts: Iterable[str]) -> Iterator[list[str]]:
    """Yield blocks of at least _BLOCK_CHARACTERS characters. Only the last may be shorter."""
    block: list[str] = []
    size = 0
    for text in texts:
        block.append(text)
        size += len(text)
        if size >= _BLOCK_CHARACTERS:
            yield block
            block, size = [], 0
    if block:
        yield block


def candidate_indices(texts: Sequence[str]) -> list[int]:
    """Return the indices of the texts that may contain personal data, ascending.

    Args:
        texts: The texts as callers wrote them. All are held in memory as UTF-8.

    Example:
        >>> candidate_indices(["a good film", "write to jane@example.com", "9/10"])
        [1]
    """
    candidates = _Block(texts).candidates().tolist()
    return [row for row, text in enumerate(texts) if candidates[row] or "\0" in text]


class _Block:
    """Texts end to end in one blob, with the offsets of the bytes on which rules depend.

    The methods without parameters return offsets in the rows that a group of rules may match.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts
        encoded = [text.encode("utf-8", "replace") for text in texts]
        self.blob = blob = b"\0".join([b"", *encoded, _PADDING])
        self.starts = np.cumsum([1, *(len(each) + 1 for each in encoded)])
        self.raw = np.frombuffer(blob, np.uint8)
        self.offsets = np.frombuffer(blob.translate(_CLASSIFIED), np.bool_).nonzero()[0]
        self.classes = _BYTE_CLASSES[self.raw[self.offsets]]
        self.digits = self._of(_DIGIT)
        self.n_digits = np.bincount(self.row(self.digits), minlength=len(texts) + 1)
        self._last, self._next = np.append(-_FAR, self.digits), np.append(self.digits, _FAR)
        self.spaces = (self.raw <= 32).nonzero()[0]

    def _of(self, byte_class: int) -> Offsets:
        """Return the offsets of the bytes of one class."""
        offsets: Offsets = self.offsets[self.classes == byte_class]
        return offsets

    def row(self, offsets: Offsets) -> Offsets:
        """Return the row of each offset."""
        rows: Offsets = self.starts.searchsorted(offsets, side="right") - 1
        return rows

    def candidates(self) -> NDArray[np.bool_]:
        """Return whether any rule may match each row, [n]."""
        known = np.zeros(len(self.texts) + 1, np.bool_)  # what follows the last text counts as a row
        known[self.row(self._of(_ALWAYS))] = True
        for check in self.escapes, self.beyond_ascii, self.numbers, self.network_addresses, self.links:
            known[self.row(check())] = True
        known[self.row(self.keys(known))] = True  # of rows that are known already, these two would take long
        known[self.context_rows(known)] = True
        return known[:-1]

    def escapes(self) -> Offsets:
        """Return percent escapes, character references, and what looks like a mask such as [EMAIL]."""
        percent, reference, bracket = self._of(_PERCENT), self._of(_AMPERSAND), self._of(_BRACKET)
        raw = self.raw
        ends = np.zeros(len(reference), np.bool_)
        for offset in range(3, 10):
            ends |= raw[reference + offset] == 59
        capitals = (raw[bracket + 1] - 65 < 26) & (raw[bracket + 2] - 65 < 26) & (raw[bracket + 3] - 65 < 31)
        return np.concatenate(
            [percent[_HEX[raw[percent + 1]] & _HEX[raw[percent + 2]]], reference[ends], bracket[capitals]]
        )

    def beyond_ascii(self) -> Offsets:
        """Return non-ASCII bytes, except accented Latin letters and signs, and except most quotes and dashes.

        Quotes and dashes count beside digits and where they may be part of a MAC address or a private key.
        """
        high = self._of(_HIGH)
        if not len(high):
            return high
        lead, second, third = self.raw[high], self.raw[high + 1], self.raw[high + 2]
        same = high[(lead == 0xC3) | ((lead == 0xC2) & _SAME[second])]
        marks = high[(lead == 0xC2) & _MARK[second]]
        wide = high[(lead == 0xE2) & (second == 0x80) & _WIDE_MARK[third]]
        marks, wide = marks[~self._is_relevant(marks, 2)], wide[~self._is_relevant(wide, 3)]
        plain = np.concatenate([same, same + 1, marks, marks + 1, wide, wide + 1, wide + 2])
        changed = np.zeros(len(self.raw), np.bool_)
        changed[high], changed[plain] = True, False
        return changed.nonzero()[0]

    def _is_relevant(self, marks: Offsets, width: int) -> NDArray[np.bool_]:
        """Return True for each mark of `width` bytes beside a digit, between hexadecimal pairs, or before "BEGIN"."""
        raw, after = self.raw, marks + width
        following = self.digits.searchsorted(marks)
        near: NDArray[np.bool_] = (marks - self._last[following] <= 6) | (self._next[following] - marks <= 6)
        before, behind = _HEX[raw[marks - 2]] & _HEX[raw[marks - 1]], _HEX[raw[after]] & _HEX[raw[after + 1]]
        near |= before & behind & ~_LETTER[raw[after + 2]]
        near |= ((raw[after] == 66) & (raw[after + 1] == 69)) | (raw[after] == 45) | (raw[marks - 1] == 45)
        return near

    def numbers(self) -> Offsets:
        """Return seven digits with only gaps between them, dotted numbers, and the first four characters of IBANs."""
        digits, raw = self.digits, self.raw
        distance = np.diff(digits)
        near = (distance == 1) | ((distance <= 4) & _GAP[raw[digits[:-1] + 1]] & _GAP[raw[digits[1:] - 1]])
        run = np.cumsum(np.append(0, near))
        runs = digits[:-6][run[6:] - run[:-6] == 6]
        dots = self._of(_DOT)
        dots = dots[(raw[dots - 1] - 48 < 10) & (raw[dots + 1] - 48 < 10)]
        pairs = digits[:-1][distance == 1]
        ibans = pairs[_LETTER[raw[pairs - 1]] & _LETTER[raw[pairs - 2]]]
        ibans = ibans[self.n_digits[self.row(ibans)] >= 7]
        return np.concatenate([runs, dots[:-2][dots[2:] - dots[:-2] <= 8], ibans])

    def network_addresses(self) -> Offsets:
        """Return colons, dashes and dots as in IP and MAC addresses, in "d.o.b", and before private keys."""
        raw, colons, dashes, dots = self.raw, self._of(_COLON), self._of(_DASH), self._of(_DOT)
        dotted_mac = dots[:-1][np.diff(dots) == 5]
        initials = dots[((raw[dots - 1] | 32) == 100) & ((raw[dots + 1] | 32) == 111) & ((raw[dots + 3] | 32) == 98)]
        return np.concatenate(
            [
                colons[:-1][np.diff(colons) <= 5],
                dashes[:-4][dashes[4:] - dashes[:-4] == 12],
                dotted_mac[_HEX[raw[dotted_mac + 1]]],
                initials[self.n_digits[self.row(initials)] >= 3],
                dashes[:-4][(dashes[4:] - dashes[:-4] == 4) & (raw[dashes[4:] + 1] == 66)],
            ]
        )

    def links(self) -> Offsets:
        """Return ends of schemes and of domain names, and the slash of "a/c" (account)."""
        raw, colons, slashes = self.raw, self._of(_COLON), self._of(_SLASH)
        accounts = slashes[((raw[slashes - 1] | 32) == 97) & ((raw[slashes + 1] | 32) == 99)]
        domains = slashes[((raw[slashes - 3] == 46) | (raw[slashes - 4] == 46)) & (raw[slashes + 1] > 32)]
        return np.concatenate(
            [
                colons[(raw[colons + 1] == 47) & (raw[colons + 2] == 47)],
                domains[_LETTER[raw[domains - 1]] & _LETTER[raw[domains - 2]]],
                accounts[self.n_digits[self.row(accounts)] >= 6],
            ]
        )

    def keys(self, known: NDArray[np.bool_]) -> Offsets:
        """Return tokens outside `known` rows that have the prefix of a key, or the length of one without a prefix."""
        sizes = np.diff(self.spaces)
        long = (sizes > MIN_KEY_LENGTH).nonzero()[0]
        long = long[~known[self.row(self.spaces[long] + 1)]]
        begins, ends = self.spaces[long] + 1, self.spaces[long + 1]
        tokens = [self.blob[begin:end] for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)]
        if not _has_key_prefix(b" ".join(tokens)):
            return begins[sizes[long] > _AWS_SECRET_LENGTH]
        return begins[[len(token) >= _AWS_SECRET_LENGTH or _has_key_prefix(token) for token in tokens]]

    def context_rows(self, known: NDArray[np.bool_]) -> list[int]:
        """Return rows outside `known` in which a context rule may match."""
        words = _context_words()
        offsets, entries = words.find(self.blob)
        rows, distance = self.row(offsets), offsets - self._last[self.digits.searchsorted(offsets)]
        kept = ~known[rows] & (self.n_digits[rows] >= words.min_digits[entries])
        # A street has a capital, and the number of the house before it: "12 High Street".
        kept &= ~words.street[entries] | ((distance < _MAX_HOUSE_DISTANCE) & (self.raw[offsets] < 97))
        matching, tries = set[int](), Counter[int]()
        for row, entry, offset in zip(rows[kept].tolist(), entries[kept].tolist(), offsets[kept].tolist(), strict=True):
            if row in matching:
                continue
            tries[row] += 1
            if tries[row] > _TRIES or self._matches(words, entry, row, offset):
                matching.add(row)
        return [*matching]

    def _matches(self, words: ContextWords, entry: int, row: int, offset: int) -> bool:
        """Return True if a rule of the entry may match at this offset."""
        n_digits = int(self.n_digits[row])
        rules = [
            (rule, within)
            for rule, phrase, within in words.phrases[entry]
            if rule.min_digits <= n_digits and self._may_read(offset - within, phrase)
        ]
        text = self.texts[row]
        if not text.isascii():  # to normalise it for each word would take quadratic time
            return _WWW in words.parts[entry] or bool(rules)
        at = offset - int(self.starts[row])
        return _WWW in words.parts[entry] or any(rule.matches_at(text, at - within) for rule, within in rules)

    def _may_read(self, begin: int, phrase: bytes) -> bool:
        """Return True if the phrase stands at this offset, or non-ASCII bytes that may normalise to it."""
        stretch = self.blob[begin : begin + len(phrase)]
        return stretch.lower() == phrase or not stretch.isascii()
