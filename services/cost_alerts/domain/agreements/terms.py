"""Terms of contracts through time: which stretch of time a term holds for, and the cycles it is reckoned in.

Days of a contract are those of its own time zone; what a day of it costs is charged on the Helsinki day of that date.
A contract that is amended (the same id with a later validity) goes on as it was where a term stays the same.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Generic, TypeVar
from zoneinfo import ZoneInfo

from services.cost_alerts.domain.agreements.agreement import Cycle
from services.cost_alerts.domain.view import View
from services.shared.events.prices import Capacity, Every, Fee, Minimum, Pool, UnusedSeats
from services.shared.events.usage import FIRST_DAY, LAST_DAY
from services.shared.periods import Month, day_start

T = TypeVar("T", Pool, Capacity, Fee, Minimum, UnusedSeats)

FAR = LAST_DAY + timedelta(days=1)
"""Where what has no end ends for reckoning; nothing is used on this day."""


@dataclass(frozen=True, slots=True)
class Span:
    """The days of a cycle (`until` exclusive), and those of the whole month, year or term that it is cut from."""

    first: date
    until: date
    whole_first: date
    whole_until: date

    @property
    def last(self) -> date:
        return self.until - timedelta(days=1)

    @property
    def whole_days(self) -> int:
        return (self.whole_until - self.whole_first).days

    def days(self, today: date) -> Iterator[date]:
        """Its days up to `today`, inclusive, rising."""
        for number in range(self.first.toordinal(), min(self.until, today + timedelta(days=1)).toordinal()):
            yield date.fromordinal(number)


@dataclass(frozen=True, slots=True)
class Held(Generic[T]):
    """A term of a contract from `first` to `until` (exclusive), in the days of its zone.

    `anchor`: the first day of the contract, from which its years are counted. `version`: of the register, that brought
    the contract as it first had this term. `ends`: whether the contract names its end.
    """

    contract: str
    system: str
    term: T
    version: int
    zone: ZoneInfo
    anchor: date
    first: date
    until: date
    ends: bool

    @property
    def name(self) -> str:
        """How charges name it: contract and term."""
        return f"{self.contract}/{self.term.id}"

    @property
    def key(self) -> str:
        """The key of its agreement."""
        return f"{self.term.kind}:{self.name}"

    @property
    def every(self) -> Every:
        """In which cycles it is reckoned: capacity by the month; what carries over, in one for the whole term."""
        match self.term:
            case Pool(carries_over=True):
                return "once"
            case Pool() | Fee() | Minimum():
                return self.term.every
            case _:
                return "month"

    def span(self, day: date, every: Every | None = None) -> Span:
        """The cycle that a day of this stretch falls in."""
        first, until = self._whole(every or self.every, day)
        return Span(max(first, self.first), min(until, self.until), first, until)

    def _whole(self, every: Every, day: date) -> tuple[date, date]:
        if every == "month":
            month = Month.of(day)
            return month.first_day, month.next.first_day
        if every == "once":
            return self.first, self.until
        years = day.year - self.anchor.year
        years -= anniversary(self.anchor, years) > day
        return anniversary(self.anchor, years), anniversary(self.anchor, years + 1)

    def cycle(self, span: Span) -> Cycle:
        starts, ends = day_start(span.first, self.zone), day_start(span.until, self.zone)
        return Cycle(self.key, self.system, starts, ends)

    def spans(self, first: date, last: date) -> Iterator[Span]:
        """The cycles that touch the Helsinki days from `first` to `last`, inclusive; a day more on either side."""
        day = max(_shifted(first, -1), self.first, FIRST_DAY)
        while day < self.until and day <= _shifted(last, 1):
            span = self.span(day)
            yield span
            day = span.until

    def span_of(self, cycle: Cycle) -> Span | None:
        """The span of a cycle; None when it is none of this stretch's."""
        day = cycle.starts.astimezone(self.zone).date()
        if not self.first <= day < self.until:
            return None
        span = self.span(day)
        return span if self.cycle(span) == cycle else None


def anniversary(anchor: date, years: int) -> date:
    """The same day `years` later; a 29 February is followed by 1 March where there is none."""
    year = anchor.year + years
    leap_day = (anchor.month, anchor.day) == (2, 29)
    if leap_day and Month(year, 2).days == 28:  # noqa: PLR2004  # of February
        return date(year, 3, 1)
    return anchor.replace(year=year)


def _shifted(day: date, days: int) -> date:
    return day if day in (date.min, date.max) else day + timedelta(days=days)


def held(view: View, system: str, kind: type[T]) -> dict[str, list[Held[T]]]:
    """The terms of a kind on a system by their keys, each as stretches that rise and do not overlap."""
    found: dict[str, list[Held[T]]] = {}
    for contract, term in view.contracts.terms(system):
        if isinstance(term, kind):
            fact = contract.fact
            zone, until = ZoneInfo(fact.time_zone), fact.valid_to or FAR
            one = Held(
                contract=fact.id,
                system=fact.system,
                term=term,
                version=contract.version,
                zone=zone,
                anchor=fact.valid_from,
                first=fact.valid_from,
                until=until,
                ends=fact.valid_to is not None,
            )
            _add(found.setdefault(one.key, []), one)
    return found


def _add(stretches: list[Held[T]], one: Held[T]) -> None:
    """Add a later stretch; it goes on with the last where the term is the same, and cuts it where they overlap."""
    last = stretches[-1] if stretches else None
    if last is not None and one.first <= last.until and one.zone.key == last.zone.key:
        if one.term == last.term:
            stretches[-1] = replace(last, until=one.until, ends=one.ends)
            return
        one = replace(one, anchor=last.anchor)
    if last is not None and one.first < last.until:
        stretches[-1] = replace(last, until=one.first, ends=True)
    stretches.append(one)


def cycles_of(stretches: Iterable[Held[T]], first: date, last: date) -> Iterator[Cycle]:
    """The cycles of all stretches that touch these Helsinki days, rising."""
    for stretch in stretches:
        for span in stretch.spans(first, last):
            yield stretch.cycle(span)


def stretch_of(stretches: Iterable[Held[T]], cycle: Cycle) -> tuple[Held[T], Span] | None:
    """The stretch and the span of a cycle; None when the register does not know this cycle (any more)."""
    found = ((stretch, stretch.span_of(cycle)) for stretch in stretches)
    return next(((stretch, span) for stretch, span in found if span is not None), None)
