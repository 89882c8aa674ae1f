"""Histories that nobody would wish for, and what is said of them."""

from datetime import date

import numpy as np
import pytest

from services.cost_alerts.domain.foresight.arrays import FloatArray
from services.cost_alerts.domain.foresight.model import MINIMUM_DAYS, Cumulated, History, cumulated
from tests.unit.cost_alerts.foresight.histories import FIRST_DAY, each_and_all, history_of, noisy, weekly

MONTH = 28
"""Days ahead: whole weeks, so that an office's total is four times its week."""

_WEEK = float(weekly(7).sum())


def _alone(values: FloatArray, days: int = MONTH) -> Cumulated:
    return cumulated(history_of(values), np.ones((1, 1), dtype=bool), days)


def _with(values: FloatArray, start: int, end: int, value: float) -> FloatArray:
    values = values.copy()
    values[start:end] = value
    return values


_EXPECTED = [
    pytest.param(weekly(120), 4.0, 0.01, id="the same week again and again"),
    pytest.param(_with(weekly(120), 40, 60, np.nan), 4.0, 0.01, id="three weeks that nobody knows"),
    pytest.param(_with(weekly(120), 113, 120, np.nan), 4.0, 0.01, id="the last week is not known"),
    pytest.param(_with(weekly(120), 0, 50, 0.0), 4.0, 0.01, id="it began after seven weeks"),
    pytest.param(_with(weekly(120), 70, 71, 5_000.0), 4.0, 0.02, id="one day of fifty times as much, long ago"),
    pytest.param(_with(weekly(120), 116, 117, 5_000.0), 4.0, 0.25, id="one day of fifty times as much, last week"),
    pytest.param(_with(weekly(120), 60, 61, -900.0), 4.0, 0.02, id="a correction of nine days' worth"),
    pytest.param(np.concatenate([weekly(77), 3 * weekly(35)]), 12.0, 0.05, id="three times as much for five weeks"),
    pytest.param(np.concatenate([weekly(98), 3 * weekly(14)]), 12.0, 0.25, id="three times as much for two weeks"),
    pytest.param(_with(weekly(140), 119, 140, 0.0), 0.0, 0.0, id="it ended three weeks ago"),
    pytest.param(np.concatenate([weekly(84), np.zeros(28), weekly(14)]), 4.0, 0.05, id="it paused for a month"),
    pytest.param(np.zeros(120), 0.0, 0.0, id="nothing was ever used"),
    pytest.param(-weekly(120), -4.0, 0.35, id="all credits"),
]


@pytest.mark.parametrize(("values", "weeks", "tolerance"), _EXPECTED)
def test_what_is_expected(values: FloatArray, weeks: float, tolerance: float) -> None:
    found = _alone(values)
    assert found.mid[0, -1] == pytest.approx(weeks * _WEEK, rel=tolerance)
    assert found.low[0, -1] <= found.mid[0, -1] <= found.high[0, -1]
    assert found.enough[0]


_AGES = [
    pytest.param(weekly(MINIMUM_DAYS), True, id="just long enough"),
    pytest.param(weekly(MINIMUM_DAYS - 1), False, id="a day too short"),
    pytest.param(np.zeros(MINIMUM_DAYS - 1), False, id="nothing for a day too short"),
    pytest.param(weekly(1), False, id="one day"),
    pytest.param(weekly(0), False, id="no day"),
    pytest.param(_with(weekly(140), 0, 140 - MINIMUM_DAYS, 0.0), True, id="used for just long enough"),
    pytest.param(_with(weekly(140), 0, 141 - MINIMUM_DAYS, 0.0), False, id="used for a day too short"),
    pytest.param(_with(weekly(MINIMUM_DAYS), 20, 21, np.nan), False, id="a day is not known"),
    pytest.param(np.full(200, np.nan), False, id="nobody knows anything"),
]


@pytest.mark.parametrize(("values", "enough"), _AGES)
def test_whether_there_is_enough_data(values: FloatArray, enough: bool) -> None:
    found = _alone(values)
    assert found.enough[0] == enough
    assert all(np.isfinite(figures).all() for figures in found)


def test_a_group_is_as_old_as_its_oldest_series() -> None:
    young = _with(weekly(100), 0, 90, 0.0)
    found = cumulated(history_of(weekly(100), young), each_and_all(2), 7)
    assert list(found.enough) == [True, False, True]


def test_a_group_of_nothing_costs_nothing() -> None:
    found = cumulated(history_of(weekly(90)), np.zeros((1, 1), dtype=bool), 5)
    assert not found.mid.any()
    assert not found.high.any()


def test_what_always_costs_the_same_has_narrow_limits() -> None:
    found = _alone(weekly(140))
    assert found.high[0, -1] - found.low[0, -1] < 0.02 * found.mid[0, -1]


def test_what_varies_has_wider_limits_the_more_it_varies() -> None:
    calm, restless = (_alone(noisy(140, noise=noise)) for noise in (0.05, 0.5))
    assert (restless.high - restless.low)[0, -1] > 3 * (calm.high - calm.low)[0, -1]


def test_limits_of_a_year_from_ten_weeks_are_wider_than_those_of_a_month() -> None:
    found = _alone(noisy(70), days=365)
    share = (found.high - found.mid)[0] / found.mid[0]
    assert share[364] > 2 * share[27]


def test_growth_goes_on_for_a_while_and_dies_away() -> None:
    values = noisy(140, noise=0.02, monthly=0.10)
    found = _alone(values, days=364)
    now, later = found.mid[0, 27] / 4, found.mid[0, 363] / 52
    assert now > values[-7:].sum()
    assert later < 1.2 * now


def test_christmas_is_not_an_ordinary_week() -> None:
    first_day = date(2026, 8, 3)
    days = (date(2026, 12, 21) - first_day).days
    found = cumulated(history_of(weekly(days), first_day=first_day), np.ones((1, 1), dtype=bool), 14)
    assert found.mid[0, 6] < 0.75 * _WEEK
    assert found.mid[0, 13] - found.mid[0, 6] < 0.75 * _WEEK


def test_july_is_low_again_where_the_july_before_was() -> None:
    first_day, today = date(2025, 4, 7), date(2026, 6, 29)
    values = noisy((today - first_day).days, noise=0.05)
    july = slice((date(2025, 7, 1) - first_day).days, (date(2025, 8, 1) - first_day).days)
    quiet = values.copy()
    quiet[july] *= 0.4
    usual, low = (
        cumulated(history_of(each, first_day=first_day), np.ones((1, 1), dtype=bool), 31).mid[0, -1]
        for each in (values, quiet)
    )
    assert low < 0.75 * usual


def test_a_planned_rise_moves_forecast_and_limits_from_its_day_on() -> None:
    scale = np.ones((1, MONTH))
    scale[:, 14:] = 2.0
    plain = _alone(weekly(120))
    risen = cumulated(history_of(weekly(120)), np.ones((1, 1), dtype=bool), MONTH, scale=scale)
    assert risen.mid[0, 13] == pytest.approx(plain.mid[0, 13])
    assert risen.mid[0, -1] == pytest.approx(6 * _WEEK, rel=0.01)


_REFUSED = [
    pytest.param(lambda: History(FIRST_DAY, np.ones(30)), r"shape \(30,\)", id="one row without its series"),
    pytest.param(lambda: History(FIRST_DAY, np.full((1, 9), np.inf)), "infinite", id="an infinite cost"),
    pytest.param(lambda: _alone(weekly(60), days=0), "0 days ahead", id="no days ahead"),
]


@pytest.mark.parametrize(("make", "why"), _REFUSED)
def test_what_is_no_history_is_refused(make: object, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        make()  # type: ignore[operator]


@pytest.mark.parametrize("days", [48, 57])
def test_what_nearly_ended_is_not_expected_to_be_paid_back(days: int) -> None:
    """A trend that goes on falling ends at nought: the level of weeks ago must not pull it below."""
    before = noisy(120, 1)
    found = _alone(np.concatenate([before[:-days], before[-days:] * 1e-6]), 60)
    assert (found.mid >= 0).all()
    assert (np.diff(found.mid) >= 0).all()
    assert (found.low <= found.mid).all()


@pytest.mark.parametrize("since", [2, 9, 16, 30])
def test_a_jump_after_a_life_without_any_is_no_reason_to_expect_the_moon(since: int) -> None:
    """A job that ran the same every day, then twice as large: errors were next to nothing before."""
    found = _alone(np.concatenate([np.full(120, 3.6), np.full(since, 7.2)]))
    assert 3.6 * MONTH * 0.9 < found.mid[0, -1] < 7.2 * MONTH * 1.1
    assert found.high[0, -1] < 3 * found.mid[0, -1]


def test_what_is_rarely_used_has_limits_of_the_size_of_its_use() -> None:
    """Next to nothing is expected between two uses; the next one is any number of times as much."""
    chance = np.random.default_rng(11)
    for _ in range(20):
        values = (chance.random(200) < 0.05) * chance.gamma(1.0, 50.0, 200)
        values[int(chance.integers(200))] += 5_000.0
        assert _alone(values).high[0, -1] < 20 * values.sum()
