"""A real HTTP receiver on a free loopback port: keeps what it gets, and answers as it is told, even slowly for ever."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.servers.process import HOST


@dataclass
class Receiver:
    """What came, and what is answered.

    Attributes:
        came: (path, headers by lower-case name, body) of every request, in the order of coming.
        status: what is answered.
        headers: which headers the answer has besides.
        drips: whether the answer comes a byte at a time, and never ends.
    """

    came: list[tuple[str, Mapping[str, str], bytes]] = field(default_factory=list)
    status: int = 202
    headers: dict[str, str] = field(default_factory=dict)
    drips: bool = False
    address: str = ""
    closing: threading.Event = field(default_factory=threading.Event)


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Serve until the block ends; `address` is where."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.came.append((self.path, headers, body))
            if receiver.drips:
                self._drip()
            else:
                self._answer()

        def _answer(self) -> None:
            self.send_response(receiver.status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", "0")
            self.end_headers()

        def _drip(self) -> None:
            self.close_connection = True
            try:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nx-slow: ")
                while not receiver.closing.wait(0.05):
                    self.wfile.write(b"z")
            except OSError:
                return  # the other side has gone

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer((HOST, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    receiver.address = f"http://{HOST}:{server.server_port}"
    try:
        yield receiver
    finally:
        receiver.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()
