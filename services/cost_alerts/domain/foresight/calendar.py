"""What kind of day it is for people at work: ordinary, a holiday, its eve, Christmas, New Year, the days between.

Weekdays are not here; they are learned. How low July is, is learned from the July before.
"""

from datetime import date, timedelta
from enum import IntEnum
from functools import lru_cache

import holidays
import numpy as np
from numpy.typing import NDArray

FINLAND = "FI"

_DAY = timedelta(days=1)
_FRIDAY = 4
_MONTHS, _JULY = 12, 6


class Kind(IntEnum):
    """Kinds of days whose use differs from what their weekday says."""

    ORDINARY = 0
    HOLIDAY = 1  # public holidays and Midsummer Eve, other than those below
    CHRISTMAS = 2  # 24 to 26 December
    NEW_YEAR = 3  # 31 December and 1 January
    BETWEEN = 4  # 27 to 30 December, when many are away
    AROUND = 5  # 23 December and 2 to 5 January
    EVE = 6  # Monday to Thursday before a holiday, and the Friday after one


def kinds(first: date, days: int, country: str = FINLAND) -> NDArray[np.intp]:
    """The kind of each of `days` days from `first` on; `country` as the package *holidays* has it: `FI`, `AU-VIC`."""
    found = (_kinds_of_year(year, country) for year in range(first.year, (first + days * _DAY).year + 1))
    return np.concatenate(list(found))[first.timetuple().tm_yday - 1 :][:days]


def july(first: date, days: int) -> NDArray[np.bool_]:
    """Which of the `days` days from `first` on lie in July, when Finland is away."""
    months = np.datetime64(first, "D") + np.arange(days)
    found: NDArray[np.bool_] = months.astype("datetime64[M]").astype(int) % _MONTHS == _JULY
    return found


@lru_cache(maxsize=256)
def _kinds_of_year(year: int, country: str) -> NDArray[np.intp]:
    start = date(year, 1, 1)
    length = (date(year + 1, 1, 1) - start).days
    free = _free(year, country)
    return np.array([_kind(start + number * _DAY, free) for number in range(length)], dtype=np.intp)


def _kind(day: date, free: frozenset[date]) -> Kind:
    by_date = _AT_TURN_OF_YEAR.get((day.month, day.day))
    if by_date is not None:
        return by_date
    if day in free:
        return Kind.HOLIDAY
    if day.weekday() == _FRIDAY:
        return Kind.EVE if day - _DAY in free else Kind.ORDINARY
    return Kind.EVE if day.weekday() < _FRIDAY and day + _DAY in free else Kind.ORDINARY


_AT_TURN_OF_YEAR = {
    (12, 23): Kind.AROUND,
    **{(12, day): Kind.CHRISTMAS for day in (24, 25, 26)},
    **{(12, day): Kind.BETWEEN for day in range(27, 31)},
    (12, 31): Kind.NEW_YEAR,
    (1, 1): Kind.NEW_YEAR,
    **{(1, day): Kind.AROUND for day in range(2, 6)},
}


def _free(year: int, country: str) -> frozenset[date]:
    name, _, subdivision = country.partition("-")
    return frozenset(holidays.country_holidays(name, subdiv=subdivision or None, years=year))
