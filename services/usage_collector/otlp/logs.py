"""Log records into readings and reviews: Claude Code's `api_request` and `tool_decision`, and GenAI evaluations.

Source: Claude Code monitoring documentation v2.1.240; GenAI semantic conventions, event `gen_ai.evaluation.result`.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from services.shared.errors import InvalidEventError
from services.shared.events import event_id
from services.shared.money import as_text
from services.usage_collector.otlp.origin import Attributes, Origin, Raw, attributes_of, count, first_text, moment, text
from services.usage_collector.otlp.reviews import decision_events, evaluation_events
from services.usage_collector.otlp.tokens import Tokens

_CLAUDE_CODE = "claude-code"


def log_events(record: LogRecord, origin: Origin) -> Sequence[Raw]:
    """The reading or review that a record tells of; none when it is about something else.

    Raises:
        InvalidEventError: it is about a call or a review, and lacks what an event needs.
    """
    attributes = attributes_of(record.attributes)
    name = record.event_name or text(attributes, "event.name")
    if name == "gen_ai.evaluation.result":
        return evaluation_events(attributes, origin, _time(record))
    if origin.service.startswith(_CLAUDE_CODE):
        return _claude_code(name, attributes, origin, _time(record))
    return ()


def _claude_code(name: str | None, attributes: Attributes, origin: Origin, at: datetime) -> Sequence[Raw]:
    match (name or "").removeprefix("claude_code."):
        case "api_request":
            return (_request(origin, attributes, at),)
        case "tool_decision":
            return decision_events(attributes, origin, at)
        case _:
            return ()


def _time(record: LogRecord) -> datetime:
    return moment(record.time_unix_nano or record.observed_time_unix_nano)


def _request(origin: Origin, attributes: Attributes, end: datetime) -> Raw:
    system, model = origin.system(attributes), text(attributes, "model")
    if model is None:
        raise InvalidEventError("model: found an api_request without it")
    reading_id = event_id("otlp", system, *_request_name(attributes))
    start = _before(end, count(attributes, "duration_ms") or 0)
    data = {
        "reading_id": reading_id,
        "system": system,
        "sku": model,
        "charge_period_start": start.isoformat(),
        "charge_period_end": end.isoformat(),
        "consumed": _tokens(attributes).meters(),
        "dimensions": {"speed": speed} if (speed := text(attributes, "speed")) else {},
        "consumer": origin.consumer(attributes),
        "environment": origin.environment(attributes),
        "finality": "estimate",  # how long a cache write lives is not told
        "purpose": origin.holder.otlp_purpose,
        "reported_cost": _cost(attributes),
    }
    name = (origin.source(), f"{reading_id}.0")
    return origin.event("valvomo.usage.recorded.v1", name, subject=system, time=end, data=data)


def _before(end: datetime, duration_milliseconds: int) -> datetime:
    try:
        return end - timedelta(milliseconds=max(1, duration_milliseconds))
    except OverflowError:
        raise InvalidEventError("duration_ms: found a call that began before the year 1; mend the sender") from None


def _request_name(attributes: Attributes) -> tuple[str, ...]:
    name = first_text(attributes, "request_id", "client_request_id")
    if name:
        return (name,)
    session = text(attributes, "session.id")
    if session is None or "event.sequence" not in attributes:
        raise InvalidEventError("request_id: found an api_request that cannot be told from others; update Claude Code")
    return (session, str(attributes["event.sequence"]))


def _tokens(attributes: Attributes) -> Tokens:
    found = Tokens(
        count(attributes, "input_tokens"),
        count(attributes, "output_tokens"),
        count(attributes, "cache_read_tokens") or 0,
        count(attributes, "cache_creation_tokens") or 0,
        input_includes_cached=False,
    )
    if not found.is_known:
        raise InvalidEventError("input_tokens: found an api_request without token counts")
    return found


def _cost(attributes: Attributes) -> Raw | None:
    """The client's own estimate; only its whole micro-dollars, because `cost_usd` is a float."""
    micros = count(attributes, "cost_usd_micros")
    return None if micros is None else {"amount": as_text(Decimal(micros).scaleb(-6)), "currency": "USD"}
