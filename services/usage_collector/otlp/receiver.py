"""An OTLP request, from its bytes to events on the bus and back to the answer its exporter expects."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from fastapi.responses import Response
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from services.shared.access import Holder
from services.shared.errors import InvalidEventError
from services.usage_collector.intake import Intake, Outcome
from services.usage_collector.otlp import carriage
from services.usage_collector.otlp.carriage import Request, Signal
from services.usage_collector.otlp.logs import log_events
from services.usage_collector.otlp.metrics import Series, series_event, series_of
from services.usage_collector.otlp.origin import Origin, Raw, attributes_of
from services.usage_collector.otlp.spans import span_events

T = TypeVar("T")
_MAX_REASONS = 3


@dataclass(frozen=True, slots=True)
class Answer:
    """The body of the 200, and what became of the events for our own count."""

    body: bytes
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Item:
    """A span, a log record, or the `weight` points of a series: the events it makes, or why it cannot."""

    weight: int
    events: Sequence[Raw] = ()
    fault: str | None = None


def receive(signal: Signal, kind: str, body: bytes, holder: Holder, intake: Intake) -> Answer:
    """Take a request in. When this returns, what was accepted is durable on the bus.

    Raises:
        InvalidEventError: the body is not an OTLP request of that signal.
        TransientError: the bus is away; the exporter should send again.
    """
    items = list(_items(carriage.decode(signal, kind, body), holder))
    events, owners = _without_repeats(items)
    outcome = intake.accept(events, holder)
    faults = {owners[refusal.index]: refusal.reason for refusal in outcome.refused if refusal.index is not None}
    faults.update({number: item.fault for number, item in enumerate(items) if item.fault is not None})
    rejected = sum(items[number].weight for number in faults)
    reasons = list(dict.fromkeys(faults.values()))[:_MAX_REASONS]
    return Answer(carriage.success(signal, kind, rejected, "; ".join(reasons)), outcome)


def failure(status: int, kind: str, message: str, headers: Mapping[str, str]) -> Response:
    """An error in the form that exporters read."""
    return Response(carriage.status(kind, message), status, dict(headers), kind)


def _without_repeats(items: Sequence[Item]) -> tuple[list[Raw], list[int]]:
    """Events and the numbers of their items. Two instrumentations may tell of one call: the first stands."""
    seen: set[tuple[str, str]] = set()
    events, owners = [], []
    for number, item in enumerate(items):
        for event in item.events:
            name = (event["source"], event["id"])
            if name not in seen:
                seen.add(name)
                events.append(event)
                owners.append(number)
    return events, owners


def _items(request: Request, holder: Holder) -> Iterator[Item]:
    match request:
        case ExportTraceServiceRequest():
            for origin, spans in _spans(request, holder):
                yield from (_made(span_events, span, origin) for span in spans)
        case ExportLogsServiceRequest():
            for origin, records in _records(request, holder):
                yield from (_made(log_events, record, origin) for record in records)
        case ExportMetricsServiceRequest():
            for origin, found in _series(request, holder):
                yield from (_made(_series_events, series, origin, series.points) for series in found)


def _made(make: Callable[[T, Origin], Sequence[Raw]], thing: T, origin: Origin, weight: int = 1) -> Item:
    try:
        return Item(weight, make(thing, origin))
    except InvalidEventError as error:
        return Item(weight, fault=str(error))


def _series_events(series: Series, origin: Origin) -> Sequence[Raw]:
    made = series_event(series, origin)
    return () if made is None else (made,)


def _spans(request: ExportTraceServiceRequest, holder: Holder) -> Iterator[tuple[Origin, Sequence[Span]]]:
    for part in request.resource_spans:
        resource = attributes_of(part.resource.attributes)
        for scoped in part.scope_spans:
            yield Origin(resource, scoped.scope.name, holder), scoped.spans


def _records(request: ExportLogsServiceRequest, holder: Holder) -> Iterator[tuple[Origin, Sequence[LogRecord]]]:
    for part in request.resource_logs:
        resource = attributes_of(part.resource.attributes)
        for scoped in part.scope_logs:
            yield Origin(resource, scoped.scope.name, holder), scoped.log_records


def _series(request: ExportMetricsServiceRequest, holder: Holder) -> Iterator[tuple[Origin, Sequence[Series]]]:
    for part in request.resource_metrics:
        resource = attributes_of(part.resource.attributes)
        for scoped in part.scope_metrics:
            yield Origin(resource, scoped.scope.name, holder), series_of(scoped.metrics)
