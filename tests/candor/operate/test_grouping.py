"""Published counts under a differencing attack: the total minus every set of published counts."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from candor.operate.grouping import MIN_GROUP_SIZE, suppress_small_groups

tables = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 40), min_size=1)


def differencing_attack(published, total):
    """Return what the attack learns.

    That is each difference of the total and some published groups which leaves fewer than MIN_GROUP_SIZE texts, and
    each suppressed group that is the only one left, so that the difference is its count.
    """
    shown = {name: count for name, count in published.items() if count is not None}
    learned = []
    for size in range(len(shown) + 1):
        for some in combinations(shown, size):
            left = total - sum(shown[name] for name in some)
            rest = [name for name in published if name not in some and published[name] != 0]
            if 0 < left < MIN_GROUP_SIZE or (len(rest) == 1 and published[rest[0]] is None):
                learned.append((some, left))
    return learned


@given(tables)
def test_suppression_no_difference_isolates_under_k(counts):
    total = sum(counts.values())
    published = suppress_small_groups(counts)
    assert published.keys() == counts.keys()
    if total < MIN_GROUP_SIZE:
        assert set(published.values()) == {None}
    elif sum(count > 0 for count in counts.values()) > 1:
        assert differencing_attack(published, total) == []
    assert all(published[name] in (None, count) for name, count in counts.items())


@pytest.mark.parametrize(
    ("counts", "hidden"),
    [
        ({"a": 100, "b": 50, "c": 3}, {"b", "c"}),
        ({"a": 100, "b": 5, "c": 6}, {"b", "c"}),
        ({"a": 100, "b": 4, "c": 5}, {"a", "b", "c"}),
        ({"a": 100, "b": 12, "c": 0}, set()),
        ({"a": 100, "b": 1}, {"a", "b"}),
        ({"a": 3, "b": 0}, {"a", "b"}),
    ],
)
def test_suppression_small_groups_and_complements(counts, hidden):
    assert {name for name, count in suppress_small_groups(counts).items() if count is None} == hidden


def test_attack_breaks_primary_suppression_alone():
    """The positive control: without complementary suppression the attack succeeds."""
    counts = {"a": 100, "b": 50, "c": 3}
    primary = {name: count if count >= MIN_GROUP_SIZE else None for name, count in counts.items()}
    assert differencing_attack(primary, 153) != []
    assert differencing_attack(suppress_small_groups(counts), 153) == []
