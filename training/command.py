"""`candor train`: labelled texts in, a model bundle out.

TensorFlow takes seconds to load and writes to the terminal while it does. So it is loaded last, after the arguments and
the data have been read, and in silence.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from candor.cli import options
from candor.cli.errors import CommandError, install
from candor.errors import CandorError
from candor.resources import BUNDLE, INSTALLED, ROOT

if TYPE_CHECKING:
    from candor.batch.rows import Reading

    from .data import Dataset

LIBRARIES = {
    "tensorflow": "TensorFlow",
    "keras": "Keras",
    "scipy": "SciPy",
    "matplotlib": "Matplotlib",
    "PIL": "Pillow",
}
DEFAULT_BUNDLE = Path("bundle") if INSTALLED else BUNDLE


@click.command(
    short_help="Train a model on labelled texts.",
    epilog="\b\nExample:\n  candor train tickets.csv --text body --label queue --bundle models/tickets",
)
@click.argument("data", nargs=-1, type=options.Named())
@options.text_column
@options.label_column
@options.reading
@options.skip_bad_rows
@click.option("--name", metavar="NAME", show_default="the data's name", help="Name of the model.")
@click.option(
    "--golden",
    type=options.Named(),
    show_default="none; IMDB has ten of its own",
    metavar="FILE",
    help="CSV or JSON lines of texts and labels (columns text and label) that the model must get right.",
)
@click.option(
    "--unlabelled",
    type=options.Named(),
    show_default="none",
    metavar="FILE",
    help="CSV, JSON lines or TXT of more texts, without labels: they help most where labels are few.",
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
    "--bundle",
    type=options.Named(file_okay=False),
    default=DEFAULT_BUNDLE,
    show_default="layers/model/bundle in a checkout, else bundle",
    metavar="PATH",
    help="Folder that the bundle goes to.",
)
@click.option(
    "--report",
    type=options.Named(file_okay=False),
    default=None,
    show_default="BUNDLE-report; training/report for the model in layers/model",
    metavar="PATH",
    help="Folder that figures and pictures go to.",
)
def train(
    data: tuple[Path, ...],
    text_column: str | None,
    label_column: str | None,
    reading: "Reading",
    skip_bad_rows: bool,
    name: str | None,
    golden: Path | None,
    unlabelled: Path | None,
    size: float | None,
    minutes: float | None,
    seed: int,
    bundle: Path,
    report: Path | None,
) -> None:
    """Train a model on DATA, and write its bundle.

    DATA are tables or JSON (.csv, .tsv, .jsonl, .json, also with .gz) with a text and a label in each row; a row with
    an empty label is a text to learn from without one. Or a folder with a sub-folder of .txt files for each label; or
    IMDB's reviews, as a folder or an archive. Without DATA the official IMDB archive is downloaded to .data (84 MB).

    Several models are compared on texts that they have not learnt from, and what does best is fitted on all texts.
    Until the new bundle has passed its checks, an old one in its place stays untouched.
    """
    existed = bundle.exists()
    if report is None:  # the pictures in training/report are those of the model that ships
        ours = bundle.resolve() == BUNDLE.resolve()
        report = ROOT / "training/report" if ours else bundle.with_name(f"{bundle.name}-report")
    try:
        dataset, cases = _read(data, text_column, label_column, golden, unlabelled, reading, skip_bad_rows)
        _train(dataset, cases, name, seed=seed, bundle=bundle, report=report, size=size, minutes=minutes)
    except KeyboardInterrupt:
        left = f"{bundle} is as it was" if existed else "no bundle was written"
        raise CommandError(f"interrupted; {left}", status=130) from None


def _read(
    paths: tuple[Path, ...],
    text_column: str | None,
    label_column: str | None,
    golden: Path | None,
    unlabelled: Path | None,
    reading: "Reading",
    skip_bad_rows: bool,
) -> tuple["Dataset", list[tuple[str, str]]]:
    """Return the data set and the golden cases."""
    from . import data

    for module, library in LIBRARIES.items():
        if find_spec(module) is None:
            raise CommandError(f"training needs {library}, which is not installed", install("train"))
    try:
        dataset = data.load(
            paths or None, text_column, label_column, unlabelled, reading=reading, skip_bad_rows=skip_bad_rows
        )
        golden = golden or (data.IMDB_GOLDEN if dataset.test_texts else None)
        return dataset, data.load_golden(golden, dataset.labels) if golden else []
    except data.DataError as error:
        raise CommandError(error.problem, error.hint or None) from None


def _train(dataset: "Dataset", cases: list[tuple[str, str]], name: str | None, **chosen: Any) -> None:
    from . import summary
    from .bundle_files import ExportError

    counts = summary.label_counts(dataset.labels, dataset.targets.tolist())
    unlabelled = f"; {len(dataset.unlabelled):,} texts without a label" if dataset.unlabelled else ""
    click.echo(f"{dataset.name}: {len(dataset.texts):,} texts; labels {counts}{unlabelled}")
    for remark in dataset.remarks:
        click.echo(f"  {remark}")
    with _quiet_stderr():
        from . import train as training
    name = name or ("imdb-sentiment" if dataset.test_texts else dataset.name)
    try:
        training.train(dataset, training.Options(name, cases, **chosen))
    except (ExportError, CandorError) as error:
        raise CommandError(str(error)) from None


@contextmanager
def _quiet_stderr() -> Iterator[None]:
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
