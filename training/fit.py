"""Loss, optimiser and epochs: a teacher learns from labels, a student from labels and the teacher's pseudo-labels.

Self-training: where a source has unlabelled texts (IMDB has 50,000), the teacher labels them with its sharpened
probabilities, and the student learns from both (Scudder 1965; Xie et al. 2020). It learns mostly from pseudo-labels, so
that the model that ships reveals little about whose labels it saw (Shejwalkar and Houmansadr 2021, "Membership Privacy
for Machine Learning Models Through Knowledge Transfer").

Shapes: n texts, K labels.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tqdm import tqdm

from candor.model.classifier import model_inputs, softmax
from candor.text.features import Featuriser

from .corpus import Corpus
from .model import LogCountRatios, WideAndDeep, log_count_ratios

Floats = NDArray[np.float64]
Epoch = dict[str, float]
"""An epoch's "epoch" from 1, "loss" and "val_loss" in nats, "accuracy" and "val_accuracy" from 0 to 1."""
History = list[Epoch]

_BLOCK = 1024  # texts a forward pass


@dataclass(frozen=True)
class Phase:
    """The settings in which teacher and student differ."""

    epochs: int
    learning_rates: tuple[float, float]
    """Of the wide and of the deep part."""
    l2: tuple[float, float]
    """Penalty on squared weights of the wide and of the deep part."""


@dataclass(frozen=True)
class TrainingConfig:
    """Hyperparameters. They were chosen on validation data; EXPERIMENTS.md says how."""

    embedding_dim: int = 16
    batch_size: int = 256
    teacher_epochs: int = 1
    student_epochs: int = 1
    wide_learning_rate: float = 0.02
    student_learning_rate: float = 0.005
    """Of the student's wide part."""
    deep_learning_rate: float = 0.001
    wide_l2: float = 2e-4
    student_l2: float = 1e-4
    """On the student's wide part."""
    deep_l2: float = 1e-5
    pseudo_label_temperature: float = 1 / 3
    """Divides the teacher's logits: below 1 it sharpens the probabilities."""
    pseudo_label_weight: float = 0.7
    """Loss weight of a pseudo-labelled text."""
    label_weight: float = 0.15
    """Loss weight of a labelled text in the student's training. Low, to limit membership inference."""
    min_df: int = 30
    """Minimum document frequency of a feature; lower for fewer than 30,000 texts: one in a thousand."""

    @property
    def teacher(self) -> Phase:
        """The teacher's settings."""
        return Phase(
            self.teacher_epochs, (self.wide_learning_rate, self.deep_learning_rate), (self.wide_l2, self.deep_l2)
        )

    @property
    def student(self) -> Phase:
        """The student's settings."""
        return Phase(
            self.student_epochs, (self.student_learning_rate, self.deep_learning_rate), (self.student_l2, self.deep_l2)
        )

    def to_dict(self) -> dict[str, float]:
        """Return the settings by their names in model.json ("recipe"), which stay the same in every version."""
        return {
            "width": self.embedding_dim,
            "batch": self.batch_size,
            "teacher_epochs": self.teacher_epochs,
            "student_epochs": self.student_epochs,
            "wide_rate": self.wide_learning_rate,
            "student_rate": self.student_learning_rate,
            "deep_rate": self.deep_learning_rate,
            "wide_penalty": self.wide_l2,
            "student_penalty": self.student_l2,
            "deep_penalty": self.deep_l2,
            "sharpness": 1 / self.pseudo_label_temperature,
            "guess_weight": self.pseudo_label_weight,
            "label_weight": self.label_weight,
            "least_texts": self.min_df,
        }


@dataclass(frozen=True)
class LabelledCorpus:
    """The features of n texts and their soft labels."""

    corpus: Corpus
    weights: Floats
    """[n, K] weight of each label for each text. A row's sum is the text's loss weight."""


def train_model(
    training: LabelledCorpus,
    unlabelled: Corpus | None,
    validation: LabelledCorpus,
    featuriser: Featuriser,
    config: TrainingConfig,
    seed: int,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> tuple[WideAndDeep, History]:
    """Train a teacher and, if there are unlabelled texts, a student.

    Args:
        training: Texts to learn from.
        unlabelled: Texts for pseudo-labels.
        validation: Held-out texts, evaluated after each epoch.
        featuriser: The featuriser that made all features.
        config: Hyperparameters.
        seed: Seed of the initial weights and of the order of texts.
        on_epoch: Called with each epoch's losses and accuracies.

    Returns:
        The student, or the teacher if there is no student; and all epochs of both.
    """
    history: History = []

    def train(network: WideAndDeep, texts: LabelledCorpus, phase: Phase) -> None:
        for epoch in _epochs(network, texts, validation, config.batch_size, phase, seed, len(history)):
            history.append(epoch)
            on_epoch(epoch)

    teacher = WideAndDeep(featuriser, _ratios(training, featuriser, config), config.embedding_dim, seed)
    train(teacher, training, config.teacher)
    if unlabelled is None:
        return teacher, history
    sharpness = 1 / config.pseudo_label_temperature
    pseudo_labels = softmax(sharpness * predict_logits(teacher, unlabelled, featuriser)) * config.pseudo_label_weight
    weights = np.concatenate([training.weights * config.label_weight, pseudo_labels])
    both = LabelledCorpus(training.corpus + unlabelled, weights)
    student = WideAndDeep(featuriser, _ratios(both, featuriser, config), config.embedding_dim, seed)
    train(student, both, config.student)
    return student, history


def _ratios(data: LabelledCorpus, featuriser: Featuriser, config: TrainingConfig) -> LogCountRatios:
    min_df = min(config.min_df, max(1, len(data.corpus) // 1000))
    return log_count_ratios(data.corpus, data.weights, featuriser, min_df)


def _epochs(
    network: WideAndDeep,
    data: LabelledCorpus,
    validation: LabelledCorpus,
    batch_size: int,
    phase: Phase,
    seed: int,
    n_before: int,
) -> Iterator[Epoch]:
    """Train, and yield each epoch's losses and accuracies."""
    step = _training_step(network, phase)
    random = np.random.default_rng(seed)
    for number in range(n_before + 1, n_before + 1 + phase.epochs):
        order = random.permutation(len(data.corpus))
        batches = np.split(order, range(batch_size, len(order), batch_size))
        losses, n_correct = [], 0.0
        for batch in tqdm(batches, desc=f"epoch {number}", unit="batch", leave=False, disable=None):
            inputs = model_inputs(data.corpus.take(batch), network.featuriser)
            loss, batch_correct = step(inputs, tf.constant(data.weights[batch], tf.float32))
            losses.append(float(loss))
            n_correct += float(batch_correct)
        yield {
            "epoch": number,
            "loss": float(np.mean(losses)),
            "accuracy": float(n_correct / data.weights.sum()),
            **_validate(network, validation),
        }


def _validate(network: WideAndDeep, validation: LabelledCorpus) -> dict[str, float]:
    probabilities = softmax(predict_logits(network, validation.corpus, network.featuriser))
    targets = validation.weights.argmax(axis=1)
    nll = -np.log(np.maximum(probabilities[np.arange(len(targets)), targets], 1e-12))
    return {
        "val_loss": float(nll.mean()),
        "val_accuracy": float((probabilities.argmax(axis=1) == targets).mean()),
    }


def _training_step(network: WideAndDeep, phase: Phase) -> Callable[..., Any]:
    """Return a function that trains on one batch.

    It takes the model's inputs and the weights [n, K]. It returns the loss, and the summed weight of correct texts.
    """
    wide = [*network.wide, network.bias]
    deep = [network.embedding, *network.hidden.trainable_variables, *network.deep.trainable_variables]
    optimisers = [
        (keras.optimizers.Adam(rate), variables)
        for rate, variables in zip(phase.learning_rates, (wide, deep), strict=True)
    ]
    for optimiser, variables in optimisers:
        optimiser.build(variables)

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def step(inputs: dict[str, tf.Tensor], weights: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            outputs = network(inputs, training=True)
            loss = -tf.reduce_sum(weights * tf.nn.log_softmax(outputs)) / tf.reduce_sum(weights)
            objective = loss + network.l2_penalty(*phase.l2)
        gradients = tape.gradient(objective, [variable.value for variable in wide + deep])
        for optimiser, variables in optimisers:
            own, gradients = gradients[: len(variables)], gradients[len(variables) :]
            optimiser.apply_gradients(zip(own, variables, strict=True))
        correct = tf.equal(tf.argmax(outputs, axis=1), tf.argmax(weights, axis=1))
        return loss, tf.reduce_sum(tf.reduce_sum(weights, axis=1) * tf.cast(correct, tf.float32))

    return step  # type: ignore[no-any-return]


def predict_logits(network: WideAndDeep, corpus: Corpus, featuriser: Featuriser) -> NDArray[np.float32]:
    """Return the Keras model's logits [n, K] for the n texts of a corpus."""
    blocks = np.split(np.arange(len(corpus)), range(_BLOCK, len(corpus), _BLOCK))
    return np.concatenate([_forward(network, model_inputs(corpus.take(block), featuriser)) for block in blocks])


def _forward(network: WideAndDeep, inputs: dict[str, NDArray[np.int32]]) -> NDArray[np.float32]:
    return network({name: tf.constant(value) for name, value in inputs.items()}).numpy()  # type: ignore[no-any-return]


def fit_temperature(logits: NDArray[np.floating], targets: NDArray[np.int64]) -> float:
    """Return the temperature that gives the lowest log loss: temperature scaling, Guo et al. 2017.

    The search covers 0.5 to 4 in steps of 1 %, so that a few validation texts cannot make a model look certain.

    Args:
        logits: [n, K] logits, which are divided by the temperature.
        targets: [n] label indices.

    Example:
        >>> fit_temperature(np.array([[0.0, 8.0], [0.0, 8.0]]), np.array([1, 0]))
        4.0
    """
    temperatures = np.geomspace(0.5, 4, 210)
    rows = np.arange(len(targets))
    losses = [-np.log(softmax(logits / temperature)[rows, targets] + 1e-12).mean() for temperature in temperatures]
    return float(temperatures[int(np.argmin(losses))])
