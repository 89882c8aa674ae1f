"""What was used, what it is said to have cost, and which seats exist (topic `valvomo.usage`)."""

from datetime import date
from decimal import Decimal
from functools import reduce
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from services.shared.events.envelope import Event, Fact, Id, Name, Pseudonym, Utc
from services.shared.events.meters import Meter
from services.shared.money import EXACT, ExactDecimal, ExactQuantity

FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2100, 12, 31)
"""What was used was used between these days. Beyond them calendars and databases end, and a consumer would stop."""

MOST_SEATS = 1_000_000_000


def _of_our_time(day: date) -> date:
    if not FIRST_DAY <= day <= LAST_DAY:
        raise ValueError(f"a day of use lies between {FIRST_DAY} and {LAST_DAY}")
    return day


UseDay = Annotated[date, AfterValidator(_of_our_time)]
Revision = Annotated[int, Field(ge=0, le=2**31 - 1, strict=True)]
Seats = Annotated[int, Field(ge=0, le=MOST_SEATS, strict=True)]

Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
Finality = Literal["estimate", "provisional", "final"]
Purpose = Literal["billing", "attribution", "telemetry"]


class Consumer(Fact):
    """Who used it, as far as allocation may know: a pseudonym, an account of the vendor's, tags."""

    person: Pseudonym | None = None
    account: Name | None = None
    tags: dict[Name, Name] = Field(default_factory=dict)


class Cost(Fact):
    """An amount of money in an ISO 4217 currency."""

    amount: ExactDecimal
    currency: Currency


class Reading(Fact):
    """One metered fact, named by the event's source and `reading_id`.

    `consumed` maps meters to quantities; every token stands in exactly one meter. A higher `revision` replaces the
    lower ones. The charge period is half-open UTC and belongs wholly to the Helsinki day of its start.
    """

    reading_id: Id
    revision: Revision = 0
    system: Id
    sku: Name
    charge_period_start: Utc
    charge_period_end: Utc
    consumed: dict[Meter, ExactQuantity]
    dimensions: dict[Name, Name] = Field(default_factory=dict)
    consumer: Consumer = Field(default_factory=Consumer)
    environment: Name = "production"
    finality: Finality = "final"
    purpose: Purpose = "billing"
    retracted: bool = Field(default=False, strict=True)
    reported_cost: Cost | None = None

    @model_validator(mode="after")
    def _period_runs_forward(self) -> "Reading":
        if self.charge_period_end <= self.charge_period_start:
            raise ValueError("charge_period_end must be later than charge_period_start")
        if self.charge_period_start.year < FIRST_DAY.year or self.charge_period_end.year > LAST_DAY.year:
            raise ValueError(f"a charge period lies between {FIRST_DAY} and {LAST_DAY}")
        return self


class UsageRecorded(Event):
    """A reading, or a later revision of one. `id` is `reading_id.revision`."""

    type: Literal["valvomo.usage.recorded.v1"] = "valvomo.usage.recorded.v1"
    data: Reading

    @model_validator(mode="after")
    def _id_names_the_revision(self) -> "UsageRecorded":
        if self.id != f"{self.data.reading_id}.{self.data.revision}":
            raise ValueError('id must be reading_id.revision, for example "call-7.0"')
        return self


class SeatCount(Fact):
    """How many seats of one SKU a vendor says the city holds on one day (UTC). `active` null: not told."""

    system: Id
    sku: Name
    observed_on: UseDay
    purchased: Seats
    assigned: Seats
    active: Seats | None = None
    revision: Revision = 0


class SeatsObserved(Event):
    """A day's seat count. `id` names (system, sku, day, revision)."""

    type: Literal["valvomo.seats.observed.v1"] = "valvomo.seats.observed.v1"
    data: SeatCount


class SeatHolding(Fact):
    """One person's seat from `assigned_on` (inclusive) to `released_on` (exclusive; null while held), UTC days."""

    system: Id
    sku: Name
    person: Pseudonym
    assigned_on: UseDay
    released_on: UseDay | None = None
    last_active_on: UseDay | None = None
    revision: Revision = 0


class SeatAssigned(Event):
    """A seat was given to a person, given back, or its last use became known."""

    type: Literal["valvomo.seat.assigned.v1"] = "valvomo.seat.assigned.v1"
    data: SeatHolding


class InvoiceLine(Fact):
    """One line of an invoice, net of VAT, in the invoice's currency; a credit note's lines are negative."""

    system: Id
    sku: Name | None = None
    quantity: ExactQuantity | None = None
    net: ExactDecimal
    vat_rate: ExactQuantity | None = None
    description: Name | None = None


class Invoice(Fact):
    """A vendor's invoice for one Helsinki month, named by (vendor, invoice_id); a higher revision replaces the lower.

    `per_euro`: units of its currency per 1 EUR as the invoice or the bank says; null: the register's rate counts.
    """

    vendor: Id
    invoice_id: Id
    revision: Revision = 0
    month: Annotated[str, StringConstraints(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])$")]
    issued_on: UseDay
    currency: Currency
    per_euro: ExactQuantity | None = None
    net: ExactDecimal
    lines: tuple[InvoiceLine, ...] = Field(min_length=1, max_length=200)

    @model_validator(mode="after")
    def _adds_up(self) -> "Invoice":
        if reduce(EXACT.add, (line.net for line in self.lines), Decimal(0)) != self.net:
            raise ValueError("net must be the sum of the lines' net")
        if self.per_euro is not None and not self.per_euro:
            raise ValueError("per_euro must be positive")
        return self


class InvoiceReceived(Event):
    """An invoice, or a later revision of one. `id` names (vendor, invoice_id, revision)."""

    type: Literal["valvomo.invoice.received.v1"] = "valvomo.invoice.received.v1"
    data: Invoice


class CollectionWindow(Fact):
    """A source has told everything it knows about a window of time (half-open, UTC)."""

    source_name: Id
    window_start: Utc
    window_end: Utc
    readings: int = Field(ge=0, strict=True)


class CollectionCompleted(Event):
    """This source's window is complete."""

    type: Literal["valvomo.collection.completed.v1"] = "valvomo.collection.completed.v1"
    data: CollectionWindow
