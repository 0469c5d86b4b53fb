"""Verify the results of a job by its manifest: recompute all that can be, and say what was not.

Three answers differ: all holds; something does not, so that somebody or something changed it; something could not be
checked here, for want of the input or the model, or because other code made the results. Other code is no reproach, so
its rows are scored again, too. If this code gives the same ones, they hold.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from datetime import datetime
from typing import Any

from candor.batch import code, manifests
from candor.batch.formats import RULES
from candor.batch.jobs import JsonObject, Options, job_id, plan, score_lines
from candor.batch.manifests import NAME, PART
from candor.batch.rows import RowsError
from candor.model.bundle import canonical
from candor.model.classifier import Classifier, Prediction
from candor.storage import Source, Store

_NEEDED = {"status", "work", "input", "model", "settings", "parts", "counts", "times", "code_version"}
_OPTIONAL = {"blank_lines", "columns", "files", "path", "seal", "software"}
_INPUT = {"bucket", "key", "version", "etag", "bytes", "sha256"}
_UNSEALED = "its times, path and version, since it has no seal: manifests had none at first"
Remake = Callable[[str], Sequence[str]]
"""Returns the digests (hex) that a file of this name can have if it is made of the results."""


@dataclass(frozen=True)
class Verdict:
    """What verifying found."""

    problem: str = ""
    """The first thing that does not hold, in a sentence; empty if there is none."""
    unchecked: tuple[str, ...] = ()
    """What was not checked, and why."""
    remark: str = ""
    """What to know although all holds."""


@dataclass(frozen=True)
class Input:
    """Where the input of a job is now."""

    store: Store
    key: str
    version: str = ""


class _Broken(Exception):
    """Something does not hold."""


def verify(
    content: bytes,
    folder: str,
    results: Store,
    inbox: Input | None = None,
    classifier: Classifier | None = None,
    without: str = "is not here",
    remake: Remake = lambda name: (),
    on_predictions: Callable[[Sequence[Prediction]], None] = lambda predictions: None,
) -> Verdict:
    """Verify a manifest whose status is "done", and the results beside it.

    Args:
        content: The manifest's bytes.
        folder: Prefix of the results' keys, with a slash at its end.
        results: Store that holds the results.
        inbox: Where the input is; None: it is gone.
        classifier: The model that scored the input; None: there is none to score it again with,
        without: and why, as what follows "the model".
        remake: Makes the files again that the manifest lists as made of the results.
        on_predictions: Called with each block of predictions, as they are made again.

    Raises:
        ValueError, KeyError, TypeError: It is not a manifest, or is damaged beyond being read.
        StorageError: A store fails.
        ConflictError: A part holds a line that is not a result.
    """
    manifest, unchecked, remark = manifests.parse(content), list[str](), "the times are sealed, not recomputed"
    try:
        _check_form(manifest, content, unchecked)
        _check_parts(manifest, folder, results)
        _check_files(manifest, folder, results, remake, unchecked)
        _check_rows(manifest, inbox, classifier, without, unchecked, on_predictions)
    except _Broken as broken:
        return Verdict(str(broken))
    if (theirs := manifest.get("software")) != code.identity():
        remark += f"; {code.shortly(theirs)} is named, and this is {code.shortly(code.identity())}: the same rows"
    return Verdict(unchecked=tuple(unchecked), remark=remark)


def _check(holds: bool, problem: str) -> None:
    if not holds:
        raise _Broken(problem)


def _same(one: Any, other: Any) -> bool:
    """Return whether two JSON values are the same to the byte: 1 is not true, and not 1.0."""
    return canonical(one) == canonical(other)


def _check_form(manifest: JsonObject, content: bytes, unchecked: list[str]) -> None:
    """Check the manifest by itself."""
    _check(canonical(manifest) == content, f"{NAME} was edited: it is not written as Candor writes it")
    if "seal" in manifest:
        _check(_same(manifests.seal(manifest), manifest), f"{NAME} was changed after it was sealed")
    else:
        _check("software" not in manifest, f"{NAME} has lost its seal")
        unchecked.append(_UNSEALED)
    missing, unknown = _NEEDED - {*manifest}, sorted({*manifest} - _NEEDED - _OPTIONAL)
    if missing:
        raise KeyError(*missing)
    _check("seal" in manifest or not unknown, f"{NAME} has a member of no version of Candor")
    unchecked += [f"its member {name!r}, which this version does not know" for name in unknown]
    counted = manifest["code_version"] in range(manifests.COUNTED, RULES + 1)
    _check(("blank_lines" in manifest) == counted, "the manifest's number of blank lines is missing, or is none")
    _check({*manifest["input"]} == _INPUT, "the manifest describes its input with other members than it has")
    key = job_id(
        _source(manifest), manifest["model"], manifest["settings"], manifest.get("software"), manifest["code_version"]
    )
    _check(manifest["work"] == key, "the manifest's job id does not match its input, model, settings and code")
    started, finished = (datetime.fromisoformat(manifest["times"][name]) for name in ("started", "finished"))
    _check({*manifest["times"]} == {"started", "finished"} and started <= finished, "the manifest's times are none")


def _check_parts(manifest: JsonObject, folder: str, results: Store) -> None:
    """Check the parts against the manifest."""
    names = [part["name"] for part in manifest["parts"]]
    _check(names == [f"part-{number:05}.jsonl" for number in range(len(names))], "the manifest's parts have odd names")
    for part in manifest["parts"]:
        _check(
            results.digest(folder + part["name"]) == part["sha256"],
            f"{part['name']} is missing or differs from the manifest",
        )
    for name in filter(PART.fullmatch, results.files(folder)):
        _check(name in names, f"{name} is there, and the manifest does not list it")
    counted = manifests.tally(results, [folder + name for name in names])
    for name in ("parts", "counts"):
        _check(_same(counted[name], manifest[name]), f"the manifest's {name} do not match the parts")


def _check_files(manifest: JsonObject, folder: str, results: Store, remake: Remake, unchecked: list[str]) -> None:
    """Check the files that are made of the results, such as results.csv."""
    listed: Mapping[str, str] = manifest.get("files", {})
    for name, digest in listed.items():
        _check(results.digest(folder + name) == digest, f"{name} is missing or differs from the manifest")
    for name in results.files(folder):
        if name == NAME or PART.fullmatch(name):
            continue
        made = remake(name)
        if made and results.digest(folder + name) in made:
            continue
        if name in listed:
            unchecked.append(f"{name}: it is as it was sealed, but this version cannot make it again")
        else:
            shown = name if name.isprintable() else repr(name)
            unchecked.append(f"{shown}, which the manifest does not list")


def _check_rows(
    manifest: JsonObject,
    inbox: Input | None,
    classifier: Classifier | None,
    without: str,
    unchecked: list[str],
    on_predictions: Callable[[Sequence[Prediction]], None],
) -> None:
    """Plan and score the input again, and compare."""
    source, model, theirs = _source(manifest), manifest["model"], manifest.get("software")
    if inbox is None:
        unchecked.append("its rows: the input is not there to be scored again")
        return
    now = inbox.store.source(inbox.key, inbox.version)
    name = source.key.rpartition("/")[2]
    if now.bucket == source.bucket:
        here = {**source.to_dict(), "key": now.key}
        _check(_same(now.to_dict(), here), f"{name} is not the file that was scored")
    else:
        unchecked.append("the input's bucket, version and ETag, which only S3 knows")
        _check(_same(now.bytes, source.bytes), f"{name} is not the file that was scored")
    if classifier is None:
        named = f"{model['name']} {model['version']}, {model['sha256'][:12]}"
        made = "" if theirs == code.identity() else f", made by {code.shortly(theirs)}"
        unchecked.append(f"its rows{made}: the model that scored them {without} ({named})")
        return
    _check(_same(model, classifier.bundle.identity), "the model is not the one that the manifest names")
    difference = _difference(manifest, inbox, now, name, classifier, on_predictions)
    if difference and theirs == code.identity():
        raise _Broken(difference)
    if difference:
        unchecked.append(
            f"its rows ({difference}): made by {code.shortly(theirs)}, they can be checked by that version only; "
            f"this is {code.shortly(code.identity())}"
        )


def _difference(
    manifest: JsonObject,
    inbox: Input,
    now: Source,
    name: str,
    classifier: Classifier,
    on_predictions: Callable[[Sequence[Prediction]], None],
) -> str:
    """Return the first difference between the manifest and what this code makes of the input, or ""."""
    settings, version = manifest["settings"], manifest["code_version"]
    if unknown := sorted({*settings} - {each.name for each in fields(Options)}):
        return f"this version does not know the setting {unknown[0]!r}"
    if type(version) is not int or version not in range(1, RULES + 1):
        return f"this version does not know the rules of reading {version!r}"
    kinds = {each.name: type(each.default) for each in fields(Options) if each.default not in (None, MISSING)}
    if not all(type(settings[name]) is kinds[name] for name in kinds.keys() & settings.keys()):
        return "a setting has a value of the wrong type"
    options = Options.from_dict(settings)
    if manifest.get("software") == code.identity() and not _same(options.to_dict(), settings):
        return "its settings are not written as this version writes them"
    if (
        "columns" in manifest and manifest.get("software") != code.identity()
    ):  # other code may have found another column
        options = replace(options, text_column=manifest["columns"]["text"])
    try:
        job, chunks = plan(
            inbox.store, now, manifest["model"], options, "", version=version, name=manifest["input"]["key"]
        )
    except RowsError:
        return f"{name} cannot be read"
    _check(job.sha256 == manifest["input"]["sha256"], f"{name} is not the file that was scored")
    if options.text_column is None and not _same(
        manifests.columns(options, job.format), {key: manifest[key] for key in ("columns",) if key in manifest}
    ):
        return f"another column of {name} would be read"
    if not _same(version, job.format.rules):
        return f"the rules of reading are {job.format.rules}"
    if "blank_lines" in manifest and not _same(manifest["blank_lines"], job.blank):
        return f"{name} has {job.blank:,} blank lines"
    if len(chunks) != len(manifest["parts"]):
        return f"{name} gives {len(chunks)} parts, the manifest names {len(manifest['parts'])}"
    for part, chunk in zip(manifest["parts"], chunks, strict=True):
        digest = hashlib.sha256()
        for block in score_lines(job, chunk, inbox.store, classifier, on_predictions):
            digest.update(block)
        if digest.hexdigest() != part["sha256"]:
            return f"{part['name']} is not what the model predicts for {name}"
    return ""


def _source(manifest: JsonObject) -> Source:
    return Source(**{name: manifest["input"][name] for name in _INPUT - {"sha256"}})
