"""Export an additive model: a table of the features it knows, and one TensorFlow Lite file that sums their weights.

A model is a sum over the features of a text:

    logits = bias + sum_f count_f * weights[f] / sqrt(max(sum_f count_f * q[f], floor))

The file holds integers with one scale a column, and sums integers, which is exact. So a text's logits do not depend on
the order of its features, nor on the texts beside it.
"""

import tempfile
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.lite.tools import flatbuffer_utils

from candor.model.classifier import MAX_FEATURES
from candor.text.table import Table

from .stack import full_logits

Floats = NDArray[np.float64]

SIGNATURES = ("explain", "predict")
_Q_LIMIT = (1 << 31) // MAX_FEATURES - 1  # so many times MAX_FEATURES still fit an int32
_LIMITS = {8: 127, 16: _Q_LIMIT}
_LOW = 256  # with 8 bits, q is a column of high bytes and one of low bytes


@dataclass(frozen=True, eq=False)
class Additive:
    """A trained model of K labels with R features. K' is the number of columns: K, or 1 for two labels."""

    hashes: NDArray[np.uint32]
    """[R] hash of each feature, all different"""
    weights: Floats
    """[R, K'] what a feature adds to each logit, before the scale of the text. For two labels, to the second's."""
    q: Floats
    """[R] what a feature adds to the squared norm of a text; not negative"""
    bias: Floats
    """[K'] logits of a text without known features"""
    floor: float
    """Least squared norm of a text, above 0."""

    def logits(self, ids: NDArray[np.integer], rows: NDArray[np.integer], texts: int) -> Floats:
        """Return the logits [n, K] of n texts: the definition, in double precision.

        Args:
            ids: [g] features, as rows of `weights`.
            rows: [g] text that each is in.
            texts: n.
        """
        sums = np.stack([np.bincount(rows, column[ids], texts) for column in self.weights.T], axis=1)
        norms = np.maximum(np.bincount(rows, self.q[ids], texts), self.floor)
        logits = sums / np.sqrt(norms)[:, None] + self.bias
        return full_logits(logits)

    @cached_property
    def table(self) -> Table:
        """The table of the hashes. Its row r is feature table.order[r]."""
        return Table.of(self.hashes)

    def in_table_order(self) -> "Additive":
        """Return the same model with its features in the order of the table, as they are served."""
        order = self.table.order
        return replace(self, hashes=self.hashes[order], weights=self.weights[order], q=self.q[order])

    def quantised(self, bits: int) -> "Additive":
        """Return the model that the exported integers hold.

        Args:
            bits: 8 or 16, of a weight.
        """
        (weights, scales), (q, q_scale) = _quantise(self.weights, _LIMITS[bits]), _quantise(self.q[:, None], _Q_LIMIT)
        exact = np.float64
        return replace(self, weights=weights * scales.astype(exact), q=(q * q_scale.astype(exact))[:, 0])

    def to_files(self, bits: int) -> dict[str, bytes]:
        """Return the bundle's features.bin and model.tflite.

        Args:
            bits: 8 or 16, of a weight.

        Raises:
            RuntimeError: The converter left weights or a signature out.
            ValueError: A hash is there twice, or there are too many.
        """
        return {"features.bin": self.table.to_bytes(), "model.tflite": _to_tflite(self.in_table_order(), bits)}


def _quantise(table: Floats, limit: int) -> tuple[Floats, NDArray[np.float32]]:
    """Return integers [R, C] within the limit and the scale of each column, float32 [C]: symmetric, to nearest."""
    scales = (np.maximum(np.abs(table).max(axis=0), 1e-12) / limit).astype(np.float32)
    return np.clip(np.rint(table / scales), -limit, limit), scales


def _integers(model: Additive, bits: int) -> tuple[NDArray[np.signedinteger], NDArray[np.float32], np.float32]:
    """Return the served table [R, C], the scale of each column of weights [K'], and that of q.

    The columns are those of the weights, then q: one column of 16 bits, or one of high and one of low bytes.
    """
    weights, scales = _quantise(model.weights, _LIMITS[bits])
    q, q_scale = _quantise(model.q[:, None], _Q_LIMIT)
    if bits == 16:
        return np.concatenate([weights, q], axis=1).astype(np.int16), scales, q_scale[0]
    low = (q + _LOW // 2) % _LOW - _LOW // 2
    return np.concatenate([weights, (q - low) // _LOW, low], axis=1).astype(np.int8), scales, q_scale[0]


def _to_tflite(model: Additive, bits: int) -> bytes:
    """Convert a model to a TensorFlow Lite flatbuffer with the signatures `predict` and `explain`."""
    module = _Serving(model, bits)
    with tempfile.TemporaryDirectory() as folder:
        signatures = {name: getattr(module, name) for name in SIGNATURES}
        tf.saved_model.save(module, folder, signatures=signatures)
        content = _with_shared_tables(
            tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(signatures)).convert()
        )
    if content.count(module.integers.tobytes()) != 1:
        raise RuntimeError("the converter did not keep the table of weights as it is, once")
    parsed = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    written = sorted(signature.signatureKey.decode() for signature in parsed.signatureDefs)
    if written != [*SIGNATURES]:
        raise RuntimeError(f"the converter wrote the signatures {', '.join(written)}")
    return content


class _Serving(tf.Module):  # type: ignore[misc]
    def __init__(self, model: Additive, bits: int) -> None:
        super().__init__()
        self.integers, scales, q_scale = _integers(model, bits)
        self.table = tf.constant(self.integers)
        # In units of an integer of q, so that the graph has one product less.
        self.scales, self.floor = tf.constant(scales / np.sqrt(q_scale)), tf.constant(model.floor / q_scale, tf.float32)
        self.bias = tf.constant(model.bias.astype(np.float32))
        self.columns = len(scales)

    @tf.function(  # type: ignore[untyped-decorator]
        input_signature=[
            tf.TensorSpec([None], tf.int32, name="ids"),
            tf.TensorSpec([None], tf.int32, name="rows"),
            tf.TensorSpec([], tf.int32, name="texts"),
        ]
    )
    def predict(self, ids: tf.Tensor, rows: tf.Tensor, texts: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the `logits` [n, K] of a block of texts."""
        integers = tf.cast(tf.gather(self.table, ids), tf.int32)
        sums = tf.cast(tf.math.unsorted_segment_sum(integers, rows, texts), tf.float32)
        return {"logits": self._padded(sums[:, : self.columns] * self._scale(sums) + self.bias)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32, name="ids")])  # type: ignore[untyped-decorator]
    def explain(self, ids: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return `terms` [g, K] and `bias` [K] of one text, for candor.model.explain: the logits are their sum."""
        integers = tf.cast(tf.gather(self.table, ids), tf.int32)
        scale = self._scale(tf.cast(tf.reduce_sum(integers, axis=0, keepdims=True), tf.float32))
        terms = tf.cast(integers[:, : self.columns], tf.float32) * scale
        return {"terms": self._padded(terms), "bias": self._padded(self.bias[None])[0]}

    def _scale(self, sums: tf.Tensor) -> tf.Tensor:
        """Return [n, K'] what an integer of a column adds to a logit of each text."""
        norms = sums[:, self.columns : self.columns + 1]
        if self.integers.dtype == np.int8:
            norms = norms * float(_LOW) + sums[:, self.columns + 1 :]
        return self.scales * tf.math.rsqrt(tf.maximum(norms, self.floor))

    def _padded(self, logits: tf.Tensor) -> tf.Tensor:
        return tf.pad(logits, [[0, 0], [1, 0]]) if self.columns == 1 else logits


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
