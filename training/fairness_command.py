"""`candor fairness`: whether a model's answers depend on whom a text names, or which way of training makes them so."""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from candor.cli import options
from candor.cli.errors import CommandError

from .command import groups_of, identity_option, quiet_stderr

if TYPE_CHECKING:
    from candor.batch.rows import Reading
    from candor.model.classifier import Classifier

    from .fairness import Answers


@click.command(
    short_help="Audit whether answers depend on whom a text names.",
    epilog="\b\nExamples:\n  candor fairness\n  candor fairness --texts tickets.csv\n"
    "  candor fairness --compare tickets.csv --report fairness\n\n"
    "Exit status 1: the model passes a limit.",
)
@click.option(
    "--texts",
    type=options.Named(),
    show_default="none: sentences of ours alone",
    metavar="FILE",
    help="Texts of your own whose terms are exchanged, labelled or not.",
)
@click.option(
    "--compare",
    type=options.Named(),
    show_default="none: an audit",
    metavar="FILE",
    help="Labelled texts to train on in each way, instead of an audit of the model.",
)
@options.model
@options.text_column
@options.label_column
@options.reading
@options.skip_bad_rows
@identity_option
@click.option(
    "--report",
    "folder",
    type=options.Named(file_okay=False),
    show_default="none",
    metavar="FOLDER",
    help="Folder for fairness.json and a picture.",
)
@options.as_json
@click.option("--seed", type=options.Whole(0), default=1, show_default=True, metavar="N", help="Seed of all draws.")
def fairness(
    texts: Path | None,
    compare: Path | None,
    bundle: Path,
    text_column: str | None,
    label_column: str | None,
    reading: "Reading",
    skip_bad_rows: bool,
    identity: Path | None,
    folder: Path | None,
    as_json: bool,
    seed: int,
) -> int:
    """Exchange the terms of groups of people in texts, and put them in turn into one sentence, and see what changes.

    Control words, about which nobody can be unfair, show what is usual. The limits are those that training has.
    """
    if texts and compare:
        raise CommandError("--texts and --compare are given", "use one of them: an audit, or a comparison of ways")
    groups = groups_of(identity)
    found = (
        _compared(compare, text_column, label_column, reading, skip_bad_rows, groups, seed)
        if compare
        else _audited(options.load(bundle), texts, text_column, label_column, reading, groups, seed)
    )
    click.echo(json.dumps(found, ensure_ascii=False) if as_json else _table(found))
    if folder:
        _write(folder, found)
        if not as_json:
            click.echo(f"wrote {folder / 'fairness.json'} and a picture")
    return 1 if found.get("gate", {}).get("passed") else 0


def _audited(
    classifier: "Classifier",
    path: Path | None,
    text_column: str | None,
    label_column: str | None,
    reading: "Reading",
    groups: Mapping[str, Sequence[str]],
    seed: int,
) -> dict[str, Any]:
    """Audit a model on the texts of a file, or on sentences of ours alone."""
    import numpy as np

    from .fairness import audit, gate, limits

    told = json.loads(classifier.bundle.files.get("fairness.json", b"{}"))
    kept = [name for name in told.get("kept", []) if name in groups]
    groups = {name: terms for name, terms in groups.items() if name not in kept}
    texts, names = _read(path, text_column, label_column, reading) if path else ([], [])
    if path and not texts:
        raise CommandError(f"{path} has no text that can be read", "pass a .csv, .tsv, .jsonl, .json or .txt file")
    labels = classifier.bundle.labels
    if unknown := sorted({*names} - {*labels}):
        raise CommandError(
            f"{len(unknown):,} label{'s are' if len(unknown) > 1 else ' is'} none of the model's",
            f"its labels: {', '.join(labels)}; or leave out --label-column",
        )
    model = partial(_answers, classifier)
    targets = np.array([labels.index(name) for name in names], np.int64)
    held_out = model(texts).probabilities if names else np.empty((0, len(labels)))
    found = audit(model, texts, targets, held_out, groups, labels, seed=seed)
    return {
        "model": classifier.bundle.identity,
        "way": told.get("way", "off"),
        "kept": kept,
        "chosen": found,
        "gate": {"limits": limits(), "passed": gate(found)},
    }


def _read(
    path: Path, text_column: str | None, label_column: str | None, reading: "Reading"
) -> tuple[list[str], list[str]]:
    """Return the texts of a file, and their labels if a column of labels is named."""
    from candor.batch.faults import RowsError
    from candor.batch.labelled import read_all
    from candor.batch.rows import read

    try:
        if label_column:
            rows = list(read_all([path], text_column, label_column, reading, say=lambda _: None))
            return [row.text for row in rows], [row.label for row in rows]
        with path.open("rb") as file:
            return [row.text for row in read(file, path.name, text_column, reading=reading) if not row.error], []
    except RowsError as error:
        raise CommandError(str(error), error.hint) from None
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}") from None


def _answers(classifier: "Classifier", texts: Sequence[str]) -> "Answers":
    import numpy as np

    from .fairness import Answers

    labels = classifier.bundle.labels
    index = {label: number for number, label in enumerate(labels)}
    predicted = classifier.predict(texts)
    probabilities = np.array([[*each.probabilities.values()] for each in predicted]).reshape(len(texts), len(labels))
    decisions = [index.get(each.decision(classifier.min_confidence), -1) for each in predicted]
    return Answers(probabilities, np.array(decisions, np.int64))


def _compared(
    path: Path,
    text_column: str | None,
    label_column: str | None,
    reading: "Reading",
    skip_bad_rows: bool,
    groups: Mapping[str, Sequence[str]],
    seed: int,
) -> dict[str, Any]:
    """Train in each way on the labelled texts of a file, and measure each on texts that it has not learnt from."""
    from . import data

    try:
        dataset = data.load(path, text_column, label_column, reading=reading, skip_bad_rows=skip_bad_rows)
    except data.DataError as error:
        raise CommandError(error.problem, error.hint or None) from None
    with quiet_stderr():
        from .judge import compare_ways
    return compare_ways(dataset, groups, seed)


def _table(found: Mapping[str, Any]) -> str:
    """Return the figures as a table."""
    if "ways" in found:
        head = ["way", "accuracy", "95% interval", "labels changed", "largest difference"]
        rows = [
            [
                name,
                f"{each['accuracy']['value']:.2%}",
                f"{each['accuracy']['low']:.2%} to {each['accuracy']['high']:.2%}",
                f"{each['flips']:.2%}",
                f"{each['gap']:.3f}",
            ]
            for name, each in found["ways"].items()
        ]
        return _aligned([head, *rows])
    chosen = found["chosen"]
    if chosen["texts"]:
        head = ["group", "texts", "labels changed", "decisions changed", "largest difference"]
        rows = [[name, *_swapped(each), _moved(chosen, name)] for name, each in chosen["swaps"].items()]
    else:
        head = ["group", "largest difference"]
        rows = [[name, _moved(chosen, name)] for name in chosen["swaps"]]
    passed = found["gate"]["passed"]
    verdict = "\n".join(f"beyond the limits: {each}" for each in passed) if passed else "within the limits"
    return f"{_aligned([head, *rows])}\n{verdict}"


def _swapped(swaps: Mapping[str, Any]) -> list[str]:
    """Return how many texts mention a group, and the shares of labels and decisions that change; "few" for few."""
    if not swaps["texts"]:
        return ["few", "", ""]
    shares = [f"{swaps[key]['value']:.2%}" for key in ("label_flips", "decision_flips")]
    return [f"{swaps['texts']:,}", *shares]


def _moved(audit: Mapping[str, Any], name: str) -> str:
    return f"{audit['templates'][name]['max_difference']:.3f}"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) if not number else cell.rjust(width) for number, (cell, width) in enumerate(pairs))
        for pairs in (list(zip(row, widths, strict=True)) for row in rows)
    ]
    return "\n".join(line.rstrip() for line in lines)


def _write(folder: Path, found: Mapping[str, Any]) -> None:
    from .pictures import draw_fairness, draw_ways

    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "fairness.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        if "ways" in found:
            draw_ways(folder, found["ways"], found["data"])
        else:
            draw_fairness(folder, found, f"{found['model']['name']} {found['model']['version']}")
    except OSError as error:
        raise CommandError(f"{folder} cannot be written: {error.strerror}") from None
