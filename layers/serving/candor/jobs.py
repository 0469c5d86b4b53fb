"""Batch jobs: plan, score and finish, the same three steps on one machine and on many.

A job is named by all that its results depend on, and its parts have the same bytes whoever makes them, however often.
So every step may be done twice, at the same time, or again after it was killed half-way: an object is created whole,
and only where there is none. manifest.json is the last: where it is, all is.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from tempfile import SpooledTemporaryFile
from typing import IO, Any, cast

from candor import rows
from candor.bundle import Bundle, canonical
from candor.classifier import Classifier, Prediction
from candor.errors import ConflictError, MissingError, ModelChangedError, OutOfTimeError
from candor.explain import Explainer
from candor.redact import redact
from candor.rows import ERRORS, FAULTS, Chunk, Format, Row, RowsError
from candor.storage import Source, Store, sha256

VERSION = 1  # of what results say; a change of it makes every job a new one
CHUNK_ROWS = 20_000
CHUNK_BYTES = 16 << 20
PACKED = 16  # times as much for what cannot be read from its middle
_BLOCK = 1024  # rows a pass
_IN_MEMORY = 32 << 20  # bytes of a part, and then it goes to a temporary file

Facts = dict[str, Any]
Kind = tuple[bytes, bytes, bytes]
Map = Callable[..., Iterable[Any]]


@dataclass(frozen=True)
class Options:
    """What changes a result, but for input and model."""

    text_column: str = "text"
    id_column: str = "id"
    min_confidence: float | None = None
    explain: bool = False
    redact: bool = True
    """Whether the model sees texts redacted."""
    text: str = ""
    """The mode of candor.redact in which results repeat the text, with what was found; empty: they don't."""
    rows: int = CHUNK_ROWS
    """Of a part, at most."""
    bytes: int = CHUNK_BYTES


@dataclass(frozen=True)
class Job:
    """What every step has to know. `folder` is where its results go, with a slash at its end."""

    key: str
    folder: str
    source: Source
    sha256: str
    model: Facts
    options: Options
    format: Format
    chunks: int

    def to_dict(self) -> Facts:
        return {**asdict(self), "format": self.format.to_dict()}

    @classmethod
    def from_dict(cls, value: Facts) -> "Job":
        made = {"source": Source(**value["source"]), "options": Options(**value["options"])}
        return cls(**{**value, **made, "format": Format.from_dict(value["format"])})

    def part(self, number: int) -> str:
        return f"{self.folder}part-{number:05}.jsonl"


def identity(bundle: Bundle) -> Facts:
    return {"name": bundle.model["name"], "version": bundle.model["version"], "sha256": bundle.digest}


def work_key(source: Source, model: Facts, options: Options) -> str:
    """Bucket, key, version (or else ETag and size), model, settings, and the version of this code: 32 hex digits."""
    place = [source.bucket, source.key, source.version or [source.etag, source.bytes]]
    return hashlib.sha256(canonical([VERSION, place, model["sha256"], asdict(options)])).hexdigest()[:32]


# Plan


def plan(
    inbox: Store,
    source: Source,
    model: Facts,
    options: Options,
    folder: str,
    found: Callable[[Job, Chunk], None] = lambda job, chunk: None,
) -> tuple[Job, list[Chunk]]:
    """A job and its chunks, from all of the file's bytes, once. Raises RowsError and StorageError.

    `found` is told of each chunk at once, with the job as far as it is known, which is enough to score it.
    """
    shape = Format.of(source.key, options.text_column, options.id_column)
    digest = hashlib.sha256()
    times = 1 if shape.direct else PACKED
    bytes_each, rows_each = options.bytes * times, options.rows * times
    chunks: list[Chunk] = []
    try:
        shape, parts = rows.plan(_hashed(inbox.blocks(source), digest), shape, bytes_each, rows_each)
        job = Job(work_key(source, model, options), folder, source, "", model, options, shape, 0)
        for chunk in parts:
            chunks.append(chunk)
            found(job, chunk)
    except RowsError as error:
        raise RowsError(error.code, source.key) from None
    return replace(job, sha256=digest.hexdigest(), chunks=len(chunks)), chunks


def _hashed(blocks: Iterable[bytes], digest: Any) -> Iterator[bytes]:
    for block in blocks:
        digest.update(block)
        yield block


# Score


def score(
    job: Job,
    number: int,
    chunk: Chunk,
    inbox: Store,
    results: Store,
    classifier: Classifier,
    out_of_time: Callable[[], bool] = lambda: False,
    seen: Callable[[Sequence[Prediction]], None] = lambda predictions: None,
) -> None:
    """Makes one part, unless it is there. Raises StorageError, ModelChangedError, OutOfTimeError, ConflictError.

    `seen` is told of all predictions, a block at a time.
    """
    if classifier.bundle.digest != job.model["sha256"]:
        raise ModelChangedError("the job was planned with another model than the one that is here")
    if results.digest(job.part(number)) is not None:
        return
    with SpooledTemporaryFile(_IN_MEMORY) as part:
        for block in scored(job, chunk, inbox, classifier, seen):
            if out_of_time():
                raise OutOfTimeError("a part was given up, for want of time; smaller ones take less")
            part.write(block)
        settle(results, job.part(number), cast(IO[bytes], part))


def scored(
    job: Job,
    chunk: Chunk,
    inbox: Store,
    classifier: Classifier,
    seen: Callable[[Sequence[Prediction]], None] = lambda predictions: None,
) -> Iterator[bytes]:
    """A chunk's results as JSON lines, a block of rows at a time."""
    bounds = (chunk.begin, chunk.end) if job.format.direct else ()
    line = Line(classifier, job.options)
    for block in rows.blocks(rows.read_chunk(inbox.blocks(job.source, *bounds), job.format, chunk), _BLOCK):
        texts = [row.text for row in block if not row.error]
        predictions = classifier.predict(texts, redact=job.options.redact)
        seen(predictions)
        each = iter(predictions)
        yield "".join([line(row, None if row.error else next(each)) for row in block]).encode()


def settle(results: Store, key: str, content: bytes | IO[bytes]) -> None:
    """Creates an object, or finds that it is there with the same bytes. Raises ConflictError, StorageError."""
    if not results.create(key, content) and results.digest(key) != sha256(content):
        raise ConflictError("there is an object with other bytes where this job's would go")


class Line:
    """Results as JSON, as json.dumps would write them, in a quarter of its time."""

    def __init__(self, classifier: Classifier, options: Options) -> None:
        asked = options.min_confidence
        self.least = classifier.min_confidence if asked is None else asked
        self.names = {name: _json(name) for name in (*classifier.bundle.labels, "uncertain")}
        self.errors = {code: _json({"code": code, "detail": detail}) for code, detail in ERRORS.items()}
        self.explainer = Explainer(classifier) if options.explain else None
        self.text = options.text

    def __call__(self, row: Row, prediction: Prediction | None) -> str:
        name = "" if row.id is None else f',"id":{_json(row.id)}'
        if prediction is None:
            return f'{{"line":{row.line}{name},"error":{self.errors[row.error]}}}\n'
        names, label = self.names, prediction.label
        shares = ",".join([f"{names[label]}:{share!r}" for label, share in prediction.probabilities.items()])
        warnings = _json(prediction.warnings) if prediction.warnings else "[]"
        return (
            f'{{"line":{row.line}{name},"label":{names[label]},"decision":{names[prediction.decision(self.least)]},'
            f'"probabilities":{{{shares}}},"tokens":{prediction.tokens},"warnings":{warnings}'
            f"{self._attributions(row.text, label) if self.explainer else ''}"
            f"{self._redacted(row.text) if self.text else ''}}}\n"
        )

    def _attributions(self, text: str, label: str) -> str:
        assert self.explainer
        found = self.explainer(text, label)
        values = zip(found.spans, found.values.tolist(), strict=True)
        return ',"attributions":' + _json(
            [{"begin": begin, "end": end, "value": round(value, 6)} for (begin, end), value in values]
        )

    def _redacted(self, text: str) -> str:
        done = redact(text, self.text)
        return f',"text":{_json(done.text)},"pii":' + _json([entity._asdict() for entity in done.entities])


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


# Finish


def finish(
    job: Job, chunks: Iterable[Chunk], results: Store, started: str = "", mapped: Map = map, **more: Any
) -> Facts:
    """The receipt, written once all parts are there. Raises StorageError, and ConflictError where they don't add up.

    `mapped` reads the parts, each alone: map, or that of a pool.
    """
    if known := manifest(results, job.folder):
        return known
    facts = {"status": "done", **tally(results, [job.part(number) for number in range(job.chunks)], mapped)}
    if [part["rows"] for part in facts["parts"]] != [chunk.rows for chunk in chunks]:
        raise ConflictError("the parts have not as many rows as the plan")
    return _conclude(
        results, job.folder, _about(job.key, job.source, job.sha256, job.model, job.options) | facts, started, more
    )


def reject(results: Store, folder: str, source: Source, model: Facts, options: Options, error: RowsError) -> Facts:
    """The receipt of a file that cannot be read, whatever is tried."""
    facts = {"status": "rejected", "error": {"code": error.code, "detail": FAULTS[error.code]}, **tally(results, [])}
    return _conclude(
        results, folder, _about(work_key(source, model, options), source, "", model, options) | facts, "", {}
    )


def _about(key: str, source: Source, sha256: str, model: Facts, options: Options) -> Facts:
    return {
        "work": key,
        "input": {**source.to_dict(), "sha256": sha256},
        "model": model,
        "settings": asdict(options),
        "code_version": VERSION,
    }


def _conclude(results: Store, folder: str, facts: Facts, started: str, more: Mapping[str, Any]) -> Facts:
    times = {"started": started or now(), "finished": now()}
    mine = {**facts, "times": times, **more}
    if results.create(f"{folder}manifest.json", canonical(mine)):
        return mine
    winner = manifest(results, folder)
    if winner is None or any(winner.get(name) != value for name, value in facts.items()):
        raise ConflictError("there is a receipt that says otherwise")
    return winner


def manifest(results: Store, folder: str) -> Facts | None:
    """The receipt of a job, if it is finished."""
    try:
        found: Facts = json.loads(results.get(f"{folder}manifest.json"))
    except MissingError:
        return None
    return found


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def tally(results: Store, parts: Iterable[str], mapped: Map = map) -> Facts:
    """What parts hold, read from themselves: their digests, and how many rows ended how. Raises MissingError."""
    kinds, described = Counter[Kind](), []
    for part, its_kinds in mapped(partial(_tally, results), parts):
        described.append(part)
        kinds += its_kinds
    labels, decisions, errors = (_sums(kinds, place) for place in range(3))
    scored, failed = sum(labels.values()), sum(errors.values())
    counts: Facts = {"read": scored + failed, "scored": scored, "failed": failed}
    return {"parts": described, "counts": counts | {"labels": labels, "decisions": decisions, "errors": errors}}


def _tally(results: Store, key: str) -> tuple[Facts, Counter[Kind]]:
    digest, kinds = hashlib.sha256(), Counter[Kind]()
    for line in results.lines(key):
        digest.update(line)
        kinds[_kind(line)] += 1
    return {"name": key.rpartition("/")[2], "rows": kinds.total(), "sha256": digest.hexdigest()}, kinds


_STRING = rb'"(?:[^"\\]|\\.)*+"'
_KIND = re.compile(
    rb'\{"line":\d+(?:,"id":' + _STRING + rb')?,(?:"label":(' + _STRING + rb'),"decision":(' + _STRING + rb")"
    rb'|"error":\{"code":(' + _STRING + rb"))"
)


def _kind(line: bytes) -> Kind:
    """Label, decision and error code of a result, whose start is as Line writes it; no more of it is read."""
    found = _KIND.match(line)
    if not found:
        raise ConflictError("a part holds what is no result")
    label, decision, code = found.groups(b'""')
    return label, decision, code


def _sums(kinds: Counter[Kind], place: int) -> dict[str, int]:
    sums = Counter[str]()
    for kind, count in kinds.items():
        if name := json.loads(kind[place]):
            sums[name] += count
    return dict(sums)


# Verify


def verify(receipt: Facts, folder: str, results: Store, inbox: Store | None, classifier: Classifier) -> str:
    """The first thing that a receipt says and that does not hold, in a sentence; empty if all does.

    Without an inbox the parts are held against the receipt only. Raises StorageError.
    """
    options, source = Options(**receipt["settings"]), _source(receipt["input"])
    if receipt["work"] != work_key(source, receipt["model"], options):
        return "the receipt's name for the job is not that of its input, model and settings"
    for part in receipt["parts"]:
        if results.digest(folder + part["name"]) != part["sha256"]:
            return f"{part['name']} is missing or is not the one of the receipt"
    found = tally(results, [folder + part["name"] for part in receipt["parts"]])
    for name in ("parts", "counts"):
        if found[name] != receipt[name]:
            return f"the receipt's {name} are not those of the parts"
    return _again(receipt, source, options, inbox, classifier) if inbox else ""


def _again(receipt: Facts, source: Source, options: Options, inbox: Store, classifier: Classifier) -> str:
    """Everything once more, from the input."""
    name = source.key.rpartition("/")[2]
    if inbox.source(source.key, source.version) != source:
        return f"{name} is not the file that was scored"
    if receipt["model"] != identity(classifier.bundle):
        return "the model is not the one that is here"
    job, chunks = plan(inbox, source, receipt["model"], options, "")
    if job.sha256 != receipt["input"]["sha256"]:
        return f"{name} is not the file that was scored"
    if len(chunks) != len(receipt["parts"]):
        return "the input makes another number of parts"
    for part, chunk in zip(receipt["parts"], chunks, strict=True):
        digest = hashlib.sha256()
        for block in scored(job, chunk, inbox, classifier):
            digest.update(block)
        if digest.hexdigest() != part["sha256"]:
            return f"{part['name']} is not what the model says of the input"
    return ""


def _source(said: Facts) -> Source:
    return Source(**{name: said[name] for name in ("bucket", "key", "version", "etag", "bytes")})
