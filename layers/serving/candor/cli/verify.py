"""`candor verify`: recompute a manifest of `candor score`, and name the first thing that does not hold."""

import json
from pathlib import Path

import click
from tqdm import tqdm

from candor.cli import options
from candor.cli.errors import CommandError, report
from candor.errors import JobError, MissingError


@click.command(
    short_help="Check manifests against their files.",
    epilog="\b\nExamples:\n  candor verify results/texts.csv-0123456789abcdef\n  candor verify results/*/manifest.json",
)
@click.argument("manifests", metavar="MANIFEST...", nargs=-1, required=True, type=options.Named())
@options.model
def verify(manifests: tuple[Path, ...], bundle: Path) -> int:
    """Check that everything a MANIFEST, or the one in a folder, says still holds: input, model, settings and results.

    Exit status 1, and the first thing of each that does not hold, if something has changed. A results.csv is not
    covered.
    """
    status = 0
    for named in manifests:
        try:
            click.echo(_verified(named / "manifest.json" if named.is_dir() else named, bundle))
        except CommandError as error:
            report(error.message if len(manifests) == 1 else f"{named}: {error.message}", error.hint)
            status = max(status, error.status)
    return status


def _verified(manifest: Path, bundle: Path) -> str:
    from candor.batch import jobs
    from candor.storage import Folder

    if not manifest.exists():
        raise CommandError(f"{manifest} does not exist")
    try:
        said = json.loads(manifest.read_bytes())
        if said["status"] != "done":
            raise CommandError(f"the file was {said['status']}: {said['error']['detail']}", status=1)
        source = Path(said["path"])
        inbox = Folder(source.parent) if source.exists() else None
        folder, results = f"{manifest.resolve().parent.name}/", Folder(manifest.resolve().parent.parent)
        total = said["counts"]["scored"] if inbox else 0
        with tqdm(total=total, desc="verifying", unit=" rows", unit_scale=True, leave=False, disable=None) as bar:
            mismatch = jobs.verify(
                said, folder, results, inbox, options.load(bundle), lambda predictions: bar.update(len(predictions))
            )
    except (KeyError, TypeError, ValueError):
        raise CommandError(f"{manifest} is not a manifest of candor score, or it is damaged", status=1) from None
    except (JobError, MissingError) as error:
        raise CommandError(str(error), status=1) from None
    if mismatch:
        other_model = said["model"]["sha256"] != options.load(bundle).bundle.digest
        raise CommandError(mismatch, "pass --model PATH, the model that scored the file" if other_model else None, 1)
    if inbox:
        return f"{manifest}: all holds"
    return f"{manifest}: the results hold; {source.name} is no longer there to compare"
