"""Where a pool stands, and what it costs seen in two ways."""

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest

from services.cost_alerts.domain.agreements.agreement import Known
from services.cost_alerts.domain.agreements.all import agreements
from services.cost_alerts.domain.agreements.pool import Pools
from services.cost_alerts.domain.agreements.pool_state import PoolState, UnitUse, pool_state
from services.shared.events.envelope import Fact
from tests.unit.cost_alerts.domain.agreements.test_parts import FIRST, MORNING, OVER, metered, placed
from tests.unit.cost_alerts.domain.city import book, contract, pool, tariff

PEOPLE: list[Fact] = [placed("p-0xx", "kymp"), placed("p-1xx", "sote")]
EURO = 10**9


def state(held: list[Fact], known: Known, day: date = FIRST) -> PoolState | None:
    view = book(held).view(1)
    [found] = [one for one in agreements(view, "claude") if isinstance(one, Pools)]
    [cycle] = [one for one in found.cycles(day, day) if one.starts <= MORNING < one.ends]
    return pool_state(found, view, cycle, known)


def test_inside_the_pool_the_next_unit_costs_nothing_and_the_share_is_paid_all_the_same() -> None:
    held = [contract(terms=[pool(price="31", size="1000")]), tariff("0.5", per="1"), *PEOPLE]
    known = Known(date(2026, 10, 10), metered([(1, "p-0xx", Decimal(300)), (2, "p-1xx", Decimal(100))]))
    found = state(held, known)
    assert found is not None
    assert (found.size, found.used) == (Decimal(1000), Decimal(400))
    assert (found.left, found.beyond) == (Decimal(600), Decimal(0))
    assert (found.next_unit, found.currency, found.exhausted_at) == (Fraction(0), "EUR", None)
    assert found.units == {
        "kymp": UnitUse(Decimal(300), allocated=75 * EURO // 10, marginal=0, listed=150 * EURO),
        "sote": UnitUse(Decimal(100), allocated=25 * EURO // 10, marginal=0, listed=50 * EURO),
    }


def test_beyond_the_pool_the_next_unit_has_its_price() -> None:
    held = [contract(terms=[pool(price="31", size="350")], discounts=[{"off": "0.2"}]), tariff("0.5", per="1"), *PEOPLE]
    found = state(held, Known(OVER, metered([(1, "p-0xx", Decimal(300)), (2, "p-1xx", Decimal(100))])))
    assert found is not None
    assert (found.left, found.beyond) == (Decimal(0), Decimal(50))
    assert found.exhausted_at == MORNING + timedelta(hours=2)
    assert (found.next_unit, found.currency) == (Fraction(4, 10) * EURO, "EUR")
    assert {unit: (one.allocated, one.marginal) for unit, one in found.units.items()} == {
        "kymp": (31 * EURO * 3 // 4, 0),
        "sote": (31 * EURO // 4 + 20 * EURO, 20 * EURO),
    }


@pytest.mark.parametrize(
    "held",
    [
        pytest.param([contract(terms=[pool(size="1", overage="none")]), tariff("1")], id="the contract refuses it"),
        pytest.param([contract(terms=[pool(size="1")])], id="there is no tariff"),
    ],
)
def test_what_nobody_knows_is_said_to_be_unknown(held: list[Fact]) -> None:
    found = state([*held, *PEOPLE], Known(OVER, metered([(1, "p-0xx", Decimal(300))])))
    assert found is not None
    assert (found.next_unit, found.units["kymp"].marginal, found.units["kymp"].allocated) == (None, None, None)


def test_a_pool_of_money_costs_its_own_money_beyond_it() -> None:
    money = {
        "kind": "pool",
        "id": "p",
        "measure": "cost",
        "burns": "USD",
        "size": "10",
        "price": "9",
        "currency": "EUR",
    }
    held = [contract(terms=[money]), tariff("0.5", per="1", currency="USD"), *PEOPLE]
    found = state(held, Known(OVER, metered([(1, "p-0xx", Decimal(300))])))
    assert found is not None
    assert (found.used, found.left) == (Decimal(150), Decimal(0))
    assert (found.next_unit, found.currency) == (Fraction(EURO), "USD")
    assert found.units["kymp"].marginal is None  # no exchange rate


def test_what_was_carried_over_is_part_of_the_size() -> None:
    carried = pool(price="0", size="100", carries_over=True)
    held = [contract(terms=[carried], valid_from=date(2026, 9, 1), valid_to=date(2026, 12, 1)), *PEOPLE]
    found = state(held, Known(date(2026, 10, 5), metered([(1, "p-0xx", Decimal(30))])))
    assert found is not None
    assert (found.first_day, found.last_day) == (date(2026, 10, 1), date(2026, 10, 31))
    assert (found.size, found.left) == (Decimal(200), Decimal(170))


def test_a_pool_that_has_not_begun_has_no_state() -> None:
    assert state([contract(terms=[pool()])], Known(date(2026, 9, 1))) is None
