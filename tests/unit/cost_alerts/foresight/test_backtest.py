"""Months of the past, forecast as on their own days."""

from datetime import date, timedelta

import numpy as np
import pytest

from services.cost_alerts.domain.foresight.backtest import (
    Attempt,
    attempts,
    backtest,
    whole_months,
)
from services.cost_alerts.domain.foresight.backtest import tested as in_figures
from services.cost_alerts.domain.foresight.model import History, cumulated
from services.shared.periods import Month
from tests.unit.cost_alerts.foresight.histories import each_and_all, history_of, noisy, weekly

START = date(2026, 7, 1)
ALL = np.ones((1, 1), dtype=bool)


def _history(days: int = 184) -> History:
    return history_of(noisy(days), noisy(days, seed=2), first_day=START)


def _attempt(happened: float, forecast: float, run_rate: float, off: float = 10.0, origin: int = 5) -> Attempt:
    return Attempt(0, Month(2026, 10), origin, happened, forecast, forecast - off, forecast + off, run_rate)


def test_a_test_says_what_a_forecast_of_that_day_had_said() -> None:
    history = _history()
    found = attempts(history, each_and_all(2), [Month(2026, 11)], [10])
    start = (date(2026, 11, 1) - START).days
    then = History(START, history.values[:, : start + 10])
    said = cumulated(then, each_and_all(2), 20)
    for group, one in enumerate(found):
        so_far = history.values[:, start : start + 10].sum(axis=1) @ each_and_all(2)[group]
        assert one.group == group
        assert one.forecast == pytest.approx(so_far + said.mid[group, -1])
        # at its time the ladder of horizons ended elsewhere; what is known then is the same
        assert one.low == pytest.approx(so_far + said.low[group, -1], rel=0.02)
        assert one.run_rate == pytest.approx(so_far * 3)


def test_only_whole_months_with_enough_data_before_them_are_forecast() -> None:
    months = [Month(2026, 6), Month(2026, 8), Month(2026, 9), Month(2026, 12)]
    found = attempts(_history(180), np.ones((1, 2), dtype=bool), months, [20, 25, 30])
    assert [(str(one.month), one.origin) for one in found] == [
        ("2026-08", 25), ("2026-08", 30), ("2026-09", 20), ("2026-09", 25),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("first_day", "days", "months"),
    [
        pytest.param(date(2026, 2, 1), 28, ["2026-02"], id="exactly a month"),
        pytest.param(date(2026, 2, 2), 27, [], id="without its first day"),
        pytest.param(date(2026, 2, 1), 27, [], id="without its last day"),
        pytest.param(date(2026, 12, 15), 60, ["2027-01"], id="over the turn of a year"),
        pytest.param(date(2026, 2, 1), 0, [], id="no day"),
    ],
)
def test_whole_months(first_day: date, days: int, months: list[str]) -> None:
    assert [str(month) for month in whole_months(History(first_day, np.ones((1, days))))] == months


def test_days_that_nobody_knows_count_neither_as_happened_nor_as_forecast() -> None:
    values = weekly(153, first_day=START)
    values[126:128] = np.nan
    values[140:145] = np.nan
    (one,) = attempts(history_of(values, first_day=START), ALL, [Month(2026, 11)], [15])
    assert one.happened == pytest.approx(np.nansum(values[-30:]))
    assert one.forecast == pytest.approx(one.happened, rel=0.02)
    known = values[123:138]
    assert one.run_rate == pytest.approx(np.nansum(known) + np.nanmean(known) * 10)


def test_errors_are_shares_of_what_happened() -> None:
    found = in_figures(0, None, [_attempt(100.0, 110.0, 150.0), _attempt(300.0, 290.0, 300.0)])
    assert (found.group, found.origin, found.n) == (0, None, 2)
    assert (found.error, found.bias, found.coverage) == (0.05, 0.0, 1.0)
    assert found.median == pytest.approx((0.1 + 1 / 30) / 2)
    assert (found.run_rate_error, found.run_rate_median) == (0.125, 0.25)
    assert found.ratio == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("off", "coverage"), [pytest.param(10.0, 1.0, id="on the limit"), pytest.param(9.9, 0.5, id="beyond it")]
)
def test_what_is_on_a_limit_is_within(off: float, coverage: float) -> None:
    found = in_figures(0, None, [_attempt(100.0, 110.0, 100.0, off), _attempt(100.0, 100.0, 100.0, off)])
    assert found.coverage == coverage


def test_of_nothing_there_are_no_errors() -> None:
    found = in_figures(0, 5, [])
    assert found.n == 0
    assert all(np.isnan(figure) for figure in (found.error, found.median, found.bias, found.coverage, found.ratio))


def test_months_of_nothing_are_no_division_by_nought() -> None:
    found = in_figures(0, 5, [_attempt(0.0, 0.0, 0.0)])
    assert found.coverage == 1.0
    assert np.isnan(found.error)


def test_each_group_has_each_day_and_all_of_them_and_progress_is_told() -> None:
    told: list[tuple[int, int]] = []
    months = [Month(2026, 10), Month(2026, 11)]
    found = backtest(_history(), each_and_all(2), months, progress=lambda done, total: told.append((done, total)))
    assert [(one.group, one.origin) for one in found] == [
        (group, origin) for group in range(3) for origin in (5, 10, 15, 20, None)
    ]
    assert [one.n for one in found[:5]] == [2, 2, 2, 2, 8]
    assert told == [(1, 2), (2, 2)]


def test_a_steady_office_is_forecast_better_than_by_the_run_rate() -> None:
    days = (date(2026, 12, 1) - START).days
    (*_, found) = backtest(history_of(noisy(days), first_day=START), ALL, whole_months(_history(days)))
    assert found.ratio < 0.7
    assert START + timedelta(days=days) == date(2026, 12, 1)
