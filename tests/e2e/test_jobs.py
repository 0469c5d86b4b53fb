"""Batch scoring with the built functions, each in Lambda's container and in a whole job, on moto's server."""

import contextlib
import csv
import http.client
import io
import json
import os
import platform
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from candor.cli.samples import INPUT, samples, texts
from candor.cli.torture.bucket import INBOX, RESULTS, contents, created, delivered, transformer
from candor.cli.torture.workflow import FailedError, Workflow
from candor.model.bundle import Bundle
from tests.e2e.stack import ROOT, SAM, VARIABLES, bridge, environment, run
from tests.functions.test_canary import CANARY

REGION = "eu-central-1"
CHUNK_ROWS = 1000
SECONDS = 60
ARCHIVE = [ROOT / ".data/aclImdb_v1.tar.gz", ROOT.parent / "shared/data/aclImdb_v1.tar.gz"]


@pytest.fixture
def account() -> Iterator[tuple[Any, int]]:
    """Start moto's server with an account of its own; return a client and the port on this machine."""
    server = ThreadedMotoServer("0.0.0.0", port=0, verbose=False)  # containers reach it by their bridge
    server.start()
    try:
        port = server.get_host_and_port()[1]
        reset = f"http://127.0.0.1:{port}/moto-api/reset"  # the server shares this process's state
        urllib.request.urlopen(reset, data=b"").close()
        client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", region_name=REGION)
        with contextlib.closing(client):
            for name in (INBOX, RESULTS):
                client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
            yield client, port
    finally:
        server.stop()


def test_sample_events_are_up_to_date() -> None:
    assert (ROOT / INPUT).read_bytes() == texts(Bundle.open(ROOT / "layers/model/bundle"))
    for name, event in samples(ROOT).items():
        committed = json.loads((ROOT / "events" / name).read_text())
        assert committed == event, f"events/{name} is out of date: `candor use` writes it"


def test_sam_local_invoke_scores_a_file(engine: None, built: Path, account: tuple[Any, int], tmp_path: Path) -> None:
    client, port = account
    client.put_object(Bucket=INBOX, Key=Path(INPUT).name, Body=(ROOT / INPUT).read_bytes())
    template = json.loads(run(sys.executable, "-c", AS_JSON, built / "template.yaml"))
    for resource in template["Resources"].values():  # `sam local` passes on only variables that the template names
        if resource["Type"] == "AWS::Serverless::Function":
            own = resource["Properties"].setdefault("Environment", {}).setdefault("Variables", {})
            own |= {"AWS_ENDPOINT_URL": f"http://{bridge()}:{port}", "RESULTS_BUCKET": RESULTS, "CHUNK_ROWS": "20000"}
    (built / "local.json").write_text(json.dumps(template))
    answers = []
    for step in ("plan", "score", "finish"):
        event = ROOT / f"events/batch_{step}.json"
        if answers:  # the job is named by the container's own code
            planned = answers[0]
            (chunk,) = json.loads(contents(client, "plans/").popitem()[1])
            event = tmp_path / f"{step}.json"
            event.write_text(json.dumps(planned if step == "finish" else {"job": planned["job"], "chunk": chunk}))
        options = ["--event", event, "--skip-pull-image"]
        function = f"Batch{step.capitalize()}Function"
        command = [SAM, "local", "invoke", function, "--template", built / "local.json", *options]
        out = run(*map(str, command), env={"AWS_DEFAULT_REGION": REGION})
        answers.append(json.loads(out.strip().splitlines()[-1]))
    assert [answer.get("status") for answer in answers] == ["planned", None, "done"]
    written = contents(client, "results/")
    manifest = json.loads(next(body for key, body in written.items() if key.endswith("manifest.json")))
    rows = len(list(csv.DictReader(io.StringIO((ROOT / INPUT).read_text()))))
    assert manifest["counts"] | {"labels": {}, "decisions": {}} == {
        "read": rows, "scored": rows, "failed": 0, "errors": {}, "labels": {}, "decisions": {},
    }  # fmt: skip
    alone = one_machine(ROOT / INPUT, tmp_path / "out", "20000")
    assert parts(written) == alone


AS_JSON = """
import json, sys
from samtranslator.yaml_helper import yaml_parse
print(json.dumps(yaml_parse(open(sys.argv[1]).read())))
"""


def parts(objects: dict[str, bytes]) -> dict[str, bytes]:
    """Return the parts among objects, by file name."""
    return {key.rpartition("/")[2]: body for key, body in objects.items() if "/part-" in key}


def one_machine(path: Path, output: Path, rows: str) -> dict[str, bytes]:
    """Run `candor score` and return its parts, by file name."""
    run(sys.executable, "-m", "candor", "score", path, output, "--rows", rows, env={"PYTHONPATH": "layers/serving"})
    return {part.name: part.read_bytes() for part in output.glob("*/part-*")}


class Emulated:
    """A built function under AWS's Runtime Interface Emulator and Lambda's runtime client."""

    def __init__(self, built: Path, step: str, address: str, log: Path) -> None:
        machine = "arm64" if platform.machine() == "aarch64" else "x86_64"
        places = "lib/python3*/site-packages/samcli/local/rapid"
        (rie,) = SAM.parents[1].glob(f"{places}/aws-lambda-rie-{machine}")
        task = built / f"Batch{step.capitalize()}Function"
        self.port, inner = free_ports(2)
        handler = [sys.executable, "-m", "awslambdaric", f"batch_{step}.app.handler"]
        addresses = ["--runtime-interface-emulator-address", f"127.0.0.1:{self.port}"]
        addresses += ["--runtime-api-address", f"127.0.0.1:{inner}", "--log-level", "error"]
        path = [task, built / "RuntimeLayer/python", built / "ServingLayer/python"]
        variables = {
            **environment(), **VARIABLES, "BUNDLE_PATH": str(built / "ModelLayer/bundle"), "RESULTS_BUCKET": RESULTS,
            "CHUNK_ROWS": str(CHUNK_ROWS), "AWS_ENDPOINT_URL": address, "AWS_DEFAULT_REGION": REGION,
            "PYTHONPATH": os.pathsep.join(map(str, path)), "LAMBDA_TASK_ROOT": str(task),
            "AWS_LAMBDA_FUNCTION_TIMEOUT": "240",
        }  # fmt: skip
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [rie, *addresses, *handler],
                cwd=task,
                env=variables,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def __call__(self, event: Any) -> Any:
        answer = self.ask(json.dumps(event).encode())
        if isinstance(answer, dict) and "errorType" in answer:
            raise FailedError(answer["errorType"], json.dumps(answer))
        return answer

    def ask(self, body: bytes) -> Any:
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
            with contextlib.closing(connection):
                try:
                    connection.request("POST", "/2015-03-31/functions/function/invocations", body)
                    return json.loads(connection.getresponse().read())
                except ConnectionRefusedError:
                    time.sleep(0.01)
        raise TimeoutError("the emulator does not answer")

    def end(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def reviews(count: int) -> list[str]:
    """Return reviews of IMDB if the archive is on this machine, else as many made of the committed golden sentences."""
    from training.data import load

    rng = random.Random(1)
    if archive := next(filter(Path.exists, ARCHIVE), None):
        return rng.sample(load(archive).texts, count)
    golden = (ROOT / "training/golden/imdb.jsonl").read_text().splitlines()
    sentences = [json.loads(line)["text"] for line in golden]
    return [" ".join(rng.choices(sentences, k=rng.randint(5, 40))) for _ in range(count)]


PLANTED = {
    100: f"{{{CANARY}",
    999: json.dumps({"text": [CANARY]}),
    1000: '{"text": " "}',
    2500: '{"id": "r"}',
    4999: json.dumps({"text": CANARY * 2500, CANARY: CANARY}),
}


@pytest.fixture(scope="module")
def inbox_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("inbox") / "reviews.jsonl"
    rows = [json.dumps({"id": f"r{i}", "text": text}, ensure_ascii=False) for i, text in enumerate(reviews(5000))]
    for index, line in PLANTED.items():
        rows[index] = line
    path.write_text("\n".join(rows) + "\n")
    return path


def test_job_of_5000_reviews_same_as_on_one_machine(
    built: Path, account: tuple[Any, int], inbox_file: Path, tmp_path: Path
) -> None:
    """The built functions under the emulator give the bytes of `candor score`, and log no text."""
    client, port = account
    put = client.put_object(Bucket=INBOX, Key="in/reviews 1.jsonl", Body=inbox_file.read_bytes())
    log = tmp_path / "log"
    with contextlib.ExitStack() as stack:
        tasks = {}
        for step in ("plan", "score", "finish"):
            function = tasks[f"{step.capitalize()}Function"] = Emulated(built, step, f"http://127.0.0.1:{port}", log)
            stack.callback(function.end)
        workflow = Workflow(tasks, lambda bucket, key: client.get_object(Bucket=bucket, Key=key)["Body"].read())
        event = delivered(created("in/reviews 1.jsonl", put), transformer())
        execution = workflow.start(event)
        assert execution.status == "SUCCEEDED", (execution.error, execution.cause, log.read_text()[-2000:])
        first = contents(client)
        assert workflow.start(event, "execution-2").output["status"] == "done"
        assert contents(client) == first
    written = contents(client, "results/")
    manifest = json.loads(next(body for key, body in written.items() if key.endswith("manifest.json")))
    assert len(manifest["parts"]) == 5
    assert manifest["counts"]["errors"] == {
        "invalid_json": 1, "wrong_type": 1, "blank": 1, "missing_text": 1, "text_too_large": 1,
    }  # fmt: skip
    assert manifest["counts"]["scored"] == 5000 - len(PLANTED)
    assert parts(written) == one_machine(inbox_file, tmp_path / "out", str(CHUNK_ROWS))
    words = [json.loads(line)["text"][:40] for line in inbox_file.read_text().splitlines()[:20]]
    assert words
    assert [key for key, body in first.items() if CANARY.encode() in body and not key.startswith("in/")] == []
    assert CANARY not in log.read_text()
    assert not [word for word in words if word in log.read_text()]
    assert '"step":"score"' in log.read_text().replace(" ", "")
