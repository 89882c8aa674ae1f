"""The HTTP application that every process serves: its services' routes behind one guard, and what operations ask."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.exceptions import HTTPException

from services.shared.access import Access, NotAllowedError
from services.shared.answers import platform_problem, problem, refusal
from services.shared.bus import EventBus, Positions
from services.shared.errors import PlatformError
from services.shared.events import TOPICS
from services.shared.forms import check_token_header, form_lists, form_of, holder_of, person_of
from services.shared.guard import MAX_BODY_BYTES, Guard
from services.shared.service import Service
from services.shared.serving import Server, serve

__all__ = [
    "MAX_BODY_BYTES",
    "ConsumerStatus",
    "ReportsStatus",
    "Server",
    "check_token_header",
    "form_lists",
    "form_of",
    "holder_of",
    "make_app",
    "person_of",
    "platform_problem",
    "problem",
    "serve",
]


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
    # A slash too many is another path: where it leads to would else be made from the Host that the sender wrote.
    app = FastAPI(title="Valvomo", redoc_url=None, redirect_slashes=False)
    _answer_errors(app)
    _add_operations(app, services, registry, bus)
    if bus is not None:
        _add_status(app, services, bus)
    for service in services:
        app.include_router(service.router)
    app.add_middleware(Guard, access=access)
    return app


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

    @app.exception_handler(NotAllowedError)
    async def not_allowed(request: Request, error: NotAllowedError) -> Response:
        return refusal(request.scope, error)

    @app.exception_handler(PlatformError)
    async def platform_error(_request: Request, error: PlatformError) -> Response:
        return platform_problem(error)
