"""`candor verify`: recompute a manifest of `candor score`, and name the first thing that does not hold."""

import hashlib
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from tqdm import tqdm

from candor.cli import options
from candor.cli.errors import CommandError, report
from candor.errors import CandorError, JobError, MissingError

if TYPE_CHECKING:
    from candor.cli.store import Model
    from candor.model.classifier import Classifier

UNCHECKED = 3
"""Exit status: nothing is wrong, but not all could be checked."""
UNREADABLE = "cannot be read by this version of Candor"


@click.command(
    short_help="Check manifests against their files.",
    epilog="\b\nExamples:\n  candor verify results/texts.csv-0123456789abcdef\n"
    "  candor verify results/*/manifest.json\n  candor verify fetched/ --input texts.csv",
)
@click.argument("manifests", metavar="MANIFEST...", nargs=-1, required=True, type=options.Named())
@options.model
@click.option(
    "--input",
    "moved",
    type=options.Named("file"),
    default=None,
    show_default="where it was",
    metavar="FILE",
    help="The file that was scored.",
)
def verify(manifests: tuple[Path, ...], bundle: Path, moved: Path | None) -> int:
    """Check that everything a MANIFEST, or the one in a folder, says still holds: input, model, settings and results.

    The model that scored the file is looked for in the store, too. Exit status 1, and the first thing of each that does
    not hold, if something has changed. Exit status 3, and what was not checked, if nothing is wrong but the input or
    the model is not here, or another version of Candor gives other results. The times of a job cannot be recomputed;
    they are only sealed.
    """
    if moved and len(manifests) > 1:
        raise CommandError("--input names the file of one manifest", "verify the manifests one by one")
    statuses = []
    for named in manifests:
        try:
            click.echo(_verified(named / "manifest.json" if named.is_dir() else named, bundle, moved))
        except CommandError as error:
            report(error.message if len(manifests) == 1 else f"{named}: {error.message}", error.hint)
            statuses.append(error.status)
    return min(statuses, default=0)


def _verified(manifest: Path, bundle: Path, moved: Path | None) -> str:
    from candor.batch import manifests
    from candor.batch.verify import Input, verify
    from candor.storage import Folder

    if not manifest.exists():
        raise CommandError(f"{manifest} does not exist")
    try:
        content = manifest.read_bytes()
        said = manifests.parse(content)
        if said["status"] != "done":
            raise CommandError(f"the file was {said['status']}: {said['error']['detail']}", status=1)
        path = moved or (Path(said["path"]) if "path" in said else None)
        if path and not moved and path.name != said["input"]["key"]:
            raise CommandError("the manifest's path is not that of its input", status=1)
        inbox = Input(Folder(path.parent), path.name) if path and path.is_file() else None
        folder = manifest.resolve().parent
        classifier, without = _model(said["model"]["sha256"], bundle)
        total = said["counts"]["scored"] if inbox and classifier else 0
        with tqdm(total=total, desc="verifying", unit=" rows", unit_scale=True, leave=False, disable=None) as bar:
            verdict = verify(
                content,
                f"{folder.name}/",
                Folder(folder.parent),
                inbox,
                classifier,
                without,
                lambda name: _remade(name, folder, said, classifier),
                lambda predictions: bar.update(len(predictions)),
            )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise CommandError(f"{manifest} is not a manifest of candor score, or it is damaged", status=1) from None
    except (JobError, MissingError) as error:
        raise CommandError(str(error), status=1) from None
    if verdict.problem:
        raise CommandError(verdict.problem, status=1)
    if verdict.unchecked:
        hint = None if inbox else "pass --input FILE, the file that was scored"
        if not classifier and without != UNREADABLE:
            hint = "pass --model NAME or --store PLACE, with the model that scored the file"
        raise CommandError(f"what was checked holds; not checked: {'; '.join(verdict.unchecked)}", hint, UNCHECKED)
    return f"{manifest}: all holds ({verdict.remark})"


def _model(digest: str, bundle: Path) -> "tuple[Classifier | None, str]":
    """Return the model with a digest, the one in a folder or one of the store; or None, and why there is none.

    Raises:
        CommandError: The folder has no usable model, and not the one that is looked for.
    """
    from candor.cli.store import ModelStore
    from candor.model.bundle import MANIFEST

    try:
        classifier = options.load(bundle)
    except CommandError:
        manifest = bundle / MANIFEST
        if manifest.is_file() and hashlib.sha256(manifest.read_bytes()).hexdigest() == digest:
            return None, UNREADABLE
        raise
    if classifier.bundle.digest == digest:
        return classifier, ""
    try:
        store = ModelStore(options.place(click.get_current_context()))
        found = next(filter(partial(_has, digest), store.models()), None)
    except CandorError as error:
        return None, f"was not found: {error}"
    try:
        return (options.load(found.folder()), "") if found else (None, "is not here")
    except (CandorError, CommandError):
        return None, UNREADABLE


def _has(digest: str, model: "Model") -> bool:
    try:
        return model.digest == digest
    except CandorError:  # damaged
        return False


def _remade(name: str, folder: Path, manifest: dict[str, Any], classifier: "Classifier | None") -> Sequence[str]:
    """Return the digests that a file beside the results can have."""
    from candor.cli import score
    from candor.cli.spreadsheet import spreadsheet

    if name == "histogram.svg":
        return [_digest([score.picture_of(score.lines(folder, manifest))])]
    if name == "results.csv":
        rows = partial(score.lines, folder, manifest)
        first: dict[str, float] = next((each["probabilities"] for each in rows() if "probabilities" in each), {})
        labels = classifier.bundle.labels if classifier else tuple(first)
        tables = (spreadsheet(rows, labels, manifest["settings"]) for _ in range(2))
        return [_digest(chain([mark], table)) for mark, table in zip(("", "\ufeff"), tables, strict=True)]
    return ()


def _digest(content: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for each in content:
        digest.update(each.encode())
    return digest.hexdigest()
