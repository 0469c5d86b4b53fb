"""The digits of a text, and where a number of some kind may begin among them: all places at once, bit-parallel.

In an integer, bit n stands for the n-th digit, and one shift moves them all (Baeza-Yates and Gonnet 1992, "A New
Approach to Text Searching"). So a text of nothing but digits costs little more than any other. What passes here is for
candor.redact.numbers to judge, one by one; what does not is no number.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, cached_property, reduce
from itertools import accumulate, compress
from operator import or_

from candor.redact import checks

FEWEST = 7  # digits that say anything without a word beside them
CARD = range(13, 20)  # digits of a card: ISO/IEC 7812
RESIDENT = (15, 17, 18)  # of a resident ID: GB 11643; of one in 17 the check character is an X
PHONE = range(FEWEST, 16)  # of a telephone: ITU-T E.164; it has at most five groups
_SET_APART = 12  # groups of a run at most, if an evasion set the digits of a number apart in it
# Digits in each group of a telephone number, as countries write them.
SHAPES = {
    (3, 3, 4), (1, 3, 3, 4), (3, 7), (6, 4), (3, 4, 4), (3, 8), (4, 7), (4, 8), (4, 3, 4), (4, 4, 3), (5, 6), (5, 3, 3),
    (3, 3, 3), (2, 2, 2, 2, 2), (2, 4, 4), (2, 8), (2, 9), (2, 5, 4), (2, 4, 5), (4, 6), (5, 5), (2, 3, 4), (2, 3, 5),
    (3, 3, 5), (1, 4, 4), (3, 2, 2, 2), (4, 3, 3), (4, 2, 2, 2), (3, 6), (3, 3, 2, 2), (2, 7), (2, 3, 2, 2), (5, 4), (4, 5),
    (3, 4, 3),
}  # fmt: skip
NORTH_AMERICAN = {(3, 3, 4), (6, 4), (1, 3, 3, 4)}
HIGH = {(5, 5), (3, 3, 3), (3, 2, 2, 2)}  # which start with 6 to 9
FREEPHONE = {(3, 3, 4), (3, 4, 3), (3, 7)}  # which start with 400 or 800
_US = (3, 2, 4)  # a number of a person in the US

Tree = dict[int, "Tree"]


def _tree(shapes: Iterable[tuple[int, ...]]) -> Tree:
    """Sizes of first groups, and for each those of the next, and so on."""
    tree: Tree = {}
    for shape in shapes:
        branch = tree
        for size in shape:
            branch = branch.setdefault(size, {})
    return tree


_TREE = _tree((*SHAPES, _US))
_GAP = r"(?:[ \t\r\n\x1e\x1f_()/\-]{1,3}+|\.)"
_RUN = re.compile(rf"[+(0-9](?:[0-9]|{_GAP}[0-9]){{6,}}+")
_GAPS = b" \t\r\n\x1e\x1f_()/-."
_BREAKS = b"#+"


def _table(kinds: dict[str, bytes]) -> bytes:
    """A translation to these letters from the octets that each has, and from all others to a break."""
    return bytes(next((ord(kind) for kind, octets in kinds.items() if octet in octets), 35) for octet in range(256))


_KINDS = _table({"d": b"0123456789", "p": b"(", ".": b".", "g": _GAPS})  # a digit, a bracket, a dot, any other gap
_NO_GAP = bytes(octet not in _GAPS for octet in range(256))
_VALUES = bytes(octet - 48 if octet in b"0123456789" else 0 for octet in range(256))
_DOUBLED = bytes(2 * value // 10 + 2 * value % 10 for value in _VALUES)
_TENS = bytes(48 + (value % 10 == 0) for value in range(256))


@cache
def _only(octets: bytes) -> bytes:
    """A translation of these octets to 1 and of all others to 0."""
    return bytes(48 + (octet in octets) for octet in range(256))


def _bits(flags: bytes) -> int:
    """A bitset from a 1 or a 0 for each place, the first being bit 0."""
    return int(flags[::-1], 2)


def flags(bits: int) -> str:
    """The way back."""
    return f"{bits:b}"[::-1]


class Digits:
    """The digits of all runs of a text, one after the other, with a break between two runs and at both ends.

    A bitset has bit n for what is said of place n. A window starts at its place, and holds whole neighbouring groups.
    """

    def __init__(self, text: str, runs: Sequence[str]) -> None:
        self._text, self._runs = text, runs
        self._cut = "#".join(["", *self._runs, ""]).encode()
        self.octets = self._cut.translate(None, _GAPS)
        kinds = self._cut.translate(_KINDS)
        # A digit that starts a group becomes an o after an opening bracket, a t after a dot, else an s; then gaps go.
        for several, one in (b"pd", b"o"), (b".d", b"t"), (b"p", b"g"), (b"gd", b"s"), (b"#d", b"#s"):
            kinds = kinds.replace(several, one)
        self._kinds = kinds = kinds.translate(None, b"g.")
        breaks = _bits(kinds.translate(_only(b"#")))
        self._opened = _bits(kinds.translate(_only(b"o")))
        """Where a group of digits starts, right after a bracket."""
        self._dotted = _bits(kinds.translate(_only(b"t")))
        """Where one starts, right after a dot."""
        self._starts = _bits(kinds.translate(_only(b"sto")))
        """Where any starts."""
        self._edges = self._starts | breaks
        """Where one may end, exclusive."""
        self._inside = ~breaks

    @classmethod
    def of(cls, text: str) -> "Digits | None":
        runs = _RUN.findall(text)
        return cls(text, runs) if runs else None

    def _places(self, some: bytes) -> int:
        """Where one of these digits stands."""
        return _bits(self.octets.translate(_only(some)))

    @cached_property
    def _windows(self) -> dict[int, int]:
        """By length, in digits."""
        found, clear = {}, self._starts
        for length in range(1, CARD[-1] + 1):
            if length >= FEWEST:
                found[length] = clear & self._edges >> length
            clear &= self._inside >> length
        return found

    def cards(self) -> Iterator[tuple[int, int]]:
        """Lengths of cards, and windows of each, from a digit that issuers have, that pass Luhn's check."""
        for length in CARD:
            if windows := self._windows[length]:
                yield length, self._luhn(windows & self._places(checks.FIRSTS[length]), length)

    def _luhn(self, starts: int, length: int) -> int:
        """Of windows those that pass: all sums of one length at once, in a byte each, by one multiplication.

        A digit counts double if it stands an odd number of places before the last, so at an even place or at an odd one
        as start and length say. Nineteen digits have a sum of 171 at most.
        """
        if not starts:
            return 0
        ones, even = int.from_bytes(b"\1" * length, "little"), self._even
        sums = [lanes * ones >> 8 * (length - 1) for lanes in self._lanes]
        chosen = sums[length % 2] & even | sums[1 - length % 2] & ~even
        return starts & _bits(chosen.to_bytes(len(self.octets) + 1, "little").translate(_TENS))

    @cached_property
    def _lanes(self) -> list[int]:
        """The digits, a byte each, with those at even places doubled as Luhn says, and with those at odd ones."""
        plain, doubled = self.octets.translate(_VALUES), self.octets.translate(_DOUBLED)
        both = [bytearray(plain), bytearray(plain)]
        for odd, lanes in enumerate(both):
            lanes[odd::2] = doubled[odd::2]
        return [int.from_bytes(lanes, "little") for lanes in both]

    @cached_property
    def _even(self) -> int:
        return int.from_bytes(b"\xff\0" * (len(self.octets) // 2) + b"\xff" * (len(self.octets) % 2), "little")

    def residents(self) -> Iterator[tuple[int, int]]:
        """Lengths of resident IDs, and windows of each that may have a province and a date of birth."""
        if not any(self._windows[length] for length in RESIDENT):
            return
        zero, one = self._places(b"0"), self._places(b"1")
        province = reduce(
            or_, (self._places(first) & self._places(second) >> 1 for first, second in checks.PROVINCE_DIGITS.items())
        )
        province |= self._places(b"9") & province >> 1
        day = (zero | one & self._places(b"012") >> 1) & self._places(b"0123") >> 2  # from its month's first digit on
        year = one & self._places(b"89") >> 1 | self._places(b"2") & zero >> 1
        for length in RESIDENT:
            born = day >> 8 if length == 15 else year >> 6 & day >> 10
            yield length, self._windows[length] & province & born

    def grouped(self) -> bool:
        """Whether any groups together are as long as a telephone number."""
        return any(self._windows[length] for length in PHONE)

    def phones(self, announced: Iterable[int]) -> dict[int, int]:
        """By length, windows that may be a telephone's number, or one of a person in the US.

        `announced`: where in the text a digit follows a word for them, so that a run may be one whatever its shape.
        """
        first = self._runs_at(announced)
        sized, zero, one, free = self._windows, self._places(b"0"), self._places(b"1"), self._places(b"23456789")
        abroad = self._places(b"+") << 1, zero & zero >> 1
        mobile = one & self._places(b"3456789") >> 1
        chinese = {11: mobile, 13: self._places(b"8") & self._places(b"6") >> 1 & mobile >> 2}
        shaped = self._shaped(zero, free)
        found = {}
        for length in PHONE:
            starts = chinese.get(length, 0) | first
            for prefix, bits in zip((0, 2), abroad, strict=True):  # a country's code, which no 0 starts; 1 has ten more
                own = length - prefix
                starts |= bits & (free >> prefix if own >= 8 else 0) | bits & (one >> prefix if own == 11 else 0)
            found[length] = (sized[length] & starts | shaped.get(length, 0)) & (self._few[length] | self._short)
        return found

    @cached_property
    def _few(self) -> dict[int, int]:
        """By length, places from which on so many digits have no more groups than a telephone number has.

        Groups are counted bit by bit, in the planes of a binary number.
        """
        found, planes = {}, [0, 0, 0, 0]
        for length in range(1, PHONE[-1] + 1):
            carry = self._starts >> length - 1
            for place, plane in enumerate(planes):
                planes[place], carry = plane ^ carry, plane & carry
            found[length] = ~(planes[3] | planes[2] & planes[1])  # not 6 or more
        return found

    @cached_property
    def _short(self) -> int:
        """Places in runs of few groups: there an evasion may have set digits apart."""
        runs = self._kinds.split(b"#")
        return _bits(
            b"0".join((b"1" if len(run.translate(None, b"d")) <= _SET_APART else b"0") * len(run) for run in runs)
        )

    def _shaped(self, zero: int, free: int) -> dict[int, int]:
        """By length, where groups stand as in some country's numbers, and their digits may be such a number's."""
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
        found: dict[int, int] = {sum(_US): shapes.get(_US, 0)}
        service = self._places(b"48") & zero >> 1 & zero >> 2
        led = zero & ~zero >> 1 | self._opened & ~service
        for shape in shapes.keys() & SHAPES:
            bits, length = shapes[shape], sum(shape)
            may = led
            if shape in NORTH_AMERICAN:
                own = len(shape) == 4  # after the 1 of the country
                may |= free >> own & (free >> 3 if shape == (6, 4) else -1)
            if shape in HIGH:
                round_ = zero >> length - 3 & zero >> length - 2 & zero >> length - 1
                dotted = reduce(or_, (self._dotted >> sum(shape[:count]) for count in range(1, len(shape))))
                may |= self._places(b"6789") & ~service & ~((round_ | dotted) if len(shape) > 2 else 0)
            if shape in FREEPHONE:
                may |= service
            found[length] = found.get(length, 0) | bits & may
        return found

    # One place after the other, for what is to be judged.

    @cached_property
    def _edge_flags(self) -> str:
        return flags(self._edges)

    def ends(self, place: int) -> list[int]:
        """Where the groups from this one on end, to the run's end or as long as a card may be."""
        found, at = [], place
        while at - place <= CARD[-1] and (at == place or self.octets[at] not in _BREAKS):
            at = self._edge_flags.index("1", at + 1)
            found.append(at)
        return found

    def prefix(self, place: int) -> int:
        """Digits there before a country's code: none after a plus sign, or two zeros; -1 if there is no such code."""
        if self.octets[place - 1] == ord("+"):
            return 0
        return 2 if self.octets.startswith(b"00", place) else -1

    def begins(self, place: int) -> bool:
        """Whether a run does, there."""
        return self.octets[place - 1] in _BREAKS

    def over(self, end: int) -> bool:
        """Whether a run is, there."""
        return self.octets[end] in _BREAKS

    def value(self, place: int, end: int) -> str:
        return self.octets[place:end].decode()

    @cached_property
    def _kept(self) -> list[int]:
        """By place, where it is in the cut."""
        return list(compress(range(len(self._cut)), self._cut.translate(_NO_GAP)))

    @cached_property
    def _shifts(self) -> tuple[list[int], list[int]]:
        """Where each run starts in the cut, and how much later in the text."""
        begins = [*accumulate((len(run) + 1 for run in self._runs), initial=1)]
        return begins, [match.start() - begin for match, begin in zip(_RUN.finditer(self._text), begins, strict=False)]

    @cached_property
    def _firsts(self) -> dict[int, int]:
        """The places of the runs' first digits, by where those are in the text."""
        places = (match.end() for match in re.finditer(rb"[#+]++(?=[0-9])", self.octets))
        return {self.offset(place): place for place in places}

    def _runs_at(self, offsets: Iterable[int]) -> int:
        """Where a run's first digit is one of those in the text."""
        found = bytearray(b"0") * len(self.octets)
        for offset in offsets:
            if offset in self._firsts:
                found[self._firsts[offset]] = ord("1")
        return _bits(bytes(found))

    def before_runs(self, characters: int) -> list[tuple[int, int]]:
        """Stretches of text, so many characters before each run and to its first digit; those that meet are one."""
        regions: list[tuple[int, int]] = []
        for offset in self._firsts:
            begin = max(0, offset - characters)
            if regions and begin <= regions[-1][1]:
                begin = regions.pop()[0]
            regions.append((begin, offset + 1))
        return regions

    def offset(self, place: int) -> int:
        """Where that digit is in the text."""
        begins, shifts = self._shifts
        at = self._kept[place]
        return at + shifts[bisect_right(begins, at) - 1]

    def span(self, place: int, end: int) -> tuple[int, int]:
        return self.offset(place), self.offset(end - 1) + 1
