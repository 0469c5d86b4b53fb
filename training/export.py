"""Export a trained Keras model as one TensorFlow Lite file: folded, quantised, with two named signatures.

Folded: the Dense layer after the mean is linear in the embedding up to its ReLU, so embedding × kernel is one table
and serving pays nothing for the embedding's dimension. Quantised: tables hold integers with one scale a column,
and the graph sums the integers, which float32 does exactly below 2**24. So a text's logits do not depend on the
order of its tokens, nor on the texts beside it. The deep table has 8 bits; wide weights add up over hundreds of
features, so theirs have 16.
"""

import tempfile
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.lite.tools import flatbuffer_utils

from .model import WideAndDeep, length_scale

_INPUTS = ("unigrams", "unigram_rows", "bigrams", "bigram_rows", "tokens")
_EXPLAINED = ("unigrams", "bigrams", "tokens")


def to_tflite(network: WideAndDeep) -> bytes:
    """Convert a model to a TensorFlow Lite flatbuffer with the signatures `predict` and `explain`.

    Inputs are those of candor.model.classifier.model_inputs; the output `logits` of `predict` is float32 [n, K].

    Raises:
        RuntimeError: The converter left weights out.
    """
    module = _Serving(network)
    with tempfile.TemporaryDirectory() as folder:
        signatures = {"predict": module.predict, "explain": module.explain}
        tf.saved_model.save(module, folder, signatures=signatures)
        model = _with_shared_tables(
            tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(signatures)).convert()
        )
    if len(model) < module.table_bytes:
        raise RuntimeError(f"the converter lost weights: {len(model)} bytes for tables of {module.table_bytes}")
    return model


def _ids(names: tuple[str, ...]) -> list[tf.TensorSpec]:
    return [tf.TensorSpec([None], tf.int32, name=name) for name in names]


class _Serving(tf.Module):  # type: ignore[misc]
    def __init__(self, network: WideAndDeep) -> None:
        super().__init__()
        kernel, hidden_bias = (np.asarray(variable) for variable in network.hidden.weights)
        wide = [np.asarray(table * scale) for table, scale in zip(network.wide, network.scales, strict=True)]
        deep = np.asarray(network.embedding) @ kernel
        deep[-1] = 0.0  # explanations start from a text without words, which has no share of the hidden layer
        tables = [_quantise(deep, np.int8)]
        tables += [_quantise(table, np.int16) for table in wide]
        self.table_bytes = sum(integers.nbytes for integers, _ in tables)
        self.deep_table, self.unigram_table, self.bigram_table = (
            (tf.constant(integers), tf.constant(scales)) for integers, scales in tables
        )
        self.hidden_bias = tf.constant(hidden_bias)
        self.output = tf.constant(np.asarray(network.deep.weights[0]))
        self.bias = tf.constant(np.asarray(network.bias))

    @tf.function(input_signature=_ids(_INPUTS))  # type: ignore[untyped-decorator]
    def predict(
        self,
        unigrams: tf.Tensor,
        unigram_rows: tf.Tensor,
        bigrams: tf.Tensor,
        bigram_rows: tf.Tensor,
        tokens: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """Return the `logits` [n, K] of a block of texts."""
        count = tf.maximum(tf.cast(tokens, tf.float32), 1.0)[:, None]
        hidden = tf.nn.relu(_sum(self.deep_table, unigrams, unigram_rows) / count + self.hidden_bias)
        wide = _sum(self.unigram_table, unigrams, unigram_rows) + _sum(self.bigram_table, bigrams, bigram_rows)
        logits = (tf.matmul(hidden, self.output) + wide + self.bias) * length_scale(tokens)[:, None]
        return {"logits": tf.pad(logits, [[0, 0], [1, 0]])}

    @tf.function(input_signature=_ids(_EXPLAINED))  # type: ignore[untyped-decorator]
    def explain(self, unigrams: tf.Tensor, bigrams: tf.Tensor, tokens: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the terms of one text's logits, for candor.model.explain.

        The logits after the first are the sums of `unigrams` [u, K - 1] and of `bigrams` [b, K - 1], plus `bias`, plus
        relu(hidden_bias + sum of `hidden` [u, HIDDEN]) @ output.
        """
        count, scale = tf.maximum(tf.cast(tokens, tf.float32), 1.0), length_scale(tokens)
        return {
            "unigrams": _rows(self.unigram_table, unigrams) * scale,
            "bigrams": _rows(self.bigram_table, bigrams) * scale,
            "hidden": _rows(self.deep_table, unigrams) / count,
            "hidden_bias": self.hidden_bias,
            "output": self.output * scale,
            "bias": self.bias * scale,
        }


def _quantise(
    table: NDArray[np.floating], dtype: type[np.signedinteger]
) -> tuple[NDArray[np.signedinteger], NDArray[np.float32]]:
    """Return integers [V, C] and the scale of each column, float32 [C]: symmetric, rounded to nearest."""
    scales = np.maximum(np.abs(table).max(axis=0), 1e-12) / np.iinfo(dtype).max
    return np.rint(table / scales).astype(dtype), scales.astype(np.float32)


def _rows(table: tuple[tf.Tensor, tf.Tensor], ids: tf.Tensor) -> tf.Tensor:
    integers, scales = table
    return tf.cast(tf.gather(integers, ids), tf.float32) * scales


def _with_shared_tables(model: bytes) -> bytes:
    """Keep equal tables once: the converter writes a copy for each signature."""
    parsed = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    first: dict[bytes, int] = {}
    for index, buffer in enumerate(parsed.buffers):
        if buffer.data is not None and len(buffer.data):
            kept = first.setdefault(bytes(buffer.data), index)
            if kept != index:
                buffer.data = None
                _repoint(parsed, index, kept)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(parsed))


def _repoint(model: Any, old: int, new: int) -> None:
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            if tensor.buffer == old:
                tensor.buffer = new


def _sum(table: tuple[tf.Tensor, tf.Tensor], ids: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    integers, scales = table
    return tf.math.segment_sum(tf.cast(tf.gather(integers, ids), tf.float32), rows) * scales
