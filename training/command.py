"""`candor train`: labelled texts in, a new version of a model out.

TensorFlow takes seconds to load and writes to the terminal while it does. So it is loaded last, after the arguments and
the data have been read, and in silence.
"""

import os
import tempfile
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from candor.cli import options
from candor.cli.errors import CommandError, install
from candor.errors import CandorError

if TYPE_CHECKING:
    from candor.batch.labelled import LabelledRow
    from candor.batch.rows import Reading

    from .data import Dataset
    from .ways import Care

LIBRARIES = {
    "tensorflow": "TensorFlow",
    "keras": "Keras",
    "scipy": "SciPy",
    "matplotlib": "Matplotlib",
    "PIL": "Pillow",
}


class Name(click.ParamType):  # type: ignore[type-arg]
    """The name of a model, or of a version."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name in NFC; fail for what could not be a folder's name everywhere."""
        from candor.cli.store import MAX_NAME, is_name

        name = unicodedata.normalize("NFC", value)
        if not is_name(name):
            self.fail(
                f"{value!r} is no name: up to {MAX_NAME} letters, digits and . _ -, the first a letter or digit.",
                param,
                ctx,
            )
        return name


MAX_LINE = 1000  # characters
WAYS = ("one-feature", "augment", "reweigh", "off")


identity_option = click.option(
    "--identity",
    type=options.Named(),
    show_default="ours, in English and Chinese",
    metavar="FILE",
    help="JSON of groups and their terms, instead of ours.",
)


def groups_of(path: Path | None, keep: Collection[str] = ()) -> Mapping[str, Sequence[str]]:
    """Return the terms by group of a file, or ours, without the groups to keep.

    Raises:
        CommandError: They cannot be used.
    """
    from . import identity

    try:
        return identity.load(path, keep).groups
    except identity.IdentityError as error:
        raise CommandError(error.problem, error.hint or None) from None


def _about(name: str, what: str) -> Callable[[Any], Any]:
    """Return an option that says something about the model."""
    return click.option(f"--{name}", type=options.Line(MAX_LINE), show_default="not stated", metavar="TEXT", help=what)


@click.command(
    short_help="Train a model on labelled texts.",
    epilog="\b\nExample:\n  candor train tickets.csv --text body --label queue --name tickets",
)
@click.argument("data", nargs=-1, type=options.Named())
@options.text_column
@options.label_column
@options.reading
@options.skip_bad_rows
@click.option("--name", type=Name(), metavar="NAME", show_default="the data's name", help="Name of the model.")
@click.option(
    "--version",
    type=Name(),
    metavar="VERSION",
    show_default="the day and a number, such as 2026-11-27-1",
    help="Version of the model.",
)
@options.store
@click.option(
    "--golden",
    type=options.Named(),
    show_default="none; IMDB has ten of its own",
    metavar="FILE",
    help="CSV or JSON lines of texts and labels (columns text and label) that the model must get right.",
)
@click.option(
    "--golden-from-validation",
    is_flag=True,
    help="Take texts of DATA that were held out as golden cases, too. They are then in the bundle, masked.",
)
@click.option(
    "--text-noun",
    type=options.Line(30),
    show_default="text; review for IMDB",
    metavar="NOUN",
    help="What a text is called on the model's page and card, such as ticket.",
)
@click.option(
    "--samples",
    type=options.Named(),
    show_default="none; IMDB has four of its own",
    metavar="FILE",
    help="TXT, CSV or JSON lines of up to 8 texts that the model's page offers to try. Write them yourself.",
)
@click.option(
    "--unlabelled",
    type=options.Named(),
    show_default="none",
    metavar="FILE",
    help="CSV, JSON lines or TXT of more texts, without labels: they help most where labels are few.",
)
@click.option(
    "--test",
    type=options.Named(),
    show_default="none: held-out texts of DATA; IMDB has a test split of its own",
    metavar="FILE",
    help="CSV or JSON lines, with the same columns, of texts that the model is tested on and never learns from.",
)
@click.option(
    "--size",
    type=options.Number(0.3, 50),
    show_default="3 for two labels, 8 for more",
    metavar="MB",
    help="Maximum size of the bundle.",
)
@click.option(
    "--minutes",
    type=options.Number(0),
    show_default="no limit",
    metavar="N",
    help="Time after which no further candidate is tried; then the bundle depends on the machine's speed.",
)
@click.option(
    "--seed", type=options.Whole(0, 2**32 - 1), default=1, show_default=True, metavar="N", help="Random seed."
)
@click.option(
    "--fair",
    type=click.Choice(WAYS),
    default=WAYS[0],
    show_default=True,
    help="How to keep answers from depending on whom a text names. one-feature: no term of a group can be told from "
    "another. augment: learn from copies with terms exchanged, too. reweigh: weigh texts, so that labels do not depend "
    "on groups. off: nothing.",
)
@identity_option
@click.option(
    "--keep",
    multiple=True,
    show_default="none",
    metavar="GROUP",
    help="Group whose terms the model may tell apart, because that is its task. Can be given several times.",
)
@click.option(
    "--balance",
    multiple=True,
    show_default="none",
    metavar="labels|GROUP",
    help="Weigh texts, so that each label, or each term of a group, counts alike. Can be given several times.",
)
@click.option(
    "--accept-unfair",
    type=options.Line(MAX_LINE),
    show_default="no model is made",
    metavar="REASON",
    help="Make the model even if it passes a limit of fairness. The reason and the figures are on its card.",
)
@_about("description", "What the model does.")
@_about("intended-use", "What it is meant for, and what not.")
@_about("owner", "Whose model it is.")
@_about("licence", "Terms on which others may use it.")
def train(
    data: tuple[Path, ...],
    text_column: str | None,
    label_column: str | None,
    reading: "Reading",
    skip_bad_rows: bool,
    name: str | None,
    golden: Path | None,
    text_noun: str | None,
    samples: Path | None,
    unlabelled: Path | None,
    test: Path | None,
    size: float | None,
    minutes: float | None,
    seed: int,
    version: str | None,
    golden_from_validation: bool,
    fair: str,
    identity: Path | None,
    keep: tuple[str, ...],
    balance: tuple[str, ...],
    accept_unfair: str | None,
    **about: str | None,
) -> None:
    """Train a model on DATA, and put it into the model store as a new version.

    DATA are tables or JSON (.csv, .tsv, .jsonl, .json, also with .gz) with a text and a label in each row; a row with
    an empty label is a text to learn from without one. Or a folder with a sub-folder of .txt files for each label; or
    IMDB's reviews, as a folder or an archive. Without DATA the official IMDB archive is downloaded to .data (84 MB).

    Several models are compared on texts that they have not learnt from, and what does best is fitted on all texts.
    No model or other file is written over; a training that is stopped leaves nothing.
    """
    place = options.place(click.get_current_context())
    for path in () if data else (golden, samples, unlabelled, test):
        if path and not path.exists():  # before IMDB is downloaded
            raise CommandError(f"{path} does not exist")
    try:
        dataset, cases = _read(data, text_column, label_column, golden, unlabelled, test, reading, skip_bad_rows)
        shown = _shown(dataset, text_noun, samples, text_column)
        care = _care(identity, keep, balance, way=fair, accepted=accept_unfair or "")
        _train(
            dataset,
            cases,
            name,
            place,
            version,
            {key: value for key, value in about.items() if value},
            seed=seed,
            size=size,
            minutes=minutes,
            golden_from_held_out=golden_from_validation,
            fairness=care,
            **shown,
        )
    except KeyboardInterrupt:
        raise CommandError("interrupted; nothing was written", status=130) from None


def _read(
    paths: tuple[Path, ...],
    text_column: str | None,
    label_column: str | None,
    golden: Path | None,
    unlabelled: Path | None,
    test: Path | None,
    reading: "Reading",
    skip_bad_rows: bool,
) -> tuple["Dataset", "list[LabelledRow]"]:
    """Return the data set and the golden cases."""
    from . import data

    for module, library in LIBRARIES.items():
        if find_spec(module) is None:
            raise CommandError(f"training needs {library}, which is not installed", install("train"))
    try:
        dataset = data.load(
            paths or None, text_column, label_column, unlabelled, test, reading=reading, skip_bad_rows=skip_bad_rows
        )
        golden = golden or (data.IMDB_GOLDEN if dataset.source == data.IMDB_HOME else None)
        return dataset, data.load_golden(golden, dataset.labels) if golden else []
    except data.DataError as error:
        raise CommandError(error.problem, error.hint or None) from None


def _care(path: Path | None, keep: tuple[str, ...], balance: tuple[str, ...], *, way: str, accepted: str) -> "Care":
    """Return how to train fairly."""
    from .ways import LABELS, Care

    groups = groups_of(path, keep)
    if unknown := sorted({*balance} - {LABELS, *groups}):
        raise CommandError(
            f"there is no group {unknown[0]!r} to balance", f"balance {LABELS}, or a group: {', '.join(groups)}"
        )
    return Care(way, groups, keep, balance, accepted)


def _shown(dataset: "Dataset", noun: str | None, samples: Path | None, text_column: str | None) -> dict[str, Any]:
    """Return what the model's page and card show: what a text is called, and the samples."""
    from . import data
    from .samples import IMDB_SAMPLES, load_samples

    imdb = dataset.source == data.IMDB_HOME
    if samples is None and imdb:
        samples, text_column = IMDB_SAMPLES, "text"
    texts = [*dataset.texts, *dataset.test_texts, *dataset.unlabelled]
    try:
        found = load_samples(samples, text_column, texts) if samples else []
    except data.DataError as error:
        raise CommandError(error.problem, error.hint or None) from None
    return {"text_noun": noun or ("review" if imdb else "text"), "samples": found}


def _train(
    dataset: "Dataset",
    cases: "list[LabelledRow]",
    name: str | None,
    place: str,
    version: str | None,
    about: Mapping[str, str],
    **chosen: Any,
) -> None:
    from candor.cli.store import ModelError, ModelStore, name_of

    from . import summary
    from .bundle_files import ExportError, Rights
    from .data import IMDB_HOME
    from .fairness import UnfairError

    name = name or ("imdb-sentiment" if dataset.source == IMDB_HOME else name_of(dataset.name))
    try:
        store = ModelStore(place)
        store.check(name, version)  # before the work, not after it
        counts = summary.label_counts(dataset.labels, dataset.targets.tolist())
        unlabelled = f"; {len(dataset.unlabelled):,} texts without a label" if dataset.unlabelled else ""
        click.echo(f"{name}: {len(dataset.texts):,} texts; labels {counts}{unlabelled}")
        if dataset.test_texts:
            click.echo(summary.test_split(dataset))
        for remark in dataset.remarks:
            click.echo(f"  {remark}")
        with quiet_stderr():
            from . import train as training
        training.train(
            dataset, training.Options(name, cases, store=store, version=version, rights=Rights(**about), **chosen)
        )
    except (ModelError, ExportError) as error:
        raise CommandError(error.problem, error.hint or None) from None
    except UnfairError as error:
        raise CommandError(error.problem, error.hint, status=4) from None
    except CandorError as error:
        raise CommandError(str(error)) from None


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hold back what C++ libraries write to stderr while they load, and pass it on only if they fail."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's errors still raise
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except Exception:
            held.seek(0)
            os.write(stderr, held.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
