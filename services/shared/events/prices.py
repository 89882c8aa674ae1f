"""What AI costs by the register: list prices (tariffs), and contracts with their terms, discounts and shared costs."""

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, model_validator

from services.shared.events.dated import Dated, Day
from services.shared.events.envelope import Fact, Id, Name
from services.shared.events.meters import Meter
from services.shared.events.usage import Currency
from services.shared.money import ExactQuantity

Every = Literal["month", "year", "once"]
"""A cycle: a calendar month, a year from the contract's first day, or the contract's whole term; in its time zone."""


class Tier(Fact):
    """A price up to `up_to` units, inclusive; null: without limit. In the tariff's currency and `per`."""

    up_to: ExactQuantity | None = None
    price: ExactQuantity


class Rounding(Fact):
    """Quantities are rounded up to whole multiples of `to`: of each reading (session, stream, request), or a month."""

    to: ExactQuantity
    per: Literal["reading", "month"] = "reading"

    @model_validator(mode="after")
    def _multiple_is_positive(self) -> "Rounding":
        if not self.to:
            raise ValueError('to must be positive; for example round_up: {to: "1", per: reading}')
        return self


TariffModel = Literal["per_unit", "by_request_size", "graduated", "volume", "per_seat_month", "per_seat_year"]

TIERED = ("by_request_size", "graduated", "volume")
MONTHLY = ("graduated", "volume")
PER_SEAT = ("per_seat_month", "per_seat_year")


class Tariff(Dated):
    """A dated list price of one meter, in money (`currency`) or in the vendor's own credits (`credit`).

    `when`: the dimensions the price holds for; `{}` holds for readings without regard to dimensions. `sku` `*`: every
    SKU of the system. `multipliers`: dimension → value → factor on the price; a value without a factor has no price.

    Models: `per_unit`: `price` per `per` units, after `round_up`. `by_request_size`: all units of one request at the
    price of the tier that its size falls in. `graduated`: the units of a month, each tier's at its own price.
    `volume`: all units of a month at the price of the tier that their sum falls in. `per_seat_month`,
    `per_seat_year`: per purchased seat, by the day. A month is one of the tariff's time zone.

    A price in credits is dated like any other; what a credit costs says the tariff of the same system whose SKU is
    the credit's name and whose meter is `credits`.
    """

    id: Id
    system: Id
    sku: Name
    meter: Meter
    model: TariffModel
    price: ExactQuantity | None = None
    tiers: tuple[Tier, ...] = ()
    per: ExactQuantity
    currency: Currency | None = None
    credit: Id | None = None
    round_up: Rounding | None = None
    multipliers: dict[Name, dict[Name, ExactQuantity]] = Field(default_factory=dict)
    when: dict[Name, Name] = Field(default_factory=dict)
    time_zone: Name = "UTC"
    source: Name
    checked_on: Day

    @model_validator(mode="after")
    def _goes_together(self) -> "Tariff":
        if not self.per:
            raise ValueError('per must be positive; for example per: "1000000"')
        if (self.currency is None) == (self.credit is None):
            raise ValueError("currency must be given, or credit in its place; for example currency: EUR")
        if self.credit is not None and self.model not in ("per_unit", "by_request_size"):
            raise ValueError("credit must be a price per_unit or by_request_size; for example model: per_unit")
        if self.model in TIERED:
            self._check_tiers()
        elif self.price is None or self.tiers:
            raise ValueError('price must be given, and no tiers, with this model; for example price: "3.00"')
        if self.round_up is not None and self.model != "per_unit":
            raise ValueError("round_up must go with model: per_unit; for example model: per_unit")
        return self

    def _check_tiers(self) -> None:
        ends = [tier.up_to for tier in self.tiers]
        rising = all(a is not None and b is not None and a < b for a, b in pairwise(ends[:-1]))
        if self.price is not None or not ends or ends[-1] is not None or None in ends[:-1] or not rising:
            raise ValueError(
                "tiers must be given in place of price, with rising up_to, the last without; "
                'for example tiers: [{up_to: "200000", price: "3"}, {price: "6"}]'
            )


class SplitKey(Fact):
    """How a shared cost is parted among units. Parts always add up to it.

    `usage`: by what each unit used of it in the cycle, by list price or else by quantity; `headcount`: by the persons
    placed in each unit on the day; `fixed`: by `weights` (unit → weight). Where a key finds nobody, the cost goes by
    the allocation rules for the system.
    """

    by: Literal["usage", "headcount", "fixed"] = "usage"
    weights: dict[Id, ExactQuantity] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _weights_go_with_fixed(self) -> "SplitKey":
        if (self.by == "fixed") != any(self.weights.values()):
            raise ValueError('weights must go with by: fixed; for example share: {by: fixed, weights: {kymp: "2"}}')
        return self


class Pool(Fact):
    """Prepaid use: `size` units of a meter per cycle for `price`. Price nought: a free allowance.

    `measure` `cost`: the pool is an amount of `burns` money, and use burns it at its contracted price: a purchase in
    advance, in whatever currency it was paid. Use beyond the pool is `overage`: priced by the tariff, or refused by
    the vendor (`none`: it shows as unpriced). What is left at a cycle's end is lost unless `carries_over`.
    The price is spread over the days of the cycle and parted by `share`; overage is paid by who used it, or parted by
    `overage_share`.
    """

    kind: Literal["pool"]
    id: Id
    sku: Name = "*"
    meter: Meter | None = None
    measure: Literal["quantity", "cost"] = "quantity"
    burns: Currency | None = None
    size: ExactQuantity
    price: ExactQuantity
    currency: Currency
    every: Every = "month"
    carries_over: bool = False
    overage: Literal["tariff", "none"] = "tariff"
    share: SplitKey = SplitKey()
    overage_share: SplitKey | None = None

    @model_validator(mode="after")
    def _measures_one_thing(self) -> "Pool":
        if (self.measure == "cost") != (self.burns is not None) or (self.measure == "cost") != (self.meter is None):
            raise ValueError("meter must go with measure: quantity, burns with measure: cost; for example burns: USD")
        return self


class Capacity(Fact):
    """Capacity held by the hour, used or not: `quantity` units at `price` per unit and hour, every hour of a day."""

    kind: Literal["capacity"]
    id: Id
    sku: Name
    quantity: ExactQuantity
    price: ExactQuantity
    currency: Currency
    share: SplitKey = SplitKey()


class Fee(Fact):
    """A fixed amount per cycle, spread over its days.

    A platform fee, a reservation bought in advance (`once`), or a share of the city's existing ICT services that
    finance enters (`indirect`).
    """

    kind: Literal["fee"]
    id: Id
    sku: Name
    amount: ExactQuantity
    currency: Currency
    every: Every = "month"
    indirect: bool = False
    share: SplitKey = SplitKey()


class Minimum(Fact):
    """At least `amount` per cycle: what the use of the system costs less is charged on the cycle's last day."""

    kind: Literal["minimum"]
    id: Id
    amount: ExactQuantity
    currency: Currency
    every: Every = "month"
    share: SplitKey = SplitKey()


class UnusedSeats(Fact):
    """Who pays for purchased seats of a SKU that nobody holds; without it, the rules for the system decide."""

    kind: Literal["unused_seats"]
    id: Id
    sku: Name
    share: SplitKey


Term = Annotated[Pool | Capacity | Fee | Minimum | UnusedSeats, Field(discriminator="kind")]


class Discount(Fact):
    """A part `off` the list price of what fits; the first that fits counts."""

    sku: Name = "*"
    meter: Meter | None = None
    off: ExactQuantity

    @model_validator(mode="after")
    def _is_a_part(self) -> "Discount":
        if self.off > 1:
            raise ValueError('off must be at most "1"; for example off: "0.15" for 15 per cent')
        return self


class Contract(Dated):
    """A contract with a vendor on one system: terms beyond the tariffs, discounts, and the VAT on its invoices.

    `vat_rate` null: not known. `issuer`: who sends the invoice, when it is not the vendor. `notice_days`: so long
    before `valid_to` notice must be given at the latest; null: none is needed. `renews`: it goes on unless it is ended.
    """

    id: Id
    system: Id
    vendor: Id
    time_zone: Name = "UTC"
    document: Name | None = None
    issuer: Id | None = None
    vat_rate: ExactQuantity | None = None
    discounts: tuple[Discount, ...] = ()
    terms: tuple[Term, ...] = ()
    notice_days: int | None = Field(default=None, ge=0, le=3660, strict=True)
    renews: bool = False
