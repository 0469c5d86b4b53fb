"""Lambda function "score" of batch scoring: score one chunk and write its part."""

from typing import Any

from candor.batch.steps import Batch
from candor.operate.observe import DriftReporter, observed
from candor.settings import Settings

steps = Batch(Settings.from_environ())
report_drift = DriftReporter(lambda: steps.classifier.drift_reference)


def score(event: Any, context: Any) -> dict[str, Any]:
    """Handle one item of the state machine's map."""
    return steps.score(event, context.get_remaining_time_in_millis, report_drift)


handler = observed(score)
