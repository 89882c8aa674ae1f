"""Banking days of the euro, by which a rate is told to be old: Monday to Friday but for TARGET's closing days.

Closing days of TARGET: 1 January, Good Friday, Easter Monday, 1 May, 25 and 26 December (European Central Bank).
"""

from datetime import date, timedelta
from functools import lru_cache

MOST_BANKING_DAYS = 4
"""A rate that more banking days than these have passed since is old: its source has stopped, or is not read."""

_SATURDAY = 5
_FIXED = frozenset({(1, 1), (5, 1), (12, 25), (12, 26)})
_A_DAY = timedelta(days=1)


def is_old(rate_day: date, day: date) -> bool:
    """Whether the rate of `rate_day` is older than `MOST_BANKING_DAYS` on `day`."""
    passed, at = 0, rate_day + _A_DAY
    while at < day and passed <= MOST_BANKING_DAYS:
        passed += is_banking_day(at)
        at += _A_DAY
    return passed > MOST_BANKING_DAYS


def is_banking_day(day: date) -> bool:
    """Whether the ECB publishes rates for `day`."""
    if day.weekday() >= _SATURDAY or (day.month, day.day) in _FIXED:
        return False
    return (day - easter(day.year)).days not in {-2, 1}


@lru_cache(maxsize=256)
def easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar (the anonymous algorithm of 1876)."""
    century, of_century = divmod(year, 100)
    golden = year % 19
    leaps, rest = divmod(century, 4)
    epact = (19 * golden + century - leaps - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    weekday = (32 + 2 * rest + 2 * (of_century // 4) - epact - of_century % 4) % 7
    shift = (golden + 11 * epact + 22 * weekday) // 451
    month, day = divmod(epact + weekday - 7 * shift + 114, 31)
    return date(year, month, day + 1)
