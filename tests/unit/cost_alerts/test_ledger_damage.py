"""Whatever of what a charge was priced by is changed by hand, `ledger check` says so."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select, update

from services.cost_alerts.adapters.tables import BASIS, WORD
from services.shared.bus.memory import MemoryBus
from tests.contract.ledger_world import BASE, World, make_world, reading

OF_NUMBERS = ("id", "digest")
"""Not part of what is said, but how it is found."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("damage")
    world = make_world(folder, lambda clock: MemoryBus(clock, partitions=2))
    world.register(*BASE)
    world.publish(reading("a"), reading("b", account="wrk-sote"))
    world.settle()
    yield world
    world.close()


@pytest.mark.parametrize("column", [one.name for one in BASIS.c if one.name not in OF_NUMBERS])
def test_a_price_that_was_changed_by_hand_is_seen(world: World, column: str) -> None:
    assert world.problems() == []
    with world.service.store.transaction() as tx:
        row = tx.connection.execute(select(BASIS).order_by(BASIS.c.id).limit(1)).one()
        before = row._mapping[column]
        words = [one for one in tx.connection.execute(select(WORD.c.id)).scalars() if one != before]
        after = words[0] if column in {"unit", "system", "sku", "meter", "cost_centre", "project"} else _other(before)
        tx.connection.execute(update(BASIS).where(BASIS.c.id == row.id).values({column: after}))
    assert any("prices say something else" in one for one in world.problems())
    with world.service.store.transaction() as tx:
        tx.connection.execute(update(BASIS).where(BASIS.c.id == row.id).values({column: before}))
    assert world.problems() == []


def _other(value: object) -> object:
    return value + 1 if isinstance(value, int) else f"{value or ''}1"
