#!/usr/bin/env bash
# awslambdaric 4.2.2: what one Python function may answer, another can't be given. Seen 2026-11-27, simplejson 4.3.0.
#
# One would expect the runtime's JSON writer and reader to agree: both refuse NaN, as JSON does, or both take it, as
# Python's json module does.
# What happens: the writer puts NaN and Infinity into the answer, bare, with the content type application/json. The
# reader refuses them with Runtime.UnmarshalError, as simplejson does by default and the writer switches off.
# Seen: {"score": NaN} is written, and refused when read; the same with Infinity.
# What it means: a score that became NaN leaves its function as a success and fails the next one that gets it, before
# that one's handler runs and can say why. Replace such numbers with null, or raise, before the handler returns.
set -euo pipefail
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' ||
    { echo "needs Python 3.11 to 3.13: set PYTHON to one" >&2; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check awslambdaric==4.2.2 simplejson==4.3.0

"$folder/venv/bin/python" - <<'PYTHON'
import json
import math
import sys
from importlib.metadata import version

from awslambdaric.lambda_runtime_exception import FaultException
from awslambdaric.lambda_runtime_marshaller import LambdaMarshaller

print("awslambdaric", version("awslambdaric"), "simplejson", version("simplejson"))
marshaller = LambdaMarshaller()
seen = []
for score in (0.5, math.nan, math.inf):
    answer, content_type = marshaller.marshal_response({"score": score})
    try:
        read = f"read as {marshaller.unmarshal_request(answer)}"
    except FaultException as error:
        read = f"refused: {error.exception_type}"
    print(f"written: {answer} ({content_type}); {read}; by the json module: {json.loads(answer)}")
    seen.append((answer, read))
assert content_type == "application/json"
refused = "refused: Runtime.UnmarshalError"
expected = [('{"score": 0.5}', "read as {'score': 0.5}"), ('{"score": NaN}', refused), ('{"score": Infinity}', refused)]
sys.exit(seen != expected)
PYTHON
