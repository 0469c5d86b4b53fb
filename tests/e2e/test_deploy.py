"""`make deploy` with AWS SAM itself, against a fake of CloudFormation: one question, and none if nothing changes."""

import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

import pytest

from tests.e2e.stack import ROOT, environment

MANAGED = {  # the stack that holds SAM's bucket
    "tags": {"ManagedStackSource": "AwsSamCli"},
    "outputs": {"SourceBucket": "artifacts"},
    "deployed": (),
    "status": "CREATE_COMPLETE",
}


def xml(value: Any) -> str:
    """Return a value as CloudFormation's query protocol writes it."""
    if isinstance(value, list):
        return "".join(f"<member>{xml(each)}</member>" for each in value)
    if isinstance(value, dict):
        return "".join(f"<{key}>{xml(each)}</{key}>" for key, each in value.items())
    return escape(str(value))


class Account:
    """The stacks of an account. Whatever S3 is asked for is not there, and whatever it is sent is taken."""

    def __init__(self) -> None:
        self.stacks: dict[str, dict[str, Any]] = {"aws-sam-cli-managed-default": MANAGED}
        self.asked: dict[str, Any] = {}

    def answer(self, name: str, stack: str, request: dict[str, str]) -> dict[str, Any]:
        """Answer an action. Raises KeyError for a stack that does not exist."""
        if name == "CreateChangeSet":
            keys = [key for key in request if re.fullmatch(r"Parameters\.member\.\d+\.ParameterKey", key)]
            given = {request[key]: request.get(key.replace("ParameterKey", "ParameterValue")) for key in keys}
            kept = dict(self.stacks.get(stack, {"deployed": ("", {})})["deployed"][1])
            values = kept | {key: value for key, value in given.items() if value is not None}
            self.asked = {"deployed": (request["TemplateURL"], values), "given": given}
            return {"Id": f"arn:{request['ChangeSetName']}", "StackId": f"arn:{stack}"}
        if name == "DescribeChangeSet":
            if self.asked["deployed"] == self.stacks.get(stack, {}).get("deployed"):
                return {"Status": "FAILED", "StatusReason": "The submitted information didn't contain changes."}
            change = {"Action": "Add", "LogicalResourceId": "Api", "ResourceType": "AWS::ApiGateway::RestApi"}
            return {"Status": "CREATE_COMPLETE", "Changes": [{"Type": "Resource", "ResourceChange": change}]}
        if name == "ExecuteChangeSet":
            status = "UPDATE_COMPLETE" if stack in self.stacks else "CREATE_COMPLETE"
            self.stacks[stack] = {"tags": {}, "outputs": {"ApiUrl": "https://api"}, "status": status, **self.asked}
            return {}
        if name == "GetCallerIdentity":
            return {"Account": "0" * 12}
        if name == "DeleteChangeSet":
            return {}
        if name == "DescribeStackEvents":
            now, status = (
                datetime.now(UTC).isoformat(),
                self.stacks.get(stack, {"status": "REVIEW_IN_PROGRESS"})["status"],
            )
            ids = {"LogicalResourceId": stack, "PhysicalResourceId": f"arn:{stack}", "StackId": f"arn:{stack}"}
            kind = {"ResourceType": "AWS::CloudFormation::Stack", "ResourceStatus": status}
            return {"StackEvents": [{"EventId": now, "Timestamp": now, "StackName": stack, **ids, **kind}]}
        known = self.stacks[stack]
        if name == "GetTemplateSummary":
            return {"Parameters": [{"ParameterKey": key} for key in known["deployed"][1]]}
        assert name == "DescribeStacks", name
        tags = [{"Key": key, "Value": value} for key, value in known["tags"].items()]
        outputs = [{"OutputKey": key, "OutputValue": value} for key, value in known["outputs"].items()]
        facts = {
            "StackName": stack,
            "StackId": f"arn:{stack}",
            "CreationTime": "2026-01-01T00:00:00Z",
            "StackStatus": known["status"],
        }
        return {"Stacks": [{**facts, "Tags": tags, "Outputs": outputs}]}


@pytest.fixture
def account() -> Iterator[tuple[Account, str]]:
    """Yield a new account, and its address."""
    state = Account()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"])).decode()
            request = {key: values[0] for key, values in parse_qs(content).items()}
            name, stack = request["Action"], request.get("StackName", "").removeprefix("arn:")
            try:
                result = f"<{name}Result>{xml(state.answer(name, stack, request))}</{name}Result>"
                self.reply(200, f"<{name}Response>{result}</{name}Response>")
            except KeyError:
                error = {
                    "Type": "Sender",
                    "Code": "ValidationError",
                    "Message": f"Stack with id {stack} does not exist",
                }
                self.reply(400, f"<ErrorResponse><Error>{xml(error)}</Error></ErrorResponse>")

        def do_HEAD(self) -> None:
            self.reply(404, "")

        def do_PUT(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            self.rfile.read(length)
            self.reply(200, "")

        def reply(self, status: int, body: str) -> None:
            content = body.encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", '"x"')
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield state, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory, sam: Path) -> Path:
    """Return a copy of what is deployed, as small as that, with SAM."""
    folder = tmp_path_factory.mktemp("deploy") / "checkout"
    (folder / ".venv/sam/bin").mkdir(parents=True)
    (folder / ".venv/sam/bin/sam").write_text(f'#!/bin/sh\nexec "{sam.parent}/python" -m samcli "$@"\n')
    (folder / ".venv/sam/bin/sam").chmod(0o755)
    for name in ("functions", "layers"):
        for path in (ROOT / name).glob("**/app.py"):
            (folder / path.relative_to(ROOT)).parent.mkdir(parents=True)
            shutil.copy(path, folder / path.relative_to(ROOT))
        for layer in ("runtime", "serving", "model"):
            (folder / "layers" / layer).mkdir(parents=True, exist_ok=True)
            (folder / "layers" / layer / "content").write_text(layer)
    for name in ("template.yaml", "functions/batch.asl.json"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def deploy(checkout: Path, address: str, *variables: str, stdin: str = "y\n") -> tuple[int, str]:
    """Run the last command of `make deploy`, the one after the build."""
    make = ["make", "--no-print-directory", "--dry-run", "deploy", *variables]
    printed = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    command = printed[printed.index("SAM_CLI_TELEMETRY=0 .venv/sam/bin/sam deploy") :]
    env = environment() | dict(variable.split("=", 1) for variable in variables) | {
        "AWS_ENDPOINT_URL": address, "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "eu-central-1", "HOME": str(checkout),
    }  # fmt: skip
    done = subprocess.run(["bash", "-c", command], cwd=checkout, env=env, input=stdin, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_make_deploy_twice_asks_once(checkout: Path, account: tuple[Account, str]) -> None:
    """A first deployment needs no parameter. Without a change, the second one asks nothing and ends with status 0."""
    state, address = account
    status, said = deploy(checkout, address)
    assert (status, said.count("[y/N]")) == (0, 1), said
    assert state.stacks["candor"]["given"] == {"Architecture": "x86_64"}
    status, said = deploy(checkout, address, stdin="")
    assert (status, said.count("[y/N]")) == (0, 0), said
    assert "No changes to deploy" in said


def test_make_deploy_parameters_are_kept(checkout: Path, account: tuple[Account, str]) -> None:
    """Parameters that are not given keep their value."""
    state, address = account
    given = 'PARAMETERS=BatchTextColumn="Review Text" AlarmEmail=me@example.com'
    status, said = deploy(checkout, address, "STACK=reviews", "YES=1", given, stdin="")
    assert (status, said.count("[y/N]")) == (0, 0), said
    expected = {"Architecture": "x86_64", "BatchTextColumn": "Review Text", "AlarmEmail": "me@example.com"}
    assert state.stacks["reviews"]["deployed"][1] == expected
    assert deploy(checkout, address, "STACK=reviews", "PARAMETERS=MemorySize=2048")[0] == 0
    assert state.stacks["reviews"]["deployed"][1] == {**expected, "MemorySize": "2048"}


def test_make_deploy_no_changes_nothing(checkout: Path, account: tuple[Account, str]) -> None:
    state, address = account
    status, said = deploy(checkout, address, stdin="n\n")
    assert status == 0, said
    assert "candor" not in state.stacks


def test_sam_guided_takes_every_default(checkout: Path, account: tuple[Account, str]) -> None:
    """Enter answers each question of `sam deploy --guided`."""
    state, address = account
    env = os.environ | {
        "AWS_ENDPOINT_URL": address, "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "eu-central-1", "HOME": str(checkout), "SAM_CLI_TELEMETRY": "0",
    }  # fmt: skip
    command = [checkout / ".venv/sam/bin/sam", "deploy", "--guided", "--stack-name", "candor"]
    done = subprocess.run(command, cwd=checkout, env=env, input="\n" * 60, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (checkout / "samconfig.toml").unlink()
    parameters = json.loads(json.dumps(state.stacks["candor"]["deployed"][1]))
    assert parameters["MemorySize"] == "1024"
