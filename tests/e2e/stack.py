"""Helpers of the end-to-end tests: build parts of the stack, load sample events, ask the handler for answers."""

import hashlib
import ipaddress
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

from candor.cli.gateway import template, variables

ROOT = Path(__file__).parents[2]
SAM = Path(os.environ.get("SAM", ROOT / ".venv/sam/bin/sam"))
LAYERS = {"RuntimeLayer": "layers/runtime", "ServingLayer": "layers/serving", "ModelLayer": "layers/model"}
TEMPLATE = yaml_parse((ROOT / "template.yaml").read_text())
VARIABLES = variables(template())
Event = dict[str, Any]

# Answers each event on stdin with the handler in argv[1]; log lines go to stderr, so that stdout holds only answers.
ANSWER = """
import importlib, json, sys, types
answers, sys.stdout = sys.stdout, sys.stderr
module, name = sys.argv[1].rsplit(".", 1)
handler = getattr(importlib.import_module(module), name)
context = types.SimpleNamespace(
    function_name="ApiFunction", memory_limit_in_mb=1024, aws_request_id="00000000-0000-0000-0000-000000000000",
    invoked_function_arn="arn:aws:lambda:eu-central-1:000000000000:function:ApiFunction",
    get_remaining_time_in_millis=lambda: 10_000)
json.dump([handler(event, context) for event in json.load(sys.stdin)], answers)
"""


def environment() -> dict[str, str]:
    """Return this process's environment without the template's variables, which `sam local` would let it replace."""
    kept = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    return {**kept, "SAM_CLI_TELEMETRY": "0", "PYTHON": sys.executable}


def run(*command: str | Path, env: Mapping[str, str] | None = None, stdin: str = "") -> str:
    """Run a command that must succeed, and return its stdout. A failure shows all that it printed."""
    done = subprocess.run(
        command, cwd=ROOT, env=environment() | (env or {}), input=stdin, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command[0]} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout


def make_layer(name: str, artifacts: Path, architecture: str = "x86_64") -> Path:
    """Build one layer with its own Makefile, as `sam build` would, and return its folder."""
    folder = ROOT / LAYERS[name]
    variables = {"ARTIFACTS_DIR": str(artifacts / name), "ARCHITECTURE": architecture}
    run("make", "--directory", folder, f"build-{name}", env=variables)
    return artifacts / name


def digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file below `folder`, by its relative path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def events() -> dict[str, Event]:
    """Return the sample events of API Gateway, by file name."""
    loaded = {path.stem: json.loads(path.read_text()) for path in sorted((ROOT / "events").glob("*.json"))}
    return {name: event for name, event in loaded.items() if "httpMethod" in event}


def bridge() -> str:
    """Return this machine's address on the network of containers: the first one, which a new engine does not name."""
    (network,) = json.loads(run("docker", "network", "inspect", "bridge"))
    (config,) = network["IPAM"]["Config"]
    return config.get("Gateway") or str(next(ipaddress.ip_network(config["Subnet"]).hosts()))


def answers(batch: list[Event], path: list[Path], bundle: Path, *flags: str) -> list[dict[str, Any]]:
    """Return the handler's answer to each event, from a fresh Python whose path begins with `path`."""
    handler = TEMPLATE["Resources"]["ApiFunction"]["Properties"]["Handler"]
    code = f"import sys; sys.path[:0] = {[str(folder) for folder in path]}\n{ANSWER}"
    variables = VARIABLES | {"BUNDLE_PATH": str(bundle), "LAMBDA_TASK_ROOT": "/var/task"}
    out = run(sys.executable, *flags, "-c", code, handler, env=variables, stdin=json.dumps(batch))
    made: list[dict[str, Any]] = json.loads(out)
    return made


def essence(status: int, body: str) -> tuple[int, Any]:
    """Return an answer without the fields that differ from call to call."""
    content = json.loads(body)
    content.pop("request_id", None)
    return status, content
