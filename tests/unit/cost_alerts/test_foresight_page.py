"""What the page of forecasts makes of figures: pictures that stay in their frames, bars that can be compared."""

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.cost_alerts.domain.budgets.state import BudgetState
from services.cost_alerts.domain.foresight.forecast import Forecast, Level, Range
from services.cost_alerts.domain.risks.risk import Risk
from services.cost_alerts.web.foresight import (
    HEIGHT,
    WIDTH,
    Found,
    budget_lines,
    foresight,
    month_fan,
    unit_forecasts,
)
from services.shared.events.plans import Budget
from services.shared.money import NANO
from services.shared.periods import Month
from services.shared.web.words import Words

NOVEMBER, YEAR_END = Month(2026, 11), date(2026, 12, 31)
TODAY = date(2026, 11, 21)


def forecast(
    name: str, euro: int | None, *, level: Level = "unit", actual: int = 200, last: date = date(2026, 11, 30)
) -> Forecast:
    first = NOVEMBER.first_day if last == date(2026, 11, 30) else date(2026, 1, 1)
    variable = None if euro is None else Range(*((euro + part) * NANO for part in (-20, 0, 20)))
    return Forecast(
        level=level,
        name=name,
        made_on=TODAY,
        first=first,
        last=last,
        actual_nano=actual * NANO,
        fixed_nano=30 * NANO,
        renewed_nano=0,
        planned_nano=0,
        variable=variable,
        reason=None if variable else "not_enough_data",
    )


def state(
    used: int, amount: int, *, committed: int | None = 0, ends: tuple[int, int, int] | None = None
) -> BudgetState:
    budget = Budget.model_validate(
        {"id": "b", "unit": "kymp", "period": 2026, "amount": str(amount), "currency": "EUR"}
        | {"thresholds": ["0.8"], "recipients": ["finance"]}
    )
    found = None if ends is None else Range(*(end * NANO for end in ends))
    owed = None if committed is None else committed * NANO
    return BudgetState(budget, TODAY, 0, amount * NANO, 0, used * NANO, amount * NANO // 2, owed, found)


def points(text: str) -> list[tuple[int, int]]:
    return [(int(x), int(y)) for x, y in (point.split(",") for point in text.split())]


def days(*euro: int) -> dict[date, int]:
    return {NOVEMBER.first_day + timedelta(days=number): amount * NANO for number, amount in enumerate(euro)}


def test_a_month_goes_up_to_its_last_complete_day_and_fans_out_to_its_end() -> None:
    fan = month_fan(NOVEMBER, days(*[10] * 20), forecast("", 100, level="city"))
    assert fan is not None
    line, fanned, middle = points(fan.line), points(fan.fan), points(fan.middle)
    assert line[0] == (0, HEIGHT)
    assert line[-1] == fanned[0] == middle[0]
    assert line[-1][0] == WIDTH * 20 // 30
    assert [x for x, _ in fanned[1:]] == [WIDTH, WIDTH]
    assert fanned[1][1] < middle[1][1] < fanned[2][1]  # high limit, middle, low limit, from the top down


def test_without_enough_data_there_is_no_fan_and_the_figures_say_so() -> None:
    poor = forecast("", None, level="city")
    assert month_fan(NOVEMBER, days(1), poor) is None
    shown = foresight(Found(TODAY, [("kymp", 0)], days(1), [poor, forecast("kymp", None)], [], [], [], [], []))
    assert (shown.city_month, shown.fan, shown.units[0].month) == (None, None, None)
    assert shown.units[0].so_far == Decimal(200)


@given(st.lists(st.integers(-1000, 1000), max_size=40), st.integers(-100, 5000))
@example([1000, -990], 0)
def test_every_point_stays_in_the_frame(spent: list[int], to_come: int) -> None:
    fan = month_fan(NOVEMBER, days(*spent), forecast("", to_come, level="city", actual=sum(spent[:20])))
    assert fan is not None
    for x, y in (*points(fan.line), *points(fan.fan), *points(fan.middle)):
        assert 0 <= x <= WIDTH
        assert 0 <= y <= HEIGHT


def test_bars_of_units_have_one_scale() -> None:
    months = {"big": forecast("big", 1000), "small": forecast("small", 100)}
    big, small = unit_forecasts([("big", 0), ("small", 1), ("new", 1)], months, {})
    assert big.high_bar == 100
    assert small.high_bar == 350 * 100 // 1250
    assert small.so_far_bar == big.so_far_bar == 200 * 100 // 1250


@pytest.mark.parametrize(
    ("found", "look"),
    [
        (state(10, 100), "is-well"),
        (state(10, 100, ends=(90, 105, 120)), "is-near"),
        (state(80, 100), "is-near"),
        (state(101, 100), "is-over"),
    ],
)
def test_how_a_budget_looks(found: BudgetState, look: str) -> None:
    assert budget_lines([found], 2026)[0].look == look


def test_bars_of_a_budget_are_parts_of_the_longest() -> None:
    line = budget_lines([state(50, 100, committed=25, ends=(150, 160, 200))], 2026)[0]
    assert (line.used_bar, line.committed_bar, line.amount_bar, line.middle_bar) == (25, 37, 50, 80)
    assert budget_lines([state(50, 100)], 2027) == []


def test_risks_come_worst_first_and_each_in_its_own_measure() -> None:
    risks = [
        Risk("variable_share", "", Fraction(1, 4)),
        Risk("contract_end", "c", Fraction(9)),
        Risk("vendor_concentration", "", Fraction(2, 5)),
        Risk("forecast_error", "", None),
    ]
    lines = foresight(Found(TODAY, [], {}, [], [], [], risks, [], [])).risks
    words = Words("en")
    told = [(line.risk.name, line.figure(words), line.risk.state) for line in lines]
    assert told == [
        ("contract_end", "9 days", "over"),
        ("vendor_concentration", "0.4", "near"),
        ("forecast_error", "Unknown", "unknown"),
        ("variable_share", "25%", "fine"),
    ]
