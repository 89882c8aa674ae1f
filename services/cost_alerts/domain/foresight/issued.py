"""How good forecasts are: as tested anew on the past each month, and as they were issued while the month ran."""

from collections.abc import Iterable
from datetime import date
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from services.cost_alerts.domain.foresight.forecast import Forecast, Level


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TestedDay(_Kept):
    """What forecasts of a month's consumption made after `day_of_month` (None: any of the days) would have been worth.

    Attributes:
        months: how many forecasts were tested; without any, all figures are None.
        error: mean absolute error ÷ mean total. None: nothing was spent.
        bias: mean error ÷ mean total; positive: too high.
        run_rate_error: as `error`, of the average of the month's days so far for every day left.
        coverage: the share of the totals that lay between the 80 % limits.
    """

    day_of_month: int | None
    months: int
    error: float | None
    bias: float | None
    run_rate_error: float | None
    coverage: float | None


class Issued(_Kept):
    """The forecasts of one month that were kept while it ran, one a day, beside what it became.

    Attributes:
        forecasts: how many were made.
        error: mean absolute error ÷ what the month became.
        bias: mean error ÷ the same; positive: too high.
        coverage: the share of the forecasts between whose 80 % limits the month came to lie.
    """

    forecasts: int
    error: float
    bias: float
    coverage: float


class ForecastTest(_Kept):
    """What is known of the forecasts of one level and name, when `month` (its first day) had ended.

    `tested`: of the months up to it, by rising day of the month, then of all days. `issued`: of the forecasts of
    this one month as they were made; None: none were, or it cost nothing.
    """

    month: date
    level: Level
    name: str
    tested: tuple[TestedDay, ...]
    issued: Issued | None


class _Miss(NamedTuple):
    error: float
    within: bool


def issued(forecasts: Iterable[Forecast], became_nano: int) -> Issued | None:
    """The forecasts of a month beside its total. Those that could not say a total do not count."""
    misses = [_miss(*total, became_nano) for one in forecasts if (total := one.total) is not None]
    if not misses or became_nano <= 0:
        return None
    count = len(misses)
    return Issued(
        forecasts=count,
        error=sum(abs(one.error) for one in misses) / count,
        bias=sum(one.error for one in misses) / count,
        coverage=sum(one.within for one in misses) / count,
    )


def _miss(low: int, mid: int, high: int, became: int) -> _Miss:
    return _Miss((mid - became) / became if became else 0.0, low <= became <= high)
