"""Lambda function of batch scoring: an object that came into the inbox, to a plan."""

from typing import Any

from candor.batch import Batch
from candor.observe import observed
from candor.settings import Settings

steps = Batch(Settings.from_environ())


def plan(event: Any, context: Any) -> dict[str, Any]:
    return steps.plan(event, context.get_remaining_time_in_millis)


handler = observed(plan)
