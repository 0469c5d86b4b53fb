"""Names on a terminal and in charts: unlike ones stay unlike, none is too wide, none steers the terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from candor.cli.width import columns, distinct, shortened, table, visible

STEERING = ("\x1b[2J", "\x9b31m", "a\rb", "\u202eevil", "\u2066x", "\x07", "\u200e", "\ufeff")


@pytest.mark.parametrize("text", STEERING)
def test_names_cannot_steer_a_terminal(text):
    for shown in (visible(text), shortened(text, 30), *distinct([text, "b"], 30), *table([(text, "b")])):
        assert shown.isprintable()
    assert visible("می\u200cخواهم 🧑\u200d🚀") == "می\u200cخواهم 🧑\u200d🚀"


@given(st.lists(st.text(st.sampled_from("ab 退\x1b"), max_size=30), min_size=1, max_size=30), st.integers(8, 20))
def test_distinct_names_are_distinct_and_fit(texts, most):
    """Also where they begin and end alike; equal ones may stay equal."""
    names = distinct(texts, most)
    assert len(names) == len(texts)
    assert max(map(columns, names)) <= most
    assert len(set(names)) >= len({visible(text) for text in texts})
