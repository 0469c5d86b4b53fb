"""The network: a deep part, the usual introductory network for texts, and a wide part beside it.

Deep: embedding → mean over tokens → Dense 16 ReLU → output. Wide: one weight for each unigram, bigram and label, added
before the output (Cheng et al. 2016, "Wide & Deep Learning for Recommender Systems").

A wide weight is a learned factor times a fixed naive-Bayes log-count ratio, so that L2 on the factors keeps each
weight near what its count supports (Wang and Manning 2012, "Baselines and Bigrams"). The ratio is damped where a
feature is often repeated within a text: repetition of "the" says little (EXPERIMENTS.md has the figures).

Labels are coded against the first one, whose logit is always 0: K labels cost K - 1 weights for each feature.
"""

from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from candor.text.features import Featuriser

from .corpus import Corpus

SMOOTHING = 3.0
"""Pseudo-count of the log-count ratio."""
DAMPING = 3.0
"""Power of documents / occurrences."""
HIDDEN = 16
"""Units of the hidden layer."""
REFERENCE_TOKENS = 200.0
"""Length at which logits are neither scaled up nor down."""
MIN_TOKENS = 64.0
"""Shorter texts are scaled as if they had this length: IMDB has too few of them to learn from."""


@dataclass(frozen=True)
class LogCountRatios:
    """Fixed scales of the wide weights (NB-SVM), float32."""

    unigrams: NDArray[np.float32]
    """[2**unigram_bits, K - 1]"""
    bigrams: NDArray[np.float32]
    """[2**bigram_bits, K - 1]"""


def log_count_ratios(
    corpus: Corpus, weights: NDArray[np.float64], featuriser: Featuriser, min_df: int = 1
) -> LogCountRatios:
    """Compute the damped log-count ratio of each feature and label.

    Args:
        corpus: Features of n texts.
        weights: [n, K] weight of each label for each text: one-hot, soft or scaled.
        featuriser: The featuriser that made them.
        min_df: Features with a lower document frequency get 0, so that rare words cannot identify an author.
    """
    groups = [(corpus.unigrams, 1 << featuriser.unigram_bits), (corpus.bigrams, 1 << featuriser.bigram_bits)]
    counts = [ragged.document_counts(weights, size) for ragged, size in groups]
    totals = sum((count + SMOOTHING).sum(axis=0) for count in counts)
    text_weights = weights.sum(axis=1)
    ratios = []
    for (ragged, size), count in zip(groups, counts, strict=True):
        logs = np.log((count + SMOOTHING) / totals)
        occurrences = np.bincount(ragged.ids, np.repeat(text_weights, np.diff(ragged.bounds)), size)
        documents = count.sum(axis=1)
        damping = np.divide(documents, occurrences, out=np.zeros(size), where=occurrences > 0) ** DAMPING
        damping *= ragged.document_frequencies(size) >= min_df
        ratios.append(((logs[:, 1:] - logs[:, :1]) * damping[:, None]).astype(np.float32))
    return LogCountRatios(*ratios)


class WideAndDeep(keras.Model):  # type: ignore[misc]
    """Map the inputs of the `predict` signature (candor.model.classifier.model_inputs) to logits [n, K].

    Args:
        featuriser: The featuriser that makes the inputs.
        ratios: Scales of the wide weights.
        embedding_dim: Size of a token's embedding.
        seed: Seed of the initial weights and of dropout.
    """

    def __init__(self, featuriser: Featuriser, ratios: LogCountRatios, embedding_dim: int, seed: int) -> None:
        super().__init__()
        self.featuriser = featuriser
        outputs = ratios.unigrams.shape[1]
        # A last row for the id that stands for no feature.
        sizes = (1 << featuriser.unigram_bits) + 1, (1 << featuriser.bigram_bits) + 1
        self.scales = [tf.constant(np.pad(ratio, ((0, 1), (0, 0)))) for ratio in (ratios.unigrams, ratios.bigrams)]
        self.wide = [self.add_weight(shape=(size, outputs), initializer="zeros", name=f"wide_{size}") for size in sizes]
        self.bias = self.add_weight(shape=(outputs,), initializer="zeros", name="bias")
        uniform = keras.initializers.RandomUniform(-0.05, 0.05, seed=seed)
        self.embedding = self.add_weight(shape=(sizes[0], embedding_dim), initializer=uniform, name="embedding")
        self.embedding.assign(np.concatenate([self.embedding[:-1], np.zeros((1, embedding_dim), np.float32)]))
        self.dropout = keras.layers.Dropout(0.5, seed=seed)
        normal = keras.initializers.HeNormal(seed=seed)
        self.hidden = keras.layers.Dense(HIDDEN, activation="relu", kernel_initializer=normal)
        self.deep = keras.layers.Dense(outputs, use_bias=False, kernel_initializer=normal)
        self.hidden.build((None, embedding_dim))
        self.deep.build((None, HIDDEN))
        self.built = True

    def call(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Return logits [n, K]; with `training` some of the embedding's mean is dropped."""
        rows = tf.shape(inputs["tokens"])[0]
        unigrams = _indicator(inputs["unigrams"], inputs["unigram_rows"], rows, self.wide[0].shape[0])
        bigrams = _indicator(inputs["bigrams"], inputs["bigram_rows"], rows, self.wide[1].shape[0])
        product = tf.sparse.sparse_dense_matmul
        tokens = tf.maximum(tf.cast(inputs["tokens"], tf.float32), 1.0)[:, None]
        mean = product(unigrams, self.embedding) / tokens
        deep = self.deep(self.hidden(self.dropout(mean, training=training)))
        wide = product(unigrams, self.scales[0] * self.wide[0]) + product(bigrams, self.scales[1] * self.wide[1])
        return tf.pad((deep + wide + self.bias) * length_scale(tokens), ((0, 0), (1, 0)))

    def apply_temperature(self, temperature: float) -> None:
        """Divide all logits by a temperature, in the weights, so that serving needs no extra step."""
        for weight in (*self.wide, self.bias, *self.deep.weights):
            weight.assign(weight / temperature)

    def l2_penalty(self, wide: float, deep: float) -> tf.Tensor:
        """Return the L2 penalty on the wide factors and on the embedding, for one coefficient each."""
        squares = [tf.reduce_sum(tf.square(weight)) for weight in (*self.wide, self.embedding)]
        return wide * (squares[0] + squares[1]) + deep * squares[2]


def length_scale(tokens: tf.Tensor) -> tf.Tensor:
    """Return the factor of the logits of texts with so many tokens: √(200 / tokens).

    Words of a text repeat each other, so that n of them carry as much evidence as √n independent ones. Without the
    factor the probabilities of long texts are overconfident, and those of short texts underconfident.
    """
    return tf.sqrt(REFERENCE_TOKENS / tf.maximum(tf.cast(tokens, tf.float32), MIN_TOKENS))


def _indicator(ids: tf.Tensor, rows: tf.Tensor, height: tf.Tensor, width: int) -> tf.SparseTensor:
    """Return a sparse matrix [height, width] with a 1 for each id in its row."""
    indices = tf.cast(tf.stack([rows, ids], axis=1), tf.int64)
    shape = tf.stack([tf.cast(height, tf.int64), tf.constant(width, tf.int64)])
    return tf.SparseTensor(indices, tf.ones_like(ids, tf.float32), shape)
