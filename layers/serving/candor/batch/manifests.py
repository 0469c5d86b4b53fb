"""Write the manifest of a job, the receipt for its results, and read it again.

It is canonical JSON. Its last word is the seal, a SHA-256 over all the rest: whatever is changed later no longer fits
it. The seal is no signature. Whoever can write the manifest can seal another, and candor.batch.verify is for that.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

from candor.batch import code
from candor.batch.formats import DEFAULT_TEXT, RULES
from candor.batch.jobs import Job, JsonObject, Options, new_job_id
from candor.batch.rows import FAULTS, Chunk, Format, RowsError
from candor.errors import ConflictError, MissingError
from candor.model.bundle import canonical
from candor.storage import Folder, Source, Store, sha256

NAME = "manifest.json"
COUNTED = 3
"""Rules of reading from which manifests have the number of blank lines."""
PART = re.compile(r"part-\d{5,}\.jsonl")
Map = Callable[..., Iterable[Any]]
Outcome = tuple[bytes, bytes, bytes]
"""Label, decision and error code of a row, each a JSON string, or '""' if there is none."""


# Write


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
        ConflictError: A part was changed after it was written, the parts do not match the plan, or there is another
            manifest.
        StorageError: The store fails.
    """
    keys = [job.part(number) for number in range(job.chunks)]
    manifest = read(results, job.folder) or _finish(job, keys, chunks, results, started, map_fn, extra)
    for key in keys:
        results.forget(key)
    return manifest


def _finish(
    job: Job,
    keys: Sequence[str],
    chunks: Iterable[Chunk],
    results: Store,
    started: str,
    map_fn: Map,
    extra: Mapping[str, Any],
) -> JsonObject:
    try:
        facts = {"status": "done", **tally(results, keys, map_fn, created=True)}
    except ConflictError:
        if existing := read(results, job.folder):  # another run of the job was faster, and forgot their digests
            return existing
        raise
    if [part["rows"] for part in facts["parts"]] != [chunk.rows for chunk in chunks]:
        raise ConflictError("the parts differ from the plan in rows; delete the job's results and start it again")
    facts = _describe(job.key, job.source, job.sha256, job.model, job.options, job.code) | facts
    facts["code_version"] = job.format.rules
    if job.format.rules >= COUNTED:
        facts["blank_lines"] = job.blank
    return _write(results, job.folder, facts | columns(job.options, job.format), started, extra)


def reject(
    results: Store, folder: str, source: Source, model: JsonObject, options: Options, error: RowsError
) -> JsonObject:
    """Write the manifest of a file that cannot be read, with the reason. Raises ConflictError and StorageError."""
    reason = {"code": error.code, "detail": FAULTS[error.code]}
    facts = {"status": "rejected", "error": reason, **tally(results, [])}
    key = new_job_id(source, model, options)
    facts = _describe(key, source, "", model, options, code.identity()) | facts
    return _write(results, folder, facts, "", {})


def columns(options: Options, file_format: Format) -> JsonObject:
    """Return the member that names a column of texts which was found and not named; nothing if there is none."""
    found = not options.text_column and file_format.text_column != DEFAULT_TEXT
    return {"columns": {"text": file_format.text_column}} if found else {}


def seal(facts: JsonObject) -> JsonObject:
    """Return a manifest with its seal."""
    rest = {name: value for name, value in facts.items() if name != "seal"}
    return {**rest, "seal": sha256(canonical(rest))}


def _describe(
    key: str, source: Source, sha256: str, model: JsonObject, options: Options, code: JsonObject | None
) -> JsonObject:
    """Return the members that all manifests have: what the results depend on."""
    return {
        "work": key,
        "input": {**source.to_dict(), "sha256": sha256},
        "model": model,
        "settings": options.to_dict(),
        "code_version": RULES,
        **({"software": code} if code else {}),
    }


def _write(results: Store, folder: str, facts: JsonObject, started: str, extra: Mapping[str, Any]) -> JsonObject:
    """Create the manifest, or return the one that another run of the job created first."""
    times = {"started": started or now(), "finished": now()}
    own = seal({**facts, "times": times, **extra})
    if results.create(folder + NAME, canonical(own)):
        return own
    existing = read(results, folder)
    if existing is None or any(existing.get(name) != value for name, value in facts.items()):
        raise ConflictError("a different manifest exists; delete the job's results and start it again")
    return existing


def now() -> str:
    """Return the current time (UTC) in ISO 8601 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# Read


def read(results: Store, folder: str) -> JsonObject | None:
    """Return the manifest of a job, or None if the job is not finished.

    Raises:
        ConflictError: It was changed after it was written.
        StorageError: The store fails.
    """
    try:
        content = results.get(folder + NAME)
    except MissingError:
        return None
    try:
        manifest = parse(content)
        if canonical(seal(manifest)) == content:
            return manifest
    except ValueError:
        pass
    raise ConflictError(f"{NAME} was changed after it was written; delete the job's results and start it again")


def parse(content: bytes) -> JsonObject:
    """Return the JSON object that a manifest holds, sealed or not. Raises ValueError."""
    try:
        manifest = json.loads(content)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(manifest, dict):
        raise ValueError("not an object")
    return manifest


def left(results: Folder, folder: str) -> tuple[JsonObject | None, list[str]]:
    """Check what earlier runs of a job left, and remove what is damaged, so that it is made again.

    Every part is held against the digest that it was written with.

    Returns:
        The manifest, if the job is done and it and all parts are whole; and the names of the damaged files.
    """
    damaged = []
    try:
        manifest = read(results, folder)
    except ConflictError:
        manifest, damaged = None, [NAME]
    written = {part["name"]: part["sha256"] for part in manifest["parts"]} if manifest else {}
    names = sorted({*written, *filter(PART.fullmatch, results.files(folder))})
    if not manifest:
        written = {name: results.recorded(folder + name) for name in names}
    wrong = [name for name in names if not written.get(name) or results.digest(folder + name) != written[name]]
    if manifest and not wrong:
        return manifest, []
    if wrong and not manifest and not damaged and read(results, folder):  # another run of the job has just ended
        return left(results, folder)
    for name in {*names} - {*wrong}:
        results.record(folder + name, str(written[name]))
    for name in [NAME, *wrong]:
        results.remove(folder + name)
    return None, damaged + wrong


@contextmanager
def listing(results: Folder, folder: str, names: Sequence[str]) -> Iterator[None]:
    """Seal files that are made of the results while the block runs, such as results.csv: the manifest lists them.

    At no moment does it list a file as it is not.
    """
    if names:
        _list(results, folder, dict.fromkeys(names))
    yield
    if names:
        _list(results, folder, {name: results.digest(folder + name) for name in names})


def _list(results: Folder, folder: str, changed: Mapping[str, str | None]) -> None:
    manifest = read(results, folder)
    if manifest is None:
        raise MissingError(f"{folder}{NAME} does not exist or is not a file")
    files = {name: digest for name, digest in {**manifest.get("files", {}), **changed}.items() if digest}
    facts = {name: value for name, value in manifest.items() if name != "files"} | ({"files": files} if files else {})
    if files != manifest.get("files", {}):
        results.replace(folder + NAME, canonical(seal(facts)))


# Count


def tally(results: Store, parts: Iterable[str], map_fn: Map = map, created: bool = False) -> JsonObject:
    """Read the parts and return their digests and the counts of rows.

    Args:
        results: Store that holds the parts.
        parts: Keys of the parts, in order.
        map_fn: Maps a function over the parts, each of which is read alone: `map`, or a pool's.
        created: Hold each part against the digest that it was created with.

    Returns:
        The members "parts" and "counts" of a manifest.

    Raises:
        MissingError: A part is missing.
        ConflictError: A part holds a line that is not a result, or is not as it was created.
    """
    outcomes, described = Counter[Outcome](), []
    for part, outcomes_of_part in map_fn(partial(_tally_part, results, created), parts):
        described.append(part)
        outcomes += outcomes_of_part
    labels, decisions, errors = (_totals(outcomes, field) for field in range(3))
    scored, failed = sum(labels.values()), sum(errors.values())
    counts: JsonObject = {"read": scored + failed, "scored": scored, "failed": failed}
    return {"parts": described, "counts": counts | {"labels": labels, "decisions": decisions, "errors": errors}}


def _tally_part(results: Store, created: bool, key: str) -> tuple[JsonObject, Counter[Outcome]]:
    digest, outcomes, name = hashlib.sha256(), Counter[Outcome](), key.rpartition("/")[2]
    for line in results.lines(key):
        digest.update(line)
        outcomes[_outcome(line)] += 1
    if created and digest.hexdigest() != results.recorded(key):
        raise ConflictError(f"{name} was changed after it was written; delete it and start the job again")
    return {"name": name, "rows": outcomes.total(), "sha256": digest.hexdigest()}, outcomes


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
