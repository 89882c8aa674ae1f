"""A vendor on 127.0.0.1 that answers what a test tells it to, and remembers what it was asked."""

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qsl, urlsplit

from tests.unit.usage_collector.sources.fake import Json


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: bytes

    def one(self, name: str) -> str:
        return dict(self.query)[name]


@dataclass
class Said:
    """An answer. `cut`: the connection ends before the promised length."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False
    hang: threading.Event | None = None


def said(document: Json, **more: Json) -> Said:
    return Said(json.dumps(document).encode(), headers={"Content-Type": "application/json"}, **more)


class Vendor:
    """Give it a function, or a list of answers that are given in turn (the last one for good)."""

    def __init__(self, answer: Callable[[Asked], Said] | list[Said]) -> None:
        self.asked: list[Asked] = []
        self.answer = answer
        vendor = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._any()

            def do_POST(self) -> None:
                self._any()

            def _any(self) -> None:
                vendor._handle(self)

            def log_message(self, *_args: object) -> None:
                """Silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_unused: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handle(self, request: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(request.path)
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        query = tuple(parse_qsl(parts.query, keep_blank_values=True))
        headers = {name.lower(): value for name, value in request.headers.items()}
        asked = Asked(request.command, parts.path, query, headers, body)
        self.asked.append(asked)
        self._write(request, self._next(asked))

    def _next(self, asked: Asked) -> Said:
        if callable(self.answer):
            return self.answer(asked)
        return self.answer.pop(0) if len(self.answer) > 1 else self.answer[0]

    def _write(self, request: BaseHTTPRequestHandler, answer: Said) -> None:
        if answer.hang is not None:
            answer.hang.wait(30)
            request.close_connection = True
            return
        request.send_response(answer.status)
        for name, value in answer.headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(answer.body) * (2 if answer.cut else 1)))
        request.end_headers()
        request.wfile.write(answer.body)
        request.close_connection = answer.cut
