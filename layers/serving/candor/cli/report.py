"""`candor report`: an HTML page on a file of texts: counts, confidences, and examples with their decisive words."""

import html
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click
from tqdm import tqdm

from candor.batch.rows import Format, Reading, Row, RowsError, blocks, chosen, read
from candor.cli import options
from candor.cli.errors import CommandError
from candor.cli.histogram import bin_of, histogram
from candor.cli.score import write
from candor.model.classifier import Classifier, Prediction
from candor.model.explain import Explainer

BLOCK = 4096  # rows a pass
EXAMPLES = 5
OPEN = 5  # decisions whose examples are shown; those of the others are folded
MARKED = 12  # words of an example, at most
STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem;color:#1d1f23;background:#fff}
rect{fill:#1f5f8b}text{font-size:11px;fill:#444}
blockquote{margin:.8rem 0;padding:.6rem .9rem;border-left:3px solid #bbb}
mark{background:none;border-bottom:3px solid #0b6b4f}mark.no{border-bottom:3px dashed #a03a12}
td,th{text-align:left;vertical-align:top;padding:.2rem .8rem .2rem 0}td:last-child{text-align:right}
body{overflow-wrap:anywhere}table{max-width:100%}svg{max-width:100%;height:auto}
th{white-space:nowrap}summary{cursor:pointer;font-weight:700;padding:.25rem 0}
"""


@click.command(
    short_help="Write an HTML report on a file of texts.",
    epilog="\b\nExample:\n  candor report texts.csv report.html",
)
@click.argument("source", metavar="INPUT", type=options.Named("file"))
@click.argument("output", type=options.Named(dir_okay=False), default="report.html")
@options.model
@options.text_column
@options.reading
def report(source: Path, output: Path, bundle: Path, text_column: str | None, reading: Reading) -> None:
    """Write a report on INPUT, a file of texts, to OUTPUT, one HTML page. The page holds a few texts as examples."""
    if output.suffix.lower() not in (".html", ".htm"):
        raise CommandError(f"{output} would not be a web page", "name an OUTPUT that ends in .html")
    classifier = options.load(bundle)

    def say(file_format: Format) -> None:
        if text_column is None and file_format.text_column != "text":
            click.echo(chosen(file_format))

    try:
        with source.open("rb") as file:
            rows = read(file, source.name, text_column, reading=reading, on_format=say)
            content = page(source.name, rows, classifier)
    except RowsError as error:
        raise CommandError(str(error), error.hint) from None
    write(output, [content])
    click.echo(f"wrote {output}")


def page(name: str, rows: Iterator[Row], classifier: Classifier) -> str:
    """Return the page on a file of that name. Of the texts only the examples' are kept."""
    errors, decisions, confidences = Counter[str](), Counter[str](), Counter[int]()
    examples: dict[str, list[tuple[float, str, Prediction]]] = {}
    rows = iter(tqdm(rows, "reading", unit=" rows", unit_scale=True, leave=False, disable=None))
    for block in blocks(rows, BLOCK):
        errors.update(row.error for row in block if row.error)
        texts = [row.text for row in block if not row.error]
        for text, prediction in zip(texts, classifier.predict(texts), strict=True):
            decision = prediction.decision(classifier.min_confidence)
            confidence = prediction.probabilities[prediction.label]
            decisions[decision] += 1
            confidences[bin_of(confidence)] += 1
            kept = examples.setdefault(decision, [])
            kept.append((confidence, text, prediction))
            kept.sort(key=lambda each: -each[0] if decision != "uncertain" else each[0])
            del kept[EXAMPLES:]
    if not decisions:
        why = ", ".join(f"{count:,} × {code}" for code, count in errors.most_common()) or "it has no rows"
        raise CommandError(f"{name}: nothing was scored: {why}", "candor score names the columns that are there")
    explainer, model = Explainer(classifier), classifier.bundle.model
    body = [
        f"<h1>{html.escape(name)}</h1>",
        f"<p>Model: {_named(' '.join((model['name'], model['version'])))}. Texts scored: {decisions.total():,}. "
        f"Rows with an error: {errors.total():,}.</p>",
    ]
    body += [_table("decision", decisions), _table("error", errors), "<h2>Confidence</h2>", histogram(confidences)]
    body.append("<h2>Examples</h2>")
    for place, (decision, _) in enumerate(decisions.most_common()):
        quotes = "".join(_quote(text, prediction, explainer) for _, text, prediction in examples[decision])
        opened = " open" if place < OPEN else ""
        body.append(f"<details{opened}><summary>{_named(decision)}</summary>{quotes}</details>")
    title = html.escape(name)
    head = "<meta charset=utf-8><meta name=viewport content='width=device-width, initial-scale=1'>"
    return f"<!doctype html><html lang=en>{head}<title>{title}</title><style>{STYLE}</style>{''.join(body)}\n"


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


def _quote(text: str, prediction: Prediction, explainer: Explainer) -> str:
    """Return a text with its heaviest words underlined: solid for the label, dashed against it."""
    explanation = explainer(text, prediction.label)
    heaviest = sorted(abs(value) for value in explanation.values)[-MARKED:][:1]
    shown, at = [], 0
    for (begin, end), value in zip(explanation.spans, explanation.values, strict=True):
        if heaviest and abs(value) >= heaviest[0]:
            side = "" if value > 0 else " class=no"
            word = html.escape(text[begin:end])
            shown.append(f"{html.escape(text[at:begin])}<mark{side} title='{value:+.2f}'>{word}</mark>")
            at = end
    confidence = prediction.probabilities[prediction.label]
    words = "".join(shown) + html.escape(text[at:])
    return (
        f"<blockquote><p dir=auto>{words}</p><small>{_named(prediction.label)}, {confidence:.1%}</small></blockquote>"
    )
