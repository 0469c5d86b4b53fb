"""One convex fit, compared with scikit-learn's."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from training import solvers
from training.solvers import Inputs, fit, log_count_ratios


@pytest.fixture(autouse=True)
def to_the_end(monkeypatch):
    """Search until nothing falls any more, so that tests tell what is minimised, not when the search ends."""
    monkeypatch.setattr(solvers, "_TOLERANCE", 1e-6)


def problem(n_labels, n=120, n_features=12):
    """Return counts, sums and labels that both say something of."""
    random = np.random.default_rng(n_labels)
    targets = random.integers(0, n_labels, n)
    means = random.normal(size=(n_labels, n_features + 3))
    values = means[targets] + 1.5 * random.normal(size=(n, n_features + 3))
    counts = np.maximum(values[:, :n_features], 0).astype(np.float32)
    return Inputs(sparse.csr_matrix(counts), values[:, n_features:].astype(np.float32)), targets


def probabilities(scores):
    full = np.pad(scores, ((0, 0), (1, 0))) if scores.shape[1] == 1 else scores
    exponentials = np.exp(full - full.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("n_labels", [2, 3])
@pytest.mark.parametrize("c", [0.1, 3.0])
def test_fit_agrees_with_scikit_learn(c, n_labels):
    """The same objective, counts and sums side by side, with a bias that no penalty holds."""
    inputs, targets = problem(n_labels)
    linear = fit(inputs, np.eye(n_labels)[targets], c)
    dense = np.hstack([inputs.counts.toarray(), inputs.sums])
    reference = LogisticRegression(C=c, tol=1e-8, max_iter=5000).fit(dense, targets)
    assert linear.weights.shape == (15, 1 if n_labels == 2 else n_labels)
    found = probabilities(inputs.scores(linear))
    assert np.abs(found - reference.predict_proba(dense)).max() < 0.01


def test_fit_larger_c_trusts_texts_more():
    inputs, targets = problem(3)
    norms = [np.linalg.norm(fit(inputs, np.eye(3)[targets], c).weights) for c in (0.01, 0.1, 1)]
    assert norms == sorted(norms)
    assert norms[2] > 2 * norms[0]


@pytest.mark.parametrize("n_labels", [2, 3])
def test_fit_soft_target_equals_weighted_rows(n_labels):
    """A guess that is spread over labels is worth a row for each label, weighted by its part."""
    inputs, targets = problem(n_labels, n=40)
    soft = 0.7 * np.eye(n_labels)[targets] + 0.3 * np.eye(n_labels)[(targets + 1) % n_labels]
    rows, labels = np.nonzero(soft)
    split = Inputs(inputs.counts[rows], inputs.sums[rows])
    one, many = fit(inputs, soft, 1.0), fit(split, np.eye(n_labels)[labels] * soft[rows, labels][:, None], 1.0)
    assert np.abs(one.weights - many.weights).max() < 0.01
    hard = fit(inputs, np.eye(n_labels)[targets], 1.0)
    assert np.abs(one.weights - hard.weights).max() > 0.05


def test_fit_same_texts_give_same_bits():
    inputs, targets = problem(3)
    ratios = log_count_ratios(inputs.counts, np.eye(3)[targets])
    found = [fit(inputs, np.eye(3)[targets], 1.0, ratios) for _ in range(2)]
    assert found[0].weights.tobytes() == found[1].weights.tobytes()
    assert found[0].bias.tobytes() == found[1].bias.tobytes()
    assert found[0].weights.tobytes() != fit(inputs, np.eye(3)[targets], 1.1, ratios).weights.tobytes()


@pytest.mark.parametrize("n_labels", [2, 3])
def test_fit_with_ratios_is_fit_of_scaled_counts(n_labels):
    """Factors of features go into the weights, so that scores need no factors."""
    inputs, targets = problem(n_labels)
    factors = np.repeat(np.linspace(0.2, 2, 12)[:, None], 1 if n_labels == 2 else n_labels, axis=1)
    linear = fit(inputs, np.eye(n_labels)[targets], 1.0, factors)
    scaled = Inputs((inputs.counts @ sparse.diags_array(factors[:, 0])).astype(np.float32).tocsr(), inputs.sums)
    reference = fit(scaled, np.eye(n_labels)[targets], 1.0)
    assert np.abs(inputs.scores(linear) - scaled.scores(reference)).max() < 0.01
    plain = fit(inputs, np.eye(n_labels)[targets], 1.0)
    assert np.abs(inputs.scores(linear) - inputs.scores(plain)).max() > 0.05


def test_log_count_ratios_sign_is_label_that_has_more():
    """Positive where the label has more of a feature than the others, and 0 where all have the same."""
    counts = sparse.csr_matrix(np.array([[4, 0, 1], [0, 4, 1], [0, 4, 1]], np.float32))
    two = log_count_ratios(counts, np.eye(2)[[0, 1, 1]])
    assert two.shape == (3, 1)
    assert two[0, 0] < -1 < 1 < two[1, 0]
    three = log_count_ratios(counts, np.eye(3)[[0, 1, 2]])
    assert (three[0] > 0).tolist() == [True, False, False]
    assert (three[1] > 0).tolist() == [False, True, True]
    assert np.abs(three[2]).max() < 0.01
    assert two[0, 0] == pytest.approx(np.log((0.05 / 10.15) / (4.05 / 5.15)))


@pytest.mark.parametrize("n_labels", [2, 3])
def test_objective_gradient_is_its_slope(n_labels):
    """Central differences along random directions give the gradient, with ratios and sums."""
    inputs, targets = problem(n_labels)
    ratios = log_count_ratios(inputs.counts, np.eye(n_labels)[targets]).astype(np.float32)
    one_hot = np.eye(n_labels, dtype=np.float32)[targets]
    objective, random = solvers._Objective(inputs, one_hot, 1.0, ratios), np.random.default_rng(0)
    point = random.normal(size=objective.factors.shape).astype(np.float32)
    for _ in range(5):
        step = 0.01 * random.normal(size=point.shape).astype(np.float32)
        difference = objective(point + step)[0] - objective(point - step)[0]
        assert difference == pytest.approx(2 * float((objective(point)[1] * step).sum()), rel=0.01, abs=0.005)


def test_fit_factors_take_half_the_steps():
    """Counts that differ a hundredfold in size take no more than half the evaluations with the factors as without."""
    inputs, targets = problem(3)
    sizes = sparse.diags_array(np.logspace(-1, 1, 12))
    inputs = Inputs((inputs.counts @ sizes).astype(np.float32).tocsr(), inputs.sums)
    evaluations = []
    for scaled in (True, False):
        objective = solvers._Objective(inputs, np.eye(3, dtype=np.float32)[targets], 10.0, None)
        if not scaled:
            objective.factors = np.ones_like(objective.factors)
            objective.penalty = np.ones_like(objective.penalty)
            objective.penalty[-1] = 0
        evaluations.append(count_evaluations(objective))
    assert evaluations[0] < evaluations[1] / 2


def count_evaluations(objective):
    points = []

    def counted(point):
        points.append(point)
        return objective(point)

    solvers.minimise(counted, np.zeros_like(objective.factors), 500, 1e-5)
    return len(points)
