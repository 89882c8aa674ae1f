"""Closed months: which month's books take a change that came after a month was closed.

A month is a number here, year × 12 + month − 1; instants are microseconds since 1970 UTC, days proleptic ordinals.
"""

from collections.abc import Mapping
from datetime import date, datetime
from functools import lru_cache
from typing import NamedTuple

from services.shared.periods import Month, day_start, helsinki_day


def month_number(month: Month) -> int:
    return month.year * 12 + month.number - 1


def month_of(number: int) -> Month:
    return Month(number // 12, number % 12 + 1)


@lru_cache(maxsize=16_384)
def month_of_day(day: int) -> int:
    """The number of the month that a day (ordinal) lies in."""
    return month_number(Month.of(date.fromordinal(day)))


def cut_off_of(told: datetime, ingested: datetime) -> datetime:
    """The cut-off that a closing has: what it tells, but within the Helsinki day on which it was told, and not ahead.

    So a closing changes nothing of what was known at the end of any earlier day, and nothing that is still to come
    slips into a month that counts as closed.
    """
    return min(ingested, max(told, day_start(helsinki_day(ingested))))


class Booking(NamedTuple):
    """Part of what a month's books take.

    Charges of these days (ordinals, inclusive) that began or ended after `above` (None: at any time) and up to
    `up_to` (None: for ever).
    """

    first_day: int
    last_day: int
    above: int | None
    up_to: int | None


class Closings:
    """The cut-offs of the closed months: what is recorded after a month's cut-off is booked in an open month."""

    def __init__(self, cut_offs: Mapping[int, int]) -> None:
        """`cut_offs`: month → the last instant that still counts for it."""
        self.cut_offs = dict(sorted(cut_offs.items()))
        last = max(self.cut_offs, default=None)
        self.open_from = 0 if last is None else month_of(last).next.first_day.toordinal()
        """The first day after the last closed month; changes of days from it on are always booked where they fall."""

    def booked_in(self, day: int, recorded_at: int) -> int:
        """The month whose books take a change to `day` that was recorded at `recorded_at`: the earliest still open."""
        month = month_of_day(day)
        while month in self.cut_offs and recorded_at > self.cut_offs[month]:
            month += 1
        return month

    def bookings(self, month: int) -> list[Booking]:
        """What the books of a month take: its own days, and those of closed months before it; see `booked_in`."""
        up_to = self.cut_offs.get(month)
        found = [Booking(_first_day(month), _first_day(month + 1) - 1, None, up_to)]
        while (month := month - 1) in self.cut_offs:
            later, cut_off = found[-1], self.cut_offs[month]
            above = cut_off if later.above is None else max(later.above, cut_off)
            if up_to is not None and above >= up_to:
                break
            if above == later.above:
                found[-1] = later._replace(first_day=_first_day(month))
            else:
                found.append(Booking(_first_day(month), later.first_day - 1, above, up_to))
        return found

    def with_month(self, month: int, cut_off: int) -> "Closings":
        """These and one more. Its cut-off is never before those that stand, so that no closed month's books move."""
        return Closings({**self.cut_offs, month: max([cut_off, *self.cut_offs.values()])})


def _first_day(month: int) -> int:
    return month_of(month).first_day.toordinal()


NOTHING_CLOSED = Closings({})
