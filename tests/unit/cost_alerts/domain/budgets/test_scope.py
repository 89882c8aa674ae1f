"""What counts towards a budget, and which budget stands above which."""

from datetime import date
from typing import Any

import pytest

from services.cost_alerts.domain.budgets.scope import Counting, Where, counted, encloses
from tests.unit.cost_alerts.domain.budgets.plans import CITY, DAY, budget, unit, view
from tests.unit.cost_alerts.domain.city import book

BEFORE = date(2026, 10, 13)


def test_a_cost_counts_towards_the_budgets_of_its_year_above_it() -> None:
    budgets = [
        budget(id="city"),
        budget(id="library", unit="library"),
        budget(id="next", period=2027),
        budget(id="other", unit="kymp"),
    ]
    assert counted(budgets, view(), Where("library", "claude", ""), DAY) == ["library", "city"]


@pytest.mark.parametrize(
    ("narrowed", "where", "counts"),
    [
        pytest.param({"system": "claude"}, Where("library", "claude", ""), True, id="its system"),
        pytest.param({"system": "claude"}, Where("library", "copilot", ""), False, id="another system"),
        pytest.param({"vendor": "anthropic"}, Where("library", "claude", ""), True, id="its vendor"),
        pytest.param({"vendor": "anthropic"}, Where("library", "copilot", ""), False, id="another vendor"),
        pytest.param({"vendor": "unknown"}, Where("library", "unknown", ""), False, id="a system nobody has described"),
        pytest.param({"project": "P-7"}, Where("library", "claude", "P-7"), True, id="its project"),
        pytest.param({"project": "P-7"}, Where("library", "claude", ""), False, id="no project"),
        pytest.param({"programme": "digi"}, Where("library", "claude", "P-7"), True, id="a project of its programme"),
        pytest.param({"programme": "digi"}, Where("library", "copilot", ""), True, id="a system of its programme"),
        pytest.param({"programme": "digi"}, Where("library", "claude", ""), False, id="neither"),
        pytest.param({"programme": "none"}, Where("library", "copilot", "P-7"), False, id="a programme that is gone"),
        pytest.param(
            {"vendor": "anthropic", "project": "P-7"}, Where("library", "claude", ""), False, id="one of two fits"
        ),
        pytest.param(
            {"vendor": "anthropic", "project": "P-7"}, Where("library", "claude", "P-7"), True, id="all that are given"
        ),
        pytest.param({"unit": "kymp", "system": "claude"}, Where("library", "claude", ""), False, id="another unit"),
    ],
)
def test_a_budget_may_be_narrowed(narrowed: dict[str, str], where: Where, counts: bool) -> None:
    assert counted([budget(**narrowed)], view(), where, DAY) == (["b"] if counts else [])


def test_a_reorganisation_moves_only_later_days() -> None:
    moved = [*CITY, unit("team", "hyve", until=DAY), unit("team", "kymp", DAY)]
    found = book(moved).view(1)
    counting = Counting([budget(id="old", unit="hyve"), budget(id="new", unit="kymp")], found)
    assert counting.counted(Where("team", "claude", ""), BEFORE) == ["old"]
    assert counting.counted(Where("team", "claude", ""), DAY) == ["new"]


@pytest.mark.parametrize(
    ("upper", "lower", "above"),
    [
        pytest.param({"unit": "city"}, {"unit": "library"}, True, id="two levels above"),
        pytest.param({"unit": "library"}, {"unit": "city"}, False, id="below"),
        pytest.param({"unit": "kymp"}, {"unit": "library"}, False, id="beside"),
        pytest.param({"unit": "city", "period": 2025}, {"unit": "library"}, False, id="another year"),
        pytest.param({"unit": "hyve"}, {"unit": "hyve", "system": "claude"}, True, id="the whole unit over a system"),
        pytest.param({"unit": "city", "system": "claude"}, {"unit": "library"}, False, id="narrowed to a system"),
        pytest.param(
            {"unit": "city", "system": "claude"}, {"unit": "hyve", "system": "claude"}, True, id="of the same system"
        ),
        pytest.param(
            {"unit": "city", "vendor": "anthropic"}, {"unit": "hyve", "system": "claude"}, True, id="of its vendor"
        ),
        pytest.param(
            {"unit": "city", "vendor": "microsoft"}, {"unit": "hyve", "system": "claude"}, False, id="another vendor"
        ),
        pytest.param(
            {"unit": "city", "programme": "digi"},
            {"unit": "hyve", "project": "P-7"},
            True,
            id="the programme's project",
        ),
        pytest.param(
            {"unit": "city", "programme": "digi"}, {"unit": "hyve", "system": "copilot"}, True, id="its system"
        ),
        pytest.param(
            {"unit": "city", "programme": "digi"}, {"unit": "hyve", "programme": "digi"}, True, id="the same programme"
        ),
        pytest.param({"unit": "city", "programme": "digi"}, {"unit": "hyve"}, False, id="a programme over a unit"),
        pytest.param({"unit": "city", "project": "P-7"}, {"unit": "hyve"}, False, id="a project over a unit"),
    ],
)
def test_which_budget_stands_above_which(upper: dict[str, Any], lower: dict[str, Any], above: bool) -> None:
    assert encloses(budget(id="u", **upper), budget(id="l", **lower), view(), DAY) is above


def test_of_two_that_count_the_same_only_one_stands_above() -> None:
    one, other = budget(id="a", unit="hyve", system="claude"), budget(id="b", unit="hyve", system="claude")
    assert (encloses(one, other, view(), DAY), encloses(other, one, view(), DAY)) == (False, True)
    assert not encloses(one, one, view(), DAY)
