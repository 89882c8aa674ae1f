"""A basket of use at the prices of any day: how the prices of a system rise and fall, use staying the same.

A Laspeyres index: what the use of some weeks costs by the prices of a day, beside what it costs by those of today. It
is about tariffs and discounts alone: exchange rates are those of today on every day, and pools are left out of it, so
that what counts is what the next unit costs.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from services.cost_alerts.domain.agreements.agreement import Cycle, Known, Metered
from services.cost_alerts.domain.agreements.all import agreements
from services.cost_alerts.domain.agreements.reckoning import noon
from services.cost_alerts.domain.agreements.tiers import Monthly
from services.cost_alerts.domain.allocation import NOBODY
from services.cost_alerts.domain.pricing import Line, rounded_up
from services.cost_alerts.domain.rating import WHOLE_READING, charged_meters, is_reported, unit_line
from services.cost_alerts.domain.use import Profile, Sizes, Use
from services.cost_alerts.domain.view import View

Basket = Sequence[Metered]
"""Use of one system by nobody in particular, each kind of use once, its quantities added up."""

_ONE = Fraction(1)
_BLANK = Line(WHOLE_READING, "Usage", NOBODY)


class Position(NamedTuple):
    """What of a basket has a price of its own: a meter of a kind of use; `number`: its place in the basket."""

    sku: str
    meter: str
    number: int


Prices = Mapping[Position, Fraction]
"""What each position costs in 10⁻⁹ euro, of those that have a price."""


@dataclass(frozen=True, slots=True)
class PriceIndex:
    """The prices of a system by day, those of today being 1.

    Attributes:
        levels: day → what the basket costs by its prices, as a multiple of what it costs by those of today.
        guessed: day → SKUs that have no price on it, so that their last known one counts (of days before today: the
            next known one). Days on which nothing is guessed are left out.
        left_out: SKUs that were used and have no price today; they are not in the basket.
    """

    levels: Mapping[date, Fraction]
    guessed: Mapping[date, Sequence[str]]
    left_out: Sequence[str]


Kind = tuple[Profile, str | None, Sizes]
"""What uses of one kind have in common: the profile of nobody, the currency of a reported cost, sizes."""


def kind_of(use: Use) -> Kind:
    """Which kind of use it is; prices are the same within a kind."""
    nobody = replace(use.profile, person=None, account=None, tags=(), environment="")
    return nobody, use.reported_currency, use.sizes


def measured(view: View, one: Metered) -> Iterator[tuple[str, Decimal]]:
    """The meters that a reading is charged by, with their quantities; where the reported cost counts, that."""
    quantities = (one.cost or Decimal(0),) if is_reported(view, one.use) else one.quantities
    return zip(charged_meters(view, one.use), quantities, strict=True)


def by_nobody(metered: Iterable[Metered]) -> Basket:
    """Readings of one system added up to a basket."""
    found: dict[Kind, tuple[Use, list[Decimal], Decimal]] = {}
    for one in metered:
        nobody, *_ = key = kind_of(one.use)
        use, sums, cost = found.get(key) or (replace(one.use, profile=nobody), [Decimal(0)] * len(one.quantities), 0)
        sums = [before + more for before, more in zip(sums, one.quantities, strict=True)]
        found[key] = (use, sums, cost + (one.cost or Decimal(0)))
    return [Metered(use, tuple(sums), cost, estimated=False) for use, sums, cost in found.values()]


def prices(view: View, basket: Basket, day: date, today: date) -> Prices:
    """What the positions of a basket cost by the tariffs at noon of `day` and the exchange rates of `today`."""
    moved = [replace(one, use=replace(one.use, start=noon(day), day=today)) for one in basket]
    return {**dict(_by_the_unit(view, moved)), **dict(_by_the_month(view, moved, day))}


def _by_the_unit(view: View, basket: Basket) -> Iterator[tuple[Position, Fraction]]:
    for number, one in enumerate(basket):
        for meter, quantity in measured(view, one):
            line = unit_line(view, one.use, meter, _BLANK)
            if line.nano_per_unit is not None and line.rate is not None:
                units = rounded_up(quantity, line.round_to)
                yield Position(one.use.profile.sku, meter, number), units * line.nano_per_unit / Fraction(line.rate)


def _by_the_month(view: View, basket: Basket, day: date) -> Iterator[tuple[Position, Fraction]]:
    """Tiers and packages that last for a month: the basket as if it were the use of the month of `day`.

    What is counted together costs the same by the unit, whichever of it came first.
    """
    numbers = {id(one): number for number, one in enumerate(basket)}
    for agreement, cycle in _months(view, basket, day):
        amounts = [part.amounts[1] for part in agreement.parts(view, cycle, Known(day, basket))]
        drawn = list(agreement.reader.under(view).drawn(agreement.key, cycle, basket))
        whole = sum((one.counted for one in drawn), Fraction(0))
        known = [nano for nano in amounts if nano is not None]
        if whole and len(known) == len(amounts):
            for one in drawn:
                place = Position(one.reading.use.profile.sku, one.meter, numbers[id(one.reading)])
                yield place, sum(known) * one.counted / whole


def _months(view: View, basket: Basket, day: date) -> Iterator[tuple[Monthly, Cycle]]:
    """The counts of the system's monthly tariffs, each with the month that noon of a day lies in."""
    system = basket[0].use.profile.system if basket else ""
    for agreement in agreements(view, system):
        if isinstance(agreement, Monthly):
            for cycle in agreement.cycles(day, day):
                if cycle.starts <= noon(day) < cycle.ends:
                    yield agreement, cycle


def index(view: View, basket: Basket, today: date, days: Iterable[date]) -> PriceIndex:
    """The prices of a basket on these days. Only days between which a tariff or a contract changes are priced anew."""
    base = prices(view, basket, today, today)
    asked = sorted(set(days))
    forward = _walk(view, basket, base, today, [day for day in asked if day >= today])
    backward = _walk(view, basket, base, today, [day for day in reversed(asked) if day < today])
    found = [*forward, *backward]
    return PriceIndex(
        {day: level for day, level, _ in found},
        {day: guessed for day, _, guessed in found if guessed},
        sorted({one.use.profile.sku for one in _unpriced(basket, base)}),
    )


def may_change(view: View, system: str, first: date, last: date) -> bool:
    """Whether a price of a system may be another on one of these days than on the first."""
    edges = (*view.tariffs.edges(system), *view.contracts.edges(system))
    return any(noon(first) < edge <= noon(last) for edge in edges)


def _unpriced(basket: Basket, base: Prices) -> Iterator[Metered]:
    """What of a basket has no price at all today."""
    priced = {position.number for position in base}
    return (one for number, one in enumerate(basket) if number not in priced)


def _walk(
    view: View, basket: Basket, base: Prices, today: date, days: Sequence[date]
) -> Iterator[tuple[date, Fraction, Sequence[str]]]:
    """Levels of days that lead away from today: a price that ends is kept as it was last known."""
    edges = _edges(view, basket)
    whole, known, level, guessed = sum(base.values()), dict(base), _ONE, list[str]()
    segment = bisect_right(edges, noon(today))
    for day in days:
        if bisect_right(edges, noon(day)) != segment:
            segment = bisect_right(edges, noon(day))
            now = prices(view, basket, day, today)
            known = {position: now.get(position, last) for position, last in known.items()}
            guessed = sorted({position.sku for position in known if position not in now})
            level = sum(known.values()) / whole if whole else _ONE
        yield day, level, guessed


def _edges(view: View, basket: Basket) -> list[datetime]:
    """The instants at which a price of the basket's system may change."""
    system = basket[0].use.profile.system if basket else ""
    return sorted({*view.tariffs.edges(system), *view.contracts.edges(system)})
