"""The witness over HTTP: `POST /add-checkpoint`, and `GET /<hex of SHA-256 of the origin>/checkpoint` for who watches.

Plain HTTP, since nothing that passes is secret and all of it is signed; a proxy before it may add TLS.
"""

import sys
import threading
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RDWR, socket
from typing import Any

from services.shared.tlog.witnessing import MAX_REQUEST_BYTES
from services.witness.cosigning import Answer, Witness

PATIENCE_SECONDS = 10.0
"""With one read of a request."""
LIFETIME_SECONDS = 60.0
"""Of a connection, whatever comes over it: who sends a byte now and then must not hold it."""
_LENGTH_DIGITS = 10
MAX_CONNECTIONS = 100
"""At once; what comes beyond them is hung up on, so that nobody can fill the machine with idle lines."""


class WitnessServer(ThreadingHTTPServer):
    """Listens when built; `serve_forever` answers."""

    daemon_threads = True

    def __init__(self, host: str, port: int, witness: Witness) -> None:
        self.witness = witness
        self._room = threading.BoundedSemaphore(MAX_CONNECTIONS)
        super().__init__((host, port), _Handler)

    @property
    def base(self) -> str:
        """Where it listens, for example `http://127.0.0.1:8604`."""
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}"

    def process_request(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:  # noqa: ANN401  # the library's
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:  # noqa: ANN401
        end = threading.Timer(LIFETIME_SECONDS, _hang_up, [request])
        end.daemon = True
        end.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            end.cancel()
            self._room.release()

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002
        """One line instead of the library's traceback, which would name who asked."""
        sys.stderr.write(f"a request was not answered ({type(sys.exception()).__name__})\n")


def _hang_up(request: socket) -> None:
    with suppress(OSError):  # it is closed already
        request.shutdown(SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "valvomo-witness", ""
    timeout = PATIENCE_SECONDS
    server: WitnessServer

    def do_POST(self) -> None:  # the library's name
        length = self.headers.get("content-length", "")
        if not (length.isascii() and length.isdigit()) or "transfer-encoding" in self.headers:
            self._refuse(HTTPStatus.LENGTH_REQUIRED)
        elif len(length) > _LENGTH_DIGITS or int(length) > MAX_REQUEST_BYTES:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        else:
            body = self.rfile.read(int(length))
            self._answer(self._add(body) if len(body) == int(length) else Answer(HTTPStatus.BAD_REQUEST, b"cut\n"))

    def do_GET(self) -> None:
        if "content-length" in self.headers or "transfer-encoding" in self.headers:
            self.close_connection = True  # else what follows would be read as another request
        self._answer(self.server.witness.checkpoint_at(self.path))

    def _add(self, body: bytes) -> Answer:
        if self.path != "/add-checkpoint":
            return Answer(HTTPStatus.NOT_FOUND, b"expected POST /add-checkpoint\n")
        return self.server.witness.add_checkpoint(body)

    def _refuse(self, status: HTTPStatus) -> None:
        self.close_connection = True
        self._answer(Answer(status, f"{status.phrase}: at most {MAX_REQUEST_BYTES} bytes\n".encode()))

    def _answer(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the library's name
        """One line without addresses: when, what was asked, what was answered."""
        sys.stderr.write(f"{self.log_date_time_string()} {format % args}\n".translate(_PRINTABLE))


_PRINTABLE = dict.fromkeys([*range(10), *range(11, 32), 127], "?")
"""A request line may hold anything; none of it moves the cursor of who reads the log."""
