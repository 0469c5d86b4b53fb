"""Batch jobs on AWS: what the three functions of the state machine do with what it hands them.

An object in the inbox is planned, its chunks are scored side by side, and a receipt is written; candor.jobs is what
they share with one machine. Everything here may be done again, at the same time or after a crash.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any
from urllib.parse import quote

from candor import jobs
from candor.bundle import Bundle, canonical
from candor.classifier import Classifier, Prediction
from candor.errors import EventError, OutOfTimeError
from candor.jobs import Facts, Job, Options
from candor.rows import Chunk, RowsError
from candor.settings import Settings
from candor.storage import S3, Source, Store

MAX_INPUT_BYTES = 40 * 10**9  # what one function reads from its first byte to its last in 15 minutes
MARGIN = 20_000  # milliseconds before the function's end at which it stops by itself
_LONGEST = 500  # characters of a message that a failure is recorded with

Remaining = Callable[[], int]


class Batch:
    """The three steps. `bucket` opens one by its name."""

    def __init__(self, settings: Settings, bucket: Callable[[str], Store] = S3) -> None:
        self.settings, self.bucket = settings, bucket
        self.results = bucket(settings.results)

    @cached_property
    def classifier(self) -> Classifier:
        return Classifier.load(self.settings.bundle, self.settings.bundle_digest)

    def plan(self, event: Any, remaining: Remaining = lambda: 900_000) -> Facts:
        """From an event of S3 to a job and the place of its chunks, as the state machine hands them on.

        `status` is "planned"; or "done" or "rejected" if the job has its receipt. Raises EventError, StorageError,
        OutOfTimeError.
        """
        name, key, version = requested(event, self.settings.results)
        inbox, started = self.bucket(name), jobs.now()
        source = inbox.source(key, version)
        model = jobs.identity(Bundle.open(self.settings.bundle, self.settings.bundle_digest))
        work = jobs.work_key(source, model, self.options)
        folder = f"results/{work}/"
        if known := jobs.manifest(self.results, folder):
            return {"status": known["status"], "work": work}
        try:
            if source.bytes > MAX_INPUT_BYTES:
                raise RowsError("too_large")
            job, chunks = jobs.plan(_Hurried(inbox, remaining), source, model, self.options, folder)
        except RowsError as error:
            jobs.reject(self.results, folder, source, model, self.options, error)
            return {"status": "rejected", "work": work}
        place = {"bucket": self.settings.results, "key": f"plans/{work}/chunks.json"}
        listed = canonical([{"number": number, **chunk._asdict()} for number, chunk in enumerate(chunks)])
        jobs.settle(self.results, place["key"], listed)
        return {"status": "planned", "work": work, "job": job.to_dict(), "chunks": place, "started": started}

    def score(
        self,
        event: Facts,
        remaining: Remaining = lambda: 900_000,
        seen: Callable[[Sequence[Prediction]], None] = lambda predictions: None,
    ) -> Facts:
        """One chunk of a job, whose predictions `seen` is told of. Raises what candor.jobs.score does."""
        job, chunk = Job.from_dict(event["job"]), dict(event["chunk"])
        number = chunk.pop("number")
        inbox = self.bucket(job.source.bucket)
        place = job, number, Chunk(**chunk), inbox, self.results
        jobs.score(*place, self.classifier, lambda: remaining() < MARGIN, seen)
        return {}

    def finish(self, event: Facts) -> Facts:
        """The receipt; or, of a job that failed, a note of where and why. Raises StorageError, ConflictError."""
        if "failure" in event:
            return self._failed(event["failure"])
        job = Job.from_dict(event["job"])
        listed = json.loads(self.results.get(event["chunks"]["key"]))
        chunks = [Chunk(*(each[name] for name in Chunk._fields)) for each in listed]
        found = jobs.finish(job, chunks, self.results, event["started"])
        return {"status": found["status"], "work": job.key, "counts": found["counts"]}

    def _failed(self, failure: Facts) -> Facts:
        """A note apart from the receipt, because the same job may still succeed: nothing that was made is lost."""
        name, key, version = requested(failure["event"], self.settings.results)
        about = {
            "status": "failed",
            "input": {"bucket": name, "key": key, "version": version},
            "error": _reason(failure["error"]),
            "remedy": "Start the state machine again with the same input: it goes on from what is there.",
            "finished": jobs.now(),
        }
        self.results.create(f"failed/{quote(failure['execution'], safe='')}.json", canonical(about))
        return {"status": "failed"}

    @property
    def options(self) -> Options:
        its = self.settings
        seen = its.explain, its.redact, its.text
        return Options(its.text_column, its.id_column, its.min_confidence, *seen, its.chunk_rows)


class _Hurried:
    """A store whose reads end when time does: a plan that is killed says nothing."""

    def __init__(self, store: Store, remaining: Remaining) -> None:
        self.store, self.remaining = store, remaining

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def blocks(self, source: Source, begin: int = 0, end: int | None = None) -> Any:
        for block in self.store.blocks(source, begin, end):
            if self.remaining() < MARGIN:
                raise OutOfTimeError("the file takes too long to plan; split it")
            yield block


def requested(event: Any, results: str) -> tuple[str, str, str]:
    """Bucket, key and version of the object that an EventBridge event of S3 says was created. Raises EventError.

    Its sequencer is not needed: each version is a job of its own, in whatever order events come.
    """
    detail = event.get("detail") if isinstance(event, Mapping) else None
    if not isinstance(detail, Mapping) or event.get("source") != "aws.s3":
        raise EventError("the event is none of S3's, as EventBridge delivers them")
    if event.get("detail-type") != "Object Created":
        raise EventError("the event is not of an object that was created")
    bucket, thing = detail.get("bucket"), detail.get("object")
    if not isinstance(bucket, Mapping) or not isinstance(thing, Mapping):
        raise EventError("the event names no object")
    name, key, version = bucket.get("name"), thing.get("key"), thing.get("version-id") or ""
    if not (isinstance(name, str) and isinstance(key, str) and isinstance(version, str) and name and key):
        raise EventError("the event names no object")
    if name == results:
        raise EventError("the object is a result: no job starts on its own output")
    if key.endswith("/"):
        raise EventError("the object stands for a folder")
    return name, key, "" if version == "null" else version


def _reason(error: Facts) -> Facts:
    """Code and message of what Step Functions caught: of a message only the line that is ours, if it is."""
    try:
        detail = json.loads(error.get("Cause", ""))["errorMessage"]
    except (ValueError, KeyError, TypeError):
        detail = ""
    return {"code": str(error.get("Error", ""))[:_LONGEST], "detail": str(detail)[:_LONGEST]}
