import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from candor.text.tokens import tokenize, words_of
from training import encoder, vectors
from training.vectors import distil

README = (Path(vectors.__file__).parent / "README.md").read_text()


def test_load_returns_words_and_vectors():
    words, table = vectors.load()
    assert table.shape == (len(words), 128)
    assert table.dtype == np.float32
    assert np.isfinite(table).all()
    assert words == sorted(set(words))


def test_load_gives_like_words_like_vectors():
    """Nearest words by cosine are of the same kind, and a frequent word weighs less than a rare one."""
    words, table = vectors.load()
    lengths = np.linalg.norm(table, axis=1)
    index = {word: row for row, word in enumerate(words)}

    def cosine(one, other):
        return table[index[one]] @ table[index[other]] / lengths[index[one]] / lengths[index[other]]

    assert cosine("awful", "terrible") > 0.5 > cosine("awful", "wednesday")
    assert cosine("refund", "money") > cosine("refund", "planet")
    assert lengths[index["the"]] < 0.25 * lengths[index["terrible"]]


def test_words_are_one_token_each():
    """A word that the featuriser cuts or changes would never be looked up."""
    words, _ = vectors.load()
    assert distil.own_tokens(words) == set(words)
    assert words_of(tokenize(words)) == [word.encode() for word in words]


def test_file_is_small_and_documented():
    content = vectors.PATH.read_bytes()
    words, _ = vectors.load()
    assert len(content) < 2_200_000
    assert hashlib.sha256(content).hexdigest() == vectors.SHA256
    for fact in (vectors.SHA256, f"{len(words):,} words", "Apache-2.0", "Reddit", "MS MARCO"):
        assert fact in README
    assert len(re.findall(r"`[0-9a-f]{64}`", README)) == 4


def test_load_damaged_file_is_refused(tmp_path):
    path = tmp_path / "vectors.npz.xz"
    path.write_bytes(vectors.PATH.read_bytes()[:-1])
    with pytest.raises(vectors.VectorsError, match="damaged"):
        vectors.load(path)


def test_load_missing_file_names_it(tmp_path):
    with pytest.raises(vectors.VectorsError, match=r"nowhere cannot be read \(No such file"):
        vectors.load(tmp_path / "nowhere")


def test_pack_same_vectors_gives_same_bytes():
    words, table = ["a", "b", "é"], np.random.default_rng(0).normal(size=(3, 5))
    content = vectors.pack(words, table)
    assert content == vectors.pack(list(words), np.asfortranarray(table))
    again = vectors.unpack(content)
    assert again.words == words
    assert again.vectors.dtype == np.float32
    assert np.abs(again.vectors - table).max() <= 0.5001 * vectors.STEP * table.std()


def test_loadings_keep_most_variance_first():
    embeddings = np.random.default_rng(0).normal(size=(200, 6)) * [5, 4, 3, 0.1, 0.1, 0.1]
    axes = distil.loadings(embeddings, 3)
    assert np.allclose(axes.T @ axes, np.eye(3))
    assert (np.diff((embeddings @ axes).std(0)) < 0).all()
    assert np.array_equal(axes, distil.loadings(embeddings, 3))


def test_refit_brings_sums_near_embeddings():
    """Words of no sentence stay; sums of the others explain held-out sentences better than before."""
    random = np.random.default_rng(0)
    words = [f"w{index}" for index in range(40)]
    truth, chosen = random.normal(size=(40, 5)), random.integers(0, 39, size=(3000, 6))
    sums = truth[chosen].sum(1) / np.sqrt(6)
    sentences = [" ".join(words[column] for column in row) for row in chosen]
    start = truth + random.normal(size=truth.shape)
    moved = distil.refit(start, sentences[:2000], words, sums[:2000] - sums[:2000].mean(0))

    def error(table):
        found, wanted = table[chosen[2000:]].sum(1), sums[2000:]
        return 1 - np.corrcoef((found - found.mean(0)).ravel(), (wanted - wanted.mean(0)).ravel())[0, 1]

    assert np.array_equal(moved[39], start[39])
    assert error(moved) < 0.1 * error(start)


def test_sample_takes_one_sentence_a_text():
    texts = [f"Film {index} is good. Film {index} is long; see it! No." for index in range(50)]
    found = distil.sample(texts, 20)
    assert len(found) == 20
    assert len({sentence.split()[1] for sentence in found}) == 20
    assert found == distil.sample(texts, 20)


def test_distil_without_encoder_names_the_package(monkeypatch, tmp_path):
    monkeypatch.setattr(encoder, "PACKAGE", "no_such_package")
    done = CliRunner().invoke(distil.distil, ["--output", str(tmp_path / "file")])
    assert done.exit_code == 1
    assert "needs no-such-package, which is not installed\nhint: pip install" in done.stderr
    assert not (tmp_path / "file").exists()


def test_distil_ignores_labels(tiny_encoder, tmp_path, monkeypatch):
    """Reviews that change sides give the same vectors; the test split is not read."""
    monkeypatch.setattr(distil, "DIMENSIONS", 4)
    monkeypatch.setattr(encoder, "package_folder", lambda: tiny_encoder)
    monkeypatch.setattr(encoder, "PACKAGE", "json")
    monkeypatch.setattr(distil, "MIN_DF", 2)
    made = []
    for first, second in (("neg", "pos"), ("pos", "neg")):
        root = tmp_path / first
        texts = {
            f"train/{first}/0_1.txt": "a grim film",
            f"train/{first}/1_1.txt": "grim stuff",
            f"train/{second}/0_9.txt": "a fun film",
            f"train/{second}/1_9.txt": "stuff, fun",
            "train/unsup/0_0.txt": "fun film",
            "test/neg/0_1.txt": f"{first} {first} {first}",
            "test/pos/0_9.txt": f"{first} {first}",
        }
        for name, text in texts.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        done = CliRunner().invoke(distil.distil, [str(root), "--output", str(root / "file")])
        assert done.exit_code == 0, done.output
        made.append((root / "file").read_bytes())
    assert made[0] == made[1]
    assert {"grim", "film", "fun", "stuff"} <= set(vectors.unpack(made[0]).words)
    assert not {"neg", "pos"} & set(vectors.unpack(made[0]).words)
