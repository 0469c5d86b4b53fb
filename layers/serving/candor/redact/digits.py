"""Find where numbers may begin among the digits of a text: all positions at once, bit-parallel.

In an integer, bit n stands for the n-th digit, and one shift moves all of them (Baeza-Yates and Gonnet 1992, "A New
Approach to Text Searching"). A text of nothing but digits therefore costs little more than any other text.

Terms: a run is a stretch of digits with gaps of at most three characters. A group is a stretch of digits without gaps.
A window is a sequence of whole neighbouring groups of a run. A position counts digits; an offset counts code points of
the text. candor.redact.numbers examines the windows found here one by one; any other sequence of digits is no number.
"""

import re
from collections.abc import Iterable, Iterator, Sequence, Set
from functools import cached_property, reduce
from operator import or_

import numpy as np
from numpy.typing import NDArray

from candor.redact import checks

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

MIN_DIGITS = 7
"""Minimum number of digits of a number that no word announces."""
CARD_LENGTHS = range(13, 20)
"""Digits of a payment card (ISO/IEC 7812)."""
RESIDENT_ID_LENGTHS = (15, 17, 18)
"""Digits of a Chinese resident ID (GB 11643). An ID with 17 digits has the check character X."""
PHONE_LENGTHS = range(MIN_DIGITS, 16)
"""Digits of a telephone number (ITU-T E.164). It has at most five groups."""
CONTEXT = 48
"""Characters before a number in which its word may begin."""
_MAX_SPLIT_GROUPS = 12  # groups of a run in which somebody may have split a number's digits apart to evade detection
PHONE_SHAPES = {
    (3, 3, 4), (1, 3, 3, 4), (3, 7), (6, 4), (3, 4, 4), (3, 8), (4, 7), (4, 8), (4, 3, 4), (4, 4, 3), (5, 6), (5, 3, 3),
    (3, 3, 3), (2, 2, 2, 2, 2), (2, 4, 4), (2, 8), (2, 9), (2, 5, 4), (2, 4, 5), (4, 6), (5, 5), (2, 3, 4), (2, 3, 5),
    (3, 3, 5), (1, 4, 4), (3, 2, 2, 2), (4, 3, 3), (4, 2, 2, 2), (3, 6), (3, 3, 2, 2), (2, 7), (2, 3, 2, 2), (5, 4), (4, 5),
    (3, 4, 3),
}  # fmt: skip
"""Digits in each group of telephone numbers, as countries write them."""
NORTH_AMERICAN = {(3, 3, 4), (6, 4), (1, 3, 3, 4)}
"""Shapes of North American numbers."""
STARTING_6_TO_9 = {(5, 5), (3, 3, 3), (3, 2, 2, 2)}
"""Shapes of numbers whose first digit is 6 to 9."""
FREEPHONE = {(3, 3, 4), (3, 4, 3), (3, 7)}
"""Shapes of numbers that begin with 400 or 800."""
_SSN_SHAPE = (3, 2, 4)

Tree = dict[int, "Tree"]
"""Sizes of first groups, and for each size the tree of the groups after it."""


def _tree(shapes: Iterable[tuple[int, ...]]) -> Tree:
    tree: Tree = {}
    for shape in shapes:
        branch = tree
        for size in shape:
            branch = branch.setdefault(size, {})
    return tree


_TREE = _tree((*PHONE_SHAPES, _SSN_SHAPE))
_GAP = r"(?:[ \t\r\n\x1e\x1f_()/\-]{1,3}+|\.)"
_RUN = re.compile(rf"[+(0-9](?:[0-9]|{_GAP}[0-9]){{6,}}+")
_GAPS = b" \t\r\n\x1e\x1f_()/-."


def _table(classes: dict[str, bytes]) -> bytes:
    """Return a translation table from the octets of each class to its letter, and from all other octets to "#"."""
    return bytes(
        next((ord(letter) for letter, octets in classes.items() if octet in octets), 35) for octet in range(256)
    )


_CLASSES = _table({"d": b"0123456789", "p": b"(", ".": b".", "g": _GAPS})  # digit, opening bracket, dot, other gap
_NO_GAP = bytes(octet not in _GAPS for octet in range(256))
_VALUES = bytes(octet - 48 if octet in b"0123456789" else 0 for octet in range(256))
_DOUBLED = bytes(2 * value // 10 + 2 * value % 10 for value in _VALUES)
_TENS = bytes(value % 10 == 0 for value in range(256))
_DIGITS = b"0123456789"
_RESIDENT_ID_WEIGHTS = np.array([*checks.RESIDENT_ID_WEIGHTS, 1])


def _bitsets(octets: NDArray[np.uint8], values: bytes) -> list[int]:
    """Return the bitset of the positions of each value."""
    equal = np.packbits(octets == np.frombuffer(values, np.uint8)[:, None], axis=1, bitorder="little")
    return [int.from_bytes(row, "little") for row in equal]


def _bits(flags: Flags) -> int:
    """Return the bitset of a flag per position. The first position is bit 0."""
    return int.from_bytes(np.packbits(flags, bitorder="little").tobytes(), "little")


def flags(bits: int) -> NDArray[np.uint8]:
    """Return 0 or 1 per position of a bitset, and up to seven more zeros: the inverse of _bits.

    Example:
        >>> flags(0b1100).tolist()
        [0, 0, 1, 1, 0, 0, 0, 0]
    """
    octets = bits.to_bytes((bits.bit_length() + 7) // 8, "little")
    return np.unpackbits(np.frombuffer(octets, np.uint8), bitorder="little")


class Digits:
    """The digits of all runs of a text, concatenated, with a break between runs and at both ends.

    Bit n of each bitset is the predicate at position n. A window is represented by its first position and its length.

    Args:
        runs: The matches of its runs, in order.

    Attributes:
        octets: The digits and breaks in ASCII, indexed by position. A break is "#", or "+" before the first digit.

    Example:
        >>> digits = Digits.from_text("pay 4111 1111 1111 1111 now")
        >>> [(length, digits.span(1, 1 + length)) for length, windows in digits.cards() if windows >> 1 & 1]
        [(16, (4, 23))]
    """

    def __init__(self, runs: Sequence[re.Match[str]]) -> None:
        self._runs = runs
        self._joined = "#".join(["", *(run[0] for run in runs), ""]).encode()
        self.octets = self._joined.translate(None, _GAPS)
        classes = self._joined.translate(_CLASSES)
        # A digit that starts a group becomes "o" after an opening bracket, "t" after a dot, else "s". Then gaps go.
        for several, one in (b"pd", b"o"), (b".d", b"t"), (b"p", b"g"), (b"gd", b"s"), (b"#d", b"#s"):
            classes = classes.replace(several, one)
        self._classes = np.frombuffer(classes.translate(None, b"g."), np.uint8)
        breaks, self._opened, self._dotted, start = _bitsets(self._classes, b"#ots")
        self._starts = start | self._opened | self._dotted
        """A group starts here: of those opened, right after an opening bracket; of those dotted, after a dot."""
        self._digits = _bitsets(np.frombuffer(self.octets, np.uint8), _DIGITS)
        self._edges = self._starts | breaks
        """A group may end here (exclusive)."""
        self._inside = ~breaks

    @classmethod
    def from_text(cls, text: str) -> "Digits | None":
        """Return the digits of a normalised text, or None if it has no run, which takes at least 7 characters."""
        runs = [*_RUN.finditer(text)]
        return cls(runs) if runs else None

    def _positions(self, digits: bytes) -> int:
        """Return the bitset of positions whose digit is one of these."""
        if len(digits) == 1:
            return self._digits[digits[0] - 48]
        return reduce(or_, [self._digits[digit - 48] for digit in digits])

    @cached_property
    def _windows(self) -> dict[int, int]:
        """Starts of the windows of each length in digits."""
        windows, clear = {}, self._starts
        for length in range(1, CARD_LENGTHS[-1] + 1):
            if length >= MIN_DIGITS:
                windows[length] = clear & self._edges >> length
            clear &= self._inside >> length
        return windows

    def cards(self) -> Iterator[tuple[int, int]]:
        """Yield (length, bitset of starts) of windows that pass the Luhn check and begin with a digit of an issuer."""
        for length in CARD_LENGTHS:
            if windows := self._windows[length]:
                yield length, self._luhn(windows & self._positions(checks.IIN_FIRST_DIGITS[length]), length)

    def _luhn(self, starts: int, length: int) -> int:
        """Return the windows of one length that pass the Luhn check.

        One multiplication computes all sums, one byte each: 19 digits sum to at most 171. A digit counts double if its
        distance from the last digit is odd, hence at even or at odd positions, depending on start and length.
        """
        if not starts:
            return 0
        ones, even = int.from_bytes(b"\1" * length, "little"), self._even
        sums = [lanes * ones >> 8 * (length - 1) for lanes in self._lanes]
        chosen = sums[length % 2] & even | sums[1 - length % 2] & ~even
        return starts & _bits(np.frombuffer(chosen.to_bytes(len(self.octets) + 1, "little").translate(_TENS), np.bool_))

    @cached_property
    def _lanes(self) -> list[int]:
        """The digits, one byte each: once with even positions doubled as in the Luhn check, once with odd positions."""
        plain, doubled = self.octets.translate(_VALUES), self.octets.translate(_DOUBLED)
        both = [bytearray(plain), bytearray(plain)]
        for odd, lanes in enumerate(both):
            lanes[odd::2] = doubled[odd::2]
        return [int.from_bytes(lanes, "little") for lanes in both]

    @cached_property
    def _even(self) -> int:
        return int.from_bytes(b"\xff\0" * (len(self.octets) // 2) + b"\xff" * (len(self.octets) % 2), "little")

    def resident_ids(self) -> Iterator[tuple[int, int]]:
        """Yield (length, bitset of starts) of windows that may hold a province code and a date of birth.

        Of those that have a check character, windows that it fits. It is X after a window of 17 digits.
        """
        if not any(self._windows[length] for length in RESIDENT_ID_LENGTHS):
            return
        zero, one = self._positions(b"0"), self._positions(b"1")
        province = reduce(
            or_,
            [self._positions(first) & self._positions(second) >> 1 for first, second in checks.PROVINCE_DIGITS.items()],
        )
        province |= self._positions(b"9") & province >> 1
        month_and_day = (zero | one & self._positions(b"012") >> 1) & self._positions(b"0123") >> 2
        century = one & self._positions(b"89") >> 1 | self._positions(b"2") & zero >> 1
        for length in RESIDENT_ID_LENGTHS:
            birth_date = month_and_day >> 8 if length == 15 else century >> 6 & month_and_day >> 10
            starts = self._windows[length] & province & birth_date
            yield length, starts if length == 15 else self._with_check_character(starts, length)

    def _with_check_character(self, starts: int, length: int) -> int:
        """Return the windows of one length that satisfy ISO 7064, MOD 11-2: weighted digits sum to 1, and X is 10."""
        if not starts:
            return 0
        kept, positions = np.zeros(len(self.octets), np.bool_), flags(starts).nonzero()[0]
        values = np.frombuffer(self.octets.translate(_VALUES), np.uint8)
        sums = values[positions[:, None] + np.arange(length)] @ _RESIDENT_ID_WEIGHTS[:length]
        kept[positions] = sums % 11 == (1 if length == 18 else 2)
        return _bits(kept)

    def has_phone_length(self) -> bool:
        """Return True if any window is as long as a telephone number."""
        return any(self._windows[length] for length in PHONE_LENGTHS)

    def phone_numbers(self, announced: Set[int]) -> dict[int, int]:
        """Return windows that may be telephone numbers or US Social Security numbers.

        Args:
            announced: Offsets of digits that follow a word for such a number. A run that starts there may be one
                whatever its shape.

        Returns:
            Bitset of starts, by length.
        """
        first = self._runs_at(announced)
        windows, zero, one, free = (
            self._windows,
            self._positions(b"0"),
            self._positions(b"1"),
            self._positions(b"23456789"),
        )
        plus = _bits(np.frombuffer(self.octets, np.uint8) == ord("+"))
        international = plus << 1, zero & zero >> 1
        numbers = {}
        for length in PHONE_LENGTHS:
            starts = first
            # A calling code follows + or 00. It does not begin with 0; after calling code 1 come ten digits.
            for prefix, bits in zip((0, 2), international, strict=True):
                rest = length - prefix
                starts |= bits & (free >> prefix if rest >= 8 else 0) | bits & (one >> prefix if rest == 11 else 0)
            found = windows[length] & starts | self.chinese_mobiles.get(length, 0) | self._shaped.get(length, 0)
            few_groups = found & self._few_groups[length]
            numbers[length] = few_groups if few_groups == found else few_groups | found & self._short_runs
        return numbers

    @cached_property
    def chinese_mobiles(self) -> dict[int, int]:
        """Windows of Chinese mobile numbers by length: 1, then 3 to 9, then nine digits, possibly after 86."""
        mobile = self._positions(b"1") & self._positions(b"3456789") >> 1
        after_code = self._positions(b"8") & self._positions(b"6") >> 1 & mobile >> 2
        return {11: self._windows[11] & mobile, 13: self._windows[13] & after_code}

    @cached_property
    def _few_groups(self) -> dict[int, int]:
        """Positions from which so many digits have at most five groups, by length.

        Groups are counted for all positions at once, in the bit planes of a binary number.
        """
        few, planes = {}, [0, 0, 0, 0]
        for length in range(1, PHONE_LENGTHS[-1] + 1):
            carry = self._starts >> length - 1
            for index, plane in enumerate(planes):
                planes[index], carry = plane ^ carry, plane & carry
            few[length] = ~(planes[3] | planes[2] & planes[1])  # not 6 or more
        return few

    @cached_property
    def _short_runs(self) -> int:
        """Positions in runs of few groups, in which an evasion may have split digits apart."""
        breaks = (self._classes == ord("#")).nonzero()[0]
        groups = np.add.reduceat(self._classes >= ord("o"), breaks, dtype=np.int64)
        return _bits((groups <= _MAX_SPLIT_GROUPS).repeat(np.diff(breaks, append=len(self._classes))))

    @cached_property
    def _shaped(self) -> dict[int, int]:
        """Windows of national numbers and of US Social Security numbers, by length."""
        ssns = self._shapes.get(_SSN_SHAPE, 0)
        return self.national | {sum(_SSN_SHAPE): self.national.get(sum(_SSN_SHAPE), 0) | ssns}

    @cached_property
    def _shapes(self) -> dict[tuple[int, ...], int]:
        """Starts of the windows whose groups are those of a telephone or Social Security number, by shape."""
        sized, going = [0], self._starts
        for size in range(1, 10):
            edge = self._edges >> size
            sized.append(going & edge)
            going &= ~edge
        shapes: dict[tuple[int, ...], int] = {}

        def walk(branches: Tree, shape: tuple[int, ...], bits: int) -> None:
            for size, rest in branches.items():
                if here := bits & sized[size] >> sum(shape):
                    shapes[(*shape, size)] = here
                    walk(rest, (*shape, size), here)

        walk(_TREE, (), self._starts)
        return shapes

    @cached_property
    def national(self) -> dict[int, int]:
        """Windows whose groups and digits fit a number of some country, and neither a date nor an amount, by length."""
        windows: dict[int, int] = {}
        shapes = self._shapes.keys() & PHONE_SHAPES
        if not shapes:
            return windows
        zero, free, high = self._positions(b"0"), self._positions(b"23456789"), self._positions(b"6789")
        area_code = zero & ~zero >> 1
        service = self._positions(b"48") & zero >> 1 & zero >> 2
        for shape in shapes:
            bits, length = self._shapes[shape], sum(shape)
            if shape in NORTH_AMERICAN:
                after_code_1 = len(shape) == 4
                fits = free >> after_code_1
                fits &= self._positions(b"1") if after_code_1 else free >> 3 if shape == (6, 4) else -1
            elif shape == (5, 5):
                fits = high & ~service
            else:
                fits = self._opened & ~(zero & zero >> 1)  # 00 comes before a calling code
                if shape in STARTING_6_TO_9:
                    round_number = zero >> length - 3 & zero >> length - 2 & zero >> length - 1
                    dotted = reduce(or_, [self._dotted >> sum(shape[:count]) for count in range(1, len(shape))])
                    fits |= high & ~round_number & ~dotted
                fits = fits & ~service | (service if shape in FREEPHONE else 0)
            windows[length] = windows.get(length, 0) | bits & (area_code | fits)
        return windows

    # Access to positions, for candor.redact.numbers.

    @cached_property
    def edges(self) -> Ints:
        """Positions where a group may end, ascending."""
        return flags(self._edges).nonzero()[0]

    @cached_property
    def breaks(self) -> Flags:
        """True for each position that is a break rather than a digit."""
        breaks: Flags = self._classes == ord("#")
        return breaks

    @cached_property
    def offsets(self) -> Ints:
        """Offset in the text of the digit at each position."""
        kept = np.frombuffer(self._joined.translate(_NO_GAP), np.bool_).nonzero()[0]
        begins, ends = np.array([run.span() for run in self._runs]).T
        read = (ends - begins + 1).cumsum()  # where each run, with its break, ends in the joined runs
        offsets: Ints = kept + (ends - read)[read.searchsorted(kept - 1, "right")]
        return offsets

    def value(self, position: int, end: int) -> str:
        """Return the digits from one position to another (exclusive), without gaps."""
        return self.octets[position:end].decode()

    @cached_property
    def _first_digits(self) -> Ints:
        """Position of each run's first digit."""
        return (self.breaks[:-1] & ~self.breaks[1:]).nonzero()[0] + 1

    def _runs_at(self, offsets: Set[int]) -> int:
        """Return the bitset of the runs' first digits that stand at these offsets."""
        if not offsets:
            return 0
        starts, first = np.zeros(len(self.octets), np.bool_), self._first_digits
        starts[first] = [offset in offsets for offset in self.offsets[first].tolist()]
        return _bits(starts)

    @cached_property
    def regions_before_runs(self) -> list[tuple[int, int]]:
        """Spans of the text from CONTEXT characters before each run's first digit to that digit, merged."""
        regions: list[tuple[int, int]] = []
        for offset in self.offsets[self._first_digits].tolist():
            begin = max(0, offset - CONTEXT)
            if regions and begin <= regions[-1][1]:
                begin = regions.pop()[0]
            regions.append((begin, offset + 1))
        return regions

    def span(self, position: int, end: int) -> tuple[int, int]:
        """Return the span in the text of the digits from one position to another (exclusive)."""
        return self.offsets.item(position), self.offsets.item(end - 1) + 1
