"""Closed months: which month's books take a change that came after a month was closed.

A month is a number here, year × 12 + month − 1; instants are microseconds since 1970 UTC, days proleptic ordinals.
"""

from collections.abc import Mapping
from datetime import date
from functools import lru_cache

from services.shared.periods import Month


def month_number(month: Month) -> int:
    return month.year * 12 + month.number - 1


def month_of(number: int) -> Month:
    return Month(number // 12, number % 12 + 1)


@lru_cache(maxsize=16_384)
def month_of_day(day: int) -> int:
    """The number of the month that a day (ordinal) lies in."""
    return month_number(Month.of(date.fromordinal(day)))


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


NOTHING_CLOSED = Closings({})
