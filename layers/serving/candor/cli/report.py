"""`candor report`: an HTML page on a file of texts: counts, confidences, and examples with their decisive words."""

import html
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
from tqdm import tqdm

from candor.batch.rows import Format, Reading, Row, RowsError, blocks, chosen, read
from candor.cli import options
from candor.cli.errors import CommandError
from candor.cli.histogram import bin_of, histogram
from candor.cli.score import write
from candor.model.classifier import Classifier, Prediction
from candor.model.explain import Explainer
from candor.redact import redact

BLOCK = 4096  # rows a pass
EXAMPLES = 5
KEPT = 4 * EXAMPLES  # while the file is read, since a better one may take the place of several nearly like it
OPEN = 5  # decisions whose examples are shown; those of the others are folded
MARKED = 12  # words of an example, at most
LEAST = 0.05  # share of the heaviest word's weight below which a word is not marked
ALIKE = 0.6  # share of character triples in common from which on two examples are one
COMPARED = 1000  # characters of a text that are compared
STYLE = """
:root{color-scheme:light dark;--ink:#1d1f23;--paper:#fff;--soft:#595959;--line:#bbb;--bar:#1f5f8b;
--for:#0b6b4f;--against:#a03a12}
@media(prefers-color-scheme:dark){:root{--ink:#eceae4;--paper:#14161a;--soft:#a9afba;--line:#5a606b;--bar:#8cc4ee;
--for:#6fd0ac;--against:#f0a57f}}
body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem;color:var(--ink);
background:var(--paper);overflow-wrap:anywhere}
rect{fill:var(--bar)}text{font-size:11px;fill:var(--soft)}small,.soft{color:var(--soft)}
blockquote{margin:.8rem 0;padding:.6rem .9rem;border-left:3px solid var(--line)}blockquote p{white-space:pre-wrap}
mark{background:none;color:inherit;border-bottom:3px solid var(--for)}mark.no{border-bottom:3px dashed var(--against)}
td,th{text-align:left;vertical-align:top;padding:.2rem .8rem .2rem 0}td:last-child{text-align:right}
table{max-width:100%}svg{max-width:100%;height:auto}
th{white-space:nowrap}summary{cursor:pointer;font-weight:700;padding:.25rem 0}
"""
TEXTS = {
    "off": "",
    "replace": "Personal data in examples is masked. Some can be missed: share this page as you would share the texts.",
    "plain": "The examples are shown in clear, with any personal data in them.",
}
TEXTS["mask"] = TEXTS["replace"]
"""What a page says of its examples, by the mode of `--with-text`."""
LEGEND = (
    "Underlined: the words that weigh most. <mark>Solid</mark> ones speak for the label, <mark class=no>dashed</mark> "
    "ones against it; point at one to see what it adds to the label's logit."
)


class Example(NamedTuple):
    """A text that a page may show."""

    rank: float
    """Lower ones are shown first."""
    text: str
    prediction: Prediction
    triples: frozenset[str]
    """What it is compared by."""


@click.command(
    short_help="Write an HTML report on a file of texts.",
    epilog="\b\nExamples:\n  candor report texts.csv report.html\n"
    "  candor report texts.csv report.html --with-text off",
)
@click.argument("source", metavar="INPUT", type=options.Named("file"))
@click.argument("output", type=options.Named(dir_okay=False), default="report.html")
@options.model
@options.text_column
@options.reading
@click.option(
    "--with-text",
    type=click.Choice(["off", "replace", "mask", "plain"]),
    default="replace",
    show_default=True,
    help="Show examples without text (off), with personal data masked in this mode, or in clear (plain).",
)
def report(source: Path, output: Path, bundle: Path, text_column: str | None, reading: Reading, with_text: str) -> None:
    """Write a report on INPUT, a file of texts, to OUTPUT, one HTML page.

    The page holds a few texts as examples, with personal data masked.
    """
    if output.suffix.lower() not in (".html", ".htm"):
        raise CommandError(f"{output} would not be a web page", "name an OUTPUT that ends in .html")
    classifier = options.load(bundle)

    def say(file_format: Format) -> None:
        if text_column is None and file_format.text_column != "text":
            click.echo(chosen(file_format))

    try:
        with source.open("rb") as file:
            rows = read(file, source.name, text_column, reading=reading, on_format=say)
            content = page(source.name, rows, classifier, with_text)
    except RowsError as error:
        raise CommandError(str(error), error.hint) from None
    write(output, [content])
    click.echo(f"wrote {output}")


def page(name: str, rows: Iterator[Row], classifier: Classifier, with_text: str = "replace") -> str:
    """Return the page on a file of that name.

    Args:
        name: The file's name.
        rows: Its rows. Of the texts only the examples' are kept.
        classifier: The model.
        with_text: How examples are shown: a key of TEXTS.

    Raises:
        CommandError: Nothing was scored.
    """
    errors, decisions, confidences = Counter[str](), Counter[str](), Counter[int]()
    examples: dict[str, list[Example]] = {}
    rows = iter(tqdm(rows, "reading", unit=" rows", unit_scale=True, leave=False, disable=None))
    for block in blocks(rows, BLOCK):
        errors.update(row.error for row in block if row.error)
        texts = [row.text for row in block if not row.error]
        for text, prediction in zip(texts, classifier.predict(texts), strict=True):
            decision = prediction.decision(classifier.min_confidence)
            confidence = prediction.probabilities[prediction.label]
            decisions[decision] += 1
            confidences[bin_of(confidence)] += 1
            if with_text != "off":
                rank = confidence if decision == "uncertain" else -confidence
                keep(examples.setdefault(decision, []), rank, text, prediction)
    if not decisions:
        why = ", ".join(f"{count:,} × {code}" for code, count in errors.most_common()) or "it has no rows"
        raise CommandError(f"{name}: nothing was scored: {why}", "candor score names the columns that are there")
    model = classifier.bundle.identity
    named = f"{_named(model['name'])} {_named(model['version'])} <span class=soft>({model['sha256'][:12]})</span>"
    body = [
        f"<h1>{_named(name)}</h1>",
        f"<p>Model: {named}. Texts scored: {decisions.total():,}. Rows with an error: {errors.total():,}.</p>",
        _table("decision", decisions),
        _table("error", errors),
        f"<h2>Confidence</h2>{histogram(confidences)}",
        f"<p class=soft>Texts by the probability of their label; the highest bar is {max(confidences.values()):,}. "
        f"The model decides from {classifier.min_confidence:.2%} on, unless a warning speaks against it.</p>",
    ]
    if examples:
        body.append(f"<h2>Examples</h2><p class=soft>{TEXTS[with_text]} Of texts nearly alike one is shown. {LEGEND}")
    explainer = Explainer(classifier)
    for place, (decision, _) in enumerate(decisions.most_common()):
        shown = examples.get(decision, [])[:EXAMPLES]
        quotes = "".join(_quote(each.text, each.prediction, explainer, with_text) for each in shown)
        opened = " open" if place < OPEN else ""
        body += [f"<details{opened}><summary>{_named(decision)}</summary>{quotes}</details>"] if quotes else []
    title = html.escape(name)
    head = "<meta charset=utf-8><meta name=viewport content='width=device-width, initial-scale=1'>"
    return f"<!doctype html><html lang=en>{head}<title>{title}</title><style>{STYLE}</style>{''.join(body)}\n"


def keep(kept: list[Example], rank: float, text: str, prediction: Prediction) -> None:
    """Put a text among the best of a decision, if it belongs there; of texts nearly alike the best one stays.

    Args:
        kept: The examples so far, the best first. It is changed.
        rank: The text's rank; lower ones come first.
        text: The text.
        prediction: Its prediction.
    """
    if len(kept) == KEPT and rank >= kept[-1].rank:
        return
    new = Example(rank, text, prediction, triples(text))
    alike = [each for each in kept if similarity(new.triples, each.triples) >= ALIKE]
    if any(each.rank <= rank for each in alike):
        return
    kept[:] = sorted([*(each for each in kept if each not in alike), new], key=lambda each: each.rank)[:KEPT]


def triples(text: str) -> frozenset[str]:
    """Return the runs of three characters in a text, where all digits are one, and neither case nor blanks count.

    Example:
        >>> sorted(triples("No. 12!")), sorted(triples("No 7 and"))
        (['no0'], ['0an', 'and', 'no0', 'o0a'])
    """
    folded = re.sub(r"[\W_]+", "", re.sub(r"\d+", "0", text[:COMPARED].casefold()))
    return frozenset(folded[at : at + 3] for at in range(max(1, len(folded) - 2)))


def similarity(one: frozenset[str], other: frozenset[str]) -> float:
    """Return the share of two sets that both have (Jaccard 1901)."""
    return len(one & other) / max(1, len(one | other))


def _named(text: str) -> str:
    """Return a name of the data as HTML that keeps its own direction."""
    return f"<bdi>{html.escape(text)}</bdi>"


def _table(kind: str, counts: Counter[str]) -> str:
    rows = [f"<tr><td>{_named(name)}</td><td>{count:,}</td></tr>" for name, count in counts.most_common()]
    if not rows:
        return ""
    table = f"<table><tr><th>{kind}</th><th>rows</th></tr>{''.join(rows[:OPEN])}</table>"
    if rest := rows[OPEN:]:
        table += f"<details><summary>and {len(rest)} more</summary><table>{''.join(rest)}</table></details>"
    return table


def _quote(text: str, prediction: Prediction, explainer: Explainer, mode: str) -> str:
    """Return a text with its heaviest words underlined: solid for the label, dashed against it."""
    explanation = explainer(text, prediction.label)
    weights = sorted(abs(value) for value in explanation.values)[-MARKED:]
    least = max(weights[0], LEAST * weights[-1]) if weights else 0.0
    points, shown, at = _masked(text, mode), [], 0
    for (begin, end), value in zip(explanation.spans, explanation.values, strict=True):
        if value and abs(value) >= least and begin >= at:
            side = "" if value > 0 else " class=no"
            word = html.escape("".join(points[begin:end]))
            shown.append(f"{html.escape(''.join(points[at:begin]))}<mark{side} title='{value:+.2f}'>{word}</mark>")
            at = end
    confidence = prediction.probabilities[prediction.label]
    words = "".join(shown) + html.escape("".join(points[at:]))
    return (
        f"<blockquote><p dir=auto>{words}</p><small>{_named(prediction.label)}, {confidence:.1%}</small></blockquote>"
    )


def _masked(text: str, mode: str) -> list[str]:
    """Return a text by code points. What is written over an entity stands at its first one; its others are empty."""
    points = list(text)
    if mode != "plain":
        redacted = redact(text, mode)
        for entity, replacement in zip(redacted.entities, redacted.replacements, strict=True):
            points[entity.begin : entity.end] = [replacement] + [""] * (entity.end - entity.begin - 1)
    return points
