"""Log records into readings and reviews: Claude Code's `api_request`, and GenAI evaluations made by a person.

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
from services.usage_collector.otlp.tokens import Tokens

REVIEWERS = ("valvomo.reviewer", "kaupunki.reviewer.pseudonym")
"""Who reviewed: the conventions have no attribute for it. A model's evaluation carries none of these."""

_DECISIONS = {"pass": "approved", "fail": "rejected", "edited": "edited", "abstained": "abstained"}
_EDITS = {"approved": "explicit_accept", "rejected": "explicit_accept", "edited": "edited", "abstained": "none"}


def log_events(record: LogRecord, origin: Origin) -> Sequence[Raw]:
    """The reading or review that a record tells of; none when it is about something else.

    Raises:
        InvalidEventError: it is about a call or a review, and lacks what an event needs.
    """
    attributes = attributes_of(record.attributes)
    name = record.event_name or text(attributes, "event.name")
    if name == "gen_ai.evaluation.result" and _is_human(attributes):
        return (_review(origin, attributes, _time(record)),)
    if name in {"api_request", "claude_code.api_request"} and origin.service.startswith("claude-code"):
        return (_request(origin, attributes, _time(record)),)
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


def _is_human(attributes: Attributes) -> bool:
    return text(attributes, "gen_ai.evaluation.name") == "human_review" and bool(first_text(attributes, *REVIEWERS))


def _review(origin: Origin, attributes: Attributes, decided: datetime) -> Raw:
    output_id = text(attributes, "gen_ai.response.id")
    decision = _DECISIONS.get(text(attributes, "gen_ai.evaluation.score.label") or "")
    if output_id is None or decision is None:
        raise InvalidEventError(f"a human_review needs gen_ai.response.id and a score label: {', '.join(_DECISIONS)}")
    reviewer = first_text(attributes, *REVIEWERS)
    source = origin.source()
    review_id = event_id("ai.review", source, output_id, decided)
    data = {
        "review_id": review_id,
        "output_id": output_id,
        "reviewer": reviewer,
        "decided_at": decided.isoformat(),
        "decision": decision,
        "evidence": _EDITS[decision],
    }
    return origin.event("valvomo.ai.review.decided.v1", (source, review_id), subject=output_id, time=decided, data=data)
