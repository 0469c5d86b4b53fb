"""The article's own network, trained beside ours so that each report shows what the widening buys.

A vocabulary of 10,000 words, 256 words a text, an embedding of 16, their mean, Dense 16 ReLU, output.
"""

from collections.abc import Sequence

import keras
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from training.fit import Floats, History

VOCABULARY, LENGTH, WIDTH, BATCH = 10_000, 256, 16, 512
EPOCHS, PATIENCE = 40, 3


class Baseline:
    def __init__(self, texts: Sequence[str], labels: int) -> None:
        """Learns the vocabulary from the training texts."""
        self._ids = keras.layers.TextVectorization(VOCABULARY, output_sequence_length=LENGTH)
        self._ids.adapt(_encodable(texts), batch_size=BATCH)
        self._network = keras.Sequential(
            [
                keras.layers.Embedding(VOCABULARY, WIDTH),
                keras.layers.GlobalAveragePooling1D(),
                keras.layers.Dense(16, activation="relu"),
                keras.layers.Dense(labels, activation="softmax"),
            ]
        )
        self._network.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])

    def fit(
        self, training: tuple[Sequence[str], NDArray[np.int64]], validation: tuple[Sequence[str], NDArray[np.int64]]
    ) -> History:
        """Trains until the validation loss has not fallen for three epochs, and keeps the best. A row an epoch."""
        (texts, targets), (held_texts, held_targets) = training, validation
        history = self._network.fit(
            self._vectorise(texts),
            targets,
            validation_data=(self._vectorise(held_texts), held_targets),
            batch_size=BATCH,
            epochs=EPOCHS,
            verbose=0,
            callbacks=[keras.callbacks.EarlyStopping(patience=PATIENCE, restore_best_weights=True), _Progress()],
        ).history
        return [
            {"epoch": epoch + 1, **{name: float(values[epoch]) for name, values in history.items()}}
            for epoch in range(len(history["loss"]))
        ]

    def probabilities(self, texts: Sequence[str]) -> Floats:
        """Probabilities [n, K]."""
        found = self._network.predict(self._vectorise(texts), batch_size=BATCH, verbose=0).astype(np.float64)
        return found / found.sum(axis=1, keepdims=True)  # type: ignore[no-any-return]

    def _vectorise(self, texts: Sequence[str]) -> NDArray[np.int64]:
        encoded = _encodable(texts)
        return np.concatenate([self._ids(encoded[start : start + BATCH]) for start in range(0, len(encoded), BATCH)])


class _Progress(keras.callbacks.Callback):  # type: ignore[misc]
    def on_train_begin(self, logs: object = None) -> None:
        self.bar = tqdm(total=EPOCHS, desc="the article's network", unit="epoch", leave=False, disable=None)

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        self.bar.update()

    def on_train_end(self, logs: object = None) -> None:
        self.bar.close()


def _encodable(texts: Sequence[str]) -> list[str]:
    """TensorFlow's strings are UTF-8, which has no lone surrogates."""
    return [text.replace("<br />", " ").encode("utf-8", "replace").decode() for text in texts]
