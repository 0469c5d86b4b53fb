"""What the README says is so."""

import json
import re
import subprocess
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar
from urllib.error import HTTPError

import pytest

from api import app, problems
from candor import limits
from events.server import event
from tests.server import Server

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


@pytest.mark.parametrize("target", sorted(set(re.findall(r"^make ([\w-]+)", README, re.MULTILINE))))
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
    assert set(re.findall(r"`([a-z]+(?:_[a-z]+)*)`", table)) - {"limit", "actual", "pointer"} == set(problems.CODES)


def test_it_lists_every_route_and_the_limits():
    shown = set(re.findall(r"^\| `([A-Z]+) (/[\w/.]*)` \|", README, re.MULTILINE))
    assert shown == {(method, path) for path in app.ROUTES for method in app.methods_of(path)}
    assert f"{limits.MAX_TEXT_BYTES:,} bytes" in README
    assert f"{limits.MAX_BODY_BYTES:,} a body" in README


@pytest.fixture
def classify():
    """The README's client, as a reader would paste it."""
    (client,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    pasted: dict[str, Any] = {}
    exec(client, pasted)
    return pasted["classify"]


def test_its_client_gets_an_answer_for_each_text_in_order(classify):
    server = Server()
    server.greeting()
    try:
        found = classify(["A wonderful film.", " ", "A dull film."], f"http://127.0.0.1:{server.port}")
    finally:
        server.end()
    assert [each.get("label", each.get("code")) for each in found] == ["positive", "invalid_request", "negative"]


class Busy(BaseHTTPRequestHandler):
    """Refuses twice, then answers; notes when it was asked."""

    asked: ClassVar[list[float]] = []

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append(time.monotonic())
        self.send_response(429 if len(self.asked) < 3 else 200)
        self.send_header("Retry-After", "0.3")
        self.end_headers()
        self.wfile.write(b'{"results": [], "errors": []}')

    def log_message(self, format, *arguments):
        pass


def test_its_client_waits_as_long_as_it_is_told_to_and_gives_up_in_the_end(classify):
    with ThreadingHTTPServer(("127.0.0.1", 0), Busy) as busy:
        Thread(target=busy.serve_forever).start()
        address = f"http://127.0.0.1:{busy.server_port}"
        assert classify(["x"], address) == []
        assert all(later - sooner >= 0.3 for sooner, later in pairwise(Busy.asked))
        Busy.asked.clear()
        with pytest.raises(HTTPError) as refused:
            classify(["x"], address, tries=2)
        refused.value.close()
        assert len(Busy.asked) == 2
        busy.shutdown()
