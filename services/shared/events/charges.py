"""Priced charges for readers outside (topic `valvomo.charges`): the highest version of a charge id wins.

The topic is a copy of the ledger. Nobody of ours reads it; it can be made again from the ledger.
"""

from datetime import date
from typing import Literal

from pydantic import Field

from services.shared.events.envelope import Event, Fact, Id, Name, Utc
from services.shared.events.usage import Currency
from services.shared.money import ExactDecimal, ExactQuantity


class Charge(Fact):
    """A charge as it now stands: of one meter of a reading, or of one day and unit of an agreement.

    `list_cost` and `contracted_cost` in `currency`; `effective_cost` is what it costs after prepaid purchases were
    spread, `eur` the same in euro at `fx_rate` (units of `currency` per euro) of `fx_day`, net of VAT. `reason`: why
    it has no price; the amounts are null then.
    """

    charge_id: Id
    version: int = Field(ge=1, strict=True)
    source: Name | None = None
    reading_id: Id | None = None
    agreement: Id | None = None
    day: date
    unit: Id
    cost_centre: Name | None
    project: Name | None
    system: Id
    sku: Name
    meter: Name
    category: Literal["Usage", "Purchase", "Adjustment"]
    quantity: ExactDecimal
    currency: Currency | None
    list_cost: ExactDecimal | None
    contracted_cost: ExactDecimal | None
    effective_cost: ExactDecimal | None
    eur: ExactDecimal | None
    fx_rate: ExactQuantity | None
    fx_day: date | None
    vat_rate: ExactQuantity | None
    tariff: Id | None
    tariff_version: int | None
    rule: Id | None
    register_version: int
    estimated: bool
    recorded_at: Utc
    reason: Name | None


class ChargeMade(Event):
    type: Literal["valvomo.charge.made.v1"] = "valvomo.charge.made.v1"
    data: Charge


class Supersession(Fact):
    """A charge that is no more: `version` is above every version of it before."""

    charge_id: Id
    version: int = Field(ge=2, strict=True)
    recorded_at: Utc


class ChargeSuperseded(Event):
    """A charge ended without another in its place."""

    type: Literal["valvomo.charge.superseded.v1"] = "valvomo.charge.superseded.v1"
    data: Supersession
