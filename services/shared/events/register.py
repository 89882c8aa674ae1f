"""The city's register: units, systems, prices, budgets, policies (topic `valvomo.register`, one partition).

Each event carries one fact of a register version, or says that the fact is gone (`fact` null). Nothing counts until
the `register.published` marker of that version has come: the register is applied whole.

Money is text; dates are inclusive `valid_from` and exclusive `valid_to` (null: open). Dates of tariffs and contracts
begin at midnight of the contract's time zone (default UTC), all others at midnight in Helsinki.
"""

import re
from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from services.shared.events.envelope import Event, Fact, Id, Name, Pseudonym
from services.shared.events.meters import Meter
from services.shared.events.usage import Currency
from services.shared.money import ExactQuantity

UNALLOCATED = "unallocated"
"""The unit of what no rule gives to a unit."""

_day_text = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII).fullmatch


def _calendar_day(value: object) -> object:
    """Only what is written as a day is one: 20260101 would otherwise be taken for seconds since 1970."""
    written_as_day = (isinstance(value, str) and _day_text(value) is not None) or (
        isinstance(value, date) and not isinstance(value, datetime)
    )
    if not written_as_day:
        raise ValueError("a day is written YYYY-MM-DD; for example 2026-01-01")
    return value


Day = Annotated[date, BeforeValidator(_calendar_day)]
"""A calendar day, written `YYYY-MM-DD`."""

Names = Annotated[dict[Literal["fi", "sv", "en"], Name], Field(min_length=1)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Dated(Fact):
    """A fact with a validity: `valid_from` inclusive, `valid_to` exclusive or null."""

    valid_from: Day
    valid_to: Day | None = None

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> "Dated":
        if self.valid_to is not None and self.valid_to <= self.valid_from:
            raise ValueError("valid_to must be later than valid_from; leave it out while the entry holds")
        return self

    def holds_on(self, day: date) -> bool:
        """Whether the fact holds on `day`."""
        return self.valid_from <= day and (self.valid_to is None or day < self.valid_to)


class Unit(Dated):
    """An organisational unit: who pays. `parent` null: the city itself."""

    id: Id
    parent: Id | None = None
    name: Names
    cost_centre: Name | None = None


class Placement(Dated):
    """A person belongs to a unit."""

    person: Pseudonym
    unit: Id


class System(Fact):
    """An AI system the city buys or runs. `price_from`: our tariffs, or what the vendor reports."""

    id: Id
    vendor: Id
    name: Names | Name
    owner: Id
    price_from: Literal["tariff", "reported"] = "tariff"


class Match(Fact):
    """What an allocation rule looks at; every member given must fit."""

    person: Pseudonym | None = None
    account: Name | None = None
    tags: dict[Name, Name] = Field(default_factory=dict)
    system: Id | None = None
    environment: Name | None = None


class AllocationRule(Dated):
    """Gives readings that match to a unit; rules are tried by rising `order`, the first that fits decides.

    A person's own placement is tried before every rule.
    """

    id: Id
    order: int = Field(ge=0, strict=True)
    match: Match
    unit: Id


class Tariff(Dated):
    """A dated price of one meter: `price` per `per` units of it, in `currency`.

    `when`: the dimensions the price holds for; `{}` holds for readings without regard to dimensions. `sku` `*`: every
    SKU of the system. `per_seat_month`: per purchased seat and month, by the day.
    """

    id: Id
    system: Id
    sku: Name
    meter: Meter
    model: Literal["per_unit", "per_seat_month"]
    price: ExactQuantity
    per: ExactQuantity
    currency: Currency
    when: dict[Name, Name] = Field(default_factory=dict)
    time_zone: Name = "UTC"
    source: Name
    checked_on: Day

    @model_validator(mode="after")
    def _divisor_is_positive(self) -> "Tariff":
        if not self.per:
            raise ValueError('per must be positive; for example per: "1000000"')
        return self


class Contract(Dated):
    """A contract with a vendor; the engine for its price models comes with them."""

    id: Id
    system: Id
    vendor: Id
    time_zone: Name = "UTC"
    document: Name | None = None


class Budget(Fact):
    """Money for a unit's (and its children's) AI in a calendar year, with thresholds on what is used of it."""

    id: Id
    unit: Id
    period: int = Field(ge=2000, le=2100, strict=True)
    amount: ExactQuantity
    currency: Literal["EUR"]
    thresholds: tuple[ExactQuantity, ...]
    recipients: tuple[Id, ...]
    epoch: int = Field(default=0, ge=0, strict=True)
    decision: Name | None = None

    @model_validator(mode="after")
    def _amount_is_positive(self) -> "Budget":
        if not self.amount:
            raise ValueError('amount must be positive; for example amount: "200000.00"')
        return self


class UseCase(Dated):
    """A use of AI with its purpose and risk class, as the AI register tells it."""

    id: Id
    name: Names
    unit: Id
    owner: Name
    purpose: Name
    systems: tuple[Id, ...]
    risk_class: Literal[
        "prohibited", "high_decision", "high_support", "public_text", "limited", "minimal", "unclassified"
    ]


class ReviewerMandate(Dated):
    """A person may review outputs of these use cases (empty: of the unit's)."""

    reviewer: Pseudonym
    unit: Id
    use_cases: tuple[Id, ...] = ()
    trained_on: Day | None = None


class ReviewRule(Fact):
    """What a risk class demands: review before or after use, or none, and how soon.

    `deadline_business_hours` counts hours of the policy calendar (Mon-Fri 8-16 Helsinki, Finnish holidays off);
    null where no review is demanded. `accepted_evidence`: the grades of evidence that count as a review.
    """

    risk_class: Literal[
        "prohibited", "high_decision", "high_support", "public_text", "limited", "minimal", "unclassified"
    ]
    gate: Literal["never", "before_use", "after_use", "none"]
    deadline_business_hours: int | None = Field(default=None, ge=1, strict=True)
    accepted_evidence: tuple[Literal["explicit_accept", "edited", "thumb"], ...] = ("explicit_accept", "edited")


class Policy(Dated):
    """The review policy: one rule per risk class, with the record number of its approval."""

    id: Id
    version: int = Field(ge=1, strict=True)
    approved_by: Name
    rules: tuple[ReviewRule, ...]


class FxRates(Fact):
    """Rates published for one banking day: units of each currency per 1 EUR."""

    day: Day
    rates: dict[Currency, ExactQuantity]
    source: Name

    @model_validator(mode="after")
    def _rates_are_positive(self) -> "FxRates":
        if not all(self.rates.values()):
            raise ValueError('rates must be positive; for example rates: {USD: "1.1172"}')
        return self


class RegisterFact(Fact):
    """Where a fact belongs: the register version it came with and its own id within its kind."""

    version: int = Field(ge=1, le=2**31 - 1, strict=True)
    fact_id: Name


class UnitChange(RegisterFact):
    fact: Unit | None


class PlacementChange(RegisterFact):
    fact: Placement | None


class SystemChange(RegisterFact):
    fact: System | None


class AllocationChange(RegisterFact):
    fact: AllocationRule | None


class TariffChange(RegisterFact):
    fact: Tariff | None


class ContractChange(RegisterFact):
    fact: Contract | None


class BudgetChange(RegisterFact):
    fact: Budget | None


class UseCaseChange(RegisterFact):
    fact: UseCase | None


class ReviewerChange(RegisterFact):
    fact: ReviewerMandate | None


class PolicyChange(RegisterFact):
    fact: Policy | None


class FxChange(RegisterFact):
    fact: FxRates | None


class UnitDefined(Event):
    type: Literal["valvomo.unit.defined.v1"] = "valvomo.unit.defined.v1"
    data: UnitChange


class PersonPlaced(Event):
    type: Literal["valvomo.person.placed.v1"] = "valvomo.person.placed.v1"
    data: PlacementChange


class SystemDefined(Event):
    type: Literal["valvomo.system.defined.v1"] = "valvomo.system.defined.v1"
    data: SystemChange


class AllocationDefined(Event):
    type: Literal["valvomo.allocation.defined.v1"] = "valvomo.allocation.defined.v1"
    data: AllocationChange


class TariffPublished(Event):
    type: Literal["valvomo.tariff.published.v1"] = "valvomo.tariff.published.v1"
    data: TariffChange


class ContractDefined(Event):
    type: Literal["valvomo.contract.defined.v1"] = "valvomo.contract.defined.v1"
    data: ContractChange


class BudgetSet(Event):
    type: Literal["valvomo.budget.set.v1"] = "valvomo.budget.set.v1"
    data: BudgetChange


class UseCaseRegistered(Event):
    type: Literal["valvomo.usecase.registered.v1"] = "valvomo.usecase.registered.v1"
    data: UseCaseChange


class ReviewerMandated(Event):
    type: Literal["valvomo.reviewer.mandated.v1"] = "valvomo.reviewer.mandated.v1"
    data: ReviewerChange


class PolicyPublished(Event):
    type: Literal["valvomo.policy.published.v1"] = "valvomo.policy.published.v1"
    data: PolicyChange


class FxPublished(Event):
    type: Literal["valvomo.fx.published.v1"] = "valvomo.fx.published.v1"
    data: FxChange


class RegisterVersion(Fact):
    """A whole version: how many facts changed with it, and the digest of everything that now holds."""

    version: int = Field(ge=1, le=2**31 - 1, strict=True)
    changes: int = Field(ge=0, strict=True)
    digest: Sha256


class RegisterPublished(Event):
    """The marker after a version's last fact: apply it now, whole."""

    type: Literal["valvomo.register.published.v1"] = "valvomo.register.published.v1"
    data: RegisterVersion


RegisterChange = (
    UnitDefined
    | PersonPlaced
    | SystemDefined
    | AllocationDefined
    | TariffPublished
    | ContractDefined
    | BudgetSet
    | UseCaseRegistered
    | ReviewerMandated
    | PolicyPublished
    | FxPublished
)
"""Every event that carries one fact of the register."""
