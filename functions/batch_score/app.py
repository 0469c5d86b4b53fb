"""Lambda function of batch scoring: one chunk of a plan, to one part of the results."""

from typing import Any

from candor.batch import Batch
from candor.observe import Watch, observed
from candor.settings import Settings

steps = Batch(Settings.from_environ())
watch = Watch(lambda: steps.classifier.usual)


def score(event: Any, context: Any) -> dict[str, Any]:
    return steps.score(event, context.get_remaining_time_in_millis, watch)


handler = observed(score)
