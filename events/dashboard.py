"""The panels of the deployed dashboard as a picture, from the log of a run on this machine.

    python -m events.dashboard run.log dashboard.png

Panels are those of template.yaml. Their figures come from lines in CloudWatch's embedded metric format, which is how
metrics leave a function (AWS, "Embedded metric format specification").
"""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from events.server import ROOT

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")  # Okabe and Ito 2008
LINES = ("-", "--", ":", "-.")
Point = tuple[float, list[float]]
"""Seconds since 1970, and the values of one line of the log."""


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """CloudFormation's YAML, of whose functions only what is written within them is read, where it is a text."""


_Loader.add_multi_constructor("!", lambda loader, suffix, node: getattr(node, "value", None))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="dashboard", description="The dashboard's panels, from a run's log.")
    parser.add_argument("log", type=Path, help="what `make run LOG=` wrote, or - for standard input")
    parser.add_argument("output", type=Path, nargs="?", default=Path("dashboard.png"))
    options = parser.parse_args(arguments)
    try:
        text = sys.stdin.read() if str(options.log) == "-" else options.log.read_text(errors="replace")
    except OSError as error:
        return _fail(f"{options.log} cannot be read: {error.strerror}")
    found = metrics(text.splitlines())
    if not found:
        return _fail(f"{options.log} holds no metrics: write it with make run LOG=run.log, and send some requests")
    draw(widgets(), found).savefig(options.output)
    print(f"{options.output} is written")
    return 0


def widgets() -> list[dict[str, Any]]:
    """The panels of the template's dashboard."""
    body: list[dict[str, Any]] = json.loads(loaded()["Resources"]["Dashboard"]["Properties"]["DashboardBody"])[
        "widgets"
    ]
    return body


def loaded() -> dict[str, Any]:
    made: dict[str, Any] = yaml.load((ROOT / "template.yaml").read_text(), _Loader)
    return made


def metrics(lines: Iterable[str]) -> dict[tuple[str, ...], list[Point]]:
    """Points by namespace, metric and dimensions with their values, as a panel names them."""
    found: dict[tuple[str, ...], list[Point]] = defaultdict(list)
    for line in lines:
        try:
            said = json.loads(line[line.index('{"') :])
            directives, at = said["_aws"]["CloudWatchMetrics"], said["_aws"]["Timestamp"] / 1000
        except (ValueError, KeyError, TypeError):
            continue  # another line of the log
        for directive in directives:
            for names in directive["Dimensions"]:
                place = [part for name in names for part in (name, said[name])]
                for metric in directive["Metrics"]:
                    values = said[metric["Name"]]
                    values = values if isinstance(values, list) else [values]
                    found[directive["Namespace"], metric["Name"], *place].append((at, values))
    return dict(found)


def series(points: Iterable[Point], stat: str, period: int) -> tuple[list[float], list[float]]:
    """Starts of periods, and the statistic (Sum, Average, or a percentile such as p99) of the values within each."""
    periods: dict[float, list[float]] = defaultdict(list)
    for at, values in points:
        periods[at // period * period].extend(values)
    of: Any = {"Sum": np.sum, "Average": np.mean}.get(stat) or (lambda values: np.percentile(values, float(stat[1:])))
    starts = sorted(periods)
    return starts, [float(of(periods[start])) for start in starts]


def draw(panels: Sequence[Mapping[str, Any]], found: Mapping[tuple[str, ...], Sequence[Point]]) -> Figure:
    """A picture with each panel where the dashboard has it."""
    width = max(panel["x"] + panel["width"] for panel in panels)
    height = max(panel["y"] + panel["height"] for panel in panels)
    figure = Figure(figsize=(width * 0.6, height * 0.55), dpi=110, layout="constrained")
    grid = figure.add_gridspec(height, width)
    for panel in panels:
        rows = slice(panel["y"], panel["y"] + panel["height"])
        axes = figure.add_subplot(grid[rows, panel["x"] : panel["x"] + panel["width"]])
        _panel(axes, panel["properties"], found)
    return figure


def _panel(axes: Axes, properties: Mapping[str, Any], found: Mapping[tuple[str, ...], Sequence[Point]]) -> None:
    axes.set_title(properties["title"], fontsize=10, loc="left")
    every = [axes]
    for number, (*named, options) in enumerate(_with_options(properties["metrics"])):
        stat = options.get("stat", properties.get("stat", "Average"))
        points = found.get(tuple(named), [])
        starts, values = series(points, stat, properties["period"])
        beside = axes.twinx() if options.get("yAxis") == "right" else axes
        times = np.array(starts, dtype=np.int64).astype("datetime64[s]")
        label = f"{named[1]} {stat}{', right' if beside is not axes else ''}{'' if points else ' (none)'}"
        beside.plot(times, values, LINES[number % 4], color=COLOURS[number % 4], marker="o", markersize=3, label=label)
        axes.plot([], [], LINES[number % 4], color=COLOURS[number % 4], label=label)
        beside.tick_params(labelsize=7)
        every.append(beside)
    for line in properties.get("annotations", {}).get("horizontal", []):
        axes.axhline(line["value"], color="#767676", linewidth=1, linestyle="--")
    for each in every:
        each.set_ylim(bottom=0)  # after all lines are drawn, for it ends the fitting of the other end
    moments = [at for points in found.values() for at, _ in points]
    axes.set_xlim(*(np.array([min(moments) - 90, max(moments) + 30], dtype=np.int64).astype("datetime64[s]")))
    handles, labels = axes.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    axes.legend(unique.values(), unique.keys(), fontsize=7, frameon=False)
    axes.tick_params(labelsize=7)
    for tick in axes.get_xticklabels():
        tick.set_rotation(20)


def _with_options(named: Iterable[Sequence[Any]]) -> Iterable[list[Any]]:
    for each in named:
        yield [*each] if isinstance(each[-1], dict) else [*each, {}]


def _fail(reason: str) -> int:
    print(f"dashboard: {reason}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
