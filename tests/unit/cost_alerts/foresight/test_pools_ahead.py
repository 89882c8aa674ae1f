"""Prepaid pools ahead: the day they run dry, and what use beyond them costs."""

from datetime import date, timedelta
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cost_alerts.domain.foresight.forecast import Range
from services.cost_alerts.domain.foresight.pools import PoolUse, Refill, Use, beyond, outlook, overage, shares
from services.shared.money import NANO
from tests.unit.cost_alerts.foresight.towns import KYMP, SOTE

TODAY = date(2026, 11, 21)
NOVEMBER = Refill(date(2026, 11, 1), date(2026, 11, 30), Fraction(100))
DECEMBER = Refill(date(2026, 12, 1), date(2026, 12, 31), Fraction(100))
DAYS = 41


def pool(used: int = 60, unit_nano: float | None = 2.0 * NANO, carries_over: bool = False) -> PoolUse:
    return PoolUse(
        key="pool:c/p",
        system="claude",
        meter="credits",
        cycles=(NOVEMBER, DECEMBER),
        used=Fraction(used),
        carries_over=carries_over,
        history={KYMP: np.array([3.0, 3.0]), SOTE: np.array([0.0, 2.0])},
        unit_nano=unit_nano,
    )


def daily(amount: float, spread: float = 0.5) -> Use:
    mid = np.cumsum(np.full(DAYS, amount))
    return Use(mid, mid * (1 - spread), mid * (1 + spread))


SAME = np.ones(DAYS)


def test_much_use_comes_early() -> None:
    found = outlook(pool(), daily(8.0), TODAY, SAME)  # 40 left: 5 days at 8, 3.3 at 12, 10 at 4
    assert (found.dry_low, found.dry_mid, found.dry_high) == (
        date(2026, 11, 24),
        date(2026, 11, 25),
        date(2026, 11, 30),
    )
    assert (found.overage_low_nano, found.overage_mid_nano, found.overage_high_nano) == (0, 80 * NANO, 160 * NANO)


def test_a_pool_that_lasts_says_so_and_may_still_run_dry() -> None:
    found = outlook(pool(), daily(3.0), TODAY, SAME)
    assert (found.dry_low, found.dry_mid, found.dry_high) == (date(2026, 11, 29), None, None)
    assert (found.overage_mid_nano, found.overage_high_nano) == (0, 10 * NANO)


@pytest.mark.parametrize(
    ("used", "dry_on"),
    [
        pytest.param(100, date(2026, 11, 20), id="yesterday's last unit was the pool's"),
        pytest.param(105, date(2026, 11, 19), id="the day before took it, and five beyond"),
        pytest.param(300, date(2026, 11, 19), id="before anything that is known of days"),
    ],
)
def test_one_that_is_dry_already_keeps_the_day_on_which_it_ran_dry(used: int, dry_on: date) -> None:
    found = outlook(pool(used=used), daily(1.0), TODAY, SAME)
    assert found.left == 0
    assert found.dry_low == found.dry_mid == found.dry_high == dry_on
    assert found.overage_mid_nano == 20 * NANO


def test_too_little_data_is_said() -> None:
    found = outlook(pool(), None, TODAY, SAME)
    assert (found.reason, found.dry_mid, found.overage_mid_nano) == ("not_enough_data", None, None)
    assert found.left == 40


def test_that_nothing_is_left_needs_no_forecast() -> None:
    found = outlook(pool(used=100), None, TODAY, SAME)
    assert (found.reason, found.dry_low, found.dry_mid, found.dry_high) == (
        "not_enough_data",
        *[date(2026, 11, 20)] * 3,
    )
    assert found.overage_mid_nano is None


def test_use_that_the_vendor_refuses_has_no_price() -> None:
    assert outlook(pool(unit_nano=None), daily(8.0), TODAY, SAME).overage_mid_nano is None


def test_what_is_left_is_lost_at_the_end_of_a_cycle() -> None:
    use = np.cumsum(np.full(DAYS, 4.0))  # November: 40, all that is left; December: 124
    assert beyond(pool(), use, TODAY).sum() == pytest.approx(24)
    use = np.cumsum(np.full(DAYS, 3.5))  # November leaves 5; December: 108.5
    assert beyond(pool(), use, TODAY).sum() == pytest.approx(8.5)


def test_or_carried_over_to_the_next() -> None:
    use = np.cumsum(np.full(DAYS, 3.5))
    assert beyond(pool(carries_over=True), use, TODAY).sum() == pytest.approx(3.5)


def test_a_dearer_price_from_december_on_counts_in_december() -> None:
    prices = np.where(np.arange(DAYS) < 10, 1.0, 3.0)
    assert overage(pool(), daily(4.0, 0.0), TODAY, DAYS, prices) == Range(*(144 * NANO,) * 3)


def test_whose_use_it_will_be() -> None:
    assert dict(shares(pool(), 28)) == {KYMP: 0.75, SOTE: 0.25}
    assert dict(shares(pool(), 1)) == {KYMP: 0.6, SOTE: 0.4}


@given(
    use=st.lists(st.floats(0, 1000), min_size=DAYS, max_size=DAYS),
    used=st.integers(0, 100),
    carries_over=st.booleans(),
)
def test_what_lies_beyond_is_what_the_pool_cannot_hold(use: list[float], used: int, carries_over: bool) -> None:
    one, total = pool(used=used, carries_over=carries_over), np.cumsum(np.array(use))
    over = beyond(one, total, TODAY)
    assert (over >= 0).all()
    assert (np.cumsum(over) <= total + 1e-6).all()
    november = (NOVEMBER.last - TODAY).days + 1
    assert over[:november].sum() == pytest.approx(max(0.0, total[november - 1] - float(one.left)), abs=1e-6)


@given(low=st.floats(0, 5), mid=st.floats(0, 50), high=st.floats(0, 50), days=st.integers(1, DAYS))
def test_limits_enclose_what_is_expected(low: float, mid: float, high: float, days: int) -> None:
    steps = np.cumsum(np.ones(DAYS))
    use = Use(mid * steps, min(low, mid) * steps, max(mid, high) * steps)
    found = overage(pool(), use, TODAY, days, SAME)
    assert found is not None
    assert 0 <= found.low <= found.mid <= found.high
    dry = outlook(pool(), use, TODAY, SAME)
    told = [one or date.max - timedelta(days=1) for one in (dry.dry_low, dry.dry_mid, dry.dry_high)]
    assert told == sorted(told)
