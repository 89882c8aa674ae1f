"""The HTTP application that every process serves: its services' routes behind one guard, and what operations ask.

The guard (`_Guard`) stands before every route: who may (`access.py`), how large a body may be, which headers every
answer carries, and one log line per request with neither person nor token in it. Errors leave in one shape,
`application/problem+json` (RFC 9457).
"""

import asyncio
import time
from collections.abc import Mapping, MutableMapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPMethod, HTTPStatus
from typing import Any, Protocol, runtime_checkable

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.shared.access import Access, Holder, NotAllowedError, is_loopback
from services.shared.bus import EventBus, Positions
from services.shared.errors import InvalidEventError, PlatformError, TransientError
from services.shared.events import TOPICS
from services.shared.logs import frames, logger
from services.shared.service import Service
from services.shared.serving import Server, serve

__all__ = [
    "ConsumerStatus",
    "ReportsStatus",
    "Server",
    "holder_of",
    "make_app",
    "platform_problem",
    "problem",
    "serve",
]

MAX_BODY_BYTES = 10 * 1024 * 1024
"""A larger body is refused as soon as it is seen to be."""

BODY_PATIENCE_SECONDS = 60.0
CLIENT_LEFT = 499
"""In the log line of a request whose sender went away before its body was whole; nobody gets this answer."""

DEFAULT_RETRY_AFTER_SECONDS = 5.0

_DRAINED_BYTES = 32 * 1024 * 1024
_DRAIN_SECONDS = 10.0
_METHODS = frozenset(HTTPMethod)
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})
_PROBLEM = "application/problem+json"
_ALWAYS = "default-src 'self'; img-src 'self' data: https:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
_STYLED = f"{_ALWAYS}; style-src 'self' 'unsafe-inline'"
_PAGE_POLICY = f"{_STYLED}; script-src 'none'"
_SCRIPT_POLICY = f"{_STYLED}; script-src 'self'"
_SCRIPTED = "/audit"
"""The log's pages have a script, as a file of its own; no other page has any."""
# FastAPI's page of `/docs` takes its script and style from there.
_DOCS_CDN = "'self' 'unsafe-inline' https://cdn.jsdelivr.net"
_DOCS_POLICY = f"{_ALWAYS}; script-src {_DOCS_CDN}; style-src {_DOCS_CDN}"
_HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
    b"cache-control": b"no-store",
}


@dataclass(frozen=True, slots=True)
class ConsumerStatus:
    """How far one consumer group has come.

    `positions` may leave out partitions that were never read. `pending` counts what it still has to do beyond the bus:
    outbox messages that wait, readings to be restated.
    """

    group: str
    topics: Sequence[str]
    positions: Positions
    pending: int = 0


@runtime_checkable
class ReportsStatus(Protocol):
    """A service that has consumers to tell about. Optional: a service without this method has none."""

    def statuses(self) -> Sequence[ConsumerStatus]:
        """Its consumers, read now from its store."""
        ...


def make_app(
    services: Sequence[Service], registry: CollectorRegistry, access: Access, bus: EventBus | None = None
) -> FastAPI:
    """The application of one process. It neither starts nor stops the services: who runs the process does.

    `bus` lets `/api/v1/status` tell the end of every topic; without it only `/api/v1/status` is missing.
    """
    app = FastAPI(title="Valvomo", redoc_url=None)
    _answer_errors(app)
    _add_operations(app, services, registry, bus)
    if bus is not None:
        _add_status(app, services, bus)
    for service in services:
        app.include_router(service.router)
    app.add_middleware(_Guard, access=access)
    return app


def holder_of(request: Request) -> Holder:
    """Who sent a request that the guard let through."""
    found = request.scope.get("valvomo.holder")
    if not isinstance(found, Holder):
        raise NotAllowedError("this request came past the guard; serve the routes by make_app", 401)
    return found


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """An error as RFC 9457 writes it. `detail` says what was found, what was expected, what to do."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return JSONResponse(body, status, dict(headers or {}), _PROBLEM)


def _add_operations(
    app: FastAPI, services: Sequence[Service], registry: CollectorRegistry, bus: EventBus | None
) -> None:
    @app.get("/healthz", tags=["operations"])
    async def healthz() -> dict[str, str]:
        """The process runs and answers."""
        return {"status": "ok"}

    @app.get("/readyz", tags=["operations"])
    def readyz(request: Request) -> JSONResponse:
        """200 when every service does its work, else 503; who has a token is told the problems, a sentence each."""
        problems = [*_bus_problems(bus), *(sentence for service in services for sentence in service.problems())]
        told: dict[str, Any] = {"status": "not ready" if problems else "ready"}
        if holder_of(request).is_known:
            told["problems"] = problems
        return JSONResponse(told, 503 if problems else 200)

    @app.get("/metrics", tags=["operations"])
    def metrics() -> Response:
        """Prometheus text format; gauges are read from the stores now."""
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


def _bus_problems(bus: EventBus | None) -> Sequence[str]:
    """Asked at every look: who waits for records cannot tell a silent bus from one that is away."""
    if bus is None:
        return ()
    try:
        bus.end_positions([topic.name for topic in TOPICS])
    except PlatformError as error:
        return (f"bus: {error}",)
    return ()


def _add_status(app: FastAPI, services: Sequence[Service], bus: EventBus) -> None:
    names = [topic.name for topic in TOPICS]

    @app.get("/api/v1/status", tags=["operations"])
    def status() -> dict[str, Any]:
        """Per topic its end, per consumer its position: caught up or not."""
        consumers = [
            found for service in services if isinstance(service, ReportsStatus) for found in service.statuses()
        ]
        ends = bus.end_positions(names)  # after the positions: "caught up" is then never said too early
        told = [_consumer(consumer, ends) for consumer in consumers]
        return {
            "caught_up": all(one["caught_up"] for one in told),
            "topics": {name: {"end": sum(_of(ends, name).values()), "partitions": _of(ends, name)} for name in names},
            "consumers": told,
        }


def _of(positions: Positions, topic: str) -> dict[str, int]:
    return {str(key.partition): offset for key, offset in sorted(positions.items()) if key.topic == topic}


def _consumer(consumer: ConsumerStatus, ends: Positions) -> dict[str, Any]:
    lags = {name: _lag(consumer.positions, ends, name) for name in consumer.topics}
    return {
        "group": consumer.group,
        "caught_up": not any(lags.values()) and not consumer.pending,
        "lag": sum(lags.values()),
        "pending": consumer.pending,
        "topics": {name: {"lag": lag, "positions": _of(consumer.positions, name)} for name, lag in lags.items()},
    }


def _lag(positions: Positions, ends: Positions, topic: str) -> int:
    return sum(max(0, end - positions.get(key, 0)) for key, end in ends.items() if key.topic == topic)


def _answer_errors(app: FastAPI) -> None:
    @app.exception_handler(HTTPException)
    async def http_error(_request: Request, error: HTTPException) -> Response:
        return problem(error.status_code, str(error.detail), error.headers)

    @app.exception_handler(RequestValidationError)
    async def wrong_parameters(_request: Request, error: RequestValidationError) -> Response:
        wrong = "; ".join(f"{'.'.join(map(str, item['loc'][1:]))}: {item['msg']}" for item in error.errors())
        return problem(422, f"found parameters that cannot be used: {wrong}. See /docs")

    @app.exception_handler(PlatformError)
    async def platform_error(_request: Request, error: PlatformError) -> Response:
        return platform_problem(error)


def platform_problem(error: PlatformError) -> Response:
    """The answer to an error of our own tree."""
    match error:
        case TransientError():
            wait = DEFAULT_RETRY_AFTER_SECONDS if error.retry_after_seconds is None else error.retry_after_seconds
            return problem(503, f"not possible just now, try again: {error}", {"Retry-After": str(max(1, round(wait)))})
        case NotAllowedError():
            return problem(error.status, str(error))
        case InvalidEventError():
            return problem(400, str(error))
        case _:
            logger("http").error("request failed", error=type(error).__name__, reason=str(error))
            return problem(500, "the program cannot do this in its present state; the log says why")


class _Guard:
    """ASGI middleware in front of every route."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._guarded(scope, receive, send)

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        answer = _Answer(scope, send)
        headers = {name: text.decode("latin-1") for name, text in scope["headers"]}
        try:
            refusal = self._refusal(scope, headers)
            if refusal is None:
                await self._app(scope, _Body(receive).receive, answer.send)
            else:
                await _drain(receive, headers)
                await refusal(scope, receive, answer.send)
        except ClientDisconnect:
            answer.status = answer.status or CLIENT_LEFT
        except Exception as error:  # noqa: BLE001  # the last resort: no request ends in a traceback for the sender
            logger("http").error(
                "request broke", error=type(error).__name__, frames=frames(error)
            )  # the message may hold a sender's text
            if not answer.status:
                await problem(500, "something unforeseen happened; the log has a line about it")(
                    scope, receive, answer.send
                )
        finally:
            _tell(scope, answer.status, time.perf_counter() - began)

    def _refusal(self, scope: Scope, headers: Mapping[bytes, str]) -> Response | None:
        if self._access.is_open and not _is_here(headers.get(b"host", "")):
            return problem(
                421, "found a Host that is not this machine; without a tokens file ask for 127.0.0.1 or localhost"
            )
        length = headers.get(b"content-length", "0")
        if length.isdecimal() and int(length) > MAX_BODY_BYTES:
            return _too_large()
        try:
            scope["valvomo.holder"] = self._access.admit(scope["method"], scope["path"], headers.get(b"authorization"))
        except NotAllowedError as error:
            return problem(
                error.status,
                str(error),
                _challenge(scope["method"]) if error.status == HTTPStatus.UNAUTHORIZED else None,
            )
        return None


class _Answer:
    """Passes an answer on, with our headers added; remembers its status (0: none yet)."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = _with_ours(message.get("headers", ()), self._scope["path"])
        await self._send(message)


class _Body:
    """Passes a body on until it grows too large or comes too slowly."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._bytes = 0
        self._deadline: float | None = asyncio.get_running_loop().time() + BODY_PATIENCE_SECONDS

    async def receive(self) -> Message:
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(408, _TOO_SLOW) from None
        self._bytes += len(message.get("body", b""))
        if not message.get("more_body", False):
            self._deadline = None  # what is awaited from now on is only the end of the connection
        if self._bytes > MAX_BODY_BYTES:
            await _drain(self._receive, {}, ends=self._deadline is None)
            raise HTTPException(413, _TOO_LARGE)
        return message


_TOO_SLOW = f"the body did not come within {BODY_PATIENCE_SECONDS:.0f} seconds; send it again, or less at once"
_TOO_LARGE = f"found a body of more than {MAX_BODY_BYTES} bytes; send smaller batches"


def _too_large() -> Response:
    return problem(413, _TOO_LARGE)


async def _drain(receive: Receive, headers: Mapping[bytes, str], *, ends: bool = False) -> None:
    """Read on and forget, within bounds: a sender whose connection closes while it writes never sees the answer."""
    if ends or b"expect" in headers:  # it waits to be asked for its body, so it will read the answer
        return
    left = _DRAINED_BYTES
    with suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b"")) + 1
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return


def _with_ours(headers: Sequence[tuple[bytes, bytes]], path: str) -> list[tuple[bytes, bytes]]:
    present = {name.lower() for name, _ in headers}
    ours = {**_HEADERS, b"content-security-policy": _policy_of(path).encode()}
    return [*headers, *((name, text) for name, text in ours.items() if name not in present)]


def _policy_of(path: str) -> str:
    if path == "/docs":
        return _DOCS_POLICY
    return _SCRIPT_POLICY if f"{path}/".startswith(f"{_SCRIPTED}/") else _PAGE_POLICY


def _challenge(method: str) -> Mapping[str, str]:
    offered = 'Bearer realm="valvomo"' + (
        ', Basic realm="valvomo", charset="UTF-8"' if method in {"GET", "HEAD"} else ""
    )
    return {"WWW-Authenticate": offered}


def _is_here(host: str) -> bool:
    """Whether the Host header names this machine: a page of another site cannot then read from an open program."""
    name = host.partition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]
    return is_loopback(name)


def _tell(scope: MutableMapping[str, Any], status: int, seconds: float) -> None:
    route = getattr(scope.get("route"), "path", "unknown")  # the pattern, so that no identifier of a path is written
    log = logger("http")
    write = log.debug if route in _QUIET else log.info
    method = scope["method"] if scope["method"] in _METHODS else "unknown"  # it may be any word of the sender's
    write("request", method=method, route=route, status=status, milliseconds=round(seconds * 1000, 1))
