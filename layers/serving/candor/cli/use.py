"""`candor use`: make a model the one in use, which `make run` serves and `make build` deploys; and go back."""

import json
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import click

from candor import resources
from candor.cli import options, samples
from candor.cli.errors import CommandError
from candor.cli.store import Model, ModelError, ModelStore, is_name, name_of
from candor.errors import BundleError, StorageError
from candor.model import bundle
from candor.model.bundle import Bundle
from candor.model.install import InstallError, installed, pinned, write

STORE, HISTORY = "models", "models/.used.json"
"""The checkout's own store, which keeps what was in use, and the list of what was, the latest last."""


@click.command(
    short_help="Make a trained model the one in use.",
    epilog="\b\nExamples:\n  candor use tickets\n  candor use tickets@2026-11-27-1\n  candor use --back",
)
@click.argument("model", required=False, metavar="[MODEL]", type=options.Model())
@click.option("--back", is_flag=True, help="Go back to the model that was in use before.")
@options.store
def use(model: Path | None, back: bool) -> None:
    """Install MODEL, a NAME or NAME@VERSION of the store or a bundle's folder, as the model of this checkout.

    The bundle is checked against its digests and golden cases. Then it is copied to layers/model/bundle, its digest is
    pinned in template.yaml, and the sample events that name the model are written again: all of it, or nothing.
    The model that was in use is kept in the folder models, and --back brings it back.
    """
    if (model is None) != back:
        raise click.UsageError("give a MODEL, or --back", click.get_current_context())
    checkout = Checkout.here()
    history = checkout.history()
    try:
        if back:
            new = checkout.previous(history).open()
        else:
            assert model is not None
            new = Bundle.open(model)
        old = checkout.keep()
        checkout.install(new)
    except BundleError as error:
        raise options.unusable(model or checkout.root / STORE, error) from None
    except (InstallError, StorageError) as error:
        raise CommandError(str(error), status=1) from None
    if back:
        del history[-1:]
    elif old and old.digest != new.digest:
        history.append({"name": old.name, "version": old.version})
    checkout.remember(history)
    click.echo(f"{new.model['name']} {new.model['version']} ({new.digest[:12]}) is in use")
    if history:
        click.echo(f"candor use --back goes back to {history[-1]['name']} {history[-1]['version']}")


@dataclass(frozen=True)
class Checkout:
    """A checkout of Candor, and the model in use in it."""

    root: Path

    @classmethod
    def here(cls) -> "Checkout":
        """Return the command's own checkout; for an installed command the working directory.

        Raises:
            CommandError: It is none.
        """
        root = Path.cwd() if resources.INSTALLED else resources.ROOT
        if not (root / "template.yaml").is_file() or not (root / "layers/model").is_dir():
            raise CommandError(
                "the working directory is not a checkout of Candor",
                "run this in its root; to use a model without a checkout, pass --model NAME to a command",
            )
        return cls(root)

    @property
    def bundle(self) -> Path:
        """The folder of the bundle in use."""
        return self.root / "layers/model/bundle"

    def history(self) -> list[dict[str, str]]:
        """Return name and version of the models that were in use, the latest last."""
        try:
            return list(json.loads((self.root / HISTORY).read_text()))
        except (FileNotFoundError, ValueError):
            return []

    def remember(self, history: list[dict[str, str]]) -> None:
        """Write the history."""
        (self.root / STORE).mkdir(exist_ok=True)
        write(self.root / HISTORY, json.dumps(history, ensure_ascii=False).encode())

    def previous(self, history: list[dict[str, str]]) -> Model:
        """Return the model that was in use before.

        Raises:
            CommandError: There was none, or it is no longer in the store.
        """
        if not history:
            raise CommandError("no other model was in use before", "candor models lists those that there are", status=1)
        try:
            return ModelStore(str(self.root / STORE)).find("{name}@{version}".format(**history[-1]))
        except ModelError as error:
            raise CommandError(f"it cannot go back: {error.problem}", error.hint, status=1) from None

    def keep(self) -> Model | None:
        """Return the model in use as one of the checkout's store, where it is put if it is not there; None if damaged.

        Raises:
            StorageError: The folder cannot be written to.
        """
        try:
            used = Bundle.open(self.bundle)
        except BundleError:
            return None
        store = ModelStore(str(self.root / STORE))
        name, version = str(used.model["name"]), str(used.model["version"])
        name, version = name if is_name(name) else name_of(name), version if is_name(version) else name_of(version)
        for model in store.versions(name):
            if model.digest == used.digest:
                return model
        files = {f"bundle/{key}": content for key, content in bundle.sealed(used.files).items()}
        for number in range(1, 1000):  # another model may have its name and version
            numbered = version if number == 1 else f"{version}-{number}"
            try:
                return store.add(name, numbered, lambda _: files)
            except ModelError:
                continue
        return None

    def install(self, new: Bundle) -> None:
        """Put a bundle, its digest in the template and the sample events in place: all, or nothing.

        Raises:
            InstallError: The bundle does not answer its golden cases, or the template has no place for its digest.
        """
        template = self.root / "template.yaml"
        text = pinned(template, new.digest)
        with ExitStack() as undo:
            for path in (template, *(self.root / "events").glob("*.json")):
                undo.callback(write, path, path.read_bytes())
            with installed(new.files, self.bundle):
                write(template, text.encode())
                samples.write(self.root)
                undo.pop_all()
