"""A plan to use AI: how many people, what use that is here is like it, which licences they need; and what it costs."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, NamedTuple

from pydantic import Field, model_validator

from services.cost_alerts.domain.whatif.estimate import By, Why
from services.shared.events.envelope import Fact, Id, Name
from services.shared.money import ExactQuantity


class PlannedSeats(Fact):
    """Every user gets a seat of this SKU; free ones are taken first."""

    system: Id
    sku: Name


class Plan(Fact):
    """What is planned. `comparable`: ids of use cases and systems whose use the plan's will be like.

    `skus`: only their use of these counts; empty: of all. `uses_per_user_per_month`: where it is known; without it
    users use as much as those of the comparable use.
    """

    name: Name
    unit: Id | None = None
    users: int = Field(ge=1, le=1_000_000, strict=True)
    months: int = Field(default=12, ge=1, le=60, strict=True)
    comparable: tuple[Id, ...] = ()
    skus: tuple[Name, ...] = ()
    uses_per_user_per_month: ExactQuantity | None = None
    seats: tuple[PlannedSeats, ...] = ()

    @model_validator(mode="after")
    def _plans_something(self) -> "Plan":
        if not self.comparable and not self.seats:
            raise ValueError("comparable must be given, or seats; for example comparable: [claude-api]")
        return self


class Nano(NamedTuple):
    """An estimate in 10⁻⁹ euro: `low` ≤ `mid` ≤ `high`."""

    low: int
    mid: int
    high: int

    def plus(self, other: "Nano") -> "Nano":
        return Nano(*(one + more for one, more in zip(self, other, strict=True)))

    def times(self, count: int) -> "Nano":
        return Nano(*(one * count for one in self))


@dataclass(frozen=True, slots=True)
class PlanPart:
    """What the use of one system, or its seats, would cost a month.

    Attributes:
        monthly: what the city pays more; None: nobody can say, see `reason`.
        by_price: the same by unit prices alone, as if no pool, tier or minimum were there.
        by: what low and high are quantiles of; None of seats.
        persons, groups: how many it rests on.
        skus: those whose use it rests on.
        without_price: those that were used and have no price today: the figures are without them.
        seats, free: seats that are to be bought, and free ones that are taken.
        covered: how much of what is paid the use of these persons is, 1 is all of it, where readings that are not paid
            tell of them; None: the paid readings do.
    """

    system: str
    kind: Literal["use", "seats"]
    monthly: Nano | None
    reason: Why | Literal["no_price"] | None = None
    by_price: Nano | None = None
    by: By | None = None
    persons: int = 0
    groups: int = 0
    skus: Sequence[str] = ()
    without_price: Sequence[str] = ()
    seats: int = 0
    free: int = 0
    covered: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a plan would cost; `first`, `last`: the months whose use it rests on, as YYYY-MM."""

    plan: Plan
    first: str
    last: str
    parts: Sequence[PlanPart]

    @property
    def monthly(self) -> Nano | None:
        """What the city pays more a month; None where a part cannot be said."""
        total = Nano(0, 0, 0)
        for part in self.parts:
            if part.monthly is None:
                return None
            total = total.plus(part.monthly)
        return total

    @property
    def total(self) -> Nano | None:
        """The same over all months of the plan, at today's prices."""
        monthly = self.monthly
        return None if monthly is None else monthly.times(self.plan.months)
