"""Attack the model by membership inference: tell from its answers which texts it was trained on.

Two attacks, each given the true label: by the loss alone (Yeom et al. 2018, "Privacy Risk in Machine Learning"), and by
the loss less that of a reference model which has seen neither (Watson et al. 2022, "On the Importance of Difficulty
Calibration in Membership Inference Attacks"). An AUC of 0.5 is chance. The true positive rate at a very low false
positive rate is the measure of Carlini et al. 2022, "Membership Inference Attacks From First Principles".
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from candor.model.metrics import interval

FALSE_POSITIVE_RATE = 0.001
RESAMPLES = 200
CHANCE = {"auc": 0.5, "true_positives": FALSE_POSITIVE_RATE}
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def losses(probabilities: Floats, targets: Ints) -> Floats:
    """Return the log losses [n] in nats of probabilities [n, K] for targets [n].

    Example:
        >>> losses(np.array([[0.5, 0.5], [0.2, 0.8]]), np.array([0, 1])).round(2).tolist()
        [0.69, 0.22]
    """
    nll: Floats = -np.log(np.maximum(probabilities[np.arange(len(targets)), targets], 1e-12))
    return nll


def audit(members: Floats, others: Floats, seed: int) -> dict[str, Any]:
    """Measure how well a score tells members from others.

    Args:
        members: [n] scores of texts that were trained on; higher ones are expected.
        others: [m] scores of texts that were not.
        seed: Seed of the bootstrap.

    Returns:
        `auc` and `true_positives` (the rate at 0.1 % false positives), each with `value` and the 95 % interval of the
        bootstrap, `low` and `high`. Without members or others nothing is known: chance, from 0 to 1.
    """
    if not len(members) or not len(others):
        return {name: {"value": chance, "low": 0.0, "high": 1.0} for name, chance in CHANCE.items()}
    random = np.random.default_rng(seed)
    resampled = np.array(
        [measures(random.choice(members, len(members)), random.choice(others, len(others))) for _ in range(RESAMPLES)]
    )
    n = min(len(members), len(others))
    found = {
        name: interval(value, of_resamples, n)
        for name, value, of_resamples in zip(CHANCE, measures(members, others), resampled.T, strict=True)
    }
    return {name: {key: round(value, 4) for key, value in each.items()} for name, each in found.items()}


def measures(members: Floats, others: Floats) -> tuple[float, float]:
    """Return the area under the ROC curve, ties counted half (Mann and Whitney 1947), and the true positive rate.

    Example:
        >>> measures(np.array([2.0, 3.0]), np.array([0.0, 1.0]))
        (1.0, 1.0)
    """
    ordered = np.sort(others)
    below, upto = np.searchsorted(ordered, members), np.searchsorted(ordered, members, side="right")
    threshold = np.quantile(others, 1 - FALSE_POSITIVE_RATE, method="higher")
    return float((below + upto).mean() / (2 * len(others))), float((members > threshold).mean())
