"""Lambda function of batch scoring: all parts of a job, to its receipt; or a job that failed, to a note of it."""

from typing import Any

from candor.batch import Batch
from candor.observe import observed
from candor.settings import Settings

steps = Batch(Settings.from_environ())


def finish(event: Any, context: Any) -> dict[str, Any]:
    return steps.finish(event)


handler = observed(finish)
