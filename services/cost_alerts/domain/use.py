"""What of a reading its price and its unit depend on, without its quantities: many readings share one use."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from services.shared.events.usage import Reading

Pairs = tuple[tuple[str, str], ...]

INPUT_SIDE = frozenset({"input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens"})
"""What a request's size is made of: everything the model reads. A vendor's price by size looks at nothing else."""

OF_TOKENS = INPUT_SIDE | {"output_tokens"}
"""The meters whose price may depend on the size of what was read; every other one's depends on itself."""

REQUESTS = "requests"

Sizes = tuple[Decimal | None, ...]
"""The size that the price of each meter of a profile may depend on; None where it cannot be known. Empty: of none."""


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

    `reported_currency`: of the cost that the vendor reported with the reading, if any. `sizes`: in the order of the
    profile's meters, rounded up to the next edge of a price; empty where no price of the system depends on a size.
    """

    profile: Profile
    start: datetime
    day: date
    reported_currency: str | None = None
    sizes: Sizes = ()

    def size(self, meter: str) -> Decimal | None:
        """The size that the price of `meter` depends on; None when it is not known."""
        found = dict(zip(self.profile.meters, self.sizes, strict=False))
        return found.get(meter)


def request_sizes(meters: Sequence[str], quantities: Sequence[Decimal]) -> Sizes:
    """The sizes of the one request that a reading tells of; unknown when it sums up several, or none was read."""
    consumed = dict(zip(meters, quantities, strict=True))
    if consumed.get(REQUESTS, 1) > 1:
        return (None,) * len(meters)
    read = [quantity for meter, quantity in consumed.items() if meter in INPUT_SIDE]
    of_tokens = sum(read, Decimal(0)) if read else None
    return tuple(of_tokens if meter in OF_TOKENS else quantity for meter, quantity in consumed.items())


def _pairs(items: list[list[str]]) -> Pairs:
    return tuple((name, value) for name, value in items)
