"""What of a reading its price and its unit depend on, without its quantities: many readings share one use."""

import json
from dataclasses import dataclass
from datetime import date, datetime

from services.shared.events.usage import Reading

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Profile:
    """The part of a use that repeats from day to day. `meters`, `dimensions` and `tags` are sorted by name."""

    system: str
    sku: str
    meters: tuple[str, ...]
    dimensions: Pairs = ()
    person: str | None = None
    account: str | None = None
    tags: Pairs = ()
    environment: str = "production"

    @classmethod
    def of(cls, reading: Reading) -> "Profile":
        consumer = reading.consumer
        return cls(
            reading.system,
            reading.sku,
            tuple(sorted(reading.consumed)),
            tuple(sorted(reading.dimensions.items())),
            consumer.person,
            consumer.account,
            tuple(sorted(consumer.tags.items())),
            reading.environment,
        )

    @classmethod
    def from_text(cls, text: str) -> "Profile":
        """The profile that `as_text` wrote."""
        system, sku, meters, dimensions, person, account, tags, environment = json.loads(text)
        return cls(system, sku, tuple(meters), _pairs(dimensions), person, account, _pairs(tags), environment)

    def as_text(self) -> str:
        """The one spelling of this profile: a JSON list, so that no two profiles share a text."""
        parts = [
            self.system,
            self.sku,
            self.meters,
            self.dimensions,
            self.person,
            self.account,
            self.tags,
            self.environment,
        ]
        return json.dumps(parts, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Use:
    """A profile at a moment: `start` (UTC) decides the tariff, `day` (Helsinki) the rate, the unit and the rollup.

    `reported_currency`: of the cost that the vendor reported with the reading, if any.
    """

    profile: Profile
    start: datetime
    day: date
    reported_currency: str | None = None


def _pairs(items: list[list[str]]) -> Pairs:
    return tuple((name, value) for name, value in items)
