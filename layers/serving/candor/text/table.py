"""A minimal perfect hash table: from the 32-bit hash of a feature to its row, in under 3 bytes a row.

Hash and displace (Pagh 1999, "Hash and Displace: Efficient Evaluation of Minimal Perfect Hash Functions"): the top bits
of a hash choose a bucket, and the hash's row is its low 16 bits plus the bucket's displacement, modulo the number of
rows. Construction chooses displacements so that no two hashes share a row. A row keeps the top 16 bits of its hash; its
place gives the low ones away, so that from 65,536 rows on the two together identify all 32. With fewer rows, one unseen
hash in 65,536 passes for a known one.
"""

from dataclasses import dataclass, field
from struct import Struct

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint32]
Ints = NDArray[np.int64]

MAX_ROWS = 429_496
"""Rows of a table at most: of 2**32 hashes so many are known, so that an unseen word passes for one with p <= 1e-4."""

_HEADER = Struct("<IIB")  # rows, multiplier, bucket bits
_LOW_BITS = 16
_HALVES = np.dtype("<u2")
_LOWS = np.array((1 << _LOW_BITS) - 1, np.uint32)  # an array without a dimension: see candor.text.features
_TRIES = 64  # multipliers for each number of buckets
_STEP = 1024  # displacements tried at once


@dataclass(frozen=True, eq=False)
class Table:
    """The rows of R hashes.

    Example:
        >>> table = Table.of(np.array([7, 1_000_000, 4_000_000_000], dtype=np.uint32))
        >>> sorted(table.lookup(np.array([4_000_000_000, 7, 1_000_000], dtype=np.uint32)).tolist())
        [0, 1, 2]
        >>> Table.from_bytes(table.to_bytes()).lookup(np.array([8], dtype=np.uint32)).tolist()
        [-1]
    """

    multiplier: int
    """Odd; hashes are multiplied by it first."""
    displacements: Hashes
    """[2**bucket_bits] in [0, R)"""
    fingerprints: NDArray[np.uint16]
    """[R] top 16 bits of each row's multiplied hash"""
    order: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64), repr=False)
    """[R] row r holds the hash that was at place order[r] when the table was built; empty if it was read from bytes"""
    _repeated: NDArray[np.uint16] = field(init=False, repr=False)
    _shift: Hashes = field(init=False, repr=False)
    _count: Hashes = field(init=False, repr=False)
    _multiplier: Hashes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        rows, bits = len(self.fingerprints), len(self.displacements).bit_length() - 1
        # Displacement plus low bits may pass the last row: the fingerprints repeat, which costs less than a modulo.
        repeated = np.resize(self.fingerprints, rows + (1 << _LOW_BITS))
        object.__setattr__(self, "_repeated", repeated)
        object.__setattr__(self, "_shift", np.array(32 - bits, np.uint32))
        object.__setattr__(self, "_count", np.array(rows, np.uint32))
        object.__setattr__(self, "_multiplier", np.array(self.multiplier, np.uint32))

    @classmethod
    def of(cls, hashes: Hashes) -> "Table":
        """Build the table of R different hashes. Equal hashes in equal order give an equal table.

        Args:
            hashes: uint32 [R]

        Raises:
            ValueError: A hash is there twice, or there are none, or more than MAX_ROWS.
        """
        if not 0 < len(hashes) <= MAX_ROWS:
            raise ValueError(f"a table holds 1 to {MAX_ROWS:,} hashes, not {len(hashes):,}")
        if len(np.unique(hashes)) < len(hashes):
            raise ValueError("the hashes are not all different")
        bits = _bucket_bits(len(hashes))
        while True:
            for number in range(_TRIES):
                multiplier = 0x9E3779B1 * (2 * number + 1) & 0xFFFFFFFF
                displacements = _displace(hashes * np.uint32(multiplier), bits)
                if displacements is not None:
                    return cls._filled(hashes, multiplier, displacements)
            bits += 1

    @classmethod
    def _filled(cls, hashes: Hashes, multiplier: int, displacements: Hashes) -> "Table":
        empty = cls(multiplier, displacements, np.zeros(len(hashes), np.uint16))
        rows = empty.rows(empty._slots(hashes * np.uint32(multiplier)))
        order = np.empty(len(hashes), dtype=np.int64)
        order[rows] = np.arange(len(hashes))
        mixed = hashes[order] * np.uint32(multiplier)
        return cls(multiplier, displacements, (mixed >> np.uint32(_LOW_BITS)).astype(np.uint16), order)

    def __len__(self) -> int:
        return len(self.fingerprints)

    def lookup(self, hashes: Hashes) -> NDArray[np.int32]:
        """Return the row of each hash, int32 [g], or -1 where the table does not hold it."""
        rows = np.full(len(hashes), -1, dtype=np.int32)
        slots, held = self.match(hashes)
        rows[held] = self.rows(slots[held])
        return rows

    def match(self, hashes: Hashes) -> tuple[Hashes, NDArray[np.bool_]]:
        """Return the slot of each hash, for `rows`, and whether the table holds it: the two steps of `lookup`."""
        mixed = hashes * self._multiplier
        slots = self._slots(mixed)
        held: NDArray[np.bool_] = self._repeated.take(slots, mode="clip") == mixed.view(_HALVES)[1::2]
        return slots, held

    def rows(self, slots: Hashes) -> NDArray[np.int32]:
        """Return the rows of slots that `match` returned, int32."""
        if self._count < _LOWS:
            return (slots % self._count).view(np.int32)
        less = slots - self._count  # below 0 it wraps around, far above
        rows: NDArray[np.int32] = np.minimum(slots, less, out=less).view(np.int32)
        return rows

    def _slots(self, mixed: Hashes) -> Hashes:
        slots = self.displacements.take(mixed >> self._shift, mode="clip")
        slots += mixed & _LOWS
        return slots

    def to_bytes(self) -> bytes:
        """Return the table as bytes, the same on every machine."""
        bits = len(self.displacements).bit_length() - 1
        return b"".join(
            [
                _HEADER.pack(len(self), self.multiplier, bits),
                self.displacements.astype("<u2").tobytes(),
                (self.displacements >> 16).astype("u1").tobytes(),
                self.fingerprints.astype("<u2").tobytes(),
            ]
        )

    @classmethod
    def from_bytes(cls, content: bytes) -> "Table":
        """Read a table that `to_bytes` wrote.

        Raises:
            ValueError: The bytes are no table.
        """
        if len(content) < _HEADER.size:
            raise ValueError("too short for a table of features")
        rows, multiplier, bits = _HEADER.unpack_from(content)
        if bits > 24 or not 0 < rows <= MAX_ROWS or len(content) != _HEADER.size + (3 << bits) + 2 * rows:
            raise ValueError("not a table of features")
        low = np.frombuffer(content, "<u2", 1 << bits, _HEADER.size)
        high = np.frombuffer(content, "u1", 1 << bits, _HEADER.size + (2 << bits))
        displacements = low.astype(np.uint32) | high.astype(np.uint32) << np.uint32(_LOW_BITS)
        if displacements.max() >= rows:
            raise ValueError("not a table of features")
        fingerprints = np.frombuffer(content, "<u2", rows, _HEADER.size + (3 << bits)).astype(np.uint16)
        return cls(multiplier, displacements, fingerprints)


def _bucket_bits(rows: int) -> int:
    """Return the fewest bits with which enough buckets hold one hash: those fill the last rows."""
    most = max(0.5, np.log(max(rows, 12) / 12) / 2)  # hashes a bucket
    return max(1, int(np.ceil(np.log2(rows / most))))


def _displace(mixed: Hashes, bits: int) -> Hashes | None:
    """Return displacements [2**bits] that give each hash a row of its own, or None if there are none.

    Buckets of many hashes come first, while rows are free; those of one hash fill what is left.
    """
    rows = len(mixed)
    buckets, low = mixed >> np.uint32(32 - bits), (mixed & _LOWS).astype(np.int64) % rows
    by_bucket = np.lexsort((low, buckets))
    buckets, low = buckets[by_bucket], low[by_bucket]
    if ((buckets[1:] == buckets[:-1]) & (low[1:] == low[:-1])).any():
        return None
    sizes = np.bincount(buckets, minlength=1 << bits)
    begins = np.cumsum(sizes) - sizes
    displacements = np.zeros(1 << bits, dtype=np.int64)
    taken = np.zeros(2 * rows + _STEP, dtype=bool)  # twice over, to try displacements at the end without a modulo
    for bucket in np.argsort(-sizes, kind="stable")[: np.count_nonzero(sizes > 1)].tolist():
        offsets = low[begins[bucket] : begins[bucket] + sizes[bucket]]
        displacement = _free(taken, offsets.tolist(), rows, bucket * 0x9E3779B1 % rows)
        if displacement < 0:
            return None
        displacements[bucket] = displacement
        slots = (offsets + displacement) % rows
        taken[slots] = taken[slots + rows] = True
        taken[2 * rows :] = taken[:_STEP] if rows >= _STEP else np.resize(taken[:rows], _STEP)
    alone = (sizes == 1).nonzero()[0]
    displacements[alone] = ((~taken[:rows]).nonzero()[0] - low[begins[alone]]) % rows
    return displacements.astype(np.uint32)


def _free(taken: NDArray[np.bool_], offsets: list[int], rows: int, start: int) -> int:
    """Return the first displacement from `start` on at which all offsets are free, or -1."""
    for step in range(0, rows + _STEP, _STEP):
        first = (start + step) % rows
        blocked = taken[first + offsets[0] : first + offsets[0] + _STEP].copy()
        for offset in offsets[1:]:
            blocked |= taken[first + offset : first + offset + _STEP]
        place = int(blocked.argmin())
        if not blocked[place]:
            return (first + place) % rows
    return -1
