"""CodeDeploy's hook before traffic: ask a new version of the API golden requests, and stop the roll-out if it fails."""

import json
import os
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from candor.model.bundle import Bundle
from candor.operate.rollout import find_faults
from candor.settings import Settings

logger = Logger()


def handler(event: dict[str, str], context: Any) -> dict[str, str]:
    """Check the new version and report to CodeDeploy, which waits an hour for a hook that does not report."""
    try:
        settings = Settings.from_environ()
        faults = find_faults(invoke, Bundle.open(settings.bundle, settings.bundle_digest))
    except Exception as error:
        faults = [f"the check itself failed with {type(error).__name__}"]
    status = "Failed" if faults else "Succeeded"
    logger.info("pre_traffic", extra={"status": status, "faults": faults})
    boto3.client("codedeploy").put_lifecycle_event_hook_execution_status(
        deploymentId=event["DeploymentId"],
        lifecycleEventHookExecutionId=event["LifecycleEventHookExecutionId"],
        status=status,
    )
    return {"status": status}


def invoke(event: dict[str, Any]) -> dict[str, Any]:
    """Invoke the version that NEW_VERSION names, and return its answer."""
    response = boto3.client("lambda").invoke(FunctionName=os.environ["NEW_VERSION"], Payload=json.dumps(event))
    answer: dict[str, Any] = json.loads(response["Payload"].read())
    return answer
