#!/usr/bin/env bash
# aws-sam-translator 1.115.0: a serverless state machine cannot be given a key of its own. Seen 2026-11-27.
#
# One would expect AWS::Serverless::StateMachine to take EncryptionConfiguration, as AWS::StepFunctions::StateMachine
# does: SAM has Logging and Tracing for it, which belong to the same resource.
# What happens: the transformation refuses the property. There is none of another name either.
# Seen: "property EncryptionConfiguration not defined for resource of type AWS::Serverless::StateMachine".
# What it means: execution histories of a serverless state machine stay under AWS's own key. For a key of one's own the
# machine has to be the plain resource, whose role and event rules are then written out; DefinitionUri is packaged for
# neither, but DefinitionS3Location is.
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

from samtranslator.model.exceptions import InvalidDocumentException
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

logging.disable()
print("aws-sam-translator", version("aws-sam-translator"))


def translated(**more):
    machine = {
        "Type": "AWS::Serverless::StateMachine",
        "Properties": {
            "Definition": {"StartAt": "End", "States": {"End": {"Type": "Succeed"}}},
            "Role": "arn:aws:iam::123456789012:role/made",
            "Logging": {"Level": "OFF"},
            **more,
        },
    }
    template = {"Transform": "AWS::Serverless-2016-10-31", "Resources": {"Machine": machine}}
    return Translator({}, Parser()).translate(template, {})


plain = translated()["Resources"]["Machine"]
print("without a key:", plain["Type"])
try:
    translated(EncryptionConfiguration={"Type": "CUSTOMER_MANAGED_KMS_KEY", "KmsKeyId": "alias/made"})
except InvalidDocumentException as error:
    said = "; ".join(cause.message for cause in error.causes)
    print("with a key:", said)
    sys.exit(plain["Type"] != "AWS::StepFunctions::StateMachine" or "EncryptionConfiguration not defined" not in said)
print("with a key: accepted")
sys.exit(1)
PYTHON
