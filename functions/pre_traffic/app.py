"""CodeDeploy's hook: asks a new version of the API golden requests, and stops the roll-out if one is answered wrong."""

import json
import os
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from candor import rollout
from candor.bundle import Bundle
from candor.settings import Settings

logger = Logger()


def handler(event: dict[str, str], context: Any) -> dict[str, str]:
    """Whatever happens, CodeDeploy is told: it would wait an hour for a hook that says nothing."""
    try:
        settings = Settings.from_environ()
        found = rollout.faults(ask, Bundle.open(settings.bundle, settings.bundle_digest))
    except Exception as error:
        found = [f"the check itself failed with {type(error).__name__}"]
    status = "Failed" if found else "Succeeded"
    logger.info("pre_traffic", extra={"status": status, "faults": found})
    boto3.client("codedeploy").put_lifecycle_event_hook_execution_status(
        deploymentId=event["DeploymentId"],
        lifecycleEventHookExecutionId=event["LifecycleEventHookExecutionId"],
        status=status,
    )
    return {"status": status}


def ask(event: dict[str, Any]) -> dict[str, Any]:
    """The answer of the version that NEW_VERSION names."""
    said = boto3.client("lambda").invoke(FunctionName=os.environ["NEW_VERSION"], Payload=json.dumps(event))
    answer: dict[str, Any] = json.loads(said["Payload"].read())
    return answer
