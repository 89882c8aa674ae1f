"""What the past cost, made ready to be carried forward."""

from datetime import date

import numpy as np
import pytest

from services.cost_alerts.domain.foresight.consumption import consumption
from services.shared.money import NANO
from tests.unit.cost_alerts.foresight.towns import DAY, KYMP, SOTE, TODAY, spent


def test_use_is_told_in_euro_by_day() -> None:
    found = consumption(spent({KYMP: [1, 2, 3], SOTE: [0, 4, 5]}), {}, {})
    assert found.places == [KYMP, SOTE]
    assert found.values.tolist() == [[1.0, 2.0, 3.0], [0.0, 4.0, 5.0]]
    assert not found.late.any()


def test_a_place_that_never_cost_anything_is_left_out() -> None:
    assert consumption(spent({KYMP: [0, 0], SOTE: [1, 1]}), {}, {}).places == [SOTE]


def test_what_an_invoice_changed_is_spread_over_its_month_and_counts_to_the_last_nano() -> None:
    days = 30 + 20  # November, and December up to the 20th
    past = spent({KYMP: [10] * days}, date(2026, 12, 21), adjusted={KYMP: [30, *[0] * 20]})
    found = consumption(past, {}, {})
    assert found.values[0, :30] == pytest.approx([11.0] * 30)
    assert found.values[0, 30:].tolist() == [10.0] * 20
    assert int(past.total.sum()) == (10 * days + 30) * NANO


def test_use_beyond_a_pool_is_foreseen_with_the_pool() -> None:
    beyond = {KYMP: {(TODAY - DAY).toordinal(): 2 * NANO, date(1999, 1, 1).toordinal(): NANO}}
    assert consumption(spent({KYMP: [5, 5, 5]}), beyond, {}).values.tolist() == [[5.0, 5.0, 3.0]]


def test_days_before_a_price_rise_are_put_on_todays_footing() -> None:
    prices = {"claude": np.array([0.5, 1.0, 1.0, 2.0])}
    assert consumption(spent({KYMP: [5, 10, 10]}), {}, prices).values.tolist() == [[10.0, 10.0, 10.0]]


def test_days_that_show_nothing_of_a_whole_system_are_on_their_way() -> None:
    weeks = [1, 2, 3, 4, 5, 6, 7] * 4
    found = consumption(spent({KYMP: [*weeks, 0, 0], SOTE: [*weeks, 0, 0]}), {}, {})
    assert np.isnan(found.values[:, -2:]).all()
    assert found.late[:, -2:].tolist() == [[1.0, 2.0], [1.0, 2.0]]
    assert not found.late[:, :-2].any()


def test_a_unit_that_uses_nothing_is_not_late() -> None:
    found = consumption(spent({KYMP: [1] * 30, SOTE: [*[1] * 28, 0, 0]}), {}, {})
    assert not np.isnan(found.values).any()


def test_a_system_silent_for_longer_has_ended() -> None:
    found = consumption(spent({KYMP: [*[1] * 28, *[0] * 8]}), {}, {})
    assert found.values[0, -8:].tolist() == [0.0] * 8


def test_one_day_of_history_and_a_late_day_after_it() -> None:
    found = consumption(spent({KYMP: [3, 0]}), {}, {})
    assert found.late.tolist() == [[0.0, 0.0]]


def test_a_negative_correction_is_use_like_any_other() -> None:
    assert consumption(spent({KYMP: [5, -2]}), {}, {}).values.tolist() == [[5.0, -2.0]]
