"""Time itself is an event: each Helsinki day is told once, and what costs by time alone is charged up to it."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from services.shared.bus.memory import MemoryBus
from services.shared.events.outcomes import DayBegun
from tests.contract.ledger_world import BASE, World, make_world
from tests.unit.cost_alerts.test_ledger_periods import CAPACITY, FEE, contract

BY_THE_MONTH = contract({**FEE, "currency": "EUR"}, valid_from=date(2026, 10, 1))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = make_world(tmp_path, lambda clock: MemoryBus(clock, partitions=2))
    world.register(*BASE, BY_THE_MONTH)
    world.settle()
    yield world
    world.close()


def test_a_day_is_told_once_and_charged(world: World) -> None:
    for _ in range(3):
        world.begin_day()
    assert [event.data.day for event in world.events(DayBegun)] == [date(2026, 10, 1)]
    assert world.eur() == {"unallocated": "2"}


def test_a_day_begins_at_midnight_in_helsinki(world: World) -> None:
    world.clock.advance(datetime(2026, 10, 1, 20, 59, 59, tzinfo=UTC) - world.clock.now())
    world.begin_day()
    assert world.eur() == {"unallocated": "2"}
    world.later(seconds=1)
    world.begin_day()
    assert world.eur() == {"unallocated": "4"}
    assert world.eur(as_known_on=date(2026, 10, 1)) == {"unallocated": "2"}


def test_days_on_which_nothing_ran_are_charged_with_the_next(world: World) -> None:
    world.begin_day()
    world.later(days=9)
    world.begin_day()
    assert [event.data.day for event in world.events(DayBegun)] == [date(2026, 10, 1), date(2026, 10, 10)]
    assert world.eur() == {"unallocated": "20"}
    assert world.problems() == []


def test_a_rebuild_tells_no_day_again_and_charges_the_same(world: World) -> None:
    world.begin_day()
    world.later(days=2)
    world.begin_day()
    before = world.eur(), world.eur(as_known_on=date(2026, 10, 1))
    world.rebuild()
    assert (world.eur(), world.eur(as_known_on=date(2026, 10, 1))) == before
    world.begin_day()
    assert len(world.events(DayBegun)) == 2


def test_another_process_tells_no_day_again(world: World) -> None:
    world.begin_day()
    world.restart()
    world.begin_day()
    assert len(world.events(DayBegun)) == 1


def test_a_day_of_capacity_has_as_many_hours_as_helsinki(world: World) -> None:
    given = {**CAPACITY, "quantity": "1", "price": "1"}
    by_the_hour = contract(given, valid_from=date(2026, 10, 25), time_zone="Europe/Helsinki")
    world.register(by_the_hour, without=[BY_THE_MONTH])
    world.clock.advance(datetime(2026, 10, 25, 9, tzinfo=UTC) - world.clock.now())
    world.begin_day()
    assert world.eur() == {"unallocated": "25"}
