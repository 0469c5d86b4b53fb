"""The TensorFlow Lite interpreter: LiteRT, or its predecessor tflite-runtime. The only module that imports either."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from candor.errors import InterpreterError


def _interpreter_class() -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        try:
            from tflite_runtime.interpreter import Interpreter
        except ImportError:
            raise InterpreterError("neither ai-edge-litert nor tflite-runtime is installed") from None
    return Interpreter


class Signature:
    """One signature of a model, called with NumPy arrays. Not safe for two threads at once."""

    def __init__(self, model: bytes, name: str = "predict") -> None:
        try:
            # One thread: the work of a request is microseconds, less than waking a second thread costs.
            self._interpreter = _interpreter_class()(model_content=model, num_threads=1)
            self._run = self._interpreter.get_signature_runner(name)
        except (ValueError, RuntimeError) as error:
            raise InterpreterError(f"the TensorFlow Lite runtime refuses the model: {error}") from error

    def __call__(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        """Outputs by name, as copies of the interpreter's memory."""
        return self._run(**inputs)  # type: ignore[no-any-return]
