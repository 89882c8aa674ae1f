"""How good the forecast has to be on two real series (tests/data/README.md); docs/forecast.md has the whole report."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from services.cost_alerts.domain.foresight.backtest import Attempt, attempts, whole_months
from services.cost_alerts.domain.foresight.backtest import Tested as Figures
from services.cost_alerts.domain.foresight.backtest import tested as in_figures
from services.cost_alerts.domain.foresight.series import read_series

_DATA = Path(__file__).parents[3] / "data"
_FILES = {
    "wikipedia": ("wikipedia_r_language_daily_log_views.csv", True),
    "melbourne": ("melbourne_pedestrians_daily.csv", False),
}
AUTO_ETS = {"wikipedia": 0.0769, "melbourne": 0.0497}
"""Its error on the same months and days, from `python -m tools.bench.forecast`; statsforecast 2.1.1."""


@cache
def _attempts(name: str) -> Sequence[Attempt]:
    file, logarithmic = _FILES[name]
    with (_DATA / file).open(encoding="utf-8", newline="") as lines:
        history = read_series(lines, logarithmic=logarithmic)
    return attempts(history, np.ones((1, 1), dtype=bool), whole_months(history))


def _tested(name: str, *, half: bool = False) -> Figures:
    found = _attempts(name)
    return in_figures(0, None, found[len(found) // 2 :] if half else found)


def test_a_weekday_driven_series_is_forecast_30_per_cent_better_than_by_the_run_rate() -> None:
    assert _tested("wikipedia").ratio < 0.7
    assert _tested("wikipedia", half=True).ratio < 0.7


@pytest.mark.parametrize("name", _FILES)
def test_no_series_is_forecast_worse_than_by_the_run_rate_or_by_auto_ets(name: str) -> None:
    found = _tested(name)
    assert found.ratio < 0.9
    assert found.error < AUTO_ETS[name]


@pytest.mark.parametrize("name", _FILES)
def test_the_limits_hold_what_they_promise(name: str) -> None:
    assert 0.75 <= _tested(name).coverage <= 0.88


@pytest.mark.parametrize("name", _FILES)
def test_the_forecast_leans_to_no_side(name: str) -> None:
    assert abs(_tested(name).bias) < 0.03


@pytest.mark.parametrize(("name", "forecasts"), [("wikipedia", 376), ("melbourne", 188)])
def test_every_month_with_enough_data_is_counted(name: str, forecasts: int) -> None:
    assert _tested(name).n == forecasts
