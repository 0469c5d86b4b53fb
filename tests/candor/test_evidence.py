import pytest
from hypothesis import given
from hypothesis import strategies as st

from candor.evidence import WARNINGS, script, scripts, unseen_share, warnings


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
def test_a_letter_has_a_script_and_nothing_else_has(character, name):
    assert script(character) == name


def test_shares_are_of_letters_only():
    assert unseen_share("好 a 1!", frozenset({"LATIN"})) == 0.5
    assert unseen_share("1!", frozenset({"LATIN"})) == 0
    assert scripts("aé好") == {"LATIN": 2, "CJK": 1}


@pytest.mark.parametrize(
    ("text", "tokens", "known", "codes"),
    [
        ("good film", 2, 2, []),
        ("good xyzzy film", 3, 2, []),
        ("xyzzy film", 2, 1, ["LOW_EVIDENCE"]),
        ("?!", 0, 0, ["LOW_EVIDENCE"]),
        ("好好 ok", 3, 3, []),
        ("好好好 ok", 4, 4, ["LANGUAGE_UNSUPPORTED"]),
    ],
)
def test_warnings_follow_from_known_words_and_scripts(text, tokens, known, codes):
    seen = ("LATIN",) if codes != [] or "好" not in text else ("LATIN", "CJK")
    assert warnings(text, tokens, known, seen) == codes


@given(st.text(), st.integers(0, 50), st.integers(0, 50))
def test_every_warning_has_its_sentence(text, tokens, known):
    assert set(warnings(text, tokens, min(known, tokens), ("LATIN",))) <= WARNINGS.keys()
