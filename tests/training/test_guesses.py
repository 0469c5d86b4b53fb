"""The guesses of a tuned encoder: the file, and how it finds its texts."""

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest

from training import guesses, vectors
from training.guesses import FRAMES, STEP, Guesses, GuessesError, find, make, pack, unpack

README = (Path(guesses.__file__).parent / "README.md").read_text()
LABELLED = ["Fine.", "Poor.", "So so."]
UNLABELLED = ["One. Two. Three.", "Good!", "Bad. Worse.", "Good!"]


def guessed() -> Guesses:
    """Return guesses that tell every window of UNLABELLED apart, in steps of the file."""
    return Guesses(
        np.array([0.5, 3.0, -2.25, 3.0]),
        np.array([3, 1, 2, 1]),
        {1: np.array([1.0, 2.0, 3.0, 4.0, -5.0, -6.0, 4.0]), 2: np.array([-1.0, 0.25, 1.5, -3.0, 1.5])},
        {frame: np.array([1.0, -1.0]) * (index + 1) for index, frame in enumerate(FRAMES)},
        np.array([False, True, False]),
    )


def test_unpack_returns_what_was_packed():
    found = unpack(pack(guessed(), LABELLED, UNLABELLED), LABELLED, UNLABELLED)
    assert found is not None
    for one, other in zip(found, guessed(), strict=True):
        if isinstance(one, dict):
            assert {key: values.tolist() for key, values in one.items()} == {
                key: values.tolist() for key, values in other.items()
            }
        else:
            assert one.tolist() == other.tolist()


def test_unpack_follows_the_order_of_the_texts():
    content = pack(guessed(), LABELLED, UNLABELLED)
    found = unpack(content, LABELLED[::-1], ["Bad. Worse.", "Good!", "One. Two. Three."])
    assert found is not None
    assert found.reviews.tolist() == [-2.25, 3.0, 0.5]
    assert found.sentences.tolist() == [2, 1, 3]
    assert found.windows[1].tolist() == [-5.0, -6.0, 4.0, 1.0, 2.0, 3.0]
    assert found.windows[2].tolist() == [-3.0, 1.5, -1.0, 0.25]
    assert found.held_out.tolist() == [False, True, False]
    assert unpack(content, ["Poor.", "Fine."], UNLABELLED).held_out.tolist() == [True, False]


def test_unpack_ignores_line_breaks_of_html():
    content = pack(guessed(), LABELLED, UNLABELLED)
    assert unpack(content, LABELLED, ["One. <br />Two. Three.", *UNLABELLED[1:]]) is not None


@pytest.mark.parametrize("texts", [[], UNLABELLED[1:3], [*UNLABELLED, "More."], ["One. Two. three.", *UNLABELLED[1:]]])
def test_unpack_other_texts_have_no_guesses(texts):
    assert unpack(pack(guessed(), LABELLED, UNLABELLED), LABELLED, texts) is None


def test_pack_rounds_to_steps_and_clips():
    rough = guessed()._replace(reviews=np.array([0.4, 99.0, -99.0, 3.0]))
    found = unpack(pack(rough, LABELLED, UNLABELLED), LABELLED, UNLABELLED)
    assert found is not None
    assert found.reviews.tolist() == [0.5, 127 * STEP, -127 * STEP, 127 * STEP]  # a copy has the first one's


def test_pack_same_guesses_give_the_same_bytes():
    assert pack(guessed(), LABELLED, UNLABELLED) == pack(guessed(), LABELLED, UNLABELLED)
    assert b"Good" not in pack(guessed(), LABELLED, UNLABELLED)


def test_find_other_texts_has_no_guesses():
    assert find(LABELLED, UNLABELLED) is None


def test_find_its_own_texts_has_guesses(tmp_path):
    path = tmp_path / "guesses.npz.xz"
    path.write_bytes(pack(guessed(), LABELLED, UNLABELLED))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert find(LABELLED, UNLABELLED, path, digest) is not None
    with pytest.raises(GuessesError, match="damaged"):
        find(LABELLED, UNLABELLED, path)
    with pytest.raises(GuessesError, match="cannot be read"):
        find(LABELLED, UNLABELLED, tmp_path / "none")


def arrays():
    """Return the arrays of the file in the repository."""
    import io
    import lzma

    return np.load(io.BytesIO(lzma.decompress(guesses.PATH.read_bytes())))


def test_file_is_small_and_documented():
    content = guesses.PATH.read_bytes()
    assert len(content) < 1_000_000
    assert hashlib.sha256(content).hexdigest() == guesses.SHA256
    for fact in (guesses.SHA256, "Apache-2.0", "MS MARCO", "22,500", "2,500", "50,000"):
        assert fact in README
    assert len(re.findall(r"`[0-9a-f]{64}`", README)) == 4


def test_file_holds_a_guess_for_each_window():
    stored = arrays()
    sentences = stored["sentences"].astype(int)
    assert len(stored["reviews"]) == len(sentences)
    assert len(stored["held_out"]) == 4 * 2490  # ten of 2,500 are copies
    sizes = [int(name[8:]) for name in stored.files if name.startswith("windows.")]
    assert sizes == [2, 4]
    for size in sizes:
        assert len(stored[f"windows.{size}"]) == (-(-sentences // size)).sum()


def test_file_guesses_about_words_are_sound():
    stored, words = arrays(), vectors.load().words
    alone, stated, negated = (dict(zip(words, STEP * stored[f"words.{index}"], strict=True)) for index in range(3))
    for word in ("excellent", "delightful", "superb"):
        assert alone[word] > 1 < stated[word]
        assert negated[word] < -1
    for word in ("awful", "tedious", "pathetic"):
        assert alone[word] < -1 > stated[word]
        assert negated[word] > 1
    assert abs(alone["table"]) < 1


def test_cut_gives_pieces_token_by_token():
    class Tokenizer:
        def encode_batch(self, tokens, add_special_tokens):
            assert not add_special_tokens
            return [type("Encoding", (), {"ids": list(token.encode())}) for token in tokens]

    found = make.cut(["Ab. c!", "", "d"], Tokenizer(), {})
    assert bytes(found["ids"].astype(np.uint8)) == b"ab.c!d"
    assert found["bounds"].tolist() == [0, 5, 5, 6]
    assert found["ends"].tolist() == [3, 5, 6]
    assert found["sentences"].tolist() == [2, 0, 1]
