"""Token hashes of texts: taking, cutting windows, counting features."""

from collections import Counter

import numpy as np
import pytest

from candor.text.features import combine, hash_words
from training import corpus as module
from training.corpus import Corpus

TEXTS = ["A good film. Not a bad one!", "", "So so good... Is it good?! It is.", "no", "good bad good"]
KINDS = ["word", "pair", "negated"]


def brute_force(corpus: Corpus, kinds: list[str]) -> list[Counter[int]]:
    """Return how often each hash occurs in each text, text by text."""
    counts = []
    for start, end in zip(corpus.bounds[:-1], corpus.bounds[1:], strict=True):
        tokens = corpus.hashes[start:end]
        counts.append(Counter[int]())
        for kind in kinds:
            counts[-1].update(combine(kind, tokens, np.array([0, len(tokens)]))[0].tolist())
    return counts


def test_taking_and_adding_keeps_each_text() -> None:
    corpus = Corpus.of(TEXTS)
    both = corpus.take(np.array([2, 0, 1])) + corpus.take(np.array([4]))
    expected = Corpus.of([TEXTS[index] for index in (2, 0, 1, 4)])
    assert both.hashes.tolist() == expected.hashes.tolist()
    assert both.bounds.tolist() == expected.bounds.tolist()
    assert len(corpus.take(np.empty(0, np.int64))) == 0


@pytest.mark.parametrize("many", [0, 1 << 20])
@pytest.mark.parametrize("min_df", [1, 2])
def test_counts_are_those_of_each_text(monkeypatch: pytest.MonkeyPatch, min_df: int, many: int) -> None:
    monkeypatch.setattr(module, "_MANY", many)
    corpus = Corpus.of(TEXTS)
    expected = brute_force(corpus, KINDS)
    frequencies = Counter(hash_ for text in expected for hash_ in text)
    kept = sorted(hash_ for hash_, frequency in frequencies.items() if frequency >= min_df)
    hashes, counts = corpus.counts(KINDS, min_df=min_df)
    assert hashes.tolist() == kept
    assert hashes.dtype == np.uint32
    assert counts.dtype == np.float32
    assert counts.toarray().tolist() == [[text[hash_] for hash_ in kept] for text in expected]


@pytest.mark.parametrize("many", [0, 1 << 20])
def test_counts_of_given_features_follow_their_order(monkeypatch: pytest.MonkeyPatch, many: int) -> None:
    monkeypatch.setattr(module, "_MANY", many)
    given = hash_words(["good", "unseen", "a", "zzz"])
    hashes, counts = Corpus.of(TEXTS).counts(["word", "pair"], given)
    assert hashes is given
    assert counts.toarray().tolist() == [[1, 0, 2, 0], [0] * 4, [2, 0, 0, 0], [0] * 4, [2, 0, 0, 0]]


def test_kinds_that_share_a_hash_are_one_feature(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "combine", lambda kind, hashes, bounds: (hashes, np.arange(len(hashes))))
    hashes, counts = Corpus.of(["b a b"]).counts(["word", "pair"])
    assert len(set(hashes.tolist())) == 2
    assert sorted(counts.toarray()[0].tolist()) == [2, 4]
    assert sorted(Corpus.of(["b a b"]).counts(["word", "pair"], hashes)[1].toarray()[0].tolist()) == [2, 4]


def test_windows_are_whole_sentences_of_longer_texts() -> None:
    corpus = Corpus.of(TEXTS)
    sentences = {
        tuple(hash_words(words).tolist())
        for words in (
            ["a", "good", "film", "."],
            ["not", "a", "bad", "one", "!"],
            ["so", "so", "good", ".", ".", "."],
            ["is", "it", "good", "?", "!"],
            ["it", "is", "."],
        )
    }
    seen = set()
    random = np.random.default_rng(0)
    for _ in range(40):
        windows, index = corpus.windows(random, [1, 2])
        assert set(index.tolist()) <= {0, 2}
        for start, end, text in zip(windows.bounds[:-1], windows.bounds[1:], index, strict=True):
            window = tuple(windows.hashes[start:end].tolist())
            if text == 0:
                assert window in sentences
            seen.add(window)
    assert sentences <= seen
    assert len(seen) == 7


def test_nothing_has_no_windows_and_no_counts() -> None:
    empty = Corpus.of([])
    windows, index = empty.windows(np.random.default_rng(0), [1])
    assert len(windows) == len(index) == 0
    hashes, counts = empty.counts(KINDS, min_df=2)
    assert len(hashes) == 0
    assert counts.shape == (0, 0)
    assert Corpus.of(["a b"]).counts(KINDS, np.empty(0, np.uint32))[1].shape == (1, 0)


@pytest.mark.parametrize("size", [1, 2, 3, 9])
def test_slices_hold_every_token_once(size: int) -> None:
    texts = ["One. Two! Three?", "", "No end", "A... b?! c. d", "."]
    corpus = Corpus.of(texts)
    windows, index = corpus.slices(size)
    assert windows.hashes.tolist() == corpus.hashes.tolist()
    assert corpus.sentences().tolist() == [3, 0, 1, 4, 1]
    assert np.bincount(index, minlength=5).tolist() == (-(-corpus.sentences() // size)).tolist()
    for one, text in zip(range(len(windows)), index, strict=True):
        assert corpus.bounds[text] <= windows.bounds[one] < windows.bounds[one + 1] <= corpus.bounds[text + 1]
    assert windows.sentences()[:-1].max(initial=0) <= size
