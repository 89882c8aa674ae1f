"""The city's folder on any day: what is to come lies ahead, what happened lies behind, and budgets fit their year."""

from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

import pytest

from services.shared.events.envelope import Fact
from services.shared.events.plans import BenefitResult, Budget, PlannedChange
from services.shared.events.prices import Contract, Tariff
from services.shared.events.register import Placement, Unit
from services.shared.periods import Month
from services.simulator.city import EXAMPLE_CITY
from services.simulator.moving import LIBRARY_BUDGET, Moving, usual_cost
from services.simulator.rhythm import days
from services.simulator.stories import Stories
from services.usage_collector.register.facts import KIND, Facts
from services.usage_collector.register.folder import load_folder
from tests.unit.simulator.asking import TODAY

DAYS = [
    pytest.param(date(2026, 11, 22), 120, id="the day the folder was written for"),
    pytest.param(date(2026, 12, 31), 120, id="the last day of a year"),
    pytest.param(date(2027, 1, 1), 120, id="the first day of a year"),
    pytest.param(date(2027, 3, 15), 120, id="when both years have a part of the past"),
    pytest.param(date(2029, 7, 1), 30, id="years later"),
    pytest.param(date(2026, 11, 22), 730, id="two years of history"),
]


@lru_cache(maxsize=1)
def written() -> Facts:
    return load_folder(EXAMPLE_CITY, today=TODAY).facts


def moved(today: date, history: int) -> dict[type[Fact], list[Any]]:
    facts = Moving(Stories(1, history, today)).moved(written())
    assert all(KIND[kind].fact_id(fact) == name for (kind, name), fact in facts.items())
    kinds: dict[type[Fact], list[Any]] = {}
    for fact in facts.values():
        kinds.setdefault(type(fact), []).append(fact)
    return kinds


def test_on_its_own_day_the_folder_is_as_it_is_written() -> None:
    facts = Moving(Stories(1, 120, TODAY)).moved(written())
    assert {name for name, fact in facts.items() if written().get(name) != fact} == set()
    assert {name[0] for name in written() if name not in facts} == {"benefit"}  # of a month that is simulated in part


@pytest.mark.parametrize(("today", "history"), DAYS)
def test_what_is_announced_lies_ahead(today: date, history: int) -> None:
    kinds = moved(today, history)
    assert min(one.valid_from for one in kinds[PlannedChange]) > today
    seats = {one.id: one for one in kinds[Tariff] if one.sku == "Microsoft_365_Copilot"}
    before, after = seats["m365-copilot-2026"], seats["m365-copilot-2027"]
    assert today < before.valid_to == after.valid_from < today + timedelta(days=100)
    [ending] = [one for one in kinds[Contract] if one.id == "servicenow-2026"]
    assert timedelta(0) < ending.valid_to - today <= timedelta(days=90)


@pytest.mark.parametrize(("today", "history"), DAYS)
def test_what_happened_lies_in_the_days_that_are_simulated(today: date, history: int) -> None:
    kinds, first = moved(today, history), today - timedelta(days=history)
    months = {Month.parse(one.month) for one in kinds.get(BenefitResult, ())}
    assert all(first <= month.first_day and month.next.first_day <= today for month in months)
    assert Month.of(today).previous in months or history < 60
    for kind in (Unit, Placement, Tariff):
        assert min(one.valid_from for one in kinds[kind]) <= max(first, date(2026, 1, 1))


@pytest.mark.parametrize(("today", "history"), DAYS)
def test_budgets_fit_their_year(today: date, history: int) -> None:
    budgets = {one.id: one for one in moved(today, history)[Budget]}
    assert today.year in {one.period for one in budgets.values()}
    assert all(one.id.endswith(str(one.period)) for one in budgets.values())
    carried = [one for one in budgets.values() if one.carry_over is not None]
    assert [one.carry_over.budget in budgets for one in carried] == [True]
    assert all(one.valid_from.year == budget.period for budget in budgets.values() for one in budget.amendments)
    years = {(today - timedelta(days=1)).year, (today - timedelta(days=history)).year}
    passed = [budgets[name].amount for year in years if (name := f"kirjasto-{year}") in budgets]
    assert sum(passed) == pytest.approx(LIBRARY_BUDGET, rel=Decimal("0.03")) or history == 730


@pytest.mark.parametrize("history", [120, 730])
@pytest.mark.parametrize("today", [date(2026, 11, 22), date(2027, 2, 1), date(2027, 12, 20)])
def test_a_forecast_passes_a_budget_that_use_has_not_passed(today: date, history: int) -> None:
    budgets = {one.id: one for one in moved(today, history)[Budget]}
    first = max(date(today.year, 1, 1), today - timedelta(days=history))
    gone = sum(map(usual_cost, days(first, today)))
    left = sum(map(usual_cost, days(today, date(today.year + 1, 1, 1))))
    amount = budgets[f"tyollisyyspalvelut-{today.year}"].amount
    assert gone < amount < gone + left
    assert amount % Decimal(100) == 0


def test_the_library_spends_its_budget_in_the_days_that_are_simulated() -> None:
    told = Stories(1, 120, TODAY)
    assert sum(map(told.library_share, days(told.first_day, TODAY))) == pytest.approx(1, rel=0.01)
    assert Moving(told).moved(written())["budget", "kirjasto-2026"] == written()["budget", "kirjasto-2026"]
