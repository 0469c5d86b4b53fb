#!/usr/bin/env bash
# TensorFlow 2.21.0 with Keras 3.15.1: following the converter's own advice loses the weights. Seen 2026-11-27.
#
# One would expect TFLiteConverter.from_concrete_functions() to make the same model with `trackable_obj` as without:
# without it, the converter warns that this is deprecated and asks for it.
# What happens: without it, the weights of a Keras model are in the file. With the model as `trackable_obj`, convert()
# succeeds too, but leaves the weights out: the file reads variables that nothing ever wrote. The same goes for a
# SavedModel written by tf.saved_model.save(model), which TensorFlow itself loads with its weights. Both
# from_keras_model() and a SavedModel written by model.export() have them.
# Seen: 2,560 bytes for a model with 68,616 bytes of weights; 68,644 and 68,884 bytes by the good ways.
# What it means: convert by one of the last two ways, and compare the size of the file with that of the weights, or
# its outputs with the model's, before shipping it.
set -euo pipefail
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' ||
    { echo "needs Python 3.11 to 3.13: set PYTHON to one" >&2; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tensorflow-cpu==2.21.0 keras==3.15.1

export CUDA_VISIBLE_DEVICES= TF_CPP_MIN_LOG_LEVEL=3
FOLDER=$folder "$folder/venv/bin/python" - 2>"$folder/log" <<'PYTHON' || { cat "$folder/log" >&2; exit 1; }
import contextlib
import os
import sys

import keras
import tensorflow as tf

folder = os.environ["FOLDER"]
keras.utils.set_random_seed(0)
model = keras.Sequential([keras.Input([64]), keras.layers.Dense(256, "relu"), keras.layers.Dense(2)])
weights = 4 * model.count_params()
function = tf.function(lambda x: model(x), input_signature=[tf.TensorSpec([1, 64])]).get_concrete_function()
tf.saved_model.save(model, f"{folder}/saved", signatures=function)
rows = tf.ones([1, 64])
loaded = tf.saved_model.load(f"{folder}/saved").signatures["serving_default"](rows)["output_0"]
make = tf.lite.TFLiteConverter
with contextlib.redirect_stdout(sys.stderr):
    model.export(f"{folder}/exported")
    sizes = {
        "from_concrete_functions([f])": len(make.from_concrete_functions([function]).convert()),
        "from_concrete_functions([f], model)": len(make.from_concrete_functions([function], model).convert()),
        "from_saved_model of tf.saved_model.save": len(make.from_saved_model(f"{folder}/saved").convert()),
        "from_saved_model of model.export": len(make.from_saved_model(f"{folder}/exported").convert()),
        "from_keras_model": len(make.from_keras_model(model).convert()),
    }
print("tensorflow", tf.__version__, "keras", keras.__version__, "bytes of weights:", weights)
same = bool(tf.reduce_all(abs(loaded - model(rows)) < 1e-5))
print("the SavedModel of tf.saved_model.save, loaded by TensorFlow, answers as the model:", same)
for way, size in sizes.items():
    print(f"{way}: {size} bytes{'' if size > weights else ', so without the weights'}")
sys.exit(not same or [size > weights for size in sizes.values()] != [True, False, False, True, True])
PYTHON
