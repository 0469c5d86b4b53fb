#!/usr/bin/env bash
# ai-edge-litert 2.3.0: keeping a signature runner makes Interpreter.invoke() raise. Seen 2026-11-27.
#
# One would expect to use one interpreter both ways: set_tensor() and invoke(), and get_signature_runner().
# What happens: as long as a runner is kept, invoke() and resize_tensor_input() raise RuntimeError: "There is at least
# 1 reference to internal data in the interpreter in the form of a numpy array or slice". No array is meant: the guard
# counts the references to one inner object, and a runner holds one. Without the runner, invoke() works again. The
# text sends one looking for a forgotten tensor() view, which isn't there.
# Seen: the dictionary that the script prints: works, works, raises, raises, works.
# What it means: choose one way for an interpreter, or make a second interpreter of the same file.
set -euo pipefail
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' ||
    { echo "needs Python 3.11 to 3.13: set PYTHON to one" >&2; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    ai-edge-litert==2.3.0 flatbuffers==25.12.19 numpy==2.4.6

"$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import flatbuffers
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.schema_py_generated import *


def outcome(call):
    try:
        call()
    except RuntimeError as error:
        return "raises" if "1 reference to internal data" in str(error) else str(error)
    return "works"


neg, names = BuiltinOperator.NEG, ("x", "y")
tensors = [TensorT(name=name, shape=[3], type=TensorType.FLOAT32) for name in names]
x, y = ([TensorMapT(name=name, tensorIndex=index)] for index, name in enumerate(names))
graph = SubGraphT(tensors=tensors, operators=[OperatorT(inputs=[0], outputs=[1])], inputs=[0], outputs=[1])
model = ModelT(version=3, subgraphs=[graph], buffers=[BufferT()])
model.operatorCodes = [OperatorCodeT(builtinCode=neg, deprecatedBuiltinCode=neg, version=1)]
model.signatureDefs = [SignatureDefT(signatureKey="negate", inputs=x, outputs=y)]
builder = flatbuffers.Builder()
builder.Finish(model.Pack(builder), b"TFL3")
interpreter = Interpreter(model_content=bytes(builder.Output()))
interpreter.allocate_tensors()

seen = {"invoke()": outcome(interpreter.invoke)}
runner = interpreter.get_signature_runner("negate")
seen["the runner"] = outcome(lambda: runner(x=np.ones(3, np.float32)))
seen["invoke() beside it"] = outcome(interpreter.invoke)
seen["resize_tensor_input() beside it"] = outcome(lambda: interpreter.resize_tensor_input(0, [3]))
del runner
seen["invoke() without it"] = outcome(interpreter.invoke)
print("ai-edge-litert", version("ai-edge-litert"), seen)
sys.exit(list(seen.values()) != ["works", "works", "raises", "raises", "works"])
PYTHON
