"""The policy calendar: business hours are Monday to Friday, 8 to 16 in Helsinki, Finnish holidays off.

Midsummer Eve and Christmas Eve count as holidays: they are in the collective agreements, and nobody reviews then. Hours
are counted on Helsinki's wall clock; summer time never changes between 8 and 16, so every business hour has 60 minutes.
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

import holidays

from services.shared.periods import HELSINKI

OPENS = time(8)
CLOSES = time(16)
_SATURDAY = 5


@lru_cache(maxsize=64)
def _holidays(year: int) -> frozenset[date]:
    return frozenset(holidays.country_holidays("FI", years=year))


@lru_cache(maxsize=4_096)
def is_business_day(day: date) -> bool:
    """Whether anybody is at work on `day` (a Helsinki day)."""
    return day.weekday() < _SATURDAY and day not in _holidays(day.year)


def due_time(start: datetime, hours: int) -> datetime:
    """The instant (UTC) at which `hours` business hours have passed since `start`.

    A start outside business hours counts from the next opening; a due time at closing stays at closing.
    """
    return time_after(start, timedelta(hours=hours))


def time_after(start: datetime, left: timedelta) -> datetime:
    """The instant (UTC) at which so much business time has passed since `start`; see `due_time`."""
    day = start.astimezone(HELSINKI).date()
    begin = max(start.astimezone(UTC), _opening(day, OPENS))
    while True:
        if is_business_day(day):
            available = _opening(day, CLOSES) - begin
            if left <= available:
                return begin + left
            left -= max(available, timedelta())
        day += timedelta(days=1)
        begin = _opening(day, OPENS)


@lru_cache(maxsize=4_096)
def _opening(day: date, moment: time) -> datetime:
    return datetime.combine(day, moment, HELSINKI).astimezone(UTC)
