"""A connection of the development server: it reads requests within limits, and writes what the gateway answers.

It reads HTTP/1.1 (RFC 9112) strictly, because a lenient reader takes a part of one request for the next one.
"""

import base64
import gzip
import io
import re
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

from candor.limits import MAX_GATEWAY_BYTES, MAX_GATEWAY_SECONDS

if TYPE_CHECKING:
    from candor.cli.gateway import Gateway

_MAX_LINE_BYTES = 4096  # of a chunk's size with its extensions, and of a trailer
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(;.*)?")
_LINGER_SECONDS = 1  # for which what a refused client still sends is read, so that it gets to read the answer
_WITHOUT_CONTENT = {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}


class RefusedError(Exception):
    """A request that never reaches a handler, because it cannot be read.

    Args:
        status: Status of the answer.
        detail: What is wrong, and the remedy; nothing that was sent.
    """

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


class Connection(BaseHTTPRequestHandler):
    """A kept connection, which ends after a refused request, for what follows it is unread."""

    protocol_version = "HTTP/1.1"
    timeout = MAX_GATEWAY_SECONDS
    disable_nagle_algorithm = True  # else the end of an answer waits for the client to acknowledge the rest: 40 ms
    wbufsize = 1 << 16  # bytes: headers and content leave together
    server: "Gateway"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):  # any method at all: it is the handler that refuses
            return self._serve
        raise AttributeError(name)

    def version_string(self) -> str:
        """Return the name of the server, in the header Server."""
        return "candor"

    def setup(self) -> None:
        """Read from the socket with a deadline."""
        super().setup()
        self.rfile.close()
        self._received = _Received(self.connection)
        self.rfile = io.BufferedReader(self._received)

    def handle_one_request(self) -> None:
        """Wait for a request and answer it. All of it must arrive in time, however it trickles in."""
        self._received.deadline = time.monotonic() + MAX_GATEWAY_SECONDS
        self.server.waiting[self] = None
        try:
            super().handle_one_request()
        finally:
            self.server.waiting.pop(self, None)

    def handle_expect_100(self) -> bool:
        """Tell a client that waits for it to go on."""
        goes_on = super().handle_expect_100()
        self.wfile.flush()
        return goes_on

    def _serve(self) -> None:
        try:
            if self.request_version == "HTTP/0.9":
                raise RefusedError(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "Send a request of HTTP/1.1.")
            check_headers(self.headers)
            body = read_body(self.headers, self.rfile)
            self.server.waiting.pop(self, None)
            answer = self.server.answer(self.command, self.path, self.headers.items(), body)
        except RefusedError as refused:
            self._refuse(refused)
            return
        content = (answer.get("body") or "").encode()
        if answer.get("isBase64Encoded"):
            content = base64.b64decode(content)
        headers = dict(answer.get("headers", {}))
        if len(content) >= self.server.api["MinimumCompressionSize"] and accepts_gzip(self.headers):
            content, headers["Content-Encoding"] = gzip.compress(content, 6, mtime=0), "gzip"
        self._send(answer["statusCode"], headers, content)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse a request whose first line or headers cannot be read. The base class's message would repeat them."""
        status = HTTPStatus(code)
        self._refuse(RefusedError(status, f"{status.phrase}. Send a request of HTTP/1.1."))

    def _refuse(self, refused: RefusedError) -> None:
        self.close_connection = True
        self.request_version = self.protocol_version  # of 0.9, which has no headers, where there is no other
        answer = self.server.refuse(refused.status, refused.detail)
        self._send(answer["statusCode"], answer["headers"], answer["body"].encode())
        with suppress(OSError):  # without this the system discards the answer where a part of the request is unread
            self.connection.shutdown(socket.SHUT_WR)
            self._received.deadline = time.monotonic() + _LINGER_SECONDS
            while self.rfile.read1(1 << 16):
                pass

    def _send(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status not in _WITHOUT_CONTENT:
            self.send_header("Content-Length", str(len(content)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD" and status not in _WITHOUT_CONTENT:
            self.wfile.write(content)
        self.wfile.flush()

    def log_message(self, format: str, *arguments: Any) -> None:
        """Log nothing: handler and gateway log each request, and the request line may hold private data."""


def last_answer(status: int, headers: dict[str, str], body: str) -> bytes:
    """Return the bytes of an answer after which the connection ends."""
    all_headers = headers | {"Content-Length": str(len(body.encode())), "Connection": "close"}
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        *(f"{name}: {all_headers[name]}" for name in all_headers),
    ]
    return "\r\n".join([*lines, "", body]).encode()


class _Received(io.RawIOBase):
    """What a socket receives until a deadline."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection, self.deadline = connection, 0.0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer with what there is. Raises TimeoutError at the deadline."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        try:
            return self._connection.recv_into(buffer)
        finally:
            self._connection.settimeout(MAX_GATEWAY_SECONDS)


def check_headers(headers: Message) -> None:
    """Check that the headers are what they seem. The parser takes all after a bad line for a body.

    Raises:
        RefusedError: A line is no header, or a header goes on in a second line.
    """
    if headers.defects or any("\n" in value or "\r" in value for value in headers.values()):
        raise RefusedError(HTTPStatus.BAD_REQUEST, "A header is malformed. Send each as one line: Name: value.")


def read_body(headers: Message, source: io.BufferedIOBase) -> bytes:
    """Read the body of a request (RFC 9112, section 6).

    Args:
        headers: Headers of the request.
        source: What follows them.

    Raises:
        RefusedError: The length is given twice or not as a number, the body is too large, does not arrive in time, or
            is not as long as it says.
    """
    lengths, codings = headers.get_all("Content-Length", []), headers.get_all("Transfer-Encoding", [])
    if len(lengths) + len(codings) > 1:
        raise RefusedError(HTTPStatus.BAD_REQUEST, "Send one Content-Length, or else Transfer-Encoding: chunked.")
    try:
        if codings:
            if codings[0].lower() != "chunked":
                raise RefusedError(HTTPStatus.NOT_IMPLEMENTED, "The only transfer coding that is read is chunked.")
            return _read_chunks(source)
        return _read_length(lengths[0] if lengths else "0", source)
    except TimeoutError:
        detail = f"The request did not arrive within {MAX_GATEWAY_SECONDS} seconds. Send it again."
        raise RefusedError(HTTPStatus.REQUEST_TIMEOUT, detail) from None


def _read_length(length: str, source: io.BufferedIOBase) -> bytes:
    if not (length.isascii() and length.isdigit()):
        raise RefusedError(HTTPStatus.BAD_REQUEST, "Content-Length must be a whole number.")
    if len(length) > 9 or int(length) > MAX_GATEWAY_BYTES:
        raise _too_large()
    body = source.read(int(length))
    if len(body) < int(length):
        raise RefusedError(HTTPStatus.BAD_REQUEST, "The body is shorter than its Content-Length.")
    return body


def _read_chunks(source: io.BufferedIOBase) -> bytes:
    """Read a chunked body (RFC 9112, 7.1). Its limit holds for all that is sent: sizes, extensions, trailers, too."""
    body, left = bytearray(), MAX_GATEWAY_BYTES

    def take(count: int) -> None:
        nonlocal left
        left -= count
        if left < 0:
            raise _too_large()

    def line() -> bytes:
        found = source.readline(_MAX_LINE_BYTES)
        take(len(found))
        if not found.endswith(b"\r\n"):
            raise _malformed()
        return found[:-2]

    while True:
        header = _CHUNK_SIZE.fullmatch(line())
        if not header:
            raise _malformed()
        size = int(header[1], 16)
        if size == 0:
            break
        take(size + 2)
        chunk = source.read(size + 2)
        if len(chunk) < size + 2 or not chunk.endswith(b"\r\n"):
            raise _malformed()
        body += chunk[:-2]
    while line():  # trailers say nothing that a handler needs
        pass
    return bytes(body)


def _malformed() -> RefusedError:
    return RefusedError(HTTPStatus.BAD_REQUEST, "The chunked body is malformed or cut off.")


def _too_large() -> RefusedError:
    return RefusedError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"At most {MAX_GATEWAY_BYTES:,} bytes are read of a request. Send fewer at a time.",
    )


def accepts_gzip(headers: Message) -> bool:
    """Return True if a client takes an answer packed with gzip (RFC 9110, 12.5.3).

    Example:
        >>> request = Message()
        >>> request["Accept-Encoding"] = "br, gzip;q=0.5"
        >>> accepts_gzip(request)
        True
    """
    for coding in ",".join(headers.get_all("Accept-Encoding", [])).lower().split(","):
        name, _, weight = coding.replace(" ", "").partition(";q=")
        if name in ("gzip", "x-gzip"):
            return weight.strip("0.") != "" if weight else True
    return False
