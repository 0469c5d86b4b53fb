#!/usr/bin/env bash
# cyclonedx-python-lib 11.12.0: reading an ML-BOM and writing it again loses the model card. Seen 2026-11-27.
#
# One would expect a library that reads CycloneDX 1.6 to keep, or to refuse, what the 1.6 schema allows.
# What happens: Bom.from_json() skips a component's `modelCard` and `data` without an error or a warning, so the
# rewritten file, which the same library's strict validator accepts as it did the first, has neither of them.
# The project knows that the fields are missing from its classes (CycloneDX/cyclonedx-python-lib, issues 912 and 913).
# Seen: read with the fields data, modelCard, name and type; written with name and type; both valid.
# What it means: don't merge, sort or enrich an ML-BOM through these classes; edit its JSON, and validate that.
set -euo pipefail
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' ||
    { echo "needs Python 3.11 to 3.13: set PYTHON to one" >&2; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'cyclonedx-python-lib[json-validation]==11.12.0'

"$folder/venv/bin/python" -W error - <<'PYTHON'
import importlib.metadata
import json
import sys

from cyclonedx.model.bom import Bom
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

model = {
    "type": "machine-learning-model",
    "name": "sentiment",
    "modelCard": {
        "modelParameters": {"task": "text-classification"},
        "quantitativeAnalysis": {"performanceMetrics": [{"type": "macro F1", "value": "0.91"}]},
    },
}
texts = {"type": "data", "name": "reviews", "data": [{"type": "dataset", "classification": "public"}]}
before = json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": [model, texts]})
after = JsonV1Dot6(Bom.from_json(json.loads(before))).output_as_string()

print("cyclonedx-python-lib", importlib.metadata.version("cyclonedx-python-lib"))
seen = []
for name, text in (("read", before), ("written", after)):
    valid = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    fields = sorted({field for component in json.loads(text)["components"] for field in component} - {"bom-ref"})
    print(f"{name}: valid 1.6: {valid}; fields of its components: {', '.join(fields)}")
    seen.append((valid, fields))
sys.exit(seen != [(True, ["data", "modelCard", "name", "type"]), (True, ["name", "type"])])
PYTHON
