"""`candor predict`, `candor explain` and `candor redact`: texts from arguments or standard input."""

import json
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from candor.cli import options
from candor.cli.errors import CommandError
from candor.cli.width import visible
from candor.limits import MAX_TEXT_BYTES

if TYPE_CHECKING:
    from candor.model.classifier import Classifier, Prediction
    from candor.model.explain import Explanation

BLOCK = 256  # lines of a file a pass
_LONGEST_LINE = MAX_TEXT_BYTES + 2  # with its end
TEXTS = click.argument("texts", nargs=-1, metavar="[TEXT]...")


class Text(NamedTuple):
    """A text and its number, from 1: of the argument, or of the line of standard input."""

    number: int
    text: str


@click.command(
    short_help="Label texts, with confidence and decisive words.",
    epilog='\b\nExamples:\n  candor predict "Where is my parcel?"\n  cut -f2 texts.tsv | candor predict --json -',
)
@TEXTS
@options.model
@options.as_json
@options.min_confidence
@options.no_redact
@click.option(
    "--words",
    type=options.Whole(0),
    default=5,
    show_default=True,
    metavar="N",
    help="Show the N words that weighed most.",
)
def predict(
    texts: Sequence[str],
    bundle: Path,
    as_json: bool,
    min_confidence: float | None,
    no_redact: bool,
    words: int,
) -> None:
    """Print the label of each TEXT, its confidence, and the words that decided.

    With `-`, or when text is piped in, each line of standard input is a text; blank lines are skipped.
    """
    classifier = options.load(bundle)
    threshold = classifier.min_confidence if min_confidence is None else min_confidence
    explain = _explainer(classifier) if words and not as_json else None
    for block in _blocks(texts):
        predictions = classifier.predict([each.text for each in block], redact=not no_redact)
        for each, prediction in zip(block, predictions, strict=True):
            if as_json:
                _print_json(
                    {"line": each.number, **_as_dict(prediction, threshold), "model": classifier.bundle.identity}
                )
            else:
                _print_prediction(each, prediction, threshold)
                if explain and prediction.tokens:
                    _print_words(each.text, explain(each.text, prediction.label), words)


@click.command(
    short_help="Show what each word adds to a label.",
    epilog='\b\nExample:\n  candor explain "My parcel is late, please refund it." --label billing',
)
@TEXTS
@options.model
@options.as_json
@click.option("--label", metavar="NAME", show_default="the predicted one", help="Label whose logit is explained.")
def explain(texts: Sequence[str], bundle: Path, as_json: bool, label: str | None) -> None:
    """Print what each word of TEXT adds to the logit of its label: Shapley values, which add up to the logit.

    With `-`, or when text is piped in, each line of standard input is a text; blank lines are skipped.
    """
    classifier = options.load(bundle)
    if label is not None and label not in classifier.bundle.labels:
        raise CommandError(f"the model has no label {label!r}", f"its labels: {', '.join(classifier.bundle.labels)}")
    explainer = _explainer(classifier)
    for block in _blocks(texts):
        for each, prediction in zip(block, classifier.predict([each.text for each in block]), strict=True):
            explanation = explainer(each.text, label or prediction.label)
            if as_json:
                _print_json({"line": each.number, **explanation.to_dict()})
            else:
                _print_explanation(each.text, explanation)


@click.command(
    short_help="Mask personal data in texts.", epilog='\b\nExample:\n  candor redact "Write to jane@example.com."'
)
@TEXTS
@click.option(
    "--mode",
    type=click.Choice(["replace", "mask", "hash"]),
    default="replace",
    show_default=True,
    help="Write the type, a symbol for each character, or a keyed digest (key: REDACTION_KEY).",
)
@click.option("--mask", default="*", show_default=True, metavar="C", help="Symbol of the mode `mask`.")
@options.as_json
def redact(texts: Sequence[str], mode: str, mask: str, as_json: bool) -> None:
    """Print TEXT with its personal data masked.

    With `-`, or when text is piped in, each line of standard input is a text.
    """
    from candor.redact import redact as redacted

    key = os.environ.get("REDACTION_KEY", "")
    if mode == "hash" and not key:
        raise CommandError("--mode hash needs a key", "set the environment variable REDACTION_KEY")
    try:
        redacted("", "mask", mask)
    except ValueError as error:
        raise CommandError(f"--mask {mask!r}: {error}") from None
    for block in _blocks(texts, blank=True):
        for each in block:
            masked = redacted(each.text, mode, mask, key.encode())
            if as_json:
                pii = [{"type": kind, "begin": begin, "end": end} for kind, begin, end in masked.entities]
                _print_json({"line": each.number, "text": masked.text, "pii": pii})
            else:
                click.echo(masked.text)


# Texts


def _blocks(texts: Sequence[str], blank: bool = False) -> Iterator[list[Text]]:
    """Yield blocks of texts from the arguments, or from standard input line by line; `blank` keeps blank lines."""
    if texts and list(texts) != ["-"]:
        yield [_checked(number, text, "argument", "give a text") for number, text in enumerate(texts, 1)]
        return
    if not texts and sys.stdin.isatty():
        raise click.UsageError("missing argument TEXT; - reads lines of standard input", click.get_current_context())
    # From a file texts are read in blocks. From a pipe or a terminal each line has its answer at once.
    size = BLOCK if stat.S_ISREG(os.fstat(sys.stdin.fileno()).st_mode) else 1
    block: list[Text] = []
    try:
        for text in _lines(blank):
            block.append(text)
            if len(block) == size:
                yield block
                block = []
    except CommandError:  # of a line that cannot be read: those before it have their answers first
        if block:
            yield block
        raise
    if block:
        yield block


def _lines(blank: bool) -> Iterator[Text]:
    read = partial(sys.stdin.buffer.readline, _LONGEST_LINE)
    for number, line in enumerate(iter(read, b""), 1):
        if len(line) == _LONGEST_LINE:
            raise CommandError(f"line {number} has more than {MAX_TEXT_BYTES:,} bytes", "split it, or send a part")
        try:
            text = line.decode().removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            raise CommandError(
                f"line {number} of standard input is not UTF-8", "convert it first: iconv -t utf-8"
            ) from None
        if blank or text.strip():
            yield _checked(number, text, "line", "")


def _checked(number: int, text: str, kind: str, hint: str) -> Text:
    size = len(text.encode("utf-8", "surrogateescape"))
    if hint and not text.strip():
        raise CommandError(f"{kind} {number} is blank", hint)
    if size > MAX_TEXT_BYTES:
        raise CommandError(
            f"{kind} {number} has {size:,} bytes; at most {MAX_TEXT_BYTES:,} are allowed", "split it, or send a part"
        )
    return Text(number, text)


# Answers


def _explainer(classifier: "Classifier") -> Any:
    from candor.model.explain import Explainer

    return Explainer(classifier)


def _as_dict(prediction: "Prediction", threshold: float) -> dict[str, Any]:
    return {
        "label": prediction.label,
        "decision": prediction.decision(threshold),
        "probabilities": prediction.probabilities,
        "tokens": prediction.tokens,
        "warnings": list(prediction.warnings),
    }


def _print_json(value: dict[str, Any]) -> None:
    click.echo(json.dumps(value, ensure_ascii=False))


def _print_prediction(each: Text, prediction: "Prediction", threshold: float) -> None:
    from candor.text.evidence import WARNINGS

    confidence = prediction.probabilities[prediction.label]
    click.echo(f"{click.style(visible(prediction.label), bold=True)}  {_percent(confidence)}", nl=False)
    if prediction.decision(threshold) != "uncertain":
        click.echo()
    elif prediction.warnings:
        click.echo("  uncertain: " + " ".join(WARNINGS[code] for code in prediction.warnings))
    else:
        click.echo(f"  uncertain: below {round(threshold * 100, 10):.10g}%")


def _percent(share: float) -> str:
    """Return a share as a percentage, rounded down, so that none ever seems to reach a threshold that it misses."""
    return f"{int(share * 1000 + 1e-9) / 10:.1f}%"


def _print_words(text: str, explanation: "Explanation", count: int) -> None:
    tokens = zip(explanation.spans, explanation.values.tolist(), strict=True)
    for (begin, end), value in sorted(tokens, key=lambda token: -abs(token[1]))[:count]:
        click.echo(f"  {_signed(value)}  {visible(text[begin:end])}")


def _print_explanation(text: str, explanation: "Explanation") -> None:
    import numpy as np

    from candor.model.explain import round_to_sum

    base, *values = round_to_sum(np.array([explanation.base, *explanation.values]), explanation.logit, 3).tolist()
    click.echo(f"logit of {click.style(visible(explanation.label), bold=True)} against the other labels")
    click.echo(f"  {_signed(base)}  (base: a text of which the model knows nothing)")
    for (begin, end), value in zip(explanation.spans, values, strict=True):
        click.echo(f"  {_signed(value)}  {visible(text[begin:end])}")
    click.echo(f"  {_signed(explanation.logit)}  (sum: the logit)")


def _signed(value: float) -> str:
    return click.style(f"{value:+8.3f}", fg="green" if value > 0 else "red" if value < 0 else None)
