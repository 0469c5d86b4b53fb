"""Charts of a model's figures as SVG documents. The browser brings the fonts, so labels of any script show.

Colours are Okabe and Ito's (2008), which colour-blind readers can tell apart. Each chart is as readable for 2 labels as
for 150: it grows with their number, and a page lets the reader scroll.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from candor.cli.width import columns, distinct
from candor.model.metrics import wilson_interval

BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#007A5A"
STYLE = """
.chart{font:12px system-ui,sans-serif;background:#fff}.chart text{fill:#222}.chart .soft{fill:#595959}
.chart .grid{stroke:#e2e2e2}.chart .axis{stroke:#767676}.chart .end{text-anchor:end}.chart .middle{text-anchor:middle}
@media(prefers-color-scheme:dark){.chart{background:#1c1f25}.chart text{fill:#eceae4}.chart .soft{fill:#a9afba}
.chart .grid{stroke:#343840}.chart .axis{stroke:#8a919c}}
.chart text.inverse{fill:#fff}
"""
MAX_NAME = 30
"""Columns of a label's name; the title of each mark has it whole."""
COLUMN = 7.4
"""Width of a column of text, in units."""
MEASURES = (("precision", ORANGE), ("f1", BLUE), ("recall", GREEN))
NAMES = {"precision": "precision", "f1": "F1", "recall": "recall"}


def labels_chart(report: Mapping[str, Any]) -> str:
    """Draw precision, F1 and recall of each label with their intervals, the weakest label first.

    Args:
        report: A result of candor.model.evaluation.evaluate.
    """
    present = {label: each for label, each in report["by_label"].items() if each["n"]}
    weakest = sorted(present, key=lambda label: present[label]["f1"]["value"])
    names = distinct(weakest, MAX_NAME)
    left, width, row, top = 20 + COLUMN * _widest(names), 460, 26, 48
    height = top + row * len(weakest) + 26
    parts = [_legend(left), *_percent_grid(left, width, top, height - 26)]
    for number, (label, name) in enumerate(zip(weakest, names, strict=True)):
        middle = top + row * number + row / 2
        parts.append(_text(left - 10, middle + 4, name, "end", label))
        parts.append(_text(left + width + 12, middle + 4, f"{present[label]['n']:,}", "soft"))
        for lane, (measure, colour) in enumerate(MEASURES):
            value = present[label][measure]
            if measure == "precision" and not present[label]["answers"]:
                continue
            title = f"{label}: {NAMES[measure]} {_interval(value)}"
            parts.append(_whisker(left, width, middle + 7 * (lane - 1), value, colour, title))
    parts.append(_text(left + width + 12, top - 8, "texts", "soft"))
    return _document(left + width + 70, height, "Precision, F1 and recall of each label", parts)


def calibration_chart(report: Mapping[str, Any]) -> str:
    """Draw accuracy against confidence, a circle for each bin with the interval of its accuracy.

    Args:
        report: A result of candor.model.evaluation.evaluate.
    """
    left, top, size = 60, 36, 400
    parts = _square(left, top, size, "confidence: probability of the answer", "accuracy")
    parts.append(_line(left, top + size, left + size, top, "axis", 'stroke-dasharray="3 4"'))
    for each in report["calibration"]["bins"]:
        x, y = left + size * each["probability"], top + size * (1 - each["accuracy"])
        low, high = (top + size * (1 - each[side]) for side in ("low", "high"))
        radius = 3 + 13 * (each["n"] / report["n"]) ** 0.5
        title = f"{each['n']:,} texts: confidence {each['probability']:.1%}, accuracy {_bin_interval(each)}"
        parts.append(
            f'<g><title>{title}</title><path d="M{x:.1f} {low:.1f}V{high:.1f}" stroke="{BLUE}"/>'
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{BLUE}" fill-opacity=".75"/></g>'
        )
    parts.append(_text(left, 16, "dotted: perfect; area of a circle: number of texts", "soft"))
    return _document(left + size + 20, top + size + 48, "Calibration: accuracy by confidence", parts)


def coverage_chart(report: Mapping[str, Any]) -> str:
    """Draw the accuracy of the most confident texts by their share, and what the model's threshold decides.

    Args:
        report: A result of candor.model.evaluation.evaluate.
    """
    left, top, width, height, n = 60, 24, 460, 300, report["n"]
    rows = report["coverage"]
    bands = [wilson_interval(round(each["accuracy"] * kept), kept) for each in rows for kept in [_kept(each, n)]]
    lowest = min(0.9, int(10 * min(low for low, _ in bands)) / 10)

    def place(share: float, accuracy: float) -> str:
        return f"{left + width * share:.1f} {top + height * (1 - (accuracy - lowest) / (1 - lowest)):.1f}"

    parts: list[str] = []
    tick = 0.02 if lowest >= 0.9 else 0.05 if lowest >= 0.7 else 0.1
    for accuracy in (lowest + tick * step for step in range(round((1 - lowest) / tick) + 1)):
        y = top + height * (1 - (accuracy - lowest) / (1 - lowest))
        parts += [_line(left, y, left + width, y, "grid"), _text(left - 8, y + 4, f"{accuracy:.0%}", "end soft")]
    parts += [_text(left + width * step / 5, top + height + 18, f"{step / 5:.0%}", "middle soft") for step in range(6)]
    edge = [place(each["coverage"], high) for each, (_, high) in zip(rows, bands, strict=True)]
    edge += [place(each["coverage"], low) for each, (low, _) in zip(reversed(rows), reversed(bands), strict=True)]
    curve = "L".join(place(each["coverage"], each["accuracy"]) for each in rows)
    parts.append(f'<path d="M{"L".join(edge)}Z" fill="{BLUE}" fill-opacity=".15"/>')
    parts.append(f'<path d="M{curve}" fill="none" stroke="{BLUE}" stroke-width="2"/>')
    decided = report["decided"]
    if decided["n"]:
        at = place(decided["share"], max(decided["accuracy"], lowest)).replace(" ", '" cy="')
        words = f"from {decided['min_confidence']:.2%}: {decided['share']:.1%} decided, {decided['accuracy']:.1%} right"
        parts.append(f'<circle cx="{at}" r="6" fill="{ORANGE}"><title>{words}</title></circle>')
        parts.append(f'<circle cx="{left + 10}" cy="12" r="6" fill="{ORANGE}"/>')
        parts.append(_text(left + 22, 16, f"the model's threshold, {words}"))
    parts.append(
        _text(left + width / 2, top + height + 38, "share of texts decided, the most confident first", "middle")
    )
    parts.append(_upright(14, top + height / 2, "their accuracy"))
    return _document(left + width + 30, top + height + 48, "Accuracy by coverage", parts)


def confusion_chart(report: Mapping[str, Any]) -> str:
    """Draw the confusion matrix: right answers blue, wrong ones orange, as deep as their share of the label's texts.

    Args:
        report: A result of candor.model.evaluation.evaluate.
    """
    labels, counts = report["confusion_matrix"]["labels"], report["confusion_matrix"]["counts"]
    cell = 64 if len(labels) <= 5 else 44 if len(labels) <= 12 else 22 if len(labels) <= 30 else 16
    slanted, names = cell >= 22, distinct(labels, MAX_NAME)
    reach = COLUMN * _widest(names)
    left = 44 + reach
    top = 40 + (0.72 if slanted else 1) * reach
    size = cell * len(labels)
    parts = [_text(left, 16, "answer of the model →"), _upright(14, top + size / 2, "← label of the text")]
    for number, (label, name) in enumerate(zip(labels, names, strict=True)):
        middle = cell * number + cell / 2
        parts.append(_text(left - 8, top + middle + 4, name, "end", label))
        x, angle = left + middle + (0 if slanted else 4), -45 if slanted else -90
        turn = f'transform="rotate({angle} {x:.1f} {top - 8:.1f})"'
        parts.append(_text(x, top - 8, name, "", label, turn))
    for row, counted in enumerate(counts):
        whole = sum(counted)
        for column, n in enumerate(counted):
            if n:
                x, y = left + cell * column, top + cell * row
                parts.append(_cell(x, y, cell, n, n / whole, row == column, f"{labels[row]} → {labels[column]}"))
    frame = f'<rect x="{left}" y="{top:.1f}" width="{size}" height="{size}" fill="none" stroke="#767676"/>'
    overhang = 0.72 * reach if slanted else 0
    grid = _cell_grid(left, top, cell, len(labels))
    return _document(left + size + overhang + 20, top + size + 12, "Confusion matrix", [*grid, *parts, frame])


def _cell(x: float, y: float, cell: float, n: int, share: float, right: bool, pair: str) -> str:
    colour, strength = (BLUE, share) if right else (ORANGE, max(share, 0.12))
    rect = (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{cell}" height="{cell}" fill="{colour}" fill-opacity="{strength:.2f}"/>'
    )
    number = ""
    if cell >= 44:
        number = _text(x + cell / 2, y + cell / 2 + 4, f"{n:,}", "middle inverse" if strength > 0.6 else "middle")
    return f"<g><title>{escape(pair)}: {n:,} ({share:.0%})</title>{rect}{number}</g>"


def _cell_grid(left: float, top: float, cell: float, n_labels: int) -> list[str]:
    size, step = cell * n_labels, 1 if n_labels <= 30 else 5
    return [
        line
        for at in (cell * number for number in range(step, n_labels, step))
        for line in (
            _line(left, top + at, left + size, top + at, "grid"),
            _line(left + at, top, left + at, top + size, "grid"),
        )
    ]


def _kept(row: Mapping[str, float], n: int) -> int:
    return max(1, round(row["coverage"] * n))


def _widest(names: Iterable[str]) -> int:
    return max(map(columns, names), default=0)


def _square(left: float, top: float, size: float, across: str, up: str) -> list[str]:
    """Return the axes of a square from 0 to 100 % on both sides."""
    parts = []
    for step in range(6):
        at, name = size * step / 5, f"{step / 5:.0%}"
        parts += [
            _line(left, top + at, left + size, top + at, "grid"),
            _line(left + at, top, left + at, top + size, "grid"),
            _text(left - 8, top + size - at + 4, name, "end soft"),
            _text(left + at, top + size + 18, name, "middle soft"),
        ]
    return [*parts, _text(left + size / 2, top + size + 38, across, "middle"), _upright(14, top + size / 2, up)]


def _percent_grid(left: float, width: float, top: float, bottom: float) -> list[str]:
    parts = []
    for step in range(6):
        x = left + width * step / 5
        parts += [_line(x, top, x, bottom, "grid"), _text(x, bottom + 16, f"{step / 5:.0%}", "middle soft")]
    return parts


def _legend(left: float) -> str:
    parts, x = [], left
    for measure, colour in MEASURES:
        parts.append(f'<circle cx="{x + 6:.1f}" cy="14" r="4" fill="{colour}"/>{_text(x + 15, 18, NAMES[measure])}')
        x += 90
    return "".join(parts)


def _whisker(left: float, width: float, y: float, value: Mapping[str, float], colour: str, title: str) -> str:
    low, middle, high = (left + width * value[key] for key in ("low", "value", "high"))
    return (
        f'<g><title>{escape(title)}</title><path d="M{low:.1f} {y:.1f}H{high:.1f}" stroke="{colour}" stroke-width="2" '
        f'stroke-opacity=".45"/><circle cx="{middle:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/></g>'
    )


def _interval(value: Mapping[str, float]) -> str:
    return f"{value['value']:.1%} ({value['low']:.1%} to {value['high']:.1%})"


def _bin_interval(each: Mapping[str, float]) -> str:
    return _interval({**each, "value": each["accuracy"]})


def _line(x: float, y: float, to_x: float, to_y: float, kind: str, more: str = "") -> str:
    return f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}" class="{kind}" {more}/>'


def _text(x: float, y: float, text: str, kind: str = "", title: str = "", more: str = "") -> str:
    whole = f"<title>{escape(title)}</title>" if title else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" {more}>{whole}{escape(text)}</text>'


def _upright(x: float, y: float, text: str) -> str:
    return _text(x, y, text, "middle", "", f'transform="rotate(-90 {x:.1f} {y:.1f})"')


def _document(width: float, height: float, title: str, parts: Sequence[str]) -> str:
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    about = f'class="chart" role="img" aria-label="{title}"'
    body = "".join(parts)
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {about}><style>{STYLE}</style>{body}</svg>'
