#!/usr/bin/env bash
# ai-edge-litert 2.3.0 without XNNPACK: a row alone and the same row in a batch differ. Seen 2026-11-27, x86-64.
#
# One would expect the built-in kernels to give a row of a float32 model one result, whatever stands beside it.
# What happens: with BUILTIN_WITHOUT_DEFAULT_DELEGATES, FULLY_CONNECTED has another kernel for one row than for two or
# more, and most outputs differ in their last bits. From two rows on, the number doesn't matter. The reference kernels
# give the same bits for every number of rows; so did the default, XNNPACK, on the CPU used (printed, not checked).
# Seen: of 512 outputs, 431 for rows alone, none for rows in twos or eights, unlike those of one batch of 32.
# What it means: without the delegate, comparing an answer given alone with one from a batch needs a tolerance, or
# integers so small that float32 sums are exact, or the single row sent twice.
set -euo pipefail
python=${PYTHON:-python3}
"$python" -c 'import os, sys; sys.exit(sys.version_info[1] not in {11, 12, 13} or os.uname().machine != "x86_64")' ||
    { echo "needs Python 3.11 to 3.13 (set PYTHON to one) on x86-64" >&2; exit 2; }
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
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from ai_edge_litert.schema_py_generated import *

weights, rows = (np.random.default_rng(0).normal(size=(n, 64)).astype(np.float32) for n in (16, 32))
code, kind = BuiltinOperator.FULLY_CONNECTED, TensorType.FLOAT32
shapes = {"x": [1, 64], "w": [16, 64], "y": [1, 16]}
tensors = [TensorT(name=name, shape=shapes[name], type=kind, buffer=int(name == "w")) for name in shapes]
layer = OperatorT(inputs=[0, 1, -1], outputs=[2], builtinOptions=FullyConnectedOptionsT())
layer.builtinOptionsType = BuiltinOptions.FullyConnectedOptions
graph = SubGraphT(tensors=tensors, operators=[layer], inputs=[0], outputs=[2])
model = ModelT(version=3, subgraphs=[graph])
model.buffers = [BufferT(), BufferT(data=weights.reshape(-1).view(np.uint8))]
model.operatorCodes = [OperatorCodeT(builtinCode=code, deprecatedBuiltinCode=code, version=1)]
builder = flatbuffers.Builder()
builder.Finish(model.Pack(builder), b"TFL3")
file = bytes(builder.Output())

def answers(kernels, size):
    model = Interpreter(model_content=file, num_threads=1, experimental_op_resolver_type=OpResolverType[kernels])
    model.resize_tensor_input(0, [size, 64])
    model.allocate_tensors()
    for batch in rows.reshape(-1, size, 64):
        model.set_tensor(0, batch)
        model.invoke()
        yield from model.get_tensor(2)

print("ai-edge-litert", version("ai-edge-litert"), "outputs unlike those of one batch of 32, in batches of 1, 2 and 8:")
seen = {}
for kernels in ("BUILTIN_WITHOUT_DEFAULT_DELEGATES", "BUILTIN_REF", "AUTO"):
    one, two, eight, whole = (np.array(list(answers(kernels, size))) for size in (1, 2, 8, 32))
    seen[kernels] = [int((results != whole).sum()) for results in (one, two, eight)]
    print(f"{kernels}: {seen[kernels]} of {whole.size}")
alone, *batched = seen["BUILTIN_WITHOUT_DEFAULT_DELEGATES"]
sys.exit(alone == 0 or any(batched) or any(seen["BUILTIN_REF"]))
PYTHON
