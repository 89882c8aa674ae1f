"""Small sums that all agreements share: exact fractions to 10⁻⁹, days of a price, lines of what time alone costs."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

from services.cost_alerts.domain.agreements.agreement import Part
from services.cost_alerts.domain.agreements.split import Weights, split
from services.cost_alerts.domain.agreements.terms import Held
from services.cost_alerts.domain.allocation import NOBODY
from services.cost_alerts.domain.pricing import NOTHING, TOO_LARGE, Amounts, Category, Line, is_possible
from services.cost_alerts.domain.rating import in_euro
from services.cost_alerts.domain.view import View
from services.shared.events.prices import Capacity, Fee, Minimum, Pool
from services.shared.money import EXACT, split_nano
from services.shared.periods import day_start

Costly = Held[Pool] | Held[Capacity] | Held[Fee] | Held[Minimum]
"""A term that costs something."""

_HALF_A_DAY = timedelta(hours=12)
_PLACES = Decimal("1E-18")
_UNITS = 10**18
_MOST = 10**30 - 1
"""More than this cannot be told: a decimal on the bus has at most 30 digits before its point."""


def noon(day: date) -> datetime:
    """A moment of a Helsinki day that lies in the day of the same date in every zone from -10 to +13 hours of UTC."""
    return day_start(day) + _HALF_A_DAY


def as_decimal(quantity: Fraction) -> Decimal:
    """A quantity with at most 18 decimals, rounded half-even where it has more; at most what can be told.

    A sender can report what it likes, and absurd readings add up: they must not stop the charges of everybody else.
    """
    if abs(quantity) > _MOST:
        quantity = Fraction(_MOST if quantity > 0 else -_MOST)
    exact = EXACT.divide(Decimal(quantity.numerator), Decimal(quantity.denominator))
    rounded = exact.quantize(_PLACES, rounding=ROUND_HALF_EVEN, context=EXACT)
    return Decimal(f"{rounded.normalize(EXACT):f}")


def money(line: Line, nano: Fraction) -> Amounts:
    """`nano` 10⁻⁹ of the line's currency, and the same in euro at its rate, each rounded once, half-even."""
    if line.rate is None or line.reason is not None:
        return (round(nano), None)
    return (round(nano), round(nano / Fraction(line.rate)))


def share_of_day(price: Fraction, position: int, days: int) -> int:
    """What day number `position` (from 0) of `days` costs of a price in 10⁻⁹: all days add up to the rounded price."""
    return round(price * (position + 1) / days) - round(price * position / days)


def line_of_term(view: View, held: Costly, meter: str, category: Category, day: date) -> Line:
    """A line of what a term of a contract costs on a day, in its own currency; who pays is still open."""
    vat_rate = view.contracts.vat_rate(held.system, noon(day))
    line = Line(meter, category, NOBODY, held.name, held.version, held.term.currency, vat_rate=vat_rate)
    return in_euro(view, line, day)


def parted(whole: Part, weights: Weights) -> Iterator[Part]:
    """A part for everybody, parted by weights: quantity, money and list price, each adding up exactly."""
    listed = split((whole.list_nano, None), weights)
    quantities = split_nano(int(EXACT.multiply(whole.quantity, Decimal(_UNITS))), weights)
    for owner, amounts in split(whole.amounts, weights).items():
        line, quantity = replace(whole.line, owner=owner), as_decimal(Fraction(quantities[owner], _UNITS))
        yield replace(whole, line=line, quantity=quantity, amounts=amounts, list_nano=listed[owner][0])


def checked(part: Part) -> Part:
    """The part; without a price where the ledger could not hold it, or more was used than can be told."""
    if is_possible(part.amounts) and is_possible((part.list_nano, None)) and part.quantity.copy_abs() < _MOST:
        return part
    return unpriced(part, TOO_LARGE)


def unpriced(part: Part, reason: str) -> Part:
    """The same part with a reason in the place of its money."""
    line = part.line
    bare = Line(line.meter, line.category, line.owner, reason=reason, vat_rate=line.vat_rate)
    return replace(part, line=bare, amounts=NOTHING, list_nano=None)


def in_order(parts: Iterable[Part]) -> tuple[Part, ...]:
    """Parts by day, SKU, meter and who pays: the same parts always in the same order."""
    return tuple(sorted(_told_apart(parts), key=_order))


def _told_apart(parts: Iterable[Part]) -> Iterator[Part]:
    """The parts; those without a price for one reason are one part, since their prices no longer tell them apart."""
    bare: dict[tuple[object, ...], Part] = {}
    for part in parts:
        if part.line.reason is None or part.amounts != NOTHING:
            yield part
            continue
        key = (part.day, part.sku, part.line, part.estimated)
        before = bare.get(key)
        quantity = part.quantity if before is None else as_decimal(Fraction(before.quantity) + Fraction(part.quantity))
        bare[key] = replace(part, quantity=quantity)
    yield from bare.values()


def _order(part: Part) -> tuple[object, ...]:
    line, owner = part.line, part.line.owner
    return (
        part.day,
        part.sku,
        line.meter,
        line.category,
        owner.unit,
        owner.cost_centre,
        owner.project,
        owner.rule or "",
        line.tariff or "",
        line.tariff_version or 0,
        line.nano_per_unit or 0,
        line.list_per_unit or 0,
        line.reason or "",
        str(line.vat_rate),
        part.estimated,
    )
