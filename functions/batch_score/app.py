"""Lambda function of batch scoring: one chunk of a plan, to one part of the results."""

from typing import Any

from candor.batch import Batch
from candor.observe import observed
from candor.settings import Settings

steps = Batch(Settings.from_environ())


def score(event: Any, context: Any) -> dict[str, Any]:
    return steps.score(event, context.get_remaining_time_in_millis)


handler = observed(score)
