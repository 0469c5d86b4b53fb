#!/usr/bin/env bash
# aws-sam-translator 1.115.0: a changed parameter publishes no new function version. Seen 2026-11-27.
#
# One would expect AutoPublishAliasAllProperties, documented to publish a version when any property changes, to do so
# when a stack parameter that an environment variable refers to gets another value.
# What happens: the version's logical id is a hash of the properties as written, so of {"Ref": "Mode"}, whatever the
# value. The id stays, so CloudFormation publishes no version and the alias keeps serving the old value, while
# $LATEST has the new one. Known: aws/serverless-application-model, issue 3820, open on that day.
# Seen: two ids for two values written into the template; one id for two values of the parameter.
# What it means: after a deployment that changes a parameter only, nothing that calls the alias sees the change.
# Write the value itself into the template, for which the id does change, or deploy changed code along with it.
set -euo pipefail
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' ||
    { echo "needs Python 3.11 to 3.13: set PYTHON to one" >&2; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check aws-sam-translator==1.115.0

AWS_DEFAULT_REGION=eu-west-1 "$folder/venv/bin/python" - <<'PYTHON'
import logging
import sys
from importlib.metadata import version

from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator


def version_id(mode, parameters):
    function = {
        "Runtime": "python3.13",
        "Handler": "app.handler",
        "CodeUri": "s3://bucket/code.zip",
        "AutoPublishAlias": "live",
        "AutoPublishAliasAllProperties": True,
        "Environment": {"Variables": {"MODE": mode}},
    }
    template = {
        "Transform": "AWS::Serverless-2016-10-31",
        "Parameters": {"Mode": {"Type": "String", "Default": "strict"}},
        "Resources": {"Function": {"Type": "AWS::Serverless::Function", "Properties": function}},
    }
    resources = Translator({}, Parser()).translate(template, parameters)["Resources"]
    return next(name for name, resource in resources.items() if resource["Type"] == "AWS::Lambda::Version")


logging.disable()
print("aws-sam-translator", version("aws-sam-translator"))
written = [version_id(mode, {}) for mode in ("strict", "lenient")]
referred = [version_id({"Ref": "Mode"}, {"Mode": mode}) for mode in ("strict", "lenient")]
print("version id for MODE strict, lenient:", *written)
print("version id for MODE !Ref Mode, with Mode=strict, Mode=lenient:", *referred)
sys.exit(not (written[0] != written[1] and referred[0] == referred[1]))
PYTHON
