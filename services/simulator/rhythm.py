"""How a city works: by day, by hour, ever a little more, never quite the same, and the same again for the same seed.

A day's figures depend on the seed, the day and what is asked, so any day can be computed alone and in any order.
"""

import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from random import Random

import holidays

from services.shared.periods import HELSINKI, day_start

DAY = timedelta(days=1)
EPOCH = date(2026, 1, 1)
"""Growth is counted from here."""

OFFICE = (1.0, 1.05, 1.0, 1.0, 0.8, 0.05, 0.03)
"""Monday to Sunday in an office; 1 is a usual day."""

PUBLIC = (1.1, 1.05, 1.0, 1.0, 1.05, 0.9, 0.75)
"""Monday to Sunday where residents ask."""

JULY, IN_JULY = 7, 0.6
"""What an office does in July, when Finland is on holiday, as a share of a usual month."""

_SUNDAY = 6

OFFICE_HOURS = (0,) * 7 + (4, 10, 12, 12, 7, 9, 12, 10, 6, 2, 1) + (0,) * 6
"""How likely each hour (Helsinki) is for something an office does."""

PUBLIC_HOURS = (2, 1, 1, 1, 1, 2, 4, 7, 12, 14, 15, 14, 13, 13, 13, 13, 12, 11, 10, 9, 8, 7, 5, 3)
"""The same for residents."""


def draw(seed: int, *what: object) -> Random:
    """A source of chance that is the same for the same seed and matter, on every machine."""
    return Random("\x1f".join(map(str, (seed, *what))))


def strength(day: date, week: tuple[float, ...]) -> float:
    """How much is done on a day: as its weekday has it, on a Finnish holiday as a Sunday; offices rest in July."""
    usual = week[_SUNDAY if day in _holidays(day.year) else day.weekday()]
    return usual * IN_JULY if week is OFFICE and day.month == JULY else usual


@lru_cache(maxsize=16)
def _holidays(year: int) -> frozenset[date]:
    return frozenset(holidays.country_holidays("FI", years=year))


def growth(day: date, monthly: float) -> float:
    """How much more than on `EPOCH`, when it is `monthly` (a share) more every thirty days."""
    return math.pow(1 + monthly, (day - EPOCH).days / 30)


def count(chance: Random, usual: float, spread: float = 0.15) -> int:
    """A whole number around `usual`: hardly ever further away than three times its `spread` (a share)."""
    return max(0, round(usual * chance.gauss(1.0, spread)))


def moment_on(chance: Random, day: date, hours: tuple[int, ...]) -> datetime:
    """A moment (UTC, whole second) of the Helsinki day, at an hour that `hours` makes likely."""
    hour = chance.choices(range(24), hours)[0]
    second = chance.randrange(3600)
    local = datetime.combine(day, time(hour, second // 60, second % 60), HELSINKI)
    return local.astimezone(UTC)


def hours_of(day: date) -> Iterator[tuple[datetime, int]]:
    """The hours of a Helsinki day, as instants (UTC) and hours of the wall clock: 23, 24 or 25 of them."""
    moment, end = day_start(day), day_start(day + DAY)
    while moment < end:
        yield moment, moment.astimezone(HELSINKI).hour
        moment += timedelta(hours=1)


def days(first: date, end: date) -> Iterator[date]:
    """The days from `first` (inclusive) to `end` (exclusive)."""
    for number in range((end - first).days):
        yield first + number * DAY
