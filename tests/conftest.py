"""Set the environment that template.yaml gives a function, before any test imports a handler."""

import os

from candor.cli.gateway import LOCAL, template, variables

os.environ.update(variables(template()) | {"BUNDLE_PATH": LOCAL["BUNDLE_PATH"]})
for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
    os.environ[name] = "testing"  # no test may reach an AWS account
os.environ["AWS_DEFAULT_REGION"] = "eu-central-1"
