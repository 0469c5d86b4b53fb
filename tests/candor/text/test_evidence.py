import pytest
from hypothesis import given
from hypothesis import strategies as st

from candor.text.evidence import WARNINGS, Evidence, count_scripts, script, unseen_script_share, warnings

EVIDENCE = Evidence(min_known_share=2 / 3, min_known_words=2)


@pytest.mark.parametrize(
    ("character", "name"),
    [
        ("a", "LATIN"),
        ("é", "LATIN"),
        ("Ａ", "LATIN"),
        ("好", "CJK"),
        ("ж", "CYRILLIC"),
        ("1", ""),
        ("!", ""),
        ("🙂", ""),
    ],
)
def test_script_is_the_first_word_of_a_letters_name(character, name):
    """Only letters have a script: the first word of their Unicode name."""
    assert script(character) == name


def test_unseen_script_share_counts_letters_only():
    """Digits, punctuation and spaces do not count."""
    assert unseen_script_share("好 a 1!", frozenset({"LATIN"})) == 0.5
    assert unseen_script_share("1!", frozenset({"LATIN"})) == 0
    assert count_scripts("aé好") == {"LATIN": 2, "CJK": 1}


@pytest.mark.parametrize(
    ("text", "words", "known", "codes"),
    [
        ("good film", 2, 2, []),
        ("good xyzzy film", 3, 2, []),
        ("xyzzy film", 2, 1, ["LOW_EVIDENCE"]),
        ("good xyzzy film xyzzy", 4, 2, ["LOW_EVIDENCE"]),
        ("You.", 1, 1, ["LOW_EVIDENCE"]),
        ("?!", 0, 0, ["LOW_EVIDENCE"]),
        ("好好 ok", 3, 3, []),
        ("好好好 ok", 4, 4, ["LANGUAGE_UNSUPPORTED"]),
    ],
)
def test_warnings_depend_on_known_words_and_scripts(text, words, known, codes):
    """Too few known words, too small a share of them, or mostly unseen letters give a warning."""
    trained_scripts = ("LATIN",) if codes != [] or "好" not in text else ("LATIN", "CJK")
    assert warnings(text, words, known, trained_scripts, EVIDENCE) == codes


def test_warnings_text_without_words_always_has_low_evidence():
    """A text without any word has no evidence, whatever the bundle asks for."""
    assert warnings("!", 0, 0, ("LATIN",), Evidence(0.0, 0)) == ["LOW_EVIDENCE"]
    assert warnings("a", 1, 0, ("LATIN",), Evidence(0.0, 0)) == []


@given(st.text(), st.integers(0, 50), st.integers(0, 50))
def test_warnings_any_text_has_only_known_codes(text, words, known):
    """Every code has a message in WARNINGS."""
    assert set(warnings(text, words, min(known, words), ("LATIN",), EVIDENCE)) <= WARNINGS.keys()
