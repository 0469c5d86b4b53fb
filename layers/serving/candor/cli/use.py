"""`candor use`: make a bundle the model in use, which `make run` serves and `make build` deploys."""

from pathlib import Path

import click

from candor import resources
from candor.cli import options, samples
from candor.cli.errors import CommandError
from candor.errors import BundleError
from candor.model.bundle import Bundle
from candor.model.install import InstallError, check, install, pin, pinned


@click.command(short_help="Make a trained model the one in use.", epilog="\b\nExample:\n  candor use models/tickets")
@click.argument("bundle", type=options.Named("folder"))
def use(bundle: Path) -> None:
    """Install BUNDLE, a folder that training wrote, as the model of this checkout.

    The bundle is checked against its digests and golden cases. Then it is copied to layers/model/bundle, its digest is
    pinned in template.yaml, and the sample events that name the model are written again.
    """
    root = _checkout()
    target, template = root / "layers/model/bundle", root / "template.yaml"
    try:
        new = Bundle.open(bundle)
        pinned(template, new.digest)  # raises while everything is still as it was
        if bundle.resolve() == target.resolve():
            check(bundle, new.digest)
        else:
            install(new.files, target)
        pin(template, new.digest)
    except BundleError as error:
        raise options.unusable(bundle, error) from None
    except InstallError as error:
        raise CommandError(str(error), status=1) from None
    samples.write(root)
    click.echo(f"{new.model['name']} {new.model['version']} ({new.digest[:12]}) is in use")


def _checkout() -> Path:
    """Return the root of the checkout: the command's own, or for an installed one the working directory."""
    root = Path.cwd() if resources.INSTALLED else resources.ROOT
    if not (root / "template.yaml").is_file() or not (root / "layers/model").is_dir():
        raise CommandError(
            "the working directory is not a checkout of Candor",
            "run this in its root; to use a model without a checkout, pass --model PATH to a command",
        )
    return root
