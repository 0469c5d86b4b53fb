"""A stand-in for API Gateway: HTTP requests become proxy events for the handlers that template.yaml names.

Routes, handlers and environment are read from the template, so that server and deployment can't drift apart.
"""

import base64
import importlib
import json
import os
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml
from aws_lambda_powertools import Logger

from candor.cli.connection import Connection, RefusedError, last_answer
from candor.limits import MAX_CONNECTIONS
from candor.resources import BUNDLE, FUNCTIONS, TEMPLATE

_EVICTION_SECONDS = 1  # for which a new connection waits for the end of another one
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
        keys: Collection[str] = (),
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, Connection)
        self.routes, self.keys, self.open = routes, keys, keyless(template)
        self.api: Mapping[str, Any] = template["Resources"]["Api"]["Properties"]
        self._turn, self._free = threading.Lock(), threading.Semaphore(MAX_CONNECTIONS)
        self.waiting: dict[Connection, None] = {}
        """Connections whose request has not arrived, from the one that has waited longest."""
        self._logger = Logger()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a connection's thread. If there are too many, end the one that waits longest, or refuse the new one."""
        if not self._free.acquire(blocking=False):
            for longest in list(self.waiting)[:1]:
                with suppress(OSError):
                    longest.connection.shutdown(socket.SHUT_RDWR)
            if not self._free.acquire(timeout=_EVICTION_SECONDS):
                self._refuse_connection(request)
                return
        super().process_request(request, client_address)

    def _refuse_connection(self, request: Any) -> None:
        detail = f"{MAX_CONNECTIONS} requests are being answered, and there can be no more. Try again later."
        answer = self.refuse(HTTPStatus.SERVICE_UNAVAILABLE, detail)
        with suppress(OSError):
            request.sendall(last_answer(answer["statusCode"], answer["headers"] | {"Retry-After": "1"}, answer["body"]))
        self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection until it ends."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def answer(self, method: str, target: str, headers: Iterable[tuple[str, str]], body: bytes) -> dict[str, Any]:
        """Return the handler's answer to a request. Any handler knows how to refuse an undeclared path.

        Raises:
            RefusedError: The address cannot be read.
        """
        try:
            sent = event(method, target, headers, body)
        except ValueError:  # urlsplit's, of an address such as http://[
            raise RefusedError(HTTPStatus.BAD_REQUEST, "The address is not valid.") from None
        path, request_id = sent["path"], sent["requestContext"]["requestId"]
        methods = self.routes.get(path) or next(iter(self.routes.values()))
        declared = method if method in methods else next(iter(methods))
        key = {name.lower(): value for name, value in sent["headers"].items()}.get("x-api-key")
        if self.keys and key not in self.keys and path in self.routes and (path, declared) not in self.open:
            return self._gateway_response("INVALID_API_KEY", request_id)
        # HEAD is GET without the content: only so is the length of a packed answer known.
        asked = sent | {"httpMethod": "GET"} if method == "HEAD" else sent
        with self._turn:
            return methods[declared](asked, SimpleNamespace(function_name="local", aws_request_id=request_id))

    def _gateway_response(self, kind: str, request_id: str) -> dict[str, Any]:
        """Return one of API Gateway's own answers, as the template words it, and log it."""
        response = self.api["GatewayResponses"][kind]
        self._log(response["StatusCode"], request_id)
        body = response["ResponseTemplates"]["application/json"].replace("$context.requestId", request_id)
        headers = {name: value.strip("'") for name, value in response["ResponseParameters"]["Headers"].items()}
        return {"statusCode": response["StatusCode"], "headers": headers | {"X-Request-Id": request_id}, "body": body}

    def refuse(self, status: HTTPStatus, detail: str) -> dict[str, Any]:
        """Return the answer to a request that cannot be read, and log its status, never what was sent."""
        request_id = str(uuid.uuid4())
        self._log(status, request_id)
        code = "body_too_large" if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE else "bad_request"
        problem = {"type": "about:blank", "title": status.phrase, "status": int(status), "detail": detail}
        headers = {"Content-Type": "application/problem+json", "X-Request-Id": request_id}
        body = json.dumps(problem | {"code": code, "request_id": request_id})
        return {"statusCode": int(status), "headers": headers, "body": body}

    def _log(self, status: int, request_id: str) -> None:
        self._logger.info("refused", extra={"request_id": request_id, "status": int(status)})

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print the traceback of a fault, unless it is a client that hung up."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


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
