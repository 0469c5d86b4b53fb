"""The table finds each of its hashes, in a row of its own, and next to nothing else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from candor.text.features import hash_words
from candor.text.table import MAX_ROWS, Table

hashes = st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=300, unique=True).map(
    lambda values: np.array(values, dtype=np.uint32)
)


def drawn(count, seed=0):
    """Return different random hashes."""
    return np.random.default_rng(seed).permutation(1 << 22)[:count].astype(np.uint32) * np.uint32(0x9E3779B1)


@given(hashes)
@settings(deadline=None)
def test_table_has_one_row_for_each_hash(keys):
    """Rows are 0 to R - 1, each for the hash that `order` says, also after a round trip through bytes."""
    table = Table.of(keys)
    rows = table.lookup(keys)
    assert rows.dtype == np.int32
    assert sorted(rows) == [*range(len(keys))]
    assert (table.lookup(keys[table.order]) == np.arange(len(keys))).all()
    copy = Table.from_bytes(table.to_bytes())
    assert (copy.lookup(keys) == rows).all()
    assert copy.to_bytes() == table.to_bytes() == Table.of(keys).to_bytes()


@pytest.mark.parametrize("count", [1000, 65_535, 65_537, 100_000])
def test_table_of_many_hashes_is_compact(count):
    """A row costs at most 4 bytes, on both sides of the size at which a row tells all 32 bits."""
    keys = drawn(count)
    table = Table.of(keys)
    assert (np.sort(table.lookup(keys)) == np.arange(count)).all()
    assert len(table.to_bytes()) <= 4 * count
    assert len(table) == count


@pytest.mark.parametrize("count", [5000, MAX_ROWS])
def test_table_unseen_words_rarely_pass(count):
    """Of a million words that the table does not hold, at most one in 10,000 passes for a known one."""
    table = Table.of(drawn(count))
    words = hash_words([f"{number:x}" for number in range(1_000_000)])
    strangers = words[~np.isin(words, drawn(count))]
    assert (table.lookup(strangers) >= 0).mean() <= 1e-4
    assert (table.lookup(words) >= 0).mean() <= 1.2e-4  # those whose 32 bits a row holds, too


def test_table_lookup_of_nothing_is_empty():
    """No hashes give no rows."""
    assert len(Table.of(drawn(3)).lookup(np.empty(0, dtype=np.uint32))) == 0


@pytest.mark.parametrize(
    "keys", [np.empty(0, np.uint32), np.uint32([1, 2, 1]), np.arange(MAX_ROWS + 1, dtype=np.uint32)]
)
def test_table_of_invalid_hashes_raises_value_error(keys):
    """No hashes, a hash twice, and too many hashes are refused."""
    with pytest.raises(ValueError, match="hashes"):
        Table.of(keys)


def test_table_from_damaged_bytes_raises_value_error():
    """Bytes that are cut, too long, or not a table are refused."""
    content = Table.of(drawn(100)).to_bytes()
    for damaged in (b"", content[:5], content[:-1], content + b"\0", b"\xff" * len(content)):
        with pytest.raises(ValueError, match="table"):
            Table.from_bytes(damaged)
