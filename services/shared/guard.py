"""The guard before every route: who may, how large a body may be, which headers every answer carries.

It writes one log line per request, with neither person nor token in it.
"""

import asyncio
import time
from collections.abc import Mapping, MutableMapping, Sequence
from contextlib import suppress
from http import HTTPMethod
from typing import Any

from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.shared.access import READING_METHODS, Access, Holder, is_loopback
from services.shared.answers import SIGN_IN, platform_problem, problem, refusal
from services.shared.errors import PlatformError
from services.shared.logs import frames, logger
from services.shared.sessions import Bucket, NotAllowedError, check_origin

MAX_BODY_BYTES = 10 * 1024 * 1024
"""A larger body is refused as soon as it is seen to be."""

BODY_PATIENCE_SECONDS = 60.0
CLIENT_LEFT = 499
"""In the log line of a request whose sender went away before its body was whole; nobody gets this answer."""

_DRAINED_BYTES = 32 * 1024 * 1024
_DRAIN_SECONDS = 10.0
_METHODS = frozenset(HTTPMethod)
_SAFE = READING_METHODS | {"OPTIONS", "TRACE"}
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})
_ALWAYS = "default-src 'self'; img-src 'self' data: https:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
_STYLED = f"{_ALWAYS}; style-src 'self' 'unsafe-inline'"
_PAGE_POLICY = f"{_STYLED}; script-src 'none'"
_SCRIPT_POLICY = f"{_STYLED}; script-src 'self'"
_SCRIPTED = ("/audit/", "/reviews/")
"""The log's pages and those of reviews have a script, as a file of its own; no other page has any."""
# FastAPI's page of `/docs` takes its script and style from there.
_DOCS_CDN = "'self' 'unsafe-inline' https://cdn.jsdelivr.net"
_DOCS_POLICY = f"{_ALWAYS}; script-src {_DOCS_CDN}; style-src {_DOCS_CDN}"
_HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"cache-control": b"no-store",
}
_HTTPS_ONLY = {b"strict-transport-security": b"max-age=31536000"}


class Guard:
    """ASGI middleware in front of every route."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access
        self._actions = Bucket()
        self._always = {**_HEADERS, **(_HTTPS_ONLY if access.is_secure else {})}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._guarded(scope, receive, send)

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        answer = _Answer(scope, send, self._always)
        headers = {name: text.decode("latin-1") for name, text in scope["headers"]}
        try:
            refused = await self._refusal(scope, headers)
            if refused is None:
                await self._app(scope, _Body(receive).receive, answer.send)
            else:
                await _drain(receive, headers)
                await refused(scope, receive, answer.send)
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

    async def _refusal(self, scope: Scope, headers: Mapping[bytes, str]) -> Response | None:
        if self._access.is_open and not _is_here(headers.get(b"host", "")):
            return problem(
                421, "found a Host that is not this machine; without a tokens file ask for 127.0.0.1 or localhost"
            )
        length = headers.get(b"content-length", "0")
        if length.isdecimal() and int(length) > MAX_BODY_BYTES:
            return _too_large()
        scope[SIGN_IN] = self._access.sign_in_url
        try:
            scope["valvomo.holder"] = await self._holder(scope, headers)
        except NotAllowedError as error:
            return refusal(scope, error)
        except PlatformError as error:
            return platform_problem(error)
        return None

    async def _holder(self, scope: Scope, headers: Mapping[bytes, str]) -> Holder:
        """Who sends this, if they may."""
        unsafe = scope["method"] not in _SAFE
        if unsafe and not headers.get(b"authorization", "").lower().startswith("bearer "):
            check_origin(headers, self._access.public_url)  # a browser may have been made to send it
        token = self._access.session_token(headers)
        found = None if token is None else await run_in_threadpool(self._access.signed_in, token)
        holder = self._access.admit(scope["method"], scope["path"], headers.get(b"authorization"), found)
        if unsafe and found is not None:
            self._actions.take(found.key)
        return holder


class _Answer:
    """Passes an answer on, with our headers added; remembers its status (0: none yet)."""

    def __init__(self, scope: Scope, send: Send, always: Mapping[bytes, bytes]) -> None:
        self._scope = scope
        self._send = send
        self._always = always
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = _with_ours(message.get("headers", ()), self._scope["path"], self._always)
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


def _with_ours(
    headers: Sequence[tuple[bytes, bytes]], path: str, always: Mapping[bytes, bytes]
) -> list[tuple[bytes, bytes]]:
    present = {name.lower() for name, _ in headers}
    ours = {**always, b"content-security-policy": _policy_of(path).encode()}
    return [*headers, *((name, text) for name, text in ours.items() if name not in present)]


def _policy_of(path: str) -> str:
    if path == "/docs":
        return _DOCS_POLICY
    return _SCRIPT_POLICY if f"{path}/".startswith(_SCRIPTED) else _PAGE_POLICY


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
