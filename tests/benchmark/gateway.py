"""The API over HTTP: through `sam local`, and under many clients at once."""

import http.client
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.e2e.stack import ROOT, SAM, environment
from tests.server import Server

BUILD = ROOT / ".aws-sam/build"
CALLS = 300
CLIENTS = 64
SECONDS = 60
CONSTANT = 'def handler(event, context):\n    return {"statusCode": 200, "body": "{}"}\n'
JSON = {"Content-Type": "application/json"}


@contextmanager
def start_api(build: Path) -> Iterator[http.client.HTTPConnection]:
    """Start `sam local start-api` with a warm container, and yield a connection to it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--skip-pull-image", "--warm-containers", "LAZY", "--port", str(port)]
    command = [str(SAM), "local", "start-api", "--template", str(build / "template.yaml"), *options]
    quiet = subprocess.DEVNULL
    server = subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=quiet, stderr=quiet)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        for _ in range(600):
            with suppress(ConnectionRefusedError):
                connection.connect()
                break
            time.sleep(0.2)
        yield connection
    finally:
        connection.close()
        server.send_signal(signal.SIGINT)
        server.wait(120)


def milliseconds(connection: http.client.HTTPConnection, body: bytes) -> float:
    """Send one request and return its milliseconds."""
    start = time.perf_counter()
    connection.request("POST", "/v1/predict", body, JSON)
    response = connection.getresponse()
    response.read()
    assert response.status == 200
    return 1000 * (time.perf_counter() - start)


def through_sam(review: str) -> list[str]:
    """Compare the latency with that of a function that returns a constant."""
    body = json.dumps({"text": review}).encode()
    with tempfile.TemporaryDirectory() as folder:
        other = Path(folder) / "build"
        shutil.copytree(BUILD, other)
        (other / "ApiFunction/api/app.py").write_text(CONSTANT)
        shutil.rmtree(other / "ApiFunction/api/__pycache__")
        with start_api(BUILD) as api, start_api(other) as constant:
            pairs = [(milliseconds(api, body), milliseconds(constant, body)) for _ in range(CALLS + 10)][10:]
    ours, floor = (
        [statistics.quantiles(times, n=100)[index] for index in (49, 98)] for times in zip(*pairs, strict=True)
    )
    return [
        f"through sam local start-api: p50 {ours[0]:.1f} ms, {ours[0] / floor[0]:.2f} times a constant's (bar 1.5); "
        f"p99 {ours[1]:.1f} ms, {ours[1] / floor[1]:.2f} times (bar 2)"
    ]


def under_load(review: str) -> list[str]:
    """Load the development server with 64 clients for a minute; measure its failures and how its memory grows."""
    body, counts, memory = json.dumps({"text": review}).encode(), [[0, 0] for _ in range(CLIENTS)], []

    def client(port: int, stop: float, count: list[int]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while time.monotonic() < stop:
            try:
                milliseconds(connection, body)
                count[0] += 1
            except (OSError, AssertionError, http.client.HTTPException):
                count[1] += 1
        connection.close()

    with Server(POWERTOOLS_LOG_LEVEL="ERROR") as server:
        server.greeting()
        stop = time.monotonic() + SECONDS
        threads = [threading.Thread(target=client, args=(server.port, stop, count)) for count in counts]
        for thread in threads:
            thread.start()
        while time.monotonic() < stop:
            time.sleep(1)
            memory.append(resident(server.process.pid))
        for thread in threads:
            thread.join()
        server.end()
    early, late = statistics.median(memory[5:15]), statistics.median(memory[-10:])
    good, bad = (sum(count[index] for count in counts) for index in (0, 1))
    return [
        f"development server, {CLIENTS} clients for {SECONDS} s: {good:,} answers, {bad} failures (bar 0), "
        f"memory {late:.0f} MiB, {late / early:.3f} times the beginning's (bar 1.05)"
    ]


def resident(process: int) -> float:
    """Return a process's resident memory in MiB."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
