"""A report of a file of texts, as one HTML page: labels, how sure they are, and examples with the words that decided.

python -m events.report reviews.csv report.html
"""

import argparse
import html
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from candor.classifier import Classifier, Prediction
from candor.errors import CandorError
from candor.explain import Explainer
from candor.rows import Row, blocks, read
from events.server import LOCAL

EXAMPLES = 5
BINS = 20
STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem;color:#1d1f23;background:#fff}
rect{fill:#1f5f8b}text{font-size:11px;fill:#444}
blockquote{margin:.8rem 0;padding:.6rem .9rem;border-left:3px solid #bbb}
mark{background:none;border-bottom:3px solid #0b6b4f}mark.no{border-bottom:3px dashed #a03a12}
td,th{text-align:left;padding:.2rem .8rem .2rem 0}
"""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="report", description="One HTML page about a file of texts.")
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path, nargs="?", default=Path("report.html"))
    parser.add_argument("--text-column", default="text")
    options = parser.parse_args(arguments)
    try:
        classifier = Classifier.load(Path(LOCAL["BUNDLE_PATH"]))
        with options.input.open("rb") as file:
            content = page(options.input.name, read(file, options.input.name, options.text_column), classifier)
    except (CandorError, OSError) as error:
        print(f"report: {error}", file=sys.stderr)
        return 2
    options.output.write_text(content)
    print(f"{options.output} is written")
    return 0


def page(name: str, rows: Iterator[Row], classifier: Classifier) -> str:
    """The page. Only the examples' texts are kept, and shown."""
    errors, labels, sure = Counter[str](), Counter[str](), Counter[int]()
    kept: dict[str, list[tuple[float, str, Prediction]]] = {}
    for block in blocks(rows, 4096):
        errors.update(row.error for row in block if row.error)
        texts = [row.text for row in block if not row.error]
        for text, prediction in zip(texts, classifier.predict(texts), strict=True):
            decision, p = prediction.decision(classifier.min_confidence), prediction.probabilities[prediction.label]
            labels[decision] += 1
            sure[bin_of(p)] += 1
            best = kept.setdefault(decision, [])
            best.append((p, text, prediction))
            best.sort(key=lambda each: -each[0] if decision != "uncertain" else each[0])
            del best[EXAMPLES:]
    explainer = Explainer(classifier)
    body = [
        f"<h1>{html.escape(name)}</h1>",
        f"<p>{labels.total():,} texts scored, {errors.total():,} rows with an error.</p>",
    ]
    body += [table("decision", labels), table("error", errors), "<h2>How sure</h2>", histogram(sure)]
    for decision, examples in sorted(kept.items()):
        body.append(f"<h2>{html.escape(decision)}</h2>")
        body += [quote(text, prediction, explainer) for _, text, prediction in examples]
    return (
        f"<!doctype html><meta charset=utf-8><title>{html.escape(name)}</title><style>{STYLE}</style>{''.join(body)}\n"
    )


def table(kind: str, counts: Counter[str]) -> str:
    rows = "".join(f"<tr><td>{html.escape(name)}</td><td>{count:,}</td></tr>" for name, count in counts.most_common())
    return f"<table><tr><th>{kind}</th><th>rows</th></tr>{rows}</table>" if rows else ""


def bin_of(probability: float) -> int:
    return min(int(probability * BINS), BINS - 1)


def histogram(sure: Counter[int]) -> str:
    """Texts by the probability of their label."""
    most = max(sure.values(), default=1)
    bars = "".join(
        f'<rect x="{30 * place}" y="{150 - 140 * sure[place] / most:.1f}" width="28" '
        f'height="{140 * sure[place] / most:.1f}">'
        f"<title>{place / BINS:.0%} to {(place + 1) / BINS:.0%}: {sure[place]:,}</title></rect>"
        for place in range(BINS)
    )
    marks = "".join(f'<text x="{30 * place}" y="166">{place / BINS:.0%}</text>' for place in range(0, BINS, 2))
    about = 'viewBox="0 0 600 170" role="img" aria-label="Texts by probability of their label"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {about}>{bars}{marks}</svg>'


def quote(text: str, prediction: Prediction, explainer: Explainer) -> str:
    """A text with the words that weigh most underlined: solid for the label, dashed against it."""
    found = explainer(text, prediction.label)
    strong = sorted(abs(value) for value in found.values)[-12:][:1]
    shown, at = [], 0
    for (begin, end), value in zip(found.spans, found.values, strict=True):
        if strong and abs(value) >= strong[0]:
            side = "" if value > 0 else " class=no"
            word = html.escape(text[begin:end])
            shown.append(f"{html.escape(text[at:begin])}<mark{side} title='{value:+.2f}'>{word}</mark>")
            at = end
    p = prediction.probabilities[prediction.label]
    words = "".join(shown) + html.escape(text[at:])
    return f"<blockquote><p>{words}</p><small>{html.escape(prediction.label)}, {p:.1%}</small></blockquote>"


if __name__ == "__main__":
    sys.exit(main())
