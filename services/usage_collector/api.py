"""The collector's routes: CloudEvents and OpenTelemetry come in here.

202 (OTLP: 200) means that the events are durable on the bus. Parsing and publishing run in threads of their own, so
that the event loop never waits for a disk.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CollectorRegistry, Counter

from services.shared.access import Holder
from services.shared.errors import InvalidEventError, PlatformError, TransientError
from services.shared.http import MAX_BODY_BYTES, holder_of, platform_problem, problem
from services.shared.metrics import INTAKE_EVENTS, counter
from services.usage_collector.bodies import (
    TooLargeBodyError,
    UnsupportedBodyError,
    decompressed,
    media_type,
    raw_events,
)
from services.usage_collector.intake import Intake, Outcome, Refusal
from services.usage_collector.otlp import receiver
from services.usage_collector.otlp.carriage import JSON, PROTOBUF, Signal

MAX_REQUESTS_AT_ONCE = 32
THREADS = 8
RETRY_AFTER_SECONDS = 1


def make_router(intake: Intake, registry: CollectorRegistry) -> APIRouter:
    """The routes; `registry` gets the intake's counter."""
    door = _Door(intake, counter(INTAKE_EVENTS, registry))
    router = APIRouter()

    @router.post("/v1/events", tags=["intake"], status_code=202, openapi_extra=_EVENTS_BODY, responses=_EVENTS_ANSWERS)
    async def events(request: Request) -> Response:
        """Send usage readings and AI outputs as CloudEvents: structured, binary, or a batch of up to 1,000 events."""
        return await door.admit(request, door.events)

    @router.post("/v1/otlp/v1/{signal}", tags=["intake"], openapi_extra=_OTLP_BODY)
    async def otlp(request: Request, signal: Signal) -> Response:
        """Send OpenTelemetry traces, metrics or logs by OTLP/HTTP, in protobuf or JSON."""
        return await door.admit(request, lambda sent: door.otlp(sent, signal))

    return router


@dataclass(frozen=True, slots=True)
class _Sent:
    """A request whose body has been read."""

    request: Request
    body: bytes
    holder: Holder

    def header(self, name: str) -> str:
        return self.request.headers.get(name, "")

    @property
    def plain(self) -> bytes:
        return decompressed(self.body, self.header("content-encoding"), MAX_BODY_BYTES)


@dataclass(slots=True)
class _Door:
    """Lets a bounded number of requests in at once, and counts what they brought."""

    intake: Intake
    counted: Counter
    inside: int = 0
    limiter: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(THREADS))

    async def admit(self, request: Request, handle: Callable[[_Sent], Response]) -> Response:
        if self.inside >= MAX_REQUESTS_AT_ONCE:
            wait = {"Retry-After": str(RETRY_AFTER_SECONDS)}
            return problem(429, f"{MAX_REQUESTS_AT_ONCE} requests are being taken in already; try again", wait)
        self.inside += 1
        try:
            sent = _Sent(request, await request.body(), holder_of(request))
            return await self._in_thread(handle, sent)
        finally:
            self.inside -= 1

    def _in_thread(self, handle: Callable[[_Sent], Response], sent: _Sent) -> Awaitable[Response]:
        return run_sync(handle, sent, limiter=self.limiter)

    def events(self, sent: _Sent) -> Response:
        try:
            raws = raw_events(media_type(sent.header("content-type")), sent.request.headers.raw, sent.plain)
            outcome = self.intake.accept(raws, sent.holder)
        except InvalidEventError as error:
            outcome = Outcome(0, [Refusal(None, None, str(error))])
        except (UnsupportedBodyError, TooLargeBodyError) as error:
            return _body_problem(error)
        self._count(outcome)
        return JSONResponse(_told(outcome), 400 if outcome.refused else 202)

    def otlp(self, sent: _Sent, signal: Signal) -> Response:
        kind = sent.header("content-type").partition(";")[0].strip().lower()
        if kind not in {JSON, PROTOBUF}:
            return problem(415, f"expected Content-Type {PROTOBUF} or {JSON}", {"Accept": f"{PROTOBUF}, {JSON}"})
        try:
            answer = receiver.receive(signal, kind, sent.plain, sent.holder, self.intake)
        except PlatformError as error:
            return receiver.failure(_status_of(error), kind, str(error), _headers_of(error))
        self._count(answer.outcome)
        return Response(answer.body, media_type=kind)

    def _count(self, outcome: Outcome) -> None:
        self.counted.labels("accepted").inc(outcome.accepted)
        self.counted.labels("refused").inc(len(outcome.refused))


def _told(outcome: Outcome) -> dict[str, Any]:
    refused = [{"index": one.index, "id": one.id, "reason": one.reason} for one in outcome.refused]
    return {"accepted": outcome.accepted, "refused": refused}


def _body_problem(error: PlatformError) -> Response:
    if isinstance(error, TooLargeBodyError):
        return problem(413, str(error))
    return problem(415, str(error), {"Accept-Encoding": "gzip"})


def _status_of(error: PlatformError) -> int:
    match error:
        case TooLargeBodyError():
            return 413
        case UnsupportedBodyError():
            return 415
        case _:
            return platform_problem(error).status_code


def _headers_of(error: PlatformError) -> dict[str, str]:
    return {"Retry-After": platform_problem(error).headers["retry-after"]} if isinstance(error, TransientError) else {}


def _body(*kinds: str) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {kind: {"schema": {}} for kind in kinds}}}


_EVENTS_BODY = _body("application/cloudevents+json", "application/cloudevents-batch+json", "application/json")
_OTLP_BODY = _body(PROTOBUF, JSON)
_EVENTS_ANSWERS: dict[int | str, dict[str, Any]] = {
    202: {"description": "All are durable on the bus"},
    400: {"description": "Some were refused, with reasons; the others are durable"},
    413: {"description": "More than 10 MiB or 1,000 events"},
    415: {
        "description": "Neither structured, batch nor binary CloudEvents in JSON, or compressed otherwise than by gzip"
    },
    429: {"description": "Too many requests at once; see Retry-After"},
    503: {"description": "The bus is away; see Retry-After"},
}
