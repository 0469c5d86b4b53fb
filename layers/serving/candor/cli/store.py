"""The model store: trained models by name and version, in a folder or below a prefix of an S3 bucket.

    NAME/VERSION/bundle/   the bundle, as training wrote it
    NAME/VERSION/report/   its figures and pictures

A version is there once it has bundle/manifest.json, which is written last. None is ever written over.
"""

import os
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from itertools import count
from pathlib import Path

from candor.cli.errors import install
from candor.errors import BundleError, HintedError, StorageError
from candor.model import bundle
from candor.model.bundle import MANIFEST, Bundle
from candor.resources import INSTALLED, ROOT
from candor.storage import S3, Folder

BUCKETS = "s3://"
DEFAULT = Path("models") if INSTALLED else ROOT / "models"
"""The store of a checkout; of an installed Candor, that of the working directory."""
MARK = ".candor"
"""An object that shows that a bucket can be written to. It stays, so that trying again writes nothing."""
MAX_NAME = 63  # characters
_DATED = re.compile(r"(\d{4}-\d{2}-\d{2})-(\d{1,9})")
_DIGITS = re.compile(r"(\d+)")


class ModelError(HintedError):
    """The store has no such model, or has it already."""


@dataclass(frozen=True)
class Model:
    """One version of a model in a store."""

    store: "ModelStore"
    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"

    @property
    def key(self) -> str:
        """The start of the keys of its bundle's files in the store."""
        return f"{self.store.prefix}{self.name}/{self.version}/bundle/"

    @property
    def place(self) -> str:
        """The folder, or the address in a bucket, of its bundle and report."""
        return f"{self.store.place.rstrip('/')}/{self.name}/{self.version}"

    @cached_property
    def digest(self) -> str:
        """Its bundle's digest (hex)."""
        return bundle.digest(self.store.files.get(f"{self.key}{MANIFEST}"))

    def folder(self) -> Path:
        """Return a local folder with the bundle; from a bucket it is fetched, once, into the user's cache.

        Raises:
            StorageError: The bucket cannot be read.
            BundleError: The bundle is damaged.
        """
        if isinstance(self.store.files, Folder):
            return self.store.files.root / self.key
        target = _cache() / self.digest
        if not _intact(target, self.digest):
            shutil.rmtree(target, ignore_errors=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=target.parent) as folder:
                new = Path(folder) / "bundle"
                new.mkdir()
                manifest = self.store.files.get(f"{self.key}{MANIFEST}")
                for name in [MANIFEST, *bundle.listed(manifest)]:
                    (new / name).write_bytes(self.store.files.get(f"{self.key}{name}"))
                Bundle.open(new, self.digest)
                with suppress(OSError):  # another process was faster
                    new.rename(target)
        return target

    def open(self) -> Bundle:
        """Return the verified bundle. Raises StorageError or BundleError."""
        return Bundle.open(self.folder(), self.digest)


class ModelStore:
    """The models below a folder or a prefix of a bucket.

    Args:
        place: A folder, which need not exist, or s3://BUCKET[/PREFIX].

    Raises:
        ModelError: It is neither.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        scheme, colon, _ = place.partition("://")
        if colon and scheme != "s3":
            raise ModelError(f"{place} is no model store", "a store is a folder, or s3://BUCKET/PREFIX")
        self.prefix = ""
        self.files: Folder | S3
        if place.startswith(BUCKETS):
            name, _, prefix = place.removeprefix(BUCKETS).partition("/")
            try:
                self.files = S3(name)
            except ModuleNotFoundError as error:
                raise ModelError(
                    f"a store in a bucket needs {error.name}, which is not installed", install("aws")
                ) from None
            self.prefix = prefix.strip("/") + "/" * bool(prefix.strip("/"))
        else:
            self.files = Folder(Path(place))

    def names(self) -> list[str]:
        """Return the names of all models. What else is there is left out."""
        return [name for name in self.files.folders(self.prefix) if is_name(name)]

    def versions(self, name: str) -> list[Model]:
        """Return the versions of a model, oldest first: by day and number, others by name before them."""
        versions = filter(is_name, self.files.folders(f"{self.prefix}{name}/"))
        found = [Model(self, name, version) for version in sorted(versions, key=_order)]
        return [each for each in found if self.files.digest(f"{each.key}{MANIFEST}") is not None]

    def models(self) -> Iterator[Model]:
        """Yield every version of every model."""
        for name in self.names():
            yield from self.versions(name)

    def find(self, wanted: str) -> Model:
        """Return a model.

        Args:
            wanted: NAME, for its latest version, or NAME@VERSION.

        Raises:
            ModelError: The store has no such model.
        """
        name, at, version = unicodedata.normalize("NFC", wanted).partition("@")
        versions = self.versions(name) if is_name(name) else []
        if not versions:
            known = ", ".join(name for name in self.names() if self.versions(name))
            hint = f"its models: {known}" if known else "candor train makes one"
            raise ModelError(f"there is no model {name!r} in {self.place}", hint)
        if not at:
            return versions[-1]
        for each in versions:
            if each.version == version:
                return each
        known = ", ".join(each.version for each in versions)
        raise ModelError(f"{name} has no version {version!r} in {self.place}", f"its versions: {known}")

    def check(self, name: str, version: str | None = None) -> None:
        """Find out before the work whether a version can be added. A bucket gets a mark, .candor, to try it out.

        Raises:
            ModelError: The place cannot be written to, or has the version already.
            StorageError: The bucket cannot be read or written.
        """
        if isinstance(self.files, Folder):
            folder = next(
                each for each in (self.files.root.absolute(), *self.files.root.absolute().parents) if each.exists()
            )
            if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
                raise ModelError(f"the model store {self.place} cannot be written to", "pass another --store")
        else:
            self.files.create(f"{self.prefix}{MARK}", b"Below here are models of Candor.\n")
        if version in self.files.folders(f"{self.prefix}{name}/"):
            raise self._taken(Model(self, name, str(version)))

    def _taken(self, model: Model) -> ModelError:
        if self.files.digest(f"{model.key}{MANIFEST}") is not None:
            return ModelError(f"{model} exists already in {self.place}", "give another --version, or none")
        return ModelError(
            f"{model} is unfinished in {self.place}: it is being written, or its training was stopped",
            f"remove {model.place}, or give another --version",
        )

    def add(self, name: str, version: str | date, make: Callable[[str], Mapping[str, bytes]]) -> Model:
        """Add a version of a model, whole or not at all.

        Args:
            name: The model's name.
            version: Its version, or the day that it is made, for that day and the next number of it.
            make: Returns what the store keeps of a version by its path below NAME/VERSION/, such as "bundle/card.md",
                the bundle's manifest included.

        Returns:
            The new version.

        Raises:
            ModelError: The version that was asked for exists, or other files are in its place.
            StorageError: The store cannot be written to.
        """
        wanted = [version] if isinstance(version, str) else self._free(name, version)
        for each in wanted:
            model, contents = Model(self, name, each), make(each)
            place, made = model.key.removesuffix("bundle/"), list[str]()
            claim, manifest = "bundle/model.json", f"bundle/{MANIFEST}"
            others = [path for path in contents if path not in (claim, manifest)]
            try:
                if not self.files.create(place + claim, contents[claim]):
                    continue  # another training took this number
                made.append(claim)
                for path in [*others, manifest]:
                    if not self.files.create(place + path, contents[path]):
                        raise ModelError(f"{model.place} has other files already", "move them away")
                    made.append(path)
            except BaseException as error:
                self._withdraw(place, made)
                if isinstance(error, OSError):
                    raise StorageError(f"{self.place} cannot be written to: {error.strerror or error}") from None
                raise
            return model
        raise self._taken(Model(self, name, str(version)))

    def _free(self, name: str, day: date) -> Iterator[str]:
        dated = [_DATED.fullmatch(version) for version in self.files.folders(f"{self.prefix}{name}/")]
        today = [int(match[2]) for match in dated if match and match[1] == day.isoformat()]
        return (f"{day.isoformat()}-{number}" for number in count(max(today, default=0) + 1))

    def _withdraw(self, place: str, made: Sequence[str]) -> None:
        """Remove what an `add` that was stopped has made. What may not be removed stays, and is not listed."""
        for path in reversed(made):
            try:
                self.files.remove(f"{place}{path}")
            except StorageError:  # nor will the others be removed
                return
            if isinstance(self.files, Folder):
                for parent in (self.files.root / place / path).parents:
                    if parent == self.files.root.parent:
                        break
                    with suppress(OSError):  # there is more in it
                        parent.rmdir()


def _intact(folder: Path, digest: str) -> bool:
    try:
        Bundle.open(folder, digest)
    except BundleError:
        return False
    return True


def default_place() -> str:
    """Return the store where none is given: $CANDOR_STORE, or `models`."""
    return os.environ.get("CANDOR_STORE") or str(DEFAULT)


def is_name(name: str) -> bool:
    """Return True if a model or a version can have this name.

    Letters of all scripts may have marks, as Hindi's vowels do.

    Example:
        >>> is_name("tickets-2"), is_name("工单"), is_name("हिन्दी"), is_name("a/b"), is_name("a@b"), is_name(".a")
        (True, True, True, False, False, False)
    """
    return 0 < len(name) <= MAX_NAME and name[0] not in ".-" and all(map(_in_names, name))


def _in_names(character: str) -> bool:
    return character in "_.-" or character.isalnum() or unicodedata.category(character) in ("Mn", "Mc")


def name_of(data: str) -> str:
    """Return the name of a model of a data set.

    Example:
        >>> name_of("Support Tickets (2026)"), name_of("工单"), name_of("***")
        ('support-tickets-2026', '工单', 'model')
    """
    bare = unicodedata.normalize("NFC", data.lower())
    parts = "".join(each if _in_names(each) and each != "-" else " " for each in bare).split()
    return "-".join(parts).strip("-._")[:MAX_NAME] or "model"


def resolve(wanted: str, place: str) -> Path:
    """Return the folder of the bundle that `--model` names.

    Args:
        wanted: The folder of a bundle, of a version or of a model; NAME or NAME@VERSION in the store; or the same
            behind s3://BUCKET/PREFIX/.
        place: The store.

    Raises:
        ModelError: The store has no such model.
        StorageError: The bucket cannot be read.
        BundleError: The bundle in the bucket is damaged.
    """
    if "://" in wanted:
        place, _, wanted = wanted.rpartition("/")
        if not place.removeprefix(BUCKETS).strip(":/"):
            raise ModelError(f"{place}/{wanted} names no model", "name one as s3://BUCKET/PREFIX/NAME")
        return ModelStore(place).find(wanted).folder()
    path = Path(wanted)
    for folder in (path, path / "bundle"):
        if (folder / MANIFEST).is_file():
            return folder
    named = is_name(wanted.partition("@")[0])
    if path.is_dir():
        whole = path.resolve()
        versions = ModelStore(str(whole.parent)).versions(whole.name) if is_name(whole.name) else []
        if versions:
            return versions[-1].folder()
        if not named or not ModelStore(place).versions(wanted):
            return path  # no bundle, as whoever opens it will say
    return ModelStore(place).find(wanted).folder() if named else path


def _order(version: str) -> tuple[bool, list[tuple[int, str]]]:
    parts = _DIGITS.split(version)
    return bool(_DATED.fullmatch(version)), [(int(part) if part.isdecimal() else -1, part) for part in parts]


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "candor" / "models"
