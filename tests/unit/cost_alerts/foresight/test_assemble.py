"""Forecasts put together: exactly what was paid, what is owed and planned, and the use to come."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.cost_alerts.domain.budgets.scope import Where
from services.cost_alerts.domain.foresight.ahead import by_model
from services.cost_alerts.domain.foresight.assemble import Outcome, forecasts
from services.cost_alerts.domain.foresight.forecast import Forecast, Range
from services.cost_alerts.domain.foresight.inputs import Inputs
from services.cost_alerts.domain.foresight.pools import PoolUse, Refill
from services.shared.events import register as facts
from services.shared.events.plans import Budget, PlannedChange
from services.shared.money import NANO
from tests.unit.cost_alerts.domain.city import contract
from tests.unit.cost_alerts.foresight.towns import DAY, KYMP, SOTE, TODAY, inputs, level

DEPTS = Where("kymp-tilat", "claude", "")


def of(made: Outcome, group: str, name: str = "", *, year: bool = False) -> Forecast:
    return next(
        one for one in made.forecasts
        if (one.level, one.name) == (group, name) and ((one.last - one.first).days > 31) == year
    )  # fmt: skip


def mid(one: Forecast) -> int:
    assert one.variable is not None
    return one.variable.mid


def budget(name: str, unit: str, **members: object) -> Budget:
    given: dict[str, object] = {"id": name, "unit": unit, "period": 2026, "amount": "1000", "currency": "EUR"}
    return Budget.model_validate(given | {"thresholds": ["1"], "recipients": ["finance"]} | members)


def test_the_month_is_what_was_paid_and_what_is_to_come() -> None:
    made = forecasts(inputs({KYMP: [10] * 60, SOTE: [20] * 60}), level())
    city = of(made, "city")
    assert (city.first, city.last, city.made_on) == (date(2026, 11, 1), date(2026, 11, 30), TODAY)
    assert city.actual_nano == 20 * 30 * NANO
    assert city.variable == Range(270 * NANO, 300 * NANO, 330 * NANO)
    assert city.total == Range(870 * NANO, 900 * NANO, 930 * NANO)
    assert (city.fixed_nano, city.renewed_nano, city.planned_nano, city.reason) == (0, 0, 0, None)
    year = of(made, "city", year=True)
    assert (year.first, year.last) == (date(2026, 1, 1), date(2026, 12, 31))
    assert (year.actual_nano, mid(year)) == (60 * 30 * NANO, 41 * 30 * NANO)


def test_every_level_has_its_part() -> None:
    made = forecasts(inputs({KYMP: [10] * 60, SOTE: [20] * 60}, budget("b", "sote", project="DIGI-7")), level())
    actual = {(one.level, one.name): one.actual_nano // NANO for one in made.forecasts if one.last.month == 11}
    assert actual == {
        ("city", ""): 600,
        ("unit", "city"): 600,
        ("unit", "kymp"): 200,
        ("unit", "sote"): 400,
        ("system", "claude"): 600,
        ("vendor", "anthropic"): 600,
        ("budget", "b"): 400,
    }


def test_a_unit_has_those_below_it_as_they_are_today_and_a_budget_as_they_were() -> None:
    before = facts.Unit(id="kymp-tilat", parent="sote", name={"en": "T"}, valid_from=date(2025, 1, 1))
    moves = date(2026, 11, 11)
    moved = [
        before.model_copy(update={"valid_to": moves}),
        before.model_copy(update={"parent": "kymp", "valid_from": moves}),
    ]
    given = inputs({KYMP: [1] * 60, DEPTS: [10] * 60}, *moved, budget("k", "kymp"), budget("s", "sote"))
    made = forecasts(given, level())
    assert of(made, "unit", "kymp").actual_nano == 220 * NANO
    assert of(made, "budget", "k").actual_nano == (20 + 100) * NANO
    assert of(made, "budget", "s").actual_nano == 100 * NANO
    assert mid(of(made, "budget", "k")) == 110 * NANO
    assert mid(of(made, "budget", "s")) == 0


@pytest.mark.parametrize(
    ("days", "expected"), [pytest.param(2, 13, id="two days ago"), pytest.param(3, 3, id="three days ago")]
)
def test_what_a_unit_used_that_has_ended_is_not_expected_beside_its_successors(days: int, expected: int) -> None:
    """Renamed, say: what the old one used is in the new one's use as soon as that is seen."""
    ended = facts.Unit(
        id="tilat", parent="kymp", name={"en": "T"}, valid_from=date(2025, 1, 1), valid_to=TODAY - days * DAY
    )
    old = Where("tilat", "claude", "")
    made = forecasts(inputs({KYMP: [1] * 60, SOTE: [2] * 60, old: [10] * 60}, ended), level())
    assert mid(of(made, "city")) == expected * 10 * NANO
    assert of(made, "unit", "tilat").actual_nano == 200 * NANO


def test_a_budget_that_nothing_counts_towards_costs_nothing() -> None:
    one = of(forecasts(inputs({KYMP: [1] * 60}, budget("b", "sote", system="copilot")), level()), "budget", "b")
    assert (one.actual_nano, one.total) == (0, Range(0, 0, 0))


def test_a_budget_of_another_year_has_no_forecast() -> None:
    made = forecasts(inputs({KYMP: [1] * 60}, budget("b", "kymp", period=2027)), level())
    assert not [one for one in made.forecasts if one.level == "budget"]


def test_too_little_data_is_said_and_what_is_certain_stays() -> None:
    fee = contract(
        system="copilot", time_zone="Europe/Helsinki",
        terms=[{"kind": "fee", "id": "f", "sku": "x", "amount": "300", "currency": "EUR"}],
    )  # fmt: skip
    made = forecasts(inputs({KYMP: [10] * 3}, fee), level(lambda _group: False))
    city, copilot = of(made, "city"), of(made, "system", "copilot")
    assert (city.variable, city.total, city.reason) == (None, None, "not_enough_data")
    assert (city.actual_nano, city.fixed_nano) == (30 * NANO, 100 * NANO)
    assert copilot.total == Range(100 * NANO, 100 * NANO, 100 * NANO)


def test_an_empty_ledger_has_an_empty_forecast() -> None:
    made = forecasts(inputs({KYMP: []}), by_model)
    assert [(one.level, one.total) for one in made.forecasts] == [
        ("city", Range(0, 0, 0)), ("system", Range(0, 0, 0)), ("unit", Range(0, 0, 0)),
        ("unit", Range(0, 0, 0)), ("vendor", Range(0, 0, 0)),
    ] * 2  # fmt: skip


@pytest.mark.parametrize(
    "days",
    [pytest.param([5], id="one day"), pytest.param([0] * 30, id="nothing"), pytest.param([-3], id="a correction")],
)
def test_the_model_gives_no_figure_on_next_to_nothing(days: Sequence[int]) -> None:
    city = of(forecasts(inputs({KYMP: days}), by_model), "city")
    assert city.actual_nano == sum(days[-20:]) * NANO
    assert city.variable is None or city.variable == Range(0, 0, 0)


def test_late_data_is_expected_as_part_of_the_use() -> None:
    made = forecasts(inputs({KYMP: [*[7] * 60, 0, 0]}), level())
    city = of(made, "city")
    assert city.actual_nano == 18 * 7 * NANO
    assert city.variable == Range((14 + 63) * NANO, (14 + 70) * NANO, (14 + 77) * NANO)


def test_a_price_that_rises_counts_from_its_day() -> None:
    levels = np.array([1.0] * 60 + [1.0] * 10 + [2.0] * 31)
    made = forecasts(inputs({KYMP: [10] * 60}, prices={"claude": levels}), level())
    assert mid(of(made, "city")) == 100 * NANO
    assert mid(of(made, "city", year=True)) == (100 + 620) * NANO


def test_planned_changes_are_told_each_and_in_sum() -> None:
    plans = [
        PlannedChange(
            id="up", kind="rollout", system="claude", valid_from=date(2026, 11, 28), factor=Decimal(2), source="x"
        ),
        PlannedChange(id="gone", kind="ending", system="claude", unit="sote", valid_from=date(2026, 12, 1), source="x"),
        PlannedChange(id="past", kind="ending", system="claude", valid_from=TODAY, source="x"),
    ]
    made = forecasts(inputs({KYMP: [10] * 60, SOTE: [20] * 60}, *plans), level())
    assert {one.change: one.month_nano / NANO for one in made.planned} == pytest.approx({"up": 90.0, "gone": 0.0})
    assert {one.change: one.year_nano / NANO for one in made.planned} == pytest.approx({"up": 1020.0, "gone": -1240.0})
    assert of(made, "city", year=True).planned_nano == sum(one.year_nano for one in made.planned)
    assert of(made, "unit", "kymp", year=True).planned_nano / NANO == pytest.approx(340.0)


def test_a_plan_for_one_sku_changes_its_part_of_the_use() -> None:
    plan = PlannedChange(
        id="p", kind="price", system="claude", sku="opus", valid_from=date(2026, 12, 1), factor=Decimal(2), source="x"
    )
    made = forecasts(inputs({KYMP: [10] * 60}, plan, by_sku={KYMP: {"opus": 0.25, "sonnet": 0.75}}), level())
    assert made.planned[0].year_nano / NANO == pytest.approx(31 * 2.5)


def test_a_minimum_demands_what_expected_use_leaves_of_it() -> None:
    terms = [{"kind": "minimum", "id": "m", "amount": "1000", "currency": "EUR"}]
    minimum = contract(time_zone="Europe/Helsinki", terms=terms)
    made = forecasts(inputs({KYMP: [10] * 60}, minimum), level())
    assert of(made, "city").fixed_nano == 700 * NANO
    assert of(made, "city").total == Range(990 * NANO, 1000 * NANO, 1010 * NANO)
    assert of(made, "city", year=True).fixed_nano == (700 + 690) * NANO


def pooled(given: Inputs, used: int, *, dry: bool = True) -> Inputs:
    november = Refill(date(2026, 11, 1), date(2026, 11, 30), Fraction(100))
    december = Refill(date(2026, 12, 1), date(2026, 12, 31), Fraction(10_000))
    history = {KYMP: np.full(60, 6.0), SOTE: np.full(60, 2.0)} if dry else {}
    pool = PoolUse("pool:c/p", "claude", "credits", (november, december), Fraction(used), False, history, 1.0 * NANO)
    return replace(given, pools=(pool,))


def test_use_beyond_a_pool_is_paid_by_who_uses_it() -> None:
    made = forecasts(pooled(inputs({KYMP: [0] * 60}), 60), level())  # 40 left, 80 to be used
    assert of(made, "city").variable == Range(32 * NANO, 40 * NANO, 48 * NANO)
    assert of(made, "unit", "kymp").variable == Range(24 * NANO, 30 * NANO, 36 * NANO)
    assert mid(of(made, "city", year=True)) == 40 * NANO
    assert made.pools[0].dry_mid == TODAY + 4 * DAY


def test_limits_of_pools_and_of_other_use_are_not_simply_added() -> None:
    made = forecasts(pooled(inputs({KYMP: [3] * 60}), 60), level())  # 30 ± 3 and 40 ± 8
    found = of(made, "city").variable
    assert found is not None
    assert found.mid == 70 * NANO
    assert found.high - found.mid == pytest.approx((3**2 + 8**2) ** 0.5 * NANO)


def test_a_pool_that_nobody_knows_enough_of_leaves_its_system_unsaid() -> None:
    made = forecasts(pooled(inputs({KYMP: [0] * 60}), 60), level(lambda _group: False))
    assert made.pools[0].reason == "not_enough_data"
    assert of(made, "city").reason == "not_enough_data"
    unused = forecasts(pooled(inputs({KYMP: [0] * 60}), 0, dry=False), level())
    assert unused.pools[0].reason == "not_enough_data"
    assert of(unused, "city").total == Range(0, 0, 0)


@pytest.mark.parametrize(
    ("today", "month", "year"),
    [
        pytest.param(date(2026, 1, 1), 31, 365, id="the first of January"),
        pytest.param(date(2028, 2, 29), 1, 307, id="a leap day"),
        pytest.param(date(2026, 12, 31), 1, 1, id="the last of December"),
        pytest.param(date(2026, 3, 29), 3, 278, id="a day of 23 hours"),
    ],
)
def test_days_ahead(today: date, month: int, year: int) -> None:
    made = forecasts(inputs({KYMP: [1] * 90}, today=today), level())
    assert mid(of(made, "city")) == month * NANO
    assert mid(of(made, "city", year=True)) == year * NANO
    assert of(made, "city").actual_nano == (today.day - 1) * NANO


PLACES = [
    Where(unit, system, project)
    for unit in ("kymp", "sote", "gone")
    for system in ("claude", "else")
    for project in ("", "P")
]
COSTS = st.dictionaries(
    st.sampled_from(PLACES), st.lists(st.integers(-50, 1000), min_size=1, max_size=80), min_size=1, max_size=8
)


@settings(max_examples=40, deadline=None)
@given(costs=COSTS, back=st.integers(0, 40))
def test_parts_add_up_to_the_whole(costs: dict[Where, list[int]], back: int) -> None:
    made = forecasts(inputs(costs, today=TODAY - timedelta(days=back)), by_model)
    for year in (False, True):
        city = of(made, "city", year=year)
        by_system = [one for one in made.forecasts if one.level == "system" and one.first == city.first]
        by_unit = [
            one for one in made.forecasts
            if one.level == "unit" and one.first == city.first and one.name in {"kymp", "sote", "gone"}
        ]  # fmt: skip
        for parts in (by_system, by_unit):
            whole = [one for one in parts if one.last == city.last]
            assert sum(one.actual_nano for one in whole) == city.actual_nano
            if city.variable is not None and all(one.variable is not None for one in whole):
                assert sum(map(mid, whole)) == pytest.approx(mid(city), abs=100)


@settings(max_examples=40, deadline=None)
@given(costs=COSTS)
def test_what_was_paid_is_exact_and_limits_enclose_what_is_expected(costs: dict[Where, list[int]]) -> None:
    given = inputs(costs)
    made = forecasts(given, by_model)
    assert of(made, "city", year=True).actual_nano == sum(map(sum, costs.values())) * NANO
    assert of(made, "city").actual_nano == sum(sum(one[-20:]) for one in costs.values()) * NANO
    for one in made.forecasts:
        assert (one.variable is None) == (one.reason is not None)
        if one.variable is not None:
            assert one.variable.low <= one.variable.mid <= one.variable.high


def on_pool(kind: str, **members: object) -> PlannedChange:
    given: dict[str, object] = {"id": kind, "kind": kind, "system": "claude", "source": "x"}
    return PlannedChange.model_validate(given | {"valid_from": date(2026, 11, 26)} | members)


@pytest.mark.parametrize(
    ("plan", "eur", "dry"),
    [
        pytest.param(on_pool("rollout", factor="2", unit="kymp"), 30, 25, id="a roll-out to one unit"),
        pytest.param(on_pool("rollout", factor="2", valid_from=TODAY + DAY), 72, 23, id="a roll-out before it is dry"),
        pytest.param(on_pool("price", factor="3"), 80, 25, id="a price rise of use beyond it"),
        pytest.param(on_pool("ending"), -40, 25, id="an ending saves what lies beyond"),
        pytest.param(on_pool("rollout", factor="2", sku="other"), 0, 25, id="of one SKU nobody knows"),
        pytest.param(on_pool("rollout", factor="2", system="copilot"), 0, 25, id="another system"),
    ],
)
def test_a_plan_changes_what_lies_beyond_a_pool(plan: PlannedChange, eur: int, dry: int) -> None:
    made = forecasts(pooled(inputs({KYMP: [0] * 60}, plan), 60), level())  # 8 a day, 40 left: dry on the 25th
    assert made.planned[0].month_nano / NANO == pytest.approx(eur)
    assert made.pools[0].dry_mid == date(2026, 11, dry)
    city = of(made, "city")
    assert city.planned_nano / NANO == pytest.approx(eur)
    assert mid(city) == 40 * NANO


def test_use_of_a_pool_that_is_on_its_way_empties_it_already() -> None:
    given = pooled(inputs({KYMP: [0] * 60}), 60)
    history = {KYMP: np.array([*[8.0] * 58, 0.0, 0.0])}
    made = forecasts(replace(given, pools=(replace(given.pools[0], history=history),)), level())
    assert made.pools[0].dry_mid == date(2026, 11, 23)  # 16 of the 40 were used already
    assert mid(of(made, "city")) == (16 + 80 - 40) * NANO
