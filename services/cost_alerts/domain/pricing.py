"""From a line and a quantity to money. Which line a use has say `rating` (by the unit) and `covering` (by agreements).

An amount is computed as an exact fraction and rounded once, half-even, to 10⁻⁹ of the pricing currency, and once,
from the same unrounded fraction, to 10⁻⁹ euro. "Cannot price" is a line with a reason, never a charge of nought.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from services.cost_alerts.domain.allocation import Owner

MAX_NANO = 10**15
"""A charge above a million currency units is a mistake of its sender; a sum of 64 bits holds nine thousand of them."""

TOO_LARGE = "amount too large"
"""The reason of a charge above `MAX_NANO`."""

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

Ratio = tuple[int, int]
"""A fraction as whole numbers, the second positive."""


def unpriced(line: Line, reason: str) -> Line:
    """The line of the same meter and unit that says why it has no price."""
    return Line(line.meter, line.category, line.owner, reason=reason)


class Pricer:
    """A line made ready for many quantities. `amounts` is the hot path of the ledger: whole numbers only."""

    __slots__ = ("_eur", "_package", "_per_package", "_per_unit", "line")

    def __init__(self, line: Line) -> None:
        self.line = line
        price, to = line.nano_per_unit, line.round_to
        euro = None if price is None or line.rate is None or line.reason is not None else price / Fraction(line.rate)
        self._package = None if to is None else to.as_integer_ratio()
        self._per_package = _times(price, to)
        self._per_unit = _times(price, None) if to is None else None
        self._eur = _times(euro, to)

    def amounts(self, quantity: Decimal) -> Amounts:
        """The money for `quantity` units; unknown parts are None."""
        if self._per_unit is None:
            return self._of_packages(quantity)
        above, below = quantity.as_integer_ratio()
        nano = rounded(above, below, self._per_unit)
        return (nano, None if self._eur is None else rounded(above, below, self._eur))

    @property
    def per_unit(self) -> tuple[Ratio, Ratio] | None:
        """What one unit costs in 10⁻⁹ of the pricing currency and of a euro.

        None where one of them is unknown, or where quantities are rounded up first.
        """
        return None if self._per_unit is None or self._eur is None else (self._per_unit, self._eur)

    def _of_packages(self, quantity: Decimal) -> Amounts:
        """The money for the whole packages that `quantity` begins; apart, so that others do not ask for them."""
        if self._package is None or self._per_package is None:
            return NOTHING
        begun = _packages(quantity, self._package)
        nano = rounded(begun, 1, self._per_package)
        return (nano, None if self._eur is None else rounded(begun, 1, self._eur))


def _times(price: Fraction | None, units: Decimal | None) -> Ratio | None:
    """The price of so many units (None: of one) as whole numbers."""
    if price is None:
        return None
    return (price if units is None else price * Fraction(units)).as_integer_ratio()


def _packages(quantity: Decimal, package: Ratio) -> int:
    """How many packages of `package` units a quantity begins; the ratio's parts are positive."""
    above, below = quantity.as_integer_ratio()
    return -(-above * package[1] // (below * package[0]))


def rounded_up(quantity: Decimal, to: Decimal | None) -> Fraction:
    """`quantity` rounded up to a whole multiple of `to`; as it is where `to` is None."""
    if to is None:
        return Fraction(quantity)
    package = to.as_integer_ratio()
    return Fraction(_packages(quantity, package) * package[0], package[1])


def most_possible(price: Ratio) -> int:
    """A whole quantity up to which every amount at this price is possible; see `is_possible`."""
    above, below = price
    return MAX_NANO * below // abs(above) if above else MAX_NANO


def rounded(above: int, below: int, price: Ratio) -> int:
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
