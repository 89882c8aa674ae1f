"""What the model is asked, and the stretches that forecasts are about."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import NamedTuple

from services.cost_alerts.domain.foresight.arrays import BoolArray, FloatArray
from services.cost_alerts.domain.foresight.model import Cumulated, History, cumulated
from services.shared.periods import Month

_DAY = timedelta(days=1)


class Ahead(NamedTuple):
    """What is to be carried forward: `values` [series, day] from `first_day` on, `days` days ahead.

    `scale` [series, day]: what days ahead are multiplied by.
    """

    first_day: date
    values: FloatArray
    days: int
    scale: FloatArray | None = None


Cumulate = Callable[[Ahead, BoolArray], Cumulated]
"""What groups [group, series] of series will add up to, with limits."""


def by_model(ahead: Ahead, groups: BoolArray) -> Cumulated:
    """See `Cumulate`: by the weekday's profile, holidays and the damped trend of each series."""
    return cumulated(History(ahead.first_day, ahead.values), groups, ahead.days, scale=ahead.scale)


class Stretch(NamedTuple):
    """A month or a year that `today` lies in; both days inclusive."""

    first: date
    last: date


def stretches(today: date) -> tuple[Stretch, Stretch]:
    """The month and the year of a day."""
    month = Month.of(today)
    return Stretch(month.first_day, month.next.first_day - _DAY), Stretch(
        date(today.year, 1, 1), date(today.year, 12, 31)
    )
