"""Seats as they were observed: a vendor's daily counts and who held a seat, as known at any moment.

What was told of one day is swept once, from the first moment to the last, and never made anew for each moment: a
SKU of five hundred holders over a year is asked for in milliseconds per day, not seconds.
"""

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple, TypeVar

METER = "seats"
ACTIVE_WITHIN = timedelta(days=28)
"""A seat is idle when its holder's last use is longer ago than this, or was never seen."""


class Product(NamedTuple):
    """A SKU of a system."""

    system: str
    sku: str


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
class Observed:
    """What was known about one SKU at one moment."""

    counts: Mapping[date, Count]
    holdings: Mapping[tuple[str, date], Holding]

    @classmethod
    def at(cls, moment: datetime, counts: Iterable[Count], holdings: Iterable[Holding]) -> "Observed":
        """What of all this had been recorded by `moment`; the highest revision counts, of equal ones the first."""
        seen = [one for one in counts if one.recorded_at <= moment]
        held = [one for one in holdings if one.recorded_at <= moment]
        return cls(
            {day: kept[-1] for day, kept in _kept(seen, lambda one: one.observed_on).items()},
            {key: kept[-1] for key, kept in _kept(held, lambda one: (one.person, one.assigned_on)).items()},
        )

    def purchased(self, day: date) -> int | None:
        """Seats on `day`: of the latest count up to it, if a count of that day or a later one is known."""
        if not self.counts or max(self.counts) < day:
            return None
        earlier = [observed for observed in self.counts if observed <= day]
        return self.counts[max(earlier)].purchased if earlier else None

    def holders(self, day: date) -> frozenset[str]:
        """The persons who hold a seat on `day`."""
        return frozenset(holding.person for holding in self.holdings.values() if holding.covers(day))


class Told(NamedTuple):
    """What a moment changed of one day: the seats now purchased (None: not known yet), and who came and who went."""

    recorded_at: datetime
    purchased: int | None
    came: Sequence[str]
    went: Sequence[str]


class Seating:
    """Everything observed of one SKU, ready to be asked day by day."""

    def __init__(self, counts: Iterable[Count], holdings: Iterable[Holding]) -> None:
        kept_counts = _kept(counts, lambda one: one.observed_on)
        self._counts = sorted((one for kept in kept_counts.values() for one in kept), key=lambda one: one.recorded_at)
        kept_holdings = _kept(holdings, lambda one: (one.person, one.assigned_on))
        self._holdings = sorted(kept_holdings.values(), key=lambda kept: kept[0].assigned_on)
        self._assigned = [kept[0].assigned_on for kept in self._holdings]

    def told(self, day: date) -> list[Told]:
        """Each moment that changed what is known of `day`, rising; who came and went by name."""
        purchased = dict(self._purchases(day))
        moves = self._moves(day)
        told: list[Told] = []
        for moment in sorted({*purchased, *moves}):
            before = told[-1].purchased if told else None
            came, went = moves.get(moment, ((), ()))
            told.append(Told(moment, purchased.get(moment, before), sorted(came), sorted(went)))
        return told

    def _purchases(self, day: date) -> Iterator[tuple[datetime, int]]:
        """The purchased seats of a day each time they change; nothing until a count of that day or later is known."""
        latest, seats, reached, said = date.min, None, False, None
        for count in self._counts:
            if count.observed_on <= day and count.observed_on >= latest:
                latest, seats = count.observed_on, count.purchased
            reached = reached or count.observed_on >= day
            if reached and seats is not None and seats != said:
                said = seats
                yield count.recorded_at, seats

    def _moves(self, day: date) -> dict[datetime, tuple[list[str], list[str]]]:
        """Moment → who was then known to hold a seat on `day`, and who no longer."""
        moves: dict[datetime, tuple[list[str], list[str]]] = {}
        for kept in self._holdings[: bisect_right(self._assigned, day)]:
            held = False
            for holding in kept:
                if holding.covers(day) != held:
                    held = not held
                    moves.setdefault(holding.recorded_at, ([], []))[0 if held else 1].append(holding.person)
        return moves


def _kept(observed: Iterable[R], key_of: Callable[[R], K]) -> dict[K, list[R]]:
    """By key, in the order of recording, each that was told with a higher revision than all before it."""
    kept: dict[K, list[R]] = {}
    for one in sorted(observed, key=lambda one: one.recorded_at):
        found = kept.setdefault(key_of(one), [])
        if not found or found[-1].revision < one.revision:
            found.append(one)
    return kept


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
