"""What holds for the forecast of any history."""

from datetime import timedelta
from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from services.cost_alerts.domain.foresight.model import Cumulated, History, SeriesModel, cumulated
from tests.unit.cost_alerts.foresight.histories import each_and_all, histories

DAYS = 40

few = settings(max_examples=15, deadline=None)


def _forecast(history: History) -> Cumulated:
    return cumulated(history, each_and_all(len(history.values)), DAYS)


@few
@given(histories(negative=True))
def test_every_figure_is_one_and_the_limits_enclose_the_forecast(history: History) -> None:
    found = _forecast(history)
    for figures in found[:3]:
        assert np.isfinite(figures).all()
    assert (found.low <= found.mid).all()
    assert (found.mid <= found.high).all()


@few
@given(histories())
def test_what_was_never_negative_neither_falls_nor_goes_below_nought(history: History) -> None:
    for figures in _forecast(history)[:3]:
        assert (figures >= 0).all()
        assert (np.diff(figures, axis=1) >= 0).all()


@few
@given(histories(negative=True))
def test_a_group_is_expected_to_cost_what_its_series_are(history: History) -> None:
    mid = _forecast(history).mid
    np.testing.assert_allclose(mid[-1], mid[:-1].sum(axis=0), rtol=1e-9, atol=1e-9 * np.abs(mid).max())


@few
@given(histories(negative=True), st.sampled_from([0.5, 1000.0, 2.0**20]))
def test_another_unit_of_money_is_another_unit_of_the_forecast(history: History, times: float) -> None:
    found = _forecast(history)
    other = _forecast(History(history.first_day, history.values * times))
    for figures, scaled in zip(found[:3], other[:3], strict=True):
        np.testing.assert_allclose(scaled, figures * times, rtol=1e-6, atol=1e-9 * np.abs(found.high).max() * times)
    assert (other.enough == found.enough).all()


@few
@given(histories(negative=True), st.randoms(use_true_random=False))
def test_the_order_of_series_is_of_no_consequence(history: History, chance: Random) -> None:
    order = list(range(len(history.values)))
    chance.shuffle(order)
    found = _forecast(history)
    other = _forecast(History(history.first_day, history.values[order]))
    for figures, shuffled in zip(found[:3], other[:3], strict=True):
        np.testing.assert_allclose(shuffled[:-1], figures[order], rtol=1e-12)
        np.testing.assert_allclose(shuffled[-1], figures[-1], rtol=1e-9, atol=1e-9 * np.abs(found.high).max())


@few
@given(histories(negative=True))
def test_the_same_history_has_the_same_forecast(history: History) -> None:
    for figures, again in zip(_forecast(history), _forecast(history), strict=True):
        assert (figures == again).all()


@few
@given(histories(gaps=False), st.integers(1, 6))
def test_weeks_of_nothing_before_the_first_use_change_nothing(history: History, weeks: int) -> None:
    silence = np.zeros((len(history.values), 7 * weeks))
    earlier = History(history.first_day - timedelta(weeks=weeks), np.hstack([silence, history.values]))
    found, other = _forecast(history), _forecast(earlier)
    used = (history.values != 0).any(axis=1)
    np.testing.assert_allclose(other.mid[:-1][used], found.mid[:-1][used], rtol=1e-9, atol=1e-300)


@few
@given(histories(negative=True, least=60), st.integers(1, 50))
def test_a_forecast_of_the_past_does_not_know_what_came_after(history: History, later: int) -> None:
    groups, origin = each_and_all(len(history.values)), history.days - later
    then = SeriesModel(History(history.first_day, history.values[:, :origin]), groups, DAYS).at(origin, DAYS)
    now = SeriesModel(history, groups, DAYS).at(origin, DAYS)
    assert (then.enough == now.enough).all()
    np.testing.assert_allclose(now.mid, then.mid, rtol=1e-12)
    for figures, known in ((now.low, then.low), (now.high, then.high)):
        np.testing.assert_allclose(figures[then.enough], known[then.enough], rtol=1e-9)


@few
@given(histories(), st.floats(0.0, 5.0))
def test_dearer_days_cost_more_by_as_much(history: History, times: float) -> None:
    groups = each_and_all(len(history.values))
    scale = np.full((len(history.values), DAYS), times)
    plain, dearer = cumulated(history, groups, DAYS), cumulated(history, groups, DAYS, scale=scale)
    for figures, scaled in zip(plain[:2], dearer[:2], strict=True):
        np.testing.assert_allclose(scaled, figures * times, rtol=1e-9, atol=1e-9 * plain.mid.max(initial=0))
