"""Draw Candor's network and the baseline, for the report and the README.

Matplotlib's Agg canvas without pyplot needs no display, has no global state and ignores the user's style: the same
numbers give the same bytes. Colours are Okabe and Ito's (2008), which colour-blind readers can tell apart; the networks
differ in line style, too.

A name that no font here has the letters of would be boxes. Then all labels go by their number, and the caption says so;
report.html, which a browser draws, has the names.
"""

import unicodedata
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import matplotlib.style
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator, PercentFormatter
from PIL import Image

from candor.cli import fonts
from candor.cli.width import distinct

from .fairness import CONTROL

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
History = Mapping[str, Sequence[Mapping[str, float]]]
Curve = Callable[[Floats, Bools], tuple[Floats, Floats]]

NAMES = {"ours": "Candor", "baseline": "Baseline"}
COLOURS = {"ours": "#0072B2", "baseline": "#D55E00"}
ABOVE = {"ours": 4, "baseline": 3}
LINES = {"ours": "-", "baseline": (0, (5, 2))}
CORRECT, WRONG, INK, GREY = "#009E73", "#CC79A7", "#222222", "#767676"

STYLE = {
    "figure.dpi": 160,  # 8 inches are 1,280 pixels: sharp when a page shows them at 800
    "font.size": 10,
    "text.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E6E6E6",
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 2,
}
PALETTE = 192
"""Colours of a picture."""
MAX_NUMBERED = 8
"""Labels beyond which a confusion matrix has no room for numbers."""
MAX_NAMED, MAX_NAMED_IN_OVERVIEW = 20, 10
"""Labels beyond which it has no room for names: then it shows those that are confused most, and the others as one."""
NAME = 16
"""Columns of a label's name."""


@dataclass(frozen=True)
class Scores:
    """One split as scored by the networks to compare."""

    probabilities: Mapping[str, Floats]
    """[n, K] by network: "ours" and, if there is one, "baseline"."""
    targets: Ints
    """[n] label indices."""
    labels: tuple[str, ...]
    """K names."""
    reports: Mapping[str, Mapping[str, Any]]
    """By network the result of candor.model.metrics.evaluate."""
    split: str
    """Its name in a sentence, such as "official test split"."""

    @property
    def caption(self) -> str:
        """The line below a picture: how many texts of which split."""
        return f"n = {len(self.targets):,} texts, {self.split}"

    @property
    def names(self) -> list[str]:
        """The labels as pictures show them: in short, or all by number."""
        if self.by_number:
            return [f"{number:,}" for number in range(1, len(self.labels) + 1)]
        return distinct(self.labels, NAME)

    @property
    def by_number(self) -> bool:
        """Whether no font here can draw some name."""
        return not all(map(drawable, distinct(self.labels, NAME)))

    @property
    def named_caption(self) -> str:
        """The caption of a picture with names of labels."""
        return "Labels by number: report.html has their names. " * self.by_number + self.caption


def draw(folder: Path, history: History, trained: str, scores: Scores) -> list[Path]:
    """Write all pictures but those of calibration as PNG.

    Args:
        folder: An existing folder.
        history: The epochs of each network that has any; without one there is no learning curve.
        trained: The line below the learning curve, such as "n = 22,500 texts to train on, 2,500 held out".
        scores: The split to draw.

    Returns:
        The pictures' paths.
    """
    pictures: dict[str, Callable[[Path], None]] = {
        "overview": lambda path: overview(path, scores),
        "learning_curve": lambda path: learning_curve(path, history, trained),
        "roc": lambda path: roc(path, scores),
        "precision_recall": lambda path: precision_recall(path, scores),
        "score_histogram": lambda path: score_histogram(path, scores),
        "confusion_matrix": lambda path: confusion_matrix(path, scores),
    }
    if not history:
        del pictures["learning_curve"]
    for name, picture in pictures.items():
        picture(folder / f"{name}.png")
    return [folder / f"{name}.png" for name in pictures]


def learning_curve(path: Path, history: History, trained: str) -> None:
    """Draw loss (nats) and accuracy by epoch."""

    def fill(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        _epochs(left, history, "loss", "Loss (nats per text)", 1)
        _epochs(right, history, "accuracy", "Accuracy (%)", 100)
        left.set_ylim(bottom=0)
        bottom, top = right.get_ylim()
        right.set_ylim(max(bottom, -2), min(top, 102))
        right.legend(loc="lower right")

    _save(path, (8, 4), "Learning curve: loss and accuracy by epoch", trained, fill)


def roc(path: Path, scores: Scores) -> None:
    """Draw the ROC curve, whole and its upper left corner enlarged."""

    def fill(figure: Figure) -> None:
        whole, corner = figure.subplots(1, 2)
        _roc(whole, scores)
        _roc(corner, scores)
        whole.set_title("Whole")
        _enlarge(corner, (-0.003, 0.3), (0.7, 1.003), "Upper left corner")

    _save(path, (8, 4.4), _titled("ROC curve", scores), scores.named_caption, fill)


def precision_recall(path: Path, scores: Scores) -> None:
    """Draw precision against recall, whole and the upper right corner enlarged."""

    def fill(figure: Figure) -> None:
        whole, corner = figure.subplots(1, 2)
        _precision_recall(whole, scores)
        _precision_recall(corner, scores)
        whole.set_title("Whole")
        _enlarge(corner, (0.7, 1.003), (0.7, 1.003), "Upper right corner")

    _save(path, (8, 4.4), _titled("Precision and recall", scores), scores.named_caption, fill)


def score_histogram(path: Path, scores: Scores) -> None:
    """Draw histograms of the confidence of correct and of wrong predictions."""

    def fill(figure: Figure) -> None:
        for axes, network in zip(_row(figure, scores), scores.probabilities, strict=True):
            _histogram(axes, scores, network)
            axes.set_title(NAMES[network], color=COLOURS[network])
            axes.label_outer()

    _save(path, (8, 4), "Confidence of correct and of wrong predictions", scores.caption, fill)


def confusion_matrix(path: Path, scores: Scores) -> None:
    """Draw the number of texts by true and predicted label, shaded by the share of the true label."""

    def fill(figure: Figure) -> None:
        for axes, network in zip(_row(figure, scores), scores.probabilities, strict=True):
            _confusion(axes, scores, network, MAX_NAMED)
            axes.set_title(NAMES[network], color=COLOURS[network])
            axes.label_outer()

    most = f" The {MAX_NAMED - 1} labels confused most." if len(scores.labels) > MAX_NAMED else ""
    caption = f"Shade: share of the true label.{most} {scores.named_caption}"
    _save(path, (8, 4.4), "Confusion matrix", caption, fill)


def overview(path: Path, scores: Scores) -> None:
    """Draw four panels for the README: accuracy with 95 % intervals, ROC curve, histogram and confusion matrix."""

    def fill(figure: Figure) -> None:
        (first, second), (third, fourth) = figure.subplots(2, 2)
        _accuracy(first, scores)
        _roc(second, scores)
        _histogram(third, scores, "ours")
        _confusion(fourth, scores, "ours", MAX_NAMED_IN_OVERVIEW)
        first.set_title("Accuracy, with 95 % intervals")
        second.set_title(_titled("ROC curve", scores))
        third.set_title("Confidence of Candor")
        fourth.set_title("Confusion matrix of Candor")

    _save(path, (8, 6.9), "Candor and the baseline", scores.named_caption, fill)


def draw_calibration(folder: Path, decisions: Mapping[str, Any], split: str, caption: str) -> list[Path]:
    """Write pictures of calibration before and after temperature scaling, and of accuracy against coverage.

    Args:
        folder: An existing folder.
        decisions: The result of train.calibrate.
        split: The split to draw, "validation" or "test".
        caption: The line below each picture.

    Returns:
        The pictures' paths.
    """

    def reliability(figure: Figure) -> None:
        bins = [row for when in ("before", "after") for row in decisions[split][when]["bins"]]
        lowest = max(min(min(row["probability"], row["accuracy"]) for row in bins) - 0.05, -0.02)
        for axes, when in zip(figure.subplots(1, 2, sharey=True), ("before", "after"), strict=True):
            measured = decisions[split][when]
            columns = ([row[key] for row in measured["bins"]] for key in ("probability", "accuracy", "n"))
            confidence, accuracy, n = map(np.array, columns)
            axes.plot([0, 1], [0, 1], ":", color=GREY, linewidth=1.2, label="Perfect")
            size = 10 + 400 * n / n.sum()
            axes.scatter(
                confidence, accuracy, s=size, color=COLOURS["ours"], alpha=0.8, label="Texts of a bin, area by number"
            )
            axes.plot(confidence, accuracy, color=COLOURS["ours"], linewidth=1)
            axes.set(xlim=(lowest, 1.02), ylim=(lowest, 1.02), xlabel="Probability of the predicted label (%)")
            axes.set_title(f"{when.title()}: calibration error {100 * measured['ece']['value']:.1f} %")
            _percent(axes.xaxis, axes.yaxis)
            axes.label_outer()
        figure.axes[0].set_ylabel("Accuracy (%)")
        figure.axes[1].legend(loc="lower right")

    def coverage(figure: Figure) -> None:
        axes = figure.subplots()
        rows = decisions[split]["coverage"]
        shares, accuracies = (np.array([row[key] for row in rows]) for key in ("coverage", "accuracy"))
        axes.plot(shares, accuracies, "o-", color=COLOURS["ours"], clip_on=False)
        for row in rows:
            words = f"{100 * row['accuracy']:.1f}"
            place = (row["coverage"], row["accuracy"])
            axes.annotate(words, place, (0, 8), textcoords="offset points", ha="center", size=8.5)
        ends = accuracy_limits([[100 * row["accuracy"] for row in rows]])
        axes.set(ylim=(ends[0] / 100, ends[1] / 100), ylabel="Accuracy of decided texts (%)")
        names = [f"{100 * row['coverage']:.0f}\nfrom {row['min_confidence']:.4f}" for row in rows]
        axes.set_xticks([row["coverage"] for row in rows], names, size=8.5)
        axes.set_xlabel("Coverage: share of texts decided (%), and from which probability on")
        axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=""))

    _save(
        folder / "reliability.png", (8, 4.4), "Calibration before and after temperature scaling", caption, reliability
    )
    _save(folder / "coverage.png", (8, 4.4), "Accuracy and coverage", caption, coverage)
    return [folder / "reliability.png", folder / "coverage.png"]


def draw_fairness(folder: Path, found: Mapping[str, Any], caption: str) -> Path:
    """Write a picture of how far the terms of each group move a probability in one sentence.

    Args:
        folder: An existing folder.
        found: The content of fairness.json.
        caption: The line below the picture.
    """
    names = sorted(found["chosen"]["swaps"], key=lambda name: (name == CONTROL, name), reverse=True)

    def spread(figure: Figure) -> None:
        axes = figure.subplots()
        models = {"ours": found["chosen"], "baseline": found.get("off")}
        words = {"ours": f"This model ({found['way']})", "baseline": "Without care for fairness"}
        places, both = np.arange(len(names)), models["baseline"] is not None
        for network, audit in models.items():
            if audit:
                values = [audit["templates"][name]["max_difference"] for name in names]
                shift = 0 if not both else 0.18 if network == "ours" else -0.18
                bars = axes.barh(places + shift, values, height=0.34, color=COLOURS[network], label=words[network])
                axes.bar_label(bars, fmt="%.3f", padding=4, fontsize=8, color=INK)
        limit = found["gate"]["limits"]["template_difference"]
        axes.axvline(limit, color=INK, linewidth=1, linestyle=":", label=f"Limit, {limit}")
        axes.set_yticks(places, names)
        axes.set(xlabel="Largest difference of a probability within one sentence")
        axes.set_xlim(left=0)
        axes.margins(x=0.12)
        axes.grid(visible=False, axis="y")
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3)

    _save(folder / "fairness.png", (8, 4.8), "What a group's terms change", caption, spread)
    return folder / "fairness.png"


def draw_ways(folder: Path, measured: Mapping[str, Mapping[str, Any]], caption: str) -> Path:
    """Write a picture of ways of training: accuracy against what exchanging terms changes.

    Args:
        folder: An existing folder.
        measured: `accuracy` (with interval) and `gap` of each way, by its name.
        caption: The line below the picture.
    """

    def ways(figure: Figure) -> None:
        axes = figure.subplots()
        for (name, each), marker in zip(measured.items(), "os^D", strict=False):
            accuracy = each["accuracy"]
            errors = [[accuracy["value"] - accuracy["low"]], [accuracy["high"] - accuracy["value"]]]
            axes.errorbar(
                each["gap"], accuracy["value"], errors, fmt=marker, label=name, color=COLOURS["ours"], ecolor=GREY
            )
        axes.set(xlabel="Largest difference of a probability within one sentence", ylabel="Accuracy (%)")
        axes.set_xlim(-0.02, max(0.1, 1.1 * max(each["gap"] for each in measured.values())))
        _percent(axes.yaxis)
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=len(measured))

    _save(folder / "ways.png", (8, 4.4), "Accuracy and fairness by way of training", caption, ways)
    return folder / "ways.png"


def roc_curve(scores: Floats, positive: Bools) -> tuple[Floats, Floats]:
    """Return false and true positive rates, from (0, 0) to (1, 1), a point for each distinct score, highest first.

    Args:
        scores: [n] scores.
        positive: [n] which rows are positive.

    Example:
        >>> false, true = roc_curve(np.array([0.1, 0.9]), np.array([False, True]))
        >>> false.tolist(), true.tolist()
        ([0.0, 0.0, 1.0], [0.0, 1.0, 1.0])
    """
    true, false = _counts_above(scores, positive)
    return false / np.maximum((~positive).sum(), 1), true / np.maximum(positive.sum(), 1)


def precision_recall_curve(scores: Floats, positive: Bools) -> tuple[Floats, Floats]:
    """Return recall and precision, from (0, 1), a point for each distinct score, highest first.

    Args:
        scores: [n] scores.
        positive: [n] which rows are positive.
    """
    true, false = _counts_above(scores, positive)
    return true / np.maximum(positive.sum(), 1), np.concatenate([[1.0], true[1:] / (true + false)[1:]])


def _counts_above(scores: Floats, positive: Bools) -> tuple[Floats, Floats]:
    """Count positives and negatives at or above each distinct score, highest first, after a first count of none."""
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    true = np.cumsum(positive[order], dtype=np.float64)[last]
    return np.append(0.0, true), np.append(0.0, last + 1 - true)


def _epochs(axes: Axes, history: History, metric: str, label: str, unit: float) -> None:
    for network, rows in history.items():
        epochs = [row["epoch"] for row in rows]
        for kind, prefix, style in (("training", "", ":"), ("validation", "val_", "-")):
            values = [unit * row[prefix + metric] for row in rows]
            name = f"{NAMES[network]}, {kind}"
            marker = "o" if prefix else "."
            axes.plot(epochs, values, style, marker=marker, markersize=5, color=COLOURS[network], label=name)
    axes.set(xlabel="Epoch", ylabel=label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _roc(axes: Axes, scores: Scores) -> None:
    _curves(axes, scores, roc_curve, "AUC", lambda network: scores.reports[network]["roc_auc"]["value"])
    axes.plot([0, 1], [0, 1], ":", color=GREY, linewidth=1.2, label="Chance")
    axes.set(xlabel="False positive rate (%)", ylabel="True positive rate (%)")
    axes.legend(loc="lower right")


def _precision_recall(axes: Axes, scores: Scores) -> None:
    _curves(axes, scores, precision_recall_curve, "F1", lambda network: _f1(scores, network))
    if len(scores.labels) == 2:
        share = (scores.targets == 1).mean()
        axes.plot([0, 1], [share, share], ":", color=GREY, linewidth=1.2, label="Chance")
    axes.set(xlabel="Recall (%)", ylabel="Precision (%)")
    axes.legend(loc="lower left")


def _f1(scores: Scores, network: str) -> float:
    """Return the F1 of what the curve shows: the second of two labels, else the mean of all."""
    report = scores.reports[network]
    shown = report["by_label"][scores.labels[1]] if len(scores.labels) == 2 else report
    return float(shown["f1"]["value"])


def _curves(axes: Axes, scores: Scores, curve: Curve, metric: str, value: Callable[[str], float]) -> None:
    """Draw a curve for each network; for K > 2 the mean over labels, above Candor's curve for each label."""
    ranked = range(len(scores.labels)) if len(scores.labels) > 2 else (1,)
    for network, probabilities in scores.probabilities.items():
        lines = [curve(probabilities[:, k], scores.targets == k) for k in ranked]
        if len(lines) > 1 and network == "ours":
            for horizontal, vertical in lines:
                axes.plot(horizontal, vertical, color=COLOURS[network], alpha=0.3, linewidth=0.8)
        horizontal, vertical = _average(lines)
        name = f"{NAMES[network]}: {metric} {value(network):.3f}"
        style: dict[str, Any] = {"linestyle": LINES[network], "color": COLOURS[network]}
        axes.plot(horizontal, vertical, label=name, zorder=ABOVE[network], **style)
    _percent(axes.xaxis, axes.yaxis)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))


def _average(lines: Sequence[tuple[Floats, Floats]]) -> tuple[Floats, Floats]:
    """Return one curve as it is; of several the mean height at 1,001 points."""
    if len(lines) == 1:
        return lines[0]
    points = np.linspace(0, 1, 1001)
    heights = np.mean([np.interp(points, *line) for line in lines], axis=0)
    return np.append(0.0, points), np.append(lines[0][1][0], heights)  # where all curves begin


def _percent(*shares: Axis) -> None:
    for axis in shares:
        axis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=""))


def _enlarge(axes: Axes, across: tuple[float, float], up: tuple[float, float], title: str) -> None:
    """Show a part of the axes, without the legend, which the whole beside it has."""
    axes.set(xlim=across, ylim=up, title=title)
    axes.legend_ = None


def _histogram(axes: Axes, scores: Scores, network: str) -> None:
    probabilities = scores.probabilities[network]
    correct = probabilities.argmax(axis=1) == scores.targets
    bins = np.linspace(1 / len(scores.labels), 1, 26)
    confidence = probabilities.max(axis=1).clip(bins[0], 1)  # rounding may leave it a hair outside
    for group, name, colour, line in ((correct, "Correct", CORRECT, "-"), (~correct, "Wrong", WRONG, "--")):
        heights = np.histogram(confidence[group], bins)[0]
        style: dict[str, Any] = {"color": colour, "linestyle": line, "linewidth": 2, "baseline": None}
        axes.stairs(heights, bins, label=f"{name}: {group.sum():,}", **style)
    axes.set(xlabel="Probability of the predicted label (%)", ylabel="Texts (log scale)", xlim=(bins[0], 1))
    axes.set(yscale="log", ylim=(0.7, 1.5 * len(confidence)))
    _percent(axes.xaxis)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.legend(loc="upper left")


def _confusion(axes: Axes, scores: Scores, network: str, most: int) -> None:
    every, ours = (np.array(scores.reports[each]["confusion_matrix"]["counts"]) for each in (network, "ours"))
    kept = most_confused(ours, most)
    counts, names = join_others(every, kept), [name for index, name in enumerate(scores.names) if index in kept]
    if len(kept) < len(every):
        names.append(f"{len(every) - len(kept)} others")
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1.15)
    axes.grid(visible=False)
    few = len(names) <= 3
    axes.set_xticks(range(len(names)), names, rotation=0 if few else 90, size=10 if few else 8)
    axes.set_yticks(range(len(names)), names, size=10 if few else 8)
    axes.set(xlabel="Predicted label", ylabel="True label")
    if len(names) <= MAX_NUMBERED:
        _numbers(axes, counts, shares)


def most_confused(counts: Ints, most: int = MAX_NAMED) -> list[int]:
    """Return the labels of a confusion matrix [K, K] that a picture names: all up to `most`, or the most confused."""
    if len(counts) <= most:
        return list(range(len(counts)))
    errors = counts.sum(axis=0) + counts.sum(axis=1) - 2 * counts.diagonal()
    return sorted(np.argsort(-errors, kind="stable")[: most - 1].tolist())


def join_others(counts: Ints, kept: Sequence[int]) -> Ints:
    """Join the rows and the columns of a confusion matrix [K, K] that are not kept to a last one.

    Example:
        >>> join_others(np.array([[5, 0, 0], [0, 1, 2], [1, 3, 1]]), [2]).tolist()
        [[1, 4], [2, 6]]
    """
    if len(kept) == len(counts):
        return counts
    group = np.full(len(counts), len(kept))
    group[kept] = np.arange(len(kept))
    joined = np.zeros((len(kept) + 1, len(kept) + 1), counts.dtype)
    np.add.at(joined, (group[:, None], group[None, :]), counts)
    return joined


def _numbers(axes: Axes, counts: Ints, shares: Floats) -> None:
    size = 11 if len(counts) <= 3 else 7.5
    for (row, column), count in np.ndenumerate(counts):
        share = shares[row, column]
        colour = "white" if share > 0.55 else INK
        text = f"{count:,}\n{share:.1%}".replace("%", " %") if len(counts) <= 3 else f"{share:.0%}"
        axes.text(column, row, text, ha="center", va="center", color=colour, size=size)


def _accuracy(axes: Axes, scores: Scores) -> None:
    networks = list(scores.probabilities)
    measured = [
        [100 * scores.reports[network]["accuracy"][key] for key in ("value", "low", "high")] for network in networks
    ]
    left, right = accuracy_limits(measured)
    for height, (network, (value, low, high)) in enumerate(zip(networks, measured, strict=True)):
        error = [[value - low], [high - value]]
        style: dict[str, Any] = {"fmt": "o", "markersize": 8, "capsize": 5, "clip_on": False}  # whole at 100 %
        axes.errorbar(value, height, xerr=error, color=COLOURS[network], **style)
        text = f"{value:.1f} % ({low:.1f} to {high:.1f})"
        place = (value - left) / (right - left)
        side: Literal["left", "center", "right"] = "left" if place < 0.3 else "right" if place > 0.7 else "center"
        axes.annotate(text, (value, height), (0, 11), textcoords="offset points", ha=side, size=9)
    axes.set_yticks(range(len(networks)), [NAMES[network].replace(" ", "\n") for network in networks])
    axes.set(xlim=(left, right), ylim=(len(networks) - 0.4, -0.6), xlabel="Accuracy (%)")
    axes.grid(visible=False, axis="y")


def accuracy_limits(measured: Iterable[Sequence[float]]) -> tuple[float, float]:
    """Return the ends of an axis that shows accuracies in per cent with room around them, and nothing impossible.

    Example:
        >>> accuracy_limits([(18.8, 15, 22), (81, 78, 84)]), accuracy_limits([(90, 89, 91)])
        ((0, 100), (87, 93))
    """
    values = [value for each in measured for value in each]
    room = max(0.5 * (max(values) - min(values)), 2)
    return max(0, min(values) - room), min(100, max(values) + room)


def _titled(curve: str, scores: Scores) -> str:
    if len(scores.labels) > 2:
        return f"{curve}, mean of {len(scores.labels)} labels"
    return f"{curve} of label {scores.names[1]}" if scores.by_number else f"{curve} of “{scores.names[1]}”"


def drawable(label: str) -> bool:
    """Return whether the fonts of this machine have all letters of a label, in an order that Matplotlib keeps.

    Matplotlib neither joins letters nor writes from right to left.

    Example:
        >>> drawable("naïve"), drawable("برگشت"), drawable("\ue000")
        (True, False, False)
    """
    known = _characters()
    return all(
        ord(character) in known and unicodedata.bidirectional(character) not in ("R", "AL") for character in label
    )


@cache
def _characters() -> frozenset[int]:
    families = fonts.style()["font.family"]
    return frozenset(code for family in families for code in get_font(findfont(family)).get_charmap())


def _row(figure: Figure, scores: Scores) -> Sequence[Axes]:
    panels: Sequence[Axes] = figure.subplots(1, len(scores.probabilities), squeeze=False, sharey=True)[0]
    return panels


def _save(path: Path, size: tuple[float, float], title: str, caption: str, fill: Callable[[Figure], None]) -> None:
    with matplotlib.style.context(["default", STYLE | fonts.style()]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # no font here has it: a box, and no noise
        figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.08))
        figure.suptitle(title, x=0.015, ha="left", weight="bold", size=13)
        figure.supxlabel(caption, x=0.985, ha="right", size=8.5, color=GREY)
        fill(figure)
        figure.savefig(drawn := BytesIO(), format="png")
    # A palette instead of 24 bits a pixel: a fifth of the bytes, no difference to the eye. No metadata is written.
    image = Image.open(drawn).convert("RGB").quantize(PALETTE, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    image.save(path, format="PNG", optimize=True)
