"""`candor serve` as a user meets it: a process, started, called over HTTP, and ended."""

import gzip
import http.client
import json
import os
import shlex
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from api.app import ROUTES
from candor.cli.gateway import declared, template, variables
from candor.cli.serve import greeting
from candor.model.bundle import NEUTRAL_TEXT, Bundle, canonical, write
from candor.resources import BUNDLE
from tests.server import Server
from tests.trained import TWO

ROOT = Path(__file__).parents[3]
JSON = {"Content-Type": "application/json"}
GOOD = json.dumps({"text": "A wonderful film."})


@pytest.fixture(scope="module")
def server():
    with Server() as server:
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


def test_serve_answers_every_route_of_the_template(connection):
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


@pytest.mark.parametrize(
    ("described", "text"),
    [
        ({}, NEUTRAL_TEXT),
        ({"samples": ['It\'s "late": $(touch pwned) `touch pwned`\n\x1b[2J 退款 \u202e!', "Not this one."]}, None),
    ],
    ids=["no samples", "odd sample"],
)
def test_serve_greeting_works_when_pasted(described, text, tmp_path):
    """The greeting asks about the model's first sample, whatever it holds, and cannot command a terminal or a shell."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    shipped = Bundle.open(BUNDLE)
    bare = {key: value for key, value in shipped.model.items() if key not in ("text_noun", "samples")}
    write(folder, shipped.files | {"model.json": canonical(bare | described)})
    text = text or described["samples"][0]
    with Server("--port", "0", "--model", str(folder)) as server:
        curl = server.greeting().strip().splitlines()[-1]
        assert curl.isprintable()
        body = shlex.split(curl)[-1]
        assert json.loads(body) == {"text": text}
        done = subprocess.run(f"{curl} --silent", shell=True, capture_output=True, text=True, check=True, cwd=tmp_path)
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        _, expected = ask(client, "POST", "/v1/predict", json.dumps({"text": text}))
        client.close()
        assert json.loads(done.stdout)["probabilities"] == expected["probabilities"]
        assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
        assert server.end()[0] == 0


def test_serve_greeting_has_a_key_where_one_is_wanted(tmp_path):
    with Server("--port", "0", "--log", str(tmp_path / "log"), API_KEYS=" $(touch it)'s , second,") as server:
        curl = server.greeting().strip().splitlines()[-1]
        assert "x-api-key: $(touch it)" in curl
        done = subprocess.run(f"{curl} --silent", shell=True, capture_output=True, text=True, check=True, cwd=tmp_path)
        assert json.loads(done.stdout)["label"] == "positive"
        plain = curl.replace("x-api-key", "x-other")
        done = subprocess.run(f"{plain} --silent", shell=True, capture_output=True, text=True, check=True, cwd=tmp_path)
        assert json.loads(done.stdout)["status"] == 403
        assert raw(server, b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n").startswith("HTTP/1.1 400 ")
        assert server.end()[0] == 0
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [(line["message"], line["status"]) for line in lines if "status" in line] == [
        ("request", 200),
        ("refused", 403),
        ("refused", 400),
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


@pytest.mark.parametrize(
    ("host", "listens", "sends"),
    [
        ("127.0.0.1", "http://127.0.0.1:80 ", "curl http://127.0.0.1:80/v1/predict -H"),
        ("0.0.0.0", "http://0.0.0.0:80 ", "curl http://127.0.0.1:80/v1/predict -H"),
        ("::", "http://[::]:80 ", "curl 'http://[::1]:80/v1/predict' -H"),
    ],
)
def test_serve_greeting_sends_to_an_address_of_one(host, listens, sends):
    """Every address is none to send to, and brackets are patterns to some shells."""
    said = greeting(host, 80, "Good.")
    assert f"Candor listens on {listens}" in said
    assert sends in said


@pytest.mark.parametrize("keys", ["schlüssel", "a\nb", "a,b\x1b[2J"])
def test_serve_key_no_header_can_have_exits_2(keys):
    with Server("--port", "0", API_KEYS=keys) as server:
        assert server.wait() == (
            2,
            "error: a key of API_KEYS cannot be sent in a header\nhint: use printable ASCII characters\n",
        )


@pytest.mark.parametrize(
    ("host", "keys", "warned"),
    [("0.0.0.0", "", True), ("0.0.0.0", "key", False), ("127.0.0.1", "", False), ("localhost", "", False)],
)
def test_serve_open_address_without_key_warns(host, keys, warned):
    """Whoever reaches the machine can send requests; the example goes to this machine's own address."""
    with Server("--port", "0", "--host", host, API_KEYS=keys) as server:
        server.greeting()
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        assert ask(client, "GET", "/health")[1]["status"] == "ok"
        client.close()
        assert f"Candor listens on http://{host}:" in server.said()
        assert ("warning: " in server.said()) == warned
        assert ("API_KEYS" in server.said()) == warned
        assert server.end()[0] == 0


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_serve_signal_exits_0(how):
    with Server() as server:
        server.greeting()
        code, rest = server.end(how)
        assert code == 0
        assert "Traceback" not in rest
        assert "ended" in rest


def test_serve_signal_while_loading_exits_0(tmp_path):
    os.mkfifo(tmp_path / "manifest.json")  # reading it blocks for as long as nothing is written
    with Server(BUNDLE_PATH=str(tmp_path)) as server, (tmp_path / "manifest.json").open("w"):
        code, said = server.end()
        assert code == 0
        assert "Traceback" not in said


def test_serve_port_in_use_exits_2(server):
    with Server("--port", str(server.port)) as second:
        assert second.wait() == (
            2,
            f"error: port {server.port} is already in use\n"
            f"hint: try --port {server.port + 1} (make: PORT={server.port + 1})\n",
        )


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("nowhere.invalid", "error: nowhere.invalid is not an address of this machine\nhint: try --host 127.0.0.1\n"),
        ("", "error: --host is empty\nhint: 127.0.0.1 is this machine only; 0.0.0.0 is every address\n"),
    ],
)
def test_serve_invalid_host_exits_2(host, message):
    with Server("--port", "0", f"--host={host}") as second:
        assert second.wait() == (2, message)


def test_serve_model_of_another_digest_exits_2():
    """The API would answer every request with 503."""
    with Server("--port", "0", BUNDLE_DIGEST="0" * 64) as second:
        code, said = second.wait()
        assert code == 2
        assert "was deployed" in said
        assert "Traceback" not in said


@pytest.mark.parametrize("port", ["eighty", "70000", "-1", ""])
def test_serve_invalid_port_exits_2(port):
    with Server(f"--port={port}") as second:
        code, said = second.wait()
        assert code == 2
        assert said.startswith("error: invalid value for '--port'")
        assert said.endswith("hint: candor serve --help lists arguments and options\n")


def test_serve_model_in_use_is_the_templates():
    """The model in use is served under the digest that the template pins."""
    with Server(BUNDLE_PATH="") as server:
        server.greeting()
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        _, answer = ask(client, "POST", "/v1/predict", GOOD)
        client.close()
        assert answer["model"] == Bundle.open(BUNDLE, variables(template())["BUNDLE_DIGEST"]).identity
        assert server.end()[0] == 0


def test_serve_model_option_serves_that_bundle(tmp_path):
    """Another bundle than the template's is served under its own digest."""
    copy = tmp_path / "a model"
    copy.mkdir()
    opened = Bundle.open(TWO)
    described = opened.model | {"name": "another"}
    digest = write(copy, opened.files | {"model.json": canonical(described)})
    with Server("--port", "0", "--model", str(copy)) as server:
        server.greeting()
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        _, answer = ask(client, "POST", "/v1/predict", GOOD)
        client.close()
        assert answer["model"]["name"] == "another"
        assert answer["model"]["sha256"] == digest
        assert server.end()[0] == 0


def test_serve_keeps_connection_after_bad_requests(connection):
    for body, status in ((GOOD, 200), ("{", 400), (b'{"text": "\xff"}', 400), ("{}", 422), (GOOD, 200)):
        response, _ = ask(connection, "POST", "/v1/predict", body)
        assert response.status == status


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("DELETE", "/v1/predict", 405), ("BREW", "/health", 405), ("GET", "/%00%ff?a=b&a", 404)],
)
def test_serve_undeclared_route_is_refused(connection, method, path, status):
    response, problem = ask(connection, method, path)
    assert response.status == problem["status"] == status


def test_serve_head_request_has_no_body(connection):
    response, body = ask(connection, "HEAD", "/health")
    assert (response.status, body) == (200, None)
    length = response.headers["Content-Length"]
    assert ask(connection, "GET", "/health")[0].headers["Content-Length"] == length != "0"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ("Content-Length: x", 400),
        ("Content-Length: -1", 400),
        ("Content-Length: 99999999999999999999", 413),
        ("Content-Length: 10000001", 413),
        ("Content-Length: 500", 400),
        ("Transfer-Encoding: br", 501),
    ],
)
def test_serve_wrong_length_is_refused(server, headers, status):
    answer = raw(server, f"POST /v1/predict HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n{GOOD}".encode())
    assert answer.startswith(f"HTTP/1.1 {status} ")
    assert '"code": ' in answer
    fitting = f"Content-Length: {len(GOOD)}\r\nContent-Type: application/json"
    assert "200 OK" in raw(server, f"POST /v1/predict HTTP/1.1\r\nHost: x\r\n{fitting}\r\n\r\n{GOOD}".encode())


def test_serve_invalid_target_is_refused(server, connection):
    assert raw(server, b"GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n").startswith("HTTP/1.1 400 ")
    assert ask(connection, "GET", "/health")[0].status == 200


def test_serve_survives_client_hanging_up(server, connection):
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"POST /v1/predict HTTP/1.1\r\nContent-Length: 100\r\n\r\n{")
    assert ask(connection, "POST", "/v1/predict", GOOD)[0].status == 200


def test_serve_keys_guard_only_declared_routes(connection):
    with Server(API_KEYS="first,second") as keyed:
        keyed.greeting()
        client = http.client.HTTPConnection("127.0.0.1", keyed.port, timeout=20)
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
        client.close()
        assert keyed.end()[0] == 0
    assert ask(connection, "POST", "/v1/predict", GOOD)[0].status == 200


def test_serve_compresses_long_answers_on_request(connection):
    connection.request("GET", "/openapi.json", headers={"Accept-Encoding": "gzip"})
    response = connection.getresponse()
    packed = response.read()
    assert response.headers["Content-Encoding"] == "gzip"
    connection.request("GET", "/openapi.json")
    response = connection.getresponse()
    assert response.headers["Content-Encoding"] is None
    assert gzip.decompress(packed) == response.read()
