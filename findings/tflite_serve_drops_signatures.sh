#!/usr/bin/env bash
# TensorFlow 2.21.0: a method named `serve` costs a TFLite file its other signatures. Seen 2026-11-27.
#
# One would expect TFLiteConverter.from_saved_model(folder, signature_keys=[...]) to write the signatures asked for.
# What happens: if the saved module has a method named `serve`, and more than one signature is wanted, the
# converter takes the folder for one of Keras's model.export() and writes `serving_default` only, without a word. A
# module with no signature of that name gets a ValueError, in which the keys asked for are called the valid ones.
# With the method under another name, all the signatures are written.
# Seen: wanted serving_default and explain, written serving_default; wanted classify and explain, the ValueError
# "Invalid signature key 'serving_default' found. Valid keys are 'classify,explain'."
# What it means: don't name a method `serve`, and check get_signature_list() of the file against what was asked for.
set -euo pipefail
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' ||
    { echo "needs Python 3.11 to 3.13: set PYTHON to one" >&2; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tensorflow-cpu==2.21.0

export CUDA_VISIBLE_DEVICES= TF_CPP_MIN_LOG_LEVEL=3
FOLDER=$folder "$folder/venv/bin/python" - 2>"$folder/log" <<'PYTHON' || { cat "$folder/log" >&2; exit 1; }
import os
import sys

import tensorflow as tf


def signatures(method, first):
    module = tf.Module()
    module.weight = tf.Variable(2.0)
    spec = [tf.TensorSpec([1])]
    scale = tf.function(lambda x: {"scaled": x * module.weight}, input_signature=spec)
    shift = tf.function(lambda x: {"shifted": x + module.weight}, input_signature=spec)
    setattr(module, method, scale)
    module.explain = shift
    wanted = {first: scale, "explain": shift}
    folder = f"{os.environ['FOLDER']}/{method}-{first}"
    tf.saved_model.save(module, folder, signatures=wanted)
    try:
        file = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(wanted)).convert()
    except ValueError as error:
        return f"ValueError: {error}"
    return sorted(tf.lite.Interpreter(model_content=file).get_signature_list())


print("tensorflow", tf.__version__)
seen = []
for method, first in (("predict", "serving_default"), ("serve", "serving_default"), ("serve", "classify")):
    seen.append(signatures(method, first))
    print(f"method {method}, wanted {[first, 'explain']}: {seen[-1]}")
error = "ValueError: Invalid signature key 'serving_default' found. Valid keys are 'classify,explain'."
sys.exit(seen != [["explain", "serving_default"], ["serving_default"], error])
PYTHON
