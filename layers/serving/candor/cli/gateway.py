"""A stand-in for API Gateway: HTTP requests become proxy events for the handlers that template.yaml names.

Routes, handlers and environment are read from the template, so that server and deployment can't drift apart.
"""

import base64
import gzip
import importlib
import json
import os
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

from candor.limits import MAX_GATEWAY_BYTES
from candor.resources import BUNDLE, FUNCTIONS, TEMPLATE

IDLE_SECONDS = 30
LOCAL = {"BUNDLE_PATH": str(BUNDLE), "POWERTOOLS_METRICS_DISABLED": "true"}
Handler = Callable[[Mapping[str, Any], Any], dict[str, Any]]


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """YAML with CloudFormation's functions. The stack is called candor here; other values come with a deployment."""


_Loader.add_multi_constructor("!", lambda loader, suffix, node: "candor" if node.value == "AWS::StackName" else None)


def template() -> dict[str, Any]:
    """Return the SAM template."""
    loaded: dict[str, Any] = yaml.load(TEMPLATE.read_text(), _Loader)
    return loaded


def variables(template: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment of every function, but for values that are known at deployment only."""
    declared = template["Globals"]["Function"]["Environment"]["Variables"]
    return {name: value for name, value in declared.items() if value is not None}


def declared(template: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return for each path of the template's API the handler by method; the method may be ANY."""
    routes: dict[str, dict[str, str]] = {}
    for resource in template["Resources"].values():
        for event in _api_events(resource):
            routes.setdefault(event["Path"], {})[event["Method"].upper()] = resource["Properties"]["Handler"]
    return routes


def keyless(template: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Return the paths and methods that the template opens to callers without a key."""
    events = [event for resource in template["Resources"].values() for event in _api_events(resource)]
    return {
        (event["Path"], event["Method"]) for event in events if not event.get("Auth", {}).get("ApiKeyRequired", True)
    }


def _api_events(resource: Mapping[str, Any]) -> list[dict[str, Any]]:
    events = resource.get("Properties", {}).get("Events", {}).values()
    return [event["Properties"] for event in events if event["Type"] == "Api"]


def prepare(template: Mapping[str, Any]) -> dict[str, dict[str, Handler]]:
    """Set the environment and path that Lambda would give, and return the handlers by path and method."""
    for name, value in (variables(template) | LOCAL).items():
        os.environ.setdefault(name, value)
    sys.path.insert(0, str(FUNCTIONS))
    return {
        path: {method: _handler(name) for method, name in methods.items()}
        for path, methods in declared(template).items()
    }


def _handler(name: str) -> Handler:
    module, _, function = name.rpartition(".")
    handler: Handler = getattr(importlib.import_module(module), function)
    return handler


class Gateway(ThreadingHTTPServer):
    """A server that hands each request to its handler, one at a time, as one Lambda environment does.

    Args:
        address: Host and port.
        template: The SAM template.
        routes: Handlers by path and method.
        keys: API keys. If there are any, routes that need a key ask for one of them.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        address: tuple[str, int],
        template: Mapping[str, Any],
        routes: Mapping[str, Mapping[str, Handler]],
        keys: set[str],
    ) -> None:
        super().__init__(address, _Connection)
        self.routes, self.keys, self.open = routes, keys, keyless(template)
        self.api: Mapping[str, Any] = template["Resources"]["Api"]["Properties"]
        self._turn = threading.Lock()

    def answer(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Return the handler's answer to an event. Any handler knows how to refuse an undeclared path."""
        methods = self.routes.get(event["path"]) or next(iter(self.routes.values()))
        method = event["httpMethod"] if event["httpMethod"] in methods else next(iter(methods))
        key = {name.lower(): value for name, value in event["headers"].items()}.get("x-api-key")
        needs_key = event["path"] in self.routes and (event["path"], method) not in self.open
        if self.keys and needs_key and key not in self.keys:
            return self.refusal("INVALID_API_KEY", event["requestContext"]["requestId"])
        context = SimpleNamespace(function_name="local", aws_request_id=event["requestContext"]["requestId"])
        with self._turn:
            return methods[method](event, context)

    def refusal(self, kind: str, request_id: str) -> dict[str, Any]:
        """Return one of the gateway's own answers, as the template words it."""
        response = self.api["GatewayResponses"][kind]
        body = response["ResponseTemplates"]["application/json"].replace("$context.requestId", request_id)
        headers = {name: value.strip("'") for name, value in response["ResponseParameters"]["Headers"].items()}
        return {"statusCode": response["StatusCode"], "headers": headers, "body": body}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print the traceback of a fault, unless it is a client that hung up."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
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
            event = self._event()
        except _RefusedError as refused:
            # As API Gateway itself refuses: before any handler; the connection ends, for what follows is unread.
            self.close_connection = True
            self._send(
                refused.status, {"Content-Type": "application/json"}, json.dumps({"message": str(refused)}).encode()
            )
            return
        answer = self.server.answer(event)
        content = (answer.get("body") or "").encode()
        if answer.get("isBase64Encoded"):
            content = base64.b64decode(content)
        headers = dict(answer.get("headers", {}))
        if len(content) >= self.server.api["MinimumCompressionSize"] and "gzip" in self.headers.get(
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
        if len(length) > 9 or int(length) > MAX_GATEWAY_BYTES:
            raise _RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"At most {MAX_GATEWAY_BYTES:,} bytes a request.")
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
        """Log nothing: the handler logs each request, and the request line may hold private data."""


def event(method: str, target: str, headers: Any, body: bytes) -> dict[str, Any]:
    """Return the REST API proxy event of a request. A body that is not UTF-8 travels as base64.

    Args:
        method: The HTTP method.
        target: Path and query, as in the request line.
        headers: Pairs of names and values.
        body: The body's bytes.
    """
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
