"""The stack under AWS SAM's own tools, in Lambda's container: the same answers as the handler in process."""

import json
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.stack import ROOT, SAM, Event, answers, environment, essence, events, run
from tests.interrupt import heed

BUNDLE = ROOT / "layers/model/bundle"
START_SECONDS = 120


def in_process(event: Event) -> tuple[int, Any]:
    (answer,) = answers([event], [ROOT / "functions", ROOT / "layers/serving"], BUNDLE)
    return essence(answer["statusCode"], answer["body"])


def request(address: str, method: str, path: str, body: str | None) -> tuple[int, Any]:
    data = None if body is None else body.encode()
    asked = urllib.request.Request(address + path, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(asked, timeout=START_SECONDS) as response:
            return essence(response.status, response.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return essence(error.code, error.read().decode())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    pytest.fail(f"sam local start-api did not start:\n{log.read_text()[-2000:]}")


@pytest.fixture(scope="module")
def address(engine: None, built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`sam local start-api`, one warm container for all requests."""
    port, log = free_port(), tmp_path_factory.mktemp("api") / "log"
    options = ["--skip-pull-image", "--warm-containers", "LAZY", "--port", str(port)]
    command = [str(SAM), "local", "start-api", "--template", str(built / "template.yaml"), *options]
    with log.open("wb") as output:
        server = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output, env=environment(), preexec_fn=heed)
        try:
            wait_for(port, server, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(START_SECONDS)


def test_the_template_passes_sams_linter() -> None:
    run(SAM, "validate", "--lint")


def test_sam_local_invoke_answers_like_the_handler_in_process(engine: None, built: Path) -> None:
    event = ROOT / "events/predict.json"
    options: list[str | Path] = ["--template", built / "template.yaml", "--event", event, "--skip-pull-image"]
    out = run(SAM, "local", "invoke", "ApiFunction", *options)
    answer = json.loads(out.strip().splitlines()[-1])
    assert essence(answer["statusCode"], answer["body"]) == in_process(json.loads(event.read_text()))
    assert answer["statusCode"] == 200


@pytest.mark.parametrize("name", events())
def test_over_http_each_sample_event_is_answered_as_in_process(name: str, address: str) -> None:
    event = events()[name]
    got = request(address, event["httpMethod"], event["path"], event["body"])
    assert got == in_process(event)


def test_over_http_a_request_without_a_text_is_refused_as_in_process(address: str) -> None:
    event = {**events()["predict"], "body": "{}"}
    got = request(address, "POST", "/v1/predict", "{}")
    assert got == in_process(event)
    assert got[0] == 422


def test_the_bundles_golden_cases_hold_in_the_running_container(address: str) -> None:
    cases = json.loads((BUNDLE / "golden.json").read_text())["cases"]
    assert cases
    for case in cases:
        status, answer = request(address, "POST", "/v1/predict", json.dumps({"text": case["text"]}))
        assert status == 200
        assert answer["probabilities"] == pytest.approx(case["probabilities"], abs=1e-5)
