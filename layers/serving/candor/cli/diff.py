"""`candor diff`: what two models have in common, and what not."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from candor.cli import options
from candor.cli.errors import CommandError
from candor.cli.models import facts
from candor.cli.width import columns, padded, table, visible

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from candor.batch.rows import Reading
    from candor.model.classifier import Classifier

BLOCK = 4096  # texts predicted at a time
SHOWN = 20  # texts and words that are printed; --json has all texts
MAX_WORDS = 50_000  # of a file
FACTS = ("model", "made", "data", "texts", "labels", "size")
FIGURES = ("accuracy", "f1", "log_loss", "ece")
TITLES = {"f1": "macro F1", "log_loss": "log loss", "ece": "calibration error"}


@click.command(
    short_help="Compare two models.",
    epilog="\b\nExamples:\n  candor diff tickets@2026-11-27-1 tickets\n"
    "  candor diff tickets@2026-11-27-1 tickets new.csv --label queue",
)
@click.argument("first", metavar="A", type=options.Model())
@click.argument("second", metavar="B", type=options.Model())
@click.argument("data", metavar="[FILE]", required=False, type=options.Named("file"))
@options.store
@options.text_column
@click.option(
    "--label-column",
    "--label",
    "label_column",
    metavar="NAME",
    show_default="FILE is read without labels",
    help="Column or field that holds the label.",
)
@options.reading
@options.as_json
def diff(
    first: Path,
    second: Path,
    data: Path | None,
    text_column: str | None,
    label_column: str | None,
    reading: "Reading",
    as_json: bool,
) -> None:
    """Compare the models A and B: their figures, and the words whose weights moved.

    With FILE also the texts whose label changes; and if its labels are read, what that does to the accuracy. Words are
    then those of FILE, else the strongest of either model. A word's weight is what it adds to the logit of a label in
    a text of its own. Nothing of the texts is printed but words, with personal data masked.
    """
    models = options.load(first), options.load(second)
    found: dict[str, Any] = {"models": [_facts(model) for model in models]}
    texts: list[str] = []
    if data:
        texts, lines, labels = _texts(data, text_column, label_column, reading)
        found |= _changes(models, texts, lines, labels)
    found["words"] = moved(models, _words(models, texts))
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
    else:
        for line in _printed(found):
            click.echo(line)


def _facts(model: "Classifier") -> dict[str, Any]:
    figures = {name: model.bundle.model["metrics"].get(name) for name in FIGURES}
    return (
        facts(model.bundle) | {"label_names": [*model.bundle.labels], "min_confidence": model.min_confidence} | figures
    )


def _texts(
    path: Path, text_column: str | None, label_column: str | None, reading: "Reading"
) -> tuple[list[str], list[int], list[str] | None]:
    """Return texts, the line that each is in, and their labels if these are read."""
    from candor.batch.labelled import read_labelled
    from candor.batch.rows import RowsError, read

    try:
        with path.open("rb") as file:
            if label_column:
                labelled = list(read_labelled(file, path.name, text_column, label_column, reading))
                rows: Sequence[Any] = labelled
                labels = [row.label for row in labelled]
            else:
                every = read(file, path.name, text_column, reading=reading)
                rows, labels = [row for row in every if not row.error], None
    except RowsError as error:
        raise CommandError(str(error), error.hint) from None
    if not rows:
        raise CommandError(f"{path} has no text that can be read")
    return [row.text for row in rows], [row.line for row in rows], labels


def _changes(
    models: Sequence["Classifier"], texts: Sequence[str], lines: Sequence[int], truth: list[str] | None
) -> dict[str, Any]:
    """Return what changes on a file: `changed`, a dictionary a text; `texts`, their number; `accuracies`, if known."""
    answers = [list(_answers(model, texts)) for model in models]
    changed = [
        {"line": line, "from": one[0], "to": other[0], "confidences": [one[1], other[1]]}
        | ({"label": label} if label is not None else {})
        for line, one, other, label in zip(lines, *answers, truth or repeat(None, len(lines)), strict=True)
        if one[0] != other[0]
    ]
    found: dict[str, Any] = {"texts": len(texts), "changed": changed}
    if truth is not None:
        found["accuracies"] = paired_accuracies([[label for label, _ in each] for each in answers], truth)
    return found


def _answers(model: "Classifier", texts: Sequence[str]) -> Iterator[tuple[str, float]]:
    from tqdm import tqdm

    for start in tqdm(range(0, len(texts), BLOCK), "predicting", leave=False, disable=None):
        for each in model.predict(texts[start : start + BLOCK]):
            yield each.label, each.probabilities[each.label]


def paired_accuracies(answers: Sequence[Sequence[str]], truth: Sequence[str]) -> dict[str, Any]:
    """Return both accuracies, and their difference with its interval: that of paired proportions (Agresti, Min 2005).

    Wald's would be empty where both models are right about the same texts.

    Args:
        answers: The labels that each of the two models gives n texts.
        truth: Their n labels.

    Example:
        >>> paired_accuracies([["a", "b"], ["a", "b"]], ["a", "a"])["gain"]
        {'value': 0.0, 'low': -0.49, 'high': 0.49}
    """
    from candor.model.metrics import wilson_interval

    n = len(truth)
    right = [[label == true for label, true in zip(each, truth, strict=True)] for each in answers]
    each = [
        dict(zip(("low", "high"), wilson_interval(sum(one), n), strict=True)) | {"value": sum(one) / n} for one in right
    ]
    gained = sum(b and not a for a, b in zip(*right, strict=True))
    lost = sum(a and not b for a, b in zip(*right, strict=True))
    gain = (gained - lost) / n
    centre = (gained - lost) / (n + 2)
    half = 1.96 * ((gained + lost + 1) / (n + 2) - centre**2) ** 0.5 / (n + 2) ** 0.5
    low, high = max(-1, min(centre - half, gain)), min(1, max(centre + half, gain))
    return {
        "of": each,
        "gained": gained,
        "lost": lost,
        "gain": {"value": gain, "low": round(low, 6), "high": round(high, 6)},
    }


def _words(models: Sequence["Classifier"], texts: Sequence[str]) -> list[str]:
    """Return different words of the texts, masked, or else the strongest words of the models."""
    from candor.redact.sieve import redact_texts
    from candor.text.tokens import tokenize, words_of

    if not texts:
        strongest = [json.loads(model.bundle.read("metrics.json")).get("strongest", {}) for model in models]
        grams = (gram["ngram"] for each in strongest for label in each.values() for gram in label)
        return [*dict.fromkeys(gram for gram in grams if " " not in gram)]
    found: dict[bytes, None] = {}
    for start in range(0, len(texts), BLOCK):
        found |= dict.fromkeys(words_of(tokenize(redact_texts(texts[start : start + BLOCK]))))
        if len(found) >= MAX_WORDS:
            break
    return [word.decode("utf-8", "replace") for word in [*found][:MAX_WORDS]]


def moved(models: Sequence["Classifier"], words: Sequence[str]) -> list[dict[str, Any]]:
    """Return the words whose weight for a label differs most between two models, most first.

    Args:
        models: The two models. Labels that only one of them has are left out.
        words: The words to look at.
    """
    import numpy as np

    labels = [label for label in models[0].bundle.labels if label in models[1].bundle.labels]
    if not words or not labels:
        return []
    weights = [_weights(model, words, labels) for model in models]
    change = weights[1] - weights[0]
    most = np.abs(change).argmax(axis=1)
    order = np.argsort(-np.abs(change).max(axis=1), kind="stable")[:SHOWN]
    return [
        {
            "word": words[row],
            "label": labels[most[row]],
            "weights": [round(float(each[row, most[row]]), 4) for each in weights],
        }
        for row in order.tolist()
        if change[row].any()
    ]


def _weights(model: "Classifier", words: Sequence[str], labels: Sequence[str]) -> "NDArray[np.float64]":
    """Return [w, l] what each word adds to the logit of each label, in a text of its own."""
    import numpy as np

    logs = np.log(np.maximum(model.probabilities(["", *words]), 1e-300))
    k = logs.shape[1]
    contrasts = logs - (logs.sum(axis=1, keepdims=True) - logs) / (k - 1)
    columns = [model.bundle.labels.index(label) for label in labels]
    weights: NDArray[np.float64] = (contrasts[1:] - contrasts[0])[:, columns]
    return weights


def _printed(found: Mapping[str, Any]) -> Iterator[str]:
    one, other = found["models"]
    rows: list[tuple[str, str, str]] = [("", "A", "B")]
    rows += [(name, _fact(name, one), _fact(name, other)) for name in FACTS]
    rows += [(TITLES.get(name, name), _figure(one[name]), _figure(other[name])) for name in FIGURES]
    rows.append(("decides from", f"{one['min_confidence']:.4f}", f"{other['min_confidence']:.4f}"))
    yield from table(rows)
    if one["split"] and (one["data"], one["split"], one["texts"]) != (other["data"], other["split"], other["texts"]):
        yield "\nThe figures are not of the same texts. With FILE both are asked about the same ones."
    names = [set(each["label_names"]) for each in (one, other)]
    for who, more in (("A", names[0] - names[1]), ("B", names[1] - names[0])):
        if more:
            yield f"\nonly {who} has the label{'s' * (len(more) > 1)} {', '.join(sorted(more))}"
    if "changed" in found:
        yield from _changed(found)
    if found["words"]:
        yield "\nwords whose weights moved most"
        width = max(columns(each["word"]) for each in found["words"])
        for each in found["words"]:
            before, after = each["weights"]
            yield f"  {padded(each['word'], width)}  {before:+8.3f} → {after:+8.3f}  for {visible(each['label'])}"


def _changed(found: Mapping[str, Any]) -> Iterator[str]:
    changed, n = found["changed"], found["texts"]
    yield f"\n{len(changed):,} of {n:,} texts change their label ({len(changed) / n:.1%})"
    for each in changed[:SHOWN]:
        before, after = each["confidences"]
        truth = f"  (its label: {visible(each['label'])})" if "label" in each else ""
        yield f"  line {each['line']}: {visible(each['from'])} {before:.1%} → {visible(each['to'])} {after:.1%}{truth}"
    if len(changed) > SHOWN:
        yield f"  and {len(changed) - SHOWN:,} more: --json has all"
    if "accuracies" in found:
        one, other = found["accuracies"]["of"]
        gain = found["accuracies"]["gain"]
        yield (
            f"accuracy on them: A {_figure(one)}, B {_figure(other)}; "
            f"B − A {gain['value']:+.2%} ({gain['low']:+.2%} to {gain['high']:+.2%})"
        )


def _fact(name: str, model: Mapping[str, Any]) -> str:
    return {
        "model": f"{model['name']} {model['version']}",
        "made": str(model["created"])[:10],
        "data": (model["data"] or "-")[:12],
        "texts": f"{model['texts'] or 0:,}, {model['split']}",
        "labels": str(model["labels"]),
        "size": f"{model['bytes'] / 1e6:.2f} MB",
    }[name]


def _figure(figure: Mapping[str, float] | None) -> str:
    return f"{figure['value']:.4f} ({figure['low']:.4f} to {figure['high']:.4f})" if figure else "-"
