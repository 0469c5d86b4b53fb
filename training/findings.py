"""Find what a person should look at: rows whose label is likely to be wrong.

A row is suspect if models that have not learnt from it give its label a low probability, and another label one that is
typical of that label's own texts: confident learning, Northcutt et al. 2021, "Confident Learning: Estimating
Uncertainty in Dataset Labels". No text is listed, only lines of the file.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MAX_SUSPECTS = 100
"""Rows listed, at most."""


def suspect_labels(
    probabilities: Floats, targets: Ints, lines: Ints, labels: Sequence[str], files: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the number of suspect rows, and the most suspect ones: `line`, `label`, `likely` and `probability`.

    Args:
        probabilities: [n, K] by models that have not learnt from the texts.
        targets: [n] label indices.
        lines: [n] line of the file where each text begins, from 1.
        labels: K names.
        files: [n] file of each text, where there are several; then each row names its `file`, too.

    Example:
        >>> probabilities = np.array([[0.9, 0.1], [0.1, 0.9], [0.05, 0.95]])
        >>> suspect_labels(probabilities, np.array([0, 1, 0]), np.array([2, 3, 4]), ["a", "b"])["most"]
        [{'line': 4, 'label': 'a', 'likely': 'b', 'probability': 0.95}]
    """
    n_labels, every = len(labels), np.arange(len(targets))
    own = probabilities[every, targets]
    support = np.maximum(np.bincount(targets, minlength=n_labels), 1)
    typical = np.bincount(targets, own, n_labels) / support
    likely = probabilities.argmax(axis=1)
    suspect = np.flatnonzero((likely != targets) & (probabilities[every, likely] >= typical[likely]))
    order = suspect[np.lexsort((lines[suspect], own[suspect] - probabilities[suspect, likely[suspect]]))]
    return {
        "rows": len(suspect),
        "most": [
            {
                **({"file": files[index]} if files else {}),
                "line": int(lines[index]),
                "label": labels[targets[index]],
                "likely": labels[likely[index]],
                "probability": round(float(probabilities[index, likely[index]]), 4),
            }
            for index in order[:MAX_SUSPECTS]
        ],
    }
