"""A ledger made by the first tables, with content, opens under the newest and folds to what a fresh one says."""

import shutil
import sqlite3
from datetime import date
from importlib.resources import files
from pathlib import Path

import pytest
from sqlalchemy import select

from services.cost_alerts.adapters.tables import METADATA, RESTATEMENT
from services.cost_alerts.main import GROUPS
from services.shared.bus.memory import MemoryBus
from services.shared.store.migrate import migrate
from services.shared.store.sqlite import SqliteStore
from tests.contract.ledger_world import BASE, World, make_world, reading, seat_count

FIRST_TOLD = 2
"""A register version whose restatement the earlier program told."""


def first_ledger(folder: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file as the first program left it: its tables, some rows in them, and what it had told."""
    package = folder / "first_migrations"
    package.mkdir()
    (package / "__init__.py").touch()
    source = Path(str(files("services.cost_alerts.migrations"))) / "0001_initial.py"
    shutil.copy(source, package / source.name)
    monkeypatch.syspath_prepend(str(folder))
    store = SqliteStore(path, METADATA, "ledger")
    migrate(store, METADATA, "first_migrations")
    store.close()
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO word (id, text) VALUES (1, 'kymp')")
        connection.execute(
            "INSERT INTO rollup VALUES (739890, 1, 1, 1, 1, 'Usage', 'EUR', 0, 0, 5000000000, 5000000000, 1, 1, 0)"
        )
        connection.execute("INSERT INTO charge VALUES (1, 0, 1, 5, 5, 1, NULL, 1)")
        connection.execute("INSERT INTO register_version VALUES (1, 1)")
        connection.execute("UPDATE register_state SET version = 1")
        connection.execute("INSERT INTO restatement VALUES (?, 1, 5, 5, 3, 1, 1)", (FIRST_TOLD,))
        connection.execute("INSERT INTO store_info VALUES ('rebuild horizon of an earlier program', 'seen')")
        for group in GROUPS:
            connection.execute("INSERT INTO consumer_position VALUES ('memory', ?, 'valvomo.usage', 0, 7)", (group,))
    connection.close()


def filled(world: World) -> World:
    world.register(*BASE)
    world.publish(reading("a"), reading("b", account="wrk-sote"), seat_count(date(2026, 10, 1), 3))
    return world


def test_a_first_ledger_is_folded_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = filled(make_world(tmp_path / "fresh", lambda clock: MemoryBus(clock, partitions=2)))
    fresh.settle()
    world = filled(make_world(tmp_path / "upgraded", lambda clock: MemoryBus(clock, partitions=2)))
    first_ledger(tmp_path, tmp_path / "upgraded" / "ledger.db", monkeypatch)
    world.settle()
    assert world.problems() == []
    with world.service.store.reading() as connection:
        told = select(RESTATEMENT.c.announced).where(RESTATEMENT.c.version == FIRST_TOLD)
        assert connection.execute(told).scalar() == 1  # and is not told again
    assert world.report() == fresh.report()
    assert world.eur() == {"kymp": "3.6", "sote": "3.6"}
    for one in (world, fresh):
        one.close()
