"""How much of a pool a month's part of its price buys, as FOCUS asks for a quantity and a price of one."""

from fractions import Fraction

import pytest

from services.cost_alerts.exports.focus_pools import _worth
from services.shared.events.prices import Pool
from services.shared.money import NANO
from tests.unit.cost_alerts.domain.city import pool


@pytest.mark.parametrize(
    ("size", "price", "euro", "expected"),
    [
        pytest.param("1000", "10", 5, Fraction(500), id="half the price buys half the pool"),
        pytest.param("0", "10", 5, Fraction(1), id="a pool of nothing is bought as one"),
        pytest.param("1000", "0", -5, Fraction(-1), id="a free one is taken back as one"),
    ],
)
def test_what_a_price_buys(size: str, price: str, euro: int, expected: Fraction) -> None:
    assert _worth(Pool.model_validate(pool(size=size, price=price)), euro * NANO) == expected
