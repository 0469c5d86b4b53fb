"""Loss, optimiser and iterations: a teacher learns from labels, a student from labels and the teacher's guesses.

Self-training: where a source has texts without labels (IMDB has 50,000), the teacher labels them, its probabilities
sharpened, and the student learns from both (Scudder 1965; Xie et al. 2020). It learns mostly from the guesses, so that
the model that ships tells little of whose labels it saw (Shejwalkar and Houmansadr 2021, "Membership Privacy for
Machine Learning Models Through Knowledge Transfer").
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tqdm import tqdm

from candor.classifier import model_inputs, softmax
from candor.features import Featuriser
from training.corpus import Corpus
from training.model import Priors, WideAndDeep, priors

Floats = NDArray[np.float64]
History = list[dict[str, float]]


@dataclass(frozen=True)
class Recipe:
    """What was chosen on validation data; EXPERIMENTS.md says how."""

    width: int = 16
    batch: int = 256
    teacher_epochs: int = 1
    student_epochs: int = 1
    wide_rate: float = 0.02
    student_rate: float = 0.005
    deep_rate: float = 0.001
    wide_penalty: float = 2e-4
    student_penalty: float = 1e-4
    deep_penalty: float = 1e-5
    sharpness: float = 3.0
    guess_weight: float = 0.7
    label_weight: float = 0.15
    """Of a text with a label in the student's eyes, where there are guesses: what is known of few is told of none."""
    least_texts: int = 30
    """That a feature stands in; fewer where there are fewer than 10,000 texts."""

    def to_dict(self) -> dict[str, float]:
        return asdict(self)


@dataclass(frozen=True)
class Labelled:
    """Texts and the weight of each label for each of them, [n, K]: rows sum to the text's own weight."""

    corpus: Corpus
    weights: Floats


def learn(
    training: Labelled,
    unlabelled: Corpus | None,
    validation: Labelled,
    featuriser: Featuriser,
    recipe: Recipe,
    seed: int,
) -> tuple[WideAndDeep, History]:
    """The trained model and a row an epoch of losses (nats) and accuracies."""
    network = WideAndDeep(featuriser, _priors(training, featuriser, recipe), recipe.width, seed)
    rates = recipe.wide_rate, recipe.deep_rate
    penalties = recipe.wide_penalty, recipe.deep_penalty
    history = _iterate(network, training, validation, recipe, recipe.teacher_epochs, rates, penalties, seed, [])
    if unlabelled is None:
        return network, history
    guesses = softmax(recipe.sharpness * logits(network, unlabelled, featuriser)) * recipe.guess_weight
    weights = np.concatenate([training.weights * recipe.label_weight, guesses])
    both = Labelled(training.corpus + unlabelled, weights)
    student = WideAndDeep(featuriser, _priors(both, featuriser, recipe), recipe.width, seed)
    rates = recipe.student_rate, recipe.deep_rate
    penalties = recipe.student_penalty, recipe.deep_penalty
    return student, _iterate(student, both, validation, recipe, recipe.student_epochs, rates, penalties, seed, history)


def _priors(data: Labelled, featuriser: Featuriser, recipe: Recipe) -> Priors:
    least = min(recipe.least_texts, max(1, len(data.corpus) // 1000))
    return priors(data.corpus, data.weights, featuriser, least)


def _iterate(
    network: WideAndDeep,
    data: Labelled,
    validation: Labelled,
    recipe: Recipe,
    epochs: int,
    rates: tuple[float, float],
    penalties: tuple[float, float],
    seed: int,
    history: History,
) -> History:
    step = _step(network, rates, penalties)
    random = np.random.default_rng(seed)
    for _ in range(epochs):
        order = random.permutation(len(data.corpus))
        batches = np.split(order, range(recipe.batch, len(order), recipe.batch))
        losses, right = [], 0.0
        for batch in tqdm(batches, desc=f"epoch {len(history) + 1}", unit="batch", leave=False, disable=None):
            inputs = model_inputs(data.corpus.take(batch), network.featuriser)
            loss, hits = step(inputs, tf.constant(data.weights[batch], tf.float32))
            losses.append(float(loss))
            right += float(hits)
        history.append(
            _epoch(len(history) + 1, network, validation, float(np.mean(losses)), right / data.weights.sum())
        )
    return history


def _epoch(number: int, network: WideAndDeep, validation: Labelled, loss: float, accuracy: float) -> dict[str, float]:
    probabilities = softmax(logits(network, validation.corpus, network.featuriser))
    targets = validation.weights.argmax(axis=1)
    surprise = -np.log(np.maximum(probabilities[np.arange(len(targets)), targets], 1e-12))
    return {
        "epoch": number,
        "loss": loss,
        "accuracy": float(accuracy),
        "val_loss": float(surprise.mean()),
        "val_accuracy": float((probabilities.argmax(axis=1) == targets).mean()),
    }


def _step(network: WideAndDeep, rates: tuple[float, float], penalties: tuple[float, float]) -> Callable[..., Any]:
    wide = [*network.wide, network.bias]
    deep = [network.embedding, *network.hidden.trainable_variables, *network.deep.trainable_variables]
    optimisers = [(keras.optimizers.Adam(rate), variables) for rate, variables in zip(rates, (wide, deep), strict=True)]
    for optimiser, variables in optimisers:
        optimiser.build(variables)

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def step(inputs: dict[str, tf.Tensor], weights: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            outputs = network(inputs, training=True)
            loss = -tf.reduce_sum(weights * tf.nn.log_softmax(outputs)) / tf.reduce_sum(weights)
            objective = loss + network.penalty(*penalties)
        gradients = tape.gradient(objective, [variable.value for variable in wide + deep])
        for optimiser, variables in optimisers:
            own, gradients = gradients[: len(variables)], gradients[len(variables) :]
            optimiser.apply_gradients(zip(own, variables, strict=True))
        hits = tf.equal(tf.argmax(outputs, axis=1), tf.argmax(weights, axis=1))
        return loss, tf.reduce_sum(tf.reduce_sum(weights, axis=1) * tf.cast(hits, tf.float32))

    return step  # type: ignore[no-any-return]


def logits(network: WideAndDeep, corpus: Corpus, featuriser: Featuriser) -> NDArray[np.float32]:
    """Logits [n, K] of the Keras model."""
    blocks = np.split(np.arange(len(corpus)), range(1024, len(corpus), 1024))
    return np.concatenate([_forward(network, model_inputs(corpus.take(block), featuriser)) for block in blocks])


def _forward(network: WideAndDeep, inputs: dict[str, NDArray[np.int32]]) -> NDArray[np.float32]:
    return network({name: tf.constant(value) for name, value in inputs.items()}).numpy()  # type: ignore[no-any-return]


def temperature(outputs: NDArray[np.floating], targets: NDArray[np.int64]) -> float:
    """What to divide logits [n, K] by for the least log loss on targets [n]: temperature scaling, Guo et al. 2017.

    A search from 1/2 to 4, in steps of 1 %: no few validation texts can make a model look certain.
    """
    candidates = np.geomspace(0.5, 4, 210)
    rows = np.arange(len(targets))
    losses = [-np.log(softmax(outputs / candidate)[rows, targets] + 1e-12).mean() for candidate in candidates]
    return float(candidates[int(np.argmin(losses))])
