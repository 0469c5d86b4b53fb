#!/usr/bin/env bash
# moto 5.2.5: an EventBridge input transformer puts a string into its template without quotes. Seen 2026-11-27.
#
# One would expect a template such as {"key": <key>} to become {"key": "report.csv"}: the user guide of EventBridge,
# "Input transformation examples", puts extracted strings in quotes where the template is JSON, and its own example
# {"instance": <instance>} has none around the placeholder.
# What happens: moto writes the value as it is, reads {"key": report.csv} as JSON, and put_events raises the
# JSONDecodeError to whoever sent the event. Objects that are extracted whole arrive right.
# Seen: string: put_events raised JSONDecodeError; object: {"object": {"key": "report.csv"}}.
# What it means: a rule that works in AWS fails under moto, and quotes around its placeholders, with which it works under
# moto, are wrong in AWS. Extract whole objects, which both put in alike, or test the target with JSON made by hand.
set -euo pipefail
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' ||
    { echo "needs Python 3.11 to 3.13: set PYTHON to one" >&2; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'moto[events,sqs]==5.2.5' boto3==1.44.8

export AWS_ACCESS_KEY_ID=testing AWS_SECRET_ACCESS_KEY=testing AWS_DEFAULT_REGION=eu-west-1
"$folder/venv/bin/python" - <<'PYTHON'
import json
import logging
import sys
from importlib.metadata import version

import boto3
from moto import mock_aws

logging.disable()
print("moto", version("moto"))
CASES = {
    "string": ("$.detail.object.key", '{"key": <it>}'),
    "object": ("$.detail.object", '{"object": <it>}'),
}
seen = {}
for name, (path, template) in CASES.items():
    with mock_aws():
        queues, events = boto3.client("sqs"), boto3.client("events")
        queue = queues.create_queue(QueueName="target")["QueueUrl"]
        arn = queues.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        events.put_rule(Name="made", EventPattern=json.dumps({"source": ["a.store"]}))
        transformer = {"InputPathsMap": {"it": path}, "InputTemplate": template}
        events.put_targets(Rule="made", Targets=[{"Id": "1", "Arn": arn, "InputTransformer": transformer}])
        detail = json.dumps({"object": {"key": "report.csv"}})
        try:
            events.put_events(Entries=[{"Source": "a.store", "DetailType": "made", "Detail": detail}])
        except ValueError as error:
            seen[name] = type(error).__name__
        else:
            seen[name] = queues.receive_message(QueueUrl=queue)["Messages"][0]["Body"]
        print(f"{name}: {seen[name]}")
sys.exit(seen["string"] != "JSONDecodeError" or json.loads(seen["object"]) != {"object": {"key": "report.csv"}})
PYTHON
