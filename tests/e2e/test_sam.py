"""The stack under AWS SAM's tools, in Lambda's container: the same answers as from the handler in process."""

import contextlib
import json
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from samtranslator.yaml_helper import yaml_parse

from tests.e2e.stack import ROOT, SAM, Event, answers, bridge, environment, essence, events, run
from tests.functions.test_canary import CANARY, REQUESTS
from tests.interrupt import heed
from tests.test_template import source, translate

BUNDLE = ROOT / "layers/model/bundle"
START_SECONDS = 120
CARRIED = ["text, all asked", "unknown field", "malformed", "no JSON", "too large", "batch", "redact", "redact, mode"]


def in_process(event: Event) -> tuple[int, Any]:
    (answer,) = answers([event], [ROOT / "functions", ROOT / "layers/serving"], BUNDLE)
    return essence(answer["statusCode"], answer["body"])


def send(address: str, method: str, path: str, body: str | None) -> tuple[int, Any]:
    data = None if body is None else body.encode()
    request = urllib.request.Request(address + path, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=START_SECONDS) as response:
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
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the log of `sam local start-api` and of the functions in its containers."""
    return tmp_path_factory.mktemp("api") / "log"


@pytest.fixture(scope="module")
def address(engine: None, built: Path, log: Path) -> Iterator[str]:
    """Start `sam local start-api` with one warm container for all requests, and return its address."""
    port = free_port()
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


def test_template_passes_sam_validate(sam: Path) -> None:
    run(sam, "validate", "--lint")


def test_translated_template_passes_cfn_lint(sam: Path, tmp_path: Path) -> None:
    good = translate(source())
    faulty = json.loads(json.dumps(good))
    faulty["Resources"]["Key"]["Properties"]["EnableKeyRotation"] = "perhaps"
    for template, status in ((good, 0), (faulty, 2)):
        (tmp_path / "template.json").write_text(json.dumps(template))
        command = [sam.with_name("cfn-lint"), "--regions", "eu-central-1", "--template", tmp_path / "template.json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stdout


def test_checkov_skips_have_reasons(checkov: list[str | Path]) -> None:
    """checkov finds no fault, apart from those that the template skips with a reason."""
    options = ["--framework", "cloudformation", "--skip-download", "--output", "json"]
    report = json.loads(run(*checkov, "--file", ROOT / "template.yaml", *options))
    assert report["summary"]["failed"] == report["summary"]["parsing_errors"] == 0
    assert report["summary"]["passed"] > 100, "almost nothing was checked"
    reasons = [check["check_result"]["suppress_comment"] for check in report["results"]["skipped_checks"]]
    assert len(reasons) == report["summary"]["skipped"]
    assert all(len(reason.split()) > 8 for reason in reasons)


def test_sam_local_invoke_same_as_in_process(engine: None, built: Path) -> None:
    event = ROOT / "events/predict.json"
    options: list[str | Path] = ["--template", built / "template.yaml", "--event", event, "--skip-pull-image"]
    out = run(SAM, "local", "invoke", "ApiFunction", *options)
    answer = json.loads(out.strip().splitlines()[-1])
    assert essence(answer["statusCode"], answer["body"]) == in_process(json.loads(event.read_text()))
    assert answer["statusCode"] == 200


@pytest.mark.parametrize("name", events())
def test_start_api_sample_event_same_as_in_process(name: str, address: str) -> None:
    event = events()[name]
    answer = send(address, event["httpMethod"], event["path"], event["body"])
    assert answer == in_process(event)


def test_start_api_missing_text_same_as_in_process(address: str) -> None:
    event = {**events()["predict"], "body": "{}"}
    answer = send(address, "POST", "/v1/predict", "{}")
    assert answer == in_process(event)
    assert answer[0] == 422


def test_start_api_head_is_get_without_content(address: str) -> None:
    """The routes of the template take HEAD, and the length of the content arrives although there is none."""
    seen = []
    for method in ("GET", "HEAD"):
        with urllib.request.urlopen(
            urllib.request.Request(f"{address}/health", method=method), timeout=START_SECONDS
        ) as response:
            seen.append((response.status, response.headers["Content-Length"], len(response.read())))
    (_, length, size), headed = seen
    assert int(length) == size > 0
    assert headed == (200, length, 0)


def test_start_api_golden_cases_hold(address: str) -> None:
    cases = json.loads((BUNDLE / "golden.json").read_text())["cases"]
    assert cases
    for case in cases:
        status, answer = send(address, "POST", "/v1/predict", json.dumps({"text": case["text"]}))
        assert status == 200
        assert answer["probabilities"] == pytest.approx(case["probabilities"], abs=1e-5)


class Account(BaseHTTPRequestHandler):
    """A fake of Lambda, with the API's handler as its only function, and of CodeDeploy, as far as the hook needs it."""

    faulty = False
    reports: ClassVar[list[Any]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "/invocations" in self.path:
            answer = answers([body], [ROOT / "functions", ROOT / "layers/serving"], BUNDLE)[0]
            if self.faulty:
                content = json.loads(answer["body"])
                for result in content.get("results", []):
                    result["label"] = "other"
                answer["body"] = json.dumps(content)
        else:
            self.reports.append((self.headers["X-Amz-Target"].rpartition(".")[2], body))
            answer = {}
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.mark.parametrize(("faulty", "status"), [(False, "Succeeded"), (True, "Failed")])
def test_hook_in_container_reports_to_codedeploy(
    faulty: bool, status: str, engine: None, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Account, "faulty", faulty)
    Account.reports.clear()
    with ThreadingHTTPServer((bridge(), 0), Account) as account, contextlib.ExitStack() as stack:
        threading.Thread(target=account.serve_forever, daemon=True).start()
        stack.callback(account.shutdown)
        template = yaml_parse((built / "template.yaml").read_text())
        variables = template["Resources"]["PreTrafficFunction"]["Properties"]["Environment"]["Variables"]
        variables |= {"NEW_VERSION": "ApiFunction", "AWS_ENDPOINT_URL": f"http://{bridge()}:{account.server_port}"}
        (built / "hook.json").write_text(json.dumps(template))
        options = ["--event", ROOT / "events/pre_traffic.json", "--skip-pull-image"]
        command = [SAM, "local", "invoke", "PreTrafficFunction", "--template", built / "hook.json", *options]
        out = run(*command, env={"AWS_DEFAULT_REGION": "eu-central-1"})
    assert json.loads(out.strip().splitlines()[-1]) == {"status": status}
    event = json.loads((ROOT / "events/pre_traffic.json").read_text())
    assert Account.reports == [
        (
            "PutLifecycleEventHookExecutionStatus",
            {
                "deploymentId": event["DeploymentId"],
                "lifecycleEventHookExecutionId": event["LifecycleEventHookExecutionId"],
                "status": status,
            },
        )
    ]


@pytest.mark.parametrize("name", CARRIED)
def test_container_keeps_no_text(name: str, address: str, log: Path) -> None:
    """Neither the container, nor its log, nor an error contains a text."""
    before, sent = len(log.read_bytes()), REQUESTS[name]["body"]
    assert CANARY in sent
    status, answer = send(address, "POST", REQUESTS[name]["path"], sent)
    assert (CANARY in json.dumps(answer)) == (name == "redact"), "an answer repeats a text only on request"
    deadline = time.monotonic() + 10
    while '"message":"request"' not in (written := log.read_bytes()[before:].decode()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert f'"status":{status}' in written, "nothing was logged, so the search shows nothing"
    assert CANARY not in written
    for container in running():
        files = run(
            "docker", "exec", container, "bash", "-c", f"echo {CANARY}; grep -rls {CANARY} /tmp /var/task; true"
        )
        assert files.split() == [CANARY]


def running() -> list[str]:
    """Return the containers of Lambda's image. There must be one, or nothing would be searched."""
    containers = run("docker", "ps", "--format", "{{.ID}} {{.Image}}").splitlines()
    ids = [line.split()[0] for line in containers if "lambda" in line]
    assert ids
    return ids
