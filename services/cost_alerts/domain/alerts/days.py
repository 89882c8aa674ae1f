"""Which days a system is usually used on: by weekday, without Finnish holidays."""

from collections.abc import Collection
from datetime import date, timedelta
from functools import lru_cache

import holidays

MOST_OFTEN = 3, 4
"""On so many of its weekdays (three of four) a system must have been used for the next one to be waited for."""

A_DAY = timedelta(days=1)
_WEEK = 7
_SUNDAY = 6
_CHRISTMAS_EVE, _EPIPHANY = (12, 24), (1, 6)


@lru_cache(maxsize=64)
def _holidays(year: int) -> frozenset[date]:
    return frozenset(holidays.country_holidays("FI", years=year))


def is_holiday(day: date) -> bool:
    """Whether Finland is off: a public holiday, Midsummer Eve or Christmas Eve; an ordinary weekend day is not one."""
    return day in _holidays(day.year)


def usual_weekdays(used: Collection[date], last: date, weeks: int) -> frozenset[int]:
    """The weekdays (Monday 0) on which a system is usually used, by so many weeks up to `last`, inclusive.

    Holidays among them do not count; nothing is usual by fewer than four days.
    """
    return frozenset(
        (last - back * A_DAY).weekday() for back in range(_WEEK) if _is_usual(used, last - back * A_DAY, weeks)
    )


def _is_usual(used: Collection[date], day: date, weeks: int) -> bool:
    first = min(used)
    like = [day - back * _WEEK * A_DAY for back in range(weeks)]
    counted = [one for one in like if one >= first and not is_holiday(one)]
    found = sum(one in used for one in counted)
    most, of = MOST_OFTEN
    return len(counted) >= of and found * of >= len(counted) * most


def as_weekday(day: date) -> int:
    """The weekday that a day is like: a holiday is like a Sunday, and so is each day from Christmas Eve to Epiphany."""
    return _SUNDAY if is_holiday(day) or _is_yule(day) else day.weekday()


def _is_yule(day: date) -> bool:
    """Days on which offices stand half empty: who waits for their use then is woken for nothing."""
    return (day.month, day.day) >= _CHRISTMAS_EVE or (day.month, day.day) <= _EPIPHANY
