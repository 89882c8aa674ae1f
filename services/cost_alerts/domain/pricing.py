"""From a use and a register version to the lines a reading is charged by; from a line and a quantity to money.

An amount is computed as an exact fraction and rounded once, half-even, to 10⁻⁹ of the pricing currency, and once,
from the same unrounded fraction, to 10⁻⁹ euro. "Cannot price" is a line with a reason, never a charge of nought.
"""

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from services.cost_alerts.domain.allocation import Owner
from services.cost_alerts.domain.exchange import EUR, ONE_TO_ONE
from services.cost_alerts.domain.tariff import DatedTariff
from services.cost_alerts.domain.use import Use
from services.cost_alerts.domain.view import View
from services.shared.money import NANO

MAX_NANO = 10**15
"""A charge above a million currency units is a mistake of its sender; a sum of 64 bits holds nine thousand of them."""

TOO_LARGE = "amount too large"
"""The reason of a charge above `MAX_NANO`."""

WHOLE_READING = "*"
"""The meter of a charge that is for a whole reading of several meters."""

Category = Literal["Usage", "Purchase", "Adjustment"]


@dataclass(frozen=True, slots=True)
class Line:
    """How one meter of a use is charged: to whom, at what price, at what rate, or why it cannot be priced.

    `nano_per_unit` is in 10⁻⁹ of `currency`; `rate` is units of `currency` per euro, published on `rate_day`.
    `reason` is None when both amounts are known. Without a rate the amount in `currency` is known, the euro is not.
    `of_reading`: the line is for the reading as a whole, its quantity is the cost that the vendor reported.

    `nano_per_unit` is what is paid after discounts, `list_per_unit` the list price; a price by way of credits names
    the tariff of the credit too. `round_to`: the quantity is rounded up to whole multiples of it. `agreement`: the
    key of the agreement that charges this use by the period; this line's own amounts are then nought.
    """

    meter: str
    category: Category
    owner: Owner
    tariff: str | None = None
    tariff_version: int | None = None
    currency: str | None = None
    nano_per_unit: Fraction | None = None
    rate: Decimal | None = None
    rate_day: date | None = None
    reason: str | None = None
    of_reading: bool = False
    list_per_unit: Fraction | None = None
    round_to: Decimal | None = None
    vat_rate: Decimal | None = None
    credit_tariff: str | None = None
    credit_tariff_version: int | None = None
    agreement: str | None = None

    @property
    def effect(self) -> tuple[object, ...]:
        """What a reader of the ledger would notice: a restatement that changes none of it is none."""
        return (
            self.meter,
            (self.owner.unit, self.owner.cost_centre, self.owner.project),
            self.currency,
            self.nano_per_unit,
            self.list_per_unit,
            self.round_to,
            self.rate,
            self.vat_rate,
            self.agreement,
            self.reason,
        )


Amounts = tuple[int | None, int | None]
"""The money of one charge in 10⁻⁹: of the pricing currency, and euro; None where unknown."""

NOTHING: Amounts = (None, None)


def lines(view: View, use: Use) -> tuple[Line, ...]:
    """The lines of a use, in the order of its meters; one for the whole reading where the vendor's own cost counts."""
    owner = view.allocation.owner(use.profile, use.day)
    if view.price_from(use.profile.system) == "reported":
        return (_reported(view, use, owner),)
    if not use.profile.meters:
        return (Line(WHOLE_READING, "Usage", owner, reason="nothing metered", of_reading=True),)
    return tuple(_metered(view, use, owner, meter) for meter in use.profile.meters)


def _reported(view: View, use: Use, owner: Owner) -> Line:
    meters = use.profile.meters
    line = Line(meters[0] if len(meters) == 1 else WHOLE_READING, "Usage", owner, of_reading=True)
    if use.reported_currency is None:
        return replace(line, reason="no reported cost")
    return _in_euro(view, replace(line, currency=use.reported_currency, nano_per_unit=Fraction(NANO)), use.day)


def _metered(view: View, use: Use, owner: Owner, meter: str) -> Line:
    profile = use.profile
    tariff = view.tariffs.per_unit(profile.system, profile.sku, meter, dict(profile.dimensions), use.start)
    line = Line(meter, "Usage", owner)
    return replace(line, reason=tariff) if isinstance(tariff, str) else priced(view, line, tariff, use.day)


def priced(view: View, line: Line, tariff: DatedTariff, day: date) -> Line:
    """`line` with the price of a tariff and the exchange rate of a Helsinki day."""
    per_unit = Fraction(tariff.fact.price) * NANO / Fraction(tariff.fact.per)
    with_price = replace(
        line, tariff=tariff.id, tariff_version=tariff.version, currency=tariff.fact.currency, nano_per_unit=per_unit
    )
    return _in_euro(view, with_price, day)


def _in_euro(view: View, line: Line, day: date) -> Line:
    assert line.currency is not None
    rate = ONE_TO_ONE if line.currency == EUR else view.exchange.before(line.currency, day)
    if rate is None:
        return replace(line, reason="no exchange rate")
    return replace(line, rate=rate.per_euro, rate_day=rate.published_on)


def unpriced(line: Line, reason: str) -> Line:
    """The line of the same meter and unit that says why it has no price."""
    return Line(line.meter, line.category, line.owner, reason=reason)


class Pricer:
    """A line made ready for many quantities. `amounts` is the hot path of the ledger: whole numbers only."""

    __slots__ = ("_eur", "_per_unit", "line")

    def __init__(self, line: Line) -> None:
        self.line = line
        price = line.nano_per_unit
        self._per_unit = None if price is None else price.as_integer_ratio()
        euro = None if price is None or line.rate is None or line.reason is not None else price / Fraction(line.rate)
        self._eur = None if euro is None else euro.as_integer_ratio()

    def amounts(self, quantity: Decimal) -> Amounts:
        """The money for `quantity` units; unknown parts are None."""
        if self._per_unit is None:
            return NOTHING
        above, below = quantity.as_integer_ratio()
        nano = rounded(above, below, self._per_unit)
        return (nano, None if self._eur is None else rounded(above, below, self._eur))


def rounded(above: int, below: int, price: tuple[int, int]) -> int:
    """The whole number nearest to above ÷ below × price, half-even; `below` and the price's divisor are positive."""
    divisor = below * price[1]
    whole, rest = divmod(above * price[0], divisor)
    rest += rest
    if rest > divisor or (rest == divisor and whole & 1):
        return whole + 1
    return whole


def is_possible(amounts: Amounts) -> bool:
    """Whether both amounts fit a ledger of 64-bit sums."""
    nano, eur_nano = amounts
    return -MAX_NANO <= (nano or 0) <= MAX_NANO and -MAX_NANO <= (eur_nano or 0) <= MAX_NANO
