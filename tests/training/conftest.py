"""The trainer as `candor` finds it, by the checkout's entry point; and a sentence encoder that needs no download."""

import json
import sys

import numpy as np
import pytest
from safetensors.numpy import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing


@pytest.fixture(scope="session")
def entry_point(tmp_path_factory):
    """Return a folder for the path, on which the checkout's `training` is installed as a command of `candor`."""
    folder = tmp_path_factory.mktemp("site-packages")
    info = folder / "checkout_trainer-0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: checkout-trainer\nVersion: 0\n")
    commands = "train = training.command:train\nfairness = training.fairness_command:fairness\n"
    (info / "entry_points.txt").write_text(f"[candor.commands]\n{commands}")
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory):
    """Return the folder of a random encoder: 2 layers of width 8 with 2 heads, and single words as its pieces."""
    folder = tmp_path_factory.mktemp("encoder")
    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "a",
        "bad",
        "film",
        "fun",
        "good",
        "grim",
        "stuff",
        "##s",
        "é",
        "so-so",
    ]
    tokenizer = Tokenizer(WordPiece({word: index for index, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text(json.dumps({"num_attention_heads": 2}))
    shapes = {
        "embeddings.word_embeddings.weight": (len(words), 8),
        "embeddings.position_embeddings.weight": (130, 8),
        "embeddings.token_type_embeddings.weight": (2, 8),
    }
    dense = {"intermediate.dense": (16, 8), "output.dense": (8, 16), "attention.output.dense": (8, 8)}
    dense |= {f"attention.self.{part}": (8, 8) for part in ("query", "key", "value")}
    norms = ["embeddings.LayerNorm"]
    for layer in ("encoder.layer.0", "encoder.layer.1"):
        norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
        for name, shape in dense.items():
            shapes |= {f"{layer}.{name}.weight": shape, f"{layer}.{name}.bias": shape[:1]}
    shapes |= {f"{name}.{part}": (8,) for name in norms for part in ("weight", "bias")}
    random = np.random.default_rng(0)
    save_file(
        {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()},
        folder / "model.safetensors",
    )
    return folder
