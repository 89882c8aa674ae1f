"""What an event shows to be in use: a system, and a model, agent, feature or region of it. Pure.

Read from readings of usage, counts of seats and outputs, of production only. Whether a use case covers what was seen is
asked elsewhere (`ai_register`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple, get_args

from services.shared.periods import day_start, helsinki_day, utc

Aspect = Literal["system", "model", "agent", "feature", "region"]
ASPECTS: Sequence[Aspect] = get_args(Aspect)

READING = "valvomo.usage.recorded.v1"
SEATS = "valvomo.seats.observed.v1"
OUTPUT = "valvomo.ai.output.generated.v1"

_TOKENS = frozenset(
    {"input_tokens", "output_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens"}
)
"""What a reading counts in tokens names a model as its sku; elsewhere a sku is a product."""
_REGIONS = ("region", "inference_geo")
_FEATURES = ("feature", "product")
_HOUR = len("2026-11-17T08")
_PRODUCTION = "production"
_MAX_ABOUT = 256


class Seen(NamedTuple):
    """A system was seen in use, or this model, agent, feature or region of it; `value` of a system is its id."""

    system: str
    aspect: Aspect
    value: str

    @property
    def about(self) -> str:
        """What it is, in a line: the aspect and the value."""
        return f"{self.aspect} {self.value}"[:_MAX_ABOUT]


class Sighting(NamedTuple):
    """`first_seq`: the entry that showed it first. `first_at`: the first hour of its use; `last_at`: the last day."""

    seen: Seen
    first_seq: int
    first_at: datetime
    last_at: datetime


def seen_in(event: Mapping[str, Any]) -> tuple[str, frozenset[Seen]] | None:
    """When (RFC 3339, to the hour where it is UTC), and what an event shows; None where it shows nothing."""
    kind, data = event.get("type"), event.get("data")
    if kind not in {READING, SEATS, OUTPUT} or not isinstance(data, dict) or not isinstance(data.get("system"), str):
        return None
    if data.get("environment", _PRODUCTION) != _PRODUCTION or data.get("retracted") is True:
        return None
    when, named = _TOLD[kind](data)
    if not isinstance(when, str):
        return None
    system: str = data["system"]
    found = frozenset(Seen(system, aspect, value) for aspect, value in named if isinstance(value, str) and value)
    return _to_the_hour(when), found | {Seen(system, "system", system)}


def gathered(shown: Iterable[tuple[int, str, frozenset[Seen]]]) -> list[Sighting]:
    """What entries, (index, when, what they show) in the order of their indexes, show together, in that order."""
    times = {(when, found): index for index, when, found in reversed(list(shown))}  # each once, by its first entry
    together: dict[Seen, Sighting] = {}
    for (when, found), index in times.items():
        moment = _moment(when)
        if moment is None:
            continue
        for seen in found:
            one = Sighting(seen, index, moment, day_start(helsinki_day(moment)))
            together[seen] = joined(together[seen], one) if seen in together else one
    return sorted(together.values(), key=lambda one: (one.first_seq, one.seen))


def joined(one: Sighting, other: Sighting) -> Sighting:
    """Two sightings of the same."""
    return Sighting(
        one.seen,
        min(one.first_seq, other.first_seq),
        min(one.first_at, other.first_at),
        max(one.last_at, other.last_at),
    )


def _of_reading(data: Mapping[str, Any]) -> tuple[object, list[tuple[Aspect, object]]]:
    dimensions, consumer, consumed = data.get("dimensions") or {}, data.get("consumer") or {}, data.get("consumed")
    tags = consumer.get("tags") or {}
    named: list[tuple[Aspect, object]] = [("agent", tags.get("agent"))]
    named += [("feature", tags.get(name)) for name in _FEATURES]
    named += [("region", dimensions.get(name)) for name in _REGIONS]
    if consumed and not _TOKENS.isdisjoint(consumed):
        named.append(("model", data.get("sku")))
    return data.get("charge_period_start"), named


def _of_seats(data: Mapping[str, Any]) -> tuple[object, list[tuple[Aspect, object]]]:
    day = data.get("observed_on") if data.get("purchased") or data.get("assigned") else None
    return f"{day}T12" if isinstance(day, str) else None, []


def _of_output(data: Mapping[str, Any]) -> tuple[object, list[tuple[Aspect, object]]]:
    aspects: Iterator[Aspect] = (aspect for aspect in ASPECTS if aspect != "system")
    return data.get("generated_at"), [(aspect, data.get(aspect)) for aspect in aspects]


_TOLD = {READING: _of_reading, SEATS: _of_seats, OUTPUT: _of_output}


def _to_the_hour(when: str) -> str:
    """Readings of one hour say the same, so that each is looked at once; Helsinki's days begin at full hours."""
    return when[:_HOUR] if when.endswith("Z") else when


def _moment(when: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(when)
        return utc(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except ValueError:
        return None
