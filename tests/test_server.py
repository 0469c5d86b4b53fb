"""The development server as a user meets it: a process, started, called over HTTP, and ended."""

import gzip
import http.client
import json
import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from api.app import ROUTES
from events.server import declared, template
from tests.server import Server

ROOT = Path(__file__).parents[1]
JSON = {"Content-Type": "application/json"}
GOOD = json.dumps({"text": "A wonderful film."})


@pytest.fixture(scope="module")
def server():
    server = Server()
    server.greeting()
    yield server
    code, rest = server.end()
    assert code == 0
    assert "Traceback" not in rest
    assert "Warning" not in rest


@pytest.fixture
def connection(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    yield connection
    connection.close()


def ask(connection, method, path, body=None, headers=JSON):
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    content = response.read()
    return response, json.loads(content) if content else None


def raw(server, request):
    """The answer to bytes that no HTTP library would send."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(4096), b"")).decode()


def test_every_route_of_the_template_is_served(connection):
    routes = declared(template())
    assert routes["/v1/predict"]["ANY"] == "api.app.handler"
    assert routes.keys() == ROUTES.keys()
    bodies = {
        "/v1/predict": GOOD,
        "/v1/predict/batch": json.dumps({"documents": [json.loads(GOOD)]}),
        "/v1/redact": GOOD,
    }
    for path in routes:
        connection.request("POST" if path in bodies else "GET", path, bodies.get(path), JSON)
        response = connection.getresponse()
        assert response.read()
        assert response.status == 200, path
        assert response.headers["X-Request-Id"]


def test_the_line_it_prints_works_when_pasted():
    server = Server()
    curl = server.greeting().strip().splitlines()[-1]
    answer = subprocess.run(f"{curl} --silent", shell=True, capture_output=True, text=True, check=True)
    assert json.loads(answer.stdout)["label"] == "positive"
    assert server.end()[0] == 0


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_cleanly(how):
    server = Server()
    server.greeting()
    code, rest = server.end(how)
    assert code == 0
    assert "Traceback" not in rest
    assert "ended" in rest


def test_it_ends_cleanly_while_the_model_is_still_loading(tmp_path):
    os.mkfifo(tmp_path / "manifest.json")  # reading it blocks for as long as nothing is written
    server = Server(BUNDLE_PATH=str(tmp_path))
    with (tmp_path / "manifest.json").open("w"):
        code, said = server.end()
    assert code == 0
    assert "Traceback" not in said


def test_a_taken_port_is_a_clear_error(server):
    second = Server("--port", str(server.port))
    code, said = second.wait()
    assert code == 2
    assert said.count("\n") == 1
    assert f"port {server.port}" in said
    assert "make run PORT=" in said


@pytest.mark.parametrize("port", ["eighty", "70000", "-1", ""])
def test_a_port_that_is_none_is_a_clear_error(port):
    second = Server(f"--port={port}")
    code, said = second.wait()
    assert code == 2
    assert "PORT=8001" in said
    assert "Traceback" not in said


def test_one_connection_serves_many_requests_good_and_bad(connection):
    for body, status in ((GOOD, 200), ("{", 400), (b'{"text": "\xff"}', 400), ("{}", 422), (GOOD, 200)):
        response, _ = ask(connection, "POST", "/v1/predict", body)
        assert response.status == status


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("DELETE", "/v1/predict", 405), ("BREW", "/health", 405), ("GET", "/%00%ff?a=b&a", 404)],
)
def test_what_the_template_does_not_declare_is_refused(connection, method, path, status):
    response, problem = ask(connection, method, path)
    assert response.status == problem["status"] == status


def test_a_head_request_gets_headers_only(connection):
    response, body = ask(connection, "HEAD", "/health")
    assert response.status == 405
    assert body is None
    assert ask(connection, "GET", "/health")[0].status == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ("Content-Length: x", 400),
        ("Content-Length: -1", 400),
        ("Content-Length: 99999999999999999999", 413),
        ("Content-Length: 10000001", 413),
        ("Content-Length: 500", 400),
        ("Transfer-Encoding: chunked", 411),
    ],
)
def test_a_length_that_cannot_be_right_is_refused_at_once(server, headers, status):
    answer = raw(server, f"POST /v1/predict HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n{GOOD}".encode())
    assert answer.startswith(f"HTTP/1.1 {status} ")
    assert '"message"' in answer
    fitting = f"Content-Length: {len(GOOD)}\r\nContent-Type: application/json"
    assert "200 OK" in raw(server, f"POST /v1/predict HTTP/1.1\r\nHost: x\r\n{fitting}\r\n\r\n{GOOD}".encode())


def test_an_address_that_is_none_is_refused(server, connection):
    assert raw(server, b"GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n").startswith("HTTP/1.1 400 ")
    assert ask(connection, "GET", "/health")[0].status == 200


def test_a_client_that_hangs_up_does_no_harm(server, connection):
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"POST /v1/predict HTTP/1.1\r\nContent-Length: 100\r\n\r\n{")
    assert ask(connection, "POST", "/v1/predict", GOOD)[0].status == 200


def test_keys_are_asked_for_only_where_they_are_set_and_only_where_the_template_says(connection):
    keyed = Server(API_KEYS="first,second")
    keyed.greeting()
    client = http.client.HTTPConnection("127.0.0.1", keyed.port, timeout=20)
    try:
        for headers, status in (
            (JSON, 403),
            (JSON | {"x-api-key": "third"}, 403),
            (JSON | {"X-API-Key": "second"}, 200),
        ):
            response, body = ask(client, "POST", "/v1/predict", GOOD, headers)
            assert response.status == status
            assert (body.get("code") == "forbidden") == (status == 403)
        assert ask(client, "GET", "/health")[0].status == 200
        assert ask(client, "GET", "/nothing")[0].status == 404
    finally:
        client.close()
        assert keyed.end()[0] == 0
    assert ask(connection, "POST", "/v1/predict", GOOD)[0].status == 200


def test_a_long_answer_is_packed_for_a_client_that_can_unpack_it(connection):
    connection.request("GET", "/openapi.json", headers={"Accept-Encoding": "gzip"})
    response = connection.getresponse()
    packed = response.read()
    assert response.headers["Content-Encoding"] == "gzip"
    connection.request("GET", "/openapi.json")
    response = connection.getresponse()
    assert response.headers["Content-Encoding"] is None
    assert gzip.decompress(packed) == response.read()
