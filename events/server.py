"""The development server: HTTP requests become API Gateway proxy events for the handlers that template.yaml names.

    python -m events.server --port 8000

Routes, handlers and environment are read from the template, so that server and deployment can't drift apart.
"""

import argparse
import base64
import gzip
import importlib
import json
import os
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

ROOT = Path(__file__).parents[1]
GATEWAY_BYTES = 10_000_000  # API Gateway refuses larger bodies itself
IDLE_SECONDS = 30
LOCAL = {"BUNDLE_PATH": str(ROOT / "layers/model/bundle"), "POWERTOOLS_METRICS_DISABLED": "true"}
Handler = Callable[[Mapping[str, Any], Any], dict[str, Any]]


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """YAML with CloudFormation's functions, each of which becomes None: their values are known at deployment only."""


_Loader.add_multi_constructor("!", lambda loader, suffix, node: None)


def template() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load((ROOT / "template.yaml").read_text(), _Loader)
    return loaded


def variables(made: Mapping[str, Any]) -> dict[str, str]:
    """The environment of every function, but for what is known at deployment only."""
    given = made["Globals"]["Function"]["Environment"]["Variables"]
    return {name: value for name, value in given.items() if value is not None}


def declared(made: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """For each path of the template's API, the handler of each method, or of ANY."""
    routes: dict[str, dict[str, str]] = {}
    for resource in made["Resources"].values():
        for event in resource.get("Properties", {}).get("Events", {}).values():
            if event["Type"] == "Api":
                way = event["Properties"]
                routes.setdefault(way["Path"], {})[way["Method"].upper()] = resource["Properties"]["Handler"]
    return routes


def keyless(made: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Paths and methods for which the template asks no key."""
    events = [
        event for made in made["Resources"].values() for event in made.get("Properties", {}).get("Events", {}).values()
    ]
    ways = [event["Properties"] for event in events if event["Type"] == "Api"]
    return {(way["Path"], way["Method"]) for way in ways if not way.get("Auth", {}).get("ApiKeyRequired", True)}


def prepare(made: Mapping[str, Any]) -> dict[str, dict[str, Handler]]:
    """The environment and the path that Lambda would give, then the handlers by path and method."""
    for name, value in (variables(made) | LOCAL).items():
        os.environ.setdefault(name, value)
    sys.path[:0] = [str(ROOT / "functions"), str(ROOT / "layers/serving")]
    return {path: {method: _handler(name) for method, name in ways.items()} for path, ways in declared(made).items()}


def _handler(name: str) -> Handler:
    module, _, function = name.rpartition(".")
    handler: Handler = getattr(importlib.import_module(module), function)
    return handler


class Gateway(ThreadingHTTPServer):
    """Listens, and hands each request to its handler; one at a time, as one Lambda environment does.

    `keys`: where there are any, a route that the template keeps for holders of a key asks for one of them.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        address: tuple[str, int],
        made: Mapping[str, Any],
        routes: Mapping[str, Mapping[str, Handler]],
        keys: set[str],
    ) -> None:
        super().__init__(address, _Connection)
        self.routes, self.keys, self.open = routes, keys, keyless(made)
        self.own: Mapping[str, Any] = made["Resources"]["Api"]["Properties"]
        self._turn = threading.Lock()

    def answer(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """The handler's answer; that of any handler for an undeclared address, which it knows how to refuse."""
        ways = self.routes.get(event["path"]) or next(iter(self.routes.values()))
        method = event["httpMethod"] if event["httpMethod"] in ways else next(iter(ways))
        given = {name.lower(): value for name, value in event["headers"].items()}.get("x-api-key")
        if (
            self.keys
            and event["path"] in self.routes
            and (event["path"], method) not in self.open
            and given not in self.keys
        ):
            return self.refusal("INVALID_API_KEY", event["requestContext"]["requestId"])
        context = SimpleNamespace(function_name="local", aws_request_id=event["requestContext"]["requestId"])
        with self._turn:
            return ways[method](event, context)

    def refusal(self, kind: str, request_id: str) -> dict[str, Any]:
        """One of the gateway's own answers, as the template words it."""
        made = self.own["GatewayResponses"][kind]
        body = made["ResponseTemplates"]["application/json"].replace("$context.requestId", request_id)
        headers = {name: value.strip("'") for name, value in made["ResponseParameters"]["Headers"].items()}
        return {"statusCode": made["StatusCode"], "headers": headers, "body": body}

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):  # a client that hangs up is no news
            super().handle_error(request, client_address)


class _RefusedError(Exception):
    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "candor", ""
    timeout = IDLE_SECONDS
    server: Gateway

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):  # any method at all: it is the handler that refuses
            return self._serve
        raise AttributeError(name)

    def _serve(self) -> None:
        try:
            asked = self._event()
        except _RefusedError as refused:
            # As API Gateway itself refuses: before any handler; the connection ends, for what follows is unread.
            self.close_connection = True
            self._send(
                refused.status, {"Content-Type": "application/json"}, json.dumps({"message": str(refused)}).encode()
            )
            return
        answer = self.server.answer(asked)
        content = (answer.get("body") or "").encode()
        if answer.get("isBase64Encoded"):
            content = base64.b64decode(content)
        headers = dict(answer.get("headers", {}))
        if len(content) >= self.server.own["MinimumCompressionSize"] and "gzip" in self.headers.get(
            "Accept-Encoding", ""
        ):
            content, headers["Content-Encoding"] = gzip.compress(content, 6, mtime=0), "gzip"
        self._send(answer["statusCode"], headers, content)

    def _event(self) -> dict[str, Any]:
        body = self._body()
        try:
            return event(self.command, self.path, self.headers.items(), body)
        except ValueError:  # urlsplit's, of an address such as http://[
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "The address is not valid.") from None

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "0")
        if self.headers.get("Transfer-Encoding"):
            raise _RefusedError(HTTPStatus.LENGTH_REQUIRED, "Send a Content-Length.")
        if not (length.isascii() and length.isdigit()):
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "Content-Length must be a whole number.")
        if len(length) > 9 or int(length) > GATEWAY_BYTES:
            raise _RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"At most {GATEWAY_BYTES:,} bytes a request.")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "The body is shorter than its Content-Length.")
        return body

    def _send(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: the handler logs each request, and the request line may hold what is private."""


def event(method: str, target: str, headers: Any, body: bytes) -> dict[str, Any]:
    """The REST API proxy event of a request; a body that is no UTF-8 travels as base64, for JSON cannot hold it."""
    address = urlsplit(target)
    query = parse_qs(address.query, keep_blank_values=True)
    many: dict[str, list[str]] = {}
    for name, value in headers:
        many.setdefault(name, []).append(value)
    text, binary = _body_of(body)
    path = unquote(address.path)
    return {
        "resource": path,
        "path": path,
        "httpMethod": method,
        "headers": {name: values[-1] for name, values in many.items()},
        "multiValueHeaders": many,
        "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
        "multiValueQueryStringParameters": query or None,
        "pathParameters": None,
        "stageVariables": None,
        "requestContext": {
            "requestId": str(uuid.uuid4()),
            "apiId": "local",
            "stage": "local",
            "resourcePath": path,
            "path": path,
            "httpMethod": method,
            "protocol": "HTTP/1.1",
            "requestTimeEpoch": int(time.time() * 1000),
            "identity": {"sourceIp": "127.0.0.1", "userAgent": None},
        },
        "body": text,
        "isBase64Encoded": binary,
    }


def _body_of(body: bytes) -> tuple[str | None, bool]:
    try:
        return body.decode() or None, False
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), True


def greeting(address: str) -> str:
    question = '{"text": "A wonderful film, from the first minute to the last."}'
    return (
        f"Candor listens on {address} (Ctrl-C ends it). Try:\n\n"
        f"  curl {address}/v1/predict -H 'Content-Type: application/json' -d '{question}'\n"
    )


def main() -> int:
    """0 when ended by Ctrl-C or SIGTERM; 2 if the port is not to be had."""
    parser = argparse.ArgumentParser(
        prog="server", description="The API on this machine, from the bundle in layers/model"
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", default="8000")
    parser.add_argument("--log", type=Path, help="a file for log lines and metrics; by default only the former, here")
    options = parser.parse_args()
    if not options.port.isdecimal() or int(options.port) > 65535:
        return _fail("the port must be a whole number from 0 to 65535: make run PORT=8001")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    terminal = sys.stdout
    if options.log:
        os.environ.setdefault("POWERTOOLS_METRICS_DISABLED", "false")
        sys.stdout = options.log.open("a", buffering=1)
    try:
        made, keys = template(), set(os.environ.get("API_KEYS", "").split(",")) - {""}
        server = Gateway((options.host, int(options.port)), made, prepare(made), keys)
    except OSError as error:
        return _fail(f"port {options.port} is not to be had ({error.strerror}): make run PORT=8001")
    except KeyboardInterrupt:  # while the model loads
        return 0
    with server:
        try:
            print(greeting(f"http://{options.host}:{server.server_port}"), file=terminal, flush=True)
            server.serve_forever()
        except KeyboardInterrupt:
            print("\nended", file=terminal, flush=True)
    return 0


def _fail(reason: str) -> int:
    print(f"server: {reason}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
