"""What the city has decided and expects: budgets, programmes, planned changes, and the benefit that AI is to bring."""

from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from services.shared.events.dated import Day, Names, YearMonth
from services.shared.events.envelope import Fact, Id, Name
from services.shared.events.usage import Currency
from services.shared.money import EXACT, ExactDecimal, ExactQuantity

MONTHS = 12

Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
"""A country by ISO 3166-1, two capital letters."""


class Vendor(Fact):
    """Who sells. `jurisdiction`: the country whose law binds the vendor's parent; None: nobody has looked."""

    id: Id
    name: Names | Name
    jurisdiction: Country | None = None


class Programme(Fact):
    """Several projects and systems that are steered together; a cost belongs to it by either."""

    id: Id
    name: Names
    projects: tuple[Name, ...] = ()
    systems: tuple[Id, ...] = ()

    @model_validator(mode="after")
    def _holds_something(self) -> "Programme":
        if not self.projects and not self.systems:
            raise ValueError("projects must be given, or systems; for example projects: [DIGI-7]")
        return self


class Amendment(Fact):
    """A later decision on a budget: from `valid_from` on, `amount` is added (negative: taken away)."""

    valid_from: Day
    amount: ExactDecimal
    decision: Name


class CarryOver(Fact):
    """What was left of an earlier budget at its year's end is added, `most` at most."""

    budget: Id
    most: ExactQuantity | None = None
    decision: Name


class Budget(Fact):
    """Money for a unit's (and its children's) AI in a calendar year, with thresholds on what is used of it.

    Narrowed, where given, to one system, one vendor, one project or one programme; all that are given must fit.
    `months`: the plan for January to December, adding up to `amount`; without it, the plan goes by days.
    `forecast_thresholds`: shares of the amount that the forecast of the year is watched for.
    A count of crossings begins anew (a new epoch) with each amendment, and when `epoch` is raised.
    """

    id: Id
    unit: Id
    system: Id | None = None
    vendor: Id | None = None
    project: Name | None = None
    programme: Id | None = None
    period: int = Field(ge=2000, le=2100, strict=True)
    amount: ExactQuantity
    currency: Literal["EUR"]
    months: tuple[ExactQuantity, ...] = ()
    thresholds: tuple[ExactQuantity, ...]
    forecast_thresholds: tuple[ExactQuantity, ...] = ()
    recipients: tuple[Id, ...]
    epoch: int = Field(default=0, ge=0, strict=True)
    decision: Name | None = None
    amendments: tuple[Amendment, ...] = ()
    carry_over: CarryOver | None = None

    @model_validator(mode="after")
    def _amount_is_positive(self) -> "Budget":
        if not self.amount:
            raise ValueError('amount must be positive; for example amount: "200000.00"')
        return self

    @model_validator(mode="after")
    def _months_add_up(self) -> "Budget":
        if self.months and (len(self.months) != MONTHS or _sum(self.months) != self.amount):
            raise ValueError(
                'months must be twelve amounts that add up to amount; for example months: ["100.00", …, "100.00"]'
            )
        return self


def _sum(amounts: tuple[Decimal, ...]) -> Decimal:
    total = Decimal(0)
    for amount in amounts:
        total = EXACT.add(total, amount)
    return total


_SIZES: Mapping[str, Collection[frozenset[str]]] = {
    "price": (frozenset({"factor"}),),
    "seats": (frozenset({"seats"}),),
    "rollout": (frozenset({"factor"}), frozenset({"monthly_eur"})),
    "ending": (frozenset(),),
}
"""Kind of a planned change → which members say how large it is."""
_SAID = {
    "price": "factor",
    "seats": "seats",
    "rollout": "factor or monthly_eur",
    "ending": "neither factor, seats nor monthly_eur",
}
_EXAMPLES = {
    "price": 'factor: "1.10"',
    "seats": "seats: 110",
    "rollout": 'monthly_eur: "900.00"',
    "ending": "kind: ending, valid_from: 2027-01-01",
}


class PlannedChange(Fact):
    """Something that will change what is paid, known before any contract or tariff says so. Forecasts reckon with it.

    On a system (and `sku`), for a unit with its children or for all, from `valid_from` on, growing evenly over
    `ramp_days` to its whole size:

    - `price`: prices are `factor` times the present ones.
    - `seats`: `seats` more (negative: fewer) of `sku`, each at its tariff, or at `price` a month in `currency`.
    - `rollout`: use is `factor` times the present, or costs `monthly_eur` more.
    - `ending`: the system is no longer used, nor paid for.

    A change whose day has come counts no more: what it did is in the ledger.
    """

    id: Id
    kind: Literal["price", "seats", "rollout", "ending"]
    system: Id
    sku: Name = "*"
    unit: Id | None = None
    valid_from: Day
    ramp_days: int = Field(default=0, ge=0, le=730, strict=True)
    factor: ExactQuantity | None = None
    seats: int | None = Field(default=None, ge=-1_000_000, le=1_000_000, strict=True)
    price: ExactQuantity | None = None
    currency: Currency | None = None
    monthly_eur: ExactQuantity | None = None
    source: Name
    decision: Name | None = None

    @model_validator(mode="after")
    def _says_how_much(self) -> "PlannedChange":
        given = frozenset(name for name in ("factor", "seats", "monthly_eur") if getattr(self, name) is not None)
        if given not in _SIZES[self.kind]:
            raise ValueError(f"kind {self.kind} must come with {_SAID[self.kind]}; for example {_EXAMPLES[self.kind]}")
        if (self.price is None) != (self.currency is None) or (self.price is not None and self.kind != "seats"):
            raise ValueError(
                'price must come with currency, and with kind: seats; for example price: "30.00", currency: EUR'
            )
        return self


class BenefitTarget(Fact):
    """What a use of AI is to bring. `measure` says in words what is counted, `counts` what one of it is.

    `baseline` and `target` in the measure's own unit per month: before, and wanted. `owner`: a role.
    """

    measure: Name
    counts: Literal["cases", "hours"]
    baseline: ExactQuantity
    target: ExactQuantity
    owner: Name


class BenefitResult(Fact):
    """What a use of AI brought in a month, as its owner reports: cases handled, or working hours saved."""

    id: Id
    use_case: Id
    month: YearMonth
    result: ExactQuantity
    source: Name
