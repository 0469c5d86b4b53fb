"""Every error of Candor's own.

CandorError
├── BundleError       the model's files are missing, damaged, or not the ones that were deployed
└── InterpreterError  no TensorFlow Lite runtime is installed, or it refuses the model

No message ever carries a caller's text.
"""


class CandorError(Exception):
    """The root of the tree."""


class BundleError(CandorError):
    """The model's files are missing, damaged, or not the ones that were deployed."""


class InterpreterError(CandorError):
    """No TensorFlow Lite runtime is installed, or the one that is refuses the model."""
