"""What the search for costly inputs has found, and seeds of it: none takes many times the CPU of plain English.

The bars of `make torture` are 4 and 12. Here they are five times as wide, so that a busy machine fails no test. Before
they were mended, these took 30 to 7,000 times as much.
"""

import os
import random

import pytest

from candor.cli.torture import command, costs
from candor.cli.torture.costs import costly, plan_way, request_ways, search, text_of, text_ways

FOUND = (
    ("Σ",), ("aΣ",), ("\u0301\u0327\u0316\u0345",), ("\u0316\u0301",), ("\ufdfa",), ("\ufdfa", " "), ("½",), ("İ",),
    ("I\u0307",), ("<",), ("</",), ("<a ",), ("\u0645\u064f\u062f ",), ("\u1100\u1161\u11a8",), ("\U0001d15e",),
    ("\u0f71\u0f72\u0f74\u0f80",), ("12 Elm Street 12 Elm Street ", "¦"), ("&#39;",), ("好。",), ("фильм ",),
    ("\u3316",), ("\ufb1d",), ("\U0001f468\u200d ",),
    ("110105194912310021 ",), ("123-45-6789 ",), ("ssn 123456789 ",), ("555-123-4567 ",),
    ("tel 5551234 ",), ("+441632960961 ",), ("13800138000,",), ("1.1.1.1 ",), ("::1 ",), ("DE89370400440532013000 ",),
    ("a@b.co ",), ("路1号",), ("12 Elm Street ",),
)  # fmt: skip
FILES = (
    ("a\n",), ("\n",), ("\r",), ("a\r",), ("\r\n\r",), (" \n",), ('{"text":"a"}\n',), ("text\n", "a\n" * 40),
    ('"a"\n',), ('"', "a\n" * 40), (" ",), ("\u3000",), ("\t ",), ("1,",), ("[],",), ("{},",), ('say "a"\n',),
    ('"","a"\n',),
)  # fmt: skip
BODIES = (("[",), ("\\u0041",), ('{"text":"a"},',), ('{"text":"\\u0041\\n"},',), ('"a":1,',), ('"', "\\"), ("1" * 64,))
WAYS = {way.name: way for way in text_ways()}


def within(way, pieces):
    """Return whether one of a few measurements is within five times the bar."""
    return any(costly(way, pieces, 5).share <= 5 for _ in range(3))


@pytest.mark.parametrize("way", WAYS)
def test_costs_found_texts_are_bounded(way):
    """Texts that once took quadratic time, or long ways round, stay near plain English."""
    over = [pieces for pieces in FOUND if not within(WAYS[way], pieces)]
    assert not over


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv", "a.json", "a.txt.gz"])
def test_costs_found_files_are_bounded(name):
    """Files of short lines, blank lines and quotes are planned in time."""
    over = [pieces for pieces in FILES if not within(plan_way(name), pieces)]
    assert not over


@pytest.fixture(scope="module")
def ways_of_requests():
    """The ways through the handler, by name. It sets the environment that Lambda would give, for these tests alone."""
    before = dict(os.environ)
    yield {way.name: way for way in request_ways()}
    os.environ.clear()
    os.environ.update(before)


@pytest.mark.parametrize("name", ["redact", "request"])
def test_costs_found_requests_are_bounded(name, ways_of_requests):
    """Bodies of escapes, deep nesting and many keys, and texts to redact, stay near plain English."""
    assert {*ways_of_requests} == {"redact", "request"}
    way = ways_of_requests[name]
    assert way.run(way.build(way.plain)) == 200
    over = [pieces for pieces in (FOUND if way.name == "redact" else BODIES) if not within(way, pieces)]
    assert not over


def test_search_finds_what_is_costly():
    """The search finds the piece that a slow function stumbles over, and tells it from the others."""

    def slow(text):
        return [text.count("b", 0, len(text)) for _ in range(text.count("!") and 400)]

    way = costs.Way("slow", slow, text_of, ("a", "b", "!", "c"))
    found = search(way, 0.3, random.Random(1))
    assert "!" in "".join(found[0].pieces)
    assert found[0].ratio > costs.DENSE_BAR
    calm = search(costs.Way("calm", len, text_of, ("a", "b", "!")), 0.05, random.Random(1))
    assert calm


@pytest.mark.parametrize(("ratio", "over"), [(3.9, False), (4.1, True)])
def test_torture_costs_over_the_bar_fail(ratio, over, monkeypatch, capsys):
    """`candor torture` names what costs most, and fails if it is over its bar."""
    found = [costs.Costly(ratio, costs.BAR, ("\u0301", "a"))]
    monkeypatch.setattr(costs, "worst", lambda budget, seed: [(costs.Way("predict", len, len, ()), found)])
    assert command.show_costs(1, 0) == over
    assert f"predict: {ratio} times the CPU of plain English, at most 4 allowed" in capsys.readouterr().out
