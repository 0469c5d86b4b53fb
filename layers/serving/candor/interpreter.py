"""The TensorFlow Lite interpreter: LiteRT, or its predecessor tflite-runtime. The only module that imports either."""

from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from candor.errors import InterpreterError


def _library() -> ModuleType:
    for name in ("ai_edge_litert.interpreter", "tflite_runtime.interpreter"):
        try:
            return import_module(name)
        except ImportError:
            continue
    raise InterpreterError("neither ai-edge-litert nor tflite-runtime is installed")


class Signature:
    """One signature of a model, called with NumPy arrays. Not safe for two threads at once."""

    def __init__(self, model: bytes, name: str = "predict") -> None:
        library = _library()
        try:
            # One thread and no delegate: a request is microseconds of work, less than either costs.
            self._interpreter = library.Interpreter(
                model_content=model,
                num_threads=1,
                experimental_op_resolver_type=library.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            )
            self._run = self._interpreter.get_signature_runner(name)
        except (ValueError, RuntimeError) as error:
            raise InterpreterError(f"the TensorFlow Lite runtime refuses the model: {error}") from error

    def __call__(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        """Outputs by name, as copies of the interpreter's memory."""
        return self._run(**inputs)  # type: ignore[no-any-return]
