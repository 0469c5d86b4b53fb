"""The featuriser's promise: the same text gives the same features, alone, anywhere in any block."""

import itertools

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from candor.text import features as module
from candor.text.features import (
    KINDS,
    Featuriser,
    char_grams,
    combine,
    hash_tokens,
    hash_words,
    negated_tokens,
)
from candor.text.tokens import tokenize, words_of
from tests.candor.text.test_tokens import texts

every_kind = Featuriser(KINDS)


class Everything:
    """A table that holds every hash: row = the hash, less its sign."""

    def match(self, hashes):
        return hashes & np.uint32(0x7FFFFFFF), np.ones(len(hashes), dtype=bool)

    def rows(self, slots):
        return slots.astype(np.int32)


class Half(Everything):
    """A table that holds about half of all hashes."""

    def match(self, hashes):
        return super().match(hashes)[0], (hashes & 1).astype(bool)


def alone(text, table):
    return features_of(every_kind([text], table), 0)


def features_of(features, row):
    chosen = features.rows == row
    return features.ids[chosen].tolist(), *(int(each[row]) for each in features[2:5])


@given(st.lists(texts, min_size=1, max_size=8), st.sampled_from([Everything(), Half()]))
@example(["", "a", ""], Half())
@example(["a\0b", "a b"], Half())
@example(["\0", "\0\0", "x"], Half())
@example(["\ud800", "not plain"], Half())
@example(["not", "good", "it", "isn't", "", "bad, really"], Everything())
@example(["x" * 20_000, "y"], Half())
@settings(max_examples=400, deadline=None)
def test_featuriser_text_in_any_block_has_same_features(block, table):
    """A text has the same features alone and at any position of any block."""
    features = every_kind(block, table)
    for row, text in enumerate(block):
        assert features_of(features, row) == alone(text, table)


def test_featuriser_counts_words_and_not_marks():
    """`known` and `words` leave punctuation out, `tokens` does not; what the table lacks is dropped."""

    class Known(Everything):
        def match(self, hashes):
            return np.full(len(hashes), 7), np.isin(hashes, hash_words(["good", "!"]))

    features = Featuriser()(["Good, good!", "xyzzy!", ""], Known())
    assert (features.ids.tolist(), features.rows.tolist()) == ([7, 7, 7, 7], [0, 0, 0, 1])
    assert features.tokens.tolist() == [4, 2, 0]
    assert (features.known.tolist(), features.words.tolist()) == ([2, 0, 0], [2, 1, 0])
    assert {each.dtype for each in features[:5]} == {np.dtype(np.int32)}


@given(st.lists(texts, max_size=5), st.sampled_from(["word", "pair", "negated"]))
@settings(deadline=None)
def test_combine_recut_texts_has_grams_of_each_window(block, kind):
    """Grams come from hashes and bounds alone: a window has those of its tokens, whatever stands around it."""
    tokens = tokenize(block)
    hashes = hash_tokens(tokens)
    grams, index = combine(kind, hashes, tokens.bounds)
    assert (np.diff(index) > 0).all()
    assert (grams.dtype, index.dtype) == (np.uint32, np.int64)
    expected = [combine(kind, hashes[b:e], np.array([0, e - b])) for b, e in itertools.pairwise(tokens.bounds)]
    assert grams.tolist() == [gram for each, _ in expected for gram in each.tolist()]


@pytest.mark.parametrize(
    ("kind", "grams"),
    [("word", 5), ("pair", 2)],
)
def test_combine_stays_within_a_text(kind, grams):
    """No gram joins the last token of a text and the first of the next."""
    tokens = tokenize(["good", "film", "", "it is good"])
    assert len(combine(kind, hash_tokens(tokens), tokens.bounds)[0]) == grams


def test_combine_kinds_have_different_hashes():
    """Equal tokens give other hashes as another kind."""
    tokens = tokenize(["not not not"])
    hashes = [combine(kind, hash_tokens(tokens), tokens.bounds)[0] for kind in ("word", "pair")]
    tokens = tokenize(["not good"])
    hashes += [hash_words(["good"]), combine("negated", hash_tokens(tokens), tokens.bounds)[0]]
    firsts = [each[0] for each in hashes]
    assert len({*firsts}) == len(firsts)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It is not a very good film at all.", "a very good film"),
        ("It isn’t good, and bad", "good"),
        ("not bad not good", "bad good"),
        ("nothing; here", ""),
        ("never", ""),
        ("DIDN'T like", "like"),
        ("good film", ""),
        ("without a doubt", "a doubt"),
    ],
)
def test_negated_tokens_end_with_the_scope(text, words):
    """Up to four words after a negator are negated: not past a mark, a negator or the end."""
    tokens = tokenize([text])
    index = negated_tokens(hash_tokens(tokens), tokens.bounds)
    assert b" ".join(words_of(tokens)[i] for i in index).decode() == words


@given(st.lists(st.sampled_from(["not", "isn't", "good", "film", "!", ","]), max_size=90), st.integers(0, 90))
@settings(deadline=None)
def test_negated_tokens_are_those_of_a_plain_loop(words, cut):
    """One text or two, few negators or many: each token's scope is what reading on from its negator gives."""
    tokens = tokenize([" ".join(words)])
    bounds = np.array([0, min(cut, len(words)), len(words)])
    for limits in (tokens.bounds, bounds):
        expected = []
        for begin, end in itertools.pairwise(limits.tolist()):
            for index in range(begin, end):
                if words[index] in ("not", "isn't"):
                    scope = itertools.takewhile(
                        lambda i: words[i] in ("good", "film"), range(index + 1, min(index + 5, end))
                    )
                    expected += scope
        assert negated_tokens(hash_tokens(tokens), limits).tolist() == expected


def test_stop_table_holds_every_mark_and_negator():
    """No two stops share a place of the table that finds them."""
    assert np.count_nonzero(module._STOP_TABLE) == len(module._NEGATORS) + len(module.PUNCTUATION)
    assert np.count_nonzero(module._NEGATOR_TABLE) == len(module._NEGATORS)


def test_char_grams_are_those_of_the_definition():
    """2 to 5 characters of a word, the spaces beside it counted, whatever bytes a character takes."""
    words = ["ab", "é好x", "a", "wonderful"]
    hashes, index = char_grams([word.encode() for word in words])
    grams = [
        (f" {word} "[i : i + n], at)
        for n in range(2, 6)
        for at, word in enumerate(words)
        for i in range(len(word) + 3 - n)
    ]
    assert index.tolist() == [at for _, at in grams]
    expected: dict[str, int] = {}
    for (gram, _), value in zip(grams, hashes.tolist(), strict=True):
        assert expected.setdefault(gram, value) == value
    assert len({*expected.values()}) == len(expected)


def test_char_grams_only_of_unknown_words():
    """Words that the table holds, and marks, have no character n-grams."""

    class Known(Everything):
        def match(self, hashes):
            return hashes, hashes != hash_words(["good"])[0]

    features = Featuriser(("word", "char"))(["good film!"], Known())
    assert len(features.ids) == 2 + len(char_grams([b"good"])[0])


@given(texts)
@settings(deadline=None)
def test_hash_words_equals_hash_of_each_token(text):
    """The hash of a token, read alone, is its hash in the text."""
    tokens = tokenize([text])
    assert hash_words(words_of(tokens)).tolist() == hash_tokens(tokens).tolist()
    assert len(tokens.is_word) == len(tokens.starts)


def test_hash_words_many_equal_each_alone():
    """Many words are hashed as few are, whatever their length."""
    words = ["é" * (i % 90) + "x" * (i % 13) + str(i) for i in range(3000)]
    assert hash_words(words).tolist() == [hash_words([word])[0] for word in words]


def test_hashes_of_long_words_differ_by_length():
    """Words that share their first 16 bytes differ if their lengths do."""
    first, second = hash_words(["a" * 17, "a" * 18]).tolist()
    assert first != second


def test_hashes_spread_evenly():
    """Distinct words collide as seldom as random numbers, in the top and in the low bits."""
    hashes = hash_words([f"word{i}" for i in range(20_000)])  # on both sides of 8 bytes
    pairs = combine("pair", hashes, np.array([0, len(hashes)]))[0]
    expected = (1 << 17) * (1 - np.exp(-len(hashes) / (1 << 17)))
    for each in (hashes >> 15, hashes & 0x1FFFF, pairs >> 15, pairs & 0x1FFFF):
        assert len(np.unique(each)) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("kinds", [("pair",), ("word", "bytes"), ()])
def test_featuriser_invalid_kinds_raise_value_error(kinds):
    """Unknown kinds, and kinds without words, are refused."""
    with pytest.raises(ValueError, match="kinds of features"):
        Featuriser(kinds)


def test_featuriser_to_dict_makes_an_equal_one():
    """Settings survive a round trip through JSON types; kinds have one order."""
    settings = Featuriser(("pair", "word")).to_dict()
    assert settings == {"kinds": ["word", "pair"], "version": 3}
    assert Featuriser(**settings) == Featuriser(("word", "pair"))


def test_featuriser_version_3_hashes_are_pinned():
    """The hashes of version 3 never change."""
    tokens = tokenize(["A wonderful film, isn’t it great?"])
    kinds = {kind: combine(kind, hash_tokens(tokens), tokens.bounds)[0].tolist() for kind in KINDS[:3]}
    kinds["char"] = char_grams([b"a"])[0].tolist()
    assert kinds == PINNED


PINNED = {
    "word": [956258119, 2894942091, 2261239689, 594203319, 1812851985, 2865579150, 1303639748, 702212759],
    "pair": [1655418584, 1588901361, 4049395762, 1825259823, 4002572329, 3058041759, 2658539500],
    "negated": [1866270427, 3906458860],
    "char": [1334095213, 3468573156, 2804807419],
}
