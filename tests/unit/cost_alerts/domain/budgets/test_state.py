"""How a budget is said to stand: the gravest of what holds."""

from datetime import date

import pytest

from services.cost_alerts.domain.budgets.state import BudgetState, Condition
from services.cost_alerts.domain.foresight.forecast import Range
from services.shared.events.plans import Budget
from services.shared.money import NANO

_BUDGET = Budget.model_validate(
    {"id": "b", "unit": "kymp", "period": 2026, "amount": "100", "currency": "EUR"}
    | {"thresholds": ["0.5", "1.0"], "recipients": ["finance"]}
)


def standing(used: int, forecast: int | None) -> BudgetState:
    """A budget of 100 euro; `used` and the middle of the forecast in euro."""
    expected = None if forecast is None else Range((forecast - 1) * NANO, forecast * NANO, (forecast + 1) * NANO)
    return BudgetState(_BUDGET, date(2026, 11, 1), 0, 100 * NANO, 0, used * NANO, 90 * NANO, None, expected)


@pytest.mark.parametrize(
    ("used", "forecast", "condition"),
    [
        pytest.param(49, None, "within", id="nothing passed, nothing known"),
        pytest.param(49, 99, "within", id="nothing passed, nor expected to"),
        pytest.param(49, 100, "at_risk", id="all of it expected"),
        pytest.param(50, 99, "passed", id="half used"),
        pytest.param(50, 100, "at_risk", id="half used, all of it expected: that is the graver"),
        pytest.param(100, None, "passed", id="all used, to the cent"),
        pytest.param(101, 120, "over", id="more than all used"),
    ],
)
def test_the_gravest_is_said(used: int, forecast: int | None, condition: Condition) -> None:
    assert standing(used, forecast).condition == condition
