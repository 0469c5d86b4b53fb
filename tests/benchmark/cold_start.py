"""Cold start of the built function, from process start to first answer, under Lambda's runtime client and emulator.

It is compared with a handler that only imports NumPy and LiteRT from the same layers: the ratio holds on any machine.
"""

import compileall
import http.client
import json
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from candor.cli.gateway import template, variables

ROOT = Path(__file__).parents[2]
BUILD = ROOT / ".aws-sam/build"
SAM_HOME = ROOT / ".venv/sam"
INVOKE = "/2015-03-31/functions/function/invocations"
LIMIT_SECONDS = 30
FLOOR = """
import numpy
from ai_edge_litert.interpreter import Interpreter
def handler(event, context):
    return {"statusCode": 200}
"""


def emulator() -> Path:
    """Return the path of AWS's Runtime Interface Emulator, which comes with aws-sam-cli."""
    machine = "arm64" if platform.machine() == "aarch64" else "x86_64"
    emulators = sorted(SAM_HOME.glob(f"lib/python3*/site-packages/samcli/local/rapid/aws-lambda-rie-{machine}"))
    if not emulators or not (BUILD / "RuntimeLayer").is_dir():
        sys.exit("cold_start: nothing is built; run `make build` first")
    return emulators[0]


def free_ports() -> tuple[int, int]:
    """Return two ports that are free at the moment."""
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


def environment(task: Path) -> dict[str, str]:
    """Return what Lambda sets: the template's variables, and the function's folder and two layers on the path."""
    path = [task, BUILD / "RuntimeLayer/python", BUILD / "ServingLayer/python"]
    return {
        **os.environ,
        **variables(template()),
        "BUNDLE_PATH": str(BUILD / "ModelLayer/bundle"),
        "PYTHONPATH": os.pathsep.join(map(str, path)),
        "LAMBDA_TASK_ROOT": str(task),
        "AWS_LAMBDA_FUNCTION_NAME": "ApiFunction",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
    }


def ask(port: int, body: bytes) -> dict[str, Any]:
    """Ask an emulator that may still be starting, and return its first answer."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_SECONDS)
        try:
            connection.request("POST", INVOKE, body)
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
            return answer
        except ConnectionRefusedError:
            time.sleep(0.001)
        finally:
            connection.close()
    raise TimeoutError(f"no answer within {LIMIT_SECONDS} seconds")


def cold_start(rie: Path, handler: str, task: Path, event: bytes) -> float:
    """Return the milliseconds from starting the emulator, which starts Python, to the first answer."""
    public, private = free_ports()
    addresses = ["--runtime-interface-emulator-address", f"127.0.0.1:{public}"]
    addresses += ["--runtime-api-address", f"127.0.0.1:{private}", "--log-level", "error"]
    command = [str(rie), *addresses, sys.executable, "-m", "awslambdaric", handler]
    quiet = subprocess.DEVNULL
    start = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=task, env=environment(task), stdout=quiet, stderr=quiet, start_new_session=True
    )
    try:
        answer = ask(public, event)
        milliseconds = (time.perf_counter() - start) * 1000
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if answer.get("statusCode") != 200:
        sys.exit(f"cold_start: {handler} answered {answer}")
    return milliseconds


def measure(runs: int) -> tuple[list[float], list[float]]:
    """Return interleaved times of our handler and of the floor, after one warm-up of each."""
    handler = template()["Resources"]["ApiFunction"]["Properties"]["Handler"]
    event, rie = (ROOT / "events/predict.json").read_bytes(), emulator()
    with tempfile.TemporaryDirectory() as folder:
        task = Path(folder)
        (task / "floor.py").write_text(FLOOR)
        compileall.compile_dir(task, quiet=1)
        pairs = [
            (cold_start(rie, handler, BUILD / "ApiFunction", event), cold_start(rie, "floor.handler", task, event))
            for _ in range(runs + 1)
        ]
    ours, floor = zip(*pairs[1:], strict=True)
    return list(ours), list(floor)


def lines(runs: int) -> list[str]:
    """Return the figures of cold start."""
    ours, floor = (statistics.median(times) for times in measure(runs))
    return [
        f"cold start to first answer: {ours:.0f} ms, {ours / floor:.2f} times NumPy and LiteRT alone (bar 2), "
        f"median of {runs} interleaved runs"
    ]
