"""Lambda function "plan" of batch scoring: plan a job for an object that was created in the inbox."""

from typing import Any

from candor.batch.steps import Batch
from candor.operate.observe import observed
from candor.settings import Settings

steps = Batch(Settings.from_environ())


def plan(event: Any, context: Any) -> dict[str, Any]:
    """Handle an EventBridge event of S3."""
    return steps.plan(event, context.get_remaining_time_in_millis)


handler = observed(plan)
