"""events/batch_*.json: what each batch function is sent for events/reviews.csv in a bucket named candor-inbox.

    python -m tests.samples

They name the model, so `make train` writes them again.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from candor.batch import Batch
from candor.settings import Settings
from candor.storage import S3
from tests.bucket import INBOX, RESULTS, buckets, contents, created

ROOT = Path(__file__).parents[1]
FILE = ROOT / "events/reviews.csv"
STARTED = "2026-01-01T00:00:00.000Z"


def samples() -> dict[str, Any]:
    """Each function's sample event, by its file's name."""
    with buckets(versioned=False) as client:
        event = created(FILE.name, client.put_object(Bucket=INBOX, Key=FILE.name, Body=FILE.read_bytes()))
        batch = Batch(replace(Settings.from_environ(), results=RESULTS), lambda name: S3(name, client))
        planned = batch.plan(event) | {"started": STARTED}
        (listed,) = contents(client, "plans/").values()
        score = {"job": planned["job"], "chunk": json.loads(listed)[0]}
    return {"batch_plan.json": event, "batch_score.json": score, "batch_finish.json": planned}


def main() -> int:
    for name, event in samples().items():
        (ROOT / "events" / name).write_text(json.dumps(event, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
