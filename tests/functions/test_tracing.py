"""Traces, as X-Ray's daemon would receive them: that a request was handled, and nothing of what it said."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

from events.server import LOCAL, event

ROOT = Path(__file__).parents[2]
CANARY = "zebra-4711-canary"
HANDLE = """
import json, sys, types
from api.app import handler
context = types.SimpleNamespace(function_name="f", aws_request_id="x")
for event in json.load(sys.stdin):
    handler(event, context)
"""


def traced(bodies):
    """What the daemon receives while these bodies are handled in a process of their own, under Lambda's variables."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.bind(("127.0.0.1", 0))
        daemon.settimeout(0.5)
        environment = {
            **os.environ,
            "AWS_XRAY_DAEMON_ADDRESS": f"127.0.0.1:{daemon.getsockname()[1]}",
            "_X_AMZN_TRACE_ID": "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
            "LAMBDA_TASK_ROOT": "/var/task",
            "AWS_LAMBDA_FUNCTION_NAME": "f",
            "BUNDLE_PATH": LOCAL["BUNDLE_PATH"],
            "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("functions", "layers/serving")),
        }
        events = [event("POST", "/v1/predict", [("Content-Type", "application/json")], body) for body in bodies]
        done = subprocess.run(
            [sys.executable, "-c", HANDLE],
            input=json.dumps(events),
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert CANARY not in done.stdout + done.stderr
        found = []
        while True:
            try:
                found.append(daemon.recv(65_535).decode())
            except TimeoutError:
                return found


def test_each_request_leaves_a_trace_without_its_text_or_its_answer():
    bodies = [json.dumps({"text": f"{CANARY} wonderful"}), f'{{"{CANARY}": 1}}', CANARY]
    found = traced([body.encode() for body in bodies])
    segments = [json.loads(packet.split("\n", 1)[1]) for packet in found]
    assert len([segment for segment in segments if "handler" in segment["name"]]) == len(bodies)
    for packet in found:
        assert CANARY not in packet
        assert "probabilities" not in packet
