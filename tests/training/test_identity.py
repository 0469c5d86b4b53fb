"""Groups and their terms: ours, and those of a user's own file."""

import json

import pytest

from candor.text.identity import forms
from training import identity
from training.identity.lexicon import Lexicon

GOOD = {"colour": ["red", "blue"], "shape": ["round"]}


def written(tmp_path, content):
    path = tmp_path / "terms.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_our_terms_can_be_used():
    ours = identity.load()
    assert {"gender", "race", "religion", "nationality", "sexuality", "disability", "age"} <= {*ours.groups}
    assert len(ours.hashes) > 3000
    assert "poor" not in {term for terms in ours.groups.values() for term in terms}
    assert any(not term.isascii() for term in ours.groups["gender"])


def test_load_keeps_groups_that_are_the_task(tmp_path):
    assert {*identity.load(written(tmp_path, GOOD), keep=["colour"]).groups} == {"shape"}
    with pytest.raises(identity.IdentityError, match="there is no group 'size' to keep"):
        identity.load(written(tmp_path, GOOD), keep=["size"])


BAD = {
    "empty file": ("", "is not JSON"),
    "no object": ([], "does not list terms by group"),
    "no groups": ({}, "has no groups"),
    "no terms": ({"a": []}, "has no terms"),
    "no words": ({"a": [3]}, "does not list terms by group"),
    "phrase": ({"a": ["middle aged"]}, "no single word"),
    "two characters": ({"a": ["女人"]}, "no single word"),
    "mark": ({"a": ["?"]}, "no single word"),
    "nothing": ({"a": [""]}, "no single word"),
    "negator": ({"a": ["never"]}, "negates"),
    "two groups": ({"a": ["red"], "b": ["red"]}, "is in two groups, 'a' and 'b'"),
    "two groups by a form": ({"a": ["cat"], "b": ["cats"]}, "is in two groups, 'a' and 'b'"),
    "two groups by case": ({"a": ["Red"], "b": ["RED"]}, "is in two groups"),
    "too many": ({"a": [f"w{number}" for number in range(3001)]}, "3,001 terms"),
}


@pytest.mark.parametrize(("content", "said"), BAD.values(), ids=BAD)
def test_load_refuses_what_cannot_be_used(content, said, tmp_path):
    with pytest.raises(identity.IdentityError, match=said) as caught:
        identity.load(written(tmp_path, content))
    assert caught.value.hint
    assert identity.load(written(tmp_path, GOOD)).hashes.size


def test_lexicon_swap_keeps_form_and_case():
    lexicon = Lexicon({"who": ["woman", "man"], "faith": ["muslim", "catholic"]})
    text = "Women met a MUSLIM, and the woman's friends left.<br />Catholics&#39; Muslim man"
    swapped = lexicon.swap(text, lexicon.find([text])[0], lambda entry: next(iter(lexicon.others(entry)), None))
    assert swapped == "Men met a CATHOLIC, and the man's friends left.<br />Muslims' Catholic woman"
    assert lexicon.swap(text, lexicon.find([text])[0], lambda entry: None) == text


def test_lexicon_finds_every_form():
    lexicon = Lexicon({"who": ["woman", "boss", "lady", "女"]})
    for term in ("woman", "boss", "lady", "女"):
        for number, form in enumerate(forms([term])):
            found = lexicon.find(["so", f"so {form.upper()} so"])
            assert [(token, entry.term, entry.form) for token, entry in found[1]] == [(1, term, number)]
            assert found[0] == []
