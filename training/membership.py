"""Whether one can tell from the model's answers which texts it was trained on: membership inference.

Two attacks, each given the true label: by the loss alone (Yeom et al. 2018, "Privacy Risk in Machine Learning"), and by
the loss less that of a reference model which has seen neither (Watson et al. 2022, "On the Importance of Difficulty
Calibration in Membership Inference Attacks"). 0.5 is chance; the rate of true positives where next to no outsider is
taken for a member is the measure of Carlini et al. 2022, "Membership Inference Attacks From First Principles".
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

FALSE_POSITIVES = 0.001
RESAMPLES = 200
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def losses(probabilities: Floats, targets: Ints) -> Floats:
    """Nats [n] of probabilities [n, K] for targets [n]."""
    found: Floats = -np.log(np.maximum(probabilities[np.arange(len(targets)), targets], 1e-12))
    return found


def audit(members: Floats, others: Floats, seed: int) -> dict[str, Any]:
    """How well scores [n] tell members, who have higher ones, from others: AUC, and true positives at 0.1 % false.

    Each with an interval of 95 %, by the bootstrap.
    """
    random = np.random.default_rng(seed)
    drawn = np.array(
        [measures(random.choice(members, len(members)), random.choice(others, len(others))) for _ in range(RESAMPLES)]
    )
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    return {
        name: {"value": round(value, 4), "low": round(float(low[place]), 4), "high": round(float(high[place]), 4)}
        for place, (name, value) in enumerate(zip(("auc", "true_positives"), measures(members, others), strict=True))
    }


def measures(members: Floats, others: Floats) -> tuple[float, float]:
    """Area under the ROC curve, ties counted half (Mann and Whitney 1947), and the rate of true positives."""
    ordered = np.sort(others)
    below, upto = np.searchsorted(ordered, members), np.searchsorted(ordered, members, side="right")
    threshold = np.quantile(others, 1 - FALSE_POSITIVES, method="higher")
    return float((below + upto).mean() / (2 * len(others))), float((members > threshold).mean())
