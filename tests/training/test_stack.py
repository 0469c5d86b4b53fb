"""Scalars that turn scores into calibrated logits."""

import numpy as np
import pytest

from training.stack import _BOUNDS, fit_intercept, fit_scalars, full_logits, log_loss, log_softmax


def drawn(n, n_labels, temperature, seed=1):
    """Return scores [n, C] that are the true logits times the temperature, and labels drawn from the true ones."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (n, 1 if n_labels == 2 else n_labels))
    probabilities = np.exp(log_softmax(logits))
    targets = (random.random(n)[:, None] > probabilities.cumsum(axis=1)).sum(axis=1)
    return temperature * logits, targets


@pytest.mark.parametrize("n_labels", [2, 5])
@pytest.mark.parametrize("temperature", [0.05, 1.0, 20.0])
def test_fit_scalars_find_known_temperature(temperature, n_labels):
    """Scores that are too sure or too unsure are brought back to the logits that the labels were drawn from."""
    scores, targets = drawn(5000, n_labels, temperature)
    found = float(fit_scalars([scores], targets)[0])
    assert found * temperature == pytest.approx(1, rel=0.1)
    assert log_loss(found * scores, targets) <= log_loss(scores / temperature, targets) + 1e-4


def test_fit_scalars_leave_out_noise():
    """A model that says nothing gets next to no weight beside one that is right."""
    scores, targets = drawn(5000, 3, 1.0)
    noise = np.random.default_rng(9).normal(size=scores.shape)
    found = fit_scalars([noise, scores], targets)
    assert found[0] < 0.1 < 0.8 < found[1] < 1.1


def test_fit_scalars_prior_matters_for_few_texts_only():
    """The prior pulls towards 1 where 16 texts say little, and does nothing beside 5,000."""
    shares = {}
    for n in (16, 5000):
        scores, targets = drawn(n, 2, 0.25)
        grid = np.exp(np.linspace(-1, 4, 251))
        best = grid[np.argmin([log_loss(scalar * scores, targets) for scalar in grid])]
        shares[n] = float(fit_scalars([scores], targets)[0] / best)
    assert shares[16] < 0.75
    assert shares[5000] == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("n", [16, 300, 5000])
@pytest.mark.parametrize("n_models", [1, 4])
def test_fit_scalars_sit_on_no_bound(n_models, n):
    """Neither noise nor labels without a single error bring a scalar to a bound."""
    scores, targets = drawn(n, 2, 1.0)
    right = 3 * (2.0 * targets[:, None] - 1) + np.random.default_rng(2).normal(size=(n, 1))
    for kind in (right, np.random.default_rng(3).normal(size=(n, 1)), scores):
        logarithms = np.log(fit_scalars([kind + 0.01 * number for number in range(n_models)], targets))
        assert (logarithms > _BOUNDS[0] + 0.1).all()
        assert (logarithms < _BOUNDS[1] - 0.1).all()


def test_fit_scalars_start_from_mean_of_models():
    """Four equal models share the weight of one."""
    scores, targets = drawn(2000, 3, 1.0)
    found = fit_scalars([scores] * 4, targets)
    assert np.ptp(found) < 1e-6
    assert found.sum() == pytest.approx(float(fit_scalars([scores], targets)[0]), rel=0.01)


def test_log_loss_of_one_column_is_that_of_two():
    """A single column is the second label's logit; the first label's is 0."""
    logits = np.array([[2.0], [-1.0]])
    assert full_logits(logits).tolist() == [[0, 2], [0, -1]]
    expected = np.log1p(np.exp([-2.0, -1.0])).mean()
    assert log_loss(logits, np.array([1, 0])) == pytest.approx(expected)
    assert log_loss(full_logits(logits), np.array([1, 0])) == pytest.approx(expected)


@pytest.mark.parametrize("shift", [-0.4, 0.0, 0.4])
def test_fit_intercept_finds_what_was_taken(shift):
    """Arrays count alike, whatever their length: here a short one and a long one lean to opposite sides."""
    scores, targets = drawn(20_000, 2, 1.0)
    assert fit_intercept([scores - shift], [targets]) == pytest.approx(shift, abs=0.05)
    sides = [scores - shift, np.repeat(scores + shift, 3, axis=0)]
    assert fit_intercept(sides, [targets, np.repeat(targets, 3)]) == pytest.approx(0, abs=0.05)


def test_fit_intercept_has_a_bound():
    assert fit_intercept([np.zeros((3, 1))], [np.ones(3, int)]) == pytest.approx(1)
