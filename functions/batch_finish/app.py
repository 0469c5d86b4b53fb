"""Lambda function "finish" of batch scoring: write a job's manifest, or the note of a failure."""

from typing import Any

from candor.batch.steps import Batch
from candor.operate.observe import observed
from candor.settings import Settings

steps = Batch(Settings.from_environ())


def finish(event: Any, context: Any) -> dict[str, Any]:
    """Handle a job whose parts are written, or an execution that failed."""
    return steps.finish(event)


handler = observed(finish)
