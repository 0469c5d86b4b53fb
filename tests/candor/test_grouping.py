"""What is told of groups, under a differencing attack: every figure that is told less every other within it."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from candor.grouping import K, suppressed

tables = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 40), min_size=1)


def isolated(told, total):
    """How many texts each difference of the total and some told groups leaves, where that is fewer than K; and
    groups that are the only ones left, and so are told after all."""
    shown = {name: count for name, count in told.items() if count is not None}
    found = []
    for size in range(len(shown) + 1):
        for some in combinations(shown, size):
            left = total - sum(shown[name] for name in some)
            rest = [name for name in told if name not in some and told[name] != 0]
            if 0 < left < K or (len(rest) == 1 and told[rest[0]] is None):
                found.append((some, left))
    return found


@given(tables)
def test_no_difference_of_figures_isolates_fewer_than_k_texts(counts):
    total = sum(counts.values())
    told = suppressed(counts)
    assert told.keys() == counts.keys()
    if total < K:
        assert set(told.values()) == {None}
    elif sum(count > 0 for count in counts.values()) > 1:
        assert isolated(told, total) == []
    assert all(told[name] in (None, count) for name, count in counts.items())


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
def test_small_groups_are_hidden_and_with_them_what_would_tell_them(counts, hidden):
    assert {name for name, count in suppressed(counts).items() if count is None} == hidden


def test_the_attack_finds_what_primary_suppression_alone_gives_away():
    counts = {"a": 100, "b": 50, "c": 3}
    alone = {name: count if count >= K else None for name, count in counts.items()}
    assert isolated(alone, 153) != []
    assert isolated(suppressed(counts), 153) == []
