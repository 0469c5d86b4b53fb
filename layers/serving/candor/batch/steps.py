"""Batch jobs on AWS: the steps that the three functions of the state machine run.

Plan cuts an object of the inbox into chunks, score labels each chunk, and finish writes the manifest. candor.batch.jobs
does the work, here as on one machine. Every step may run again, at the same time or after a crash.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any
from urllib.parse import quote

from candor.batch import jobs, manifests
from candor.batch.formats import DEFAULT_TEXT, Reading
from candor.batch.jobs import Job, JsonObject, Options
from candor.batch.rows import Chunk, RowsError
from candor.errors import EventError, JobError, OutOfTimeError
from candor.limits import MAX_INPUT_BYTES, MAX_PARTS
from candor.model.bundle import Bundle, canonical
from candor.model.classifier import Classifier, Prediction
from candor.settings import Settings
from candor.storage import S3, Source, Store

MARGIN = 20_000  # milliseconds before its timeout at which a function stops by itself
_MAX_DETAIL = 500  # characters of an error's code or message that the note of a failure holds

Remaining = Callable[[], int]
"""Returns the milliseconds that are left to the function."""


class Batch:
    """The three steps, with what a warm function keeps between events.

    Args:
        settings: Configuration of the function.
        open_bucket: Opens a bucket by its name.
    """

    def __init__(self, settings: Settings, open_bucket: Callable[[str], Store] = S3) -> None:
        self.settings, self.open_bucket = settings, open_bucket
        self.results = open_bucket(settings.results_bucket)

    @cached_property
    def classifier(self) -> Classifier:
        """The model, loaded when it is first used: plan and finish need none."""
        return Classifier.load(self.settings.bundle, self.settings.bundle_digest)

    def plan(self, event: Any, remaining: Remaining = lambda: 900_000) -> JsonObject:
        """Plan a job for an object that was created in the inbox.

        Args:
            event: An event of S3, "Object Created": whole, or what the template's rule hands on of it.
            remaining: Returns the milliseconds that are left to the function.

        Returns:
            The state machine's next input. "status" is "planned", with the job, the key of its chunks and how many are
            to be scored at a time, or the status of the manifest that exists already: "done" or "rejected".

        Raises:
            EventError: The event does not ask for a job.
            JobError: The object has more than MAX_PARTS chunks.
            ConflictError: The job's manifest was changed after it was written.
            OutOfTimeError: The object is too large to plan before the function's timeout.
            StorageError: A bucket fails.
        """
        name, key, version = requested(event, self.settings.results_bucket)
        inbox, started = self.open_bucket(name), manifests.now()
        source = inbox.source(key, version)
        model = Bundle.open(self.settings.bundle, self.settings.bundle_digest).identity
        job_id = jobs.new_job_id(source, model, self.options)
        folder = f"results/{job_id}/"
        if existing := manifests.read(self.results, folder):
            return {"status": existing["status"], "work": job_id}
        try:
            if source.bytes > MAX_INPUT_BYTES:
                raise RowsError("too_large")
            job, chunks = jobs.plan(DeadlineStore(inbox, remaining), source, model, self.options, folder)
        except RowsError as error:
            manifests.reject(self.results, folder, source, model, self.options, error)
            return {"status": "rejected", "work": job_id}
        if len(chunks) > MAX_PARTS:
            raise JobError(
                f"the file has {len(chunks):,} parts; at most {MAX_PARTS:,} are allowed. "
                "Raise the rows of a part (BatchChunkRows), or split the file at line ends"
            )
        listed = {"bucket": self.settings.results_bucket, "key": f"plans/{job_id}/chunks.json"}
        content = canonical([{"number": number, **chunk._asdict()} for number, chunk in enumerate(chunks)])
        jobs.put_if_absent_or_verify(self.results, listed["key"], content)
        planned = {"status": "planned", "work": job_id, "job": job.to_dict(), "chunks": listed, "started": started}
        return {**planned, "concurrency": self.settings.concurrency}

    def score(
        self,
        event: JsonObject,
        remaining: Remaining = lambda: 900_000,
        on_predictions: Callable[[Sequence[Prediction]], None] = lambda predictions: None,
    ) -> JsonObject:
        """Score one chunk of a job.

        Args:
            event: "job" and "chunk", as plan() returns and lists them.
            remaining: Returns the milliseconds that are left to the function.
            on_predictions: Called with the predictions of each block of rows.

        Raises:
            EventError: The event has no job or no chunk.
            JobError, StorageError: As candor.batch.jobs.score does.
        """
        check_objects(event, "job", "chunk")
        job, chunk = Job.from_dict(event["job"]), dict(event["chunk"])
        number = chunk.pop("number")
        inbox = self.open_bucket(job.source.bucket)
        target = job, number, Chunk(**chunk), inbox, self.results
        jobs.score(*target, self.classifier, lambda: remaining() < MARGIN, on_predictions)
        return {}

    def finish(self, event: JsonObject) -> JsonObject:
        """Write the manifest of a job, or the note of a failure.

        Args:
            event: What plan() returned; or "failure", with the name, the event and the error of a failed execution, and
                with the number of the chunk that could not be scored, if it was that.

        Raises:
            EventError: The event has neither, or names no object whose job failed.
            ConflictError: A part was changed after it was written, the parts do not match the plan, or a different
                manifest exists.
            StorageError: A bucket fails, or a part is missing.
        """
        if isinstance(event, Mapping) and "failure" in event:
            check_objects(event, "failure")
            return self._note_failure(event["failure"])
        check_objects(event, "job", "chunks")
        job = Job.from_dict(event["job"])
        listed = json.loads(self.results.get(event["chunks"]["key"]))
        chunks = [Chunk(*(chunk[name] for name in Chunk._fields)) for chunk in listed]
        written = manifests.finish(job, chunks, self.results, event["started"])
        return {"status": written["status"], "work": job.key, "counts": written["counts"]}

    def _note_failure(self, failure: JsonObject) -> JsonObject:
        """Write a note apart from the manifest. The parts stay, because the same job may still succeed.

        An execution's first note stays: it has the error of a chunk, where Step Functions says only that some failed.
        """
        check_objects(failure, "event", "error")
        name, key, version = requested(failure["event"], self.settings.results_bucket)
        note = {
            "status": "failed",
            "input": {"bucket": name, "key": key, "version": version},
            **{name: failure[name] for name in ("chunk",) if name in failure},
            "error": _reason(failure["error"]),
            "remedy": "Start the state machine again with the same input; finished parts are kept.",
            "finished": manifests.now(),
        }
        self.results.create(f"failed/{quote(failure['execution'], safe='')}.json", canonical(note))
        return {"status": "failed"}

    @property
    def options(self) -> Options:
        """The settings that change results."""
        settings = self.settings
        return Options(
            None if settings.text_column == DEFAULT_TEXT else settings.text_column,
            settings.id_column,
            settings.min_confidence,
            settings.explain,
            settings.redact,
            settings.with_text,
            settings.chunk_rows,
            reading=Reading(settings.delimiter, settings.encoding, settings.header),
        )


class DeadlineStore:
    """A store whose reads stop before the function's timeout. A function that is killed cannot report why."""

    def __init__(self, store: Store, remaining: Remaining) -> None:
        self.store, self.remaining = store, remaining

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def blocks(self, source: Source, begin: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield bytes [begin, end) of a source. Raises OutOfTimeError when less than MARGIN is left."""
        for block in self.store.blocks(source, begin, end):
            if self.remaining() < MARGIN:
                raise OutOfTimeError("time ran out before the file was planned; split it at line ends")
            yield block


def check_objects(event: Any, *names: str) -> None:
    """Check that an event has an object under each name, as the state machine's events have.

    Raises:
        EventError: It has not, as may be when the function is invoked directly.

    Example:
        >>> check_objects({"job": {}, "chunk": 1}, "job", "chunk")
        Traceback (most recent call last):
        candor.errors.EventError: the event is not the state machine's; expected the objects job and chunk
    """
    if not isinstance(event, Mapping) or not all(isinstance(event.get(name), Mapping) for name in names):
        listed = f"objects {' and '.join(names)}" if len(names) > 1 else f"object {names[0]}"
        raise EventError(f"the event is not the state machine's; expected the {listed}")


def requested(event: Any, results_bucket: str) -> tuple[str, str, str]:
    """Return the bucket, key and version of the object that an event says was created.

    The event's sequencer is ignored: each version is a job of its own, in whatever order events arrive.

    Args:
        event: An EventBridge event of S3, "Object Created".
        results_bucket: Name of the bucket for results, whose objects start no job.

    Raises:
        EventError: The event does not ask for a job.

    Example:
        >>> detail = {"bucket": {"name": "inbox"}, "object": {"key": "a.csv", "version-id": "v1"}}
        >>> requested({"source": "aws.s3", "detail-type": "Object Created", "detail": detail}, "results")
        ('inbox', 'a.csv', 'v1')
    """
    detail = event.get("detail") if isinstance(event, Mapping) else None
    if not isinstance(detail, Mapping) or event.get("source") != "aws.s3":
        raise EventError("the event is not an S3 event as EventBridge delivers it; expected source aws.s3")
    if event.get("detail-type") != "Object Created":
        raise EventError("the event is not about a created object; expected detail-type Object Created")
    bucket, described = detail.get("bucket"), detail.get("object")
    if not isinstance(bucket, Mapping) or not isinstance(described, Mapping):
        raise EventError("the event names no object; expected detail.bucket and detail.object")
    name, key, version = bucket.get("name"), described.get("key"), described.get("version-id") or ""
    if not (isinstance(name, str) and isinstance(key, str) and isinstance(version, str) and name and key):
        raise EventError("the event names no object; expected detail.bucket.name and detail.object.key")
    if name == results_bucket:
        raise EventError("the object is in the bucket for results, which starts no job; put inputs in the inbox")
    if key.endswith("/"):
        raise EventError("the object is a folder marker, not a file")
    return name, key, "" if version == "null" else version


def _reason(error: JsonObject) -> JsonObject:
    """Return code and message of an error that Step Functions caught. Of its cause only the message is kept."""
    try:
        detail = json.loads(error.get("Cause", ""))["errorMessage"]
    except (ValueError, KeyError, TypeError):
        detail = ""
    return {"code": str(error.get("Error", ""))[:_MAX_DETAIL], "detail": str(detail)[:_MAX_DETAIL]}
