"""`candor evaluate`: how good a model is on labelled texts, with intervals."""

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from candor.cli import options
from candor.cli.errors import CommandError

if TYPE_CHECKING:
    from candor.batch.labelled import LabelledRow
    from candor.batch.rows import Reading
    from candor.model.classifier import Classifier

BLOCK = 4096  # texts redacted and predicted at a time
CONFUSIONS = 5  # pairs of labels that are listed


@click.command(
    short_help="Measure a model on labelled texts.",
    epilog="\b\nExamples:\n  candor evaluate reviews.csv\n"
    "  candor evaluate tickets.csv --label queue --model models/tickets",
)
@click.argument("data", nargs=-1, required=True, type=options.Named())
@options.model
@options.text_column
@options.label_column
@options.reading
@options.skip_bad_rows
@options.as_json
@click.option("--seed", type=options.Whole(0), default=1, show_default=True, metavar="N", help="Seed of the bootstrap.")
def evaluate(
    data: tuple[Path, ...],
    bundle: Path,
    text_column: str | None,
    label_column: str | None,
    reading: "Reading",
    skip_bad_rows: bool,
    as_json: bool,
    seed: int,
) -> None:
    """Measure the model on DATA, files of texts and their labels, or a folder with a sub-folder of .txt files a label.

    Intervals are 95% intervals: Wilson's for the accuracy that is printed, else of the bootstrap over rows.
    """
    from candor.batch.faults import RowsError
    from candor.batch.labelled import read_all

    classifier = options.load(bundle)
    for path in data:
        if not path.exists():
            raise CommandError(f"{path} does not exist")
    say = partial(click.echo, err=True)
    try:
        rows = list(read_all(data, text_column, label_column, reading, skip_bad_rows=skip_bad_rows, say=say))
    except RowsError as error:
        raise CommandError(str(error), error.hint) from None
    figures = measure(rows, classifier, seed, skip_unknown=skip_bad_rows, say=say)
    if as_json:
        click.echo(json.dumps(figures, ensure_ascii=False))
    else:
        _print(figures)


def measure(
    rows: Sequence["LabelledRow"],
    classifier: "Classifier",
    seed: int,
    *,
    skip_unknown: bool = False,
    say: Callable[[str], None] = lambda sentence: None,
) -> dict[str, Any]:
    """Predict every labelled text, and compare with its label.

    Args:
        rows: Texts and their labels, as candor.batch.labelled reads them.
        classifier: The model.
        seed: Seed of the bootstrap.
        skip_unknown: Leave out rows whose label the model does not know.
        say: Called with a sentence on what was left out.

    Returns:
        The figures of candor.model.metrics.evaluate; `calibration`; and `decided`, the share of texts at or above the
        model's own confidence threshold and their accuracy (None where none is).

    Raises:
        CommandError: There are no rows, or some have a label that the model lacks.
    """
    import numpy as np
    from tqdm import tqdm

    from candor.batch.labelled import unknown_labels
    from candor.batch.labels import normalised
    from candor.model import metrics

    labels = classifier.bundle.labels
    index = {normalised(label): number for number, label in enumerate(labels)}
    if unknown := unknown_labels(rows, [*index]):
        if not skip_unknown:
            hint = "--label-column NAME names another column, --skip-bad-rows leaves the rows out"
            raise CommandError(
                f"labels that the model does not know: {unknown}", f"its labels: {', '.join(labels)}; {hint}"
            )
        say(f"left out, since the model does not know their labels: {unknown}")
        rows = [row for row in rows if row.label in index]
    if not rows:
        raise CommandError("no rows to measure", "each needs a text and a label that the model knows")
    targets = np.array([index[row.label] for row in rows])
    predictions = []
    for start in tqdm(range(0, len(rows), BLOCK), "evaluating", leave=False, disable=None):
        predictions += classifier.predict([row.text for row in rows[start : start + BLOCK]])
    probabilities = np.array([[each.probabilities[label] for label in labels] for each in predictions])
    decided = np.array([each.decision(classifier.min_confidence) != "uncertain" for each in predictions])
    correct = probabilities.argmax(axis=1) == targets
    return {
        **metrics.evaluate(probabilities, targets, labels, seed=seed),
        "calibration": metrics.calibration(probabilities, targets, seed=seed),
        "decided": {
            "share": round(float(decided.mean()), 6),
            "accuracy": round(float(correct[decided].mean()), 6) if decided.any() else None,
            "min_confidence": classifier.min_confidence,
        },
    }


def _print(figures: dict[str, Any]) -> None:
    from candor.model.metrics import wilson_interval

    click.echo(f"{figures['n']:,} texts")
    n_correct = round(figures["accuracy"]["value"] * figures["n"])
    low, high = wilson_interval(n_correct, figures["n"])  # holds for few texts, too, where the bootstrap fails
    click.echo(f"  {'accuracy':18} {_percent(figures['accuracy'] | {'low': low, 'high': high})}")
    click.echo(f"  {'macro F1':18} {_percent(figures['f1'])}")
    for name, value in (
        ("ROC AUC", figures["roc_auc"]),
        ("log loss", figures["log_loss"]),
        ("calibration error", figures["calibration"]["ece"]),
    ):
        click.echo(f"  {name:18} {value['value']:.3f} ({value['low']:.3f} to {value['high']:.3f})")
    decided = figures["decided"]
    accuracy = "" if decided["accuracy"] is None else f", {decided['accuracy']:.1%} of them right"
    click.echo(f"  {'decided':18} {decided['share']:.1%} at {decided['min_confidence']:.3f} or above{accuracy}")
    width = max(map(len, figures["by_label"]))
    click.echo(f"\n{'label':{width}}  {'texts':>8}  precision  recall      F1")
    for label, each in figures["by_label"].items():
        scores = (each[name]["value"] for name in ("precision", "recall", "f1"))
        click.echo(f"{label:{width}}  {each['n']:8,}  " + "  ".join(f"{value:>8.1%}" for value in scores))
    _print_confusions(figures["confusion_matrix"])


def _print_confusions(matrix: dict[str, Any]) -> None:
    pairs = [
        (count, true, predicted)
        for true, counts in zip(matrix["labels"], matrix["counts"], strict=True)
        for predicted, count in zip(matrix["labels"], counts, strict=True)
        if true != predicted and count
    ]
    if pairs:
        click.echo("\nmost confused")
        for count, true, predicted in sorted(pairs, key=lambda pair: -pair[0])[:CONFUSIONS]:
            click.echo(f"  {count:,} × {true} taken for {predicted}")


def _percent(interval: dict[str, float]) -> str:
    return f"{interval['value']:.1%} ({interval['low']:.1%} to {interval['high']:.1%})"
