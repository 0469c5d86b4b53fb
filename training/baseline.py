"""Train the baseline of each report: the usual introductory network (embedding, mean, two Dense layers).

It has a vocabulary of 10,000 words, 256 words a text, an embedding of 16, their mean, Dense 16 ReLU and an output.
Where 99 of 100 texts are shorter than 256 words, they are padded to the longest of these 99 only: the mean is taken
over padding, too, and would say next to nothing of a text of ten words.
"""

import string
from collections.abc import Sequence

import keras
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

Floats = NDArray[np.float64]
History = list[dict[str, float]]
"""Each epoch's "epoch" from 1, "loss" and "val_loss" in nats, "accuracy" and "val_accuracy" from 0 to 1."""

VOCABULARY, LENGTH, EMBEDDING_DIM, BATCH_SIZE = 10_000, 256, 16, 512
_MARKS = dict.fromkeys(map(ord, string.punctuation), " ")  # what Keras strips
MAX_EPOCHS, PATIENCE = 40, 3
FITTING = 0.99
"""Share of the training texts that are read to their end, unless they are longer than LENGTH."""

Labelled = tuple[Sequence[str], NDArray[np.int64]]
"""n texts and their label indices [n]."""


class Baseline:
    """A network of embedding, mean and two Dense layers, with its vocabulary.

    Args:
        texts: Training texts, from which the vocabulary is learnt.
        n_labels: Number of labels, K.

    Raises:
        NoWordsError: No text has a word.
    """

    def __init__(self, texts: Sequence[str], n_labels: int) -> None:
        encodable = _encodable(texts)
        words = np.quantile([len(text.split()) for text in encodable], FITTING, method="higher")
        length = max(1, min(int(words), LENGTH))
        self._vectorizer = keras.layers.TextVectorization(VOCABULARY, output_sequence_length=length)
        if not any(each.translate(_MARKS).split() for each in encodable):
            raise NoWordsError
        self._vectorizer.adapt(encodable, batch_size=BATCH_SIZE)
        self._network = keras.Sequential(
            [
                keras.layers.Embedding(VOCABULARY, EMBEDDING_DIM),
                keras.layers.GlobalAveragePooling1D(),
                keras.layers.Dense(16, activation="relu"),
                keras.layers.Dense(n_labels, activation="softmax"),
            ]
        )
        self._network.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])

    def fit(self, training: Labelled, validation: Labelled) -> History:
        """Train until the validation loss has not fallen for three epochs, and keep the best epoch's weights.

        Returns:
            The losses and accuracies of all epochs.
        """
        (texts, targets), (held_out_texts, held_out_targets) = training, validation
        history = self._network.fit(
            self._vectorise(texts),
            targets,
            validation_data=(self._vectorise(held_out_texts), held_out_targets),
            batch_size=BATCH_SIZE,
            epochs=MAX_EPOCHS,
            verbose=0,
            callbacks=[keras.callbacks.EarlyStopping(patience=PATIENCE, restore_best_weights=True), _Progress()],
        ).history
        return [
            {"epoch": epoch + 1, **{name: float(values[epoch]) for name, values in history.items()}}
            for epoch in range(len(history["loss"]))
        ]

    def probabilities(self, texts: Sequence[str]) -> Floats:
        """Return probabilities [n, K] of n texts."""
        outputs = self._network.predict(self._vectorise(texts), batch_size=BATCH_SIZE, verbose=0).astype(np.float64)
        return outputs / outputs.sum(axis=1, keepdims=True)  # type: ignore[no-any-return]

    def _vectorise(self, texts: Sequence[str]) -> NDArray[np.int64]:
        encoded = _encodable(texts)
        starts = range(0, len(encoded), BATCH_SIZE)
        return np.concatenate([self._vectorizer(encoded[start : start + BATCH_SIZE]) for start in starts])


class NoWordsError(Exception):
    """No text has a word that the network could learn from: it leaves punctuation marks out."""


class _Progress(keras.callbacks.Callback):  # type: ignore[misc]
    def on_train_begin(self, logs: object = None) -> None:
        self.bar = tqdm(total=MAX_EPOCHS, desc="baseline", unit="epoch", leave=False, disable=None)

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        self.bar.update()

    def on_train_end(self, logs: object = None) -> None:
        self.bar.close()


def _encodable(texts: Sequence[str]) -> list[str]:
    """Return texts without lone surrogates, which TensorFlow's strings, UTF-8, cannot hold."""
    return [text.replace("<br />", " ").encode("utf-8", "replace").decode() for text in texts]
