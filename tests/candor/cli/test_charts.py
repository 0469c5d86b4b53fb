"""Charts of extreme reports: every mark lies within the picture, every axis within 0 and 100 %."""

import re
import xml.etree.ElementTree as ET
from functools import cache

import numpy as np
import pytest

from candor.cli.evaluation_page import CHARTS
from candor.model.evaluation import Answers, evaluate

NUMBER = r"-?\d+(?:\.\d+)?"


@cache
def report(n_labels, rows, skill, sharpness=3.0):
    """Return the report of answers to made-up texts: all right if `skill` is 1, all wrong if it is 0."""
    random = np.random.default_rng(n_labels + rows)
    targets = np.arange(rows) % n_labels
    right = random.random(rows) < skill
    answers = np.where(right, targets, (targets + 1) % n_labels)
    logits = sharpness * np.eye(n_labels)[answers] + random.random((rows, n_labels))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = tuple(f"a label of some length, number {number}" for number in range(n_labels))
    return evaluate(Answers(labels, probabilities, targets, np.arange(rows), 0.5), seed=1)


def points(drawing):
    """Yield x and y of everything in an SVG, but of what is turned."""
    for each in drawing.iter():
        for x, y in (("x", "y"), ("cx", "cy"), ("x1", "y1"), ("x2", "y2")):
            if x in each.attrib and "transform" not in each.attrib:
                yield float(each.attrib[x]), float(each.attrib[y])
        if each.tag.endswith("path"):
            for x, y in re.findall(rf"[ML]({NUMBER}) ({NUMBER})", each.attrib["d"]):
                yield float(x), float(y)
            for x in re.findall(rf"H({NUMBER})", each.attrib["d"]):
                yield float(x), 0.0


@pytest.mark.parametrize("name", CHARTS)
@pytest.mark.parametrize(
    ("n_labels", "rows", "skill", "sharpness"),
    [(2, 1, 1, 3), (2, 1, 0, 3), (2, 400, 1, 50), (2, 400, 0, 50), (3, 40, 0.5, 0), (24, 99, 0.7, 5), (150, 450, 1, 9)],
)
def test_chart_marks_lie_within_it(name, n_labels, rows, skill, sharpness):
    drawing = ET.fromstring(CHARTS[name](report(n_labels, rows, skill, sharpness)))
    width, height = float(drawing.attrib["width"]), float(drawing.attrib["height"])
    found = list(points(drawing))
    assert len(found) >= 10
    assert [(x, y) for x, y in found if not (0 <= x <= width and 0 <= y <= height)] == []
    marks = [each.text for each in drawing.iter() if each.text and re.fullmatch(rf"{NUMBER}%", each.text)]
    shares = [float(mark.rstrip("%")) for mark in marks]
    assert all(0 <= share <= 100 for share in shares)
    assert len(shares) == len(marks) >= (4 if name != "confusion" else 0)


@pytest.mark.parametrize("n_labels", [2, 24, 77, 150])
def test_chart_names_do_not_overlap(n_labels):
    """Names of labels stand at least a line apart, and all of them are there."""
    for name in ("labels", "confusion"):
        drawing = ET.fromstring(CHARTS[name](report(n_labels, 3 * n_labels, 0.8)))
        names = [each for each in drawing.iter() if each.attrib.get("class") == "end"]
        heights = sorted(float(each.attrib["y"]) for each in names)
        assert len(heights) == n_labels
        assert np.diff(heights).min() >= 12
