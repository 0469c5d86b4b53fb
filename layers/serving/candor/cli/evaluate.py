"""`candor evaluate`: how good a model is on labelled texts, with intervals, and whether that is what it promised."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from candor.cli import options
from candor.cli.errors import CommandError

if TYPE_CHECKING:
    from candor.batch.labelled import LabelledRow
    from candor.batch.rows import Reading
    from candor.model.bundle import Bundle
    from candor.model.classifier import Classifier
    from candor.model.evaluation import Answers

BLOCK = 4096  # texts redacted and predicted at a time
CONFUSIONS = 5  # pairs of labels that are printed; a report has more
ERRORS = 5  # errors that are printed; likewise
LABELS = 20  # of the model's, that an error names
FEW = 100  # texts below which bootstrap intervals are too narrow
MAX_TEXT = 400  # characters of a text in a report
MAX_NAME = 30  # columns of a label on the terminal


@click.command(
    short_help="Measure a model on labelled texts.",
    epilog="\b\nExamples:\n  candor evaluate texts.csv\n"
    "  candor evaluate tickets.csv --label queue --model tickets --report evaluation\n\n"
    "Exit status 1: the model is worse on DATA than its own figures say.",
)
@click.argument("data", nargs=-1, required=True, type=options.Named())
@options.model
@options.text_column
@options.label_column
@options.reading
@options.skip_bad_rows
@click.option(
    "--report",
    "folder",
    type=options.Named(file_okay=False),
    show_default="none",
    metavar="FOLDER",
    help="Folder for report.html, report.json and a picture (SVG) of each chart. "
    "The report holds the redacted texts of the worst errors.",
)
@click.option("--no-texts", is_flag=True, help="Leave texts out of the report.")
@click.option(
    "--skip-unknown-labels",
    is_flag=True,
    help="Leave out rows whose label the model does not know, and say how many. By default they are an error.",
)
@options.as_json
@click.option("--seed", type=options.Whole(0), default=1, show_default=True, metavar="N", help="Seed of the bootstrap.")
def evaluate(
    data: tuple[Path, ...],
    bundle: Path,
    text_column: str | None,
    label_column: str | None,
    reading: "Reading",
    skip_bad_rows: bool,
    folder: Path | None,
    no_texts: bool,
    skip_unknown_labels: bool,
    as_json: bool,
    seed: int,
) -> int:
    """Measure the model on DATA, files of texts and their labels, or a folder with a sub-folder of .txt files a label.

    The last line says whether the accuracy is in line with the model's own figures. It is worse, or better, where the
    95% interval of the difference leaves out zero. Intervals in brackets are 95% intervals, too.
    """
    from candor.batch.faults import RowsError
    from candor.batch.labelled import read_all

    classifier = options.load(bundle)
    for path in data:
        if not path.exists():
            raise CommandError(f"{path} does not exist")
    say = partial(click.echo, err=True)
    try:
        every = list(read_all(data, text_column, label_column, reading, skip_bad_rows=skip_bad_rows, say=say))
    except RowsError as error:
        raise CommandError(str(error), error.hint) from None
    named = ", ".join(path.name or path.resolve().name for path in data)
    rows, skipped = known_rows(every, named, classifier, skip=skip_unknown_labels)
    report = measure(rows, skipped, classifier, seed)
    report = {"data": named, "model": classifier.bundle.identity, **report}
    if as_json:
        click.echo(json.dumps(report, ensure_ascii=False))
    else:
        _print(report)
    if folder:
        texts = {} if no_texts else {(row.file, row.line): row.text for row in rows}
        write_report(folder, report, texts)
        if not as_json:
            click.echo(f"wrote {folder / 'report.html'}, report.json and a picture of each chart")
    return 1 if report["comparison"]["verdict"] == "worse" else 0


def known_rows(
    every: Sequence["LabelledRow"], named: str, classifier: "Classifier", *, skip: bool
) -> tuple[list["LabelledRow"], Counter[str]]:
    """Return the rows whose label the model knows.

    Args:
        every: Texts and their labels, as candor.batch.labelled reads them.
        classifier: The model.
        named: What the rows are called in an error.
        skip: Leave out rows whose label the model does not know.

    Returns:
        The rows, and how many were left out, by their label.

    Raises:
        CommandError: No row has a label of the model's, or some have others and `skip` is False.
    """
    from candor.batch.faults import named_labels, shown
    from candor.batch.labels import normalised

    labels = classifier.bundle.labels
    known = {normalised(label) for label in labels}
    if not every:
        raise CommandError(f"{named}: no rows", "it needs a text and a label a row")
    rows = [row for row in every if row.label in known]
    unknown = Counter(row.label for row in every if row.label not in known)
    if unknown and not (skip and rows):
        names = ", ".join(repr(_name(label)) for label in labels[:LABELS])
        names += f" and {len(labels) - LABELS} more" * (len(labels) > LABELS)
        leave_out = "; --skip-unknown-labels leaves such rows out" if rows else ""
        folded = {label.casefold(): label for label in labels}
        alike = [
            f"{shown(each)} is not {_name(folded[each.casefold()])!r}; "
            for each in unknown
            if each.casefold() in folded
        ]
        raise CommandError(
            f"{named}: {unknown.total():,} of {len(every):,} rows have labels that the model does not know: "
            f"{named_labels(unknown)}",
            f"{''.join(alike[:1])}its labels: {names}; --label-column NAME names another column{leave_out}",
        )
    return rows, unknown


def measure(
    rows: Sequence["LabelledRow"], skipped: Mapping[str, int], classifier: "Classifier", seed: int
) -> dict[str, Any]:
    """Predict the texts of labelled rows, and compare with their labels.

    Args:
        rows: At least one, with labels of the model's.
        skipped: Number of rows that were left out, by their label.
        classifier: The model.
        seed: Seed of the bootstrap.

    Returns:
        The report of candor.model.evaluation.evaluate, with the share of each label in the training data where the
        bundle has it; `comparison` with the model's own figures; `skipped`; and `notes`, sentences on what a reader
        should know.
    """
    from candor.batch.labelled import content_digest
    from candor.model.evaluation import LEARNT, compare
    from candor.model.evaluation import evaluate as measure_answers

    report = measure_answers(_answers(rows, classifier), seed=seed)
    for label, share in _training_shares(classifier.bundle).items():
        report["shares"][label]["training"] = share
    report["skipped"] = dict(skipped)
    model = classifier.bundle.model
    learnt = content_digest((row.text, row.label) for row in rows) == model["data"].get("sha256")
    report["notes"] = [LEARNT] * learnt + _notes(report)
    report["comparison"] = compare(report, model["metrics"], learnt=learnt)
    return report


def _training_shares(bundle: "Bundle") -> dict[str, float]:
    """Return the share of each label in the training data; nothing where the bundle does not know it.

    metrics.json counts the labels of the texts that folds held out. Where there are several folds, these are all.
    """
    from candor.errors import BundleError

    try:
        report = json.loads(bundle.read("metrics.json"))["validation"]["ours"]["all"]
        n, counts = report["n"], {label: each["n"] for label, each in report["by_label"].items()}
    except (BundleError, ValueError, KeyError, TypeError):
        return {}
    if n != bundle.model["data"].get("texts") or set(counts) != set(bundle.labels):
        return {}
    return {label: round(count / n, 6) for label, count in counts.items()}


def _answers(rows: Sequence["LabelledRow"], classifier: "Classifier") -> "Answers":
    import numpy as np
    from tqdm import tqdm

    from candor.batch.labels import normalised
    from candor.model.evaluation import Answers

    labels = classifier.bundle.labels
    index = {normalised(label): number for number, label in enumerate(labels)}
    probabilities = np.empty((len(rows), len(labels)))
    warnings: list[tuple[str, ...]] = []
    for start in tqdm(range(0, len(rows), BLOCK), "evaluating", leave=False, disable=None):
        predictions = classifier.predict([row.text for row in rows[start : start + BLOCK]])
        probabilities[start : start + BLOCK] = [[each.probabilities[label] for label in labels] for each in predictions]
        warnings += [each.warnings for each in predictions]
    targets = np.array([index[row.label] for row in rows])
    lines = np.array([row.line for row in rows])
    files = tuple(row.file for row in rows) if any(row.file for row in rows) else ()
    return Answers(labels, probabilities, targets, lines, classifier.min_confidence, warnings, files)


def _notes(report: Mapping[str, Any]) -> list[str]:
    from candor.batch.faults import named_labels

    notes = []
    if skipped := report["skipped"]:
        rows, n = sum(skipped.values()), report["n"]
        accuracy = report["accuracy"]["value"] * n / (n + rows)
        notes.append(
            f"Left out: {rows:,} of {n + rows:,} rows, whose labels the model does not know: {named_labels(skipped)}. "
            f"It cannot get them right; with them the accuracy is {accuracy:.1%}."
        )
    absent = [label for label, each in report["by_label"].items() if not each["n"]]
    if absent:
        notes.append(
            f"{len(absent):,} of the model's {len(report['by_label']):,} labels "
            f"{'has' if len(absent) == 1 else 'have'} no text here. Means over labels leave them out."
        )
    if report["n"] < FEW:
        notes.append(
            f"Fewer than {FEW} texts make these figures rough, and the intervals of all but shares of texts too narrow."
        )
    return notes


def write_report(folder: Path, report: Mapping[str, Any], texts: Mapping[tuple[str, int], str]) -> None:
    """Write report.json, report.html and a picture of each chart into a folder, which is made if there is none.

    Args:
        folder: The folder. Files of these names are overwritten.
        report: The result of `measure`, with `data` and `model`.
        texts: Texts by file, as rows name it, and line, which are redacted before they are written.

    Raises:
        CommandError: The folder or a file cannot be written.
    """
    from candor.cli.evaluation_page import CHARTS, n_texts, page
    from candor.cli.score import write

    errors = [
        each | ({"text": _excerpt(texts[place])} if (place := (each.get("file", ""), each["line"])) in texts else {})
        for each in report["worst_errors"]
    ]
    report = {**report, "worst_errors": errors}
    model = report["model"]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"{folder} cannot be made: {error.strerror}") from None
    subtitle = f"{n_texts(report['n'])}, model {model['name']} {model['version']} ({model['sha256'][:12]})"
    write(folder / "report.json", [json.dumps(report, ensure_ascii=False, indent=1), "\n"])
    write(folder / "report.html", [page(f"{model['name']} on {report['data']}", subtitle, report)])
    for name, chart in CHARTS.items():
        write(folder / f"{name}.svg", [chart(report)])


def _excerpt(text: str) -> str:
    """Return the beginning of a text, redacted."""
    from candor.redact import redact

    text = redact(text).text
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"


def _print(report: Mapping[str, Any]) -> None:
    from candor.cli.evaluation_page import decided, n_texts, number, percent

    model = report["model"]
    click.echo(f"{n_texts(report['n'])}, model {model['name']} {model['version']}")
    for note in report["notes"]:
        click.echo(note)
    warnings = ", ".join(f"{code} {count:,}" for code, count in report["warnings"].items())
    for name, value in (
        ("accuracy", percent(report["accuracy"])),
        ("macro F1", percent(report["f1"])),
        ("ROC AUC", number(report["roc_auc"])),
        ("log loss", number(report["log_loss"])),
        ("calibration error", number(report["calibration"]["ece"])),
        ("decided", decided(report["decided"])),
        ("warnings", warnings or "none"),
    ):
        click.echo(f"  {name:18} {value}")
    _print_labels(report)
    if report["confused"]:
        click.echo("\nmost confused")
    for each in report["confused"][:CONFUSIONS]:
        click.echo(f"  {each['texts']:,} × {_name(each['label'])} taken for {_name(each['predicted'])}")
    if report["worst_errors"]:
        click.echo("\nworst errors")
    for each in report["worst_errors"][:ERRORS]:
        pair = f"{_name(each['label'])} taken for {_name(each['predicted'])}"
        click.echo(f"  line {each['line']:,}: {pair}, {each['probability']:.1%}")
    click.echo(f"\n{report['comparison']['sentence']}")


def _print_labels(report: Mapping[str, Any]) -> None:
    """Print a table of labels: number of texts, share of texts and of answers, and measures with their intervals."""
    from candor.cli.evaluation_page import measures
    from candor.cli.width import columns, distinct, padded

    names = dict(zip(report["by_label"], distinct([*report["by_label"]], MAX_NAME), strict=True))
    width = max(len("label"), *map(columns, names.values()))
    heads = "".join(f"{head:>27}" for head in ("precision", "recall", "F1"))
    click.echo(f"\n{padded('label', width)}{'texts':>8}{'share':>8}{'answers':>9}{heads}")
    for label, each in report["by_label"].items():
        shares = report["shares"][label]
        cells = "".join(f"{cell:>27}" for cell in measures(each))
        click.echo(
            f"{padded(names[label], width)}{each['n']:>8,}{shares['texts']:>8.1%}{shares['answers']:>9.1%}{cells}"
        )


def _name(label: str) -> str:
    from candor.cli.width import shortened

    return shortened(label, MAX_NAME)
