"""`candor dashboard`: the panels of the deployed dashboard as a picture, from the log of a run on this machine.

Panels are those of template.yaml. Their figures come from lines in CloudWatch's embedded metric format, which is how
metrics leave a function (AWS, "Embedded metric format specification").
"""

import json
import re
import sys
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
import yaml

from candor.cli import fonts, options
from candor.cli.errors import CommandError, absent
from candor.resources import TEMPLATE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000")  # Okabe and Ito 2008
LINES: tuple[Any, ...] = (
    "-",
    "--",
    ":",
    "-.",
)  # with the colours 20 kinds of lines, since 4 and 5 have no common factor
LONGEST = 24  # characters of a name in a legend
SEARCH = re.compile(
    r"SLICE\(SORT\(SEARCH\('\{(?P<namespace>\w+),(?P<dimension>\w+)\} MetricName=(?P<term>\w+) "
    r"(?P=dimension)=\"(?P<value>[^\"]+)\"', '(?P<stat>\w+)'\), SUM, DESC\), 0, (?P<most>\d+)\)"
)
"""The expression of a panel that shows the largest metrics of a family, `TERM.ANYTHING`: those of labels."""
Point = tuple[float, list[float]]
"""Unix time in seconds, and the values that one log line holds of a metric."""


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """CloudFormation's YAML: a function becomes its argument where that is a string, else None."""


_Loader.add_multi_constructor("!", lambda loader, suffix, node: getattr(node, "value", None))


@click.command(
    short_help="Draw the dashboard from a log.",
    epilog="\b\nExample:\n  candor serve --log run.log\n  candor dashboard run.log dashboard.png",
)
@click.argument("log", type=options.Named("file", allow_dash=True))
@click.argument("output", type=options.Named(dir_okay=False), default="dashboard.png")
def dashboard(log: Path, output: Path) -> None:
    """Draw the panels of the deployed dashboard from LOG, which `candor serve --log` wrote, to OUTPUT, a picture."""
    text = sys.stdin.read() if str(log) == "-" else log.read_text(errors="replace")
    points = metrics(text.splitlines())
    if not points:
        raise CommandError(
            f"{log} holds no metrics",
            "write it with candor serve --log run.log (make run LOG=run.log), and send requests",
        )
    try:
        with warnings.catch_warnings(record=True) as noted:
            warnings.filterwarnings("always", "Glyph .* missing from font")
            draw(widgets(service(points)), points).savefig(output)
    except ModuleNotFoundError as error:
        raise absent(error, "dashboard") from None
    except ValueError:  # Matplotlib's, of a format that it does not write
        suffix = output.suffix or "no suffix"
        raise CommandError(f"{output}: unsupported format ({suffix})", "use .png or .svg") from None
    if any("missing from font" in str(each.message) for each in noted):
        click.echo("note: no font here has some letters of the labels; Noto Sans CJK has Chinese ones", err=True)
    click.echo(f"wrote {output}")


def widgets(stack: str) -> list[dict[str, Any]]:
    """Return the panels of the template's dashboard, for a stack of that name."""
    template = yaml.load(TEMPLATE.read_text(), _Loader)
    text = template["Resources"]["Dashboard"]["Properties"]["DashboardBody"].replace("${AWS::StackName}", stack)
    body: dict[str, list[dict[str, Any]]] = json.loads(text)
    return body["widgets"]


def service(points: Mapping[tuple[str, ...], Sequence[Point]]) -> str:
    """Return the service that most points are of: the name of the stack, or what `candor serve` writes."""
    counts: Counter[str] = Counter()
    for (_, _, *dimensions), values in points.items():
        counts[dict(zip(dimensions[::2], dimensions[1::2], strict=True)).get("service", "")] += len(values)
    return counts.most_common(1)[0][0]


def metrics(lines: Iterable[str]) -> dict[tuple[str, ...], list[Point]]:
    """Collect the points of each metric from log lines in CloudWatch's embedded metric format.

    Returns:
        Points by namespace, metric, and dimensions with their values: the way a panel names them.
    """
    points: dict[tuple[str, ...], list[Point]] = defaultdict(list)
    for line in lines:
        try:
            entry = json.loads(line[line.index('{"') :])
            time = float(entry["_aws"]["Timestamp"]) / 1000
            found = list(_metrics_of(entry))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            continue  # another line of the log
        for name, values in found:
            points[name].append((time, values))
    return dict(points)


def _metrics_of(entry: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], list[float]]]:
    for directive in entry["_aws"]["CloudWatchMetrics"]:
        for names in directive["Dimensions"]:
            dimensions = [str(part) for name in names for part in (name, entry[name])]
            for metric in directive["Metrics"]:
                values = entry[metric["Name"]]
                values = values if isinstance(values, list) else [values]
                yield (directive["Namespace"], metric["Name"], *dimensions), [float(value) for value in values]


def series(points: Iterable[Point], stat: str, period: int) -> tuple[list[float], list[float]]:
    """Aggregate points by period.

    Args:
        points: Times and values.
        stat: `Sum`, `Average`, or a percentile such as `p99`.
        period: Seconds.

    Returns:
        The start of each period that has points, and its statistic.
    """
    periods: dict[float, list[float]] = defaultdict(list)
    for time, values in points:
        periods[time // period * period].extend(values)
    aggregate: Any = {"Sum": np.sum, "Average": np.mean}.get(stat) or (
        lambda values: np.percentile(values, float(stat[1:]))
    )
    starts = sorted(periods)
    return starts, [float(aggregate(periods[start])) for start in starts]


def draw(panels: Sequence[Mapping[str, Any]], points: Mapping[tuple[str, ...], Sequence[Point]]) -> "Figure":
    """Draw each panel where the dashboard has it.

    Raises:
        ModuleNotFoundError: Matplotlib is not installed.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    width = max(panel["x"] + panel["width"] for panel in panels)
    height = max(panel["y"] + panel["height"] for panel in panels)
    figure = Figure(figsize=(width * 0.6, height * 0.55), dpi=110, layout="constrained")
    grid = figure.add_gridspec(height, width)
    style: Any = fonts.style()  # Matplotlib types the names of settings
    with rc_context(style):
        for panel in panels:
            rows = slice(panel["y"], panel["y"] + panel["height"])
            axes = figure.add_subplot(grid[rows, panel["x"] : panel["x"] + panel["width"]])
            _draw_panel(axes, panel["properties"], points)
    return figure


def _draw_panel(axes: "Axes", properties: Mapping[str, Any], points: Mapping[tuple[str, ...], Sequence[Point]]) -> None:
    from matplotlib.lines import Line2D

    axes.set_title(properties["title"], fontsize=10, loc="left")
    every, handles = [axes], []
    for number, (*name, style) in enumerate(_with_options(found(properties["metrics"], points))):
        stat = style.get("stat", properties.get("stat", "Average"))
        of_metric = points.get(tuple(name), [])
        starts, values = series(of_metric, stat, properties["period"])
        side = axes.twinx() if style.get("yAxis") == "right" else axes
        times = np.array(starts, dtype=np.int64).astype("datetime64[s]")
        shown = name[1] if len(name[1]) <= LONGEST else f"{name[1][: LONGEST - 1]}…"
        label = f"{shown} {stat}{', right' if side is not axes else ''}{'' if of_metric else ' (none)'}"
        line, colour = LINES[number % len(LINES)], COLOURS[number % len(COLOURS)]
        side.plot(times, values, line, color=colour, marker="o", markersize=3)
        handles.append(Line2D([], [], linestyle=line, color=colour, label=label))
        side.tick_params(labelsize=7)
        every.append(side)
    for line in properties.get("annotations", {}).get("horizontal", []):
        axes.axhline(line["value"], color="#767676", linewidth=1, linestyle="--")
    for each in every:
        each.set_ylim(bottom=0)  # last, because it ends the automatic fitting of the upper end
    moments = [time for series_points in points.values() for time, _ in series_points]
    axes.set_xlim(*(np.array([min(moments) - 90, max(moments) + 30], dtype=np.int64).astype("datetime64[s]")))
    columns = 1 if len(handles) <= 5 else 2
    axes.legend(handles=handles, fontsize=7 if columns == 1 else 6, frameon=False, ncols=columns)
    axes.tick_params(labelsize=7)
    for tick in axes.get_xticklabels():
        tick.set_rotation(20)


def found(metrics: Iterable[Sequence[Any]], points: Mapping[tuple[str, ...], Sequence[Point]]) -> Iterator[list[Any]]:
    """Yield the metrics of a panel, with those that an expression finds in its place: the largest first.

    Example:
        >>> search = "SLICE(SORT(SEARCH('{Candor,service} MetricName=Decided service=|one|', 'Sum'), SUM, DESC), 0, 10)"
        >>> search = search.replace("|", '"')
        >>> names = [("Candor", f"Decided.{label}", "service", "one") for label in "ab"]
        >>> points = {names[0]: [(0.0, [1.0])], names[1]: [(0.0, [2.0])]}
        >>> [name for _, name, *_ in found([[{"expression": search}]], points)]
        ['Decided.b', 'Decided.a']
    """
    for metric in metrics:
        search = SEARCH.fullmatch(metric[0]["expression"]) if isinstance(metric[0], dict) else None
        if search is None:
            yield list(metric)
            continue
        names = [
            name
            for name in points
            if (name[0], name[2:]) == (search["namespace"], (search["dimension"], search["value"]))
            and name[1].startswith(f"{search['term']}.")
        ]
        names.sort(key=lambda name: -sum(sum(values) for _, values in points[name]))
        for name in names[: int(search["most"])]:
            yield [*name, {"stat": search["stat"]}]


def _with_options(metrics: Iterable[Sequence[Any]]) -> Iterable[list[Any]]:
    """Yield each metric of a panel with its options, which the dashboard's format leaves out where there are none."""
    for metric in metrics:
        yield [*metric] if isinstance(metric[-1], dict) else [*metric, {}]
