"""What the past use cost, made ready to be carried forward: at today's prices, without what only invoices or pools say.

An estimate begins here, so money becomes float: euro of a Helsinki day. What was really paid is added up elsewhere.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from services.cost_alerts.domain.budgets.scope import Where
from services.cost_alerts.domain.foresight.arrays import FloatArray
from services.shared.money import NANO
from services.shared.periods import Month

NanoArray = NDArray[np.int64]

LATE_DAYS = 7
"""So many days without any use of a system are taken for data still on its way, more for the end of its use."""

_WEEKS = 4
"""What is on its way is taken to be as the same weekdays of so many weeks."""

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Spent:
    """What each place has cost: [place, day] from `first_day` on, 10⁻⁹ euro.

    `total`: everything. `use`: of it, consumption. `adjusted`: of it, what invoices had more or less than estimates, on
    the last day of their month.
    """

    first_day: date
    places: Sequence[Where]
    total: NanoArray
    use: NanoArray
    adjusted: NanoArray

    @property
    def days(self) -> int:
        return int(self.total.shape[1])

    def at(self, first: date, last: date) -> slice:
        """The columns of the days from `first` to `last`, inclusive, as far as they are there."""
        return slice(max(0, (first - self.first_day).days), max(0, (last - self.first_day).days + 1))


@dataclass(frozen=True, slots=True)
class Consumption:
    """Places whose use costs something: euro [place, day] on today's footing; nan: the data is still on its way.

    `late`: [place, day] what is expected of the days that are nan, nought elsewhere.
    """

    first_day: date
    places: Sequence[Where]
    values: FloatArray
    late: FloatArray


def consumption(
    spent: Spent, beyond: Mapping[Where, Mapping[int, int]], prices: Mapping[str, FloatArray]
) -> Consumption:
    """The consumption of the past, where there was any.

    `beyond`: place → day (ordinal) → what use beyond prepaid pools cost, which is foreseen with the pools.
    `prices`: system → price level of each day from `first_day` on beside today's; a system left out has kept its own.
    """
    values = (spent.use - _beyond(spent, beyond) + 0.0) / NANO + _spread(spent)
    kept = np.nonzero(values.any(axis=1))[0]
    places = [spent.places[int(number)] for number in kept]
    values = values[kept]
    for number, where in enumerate(places):
        if where.system in prices:
            values[number] /= prices[where.system][: spent.days]
    late = take_late(values, [where.system for where in places])
    return Consumption(spent.first_day, places, values, late)


def _beyond(spent: Spent, beyond: Mapping[Where, Mapping[int, int]]) -> NanoArray:
    found = np.zeros_like(spent.use)
    rows = {where: number for number, where in enumerate(spent.places)}
    for where, days in beyond.items():
        for day, nano in days.items():
            at = day - spent.first_day.toordinal()
            if where in rows and 0 <= at < spent.days:
                found[rows[where], at] += nano
    return found


def _spread(spent: Spent) -> FloatArray:
    """What invoices changed, over the days of their month alike: it stands on the last one, and is no use of it."""
    found = np.zeros(spent.adjusted.shape)
    if not spent.adjusted.any():
        return found
    for first, last in _months(spent):
        days = spent.at(first, last)
        changed = spent.adjusted[:, days].sum(axis=1, keepdims=True) / NANO
        found[:, days] += changed / max(1, found[:, days].shape[1])
    return found


def _months(spent: Spent) -> Iterator[tuple[date, date]]:
    month, end = Month.of(spent.first_day), spent.first_day + spent.days * _DAY
    while month.first_day < end:
        yield month.first_day, month.next.first_day - _DAY
        month = month.next


def take_late(values: FloatArray, sources: Sequence[str]) -> FloatArray:
    """Take out the last days on which all rows of one source show nothing, in place; what is expected of them instead.

    `sources`: of each row; their data comes together.
    """
    late = np.zeros(values.shape)
    days = values.shape[1]
    named = np.array(sources)
    for source in sorted(set(sources)):
        rows = named == source
        used = np.nonzero(values[rows].any(axis=0))[0]
        missing = days - 1 - int(used[-1]) if used.size else 0
        if 0 < missing <= LATE_DAYS:
            since = days - missing
            late[rows, since:] = np.stack([_usual(values[rows, :since], day) for day in range(since, days)], axis=1)
            values[rows, since:] = np.nan
    return late


def _usual(values: FloatArray, day: int) -> FloatArray:
    """The mean of the same weekday of the last weeks that are known; nought where there are none."""
    weekdays = [one for one in range(day - 7, day - 7 * (_WEEKS + 2), -7) if 0 <= one < values.shape[1]][:_WEEKS]
    if not weekdays:
        return np.zeros(len(values))
    usual: FloatArray = values[:, weekdays].mean(axis=1)
    return usual
