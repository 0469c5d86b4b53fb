#!/usr/bin/env bash
# aws-sam-cli 1.170.0: sam local start-api answers 502 to any body that is not UTF-8, a gzip among them. Seen 2026-11-27.
#
# One would expect a POST with Content-Encoding: gzip to reach the function, unpacked, as API Gateway unpacks it
# ("API Gateway supports decompression of the method request payload" by default), or else in base64.
# What happens: where the media type is none of the API's binary ones, the event is made by request_data.decode("utf-8").
# The UnicodeDecodeError is caught far above and becomes a 502, "Internal server error"; the function is never called.
# Seen: the same JSON as text becomes an event, and packed it raises UnicodeDecodeError.
# What it means: packed requests, and how a function refuses bytes that are not UTF-8, cannot be tried with sam local.
# Invoke the function with the body in base64 and isBase64Encoded, or let another local server make the events.
set -euo pipefail
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' ||
    { echo "needs Python 3.11 to 3.13: set PYTHON to one" >&2; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check aws-sam-cli==1.170.0

SAM_CLI_TELEMETRY=0 "$folder/venv/bin/python" - <<'PYTHON'
import gzip
import sys
from importlib.metadata import version

from flask import Flask, request
from samcli.local.apigw.event_constructor import construct_v1_event

print("aws-sam-cli", version("aws-sam-cli"))
app = Flask("finding")
app.add_url_rule("/texts", endpoint="/texts", methods=["POST"])


def event_of(body, **headers):
    with app.test_request_context("/texts", method="POST", data=body, content_type="application/json", headers=headers):
        return construct_v1_event(request, 3000, binary_types=[])


text = b'{"text": "good"}'
plain = event_of(text)
print("plain:", plain["body"], plain["isBase64Encoded"])
try:
    packed = event_of(gzip.compress(text), **{"Content-Encoding": "gzip"})
except UnicodeDecodeError as error:
    print("packed:", type(error).__name__)
    sys.exit(plain["body"] != text.decode())
print("packed:", packed["body"], packed["isBase64Encoded"])
sys.exit("not as described: the packed body became an event")
PYTHON
