"""`candor use`: make a model the one in use, which `make run` serves and `make build` deploys; and go back."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
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
from candor.model.install import InstallError, check, pinned

STORE = "models"
"""The checkout's own store, which keeps what was in use."""
HISTORY = f"{STORE}/.used.json"
"""Name and version of the models that were in use, the latest last."""
BUNDLE = "layers/model/bundle"
_LOCK, _STAGE = f"{STORE}/.use.lock", f"{STORE}/.use"
_PLAN = "plan.json"
"""Is in the stage while files change places: a `use` that finds it undoes what was stopped."""


@click.command(
    short_help="Make a trained model the one in use.",
    epilog="\b\nExamples:\n  candor use tickets\n  candor use tickets@2026-11-27-1\n  candor use --back",
)
@click.argument("model", required=False, metavar="[MODEL]", type=options.Model())
@click.option("--back", is_flag=True, help="Go back to the model that was in use before.")
@options.store
def use(model: Path | None, back: bool) -> None:
    """Install MODEL, a NAME or NAME@VERSION of the store or a bundle's folder, as the model of this checkout.

    The bundle is checked against its digests and golden cases. Then it takes its place in layers/model/bundle, its
    digest is pinned in template.yaml, and the sample events and texts in events are written again: all, or nothing.
    The model that was in use is kept in the folder models, and --back brings it back.
    """
    if (model is None) != back:
        raise click.UsageError("give a MODEL, or --back", click.get_current_context())
    checkout = Checkout.here()
    with checkout.locked():
        if checkout.recover():
            click.echo("a `candor use` that was stopped has been undone")
        history = checkout.history()
        try:
            new = checkout.previous(history).open() if back else Bundle.open(model or Path())
            old = checkout.keep()
            if back:
                history = history[:-1]
            elif old and old.digest != new.digest:
                history = [*history, {"name": old.name, "version": old.version}]
            checkout.install(new, history)
        except BundleError as error:
            raise options.unusable(model or checkout.root / STORE, error) from None
        except (InstallError, StorageError) as error:
            raise CommandError(str(error), status=1) from None
    click.echo(f"{new.model['name']} {new.model['version']} ({new.digest[:12]}) is in use")
    if resources.INSTALLED:
        click.echo("by make run and make deploy here; the installed command has a model of its own: pass --model NAME")
    if history:
        click.echo(f"candor use --back goes back to {history[-1]['name']} {history[-1]['version']}")


@dataclass(frozen=True)
class Checkout:
    """A checkout of Candor, and the model in use in it."""

    root: Path

    @classmethod
    def find(cls) -> "Checkout | None":
        """Return the command's own checkout; for an installed command the working directory, if that is one."""
        root = Path.cwd() if resources.INSTALLED else resources.ROOT
        whole = (root / "template.yaml").is_file() or (root / _STAGE / _PLAN).is_file()  # a `use` may have been stopped
        return cls(root) if whole and (root / "layers/model").is_dir() else None

    @classmethod
    def here(cls) -> "Checkout":
        """Return the checkout that `find` does.

        Raises:
            CommandError: There is none.
        """
        if found := cls.find():
            return found
        raise CommandError(
            "the working directory is not a checkout of Candor",
            "run this in its root; to use a model without a checkout, pass --model NAME to a command",
        )

    @property
    def bundle(self) -> Path:
        """The folder of the bundle in use."""
        return self.root / BUNDLE

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other `candor use` out.

        Raises:
            CommandError: Another one is at work.
        """
        import fcntl

        (self.root / STORE).mkdir(exist_ok=True)
        with (self.root / _LOCK).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise CommandError("another `candor use` is at work in this checkout", "run this one again") from None
            yield

    def history(self) -> list[dict[str, str]]:
        """Return name and version of the models that were in use, the latest last.

        Raises:
            CommandError: The file is damaged.
        """
        try:
            found = json.loads((self.root / HISTORY).read_bytes())
            if all(is_name(each["name"]) and is_name(each["version"]) for each in found):
                return [{"name": each["name"], "version": each["version"]} for each in found]
        except FileNotFoundError:
            return []
        except (ValueError, TypeError, KeyError, RecursionError):
            pass
        raise CommandError(f"{HISTORY} is damaged", "remove it; --back then knows of no earlier model")

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
        name, version = (
            each if is_name(each) else name_of(each) for each in (used.model["name"], used.model["version"])
        )
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

    def install(self, new: Bundle, history: list[dict[str, str]]) -> None:
        """Put a bundle, its digest in the template, the sample events and the history in place: all, or nothing.

        Everything is written to a stage first; then files only change places, which takes no space and can be undone.

        Raises:
            InstallError: The bundle does not answer its golden cases, or the template has no place for its digest.
        """
        stage, template = self.root / _STAGE, "template.yaml"
        try:
            folder = stage / "new" / BUNDLE
            folder.mkdir(parents=True)
            check(folder, bundle.write(folder, new.files))
            contents = {template: pinned(self.root / template, new.digest), HISTORY: json.dumps(history).encode()}
            contents |= samples.files(self.root, folder)
            paths = [BUNDLE, *contents]
            for path in paths:
                for side in ("new", "old"):
                    (stage / side / path).parent.mkdir(parents=True, exist_ok=True)
            for path, content in contents.items():
                (stage / "new" / path).write_bytes(content)
            shutil.copymode(self.root / template, stage / "new" / template)
            absent = [path for path in paths if not (self.root / path).exists()]
            (stage / _PLAN).write_text(json.dumps({"paths": paths, "absent": absent}))
            for path in paths:
                if path not in absent:
                    (self.root / path).rename(stage / "old" / path)
                (stage / "new" / path).rename(self.root / path)
            (stage / _PLAN).unlink()
        except BaseException:
            self.recover()
            raise
        shutil.rmtree(stage)

    def recover(self) -> bool:
        """Undo an `install` that was stopped; return True if files had changed places."""
        stage = self.root / _STAGE
        try:
            plan = json.loads((stage / _PLAN).read_bytes())
        except (FileNotFoundError, NotADirectoryError, ValueError):
            shutil.rmtree(stage, ignore_errors=True)
            return False
        for path in plan["paths"]:
            old, new, place = stage / "old" / path, stage / "new" / path, self.root / path
            if place.exists() and not new.exists() and (old.exists() or path in plan["absent"]):
                place.rename(new)
            if old.exists():
                old.rename(place)
        (stage / _PLAN).unlink()
        shutil.rmtree(stage, ignore_errors=True)
        return True
