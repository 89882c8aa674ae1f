"""A condition as it is found: before it has a name, a beginning that stays, and recipients."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from services.cost_alerts.domain.alerts.situation import Topic
from services.shared.events.envelope import event_id
from services.shared.events.outcomes import AlertKind, Severity

MOST_CHARACTERS = 256
"""Of a name in an event."""


@dataclass(frozen=True, slots=True)
class Found:
    """Something that holds now. `source`: of a source's silence, whose systems' owners are told.

    For the other members see `Condition`.
    """

    kind: AlertKind
    severity: Severity
    about: str
    since: date
    unit: str | None = None
    system: str | None = None
    figures: Mapping[str, Decimal] = field(default_factory=dict)
    until: date | None = None
    source: str | None = None

    @property
    def topic(self) -> Topic:
        return (self.kind, self.about)

    @property
    def alert_id(self) -> str:
        return alert_id(self.kind, self.about, self.since)


def alert_id(kind: AlertKind, about: str, since: date) -> str:
    """The name of an alert, the same whoever finds it."""
    return event_id("alert", kind, about, since.isoformat())


def named(*parts: str) -> str:
    """What an alert is about, in words that an event may carry."""
    return " ".join(parts)[:MOST_CHARACTERS]
