"""What the README says is so."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from api import app, problems
from candor import limits
from events.server import event

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
METRICS = json.loads((ROOT / "layers/model/bundle/metrics.json").read_text())


def test_its_request_has_the_answer_it_shows():
    (sent,) = re.findall(r"-d '(\{.*?\})'", README)
    (shown,) = re.findall(r"```json\n(\{.*?\n\})\n```", README, re.DOTALL)
    answer = app.handler(event("POST", "/v1/predict", [("Content-Type", "application/json")], sent.encode()), None)
    given, expected = json.loads(answer["body"]), json.loads(shown)
    assert given.keys() == expected.keys()
    assert given | {"request_id": ""} == expected | {"request_id": ""}


@pytest.mark.parametrize("target", sorted(set(re.findall(r"^make (\w+)", README, re.MULTILINE))))
def test_every_make_command_it_shows_exists(target):
    done = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"make {target}" in subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True).stdout


def test_every_link_of_the_documents_leads_somewhere():
    for page in (*ROOT.glob("*.md"), *(ROOT / "training").glob("*.md")):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_folder_and_file_it_names_exists():
    for row in re.findall(r"^\| `([\w./]+)` \|", README, re.MULTILINE):
        assert (ROOT / row).exists(), row


def percent(metric):
    value, low, high = (100 * metric[name] for name in ("value", "low", "high"))
    return f"{value:.1f} % ({low:.1f} to {high:.1f})"


@pytest.mark.parametrize(
    ("row", "network", "rows"),
    [
        ("Candor |", "ours", "all"),
        ("the article's network |", "baseline", "all"),
        ("Candor, without", "ours", "without_copies"),
    ],
)
def test_its_accuracies_are_those_of_the_bundle(row, network, rows):
    report = METRICS["test"][network][rows]
    (line,) = [line for line in README.splitlines() if line.startswith(f"| {row} ") and line.count("|") == 5]
    assert percent(report["accuracy"]) in line
    assert f"{report['log_loss']['value']:.3f}" in line


def test_the_bundle_reaches_the_bars_that_the_figures_name():
    assert METRICS["test"]["ours"]["all"]["accuracy"]["value"] >= 0.913
    assert METRICS["test"]["ours"]["copies"] == 123
    assert METRICS["parity"]["labels_agree"] >= 0.999
    assert METRICS["parity"]["max_probability_difference"] <= 0.01


def test_it_lists_every_error_code_and_no_other():
    table = README[README.index("| status | codes |") : README.index("No text of a caller's")]
    assert set(re.findall(r"`([a-z]+_[a-z_]+)`", table)) == set(problems.CODES)


def test_it_lists_every_route_and_the_limits():
    shown = set(re.findall(r"^\| `([A-Z]+) (/[\w/.]*)` \|", README, re.MULTILINE))
    assert shown == {(method, path) for path, methods in app.ROUTES.items() for method in methods}
    assert f"{limits.MAX_TEXT_BYTES:,} bytes" in README
    assert f"{limits.MAX_BODY_BYTES:,} a body" in README
