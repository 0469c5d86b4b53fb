"""`candor verify`: recompute a manifest of `candor score`, and name the first thing that does not hold."""

import json
from pathlib import Path

import click

from candor.cli import options
from candor.cli.errors import CommandError
from candor.errors import JobError, MissingError


@click.command(
    short_help="Check a manifest against its files.",
    epilog="\b\nExample:\n  candor verify results/reviews.csv-0123456789abcdef/manifest.json",
)
@click.argument("manifest", type=options.Named("file"))
@options.model
def verify(manifest: Path, bundle: Path) -> None:
    """Check that everything a MANIFEST says still holds: input, model, settings, parts and counts.

    Exit status 1, and the first thing that does not hold, if something has changed.
    """
    from candor.batch import jobs
    from candor.storage import Folder

    try:
        said = json.loads(manifest.read_bytes())
        if said["status"] != "done":
            raise CommandError(f"the file was {said['status']}: {said['error']['detail']}", status=1)
        source = Path(said["path"])
        inbox = Folder(source.parent) if source.exists() else None
        folder, results = f"{manifest.resolve().parent.name}/", Folder(manifest.resolve().parent.parent)
        mismatch = jobs.verify(said, folder, results, inbox, options.load(bundle))
    except (KeyError, TypeError, ValueError):
        raise CommandError(f"{manifest} is not a manifest of candor score, or it is damaged", status=1) from None
    except (JobError, MissingError) as error:
        raise CommandError(str(error), status=1) from None
    if mismatch:
        raise CommandError(mismatch, status=1)
    click.echo(
        f"{manifest}: " + ("all holds" if inbox else f"the results hold; {source.name} is no longer there to compare")
    )
