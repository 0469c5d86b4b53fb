"""The network: the article's, kept and widened.

Deep: embedding → mean over tokens → Dense 16 ReLU → output, the article's layers. Wide: one weight a unigram and a
bigram and label, added before the output (Cheng et al. 2016, "Wide & Deep Learning for Recommender Systems").

A wide weight is a learned factor times a fixed naive-Bayes log-count ratio, so that L2 on the factors keeps each
weight near what its count supports (Wang and Manning 2012, "Baselines and Bigrams"). The ratio is damped where a
feature is often repeated within a text: repetition of "the" says little (EXPERIMENTS.md has the figures).

Labels are coded against the first one, whose logit is always 0: K labels cost K - 1 weights a feature.
"""

from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from candor.features import Featuriser
from training.corpus import Corpus

SMOOTHING = 3.0  # pseudo-counts of the log-count ratio
DAMPING = 3.0  # power of documents / occurrences
HIDDEN = 16


@dataclass(frozen=True)
class Priors:
    """Fixed scales of the wide weights, float32: unigrams [2**unigram_bits, K - 1], bigrams likewise."""

    unigrams: NDArray[np.float32]
    bigrams: NDArray[np.float32]


def priors(corpus: Corpus, weights: NDArray[np.float64], featuriser: Featuriser, least: int = 1) -> Priors:
    """Log-count ratios from texts and their weight for each label, [n, K]: one-hot, or soft, or scaled.

    What stands in fewer than `least` texts counts nothing, so that no few people's own words are in the model.
    """
    groups = [(corpus.unigrams, 1 << featuriser.unigram_bits), (corpus.bigrams, 1 << featuriser.bigram_bits)]
    counts = [ragged.document_counts(weights, size) for ragged, size in groups]
    totals = sum((count + SMOOTHING).sum(axis=0) for count in counts)
    found = weights.sum(axis=1)
    scales = []
    for (ragged, size), count in zip(groups, counts, strict=True):
        logs = np.log((count + SMOOTHING) / totals)
        repeated = np.bincount(ragged.ids, np.repeat(found, np.diff(ragged.bounds)), size)
        documents = count.sum(axis=1)
        damping = np.divide(documents, repeated, out=np.zeros(size), where=repeated > 0) ** DAMPING
        damping *= ragged.texts_with(size) >= least
        scales.append(((logs[:, 1:] - logs[:, :1]) * damping[:, None]).astype(np.float32))
    return Priors(*scales)


class WideAndDeep(keras.Model):  # type: ignore[misc]
    """From the inputs of the `predict` signature, as candor.classifier.model_inputs makes them, to logits [n, K]."""

    def __init__(self, featuriser: Featuriser, scales: Priors, width: int, seed: int) -> None:
        super().__init__()
        self.featuriser = featuriser
        outputs = scales.unigrams.shape[1]
        # A last row for the id that stands for no feature.
        sizes = (1 << featuriser.unigram_bits) + 1, (1 << featuriser.bigram_bits) + 1
        self.scales = [tf.constant(np.pad(scale, ((0, 1), (0, 0)))) for scale in (scales.unigrams, scales.bigrams)]
        self.wide = [self.add_weight(shape=(size, outputs), initializer="zeros", name=f"wide_{size}") for size in sizes]
        self.bias = self.add_weight(shape=(outputs,), initializer="zeros", name="bias")
        uniform = keras.initializers.RandomUniform(-0.05, 0.05, seed=seed)
        self.embedding = self.add_weight(shape=(sizes[0], width), initializer=uniform, name="embedding")
        self.embedding.assign(np.concatenate([self.embedding[:-1], np.zeros((1, width), np.float32)]))
        self.dropout = keras.layers.Dropout(0.5, seed=seed)
        normal = keras.initializers.HeNormal(seed=seed)
        self.hidden = keras.layers.Dense(HIDDEN, activation="relu", kernel_initializer=normal)
        self.deep = keras.layers.Dense(outputs, use_bias=False, kernel_initializer=normal)
        self.hidden.build((None, width))
        self.deep.build((None, HIDDEN))
        self.built = True

    def call(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        rows = tf.shape(inputs["tokens"])[0]
        unigrams = _indicator(inputs["unigrams"], inputs["unigram_rows"], rows, self.wide[0].shape[0])
        bigrams = _indicator(inputs["bigrams"], inputs["bigram_rows"], rows, self.wide[1].shape[0])
        product = tf.sparse.sparse_dense_matmul
        tokens = tf.maximum(tf.cast(inputs["tokens"], tf.float32), 1.0)[:, None]
        mean = product(unigrams, self.embedding) / tokens
        deep = self.deep(self.hidden(self.dropout(mean, training=training)))
        wide = product(unigrams, self.scales[0] * self.wide[0]) + product(bigrams, self.scales[1] * self.wide[1])
        return tf.pad((deep + wide + self.bias) * evidence(tokens), ((0, 0), (1, 0)))

    def cool(self, temperature: float) -> None:
        """Divides all logits by a temperature, in the weights, so that serving knows nothing of it."""
        for weight in (*self.wide, self.bias, *self.deep.weights):
            weight.assign(weight / temperature)

    def penalty(self, wide: float, deep: float) -> tf.Tensor:
        """L2 on the wide factors and on the embedding."""
        squares = [tf.reduce_sum(tf.square(weight)) for weight in (*self.wide, self.embedding)]
        return wide * (squares[0] + squares[1]) + deep * squares[2]


def evidence(tokens: tf.Tensor) -> tf.Tensor:
    """What to multiply a logit by for so many tokens: words of a text repeat each other, so n say as much as √n would.

    Without this the probabilities of long texts are too sure, and of short ones not sure enough. Texts under 64 tokens,
    of which IMDB has too few to learn from, are treated as if they had so many.
    """
    return tf.sqrt(200.0 / tf.maximum(tf.cast(tokens, tf.float32), 64.0))


def _indicator(ids: tf.Tensor, rows: tf.Tensor, height: tf.Tensor, width: int) -> tf.SparseTensor:
    indices = tf.cast(tf.stack([rows, ids], axis=1), tf.int64)
    shape = tf.stack([tf.cast(height, tf.int64), tf.constant(width, tf.int64)])
    return tf.SparseTensor(indices, tf.ones_like(ids, tf.float32), shape)
