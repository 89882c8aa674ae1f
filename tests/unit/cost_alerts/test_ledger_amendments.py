"""A contract that turns out to have been another: every cycle of it follows, also those that the news does not name."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from services.shared.bus.memory import MemoryBus
from services.shared.periods import Month
from tests.contract.ledger_world import BASE, World, make_world
from tests.unit.cost_alerts.test_ledger_periods import MINIMUM, contract

SEPTEMBER, OCTOBER = Month(2026, 9), Month(2026, 10)
JANUARY, FEBRUARY = date(2026, 1, 10), date(2026, 2, 10)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """After every test the ledger holds, and folding the bus again gives the same."""
    world = make_world(tmp_path, lambda clock: MemoryBus(clock, partitions=2))
    world.register(*BASE)
    yield world
    assert world.problems() == []
    before = [world.report(month) for month in (SEPTEMBER, OCTOBER)]
    world.rebuild()
    assert [world.report(month) for month in (SEPTEMBER, OCTOBER)] == before
    assert world.problems() == []
    world.close()


def test_a_minimum_whose_contract_ended_earlier_counts_what_was_spent_until_then(world: World) -> None:
    """Its last cycle has the name of the longer one that was thought to be, and is over earlier."""
    fee = {"kind": "fee", "id": "platform", "sku": "platform", "amount": "31.00", "currency": "EUR"}
    world.register(contract(fee, MINIMUM, valid_from=date(2026, 10, 1)))
    world.settle()
    world.begin_day()
    world.later(hours=1)
    world.register(contract(fee, MINIMUM, valid_from=date(2026, 10, 1), valid_to=date(2026, 10, 3)))
    world.clock.set(datetime(2026, 10, 4, 9, tzinfo=UTC))
    world.begin_day()
    assert world.eur() == {"unallocated": "200"}


@pytest.mark.parametrize("change", ["comes", "goes", "begins earlier"])
def test_years_are_counted_from_the_first_of_a_contract_s_amendments(world: World, change: str) -> None:
    """Whatever is said of it afterwards, its later years are charged once, from the anniversary on."""
    fee = {"kind": "fee", "id": "platform", "sku": "platform", "amount": "365.00", "currency": "EUR", "every": "year"}
    amended = contract(fee, valid_from=date(2026, 9, 10))
    first, earlier = (contract(fee, valid_from=day, valid_to=date(2026, 9, 10)) for day in (FEBRUARY, JANUARY))
    world.clock.set(datetime(2028, 1, 20, 9, tzinfo=UTC))
    world.register(amended, *([] if change == "comes" else [first]))
    world.settle()
    world.begin_day()
    world.later(days=1)
    world.register(
        *{"comes": [first], "goes": [], "begins earlier": [earlier]}[change],
        without=[] if change == "comes" else [first],
    )
    world.settle()
    assert [world.eur(Month(2027, month)) for month in (1, 2, 3, 8)] == [
        {"unallocated": str(days)} for days in (31, 28, 31, 31)
    ]
