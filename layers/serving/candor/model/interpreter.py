"""Run TensorFlow Lite models by LiteRT or its predecessor tflite-runtime. No other module imports either."""

from collections.abc import Iterable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from candor.errors import InterpreterError

_MODULES = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter")


def _first(names: Iterable[str]) -> ModuleType:
    for name in names:
        try:
            return import_module(name)
        except ImportError:
            continue
    raise InterpreterError("neither ai-edge-litert nor tflite-runtime is installed")


def library_version() -> str:
    """Return the runtime's name and version, such as "ai_edge_litert 2.3.0". Loads no interpreter.

    Raises:
        InterpreterError: No runtime is installed.
    """
    library = _first(name.partition(".")[0] for name in _MODULES)
    return f"{library.__name__} {library.__version__}"


class Signature:
    """One signature of a model, called with NumPy arrays.

    Not thread-safe: one interpreter, one tensor arena. Use one Signature per thread.

    Args:
        model: Content of a .tflite file.
        name: Name of the signature.

    Raises:
        InterpreterError: No runtime is installed, or the runtime rejects the model or the signature's name.
    """

    def __init__(self, model: bytes, name: str = "predict") -> None:
        library = _first(_MODULES)
        try:
            # One thread and no delegate: a request takes microseconds, less than either would cost.
            self._interpreter = library.Interpreter(
                model_content=model,
                num_threads=1,
                experimental_op_resolver_type=library.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            )
            self._run = self._interpreter.get_signature_runner(name)
        except (ValueError, RuntimeError) as error:
            raise InterpreterError(f"the TensorFlow Lite runtime refuses the model: {error}") from error

    def __call__(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        """Run the signature on input arrays by name. Return output arrays by name, copied out of the interpreter."""
        return self._run(**inputs)  # type: ignore[no-any-return]
