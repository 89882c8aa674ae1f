"""Seats: a day's share of a monthly price for every purchased seat, split among the units of their holders.

The history of one day is a function of everything observed about it and of the register, folded at the end of each
Helsinki day of recording: an observation of five hundred seats is one change of mind, not five hundred.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import NamedTuple, TypeVar

from services.cost_alerts.domain.allocation import NOBODY, Owner
from services.cost_alerts.domain.pricing import NOTHING, TOO_LARGE, Amounts, Line, Pricer, is_possible, priced, unpriced
from services.cost_alerts.domain.use import Profile
from services.cost_alerts.domain.view import Book, View
from services.shared.money import split_nano
from services.shared.periods import Month, helsinki_day

METER = "seats"
ACTIVE_WITHIN = timedelta(days=28)
"""A seat is idle when its holder's last use is longer ago than this, or was never seen."""


@dataclass(frozen=True, slots=True)
class Count:
    """A vendor's count for one day, and when the bus took it in."""

    observed_on: date
    revision: int
    purchased: int
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Holding:
    """A person's seat from `assigned_on` (inclusive) to `released_on` (exclusive; None while held)."""

    person: str
    assigned_on: date
    revision: int
    released_on: date | None
    recorded_at: datetime

    def covers(self, day: date) -> bool:
        return self.assigned_on <= day and (self.released_on is None or day < self.released_on)


K = TypeVar("K")
R = TypeVar("R", Count, Holding)


@dataclass(frozen=True, slots=True)
class Part:
    """What one unit pays for its seats of one day; `seats` counts those it holds or that fell to it."""

    line: Line
    seats: int
    amounts: Amounts


@dataclass(frozen=True, slots=True)
class DayCharge:
    """How a day's seats are charged from a recorded time on, under a register version."""

    recorded_at: datetime
    version: int
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Observed:
    """What was known about one SKU at one moment."""

    counts: Mapping[date, Count]
    holdings: Mapping[tuple[str, date], Holding]

    def purchased(self, day: date) -> int | None:
        """Seats on `day`: of the latest count up to it, if a count of that day or a later one is known."""
        if not self.counts or max(self.counts) < day:
            return None
        earlier = [observed for observed in self.counts if observed <= day]
        return self.counts[max(earlier)].purchased if earlier else None

    def holders(self, day: date) -> frozenset[str]:
        """The persons who hold a seat on `day`."""
        return frozenset(holding.person for holding in self.holdings.values() if holding.covers(day))


def states(counts: Iterable[Count], holdings: Iterable[Holding]) -> list[tuple[datetime, Observed]]:
    """What was known at the end of each Helsinki day on which something was recorded, rising.

    The highest revision of a count or holding counts; of equal ones the first.
    """
    known_counts: dict[date, Count] = {}
    known_holdings: dict[tuple[str, date], Holding] = {}
    found: dict[date, tuple[datetime, Observed]] = {}
    observed: list[Count | Holding] = sorted((*counts, *holdings), key=lambda one: one.recorded_at)
    for recorded_on, ones in groupby(observed, key=lambda one: helsinki_day(one.recorded_at)):
        for one in ones:
            moment = one.recorded_at
            if isinstance(one, Count):
                _keep_higher(known_counts, one.observed_on, one)
            else:
                _keep_higher(known_holdings, (one.person, one.assigned_on), one)
        found[recorded_on] = (moment, Observed(dict(known_counts), dict(known_holdings)))
    return list(found.values())


def _keep_higher(known: dict[K, R], key: K, one: R) -> None:
    kept = known.get(key)
    if kept is None or kept.revision < one.revision:
        known[key] = one


class Product(NamedTuple):
    """A SKU of a system."""

    system: str
    sku: str


class SeatLedger:
    """The seats of one SKU of one system: everything observed, under every register version."""

    def __init__(self, book: Book, product: Product, counts: Sequence[Count], holdings: Sequence[Holding]) -> None:
        self._book = book
        self._product = product
        self._states = states(counts, holdings)

    def history(self, day: date) -> list[DayCharge]:
        """How `day` was charged, from the first recorded day on; a charge stands until the next one in the list."""
        charges: list[DayCharge] = []
        known: tuple[object, ...] | None = None
        for moment, state in self._moments(day):
            version = self._book.version_at(moment)
            purchased = state.purchased(day)
            told = (purchased, state.holders(day), self._pricing_version(version, day))
            if told == known:
                continue
            known = told
            parts = () if not purchased else day_parts(self._book.view(version), self._product, day, purchased, told[1])
            if parts != (charges[-1].parts if charges else ()):
                charges.append(DayCharge(moment, version, parts))
        return charges

    def _moments(self, day: date) -> list[tuple[datetime, Observed]]:
        """Each recorded day's last moment at which an observation or a register version came, with what was known."""
        if not self._states:
            return []
        versions = [self._book.published_at(version) for version in self._book.touching(0, self._product.system, day)]
        evenings = _last_of_each_day([*(moment for moment, _ in self._states), *versions])
        found: list[tuple[datetime, Observed]] = []
        position = -1
        for moment in evenings:
            while position + 1 < len(self._states) and self._states[position + 1][0] <= moment:
                position += 1
            if position >= 0:
                found.append((moment, self._states[position][1]))
        return found

    def _pricing_version(self, version: int, day: date) -> int:
        """The last version up to `version` that touches the day: versions between two such price it alike."""
        return max((one for one in self._book.touching(0, self._product.system, day) if one <= version), default=0)


def marked_days(marks: Iterable[tuple[date, date]], observed: Collection[date]) -> list[date]:
    """The days to charge again, rising: those of the marks (first and last, inclusive) and those their counts reach.

    A count speaks for its own day and the days after it until the next one; the latest one also makes the days
    before it chargeable, back to the one before. No day outside the observed ones is charged.
    """
    days = sorted({day.toordinal() for day in observed})
    found = {day for first, last in marks for day in _reached(first.toordinal(), last.toordinal(), days)}
    return [date.fromordinal(day) for day in sorted(found)]


def _reached(first: int, last: int, days: Sequence[int]) -> range:
    if not days:
        return range(0)
    before = max((day for day in days if day < first), default=first - 1)
    after = min((day for day in days if day > last), default=days[-1] + 1)
    return range(max(min(before + 1, first), days[0]), min(after, days[-1] + 1))


def _last_of_each_day(moments: Iterable[datetime]) -> list[datetime]:
    """The last moment of each Helsinki day, rising."""
    return sorted({helsinki_day(moment): moment for moment in sorted(moments)}.values())


def day_parts(view: View, product: Product, day: date, purchased: int, holders: frozenset[str]) -> tuple[Part, ...]:
    """The charges of one day, by unit: purchased × price ÷ days of the Helsinki month, rounded once, then split.

    Held seats go to their holders' units; those nobody holds go by the rules for the system. Parts add up exactly.
    """
    seats = _seats_by_owner(view, product, day, purchased, holders)
    tariff = view.tariffs.per_seat(product.system, product.sku, day)
    whole = Line(METER, "Purchase", NOBODY)
    if isinstance(tariff, str):
        return _unpriced_parts(whole, tariff, seats)
    whole = priced(view, whole, tariff, day)
    amounts = _of_a_day(whole, day).amounts(Decimal(purchased))
    if not is_possible(amounts):
        return _unpriced_parts(whole, TOO_LARGE, seats)
    return _split(whole, amounts, seats)


def _seats_by_owner(
    view: View, product: Product, day: date, purchased: int, holders: frozenset[str]
) -> dict[Owner, int]:
    seats = Counter(
        view.allocation.owner(Profile(product.system, product.sku, (METER,), person=person), day) for person in holders
    )
    free = purchased - len(holders)
    if free > 0:
        seats[view.allocation.owner(Profile(product.system, product.sku, (METER,)), day)] += free
    return {owner: seats[owner] for owner in sorted(seats, key=lambda one: (one.unit, one.rule or ""))}


def _of_a_day(line: Line, day: date) -> Pricer:
    assert line.nano_per_unit is not None
    return Pricer(replace(line, nano_per_unit=line.nano_per_unit / Month.of(day).days))


def _unpriced_parts(line: Line, reason: str, seats: Mapping[Owner, int]) -> tuple[Part, ...]:
    return tuple(Part(unpriced(replace(line, owner=owner), reason), held, NOTHING) for owner, held in seats.items())


def _split(line: Line, amounts: Amounts, seats: Mapping[Owner, int]) -> tuple[Part, ...]:
    nano, eur_nano = (_share(amount, seats) for amount in amounts)
    return tuple(
        Part(replace(line, owner=owner), held, (nano[owner], eur_nano[owner])) for owner, held in seats.items()
    )


def _share(amount: int | None, seats: Mapping[Owner, int]) -> Mapping[Owner, int | None]:
    return dict.fromkeys(seats) if amount is None else dict(split_nano(amount, seats))
