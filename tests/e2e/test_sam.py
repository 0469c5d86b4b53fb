"""The stack under AWS SAM's own tools, in Lambda's container: the same answers as the handler in process."""

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
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `sam local start-api` and the functions in its containers print."""
    return tmp_path_factory.mktemp("api") / "log"


@pytest.fixture(scope="module")
def address(engine: None, built: Path, log: Path) -> Iterator[str]:
    """`sam local start-api`, one warm container for all requests."""
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


def test_the_template_passes_sams_linter() -> None:
    run(SAM, "validate", "--lint")


def test_the_translated_template_passes_the_linter_too(tmp_path: Path) -> None:
    made = translate(source())
    faulty = json.loads(json.dumps(made))
    faulty["Resources"]["Key"]["Properties"]["EnableKeyRotation"] = "perhaps"
    for template, status in ((made, 0), (faulty, 2)):
        (tmp_path / "template.json").write_text(json.dumps(template))
        command = [SAM.with_name("cfn-lint"), "--regions", "eu-central-1", "--template", tmp_path / "template.json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stdout


def test_checkov_finds_nothing_but_what_the_template_says_why() -> None:
    options = ["--framework", "cloudformation", "--skip-download", "--output", "json"]
    found = json.loads(run(ROOT / ".venv/scan/bin/checkov", "--file", ROOT / "template.yaml", *options))
    assert found["summary"]["failed"] == found["summary"]["parsing_errors"] == 0
    assert found["summary"]["passed"] > 100, "hardly anything was looked at"
    reasons = [check["check_result"]["suppress_comment"] for check in found["results"]["skipped_checks"]]
    assert len(reasons) == found["summary"]["skipped"]
    assert all(len(reason.split()) > 8 for reason in reasons)


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


class Account(BaseHTTPRequestHandler):
    """Lambda, whose only function is the API's handler in process, and CodeDeploy, as far as the hook asks for them."""

    wrong = False
    heard: ClassVar[list[Any]] = []

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "/invocations" in self.path:
            said = answers([asked], [ROOT / "functions", ROOT / "layers/serving"], BUNDLE)[0]
            if self.wrong:
                said["body"] = said["body"].replace("positive", "other")
        else:
            self.heard.append((self.headers["X-Amz-Target"].rpartition(".")[2], asked))
            said = {}
        content = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.mark.parametrize(("wrong", "status"), [(False, "Succeeded"), (True, "Failed")])
def test_the_hook_in_its_container_asks_the_new_version_and_tells_codedeploy(
    wrong: bool, status: str, engine: None, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Account, "wrong", wrong)
    Account.heard.clear()
    with ThreadingHTTPServer((bridge(), 0), Account) as account:
        threading.Thread(target=account.serve_forever, daemon=True).start()
        template = yaml_parse((built / "template.yaml").read_text())
        variables = template["Resources"]["PreTrafficFunction"]["Properties"]["Environment"]["Variables"]
        variables |= {"NEW_VERSION": "ApiFunction", "AWS_ENDPOINT_URL": f"http://{bridge()}:{account.server_port}"}
        (built / "hook.json").write_text(json.dumps(template))
        options = ["--event", ROOT / "events/pre_traffic.json", "--skip-pull-image"]
        command = [SAM, "local", "invoke", "PreTrafficFunction", "--template", built / "hook.json", *options]
        out = run(*command, env={"AWS_DEFAULT_REGION": "eu-central-1"})
        account.shutdown()
    assert json.loads(out.strip().splitlines()[-1]) == {"status": status}
    event = json.loads((ROOT / "events/pre_traffic.json").read_text())
    assert Account.heard == [
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
def test_no_text_is_left_in_the_container_its_log_or_an_error(name: str, address: str, log: Path) -> None:
    before, sent = len(log.read_bytes()), REQUESTS[name]["body"]
    assert CANARY in sent
    status, answer = request(address, "POST", REQUESTS[name]["path"], sent)
    assert (CANARY in json.dumps(answer)) == (name == "redact"), "an answer tells a text again only where that is asked"
    deadline = time.monotonic() + 10
    while '"message":"request"' not in (said := log.read_bytes()[before:].decode()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert f'"status":{status}' in said, "nothing was logged, so its silence shows nothing"
    assert CANARY not in said
    for container in running():
        found = run(
            "docker", "exec", container, "bash", "-c", f"echo {CANARY}; grep -rls {CANARY} /tmp /var/task; true"
        )
        assert found.split() == [CANARY]


def running() -> list[str]:
    """Containers of Lambda's image; there must be one, or nothing was searched."""
    found = run("docker", "ps", "--format", "{{.ID}} {{.Image}}").splitlines()
    mine = [line.split()[0] for line in found if "lambda" in line]
    assert mine
    return mine
