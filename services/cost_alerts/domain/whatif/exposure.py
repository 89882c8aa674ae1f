"""What a change of prices costs: those that are announced, and ten per cent of all that a vendor is paid.

Reckoned over the next 365 days, use staying as it was on the last 28: what was used costs what it costs by the prices
of each day (`basket`), and what is paid for by time (seats, fees, pools, capacity) costs what the agreements say.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from typing import NamedTuple

from services.cost_alerts.domain.agreements.agreement import Known, Part
from services.cost_alerts.domain.agreements.all import agreements
from services.cost_alerts.domain.agreements.fixed import HOURS, Capacities, Fees
from services.cost_alerts.domain.agreements.pool import Pools
from services.cost_alerts.domain.agreements.seating import Product
from services.cost_alerts.domain.agreements.seats import day_parts
from services.cost_alerts.domain.agreements.split import Payers
from services.cost_alerts.domain.allocation import NOBODY
from services.cost_alerts.domain.view import View
from services.shared.events.plans import PlannedChange

HORIZON_DAYS = 365
TEN_PERCENT = Fraction(1, 10)

_NOUGHT = Fraction(0)


class Exposure(NamedTuple):
    """What changes of the prices of a system would cost in the next 365 days, 10⁻⁹ euro.

    Attributes:
        announced_nano: what published tariffs, stretches of contracts and planned price changes that are still to come
            add beside the prices of today (negative: save).
        announced_from: the first day on which one of them changes what is paid; None when none does.
        ten_percent_nano: a tenth of what the system costs in these days by the prices of today.
    """

    system: str
    vendor: str
    announced_nano: int
    announced_from: date | None
    ten_percent_nano: int


class Lately(NamedTuple):
    """What a unit's use of a SKU cost on one of the last days, 10⁻⁹ euro; `by_time`: used or not."""

    day: date
    unit: str
    sku: str
    by_time: bool
    eur_nano: int


@dataclass(frozen=True, slots=True)
class Situation:
    """A system on the eve of the next 365 days.

    `levels`: its prices by day, those of today being 1. `held`, `coming`: what is paid for by time on each day to come,
    by the prices of today and by those that are announced.
    """

    system: str
    vendor: str
    today: date
    lately: Sequence[Lately]
    days_lately: int
    levels: Mapping[date, Fraction]
    held: Mapping[date, int]
    coming: Mapping[date, int]

    @property
    def used_daily(self) -> Fraction:
        """What a day's use costs by the prices of today."""
        used = (one for one in self.lately if not one.by_time)
        return sum((one.eur_nano / (self.levels.get(one.day) or Fraction(1)) for one in used), _NOUGHT) / (
            self.days_lately
        )


def horizon(today: date) -> Sequence[date]:
    """The days that an exposure is reckoned over: `today` and the 364 after it."""
    return [today + timedelta(days=number) for number in range(HORIZON_DAYS)]


def exposure(of: Situation, planned: Iterable[PlannedChange], inside: Mapping[str, Collection[str]]) -> Exposure:
    """How exposed a system is. `planned`: price changes of it that count; `inside`: unit → it and all below it."""
    used = of.used_daily
    changes = list(planned)
    announced, first, whole = _NOUGHT, None, _NOUGHT
    for day in horizon(of.today):
        today = used + of.held.get(day, 0)
        more = used * (of.levels.get(day, Fraction(1)) - 1) + of.coming.get(day, 0) - of.held.get(day, 0)
        more += sum((today * part for part in _planned(of, changes, inside, day)), _NOUGHT)
        first = day if first is None and more else first
        announced += more
        whole += today
    return Exposure(of.system, of.vendor, round(announced), first, round(whole * TEN_PERCENT))


def _planned(
    of: Situation, changes: Iterable[PlannedChange], inside: Mapping[str, Collection[str]], day: date
) -> Iterator[Fraction]:
    """By what part of a day's whole cost each planned change of a price raises it."""
    for change in changes:
        if change.factor is not None and day >= change.valid_from:
            yield (Fraction(change.factor) - 1) * grown(change, day) * _share(of.lately, change, inside)


def grown(change: PlannedChange, day: date) -> Fraction:
    """How much of a planned change has come about on a day, from 0 to 1: it grows evenly over its days."""
    if day < change.valid_from:
        return _NOUGHT
    return min(Fraction((day - change.valid_from).days + 1, change.ramp_days or 1), Fraction(1))


def _share(lately: Sequence[Lately], change: PlannedChange, inside: Mapping[str, Collection[str]]) -> Fraction:
    """The part of a system's cost that a planned change is about, as costs were parted lately."""
    whole = sum(one.eur_nano for one in lately)
    units = None if change.unit is None else inside.get(change.unit, (change.unit,))
    about = sum(one.eur_nano for one in lately if change.sku in ("*", one.sku) and (units is None or one.unit in units))
    return Fraction(about, whole) if whole > 0 else Fraction(int(change.sku == "*" and units is None))


def counting(
    planned: Iterable[PlannedChange], system: str, today: date, published: Collection[date]
) -> list[PlannedChange]:
    """The planned price changes of a system that add to what is published, on whose first days published prices begin.

    One whose day has come counts no more. One that comes on the day of a published price is that very change, and is
    not counted twice.
    """
    of_system = (one for one in planned if one.kind == "price" and one.system == system)
    return [one for one in of_system if one.valid_from > today and one.valid_from not in published]


def by_time(view: View, system: str, seats: Mapping[str, int], days: Sequence[date]) -> Mapping[date, int]:
    """What a system costs on each of these days, used or not: 10⁻⁹ euro. `seats`: SKU → those purchased.

    What has no price adds nothing: nobody can say how it would change.
    """
    found = dict.fromkeys(days, 0)
    for part in (*_terms(view, system, days), *_seats(view, system, seats, days)):
        if part.day in found:
            found[part.day] += part.amounts[1] or 0
    return found


def _terms(view: View, system: str, days: Sequence[date]) -> Iterator[Part]:
    known = Known(days[-1])
    for agreement in agreements(view, system):
        if isinstance(agreement, Fees | Capacities | Pools):
            for cycle in agreement.cycles(days[0], days[-1]):
                yield from agreement.parts(view, cycle, known)


def _seats(view: View, system: str, seats: Mapping[str, int], days: Sequence[date]) -> Iterator[Part]:
    payers = Payers(view)
    for sku, purchased in seats.items():
        for day in days:
            yield from day_parts(payers, Product(system, sku), day, purchased, {NOBODY: purchased}) if purchased else ()


def is_by_time(category: str, meter: str) -> bool:
    """Whether a charge of this category and meter is owed by time alone."""
    return category == "Purchase" or meter == HOURS
