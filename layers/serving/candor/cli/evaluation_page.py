"""A web page on how a model does on labelled texts: one file with its charts in it, which needs no other."""

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from candor.cli.charts import calibration_chart, confusion_chart, coverage_chart, labels_chart
from candor.text.evidence import WARNINGS

STYLE = """
:root{color-scheme:light dark;--ink:#1d1f23;--paper:#fff;--soft:#595959;--line:#bbb;--rule:#e6e6e6;
--better:#007a5a;--better-bg:#eef6f2;--worse:#a03a12;--worse-bg:#fbeee8;--unknown:#767676;--unknown-bg:#f3f3f3}
@media(prefers-color-scheme:dark){:root{--ink:#eceae4;--paper:#14161a;--soft:#a9afba;--line:#5a606b;--rule:#343840;
--better:#6fd0ac;--better-bg:#14261f;--worse:#f0a57f;--worse-bg:#2d1b13;--unknown:#8a919c;--unknown-bg:#22252b}}
body{font:16px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:var(--ink);
background:var(--paper)}
table{border-collapse:collapse;font-size:.92rem}td,th{text-align:left;padding:.2rem .9rem .2rem 0;vertical-align:top}
tr+tr{border-top:1px solid var(--rule)}.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
.n small{display:block}.label{min-width:8rem;max-width:15rem;overflow-wrap:anywhere}.wide{overflow-x:auto}
.verdict{padding:.7rem 1rem;border-left:6px solid var(--better);background:var(--better-bg)}
.verdict.worse{border-color:var(--worse);background:var(--worse-bg)}
.verdict.unknown{border-color:var(--unknown);background:var(--unknown-bg)}
blockquote{margin:.8rem 0;padding:.4rem .9rem;border-left:3px solid var(--line);overflow-wrap:anywhere}
blockquote p{margin:0}small,.soft{color:var(--soft)}h1{overflow-wrap:anywhere}h2{margin-top:2.2rem}
"""
RECOGNISED = (
    "A model holds no text that it learnt from, so it knows them again only as a whole: the same rows in the same "
    "order. If some of these texts were among them, the figures are too good."
)
CHARTS = {
    "labels": labels_chart,
    "calibration": calibration_chart,
    "coverage": coverage_chart,
    "confusion": confusion_chart,
}
"""A chart of a result of candor.model.evaluation.evaluate, by its name."""


def page(title: str, subtitle: str, report: Mapping[str, Any]) -> str:
    """Return the page.

    Args:
        title: Its heading.
        subtitle: The line below: which texts, which model.
        report: A result of candor.model.evaluation.evaluate; it may have a `comparison`, and its `notes` and the texts
            of its `worst_errors`.
    """
    parts = [f"<h1 dir=auto>{escape(title)}</h1><p class=soft dir=auto>{escape(subtitle)}</p>"]
    if comparison := report.get("comparison"):
        parts.append(f'<p class="verdict {comparison["verdict"]}">{escape(comparison["sentence"])}</p>')
        if comparison["verdict"] != "unknown":
            parts.append(f"<p class=soft>{RECOGNISED}</p>")
    parts += [f"<p>{escape(note)}</p>" for note in report.get("notes", ())]
    parts += [_figures(report), *_labels(report), *_confusion(report), *_trust(report)]
    parts += [*_warnings(report), *_errors(report["worst_errors"])]
    head = f'<meta charset=utf-8><meta name=viewport content="width=device-width"><title>{escape(title)}</title>'
    return f"<!doctype html><html lang=en>{head}<style>{STYLE}</style>{''.join(parts)}</html>\n"


def _figures(report: Mapping[str, Any]) -> str:
    rows = [
        ("accuracy", percent(report["accuracy"]), "share of texts whose answer is their label"),
        ("macro F1", percent(report["f1"]), "mean over labels of the harmonic mean of precision and recall"),
        ("ROC AUC", number(report["roc_auc"]), "0.5 is chance, 1 is perfect"),
        ("log loss", number(report["log_loss"]), "in nats; 0 is perfect"),
        ("calibration error", number(report["calibration"]["ece"]), "mean distance of confidence from accuracy"),
        ("decided", decided(report["decided"]), "answers that are not “uncertain”"),
    ]
    table = _table(*(f"<tr><th>{name}<td>{value}<td class=soft>{meaning}" for name, value, meaning in rows))
    return f"{table}<p class=soft>In brackets: 95% intervals.</p>"


def _labels(report: Mapping[str, Any]) -> Iterable[str]:
    yield f"<h2>Labels</h2>{_wide(labels_chart(report))}"
    trained = "<th class=n>in training" if any("training" in each for each in report["shares"].values()) else ""
    head = f"<tr><th class=n>#<th>label<th class=n>texts<th class=n>share<th class=n>of answers{trained}"
    head += "<th class=n>precision<th class=n>recall<th class=n>F1"
    rows = []
    for place, (label, each) in enumerate(report["by_label"].items(), 1):
        shares = report["shares"][label]
        cells = [f"{each['n']:,}", f"{shares['texts']:.1%}", f"{shares['answers']:.1%}"]
        if trained:
            cells.append(f"{shares['training']:.1%}" if "training" in shares else "–")
        cells += [cell.replace(" (", "<small>").replace(")", "</small>") for cell in measures(each)]
        rows.append(
            f"<tr><td class='n soft'>{place}<td class=label>{_bdi(label)}"
            + "".join(f"<td class=n>{cell}" for cell in cells)
        )
    yield f"{_table(head, *rows)}<p class=soft>Small print: 95% intervals.</p>"


def _confusion(report: Mapping[str, Any]) -> Iterable[str]:
    yield "<h2>Confusion</h2><p>Blue: right. Orange: wrong. The deeper, the larger the share of the label's texts.</p>"
    yield _wide(confusion_chart(report))
    if report["confused"]:
        rows = (
            f"<tr><td class=label>{_bdi(each['label'])}<td class=label>{_bdi(each['predicted'])}"
            f"<td class=n>{each['texts']:,}<td class=n>{each['share']:.1%}"
            for each in report["confused"]
        )
        head = "<tr><th>label<th>taken for<th class=n>texts<th class=n>of the label's"
        yield f"<h3>Most confused</h3>{_table(head, *rows)}"


def _trust(report: Mapping[str, Any]) -> Iterable[str]:
    yield "<h2>Calibration</h2><p>A model that says 80% should be right in 80% of such texts.</p>"
    yield _wide(calibration_chart(report))
    yield "<h2>Coverage and accuracy</h2><p>The accuracy of the surest answers, by how many of the texts they are.</p>"
    yield _wide(coverage_chart(report))


def _warnings(report: Mapping[str, Any]) -> Iterable[str]:
    if report["warnings"] is None:
        return
    rows = [
        f"<tr><td>{code}<td class=n>{count:,}<td class=n>{count / report['n']:.1%}<td class=soft>{WARNINGS[code]}"
        for code, count in report["warnings"].items()
    ]
    yield f"<h2>Warnings</h2>{_table(*rows) if rows else '<p>No text has one.</p>'}"


def _errors(errors: list[Mapping[str, Any]]) -> Iterable[str]:
    yield "<h2>Worst errors</h2>"
    if not errors:
        yield "<p>Every answer is right.</p>"
        return
    yield "<p>The wrong answers of the highest confidence. Look at the labels, too: some may be wrong.</p>"
    for each in errors:
        text = f"<p dir=auto>{escape(each['text'])}</p>" if "text" in each else ""
        left = "" if each["decided"] else ", left uncertain"
        where = escape(f"{each['file']}, " if "file" in each else "")
        yield (
            f"<blockquote>{text}<small>{where}line {each['line']:,}: {_bdi(each['label'])} taken for "
            f"{_bdi(each['predicted'])}, {each['probability']:.1%}{left}</small></blockquote>"
        )


def _table(*rows: str) -> str:
    return _wide(f"<table>{''.join(rows)}</table>")


def _wide(content: str) -> str:
    """Return content that scrolls by itself where a window is narrow, also with the keyboard."""
    return f"<div class=wide tabindex=0>{content}</div>"


def _bdi(label: str) -> str:
    """Return a label that keeps its own direction of writing, and leaves that of what is around it."""
    return f"<bdi>{escape(label)}</bdi>"


def measures(each: Mapping[str, Any]) -> list[str]:
    """Return precision, recall and F1 of a label with their intervals; a dash where no text measures it."""
    measured = (("precision", each["answers"]), ("recall", each["n"]), ("f1", each["n"]))
    return [percent(each[name]) if n else "–" for name, n in measured]


def decided(report: Mapping[str, Any]) -> str:
    """Return what the threshold decides, from the member `decided` of a report."""
    if report["accuracy"] is None:
        return f"nothing: no text reaches {report['min_confidence']:.2%} confidence without a warning"
    share = f"{report['share']:.1%} from {report['min_confidence']:.2%} confidence on"
    return f"{share}, {percent({**report, 'value': report['accuracy']})} right"


def n_texts(n: int) -> str:
    """Return a number of texts in words.

    Example:
        >>> n_texts(1), n_texts(1234)
        ('1 text', '1,234 texts')
    """
    return f"{n:,} text{'s' * (n != 1)}"


def percent(value: Mapping[str, float]) -> str:
    """Return a share with its interval.

    Example:
        >>> percent({"value": 0.5, "low": 0.4, "high": 0.61})
        '50.0% (40.0% to 61.0%)'
    """
    return f"{value['value']:.1%} ({value['low']:.1%} to {value['high']:.1%})"


def number(value: Mapping[str, float]) -> str:
    """Return a figure with its interval.

    Example:
        >>> number({"value": 0.5, "low": 0.4, "high": 0.61})
        '0.500 (0.400 to 0.610)'
    """
    return f"{value['value']:.3f} ({value['low']:.3f} to {value['high']:.3f})"
