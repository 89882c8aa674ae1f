"""What an event shows to be in use: a system, and a model, agent, feature or region of it. Pure.

Read from readings of usage, counts of seats and outputs, of production only. Whether a use case covers what was seen is
asked elsewhere (`ai_register`).
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from services.shared.periods import day_start, helsinki_day, utc

Aspect = Literal["system", "model", "agent", "feature", "region"]

Shown = tuple[Any, ...]
"""When (RFC 3339; the hour, where it is UTC), the system, and what of it, in the order of `_NAMED`, as it was sent."""

_TOKENS = frozenset(
    {"input_tokens", "output_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens"}
)
"""What a reading counts in tokens names a model as its sku; elsewhere a sku is a product."""
_NAMED: Sequence[Aspect] = ("model", "agent", "feature", "region", "feature", "region")
"""What a vendor calls its product is a feature of the system; where it infers, a region."""
_NOTHING: Shown = (None, None)
_NONE = (None, None, None)
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


def shown_by(event: Mapping[str, Any]) -> Shown | None:
    """What an event shows; None where that is nothing. Called for every entry, so it makes nothing but one tuple."""
    look = _LOOKS.get(event["type"]) if isinstance(event.get("type"), str) else None
    data = event.get("data")
    if look is None or not isinstance(data, dict) or data.get("environment", _PRODUCTION) != _PRODUCTION:
        return None
    try:
        shown = look(data)
    except (AttributeError, TypeError):  # an entry that somebody damaged shows nothing; the verifier tells of it
        return None
    return shown if isinstance(shown[0], str) and isinstance(shown[1], str) else None


def gathered(shown: Iterable[tuple[int, Shown]]) -> list[Sighting]:
    """What entries, (index, what each shows) in the order of their indexes, show together, in that order."""
    firsts: dict[Shown, int] = {}
    for index, one in shown:
        with suppress(TypeError):  # as above
            firsts.setdefault(one, index)
    together: dict[Seen, Sighting] = {}
    for (when, system, *named), index in firsts.items():
        if (moment := _moment(when)) is None:
            continue
        for seen in _seen(system, named):
            one = Sighting(seen, index, moment, day_start(helsinki_day(moment)))
            together[seen] = joined(together[seen], one) if seen in together else one
    return sorted(together.values(), key=lambda one: (one.first_seq, one.seen))


def _seen(system: str, named: Iterable[object]) -> set[Seen]:
    found = {Seen(system, "system", system)}
    values = zip(_NAMED, named, strict=False)
    return found | {Seen(system, aspect, value) for aspect, value in values if isinstance(value, str) and value}


def joined(one: Sighting, other: Sighting) -> Sighting:
    """Two sightings of the same."""
    return Sighting(
        one.seen,
        min(one.first_seq, other.first_seq),
        min(one.first_at, other.first_at),
        max(one.last_at, other.last_at),
    )


def _of_reading(data: Mapping[str, Any]) -> Shown:
    if data.get("retracted") is True:
        return _NOTHING
    dimensions, consumer, consumed = data.get("dimensions"), data.get("consumer"), data.get("consumed")
    model = data.get("sku") if consumed and not _TOKENS.isdisjoint(consumed) else None
    tags = consumer.get("tags") if consumer else None
    agent, feature, product = (tags.get("agent"), tags.get("feature"), tags.get("product")) if tags else _NONE
    region, geo = (dimensions.get("region"), dimensions.get("inference_geo")) if dimensions else (None, None)
    return _hour(data.get("charge_period_start")), data.get("system"), model, agent, feature, region, product, geo


def _of_seats(data: Mapping[str, Any]) -> Shown:
    day = data.get("observed_on")
    held = data.get("purchased") or data.get("assigned")
    return (f"{day}T12", data.get("system")) if held and isinstance(day, str) else _NOTHING


def _of_output(data: Mapping[str, Any]) -> Shown:
    named = (data.get("model"), data.get("agent"), data.get("feature"), data.get("region"))
    return _hour(data.get("generated_at")), data.get("system"), *named


_LOOKS = {
    "valvomo.usage.recorded.v1": _of_reading,
    "valvomo.seats.observed.v1": _of_seats,
    "valvomo.ai.output.generated.v1": _of_output,
}


def _hour(when: object) -> object:
    """Readings of one hour say the same, so that each is looked at once; Helsinki's days begin at full hours."""
    return when[:_HOUR] if isinstance(when, str) and when.endswith("Z") else when


def _moment(when: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(when)
        return utc(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except ValueError:
        return None
