"""Normalisation is bounded: no text takes longer for its marks or its ligatures, and ordinary text stays as it is."""

import sys
import unicodedata

import pytest

from candor.text.characters import CharacterTable, codes_of, text_of
from candor.text.clean import EXPANDING, MAX_EXPANSIONS, MAX_MARKS, bound, clean
from candor.text.offsets import SECONDS, spans
from candor.text.tokens import tokenize, words_of

CHARACTERS = [chr(code) for code in range(sys.maxunicode + 1)]
JOINER = "\u034f"


def longest_run_of_marks(text):
    """Return the length of the longest run of combining marks."""
    runs = "".join("x" if unicodedata.combining(unicodedata.normalize("NFKD", each)[0]) else " " for each in text)
    return max(map(len, runs.split()), default=0)


@pytest.mark.parametrize("marks", ["\u0301", "\u0301\u0316", "\u0323\u0307\u0345", "\uff9e\u0301", "\u0344\u0f73"])
def test_bound_many_marks_cuts_runs(marks):
    """No run of marks is longer than MAX_MARKS, however many a text has; without the joiners it is the same text."""
    text = "a" + marks * 2_000 + " b" + marks * 7
    assert longest_run_of_marks(text) > MAX_MARKS
    bounded = bound(text)
    assert longest_run_of_marks(bounded) == MAX_MARKS
    assert bounded.replace(JOINER, "") == text


@pytest.mark.parametrize(
    "text", ["e\u0301" * 5_000, "a" + "\u0301" * MAX_MARKS, "—" * 200, "。！" * 99, "🙂" * 99, "ｶﾞ" * 99]
)
def test_bound_ordinary_text_unchanged(text):
    """Up to MAX_MARKS marks in a row, dashes and emoji stay; one mark more does not."""
    assert bound(text) == text
    assert bound("a" + "\u0301" * (MAX_MARKS + 1)) != "a" + "\u0301" * (MAX_MARKS + 1)


def test_bound_expansions_beyond_64_become_spaces():
    """The first 64 characters that NFKC makes much longer are spelt out, or one in 32; offsets stay."""
    few, many = "good \ufdfa" * MAX_EXPANSIONS, "good \ufdfa" * (MAX_EXPANSIONS + 1) + "½ film"
    assert bound(few) == few
    assert bound(many).count("\ufdfa") == MAX_EXPANSIONS
    assert bound(many).endswith("good    film")
    assert len(bound(many)) == len(many)
    long = ("a good film, with some words more " + "½") * 500
    assert bound(long) == long


def test_expanding_holds_every_long_character():
    """Every character whose clean form is more than 4 times as long, in characters, is in EXPANDING."""
    long = {each for each in CHARACTERS if len(unicodedata.normalize("NFKC", each)) > 4}
    assert "\ufdfa" in long
    assert long <= {*EXPANDING}


def test_clean_bounded_text_is_stable():
    """Cleaning clean text changes nothing, also where a joiner was inserted."""
    text = "good a" + "\u0301\u0316" * 500 + " film \ufdfa" * 600
    assert clean(clean(text)) == clean(text)


def test_spans_many_marks_cut_words_as_written():
    """Offsets pass over the joiners: each word is cut out with its own marks."""
    word = "a" + "\u0301\u0316" * 100
    text = f"Good {word} FILM{word}. ok"
    assert [text[begin:end] for begin, end in spans(text)] == ["Good", word, f"FILM{word}", ".", "ok"]


def test_seconds_hold_all_that_compose():
    """Every letter that NFC joins to the letter before it, and that is no mark by class, is in SECONDS or Korean."""
    seconds = set()
    for character in CHARACTERS:
        parts = unicodedata.decomposition(character).split()
        if len(parts) == 2 and parts[0][0] != "<" and unicodedata.is_normalized("NFC", character):
            seconds.add(chr(int(parts[1], 16)))
    assert "\u09be" in seconds
    assert {each for each in seconds if not unicodedata.combining(each)} <= {*SECONDS}


def test_tokenize_text_with_few_accents_as_with_many():
    """A text is cleaned the same way whether its characters are looked up one by one or all at once."""
    accented = "the film’s café — “très” good, ΑΣ and Σ. "
    rare = words_of(tokenize([accented + "plain words " * 60]))
    dense = words_of(tokenize([accented]))
    assert "ας".encode() in dense
    assert rare[: len(dense)] == dense


def test_character_table_asks_once_per_character():
    """A property is computed once for each character, whatever the number of texts."""
    asked = []
    table = CharacterTable(lambda character: asked.append(character) or ord(character))
    for _ in range(3):
        assert text_of(table(codes_of("好aé好\U0001f642"))) == "好aé好\U0001f642"
    assert sorted(asked) == sorted("好aé\U0001f642")
