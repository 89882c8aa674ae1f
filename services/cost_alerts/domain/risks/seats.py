"""Money in seats that nobody uses, in three figures: lost anyhow, of use to others, to be given back.

They answer different questions and are never added up: a seat that is reassigned is no longer exposed.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction

from services.cost_alerts.domain.agreements.reckoning import noon
from services.cost_alerts.domain.agreements.seating import METER
from services.cost_alerts.domain.agreements.seats import price_of_day
from services.cost_alerts.domain.risks.spending import YEAR_DAYS
from services.cost_alerts.domain.tariff import ANY_SKU
from services.cost_alerts.domain.view import View
from services.shared.events.plans import PlannedChange
from services.shared.money import NANO

_YEAR = timedelta(days=YEAR_DAYS)


@dataclass(frozen=True, slots=True)
class SeatStock:
    """A SKU's seats as they were last counted.

    `idle`: purchased, and used by nobody within 28 days; None: nobody tells who is active. `joined`: persons who got
    their first seat of the SKU within 28 days: so many are expected to ask for one next.
    """

    system: str
    sku: str
    purchased: int
    idle: int | None
    joined: int


@dataclass(frozen=True, slots=True)
class IdleSeats:
    """Three figures about the idle seats of a SKU, 10⁻⁹ euro; None where a day of them has no price.

    `until`: the day from which on fewer can be bought: the end of the contract, a year ahead at most.
    """

    system: str
    sku: str
    idle: int
    until: date
    exposed_nano: int | None
    reassignable_nano: int | None
    reducible_nano: int | None


def idle_seats(
    stocks: Iterable[SeatStock], view: View, today: date, ends: Callable[[str], date | None]
) -> Sequence[IdleSeats]:
    """The figures of every SKU whose idle seats are known. `ends`: a system → the end of its contracts; None: open."""
    return [_of_stock(stock, stock.idle, view, today, ends(stock.system)) for stock in stocks if stock.idle is not None]


def _of_stock(stock: SeatStock, idle: int, view: View, today: date, end: date | None) -> IdleSeats:
    far = today + _YEAR
    until, from_then = (far, today) if end is None else (min(end, far), end)
    return IdleSeats(
        system=stock.system,
        sku=stock.sku,
        idle=idle,
        until=until,
        exposed_nano=_cost(view, stock, [(idle, today, until)]),
        reassignable_nano=_cost(view, stock, list(_wanted(stock, idle, view.planned, today, until))),
        reducible_nano=_cost(view, stock, [(idle, from_then, from_then + _YEAR)]),
    )


Stretch = tuple[int, date, date]
"""So many seats, from a day (inclusive) to another (exclusive)."""


def _wanted(
    stock: SeatStock, idle: int, planned: Iterable[PlannedChange], today: date, until: date
) -> Iterator[Stretch]:
    """Who could have the idle seats, first come first served: those who join, then what is planned, by its day."""
    plans = sorted(
        (one for one in planned if _asks(one, stock, today, until)), key=lambda one: (one.valid_from, one.id)
    )
    left = idle
    for seats, since in [(stock.joined, today), *((one.seats or 0, one.valid_from) for one in plans)]:
        taken = min(left, seats)
        left -= taken
        if taken:
            yield taken, since, until


def _asks(change: PlannedChange, stock: SeatStock, today: date, until: date) -> bool:
    fits = change.system == stock.system and change.sku in (ANY_SKU, stock.sku)
    return fits and (change.seats or 0) > 0 and today < change.valid_from < until


def _cost(view: View, stock: SeatStock, stretches: Sequence[Stretch]) -> int | None:
    """What so many seats cost on those days, by the tariffs and discounts that will be in force; rounded once."""
    total = Fraction(0)
    for seats, first, until in stretches:
        for number in range(first.toordinal(), until.toordinal()):
            price = seat_price(view, stock.system, stock.sku, date.fromordinal(number))
            if price is None:
                return None
            total += seats * price
    return round(total * NANO)


def seat_price(view: View, system: str, sku: str, day: date) -> Fraction | None:
    """What a seat costs on a day, in euro at the newest rate that the day may use; None when nobody can say."""
    tariff = view.tariffs.per_seat(system, sku, day)
    if isinstance(tariff, str) or tariff.fact.currency is None:
        return None
    rate = view.exchange.before(tariff.fact.currency, day)
    off = view.contracts.off(system, sku, METER, noon(day))
    return None if rate is None else price_of_day(tariff, day) * (1 - Fraction(off)) / Fraction(rate.per_euro)
