"""Batch jobs in three steps, plan, score and finish: the same on one machine and on AWS.

Jobs are deterministic and idempotent. The job id hashes input, model and options. Parts are byte-identical
whichever process writes them. Objects are created whole, and only if absent. So every step may run twice, at the same
time, or again after it was killed. manifest.json is written last: if it is there, all parts are.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from tempfile import SpooledTemporaryFile
from typing import IO, Any, cast

from candor.batch import rows
from candor.batch.formats import DEFAULT_TEXT, RULES
from candor.batch.rows import ERRORS, FAULTS, Chunk, Format, Reading, Row, RowsError
from candor.errors import ConflictError, MissingError, ModelChangedError, OutOfTimeError
from candor.limits import CHUNK_BYTES, CHUNK_ROWS
from candor.model.bundle import canonical
from candor.model.classifier import Classifier, Prediction
from candor.model.explain import Explainer
from candor.redact import redact
from candor.storage import Source, Store, sha256

VERSION = RULES  # of the results' content; a change makes every job a new one
COMPRESSED_CHUNK_FACTOR = 16  # gzip and UTF-16 are not seekable: fewer, larger chunks
_BLOCK = 1024  # rows scored in one pass
_IN_MEMORY = 32 << 20  # bytes of a part that are held in memory; a larger part goes to a temporary file

JsonObject = dict[str, Any]
Map = Callable[..., Iterable[Any]]
Outcome = tuple[bytes, bytes, bytes]
"""Label, decision and error code of a row, each a JSON string, or '""' if there is none."""


@dataclass(frozen=True)
class Options:
    """The settings that change results. Their names and values are part of the job id and of the manifest."""

    text_column: str | None = None
    """None: the column `text`, or else what is clearly the texts."""
    id_column: str = "id"
    min_confidence: float | None = None
    """Probability below which a decision is "uncertain"; None: the model's own threshold."""
    explain: bool = False
    """Add the attributions of tokens to each result."""
    redact: bool = True
    """Redact personal data before the model reads a text."""
    text: str = ""
    """Mode of candor.redact in which results repeat the text, with its entities; empty: results hold no text."""
    rows: int = CHUNK_ROWS
    """Maximum rows per part."""
    bytes: int = CHUNK_BYTES
    """Bytes of input after which a part ends."""
    reading: Reading = field(default_factory=Reading)
    """What the user says about the file."""
    columns: bool = False
    """Repeat the other columns of the input in each result, redacted in the mode of `text`, or else in "replace"."""

    def to_dict(self) -> JsonObject:
        """Return the options as JSON: what is said about the file, and `columns`, only where something is."""
        said = {name: value for name, value in asdict(self.reading).items() if value != getattr(Reading(), name)}
        values = {**asdict(self), "text_column": self.text_column or DEFAULT_TEXT}
        del values["reading"]
        if not self.columns:
            del values["columns"]
        return {**values, "reading": said} if said else values

    @classmethod
    def from_dict(cls, value: JsonObject) -> "Options":
        """Return the options that to_dict() was called on.

        A job that names the column `text` and one that names none have the same results, since both read that column if
        there is one.
        """
        text = None if value["text_column"] == DEFAULT_TEXT else value["text_column"]
        return cls(**{**value, "text_column": text, "reading": Reading(**value.get("reading", {}))})


@dataclass(frozen=True)
class Job:
    """The facts about a job that every step needs."""

    key: str
    """The job id, as job_id() returns it."""
    folder: str
    """Prefix of the results' keys, with a slash at its end."""
    source: Source
    sha256: str
    """SHA-256 (hex) of the input; empty until all of it was read."""
    model: JsonObject
    """Name, version and digest of the model, as Bundle.identity has them."""
    options: Options
    format: Format
    chunks: int
    """Number of chunks, which is the number of parts; 0 until all of the input was read."""
    blank: int = 0
    """Number of blank lines, which are no rows; 0 until all of the input was read."""

    def to_dict(self) -> JsonObject:
        """Return the job as JSON values, for the state machine to hand on."""
        return {**asdict(self), "options": self.options.to_dict(), "format": self.format.to_dict()}

    @classmethod
    def from_dict(cls, value: JsonObject) -> "Job":
        """Return the job that to_dict() was called on."""
        fields = {"source": Source(**value["source"]), "options": Options.from_dict(value["options"])}
        return cls(**{**value, **fields, "format": Format.from_dict(value["format"])})

    def part(self, number: int) -> str:
        """Return the key of a part, numbered from 0."""
        return f"{self.folder}part-{number:05}.jsonl"


def job_id(source: Source, model: JsonObject, options: Options, version: int = VERSION) -> str:
    """Hash everything that results depend on: the source, the model, the options and the version.

    Returns:
        32 hex digits. The source counts by bucket, key and version, or by ETag and size if it has no version.

    Example:
        >>> job_id(Source("inbox", "a.csv", "v1", "", 0), {"sha256": "0" * 64}, Options())
        '752964c2d3ccec4061b56f70f9c42bbf'
    """
    state = source.version or [source.etag, source.bytes]
    inputs = [version, [source.bucket, source.key, state], model["sha256"], options.to_dict()]
    return hashlib.sha256(canonical(inputs)).hexdigest()[:32]


# Plan


def plan(
    inbox: Store,
    source: Source,
    model: JsonObject,
    options: Options,
    folder: str,
    on_chunk: Callable[[Job, Chunk], None] = lambda job, chunk: None,
    version: int = VERSION,
) -> tuple[Job, list[Chunk]]:
    """Read a file once and cut it into chunks.

    Args:
        inbox: Store that holds the file.
        source: The file.
        model: Identity of the model, as Bundle.identity has it.
        options: Settings of the job.
        folder: Prefix of the results' keys, with a slash at its end.
        on_chunk: Called with each chunk as soon as it is cut, and with a job that lacks the input's digest and the
            number of chunks. That is enough to score the chunk.
        version: Of the rules by which bytes become rows.

    Raises:
        RowsError: The file cannot be read, and trying again will not help.
        StorageError: The store fails.
    """
    shape = Format.of(source.key, options.text_column, options.id_column, options.reading)
    shape = replace(shape, rules=version, kept=() if options.columns else None)
    if version == 1:  # it knew one column and one delimiter
        shape = replace(shape, text_column=options.text_column or DEFAULT_TEXT, delimiter=",")
    digest = hashlib.sha256()
    factor = 1 if shape.seekable else COMPRESSED_CHUNK_FACTOR
    chunks: list[Chunk] = []
    blank = 0

    def count_blank() -> None:
        nonlocal blank
        blank += 1

    try:
        blocks = _update(digest, inbox.blocks(source))
        shape, planned = rows.plan(blocks, shape, options.bytes * factor, options.rows * factor, count_blank)
        job = Job(job_id(source, model, options, version), folder, source, "", model, options, shape, 0)
        for chunk in planned:
            chunks.append(chunk)
            on_chunk(job, chunk)
    except RowsError as error:
        raise error.named(source.key) from None
    return replace(job, sha256=digest.hexdigest(), chunks=len(chunks), blank=blank), chunks


def _update(digest: Any, blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield blocks, and add each to a digest."""
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
    on_predictions: Callable[[Sequence[Prediction]], None] = lambda predictions: None,
) -> None:
    """Score one chunk and write its part, unless the part exists.

    Args:
        job: The job, as plan() returns it.
        number: Number of the chunk, from 0.
        chunk: The chunk.
        inbox: Store that holds the input.
        results: Store that the part is written to.
        classifier: The model that the job was planned with.
        out_of_time: Asked after each block of rows; True stops the work.
        on_predictions: Called with the predictions of each block of rows.

    Raises:
        ModelChangedError: The classifier is not the model of the job.
        OutOfTimeError: `out_of_time` returned True; nothing was written.
        ConflictError: A part with different content exists.
        StorageError: A store fails.
    """
    if classifier.bundle.digest != job.model["sha256"]:
        raise ModelChangedError("the job was planned with a different model; start a new job for the same input")
    if results.digest(job.part(number)) is not None:
        return
    with SpooledTemporaryFile(_IN_MEMORY) as part:
        for block in score_lines(job, chunk, inbox, classifier, on_predictions):
            if out_of_time():
                raise OutOfTimeError("time ran out before the part was scored; lower its rows (BatchChunkRows)")
            part.write(block)
        put_if_absent_or_verify(results, job.part(number), cast(IO[bytes], part))


def score_lines(
    job: Job,
    chunk: Chunk,
    inbox: Store,
    classifier: Classifier,
    on_predictions: Callable[[Sequence[Prediction]], None] = lambda predictions: None,
) -> Iterator[bytes]:
    """Yield the results of a chunk as JSON lines, a block of rows at a time. Raises StorageError."""
    bounds = (chunk.begin, chunk.end) if job.format.seekable else ()
    encode = ResultEncoder(classifier, job.options)
    for block in rows.blocks(rows.read_chunk(inbox.blocks(job.source, *bounds), job.format, chunk), _BLOCK):
        texts = [row.text for row in block if not row.error]
        predictions = classifier.predict(texts, redact=job.options.redact)
        on_predictions(predictions)
        remaining = iter(predictions)
        yield "".join([encode(row, None if row.error else next(remaining)) for row in block]).encode()


def put_if_absent_or_verify(store: Store, key: str, content: bytes | IO[bytes]) -> None:
    """Create an object, or check that it exists with the same content.

    Raises:
        ConflictError: The object exists with different content.
        StorageError: The store fails.
    """
    if not store.create(key, content) and store.digest(key) != sha256(content):
        name = key.rpartition("/")[2]
        raise ConflictError(f"{name} exists with different content; delete the job's results and start it again")


class ResultEncoder:
    """Encode results as JSON lines: the bytes of json.dumps in a quarter of its time."""

    def __init__(self, classifier: Classifier, options: Options) -> None:
        chosen = options.min_confidence
        self.min_confidence = classifier.min_confidence if chosen is None else chosen
        self.names = {name: _json(name) for name in (*classifier.bundle.labels, "uncertain")}
        self.errors = {code: _json({"code": code, "detail": detail}) for code, detail in ERRORS.items()}
        self.explainer = Explainer(classifier) if options.explain else None
        self.text_mode = options.text
        self.columns_mode = (options.text or "replace") if options.columns else ""

    def __call__(self, row: Row, prediction: Prediction | None) -> str:
        """Return the line of one row. Without a prediction it is the row's error."""
        row_id = "" if row.id is None else f',"id":{_json(row.id)}'
        if prediction is None:
            return f'{{"line":{row.line}{row_id},"error":{self.errors[row.error]}{self._columns(row)}}}\n'
        names, label = self.names, prediction.label
        decision = names[prediction.decision(self.min_confidence)]
        probabilities = ",".join([f"{names[label]}:{p!r}" for label, p in prediction.probabilities.items()])
        warnings = _json(prediction.warnings) if prediction.warnings else "[]"
        return (
            f'{{"line":{row.line}{row_id},"label":{names[label]},"decision":{decision},'
            f'"probabilities":{{{probabilities}}},"tokens":{prediction.tokens},"warnings":{warnings}'
            f"{self._attributions(row.text, label) if self.explainer else ''}"
            f"{self._redacted(row.text) if self.text_mode else ''}{self._columns(row)}}}\n"
        )

    def _attributions(self, text: str, label: str) -> str:
        assert self.explainer
        explanation = self.explainer(text, label)
        return ',"attributions":' + _json(explanation.to_dict()["attributions"])

    def _redacted(self, text: str) -> str:
        redacted = redact(text, self.text_mode)
        return f',"text":{_json(redacted.text)},"pii":' + _json([entity._asdict() for entity in redacted.entities])

    def _columns(self, row: Row) -> str:
        if not self.columns_mode:
            return ""
        return ',"columns":' + _json({name: redact_cell(name, cell, self.columns_mode) for name, cell in row.columns})


def redact_cell(name: str, cell: str, mode: str) -> str:
    """Return a cell of a table, redacted. The name of its column counts, as it may announce what the cell is.

    Example:
        >>> redact_cell("Password", "hunter2", "replace"), redact_cell("Rating", "5", "replace")
        ('[PASSWORD]', '5')
    """
    announced = f"{name}: "
    redacted = redact(announced + cell, mode).text
    return redacted[len(announced) :] if redacted.startswith(announced) else redact(cell, mode).text


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


# Finish


def finish(
    job: Job, chunks: Iterable[Chunk], results: Store, started: str = "", map_fn: Map = map, **extra: Any
) -> JsonObject:
    """Write the manifest once all parts exist, or return the one that exists.

    Args:
        job: The job, as plan() returns it.
        chunks: Its chunks, in order.
        results: Store that holds the parts.
        started: When the job started (ISO 8601); empty: now.
        map_fn: Maps a function over the parts, each of which is read alone: `map`, or a pool's.
        extra: More members of the manifest.

    Raises:
        MissingError: A part is missing.
        ConflictError: The parts do not match the plan, or a different manifest exists.
        StorageError: The store fails.
    """
    if existing := read_manifest(results, job.folder):
        return existing
    facts = {"status": "done", **tally(results, [job.part(number) for number in range(job.chunks)], map_fn)}
    if [part["rows"] for part in facts["parts"]] != [chunk.rows for chunk in chunks]:
        raise ConflictError("the parts differ from the plan in rows; delete the job's results and start it again")
    if not job.options.text_column and job.format.text_column != DEFAULT_TEXT:
        facts["columns"] = {"text": job.format.text_column}
    facts = _describe(job.key, job.source, job.sha256, job.model, job.options) | facts
    facts["code_version"] = job.format.rules
    return _write_manifest(results, job.folder, facts, started, extra)


def reject(
    results: Store, folder: str, source: Source, model: JsonObject, options: Options, error: RowsError
) -> JsonObject:
    """Write the manifest of a file that cannot be read, with the reason. Raises ConflictError and StorageError."""
    reason = {"code": error.code, "detail": FAULTS[error.code]}
    facts = {"status": "rejected", "error": reason, **tally(results, [])}
    facts = _describe(job_id(source, model, options), source, "", model, options) | facts
    return _write_manifest(results, folder, facts, "", {})


def _describe(key: str, source: Source, sha256: str, model: JsonObject, options: Options) -> JsonObject:
    """Return the members that all manifests have: what the results depend on."""
    return {
        "work": key,
        "input": {**source.to_dict(), "sha256": sha256},
        "model": model,
        "settings": options.to_dict(),
        "code_version": VERSION,
    }


def _write_manifest(
    results: Store, folder: str, facts: JsonObject, started: str, extra: Mapping[str, Any]
) -> JsonObject:
    """Create the manifest, or return the one that another run of the job created first."""
    times = {"started": started or now(), "finished": now()}
    own = {**facts, "times": times, **extra}
    if results.create(f"{folder}manifest.json", canonical(own)):
        return own
    existing = read_manifest(results, folder)
    if existing is None or any(existing.get(name) != value for name, value in facts.items()):
        raise ConflictError("a different manifest exists; delete the job's results and start it again")
    return existing


def read_manifest(results: Store, folder: str) -> JsonObject | None:
    """Return the manifest of a job, or None if the job is not finished. Raises StorageError."""
    try:
        manifest: JsonObject = json.loads(results.get(f"{folder}manifest.json"))
    except MissingError:
        return None
    return manifest


def now() -> str:
    """Return the current time (UTC) in ISO 8601 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def tally(results: Store, parts: Iterable[str], map_fn: Map = map) -> JsonObject:
    """Read the parts and return their digests and the counts of rows.

    Args:
        results: Store that holds the parts.
        parts: Keys of the parts, in order.
        map_fn: Maps a function over the parts, each of which is read alone: `map`, or a pool's.

    Returns:
        The members "parts" and "counts" of a manifest.

    Raises:
        MissingError: A part is missing.
        ConflictError: A part holds a line that is not a result.
    """
    outcomes, described = Counter[Outcome](), []
    for part, outcomes_of_part in map_fn(partial(_tally_part, results), parts):
        described.append(part)
        outcomes += outcomes_of_part
    labels, decisions, errors = (_totals(outcomes, field) for field in range(3))
    scored, failed = sum(labels.values()), sum(errors.values())
    counts: JsonObject = {"read": scored + failed, "scored": scored, "failed": failed}
    return {"parts": described, "counts": counts | {"labels": labels, "decisions": decisions, "errors": errors}}


def _tally_part(results: Store, key: str) -> tuple[JsonObject, Counter[Outcome]]:
    digest, outcomes = hashlib.sha256(), Counter[Outcome]()
    for line in results.lines(key):
        digest.update(line)
        outcomes[_outcome(line)] += 1
    return {"name": key.rpartition("/")[2], "rows": outcomes.total(), "sha256": digest.hexdigest()}, outcomes


_STRING = rb'"(?:[^"\\]|\\.)*+"'
_OUTCOME = re.compile(
    rb'\{"line":\d+(?:,"id":' + _STRING + rb')?,(?:"label":(' + _STRING + rb'),"decision":(' + _STRING + rb")"
    rb'|"error":\{"code":(' + _STRING + rb"))"
)


def _outcome(line: bytes) -> Outcome:
    """Read the start of a result as ResultEncoder writes it. The rest of the line is not parsed."""
    match = _OUTCOME.match(line)
    if not match:
        raise ConflictError("a part holds a line that is not a result; delete the job's results and start it again")
    label, decision, code = match.groups(b'""')
    return label, decision, code


def _totals(outcomes: Counter[Outcome], field: int) -> dict[str, int]:
    """Count the rows by one field of their outcomes."""
    totals = Counter[str]()
    for outcome, count in outcomes.items():
        if name := json.loads(outcome[field]):
            totals[name] += count
    return dict(totals)


# Verify


def verify(
    manifest: JsonObject,
    folder: str,
    results: Store,
    inbox: Store | None,
    classifier: Classifier,
    on_predictions: Callable[[Sequence[Prediction]], None] = lambda predictions: None,
) -> str:
    """Verify a manifest: its job id, its parts and, with an inbox, everything once more from the input.

    Args:
        manifest: The manifest of a job whose status is "done".
        folder: Prefix of the results' keys, with a slash at its end.
        results: Store that holds the parts.
        inbox: Store that holds the input; None checks the parts against the manifest only.
        classifier: The model that scored the input.
        on_predictions: Called with each block of predictions, as they are made again.

    Returns:
        The first mismatch as a sentence, or "" if the manifest is valid.

    Raises:
        StorageError: A store fails.
        ConflictError: A part holds a line that is not a result.
    """
    options, source = Options.from_dict(manifest["settings"]), _source(manifest["input"])
    if manifest["work"] != job_id(source, manifest["model"], options, manifest["code_version"]):
        return "the manifest's job id does not match its input, model and settings"
    for part in manifest["parts"]:
        if results.digest(folder + part["name"]) != part["sha256"]:
            return f"{part['name']} is missing or differs from the manifest"
    counted = tally(results, [folder + part["name"] for part in manifest["parts"]])
    for name in ("parts", "counts"):
        if counted[name] != manifest[name]:
            return f"the manifest's {name} do not match the parts"
    return _verify_from_input(manifest, source, options, inbox, classifier, on_predictions) if inbox else ""


def _verify_from_input(
    manifest: JsonObject,
    source: Source,
    options: Options,
    inbox: Store,
    classifier: Classifier,
    on_predictions: Callable[[Sequence[Prediction]], None],
) -> str:
    """Plan and score the input again, and compare. Returns as verify() does."""
    name = source.key.rpartition("/")[2]
    if inbox.source(source.key, source.version) != source:
        return f"{name} is not the file that was scored"
    if manifest["model"] != classifier.bundle.identity:
        return "the model is not the one that scored the file"
    if "columns" in manifest:  # what was found then is not looked for again
        options = replace(options, text_column=manifest["columns"]["text"])
    job, chunks = plan(inbox, source, manifest["model"], options, "", version=manifest["code_version"])
    if job.sha256 != manifest["input"]["sha256"]:
        return f"{name} is not the file that was scored"
    if len(chunks) != len(manifest["parts"]):
        return f"{name} gives {len(chunks)} parts, the manifest names {len(manifest['parts'])}"
    for part, chunk in zip(manifest["parts"], chunks, strict=True):
        digest = hashlib.sha256()
        for block in score_lines(job, chunk, inbox, classifier, on_predictions):
            digest.update(block)
        if digest.hexdigest() != part["sha256"]:
            return f"{part['name']} is not what the model predicts for {name}"
    return ""


def _source(described: JsonObject) -> Source:
    return Source(**{name: described[name] for name in ("bucket", "key", "version", "etag", "bytes")})
