"""CodeDeploy's hook before traffic: ask a new version of the API golden requests, and stop the roll-out if it fails."""

import json
import os
from collections.abc import Mapping
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from candor.model.bundle import Bundle
from candor.operate.rollout import find_faults
from candor.settings import Settings

logger = Logger()
IDS = "DeploymentId", "LifecycleEventHookExecutionId"


def handler(event: Any, context: Any) -> dict[str, str]:
    """Check the new version and report to CodeDeploy, which waits an hour for a hook that does not report.

    An event that is not CodeDeploy's is answered with "Failed", and nothing is asked or reported.
    """
    ids = [event.get(name) if isinstance(event, Mapping) else None for name in IDS]
    if not all(isinstance(each, str) and each for each in ids):
        logger.info("pre_traffic", extra={"status": "Failed", "faults": [f"the event lacks {' or '.join(IDS)}"]})
        return {"status": "Failed"}
    try:
        settings = Settings.from_environ()
        faults = find_faults(invoke, Bundle.open(settings.bundle, settings.bundle_digest))
    except Exception as error:
        faults = [f"the check itself failed with {type(error).__name__}"]
    status = "Failed" if faults else "Succeeded"
    logger.info("pre_traffic", extra={"status": status, "faults": faults})
    boto3.client("codedeploy").put_lifecycle_event_hook_execution_status(
        deploymentId=ids[0], lifecycleEventHookExecutionId=ids[1], status=status
    )
    return {"status": status}


def invoke(event: dict[str, Any]) -> dict[str, Any]:
    """Invoke the version that NEW_VERSION names, and return its answer."""
    response = boto3.client("lambda").invoke(FunctionName=os.environ["NEW_VERSION"], Payload=json.dumps(event))
    answer: dict[str, Any] = json.loads(response["Payload"].read())
    return answer
