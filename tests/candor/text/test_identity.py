"""Terms of groups: one feature for all of them, whichever form and case they are written in."""

import json

import numpy as np
import pytest

from candor.text.features import Featuriser, hash_tokens, hash_words
from candor.text.identity import SOMEONE, Identity, forms
from candor.text.table import Table
from candor.text.tokens import tokenize
from tests.bundles import additive

GROUPS = {"religion": ["muslim", "catholic", "gypsy"], "gender": ["woman", "man", "he", "she", "女", "男"]}
IDENTITY = Identity(GROUPS)
KINDS = ("word", "pair", "negated", "char")


def features(text, identity=IDENTITY):
    """Return what a model that has seen the terms sees of a text, alone."""
    terms = hash_words([*forms([term for terms in GROUPS.values() for term in terms]), SOMEONE])
    table = Table.of(np.union1d(additive(KINDS).hashes, terms))
    found = Featuriser(KINDS, identity=identity)([text], table)
    return [each.tolist() for each in (found.ids, found.rows, found.tokens, found.known, found.words)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a muslim film", "a catholic film"),
        ("A MUSLIM film", "a woman film"),
        ("muslims", "women"),
        ("the catholic's film", "the man's film"),
        ("it is not she", "it is not he"),
        ("gypsies'", "men's"),
        ("ＭＵＳＬＩＭ", "catholic"),
        ("女 is good", "男 is good"),
    ],
)
def test_features_of_terms_are_the_same(one, other):
    assert features(one) == features(other)
    assert features(one, identity=None) != features(other, identity=None)


def test_features_of_other_words_stay():
    """Texts without terms are read as ever, and a term is a word that the model knows or not, like any other."""
    text = "a good film, not a boring one!"
    assert features(text) == features(text, identity=None)
    assert features("muslim film") != features("film")


def test_grams_agree_with_features():
    """What an explanation attributes is what the model sums, by the tokens of the text as it was written."""
    made = additive(KINDS)
    table = Table.of(made.hashes)
    featuriser = Featuriser(KINDS, identity=IDENTITY)
    for text in ("a muslim film is not good", "she is a gypsy qux", "女 is not bad"):
        grams = featuriser.grams(text, table)
        assert grams.ids.tolist() == featuriser([text], table).ids.tolist()
        assert grams.last.max() < grams.tokens


def test_blocks_and_texts_alone_agree():
    texts = ["a muslim film", "", "she", "good and bad", "not a woman!"] * 60
    made = additive(KINDS)
    table, featuriser = Table.of(made.hashes), Featuriser(KINDS, identity=IDENTITY)
    block = featuriser(texts, table)
    for row, text in enumerate(texts[:5]):
        alone = featuriser([text], table)
        assert sorted(block.ids[block.rows == row].tolist()) == sorted(alone.ids.tolist())
        assert (block.known[row], block.words[row]) == (alone.known[0], alone.words[0])


def test_merge_replaces_terms_in_place():
    hashes = hash_words(["a", "muslim", "film", "women's", "woman"])
    before = hashes.copy()
    terms, groups = IDENTITY.merge(hashes)
    assert terms.tolist() == [1, 3, 4]
    assert [IDENTITY.names[group] for group in groups] == ["religion", "gender", "gender"]
    assert hashes[[1, 3, 4]].tolist() == [int(IDENTITY.mark[0])] * 3
    assert hashes[[0, 2]].tolist() == before[[0, 2]].tolist()
    assert [part.tolist() for part in IDENTITY.merge(np.empty(0, np.uint32))] == [[], []]


def test_forms_are_words_of_a_reader():
    assert forms(["man"]) == ["man", "man's", "men", "men's"]
    assert forms(["boss"])[2] == "bosses"
    assert forms(["boy"])[2] == "boys"
    assert forms(["男"]) == ["男"]


@pytest.mark.parametrize(
    "terms",
    [
        ["two words"],
        ["?"],
        [""],
        ["好人"],
        ["", "two words"],
        ["two words", ""],
        ["好人", "\u200b"],
        ["a\tb"],
        ["<b>"],
        ["a b", "\t", " ", "  ", "   "],
    ],
)
def test_identity_of_no_single_word_is_refused(terms):
    """Nor do words of no token make up for others of two."""
    with pytest.raises(ValueError, match="not one word"):
        Identity({"g": [*terms, "muslim"]})
    assert Identity({"g": ["muslim"]}).hashes.size


def test_identity_hashes_are_those_of_its_forms():
    """Terms that are cut in one go, beside those of other scripts, have the hashes that each has alone."""
    groups = {"a": ["muslim", "男"], "b": ["fiancé", "Woman", "女"], "c": []}
    identity = Identity(groups)
    for number, terms in enumerate(groups.values()):
        for form in forms(terms):
            hashes = hash_tokens(tokenize([form]))
            assert [part.tolist() for part in identity.merge(hashes)] == [[0], [number]], form
    assert len(identity.hashes) == len({form for terms in groups.values() for form in forms(terms)})
    assert Identity({}).mentions(["a muslim"]).shape == (1, 0)


def test_mentions_are_the_groups_of_each_text():
    """Alone, in any block, by features and by the terms alone: whichever texts come before."""
    texts = ["a muslim woman", "", "a good film", "HE is good", "女"] * 60
    expected = [[True, True], [False, False], [False, False], [False, True], [False, True]] * 60
    featuriser, table = Featuriser(KINDS, identity=IDENTITY), Table.of(additive(KINDS).hashes)
    assert IDENTITY.mentions(texts).tolist() == expected
    assert featuriser(texts, table).mentions.tolist() == expected
    assert [featuriser([text], table).mentions.tolist()[0] for text in texts[:5]] == expected[:5]
    assert Featuriser(KINDS)(texts, table).mentions.shape == (300, 0)


def test_identity_from_json_reads_what_training_writes():
    read = Identity.from_json(json.dumps({"groups": GROUPS}).encode())
    assert read.hashes.tolist() == IDENTITY.hashes.tolist()
    for broken in (b"[]", b"{}", b'{"groups": 3}', b'{"groups": {"a": [3]}}'):
        with pytest.raises(ValueError, match="terms"):
            Identity.from_json(broken)
