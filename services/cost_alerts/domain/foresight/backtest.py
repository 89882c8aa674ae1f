"""How good the forecast of a month would have been on days of its past, beside the run rate.

On each of the days 5, 10, 15 and 20 of each month the month's total is forecast from what was known in that evening.
What had been spent by then is known to both, so that the errors are those of the days left.

The *error* is the mean absolute error over the mean total (WAPE): large months count as what they are, and a month that
cost nothing is no division by nought. The *median* is that of the single months' errors over their own totals. The
*bias* is the signed error over the total. The *run rate* is the average of the month's days so far, for each day left.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import numpy as np

from services.cost_alerts.domain.foresight.arrays import BoolArray, FloatArray, divided
from services.cost_alerts.domain.foresight.model import History, SeriesModel
from services.shared.periods import Month

ORIGINS = (5, 10, 15, 20)
"""Days of the month after which its total is forecast."""

_LONGEST_MONTH = 31


Progress = Callable[[int, int], None]
"""Is told how many months are done, and how many there are."""


def _untold(_done: int, _months: int) -> None:
    """Nobody watches."""


class Attempt(NamedTuple):
    """One forecast of one month's total, of one group. All but `origin` in the unit of the history.

    Attributes:
        group: its row in the groups.
        origin: day of the month in whose evening it was made.
        happened: what the month cost on all its known days.
        forecast, low, high: what was said of that: known cost and what was still to come.
        run_rate: what the month's days so far had said.
    """

    group: int
    month: Month
    origin: int
    happened: float
    forecast: float
    low: float
    high: float
    run_rate: float


@dataclass(frozen=True)
class Tested:
    """All attempts of one group on one day of the month; `origin` is None for all its days together.

    Attributes:
        n: how many months, or months and days, were forecast. The others are nan where there is none, and the errors
            also where nothing was spent.
        error: mean absolute error over the mean total.
        median: median of the absolute errors over their own totals.
        bias: mean signed error over the mean total; positive: forecast too high.
        coverage: share of the totals within the limits.
        run_rate_error: the run rate's error, as `error`.
        run_rate_median: the run rate's, as `median`.
    """

    group: int
    origin: int | None
    n: int
    error: float
    median: float
    bias: float
    coverage: float
    run_rate_error: float
    run_rate_median: float

    @property
    def ratio(self) -> float:
        """The error as a share of the run rate's; nan: that was right, or there is nothing to compare."""
        return self.error / self.run_rate_error if self.run_rate_error else float("nan")


def backtest(
    history: History,
    groups: BoolArray,
    months: Iterable[Month],
    origins: Sequence[int] = ORIGINS,
    *,
    progress: Progress = _untold,
) -> Sequence[Tested]:
    """Per group: each day of the month, then all of them."""
    return summarised(attempts(history, groups, months, origins, progress=progress), len(groups), origins)


def whole_months(history: History) -> Sequence[Month]:
    """The months that the history has every day of, oldest first."""
    found = []
    month = Month.of(history.first_day)
    if month.first_day < history.first_day:
        month = month.next
    while (month.next.first_day - history.first_day).days <= history.days:
        found.append(month)
        month = month.next
    return found


def attempts(
    history: History,
    groups: BoolArray,
    months: Iterable[Month],
    origins: Sequence[int] = ORIGINS,
    *,
    progress: Progress = _untold,
) -> Sequence[Attempt]:
    """Every forecast of the given months that had enough data; a month that is not whole in the history is left out."""
    whole = set(whole_months(history))
    wanted = [month for month in months if month in whole]
    if not wanted:
        return ()
    model = SeriesModel(history, groups, _LONGEST_MONTH)
    found: list[Attempt] = []
    for done, month in enumerate(wanted, start=1):
        for origin in (each for each in origins if each < month.days):
            found += _attempt(history, groups, model, month, origin)
        progress(done, len(wanted))
    return found


def summarised(found: Iterable[Attempt], groups: int, origins: Sequence[int] = ORIGINS) -> Sequence[Tested]:
    """The attempts of each group in figures: each day of the month, then all of them."""
    by_group = {group: list(each) for group, each in groupby(sorted(found, key=_group), _group)}
    return [
        tested(group, origin, [one for one in by_group.get(group, ()) if origin in {None, one.origin}])
        for group in range(groups)
        for origin in (*origins, None)
    ]


def tested(group: int, origin: int | None, found: Sequence[Attempt]) -> Tested:
    """These attempts in figures."""
    happened, forecast, low, high, run_rate = (
        np.array([one[field] for one in found], dtype=np.float64) for field in range(3, len(Attempt._fields))
    )
    total = float(np.abs(happened).sum())
    return Tested(
        group=group,
        origin=origin,
        n=len(found),
        error=_over(np.abs(forecast - happened).sum(), total),
        median=_median(forecast - happened, happened),
        bias=_over((forecast - happened).sum(), total),
        coverage=_over(((low <= happened) & (happened <= high)).sum(), len(found)),
        run_rate_error=_over(np.abs(run_rate - happened).sum(), total),
        run_rate_median=_median(run_rate - happened, happened),
    )


def _group(attempt: Attempt) -> int:
    return attempt.group


def _over(top: float, bottom: float) -> float:
    return float(top / bottom) if bottom else float("nan")


def _median(errors: FloatArray, totals: FloatArray) -> float:
    spent = totals != 0
    return float(np.median(np.abs(errors[spent] / totals[spent]))) if spent.any() else float("nan")


def _attempt(history: History, groups: BoolArray, model: SeriesModel, month: Month, origin: int) -> Iterable[Attempt]:
    start = (month.first_day - history.first_day).days
    here, end = start + origin, start + month.days
    known = ~np.isnan(history.values[:, start:end])
    spent = np.nan_to_num(history.values[:, start:end])
    said = model.at(here, month.days - origin, scale=known[:, origin:].astype(np.float64))
    member = groups.astype(np.float64)
    so_far = member @ spent[:, :origin].sum(axis=1)
    happened = member @ spent.sum(axis=1)
    run_rate = so_far + member @ _at_run_rate(spent, known, origin)
    for group in np.flatnonzero(said.enough & _any_known(groups, known[:, :origin])):
        yield Attempt(
            int(group),
            month,
            origin,
            float(happened[group]),
            float(so_far[group] + said.mid[group, -1]),
            float(so_far[group] + said.low[group, -1]),
            float(so_far[group] + said.high[group, -1]),
            float(run_rate[group]),
        )


def _at_run_rate(spent: FloatArray, known: BoolArray, origin: int) -> FloatArray:
    """[series]: the average of the known days so far, for every known day left."""
    days = known[:, :origin].sum(axis=1).astype(np.float64)
    found: FloatArray = divided(spent[:, :origin].sum(axis=1), days) * known[:, origin:].sum(axis=1)
    return found


def _any_known(groups: BoolArray, known: BoolArray) -> BoolArray:
    found: BoolArray = groups.astype(np.float64) @ known.any(axis=1).astype(np.float64) > 0
    return found
