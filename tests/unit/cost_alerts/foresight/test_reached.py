"""When an amount will be used up."""

from datetime import date

import numpy as np
import pytest

from services.cost_alerts.domain.foresight.model import Cumulated, Reached, first_day_reached

TOMORROW = date(2026, 11, 20)
_FOUND = Cumulated(
    mid=np.array([[10.0, 20.0, 30.0, 40.0]]),
    low=np.array([[5.0, 10.0, 15.0, 20.0]]),
    high=np.array([[20.0, 40.0, 60.0, 80.0]]),
    enough=np.array([True]),
)


def _day(number: int) -> date:
    return date(2026, 11, number)


@pytest.mark.parametrize(
    ("amount", "reached"),
    [
        pytest.param(20.0, Reached(_day(20), _day(21), _day(23)), id="much use is early, little use is late"),
        pytest.param(20.1, Reached(_day(21), _day(22), None), id="with little use it lasts"),
        pytest.param(60.0, Reached(_day(22), None, None), id="only much use gets there"),
        pytest.param(81.0, Reached(None, None, None), id="it lasts"),
        pytest.param(0.0, Reached(TOMORROW, TOMORROW, TOMORROW), id="it is used up already"),
        pytest.param(-5.0, Reached(TOMORROW, TOMORROW, TOMORROW), id="more than all is used"),
    ],
)
def test_the_day_on_which_an_amount_is_reached(amount: float, reached: Reached) -> None:
    assert first_day_reached(_FOUND, [amount], TOMORROW) == [reached]
