"""`candor evaluate`: how good a model is on labelled texts, with intervals."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from candor.cli import options
from candor.cli.errors import CommandError

if TYPE_CHECKING:
    from candor.model.classifier import Classifier

BLOCK = 4096  # texts redacted and predicted at a time
CONFUSIONS = 5  # pairs of labels that are listed


@click.command(
    short_help="Measure a model on labelled texts.",
    epilog="\b\nExamples:\n  candor evaluate texts.csv\n"
    "  candor evaluate tickets.csv --label queue --model models/tickets",
)
@click.argument("data", type=options.Named("file"))
@options.model
@options.text_column
@options.label_column
@options.as_json
@click.option("--seed", type=options.Whole(0), default=1, show_default=True, metavar="N", help="Seed of the bootstrap.")
def evaluate(data: Path, bundle: Path, text_column: str, label_column: str, as_json: bool, seed: int) -> None:
    """Measure the model on DATA, a .csv or .jsonl file (also .gz) of texts and their labels.

    Intervals are 95% intervals: Wilson's for the accuracy that is printed, else of the bootstrap over rows.
    """
    from candor.batch.rows import RowsError

    classifier = options.load(bundle)
    try:
        figures = measure(data, classifier, text_column, label_column, seed)
    except RowsError as error:
        raise CommandError(str(error), error.hint) from None
    if as_json:
        click.echo(json.dumps(figures, ensure_ascii=False))
    else:
        _print(figures)


def measure(data: Path, classifier: "Classifier", text_column: str, label_column: str, seed: int) -> dict[str, Any]:
    """Predict every text of a labelled file, and compare with its label.

    Args:
        data: The file.
        classifier: The model.
        text_column: Column of texts.
        label_column: Column of labels.
        seed: Seed of the bootstrap.

    Returns:
        The figures of candor.model.metrics.evaluate; `calibration`; and `decided`, the share of texts at or above the
        model's own confidence threshold and their accuracy (None where none is).

    Raises:
        RowsError: The file cannot be read.
        CommandError: The file has no rows, or a label that the model lacks.
    """
    import numpy as np
    from tqdm import tqdm

    from candor.batch.rows import read_labelled, shown
    from candor.model import metrics

    labels = classifier.bundle.labels
    with data.open("rb") as file:
        rows = list(read_labelled(file, data.name, text_column, label_column))
    if not rows:
        raise CommandError(f"{data}: no rows", "it needs a text and a label a row")
    for row in rows:
        if row.label not in labels:
            raise CommandError(
                f"{data}: row {row.line} has a label that the model does not know: {shown(row.label)}",
                f"its labels: {', '.join(labels)}; --label-column NAME names another column",
            )
    targets = np.array([labels.index(row.label) for row in rows])
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
