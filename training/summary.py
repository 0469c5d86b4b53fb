"""Lay out what training prints: a table of epochs, a table of labels, and what comes next."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import Any

from candor.limits import MAX_SHOWN_NAME
from candor.model.metrics import wilson_interval

EPOCH_HEADER = f"{'network':<9}{'epoch':>6}{'train_loss':>12}{'val_loss':>10}{'val_acc':>9}"


def epoch_row(network: str, epoch: Mapping[str, float]) -> str:
    """Return an epoch as a row below EPOCH_HEADER.

    Args:
        network: "candor" or "baseline".
        epoch: Its losses (nats) and accuracies.

    Example:
        >>> epoch_row("candor", {"epoch": 1, "loss": 0.5, "val_loss": 0.4, "val_accuracy": 0.9})
        'candor        1      0.5000    0.4000   0.9000'
    """
    numbers = f"{epoch['epoch']:>6.0f}{epoch['loss']:>12.4f}{epoch['val_loss']:>10.4f}{epoch['val_accuracy']:>9.4f}"
    return f"{network:<9}{numbers}"


def label_table(report: Mapping[str, Any]) -> str:
    """Return support, precision, recall and F1 of each label, from a result of candor.model.metrics.evaluate."""
    names = {label: _short(label) for label in report["by_label"]}
    width = max(len("macro avg"), *map(len, names.values()))
    rows = [f"{'label':<{width}}{'support':>9}{'precision':>11}{'recall':>8}{'f1':>8}"]
    rows += [_label_row(names[label], width, each) for label, each in report["by_label"].items()]
    return "\n".join([*rows, _label_row("macro avg", width, report)])


def _label_row(name: str, width: int, metrics: Mapping[str, Any]) -> str:
    precision, recall, f1 = (metrics[metric]["value"] for metric in ("precision", "recall", "f1"))
    return f"{name:<{width}}{metrics['n']:>9,}{precision:>11.4f}{recall:>8.4f}{f1:>8.4f}"


def _short(label: str) -> str:
    return label if len(label) <= MAX_SHOWN_NAME else f"{label[: MAX_SHOWN_NAME - 1]}…"


def accuracy_with_interval(report: Mapping[str, Any]) -> str:
    """Return an accuracy with its 95 % Wilson interval, from a result of candor.model.metrics.evaluate.

    The bootstrap's interval, which the report keeps, is empty where a few texts are all right.

    Example:
        >>> accuracy_with_interval({"n": 39, "accuracy": {"value": 1.0}})
        '100.00% (95% interval 91.03% to 100.00%)'
    """
    n, accuracy = report["n"], report["accuracy"]["value"]
    low, high = wilson_interval(round(accuracy * n), n)
    return f"{accuracy:.2%} (95% interval {low:.2%} to {high:.2%})"


def next_commands(bundle: Path, installable: bool) -> str:
    """Return the commands that use a new bundle.

    Args:
        bundle: The bundle's folder.
        installable: There is a checkout that `candor use` can install it into.

    Example:
        >>> print(next_commands(Path("models/my tickets"), installable=False))
        next:
          candor serve --model 'models/my tickets'
          candor score FILE --model 'models/my tickets'
    """
    path = quote(str(bundle))
    commands = [f"candor use {path}"] * installable
    commands += [f"candor serve --model {path}", f"candor score FILE --model {path}"]
    return "\n".join(["next:", *(f"  {command}" for command in commands)])


def label_counts(labels: Sequence[str], targets: Sequence[int]) -> str:
    """Return the first ten labels with their number of texts.

    Example:
        >>> label_counts(["neg", "pos"], [0, 1, 1])
        'neg (1), pos (2)'
    """
    counts = [f"{_short(label)} ({list(targets).count(index):,})" for index, label in enumerate(labels[:10])]
    return ", ".join([*counts, *([f"{len(labels) - 10} more labels"] if len(labels) > 10 else [])])
