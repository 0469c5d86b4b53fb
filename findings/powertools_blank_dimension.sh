#!/usr/bin/env bash
# aws-lambda-powertools 3.37.0: a metric with a blank dimension is counted without it. Seen 2026-11-27.
#
# One would expect a blank value of a dimension to raise, as a blank name of a metric does (MetricNameError) and as a
# value of a metric that is no number does (MetricValueError).
# What happens: add_dimension warns (PowertoolsUserWarning) and leaves the dimension out; the metric is written all the
# same, with the dimensions that are left. A number as value is taken, as its digits; None becomes the text "None".
# Seen: dimensions [["model", "service"]] for the value "tickets" and for None, [["service"]] for "" and for " ".
# What it means: CloudWatch counts such a metric in another series, that of the service, where alarms and totals look.
# Raise on blank values before they reach add_dimension, or turn this warning into an error (warnings.simplefilter).
set -euo pipefail
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' ||
    { echo "needs Python 3.11 to 3.13: set PYTHON to one" >&2; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check aws-lambda-powertools==3.37.0

"$folder/venv/bin/python" - <<'PYTHON'
import sys
import warnings
from importlib.metadata import version

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit, MetricValueError
from aws_lambda_powertools.metrics.provider.cloudwatch_emf.exceptions import MetricNameError

print("aws-lambda-powertools", version("aws-lambda-powertools"))
metrics, seen = Metrics(namespace="Shop", service="classifier"), []
for value in ("tickets", "", " ", None):
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        metrics.add_dimension("model", value)
    metrics.add_metric("Predictions", MetricUnit.Count, 1)
    written = metrics.serialize_metric_set()
    dimensions = written["_aws"]["CloudWatchMetrics"][0]["Dimensions"]
    seen.append((dimensions, written.get("model"), len(warned)))
    print(f"{value!r}: dimensions {dimensions}, model {written.get('model')!r}, warnings {len(warned)}")
    metrics.clear_metrics()

raised = []
for name, number in (("", 1), ("Predictions", "one")):
    try:
        metrics.add_metric(name, MetricUnit.Count, number)
    except (MetricNameError, MetricValueError) as error:
        raised.append(type(error).__name__)
print("blank name, no number:", raised)

both, one = [["model", "service"]], [["service"]]
expected = [(both, "tickets", 0), (one, None, 1), (one, None, 1), (both, "None", 0)]
sys.exit(0 if (seen, raised) == (expected, ["MetricNameError", "MetricValueError"]) else 1)
PYTHON
