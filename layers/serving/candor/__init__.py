"""Candor: a text classifier you can answer for.

    >>> import candor
    >>> model = candor.load()
    >>> [prediction.label for prediction in model.predict(["A wonderful film.", "A dull, boring mess."])]
    ['positive', 'negative']

Names are imported when they are first used, so `import candor` costs next to nothing.
"""

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from candor._version import __version__

if TYPE_CHECKING:
    from candor.errors import CandorError
    from candor.model.classifier import Classifier, Prediction
    from candor.model.explain import Explainer, Explanation

__all__ = ["CandorError", "Classifier", "Explainer", "Explanation", "Prediction", "__version__", "load"]

_HOMES = {
    "CandorError": "candor.errors",
    "Classifier": "candor.model.classifier",
    "Explainer": "candor.model.explain",
    "Explanation": "candor.model.explain",
    "Prediction": "candor.model.classifier",
}


def load(path: str | os.PathLike[str] | None = None, *, digest: str = "") -> "Classifier":
    """Load a model bundle, verified and ready to predict.

    Args:
        path: The bundle's folder. Default: what the environment variable BUNDLE_PATH names, else the model in use.
        digest: SHA-256 (hex) that the bundle's manifest must have. Default: any intact bundle is accepted.

    Returns:
        A Classifier. Use one per thread.

    Raises:
        BundleError: A file is missing or damaged, or the digest is another one.
        InterpreterError: No TensorFlow Lite runtime is installed, or it refuses the model.

    Example:
        >>> load().bundle.labels
        ('negative', 'positive')
    """
    from candor.model.classifier import Classifier
    from candor.resources import default_bundle

    return Classifier.load(default_bundle() if path is None else Path(path), digest)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
