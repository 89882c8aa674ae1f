"""The forecast of consumption: what groups of series will have cost after each of the days to come, with limits.

    learning → paths → conformal → here

`learning` walks once through the days, `paths` says what any stretch is expected to cost as seen from any day of the
past or from today, `conformal` how far off such totals were. `docs/forecast.md` tells what comes of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np

from services.cost_alerts.domain.foresight.arrays import BoolArray, FloatArray, IntArray
from services.cost_alerts.domain.foresight.calendar import FINLAND, july
from services.cost_alerts.domain.foresight.conformal import Errors, note_errors, sizes, widths
from services.cost_alerts.domain.foresight.learning import day_sorts, learn
from services.cost_alerts.domain.foresight.paths import Paths

MINIMUM_DAYS = 56
"""Eight weeks: four to learn the week from, four more in which forecasts could be compared with what happened."""


@dataclass(frozen=True)
class History:
    """What series cost a day.

    Attributes:
        first_day: the Helsinki day of the first column.
        values: [series, days], up to the last complete day; any unit. nan: nobody knows (a source stood still); 0:
            nothing was used. Days of nothing before the first use of a series are no days of it.
        country: whose holidays its people have, as the package *holidays* names it.

    Raises:
        ValueError: the values are not [series, days], or one of them is infinite.
    """

    first_day: date
    values: FloatArray
    country: str = FINLAND

    def __post_init__(self) -> None:
        if self.values.ndim != 2:  # noqa: PLR2004  # rows and columns
            raise ValueError(f"found values of shape {self.values.shape}, expected [series, days]")
        if np.isinf(self.values).any():
            raise ValueError("found an infinite cost; write nan for a day that nobody knows")

    @property
    def days(self) -> int:
        return int(self.values.shape[1])


class Cumulated(NamedTuple):
    """Element [group, h]: the total of the first h + 1 days after the history; `low` ≤ `mid` ≤ `high`, never nan.

    The limits are to hold the total in 80 of 100 cases. `enough` [group]: whether anybody should be told.
    """

    mid: FloatArray
    low: FloatArray
    high: FloatArray
    enough: BoolArray


class Reached(NamedTuple):
    """The days on which an amount is used up: at most use, as expected, at least use.

    None: not within the days that were asked for.
    """

    earliest: date | None
    middle: date | None
    latest: date | None


class SeriesModel:
    """Forecasts of groups of series as seen from the end of their history, or from any earlier day of it.

    What an earlier day's forecast says does not depend on any day after it.
    """

    def __init__(self, history: History, groups: BoolArray, most_days: int) -> None:
        """`groups`: [group, series]; `most_days`: the most that will be asked ahead."""
        if most_days < 1:
            raise ValueError(f"found {most_days} days ahead, expected at least 1")
        self._values = history.values
        self._groups = groups
        self._member = groups.astype(np.float64)
        sorts = day_sorts(history.first_day, history.days + most_days, history.country)
        away = july(history.first_day, history.days + most_days)
        self._paths = Paths(history.values, learn(history.values, sorts), sorts, away)
        self._errors: Errors | None = None
        if history.days >= MINIMUM_DAYS:
            self._errors = note_errors(self._paths, groups, most_days)
        self._ages = _ages(history.values, groups)
        self._negative = np.logical_or.accumulate(_any(self._groups, history.values < 0), axis=1)

    def at(self, origin: int, days: int, *, scale: FloatArray | None = None) -> Cumulated:
        """The forecast made after the first `origin` days of the history, of the `days` days that follow.

        `scale` [series, days] multiplies what each series is expected to cost on each day.
        """
        plain = self._totals(self._paths.expected(origin, days))
        mid = plain
        if scale is not None:
            mid = self._totals(self._paths.expected(origin, days) * scale.T)
        off = self._widths(origin, plain, days) * _proportion(mid, plain)
        low, high = mid - off, mid + off
        positive = ~self._had_negative(origin)
        low[positive] = np.maximum.accumulate(np.maximum(low[positive], 0.0), axis=1)
        high[positive] = np.maximum.accumulate(high[positive], axis=1)
        return Cumulated(mid, low, high, self._ages[:, origin] >= MINIMUM_DAYS)

    def _totals(self, path: FloatArray) -> FloatArray:
        found: FloatArray = self._member @ np.cumsum(path, axis=0).T
        return found

    def _widths(self, origin: int, plain: FloatArray, days: int) -> FloatArray:
        """[group, day]: how far the limits are from the forecast, in its own unit."""
        if self._errors is None:
            return np.abs(plain)
        size = sizes(plain, self._errors.usual[origin], np.arange(1, days + 1))
        found: FloatArray = widths(self._errors, origin, size) * size
        return found

    def _had_negative(self, origin: int) -> BoolArray:
        if not origin:
            return np.zeros(len(self._groups), dtype=bool)
        found: BoolArray = self._negative[:, origin - 1]
        return found


def cumulated(history: History, groups: BoolArray, days: int, *, scale: FloatArray | None = None) -> Cumulated:
    """What each group [group, series] will have cost after each of the `days` days that follow the history.

    `mid` of a group is the sum of its series' mids; the limits are its own. `scale` [series, days] multiplies the days
    to come: a price that is going to rise, a roll-out. Totals and limits never fall with the days, nor below nought,
    where no day of the group was negative. `enough` is False under `MINIMUM_DAYS` since the group's first use; a group
    that nothing was ever used in is known well enough after as many days, and is expected to cost nothing.

    Raises:
        ValueError: `days` is below 1.
    """
    return SeriesModel(history, groups, days).at(history.days, days, scale=scale)


def first_day_reached(found: Cumulated, amounts: Sequence[float], first_day: date) -> Sequence[Reached]:
    """Per group the days on which its total reaches its amount; `first_day`: the day after the history.

    Much use comes early: the earliest day is that of the high limit. What is used up already is reached on `first_day`.
    """
    return [
        Reached(*(_reached(limit[group], amount, first_day) for limit in (found.high, found.mid, found.low)))
        for group, amount in enumerate(amounts)
    ]


def _reached(totals: FloatArray, amount: float, first_day: date) -> date | None:
    if amount <= 0:
        return first_day
    enough = totals >= amount
    return first_day + timedelta(days=int(enough.argmax())) if enough.any() else None


def _proportion(mid: FloatArray, plain: FloatArray) -> FloatArray:
    """By how much a scaled forecast is more than the plain one; 1 where there is nothing to scale."""
    found: FloatArray = np.divide(mid, plain, out=np.ones_like(plain), where=plain != 0)
    return np.abs(found)


def _any(groups: BoolArray, days: BoolArray) -> BoolArray:
    """[group, day]: whether it holds for any series of the group."""
    found: BoolArray = groups.astype(np.float64) @ days.astype(np.float64) > 0
    return found


def _ages(values: FloatArray, groups: BoolArray) -> IntArray:
    """[group, day]: known days since the first use, as counted in the morning; all of them while nothing was used."""
    known = _any(groups, ~np.isnan(values))
    used = np.logical_or.accumulate(_any(groups, np.nan_to_num(values) != 0), axis=1)
    found = np.where(used, np.cumsum(known & used, axis=1), np.cumsum(known, axis=1))
    return np.concatenate([np.zeros((len(groups), 1), dtype=np.intp), found], axis=1)
