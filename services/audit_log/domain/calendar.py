"""The policy calendar: business hours are Monday to Friday, 8 to 16 in Helsinki, Finnish holidays off.

Midsummer Eve and Christmas Eve are holidays of the collective agreements, though not of the law; nobody reviews then.
Hours are counted on the wall clock of a day that has no change of summer time between 8 and 16, so every business
hour is 60 minutes; due times are kept in UTC.
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
    categories = (holidays.PUBLIC, holidays.UNOFFICIAL)
    named = holidays.country_holidays("FI", years=year, categories=categories, language="en_US")
    off = {day for day, name in named.items() if "Eve" not in name or "Christmas" in name or "Midsummer" in name}
    return frozenset(off & set(holidays.country_holidays("FI", years=year)) | {day for day in off if "Eve" in named[day]})


def is_business_day(day: date) -> bool:
    """Whether anybody is at work on `day` (a Helsinki day)."""
    return day.weekday() < _SATURDAY and day not in _holidays(day.year)


def due_time(start: datetime, hours: int) -> datetime:
    """The instant (UTC) at which `hours` business hours have passed since `start`.

    A start outside business hours counts from the next opening; a due time at closing stays at closing.
    """
    left = timedelta(hours=hours)
    moment = start.astimezone(HELSINKI)
    day, opens = moment.date(), _at(moment.date(), OPENS)
    begin = max(moment.astimezone(UTC), opens)
    while True:
        if is_business_day(day):
            available = _at(day, CLOSES) - begin
            if left <= available:
                return begin + left
            left -= max(available, timedelta())
        day += timedelta(days=1)
        begin = _at(day, OPENS)


def _at(day: date, moment: time) -> datetime:
    return datetime.combine(day, moment, HELSINKI).astimezone(UTC)
