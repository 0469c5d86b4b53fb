"""`candor use`: make a bundle the model in use, which `make run` serves and `make build` deploys."""

from pathlib import Path

import click

from candor.cli import options, samples
from candor.cli.errors import CommandError
from candor.errors import BundleError
from candor.model.bundle import Bundle
from candor.model.install import InstallError, check, install, pin
from candor.resources import BUNDLE, INSTALLED, TEMPLATE


@click.command(short_help="Make a trained model the one in use.", epilog="\b\nExample:\n  candor use models/tickets")
@click.argument("bundle", type=options.Named("folder"))
def use(bundle: Path) -> None:
    """Install BUNDLE, a folder that training wrote, as the model of this checkout.

    The bundle is checked against its digests and golden cases. Then it is copied to layers/model/bundle, its digest is
    pinned in template.yaml, and the sample events that name the model are written again.
    """
    if INSTALLED:
        raise CommandError("there is no checkout to install into", "pass the bundle to a command with --model PATH")
    try:
        new = Bundle.open(bundle)
        if bundle.resolve() == BUNDLE.resolve():
            check(bundle, new.digest)
        else:
            install(new.files, BUNDLE)
        pin(TEMPLATE, new.digest)
    except BundleError as error:
        raise options.unusable(bundle, error) from None
    except InstallError as error:
        raise CommandError(f"{bundle}: {error}", "train it again with this version of Candor", status=1) from None
    samples.write()
    click.echo(f"{new.model['name']} {new.model['version']} ({new.digest[:12]}) is in use")
