"""Sample events: events/predict.json asks about a text, events/batch_*.json are a file's way through a bucket.

They name the model in use and hold its samples, so `candor use` writes them again, and events/texts.csv, the file.
"""

import csv
import hashlib
import io
import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from candor.batch import jobs
from candor.batch.steps import Batch
from candor.model.bundle import Bundle
from candor.settings import Settings
from candor.storage import Folder, Source, Store

INPUT = "events/texts.csv"
INBOX, RESULTS = "candor-inbox", "candor-results"
STARTED = "2026-01-01T00:00:00.000Z"


class _Inbox:
    """A bucket that holds the sample input, as far as planning needs one."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.etag = hashlib.md5(self.content, usedforsecurity=False).hexdigest()  # S3's, of an object put in one piece

    def source(self, key: str, version: str = "") -> Source:
        return Source(INBOX, key, version, self.etag, len(self.content))

    def blocks(self, source: Source, begin: int = 0, end: int | None = None) -> Iterator[bytes]:
        yield self.content[begin:end]


def texts(bundle: Bundle) -> bytes:
    """Return the content of the sample file, CSV with ids: the model's samples, or a neutral text."""
    content = io.StringIO()
    rows = enumerate(bundle.samples or [bundle.example], 1)
    csv.writer(content, lineterminator="\n").writerows([("id", "text"), *rows])
    return content.getvalue().encode()


def samples(root: Path, path: Path | None = None) -> dict[str, Any]:
    """Return each function's sample event by its file's name.

    Args:
        root: A checkout.
        path: The bundle's folder; None: that of the checkout.
    """
    bundle = Bundle.open(path or root / "layers/model/bundle")
    inbox = _Inbox(texts(bundle))
    thing = {"key": Path(INPUT).name, "size": 1, "etag": inbox.etag, "sequencer": "0062E99A88DC407460"}
    created = {
        "source": "aws.s3",
        "detail-type": "Object Created",
        "detail": {"bucket": {"name": INBOX}, "object": thing},
    }
    settings = replace(Settings.from_environ({}), bundle=bundle.path, results_bucket=RESULTS)
    with tempfile.TemporaryDirectory() as folder:
        results = Folder(Path(folder))
        batch = Batch(settings, lambda name: cast(Store, inbox) if name == INBOX else results)
        planned = batch.plan(created) | {"started": STARTED}
        (chunk,) = json.loads(results.get(planned["chunks"]["key"]))
    planned = _for_any_code(planned)
    score = {"job": planned["job"], "chunk": chunk}
    predict = json.loads((root / "events/predict.json").read_bytes())
    predict["body"] = json.dumps({"text": bundle.example}, ensure_ascii=False)
    return {
        "predict.json": predict,
        "batch_plan.json": created,
        "batch_score.json": score,
        "batch_finish.json": planned,
    }


def _for_any_code(planned: dict[str, Any]) -> dict[str, Any]:
    """Return the answer of plan() without the code that planned, which the next change of any module would outdate."""
    job = jobs.Job.from_dict(planned["job"])
    key = jobs.job_id(job.source, job.model, job.options.to_dict(), None)
    renamed = json.loads(json.dumps(planned, ensure_ascii=False).replace(job.key, key))
    return {**renamed, "job": {**renamed["job"], "code": None}}


def files(root: Path, path: Path) -> dict[str, bytes]:
    """Return the sample events and their file, by their path in a checkout, for the bundle in a folder."""
    events = {
        f"events/{name}": (json.dumps(event, indent=2, ensure_ascii=False) + "\n").encode()
        for name, event in samples(root, path).items()
    }
    return events | {INPUT: texts(Bundle.open(path))}
