"""Batch jobs in three steps, plan, score and finish (candor.batch.manifests): the same on one machine and on AWS.

Jobs are deterministic and idempotent. The job id hashes input, model, options and code. Parts are byte-identical
whichever process writes them. Objects are created whole, and only if absent. So every step may run twice, at the same
time, or again after it was killed. manifest.json is written last: if it is there, all parts are.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cache
from tempfile import SpooledTemporaryFile
from typing import IO, Any, cast

from candor.batch import code, rows
from candor.batch.formats import DEFAULT_TEXT, RULES
from candor.batch.rows import ERRORS, Chunk, Format, Reading, Row, RowsError
from candor.errors import CodeChangedError, ConflictError, ModelChangedError, OutOfTimeError
from candor.limits import CHUNK_BYTES, CHUNK_ROWS
from candor.model.bundle import canonical
from candor.model.classifier import Classifier, Prediction
from candor.model.explain import Explainer
from candor.redact import redact
from candor.storage import Source, Store, sha256

COMPRESSED_CHUNK_FACTOR = 16  # gzip and UTF-16 are not seekable: fewer, larger chunks
_BLOCK = 1024  # rows scored in one pass
_IN_MEMORY = 32 << 20  # bytes of a part that are held in memory; a larger part goes to a temporary file

JsonObject = dict[str, Any]


@dataclass(frozen=True)
class Options:
    """The settings that change results. Their names and values are part of the job id and of the manifest.

    A setting that a later version adds stands there only where it is not its default. So its default must be what was
    done before there was the setting.
    """

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
        """Return the options as JSON: those that every manifest has, and others that are not their defaults."""
        said = {name: value for name, value in asdict(self.reading).items() if value != getattr(Reading(), name)}
        values = {**asdict(self), "text_column": self.text_column or DEFAULT_TEXT, "reading": said}
        defaults = {each.name: each.default for each in fields(self)} | {"reading": {}}
        return {name: value for name, value in values.items() if name in _ALWAYS or value != defaults[name]}

    @classmethod
    def from_dict(cls, value: JsonObject) -> "Options":
        """Return the options that to_dict() was called on.

        A job that names the column `text` and one that names none have the same results, since both read that column if
        there is one.
        """
        text = None if value["text_column"] == DEFAULT_TEXT else value["text_column"]
        return cls(**{**value, "text_column": text, "reading": Reading(**value.get("reading", {}))})


_ALWAYS = ("text_column", "id_column", "min_confidence", "explain", "redact", "text", "rows", "bytes")


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
    code: JsonObject | None
    """The code that planned the job, as candor.batch.code.identity() has it, and that alone may score it. None, in
    sample events only: whichever code runs them."""
    blank: int = 0
    """Number of blank lines, which are no rows; 0 until all of the input was read."""

    def to_dict(self) -> JsonObject:
        """Return the job as JSON values, for the state machine to hand on."""
        return {**asdict(self), "options": self.options.to_dict(), "format": self.format.to_dict()}

    @classmethod
    def from_dict(cls, value: JsonObject) -> "Job":
        """Return the job that to_dict() was called on."""
        read = {"source": Source(**value["source"]), "options": Options.from_dict(value["options"])}
        code = value.get("code", {})  # an earlier version planned the job if it names none
        return cls(**{**value, **read, "format": Format.from_dict(value["format"]), "code": code})

    def part(self, number: int) -> str:
        """Return the key of a part, numbered from 0."""
        return f"{self.folder}part-{number:05}.jsonl"


def job_id(
    source: Source, model: JsonObject, settings: JsonObject, code: JsonObject | None, version: int = RULES
) -> str:
    """Hash everything that results depend on: the source, the model, the settings, the rules of reading and the code.

    Args:
        source: It counts by bucket, key and version, or by ETag and size if it has no version.
        model: Identity of the model, of which the digest counts.
        settings: Options.to_dict(), or what a manifest has of it.
        code: As candor.batch.code.identity() has it; None for manifests that name none.
        version: Of the rules by which bytes become rows.

    Returns:
        32 hex digits.

    Example:
        >>> job_id(Source("inbox", "a.csv", "v1", "", 0), {"sha256": "0" * 64}, Options().to_dict(), None)
        '752964c2d3ccec4061b56f70f9c42bbf'
    """
    state = source.version or [source.etag, source.bytes]
    inputs = [version, [source.bucket, source.key, state], model["sha256"], settings, *([code] if code else [])]
    return hashlib.sha256(canonical(inputs)).hexdigest()[:32]


def new_job_id(source: Source, model: JsonObject, options: Options) -> str:
    """Return the id of a job that this code plans."""
    return job_id(source, model, options.to_dict(), code.identity())


# Plan


def plan(
    inbox: Store,
    source: Source,
    model: JsonObject,
    options: Options,
    folder: str,
    on_chunk: Callable[[Job, Chunk], None] = lambda job, chunk: None,
    version: int = RULES,
    name: str = "",
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
        name: The file's name, whose end tells its format; empty: the source's key.

    Raises:
        RowsError: The file cannot be read, and trying again will not help.
        StorageError: The store fails.
    """
    shape = Format.of(name or source.key, options.text_column, options.id_column, options.reading)
    shape = replace(shape, rules=version, kept=() if options.columns else None)
    if version == 1:  # it knew one column and one delimiter
        shape = replace(shape, text_column=options.text_column or DEFAULT_TEXT, delimiter=",")
    digest = hashlib.sha256()
    factor = 1 if shape.seekable else COMPRESSED_CHUNK_FACTOR
    chunks: list[Chunk] = []
    blank = 0

    def count_blank(count: int) -> None:
        nonlocal blank
        blank += count

    try:
        blocks = _update(digest, inbox.blocks(source))
        shape, planned = rows.plan(blocks, shape, options.bytes * factor, options.rows * factor, count_blank)
        own = code.identity()
        key = job_id(source, model, options.to_dict(), own, version)
        job = Job(key, folder, source, "", model, options, shape, 0, own)
        for chunk in planned:
            chunks.append(chunk)
            on_chunk(job, chunk)
    except RowsError as error:
        raise error.named(name or source.key) from None
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
    """Score one chunk and write its part, unless the part exists as it was written.

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
        CodeChangedError: Other code planned the job.
        OutOfTimeError: `out_of_time` returned True; nothing was written.
        ConflictError: A part with different content exists.
        StorageError: A store fails.
    """
    if classifier.bundle.digest != job.model["sha256"]:
        raise ModelChangedError("the job was planned with a different model; start a new job for the same input")
    if job.code is not None and job.code != code.identity():
        raise CodeChangedError("the job was planned by other code; start a new job for the same input")
    recorded = results.recorded(job.part(number))
    if recorded and results.digest(job.part(number)) == recorded:
        return
    with SpooledTemporaryFile(_IN_MEMORY) as part:
        for block in score_lines(job, chunk, inbox, classifier, on_predictions):
            if out_of_time():
                raise OutOfTimeError("time ran out before the part was scored; lower its rows (BatchChunkRows)")
            part.write(block)
        results.record(job.part(number), sha256(cast(IO[bytes], part)))
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
        warnings = _warnings(prediction.warnings) if prediction.warnings else "[]"
        return (
            f'{{"line":{row.line}{row_id},"label":{names[label]},"decision":{decision},'
            f'"probabilities":{{{probabilities}}},"tokens":{prediction.tokens},"warnings":{warnings}'
            f"{self._attributions(row.text, label) if self.explainer else ''}"
            f"{self._redacted(row.text) if self.text_mode else ''}{self._columns(row)}}}\n"
        )

    def _attributions(self, text: str, label: str) -> str:
        assert self.explainer
        explanation = self.explainer(text, label).to_dict()
        return "".join(f',"{name}":{_json(explanation[name])}' for name in ("base_value", "logit", "attributions"))

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


_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode  # json.dumps would make one a call
_warnings = cache(_json)  # of the few combinations that there are
