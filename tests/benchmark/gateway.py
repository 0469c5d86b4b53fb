"""The API as a client meets it: over HTTP, through `sam local` and under many clients at once."""

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
    """A connection to `sam local start-api` with a warm container."""
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
    start = time.perf_counter()
    connection.request("POST", "/v1/predict", body, JSON)
    response = connection.getresponse()
    response.read()
    assert response.status == 200
    return 1000 * (time.perf_counter() - start)


def through_sam(review: str) -> list[str]:
    """Against the same route returning a constant."""
    body = json.dumps({"text": review}).encode()
    with tempfile.TemporaryDirectory() as folder:
        other = Path(folder) / "build"
        shutil.copytree(BUILD, other)
        (other / "ApiFunction/api/app.py").write_text(CONSTANT)
        shutil.rmtree(other / "ApiFunction/api/__pycache__")
        with start_api(BUILD) as ours, start_api(other) as constant:
            pairs = [(milliseconds(ours, body), milliseconds(constant, body)) for _ in range(CALLS + 10)][10:]
    mine, floor = ([statistics.quantiles(times, n=100)[at] for at in (49, 98)] for times in zip(*pairs, strict=True))
    return [
        f"through sam local start-api: p50 {mine[0]:.1f} ms, {mine[0] / floor[0]:.2f} times a constant's (bar 1.5); "
        f"p99 {mine[1]:.1f} ms, {mine[1] / floor[1]:.2f} times (bar 2)"
    ]


def under_load(review: str) -> list[str]:
    """The development server under 64 clients for a minute: faults, and how its memory grows."""
    server = Server(POWERTOOLS_LOG_LEVEL="ERROR")
    server.greeting()
    body, stop, counts = (
        json.dumps({"text": review}).encode(),
        time.monotonic() + SECONDS,
        [[0, 0] for _ in range(CLIENTS)],
    )

    def client(count: list[int]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        while time.monotonic() < stop:
            try:
                milliseconds(connection, body)
                count[0] += 1
            except (OSError, AssertionError, http.client.HTTPException):
                count[1] += 1
        connection.close()

    threads = [threading.Thread(target=client, args=(count,)) for count in counts]
    for thread in threads:
        thread.start()
    memory = []
    while time.monotonic() < stop:
        time.sleep(1)
        memory.append(resident(server.process.pid))
    for thread in threads:
        thread.join()
    server.end()
    early, late = statistics.median(memory[5:15]), statistics.median(memory[-10:])
    good, bad = (sum(count[at] for count in counts) for at in (0, 1))
    return [
        f"development server, {CLIENTS} clients for {SECONDS} s: {good:,} answers, {bad} faults (bar 0), "
        f"memory {late:.0f} MiB, {late / early:.3f} times the beginning's (bar 1.05)"
    ]


def resident(process: int) -> float:
    """Resident memory, MiB."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
