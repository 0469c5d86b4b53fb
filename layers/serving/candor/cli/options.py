"""Arguments and options that several commands share, and the types that check their values."""

import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from candor.cli.errors import CommandError
from candor.resources import BUNDLE
from candor.values import number, whole

if TYPE_CHECKING:
    from candor.model.classifier import Classifier

F = TypeVar("F", bound=Callable[..., Any])


class Probability(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.5 on only
    """A number from 0 to 1."""

    name = "probability"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the value as a float; fail for what is no number, not finite, or outside 0 to 1."""
        try:
            return number(str(value), 0, 1)
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


class Whole(click.ParamType):  # type: ignore[type-arg]
    """A whole number from `least` to `most`; None: without an end."""

    name = "whole number"

    def __init__(self, least: int, most: int | None = None) -> None:
        self.least, self.most = least, most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the value as an int; fail for what is none, or out of range."""
        try:
            return whole(str(value), self.least, self.most)
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


class Number(click.ParamType):  # type: ignore[type-arg]
    """A number from `least` to `most`; without `most`, any finite one above `least`."""

    name = "number"

    def __init__(self, least: float, most: float | None = None) -> None:
        self.least, self.most = least, most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the value as a float; fail for what is no number, not finite, or out of range."""
        try:
            if self.most is not None:
                return number(str(value), self.least, self.most)
            if (found := number(str(value), -math.inf)) > self.least:
                return found
        except ValueError as error:
            if self.most is not None:
                self.fail(f"{error}.", param, ctx)
        self.fail(f"{value!r} is not a number above {self.least:g}.", param, ctx)


class Line(click.ParamType):  # type: ignore[type-arg]
    """A text of one line: from 1 to `most` printable characters, without white space around it."""

    name = "line"

    def __init__(self, most: int) -> None:
        self.most = most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text without the white space around it; fail if it is empty, too long or not printable."""
        text = str(value).strip()
        if not (0 < len(text) <= self.most and text.isprintable()):
            self.fail(f"a line of 1 to {self.most} printable characters is expected.", param, ctx)
        return text


class Named(click.Path):
    """A path, which may not be empty: that would mean the working directory.

    Args:
        existing: `file` or `folder` if there must be one.
        options: Those of click.Path.
    """

    name = "path"

    def __init__(self, existing: str = "", **options: Any) -> None:
        super().__init__(path_type=Path, **options)
        self.existing = existing

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value as a Path; fail if it is empty or not what must exist."""
        if value == "":
            self.fail("the path is empty.", param, ctx)
        path = Path(value)
        if self.existing and not (self.allow_dash and str(value) == "-"):
            if not path.exists():
                raise CommandError(f"{value} does not exist")
            if path.is_dir() != (self.existing == "folder"):
                raise CommandError(f"{value} is {'a file' if path.is_file() else 'a folder'}, not a {self.existing}")
        return super().convert(value, param, ctx)


class Model(click.ParamType):  # type: ignore[type-arg]
    """A model of the store, or the folder of a bundle; as a Path of that folder."""

    name = "model"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the folder of the bundle; fail if the store has no such model."""
        if isinstance(value, Path):  # the default
            return value
        if value == "":
            self.fail("the name is empty.", param, ctx)
        if len(value) > MAX_PLACE:
            self.fail(f"it has more than {MAX_PLACE:,} characters.", param, ctx)
        if Path(value).is_file():
            raise CommandError(f"{value} is a file, not a model", "candor models lists those of the store")
        from candor.cli.store import ModelError, resolve

        try:
            return resolve(value, place(ctx))
        except ModelError as error:
            raise CommandError(error.problem, error.hint) from None


def place(ctx: click.Context | None) -> str:
    """Return the store that `--store` names, or the default one."""
    from candor.cli.store import default_place

    named = ctx.meta.get(_STORE) if ctx else None
    return named or default_place()


def _remember(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value == "":
        raise click.BadParameter("the name is empty.", ctx, param)
    ctx.meta[_STORE] = value


MAX_PLACE = 1000
"""Characters of the name of a model, with its store or folder."""
_STORE = "candor.store"
store = click.option(
    "--store",
    is_eager=True,  # so that it is known when `--model` is looked up
    expose_value=False,
    callback=_remember,
    show_default="$CANDOR_STORE, or models",
    metavar="PLACE",
    help="Model store: a folder, or s3://BUCKET/PREFIX.",
)


def model(command: F) -> F:
    """Add `--model NAME` and `--store PLACE`. The environment may name the model, as it does for the functions."""
    return click.option(
        "--model",
        "bundle",
        type=Model(),
        envvar="BUNDLE_PATH",
        default=BUNDLE,
        show_default="$BUNDLE_PATH, or the model in use",
        metavar="NAME[@VERSION]",
        help="Model of the store, its latest version if none is given; or the folder of a bundle.",
    )(store(command))


def _column(role: str, holds: str, found: bool = True) -> Callable[[F], F]:
    """Return the option `--ROLE-column NAME`, in short `--ROLE`; `found`: without it the column is looked for."""
    return click.option(
        f"--{role}-column",
        f"--{role}",
        f"{role}_column",
        default=None if found else role,
        show_default=f"{role}, or else what is clearly the {role}s" if found else True,
        metavar="NAME",
        help=f"Column or field that holds the {holds}.",
    )


text_column, label_column = _column("text", "text"), _column("label", "label")
id_column = _column("id", "row's id", found=False)


def reading(command: F) -> F:
    """Add `--delimiter`, `--encoding` and `--no-header`; the command gets them as one `reading`."""

    @functools.wraps(command)
    def wrapped(*args: Any, delimiter: str, encoding: str, no_header: bool, **options: Any) -> Any:
        from candor.batch.faults import RowsError
        from candor.batch.formats import Reading

        try:
            chosen = Reading(delimiter, encoding, not no_header)
        except ValueError as error:
            raise click.BadParameter(f"{error}.", param_hint="'--delimiter'") from None
        except RowsError as error:
            raise CommandError(f"--encoding: {error.problem}", error.hint) from None
        return command(*args, reading=chosen, **options)

    for option in (
        click.option(
            "--no-header",
            is_flag=True,
            help="The first line of a table is a row; columns are named by their numbers, from 1.",
        ),
        click.option(
            "--encoding",
            default="",
            show_default="UTF-8, or what a byte order mark says",
            metavar="NAME",
            help="Encoding of the file, such as cp1252.",
        ),
        click.option(
            "--delimiter",
            default="",
            show_default="found in the file",
            metavar="CHARACTER",
            help="Between the cells of a table: , ; | or another character, or tab.",
        ),
    ):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[return-value]  # click's options return what they are given


skip_bad_rows = click.option(
    "--skip-bad-rows", is_flag=True, help="Leave out rows that cannot be used, instead of naming them and stopping."
)


def min_confidence(command: F) -> F:
    """Add `--min-confidence P`."""
    return click.option(
        "--min-confidence",
        type=Probability(),
        default=None,
        show_default="the model's own",
        metavar="P",
        help="Decide only at this probability or above, from 0 to 1; below it the decision is `uncertain`.",
    )(command)


def no_redact(command: F) -> F:
    """Add `--no-redact`."""
    return click.option(
        "--no-redact", is_flag=True, help="Let the model see personal data. By default it is masked first."
    )(command)


def as_json(command: F) -> F:
    """Add `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")(command)


def load(bundle: Path) -> "Classifier":
    """Load the bundle that `--model` names.

    Raises:
        CommandError: There is no bundle, or it is damaged.
    """
    from candor.errors import CandorError
    from candor.model.classifier import Classifier

    try:
        return Classifier.load(bundle)
    except CandorError as error:
        raise unusable(bundle, error) from None


def unusable(bundle: Path, error: Exception) -> CommandError:
    """Return the error for a folder that is no intact bundle."""
    return CommandError(f"{bundle} is not a usable model: {error}", "candor models lists those of the store")
