"""The development server's gateway and its connections, in this process: what a client can send, byte by byte."""

import gzip
import http.client
import io
import json
import random
import socket
import threading
from collections import Counter
from contextlib import suppress
from email.parser import Parser

import pytest

from api import app
from candor.cli import connection, gateway
from candor.cli.connection import RefusedError, accepts_gzip, read_body
from candor.cli.gateway import Gateway, declared, template
from candor.limits import MAX_CONNECTIONS, MAX_GATEWAY_BYTES, MAX_GATEWAY_SECONDS
from candor.resources import ROOT

CANARY = "zebra-4711"
GOOD = json.dumps({"text": f"A wonderful film, {CANARY}."}).encode()
JSON = {"Content-Type": "application/json"}
HEAD = b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
TEMPLATE = template()
ROUTES = {path: dict.fromkeys(methods, app.handler) for path, methods in declared(TEMPLATE).items()}


@pytest.fixture
def log(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(app.logger.registered_handler, "stream", stream)
    return stream


@pytest.fixture
def start():
    """Return a function that starts a gateway and returns its port; it ends with the test."""
    started = []

    def start(keys=(), host="127.0.0.1", kind=Gateway):
        server = kind((host, 0), TEMPLATE, ROUTES, keys)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        started.append(server)
        return server.server_port

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


@pytest.fixture
def port(start):
    return start()


def raw(port, *parts):
    """Send parts, each when the one before has arrived, and return all that the server says until it hangs up."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        try:
            for part in parts:
                client.sendall(part)
            client.shutdown(socket.SHUT_WR)
        except OSError:  # the server hung up first
            pass
        return b"".join(iter(lambda: client.recv(1 << 16), b""))


def status_of(answer):
    return int(answer.split(b" ", 2)[1]) if answer else 0


def problem_of(answer):
    return json.loads(answer.partition(b"\r\n\r\n")[2])


def chunked(*chunks, last=b"0\r\n\r\n"):
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + last


CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
READ = {
    "one chunk": chunked(GOOD),
    "one byte a chunk": chunked(*(bytes([byte]) for byte in GOOD)),
    "upper case, leading zeros": b"00%X\r\n%s\r\n000\r\n\r\n" % (len(GOOD), GOOD),
    "extensions": b'%x;name="value; x" ;a\r\n%s\r\n0;last\r\n\r\n' % (len(GOOD), GOOD),
    "a blank after the size": b"%x \t\r\n%s\r\n0\r\n\r\n" % (len(GOOD), GOOD),
    "trailers": chunked(GOOD, last=b"0\r\nX-Checksum: 1\r\nX-Other: 2\r\n\r\n"),
}


@pytest.mark.parametrize("form", READ)
def test_chunked_body_is_read(form, port):
    """The request after it is read from where it ends."""
    answer = raw(port, CHUNKED + READ[form] + b"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert status_of(answer) == 200
    assert b'"label"' in answer
    assert answer.count(b"HTTP/1.1 ") == 2
    assert b"HTTP/1.1 404 " in answer


MALFORMED = {
    "no size": b"\r\n" + GOOD,
    "no number": b"zz\r\n" + GOOD,
    "a sign": b"+5\r\nhello\r\n0\r\n\r\n",
    "a prefix": b"0x5\r\nhello\r\n0\r\n\r\n",
    "an underscore": b"1_0\r\n" + b"a" * 16 + b"\r\n0\r\n\r\n",
    "a line feed alone": chunked(GOOD).replace(b"\r\n", b"\n"),
    "a line feed alone after a size": b"%x\n%s\r\n0\r\n\r\n" % (len(GOOD), GOOD),
    "a chunk too short": b"ff\r\n" + GOOD + b"\r\n0\r\n\r\n",
    "a chunk too long": b"5\r\n" + GOOD + b"\r\n0\r\n\r\n",
    "no end": chunked(GOOD, last=b""),
    "trailers without end": chunked(GOOD, last=b"0\r\nX: 1\r\n"),
    "an extension without end": b"5;" + b"a" * 5000 + b"\r\nhello\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("form", MALFORMED)
def test_malformed_chunks_are_400(form, port, log):
    answer = raw(port, CHUNKED + MALFORMED[form])
    assert (status_of(answer), problem_of(answer)["code"]) == (400, "bad_request")
    assert answer.count(b"HTTP/1.1 ") == 1, "what follows is no request"
    assert CANARY not in answer.decode() + log.getvalue()
    assert status_of(raw(port, CHUNKED + chunked(GOOD))) == 200


FRAMING = {
    "two lengths": (b"Content-Length: 5\r\nContent-Length: 6\r\n", 400),
    "the same length twice": (b"Content-Length: %d\r\nContent-Length: %d\r\n" % (len(GOOD), len(GOOD)), 400),
    "a list of lengths": (b"Content-Length: 5, 5\r\n", 400),
    "length and chunked": (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400),
    "chunked and length": (b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", 400),
    "chunked twice": (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400),
    "another coding": (b"Transfer-Encoding: gzip, chunked\r\n", 501),
    "identity": (b"Transfer-Encoding: identity\r\n", 501),
    "a blank before the colon": (b"Content-Length : %d\r\n" % len(GOOD), 400),
    "a folded header": (b"X: 1\r\n Content-Length: 5\r\n", 400),
    "a line without a colon": (b"hello\r\nContent-Length: %d\r\n" % len(GOOD), 400),
    "a sign": (b"Content-Length: +5\r\n", 400),
    "other digits": ("Content-Length: ٥\r\n".encode(), 400),
    "a fraction": (b"Content-Length: 5.0\r\n", 400),
    "too long": (b"Content-Length: %d\r\n" % (MAX_GATEWAY_BYTES + 1), 413),
    "far too long": (b"Content-Length: " + b"9" * 400 + b"\r\n", 413),
    "a header too long": (b"X: " + b"a" * 70_000 + b"\r\n", 431),
    "too many headers": (b"X: 1\r\n" * 101, 431),
}


@pytest.mark.parametrize("form", FRAMING)
def test_doubtful_framing_is_refused(form, port, log):
    """Two readings of where a request ends are a way to smuggle in another one."""
    headers, status = FRAMING[form]
    answer = raw(port, HEAD + headers + b"\r\n" + GOOD + b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    assert status_of(answer) == problem_of(answer)["status"] == status
    assert answer.count(b"HTTP/1.1 ") == 1, "the connection ends"
    (line,) = map(json.loads, log.getvalue().splitlines())
    assert (line["message"], line["status"]) == ("refused", status)
    assert line["request_id"] == problem_of(answer)["request_id"]
    assert CANARY not in answer.decode() + log.getvalue()
    assert status_of(raw(port, HEAD + b"Content-Length: %d\r\n\r\n" % len(GOOD) + GOOD)) == 200


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET /%s HTTP/9.9", 505),
        (b"GET /%s HTTP/x", 400),
        (b"GET /%s a b HTTP/1.1", 400),
        (b"%s", 400),
        (b"GET /%s", 505),
        (b"GET /" + b"a" * 70_000 + b"%s HTTP/1.1", 414),
        (b"GET http://[%s HTTP/1.1", 400),
    ],
)
def test_request_line_that_cannot_be_read_is_refused(line, status, port, log):
    answer = raw(port, line % CANARY.encode() + b"\r\nHost: x\r\n\r\n")
    assert status_of(answer) == status
    assert problem_of(answer)["code"] == "bad_request"
    assert f'"status":{status}' in log.getvalue()
    assert CANARY not in answer.decode() + log.getvalue()
    assert status_of(raw(port, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")) == 200


def test_too_large_body_is_refused_unread(port):
    """The client can send on for a while, and then reads the answer; else it would see a broken connection only."""
    for headers, body in (
        (b"Content-Length: 900000000\r\n\r\n", b"a" * 20_000_000),
        (b"Transfer-Encoding: chunked\r\n\r\n", b"35a4e900\r\n" + b"a" * 100_000),
        (b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"a" * 0x10000 + b"\r\nfffffff\r\n"),
    ):
        with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
            client.sendall(HEAD + headers + body)
            answer = b"".join(iter(lambda client=client: client.recv(4096), b""))
        assert (status_of(answer), problem_of(answer)["code"]) == (413, "body_too_large")


def test_read_body_counts_all_that_is_sent():
    """Neither sizes nor extensions nor trailers get round the limit."""
    headers = Parser().parsestr("Transfer-Encoding: chunked\n\n")
    for unit in (b"1\r\na\r\n", b"1;" + b"x" * 4000 + b"\r\na\r\n"):
        source = io.BytesIO(unit * (MAX_GATEWAY_BYTES // len(unit) + 1) + b"0\r\n\r\n")
        with pytest.raises(RefusedError) as refused:
            read_body(headers, source)
        assert refused.value.status == 413
    source = io.BytesIO(b"0\r\n" + b"X: 1\r\n" * (MAX_GATEWAY_BYTES // 6 + 1))
    with pytest.raises(RefusedError) as refused:
        read_body(headers, source)
    assert refused.value.status == 413
    most = MAX_GATEWAY_BYTES // 0x10000 - 1
    assert len(read_body(headers, io.BytesIO(chunked(*[b"a" * 0x10000] * most)))) == most * 0x10000


def test_kept_connection_sends_at_once(start):
    """Headers and body are two segments. With Nagle's algorithm the second waits 40 ms for an acknowledgement."""
    accepted = []

    class Watched(Gateway):
        def get_request(self):
            accepted.append(super().get_request()[0])
            return accepted[-1], ("127.0.0.1", 0)

    client = http.client.HTTPConnection("127.0.0.1", start(kind=Watched), timeout=20)
    for _ in range(2):
        client.request("POST", "/v1/predict", GOOD, JSON)
        assert client.getresponse().read()
    (server_side,) = accepted
    assert server_side.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    client.close()


def test_answer_is_sent_in_one_piece(port):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        for _ in range(5):
            client.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(GOOD) + GOOD)
            answer = client.recv(1 << 16)
            assert status_of(answer) == 200
            assert b'"label"' in answer


def test_client_that_waits_to_go_on_is_told(port):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(GOOD))
        assert client.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(GOOD)
        assert status_of(client.recv(4096)) == 200


@pytest.mark.parametrize(
    "start_of_request",
    [b"", b"GET /health HTTP/1.1\r\nX: ", HEAD + b"Content-Length: 1000\r\n\r\n", CHUNKED + b"3e8\r\n"],
)
def test_request_that_trickles_in_is_ended(start_of_request, start, monkeypatch):
    """A byte now and then keeps no connection: all of a request has to arrive in time."""
    monkeypatch.setattr(connection, "MAX_GATEWAY_SECONDS", 0.5)
    port = start()
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(start_of_request)
        client.settimeout(0.02)
        for _ in range(400):
            with suppress(TimeoutError):
                assert status_of(client.recv(4096)) in (0, 408)
                break
            client.sendall(b"a" * bool(start_of_request))
        else:
            pytest.fail("the connection is still open")
    assert status_of(raw(port, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")) == 200


def test_idle_connections_make_room_for_a_new_one(start, monkeypatch):
    """However many connections say nothing, or little, there are few threads, and a request is answered."""
    monkeypatch.setattr(gateway, "MAX_CONNECTIONS", 3)
    port = start()
    before = threading.active_count()
    idle = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(20)]
    for number, client in enumerate(idle):
        with suppress(OSError):
            client.sendall(b"GET /health HTTP/1.1\r\nX: "[: 8 * (number % 4)])
    assert status_of(raw(port, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")) == 200
    assert threading.active_count() < before + 10
    for client in idle:
        client.close()


def test_connections_over_the_limit_are_503(start, monkeypatch, log):
    """A request that is being answered is not ended for another one."""
    monkeypatch.setattr(gateway, "MAX_CONNECTIONS", 1)
    monkeypatch.setattr(gateway, "_EVICTION_SECONDS", 0.1)
    entered, go = threading.Event(), threading.Event()

    def slow(event, context):
        entered.set()
        assert go.wait(20)
        return app.handler(event, context)

    monkeypatch.setitem(ROUTES, "/health", {"ANY": slow})
    port = start()
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert entered.wait(20)
        answer = raw(port, b"")
        assert status_of(answer) == problem_of(answer)["status"] == 503
        assert b"Retry-After: 1\r\n" in answer
        assert '"status":503' in log.getvalue()
        go.set()
        assert status_of(client.recv(4096)) == 200
    for _ in range(200):
        if status_of(raw(port, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")) == 200:
            break
    else:
        pytest.fail("a closed connection still counts")


@pytest.mark.parametrize("path", [path for path in app.ROUTES if "GET" in app.ROUTES[path]])
@pytest.mark.parametrize("coding", ["gzip", "identity"])
def test_head_has_the_headers_of_get(path, coding, port, monkeypatch):
    monkeypatch.setattr(gateway.uuid, "uuid4", lambda: "1")  # another id has another length when it is packed
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    seen = []
    for method in ("GET", "HEAD", "GET"):
        client.request(method, path, headers={"Accept-Encoding": coding})
        response = client.getresponse()
        content = response.read()
        assert response.status == 200
        assert (content == b"") == (method == "HEAD")
        seen.append({name: value for name, value in response.getheaders() if name not in ("X-Request-Id", "Date")})
    assert seen[0] == seen[1] == seen[2]
    client.close()


def test_answer_without_content_has_no_length(port):
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    client.request("GET", "/openapi.json")
    response = client.getresponse()
    assert response.headers["Content-Length"] == str(len(response.read()))
    for method in ("GET", "HEAD"):
        client.request(method, "/openapi.json", headers={"If-None-Match": response.headers["ETag"]})
        again = client.getresponse()
        assert (again.status, again.read(), again.headers["Content-Length"]) == (304, b"", None)
    client.close()


def test_gzip_request_is_unpacked(port):
    packed = gzip.compress(GOOD)
    for coding, status in (("gzip", 200), ("br", 415)):
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        client.request("POST", "/v1/predict", packed, JSON | {"Content-Encoding": coding})
        response = client.getresponse()
        assert response.status == status
        assert (response.headers["Accept-Encoding"] is None) == (status == 200)
        response.read()
        client.close()


@pytest.mark.parametrize(
    ("accepted", "packs"),
    [("gzip", True), ("GZIP", True), ("br, gzip;q=0.1", True), ("gzip;q=0", False), ("gzip; q=0.000", False),
     ("br", False), ("", False), ("notgzip", False)],
)  # fmt: skip
def test_accepts_gzip_weighs_codings(accepted, packs):
    assert accepts_gzip(Parser().parsestr(f"Accept-Encoding: {accepted}\n\n")) == packs


def test_missing_key_is_refused_and_logged(start, log):
    port = start(keys=["k1"])
    for key, status in ((CANARY, 403), ("k1", 200)):
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        client.request("POST", "/v1/predict", GOOD, JSON | {"x-api-key": key})
        response = client.getresponse()
        assert (response.status, CANARY in response.read().decode()) == (status, False)
        client.close()
    first, second = map(json.loads, log.getvalue().splitlines())
    assert (first["message"], first["status"]) == ("refused", 403)
    assert (second["message"], second["status"]) == ("request", 200)
    assert CANARY not in log.getvalue()


def test_gateway_listens_on_ipv6(start):
    if not socket.has_ipv6:
        pytest.fail("this machine has no IPv6, not even for itself")
    client = http.client.HTTPConnection("::1", start(host="::1"), timeout=20)
    client.request("GET", "/health")
    assert client.getresponse().status == 200
    client.close()


def mangled(random):
    """Return the bytes of one or two requests, most of them valid but for some."""
    target = random.choice(
        [*ROUTES, "*", "//x", "/%ff%00", "/?a=%zz&=", "http://x/health", f"/{CANARY}", "", "http://["]
    )
    body = random.choice([GOOD, b"", gzip.compress(GOOD), GOOD[:-1], bytes(range(256))])
    chunks = chunked(body[:7], body[7:]) if len(body) > 7 else chunked(body) if body else b"0\r\n\r\n"
    sized = b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    benign = [
        b"Content-Type: application/json\r\n", b"Content-Encoding: gzip\r\n", b"Expect: 100-continue\r\n",
        b"Connection: close\r\n", b"Accept-Encoding: gzip\r\n", f"X-{CANARY}: \xff\r\n".encode("latin-1"),
    ]  # fmt: skip
    evil = [
        b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: br\r\n", b"X : y\r\n",
        b"Content-Encoding: br\r\n", b"Origin: \x00\r\n", b"\xff\r\n", b" folded\r\n",
    ]  # fmt: skip
    chosen = [line for line in benign if random.random() < 0.5] + [line for line in evil if random.random() < 0.04]
    headers = b"".join(chosen)
    framed = random.choice([sized, sized, b"Transfer-Encoding: chunked\r\n\r\n" + chunks, b"\r\n" + body])
    method = random.choice(["GET", "HEAD", "POST", "POST", "POST", "OPTIONS", "BREW", "get", "PRI", CANARY])
    version = random.choice(["HTTP/1.1"] * 20 + ["HTTP/1.0", "HTTP/0.9", "HTTP/2.0", ""])
    made = f"{method} {target} {version}\r\n".encode() + b"Host: x\r\n" + headers + framed
    for _ in range(random.choice([0, 0, 0, 0, 1, 2])):
        where = random.randrange(len(made))
        made = made[:where] + random.choice([b"", b"\r", b"\n", b"\0", b":", b" ", b"\xff", b"9"]) + made[where + 1 :]
    return made * random.choice([1, 1, 2]) if random.random() < 0.9 else made[: random.randrange(len(made))]


def test_any_bytes_are_answered_or_end_the_connection(port, log, capfd):
    """Nothing that a client sends ends the server, gets a fault of ours for an answer, or is repeated."""
    generator, counts = random.Random(16), Counter()
    for number in range(400):
        sent = mangled(generator)
        answer = raw(port, sent).replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"")
        status = status_of(answer) if answer.startswith(b"HTTP/1.1 ") else 0
        assert status < 500 or status in (501, 505), (number, sent, answer)
        redacted = status == 200 and b"/v1/redact" in sent  # which answers with the text
        assert redacted or CANARY.encode() not in answer, (number, sent, answer)
        counts[status] += 1
    assert set(counts) >= {200, 400, 404, 405, 501, 505}, counts
    assert counts[200] > 20
    assert "Traceback" not in capfd.readouterr().err
    assert CANARY not in log.getvalue()
    assert status_of(raw(port, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")) == 200


def test_reference_has_the_servers_limits():
    page = (ROOT / "docs/reference/http-api.md").read_text().partition("## Development server")[2]
    for figure in (f"{MAX_GATEWAY_BYTES:,} bytes", f"{MAX_GATEWAY_SECONDS} seconds", f"| {MAX_CONNECTIONS}; one more"):
        assert figure in page
