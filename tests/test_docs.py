"""The documentation is true: its commands run, its links resolve, its figures are those of the model that ships.

Its examples show answers of that model, so they run on it whatever model is in use: `shipped`.
"""

import doctest
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar
from urllib.error import HTTPError
from urllib.parse import urlsplit

import click
import pytest

import candor
from api import app, problems
from candor import limits
from candor.cli.gateway import event
from candor.cli.main import cli
from candor.model.bundle import Bundle
from tests.server import Server

ROOT = Path(__file__).parents[1]
DOCS = sorted((ROOT / "docs").rglob("*.md"))
PAGES = [*sorted(ROOT.glob("*.md")), *DOCS, *sorted((ROOT / "training").glob("*.md"))]
README = (ROOT / "README.md").read_text()
CLIENT = (ROOT / "docs/how-to/call-the-api.md").read_text()
MODEL = (ROOT / "docs/explanation/model.md").read_text()

_spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
assert _spec
assert _spec.loader
generate = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(generate)

# Commands that begin like this are not run, and why.
NOT_RUN = {
    "aws ": "needs an AWS account",
    "sam ": "needs Docker or an AWS account; tests/e2e runs the functions in Lambda's container",
    "curl https://API_URL": "needs an AWS account",
    "docker ": "needs Docker",
    "git ": "changes the checkout",
    "pip install": "changes the environment; tests/test_package.py installs the wheel",
    "python3 -m venv": "likewise",
    ". .venv/own/bin/activate": "likewise",
    "candor use": "changes the checkout; tests/candor/cli has its tests",
    "candor serve": "runs until Ctrl-C; tests/candor/cli/test_serve.py starts it",
    "API_KEYS=first,second candor serve": "likewise",
    "candor torture": "takes minutes; tests/candor/cli has its tests",
    "candor train tickets.csv --text body --label queue --name tickets\n": "the tutorial trains one for real",
    "candor train tickets.csv --text body --label queue --golden": "likewise",
    "candor train tickets.csv --text body --label queue --unlabelled": "likewise",
    "candor train tickets.csv --text body --label queue --test": "likewise",
    "candor train tickets.csv --text body --label queue --text-noun": "likewise",
    "candor train tickets.csv more.csv": "likewise",
    "candor train tickets.csv --text body --label queue --accept-unfair": "likewise",
    "candor fairness": "its status is of the model in use; tests/training/test_fairness_command.py has its tests",
    "candor dashboard": "needs the log of a run; tests/candor/cli/test_dashboard.py writes one",
}
LOCAL = "curl http://127.0.0.1:8000"  # sent to the real handler


def blocks(page: Path) -> Iterator[tuple[list[str], str]]:
    """Yield the commands of each `sh` block of a page, and the output that the page shows for it."""
    for block, _, shown in re.findall(r"^```sh\n(.*?)^```\n(\n```text\n(.*?)^```)?", page.read_text(), re.M | re.S):
        yield list(commands(block)), shown


def commands(block: str) -> Iterator[str]:
    """Yield each command of a block; continued lines and here-documents belong to the command that they follow."""
    lines = iter(block.splitlines())
    for line in lines:
        command = line
        while command.endswith("\\"):
            command = command[:-1] + next(lines)
        if document := re.search(r"<<'(\w+)'", command):
            while not command.endswith(f"\n{document[1]}"):
                command += f"\n{next(lines)}"
        if command := re.sub(r"(^|\s+)# .*$", "", command):
            yield command


def skipped(command: str) -> str:
    """Return the entry of NOT_RUN for a command, or "" if it is run."""
    return next((start for start in NOT_RUN if f"{command}\n".startswith(start)), "")


@pytest.fixture
def folder(shipped: Bundle, tmp_path: Path) -> Path:
    """A folder with the files that the pages name, and `candor` on its PATH."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/candor").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m candor "$@"\n')
    (tmp_path / "bin/candor").chmod(0o755)
    shutil.copytree(ROOT / "events", tmp_path / "events")
    shutil.copy(ROOT / "events/reviews.csv", tmp_path / "texts.csv")
    (tmp_path / "labelled.csv").write_text("text,label\nA wonderful film.,positive\nA dull mess.,negative\n")
    (tmp_path / "held-out.csv").write_text("body,queue\nA wonderful film.,positive\nA dull mess.,negative\n")
    for name in ("tickets.csv", "new.csv"):
        (tmp_path / name).write_text("id,body\n1,A wonderful film.\n2,A dull mess.\n")
    for version in ("2026-11-27-1", "2026-11-27-2"):
        shutil.copytree(shipped.path, tmp_path / "models/tickets" / version / "bundle")
    (tmp_path / "old.csv").write_bytes("text;n\nA wonderful café.;1\n".encode("cp1252"))
    (tmp_path / "bare.csv").write_text("1,A wonderful film.\n2,A dull mess.\n")
    return tmp_path


def send(command: str) -> None:
    """Send the request of a curl command to the real handler."""
    words = shlex.split(command)
    headers = [tuple(value.split(": ", 1)) for name, value in pairwise(words) if name == "-H"]
    body = next((value for name, value in pairwise(words) if name == "-d"), "")
    answer = app.handler(event("POST" if body else "GET", urlsplit(words[1]).path, headers, body.encode()), None)
    assert answer["statusCode"] == 200, answer["body"]


@pytest.mark.parametrize("page", [page for page in PAGES if any(blocks(page))], ids=lambda page: page.stem)
def test_page_commands_run(page, folder):
    """Every command of a page succeeds, in order and in one folder, and prints what the page shows."""
    environment = os.environ | {
        "PATH": f"{folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": f"{ROOT / 'layers/serving'}:{os.environ.get('PYTHONPATH', '')}",
        "CANDOR_STORE": "models",
    }
    for block, shown in blocks(page):
        printed = ""
        for command in block:
            if skipped(command):
                continue
            if command.startswith(LOCAL):
                send(command)
                continue
            make = command.startswith("make ")
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", command.replace("make ", "make --dry-run ", 1) if make else command],
                cwd=ROOT if make else folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, f"{command}\n{done.stderr}"
            printed += "" if make else done.stdout
        assert not shown or printed == shown, printed


def test_not_run_entries_are_used():
    """No entry of NOT_RUN outlives the commands that it excuses."""
    found = {skipped(command) for page in PAGES for block, _ in blocks(page) for command in block}
    assert found - {""} == NOT_RUN.keys()


def spans(page: Path) -> list[str]:
    """Return the commands and the inline code of a page."""
    text = page.read_text()
    code = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))
    return code + [command for block, _ in blocks(page) for command in block]


def options() -> set[str]:
    """Return every option of the command and its subcommands."""
    context = click.Context(cli)
    found = [cli, *(cli.get_command(context, name) for name in cli.list_commands(context))]
    return {option for each in found if each for its in each.get_params(context) for option in its.opts}


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "CHANGELOG.md", *DOCS], ids=lambda page: page.stem)
def test_page_names_existing_commands(page):
    """Subcommands and options of `candor` that a page names exist."""
    known = set(cli.list_commands(click.Context(cli)))
    for code in spans(page):
        first, *words = re.split(r"\s+", code)
        if first == "candor" and words and re.fullmatch("[a-z]+", words[0]):
            assert words[0] in known, code
        if first == "candor" or re.match(r"--[\w-]+( |$)", code):
            assert set(re.findall(r"(?:^|\s)(--[\w-]+)", code)) <= options(), code


TARGETS = {
    target for page in PAGES if page.stem != "CHANGELOG" for target in re.findall(r"\bmake ([a-z-]+)", str(spans(page)))
}


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_page_make_targets_exist(target):
    """Make targets that a page names exist, and `make help` lists them."""
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert re.search(rf"\b{target}\b", done.stdout)


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives a page's headings."""
    headings = re.findall(r"^#+ (.*)", re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_links_resolve(page):
    """Links and pictures lead to files that exist, and to headings that exist."""
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        place = (page.parent / path).resolve() if path else page
        assert place.exists(), target
        assert not anchor or anchor in anchors(place), target


def test_readme_links_every_page():
    """No page of the documentation is out of a reader's reach."""
    linked = {(ROOT / target.partition("#")[0]).resolve() for target in re.findall(r"\]\(([^)]+)\)", README)}
    assert set(DOCS) <= linked


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.stem)
def test_page_begins_with_its_use(page):
    """A page's first sentence says what the page is for."""
    title, _, first = page.read_text().split("\n")[:3]
    assert title.startswith("# ")
    assert first.startswith(("This page ", "This tutorial "))


def test_readme_is_short():
    """The README can be read in a few minutes."""
    assert len(README.splitlines()) <= 120
    assert len(README.split()) <= 900


def test_readme_folders_exist():
    """The folders and files of the README's table exist."""
    found = re.findall(r"^\| `([\w./]+)` \|", README, re.MULTILINE)
    assert found
    for row in found:
        assert (ROOT / row).exists(), row


def test_readme_answer_is_the_handlers(shipped):
    """The README's request gets the answer that the README shows."""
    (sent,) = re.findall(r"-d '(\{.*?\})'", README)
    (shown,) = re.findall(r"```json\n(\{.*?\n\})\n```", README, re.DOTALL)
    answer = app.handler(event("POST", "/v1/predict", [("Content-Type", "application/json")], sent.encode()), None)
    given, expected = json.loads(answer["body"]), json.loads(shown)
    assert given.keys() == expected.keys()
    assert given | {"request_id": ""} == expected | {"request_id": ""}


def test_generated_parts_are_current():
    """`make docs` would change nothing."""
    for page in DOCS:
        assert generate.rendered(page.read_text()) == page.read_text(), f"{page}: run make docs"


def test_python_examples_run(shipped):
    """The examples of the Python reference give what it shows."""
    found = doctest.testfile(str(ROOT / "docs/reference/python.md"), module_relative=False)
    assert found.attempted > 5
    assert not found.failed


def test_generate_examples_run():
    """The generator's examples give what they show."""
    found = doctest.testmod(generate)
    assert found.attempted
    assert not found.failed


def test_version_is_the_same_everywhere():
    """The package, the command, the OpenAPI document, the project and the changelog have one version."""
    contract = json.loads((ROOT / "functions/api/openapi.json").read_text())
    changes = (ROOT / "CHANGELOG.md").read_text()
    done = subprocess.run(
        [sys.executable, "-m", "candor", "--version"],
        env=os.environ | {"PYTHONPATH": str(ROOT / "layers/serving")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"candor {candor.__version__}\n"
    assert contract["info"]["version"] == candor.__version__
    assert re.findall(r"^## (\d\S+) - \d{4}-\d\d-\d\d$", changes, re.MULTILINE)[0] == candor.__version__


def test_decisions_are_dated_and_weighed():
    """Each decision has a date, in order, and says what was rejected."""
    text = (ROOT / "docs/explanation/decisions.md").read_text()
    sections = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    dates = [re.match(r"(\d{4}-\d\d-\d\d): ", section) for section in sections]
    assert all(dates)
    assert [date[1] for date in dates if date] == sorted(date[1] for date in dates if date)
    assert all("Rejected:" in section for section in sections)


def test_configuration_lists_every_variable():
    """The reference lists the environment variables that the code reads, and no others."""
    page = (ROOT / "docs/reference/configuration.md").read_text()
    table = page[page.index("Read by the functions") : page.index("## Stack parameters")]
    deployed = [*(ROOT / "functions").rglob("*.py"), *(ROOT / "layers/serving/candor").rglob("*.py")]
    code = "".join(path.read_text() for path in deployed if "cli" not in path.parts)
    read = re.findall(r'environ(?:\.get\(|\[)"([A-Z_]+)"', code)
    assert set(re.findall(r"^\| `([A-Z_]+)`", table, re.MULTILINE)) == set(read)


def percent(metric):
    value, low, high = (100 * metric[name] for name in ("value", "low", "high"))
    return f"{value:.1f} % ({low:.1f} to {high:.1f})"


@pytest.mark.parametrize(
    ("row", "network", "texts"),
    [
        ("Candor |", "ours", "all"),
        ("Baseline |", "baseline", "all"),
        ("Candor, without", "ours", "without_copies"),
    ],
)
def test_accuracies_are_those_of_the_bundle(row, network, texts, shipped):
    """The table of accuracies is that of the bundle's metrics."""
    report = json.loads(shipped.read("metrics.json"))["test"][network][texts]
    (line,) = [line for line in MODEL.splitlines() if line.startswith(f"| {row} ") and line.count("|") == 5]
    assert percent(report["accuracy"]) in line
    assert f"{report['log_loss']['value']:.3f}" in line
    assert f"{report['roc_auc']['value']:.3f}" in line


@pytest.mark.parametrize("network", ["ours", "baseline"])
def test_readme_accuracies_are_the_bundles(network, shipped):
    """The README's two accuracies are those of the bundle's metrics."""
    accuracy = json.loads(shipped.read("metrics.json"))["test"][network]["all"]["accuracy"]
    assert f"{100 * accuracy['value']:.1f} %" in README


def test_errors_page_lists_every_code():
    """The table of the API's errors has every code and no other."""
    page = (ROOT / "docs/reference/errors.md").read_text()
    table = page[page.index("## HTTP API") : page.index("- 405 has")]
    assert set(re.findall(r"`([a-z]+(?:_[a-z]+)*)`", table)) == set(problems.CODES)


def test_api_page_lists_routes_and_limits():
    """The API reference has every route and the limits."""
    page = (ROOT / "docs/reference/http-api.md").read_text()
    shown = set(re.findall(r"^\| `([A-Z]+) (/[\w/.]*)` \|", page, re.MULTILINE))
    assert shown == {(method, path) for path in app.ROUTES for method in app.methods_of(path) if method != "HEAD"}
    assert "Every `GET` route also answers `HEAD`" in page
    assert f"{limits.MAX_TEXT_BYTES:,} bytes" in page
    assert f"{limits.MAX_BODY_BYTES:,} bytes" in page


def test_files_page_names_the_limits():
    """The page of file formats has the limits of texts, lines and ids."""
    page = (ROOT / "docs/reference/files.md").read_text()
    assert f"{limits.MAX_TEXT_BYTES:,} bytes a text, {limits.MAX_LINE_BYTES:,} bytes a line" in page
    assert f"{limits.MAX_ID_LENGTH} characters an id" in page


@pytest.fixture
def classify():
    """The client of the documentation, as a reader would paste it."""
    (client,) = re.findall(r"```python\n(.*?)```", CLIENT, re.DOTALL)
    pasted: dict[str, Any] = {}
    exec(client, pasted)
    return pasted["classify"]


def test_client_answers_each_text_in_order(classify, shipped):
    """The client returns a result or an error for each text, in order."""
    with Server() as server:
        server.greeting()
        found = classify(["A wonderful film.", " ", "A dull film."], f"http://127.0.0.1:{server.port}")
        server.end()
    assert [each.get("label", each.get("code")) for each in found] == ["positive", "invalid_request", "negative"]


class Busy(BaseHTTPRequestHandler):
    """Refuse twice, then answer; note when each request came."""

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


def test_client_busy_server_waits_then_gives_up(classify):
    """The client waits as long as it is told to, and gives up in the end."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Busy) as busy:
        Thread(target=busy.serve_forever, daemon=True).start()
        try:
            address = f"http://127.0.0.1:{busy.server_port}"
            assert classify(["x"], address) == []
            assert all(later - sooner >= 0.3 for sooner, later in pairwise(Busy.asked))
            Busy.asked.clear()
            with pytest.raises(HTTPError) as refused:
                classify(["x"], address, tries=2)
            refused.value.close()
            assert len(Busy.asked) == 2
        finally:
            busy.shutdown()
