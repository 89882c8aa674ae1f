from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import structlog
from sqlalchemy import delete, text, update
from typer.testing import CliRunner, Result

from services.cost_alerts.adapters.tables import CHARGE, ROLLUP
from services.cost_alerts.cli import app
from services.shared.bus.open import BUS_FILE
from services.shared.bus.sqlite import SqliteBus
from services.shared.errors import ConfigurationError
from services.shared.events.outcomes import ThresholdCrossed
from tests.contract.closing_contract import close
from tests.contract.ledger_world import BASE, OCTOBER, World, budget, make_world, reading, seat_count


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """A command sets up the logs of its process; the tests after it are in the same."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A ledger in the form that the commands open: a data folder with a bus and a database."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VALVOMO_DATA_DIR", str(tmp_path))
    world = make_world(tmp_path, lambda clock: SqliteBus(tmp_path / BUS_FILE, clock, 2))
    world.register(*BASE, budget("kymp-2026", "kymp", "7.20", "0.5"))
    world.publish(reading("a"), reading("b", account="else"), reading("c", sku="unheard-of"))
    world.settle()
    yield world
    world.close()
    world.bus.close()


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words), catch_exceptions=False)


def test_a_ledger_that_holds(world: World) -> None:
    found = run("ledger", "check")
    assert (found.exit_code, found.output) == (0, "the ledger holds: 3 readings, 6 charges\n")
    assert run("ledger", "check", "--json").output == "[]\n"


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        pytest.param(
            update(ROLLUP).values(eur_nano=ROLLUP.c.eur_nano + 1),
            "differs from its charges by 0.000000001 euro",
            id="a nano",
        ),
        pytest.param(delete(CHARGE), "billing readings have neither charges nor a reason", id="charges are gone"),
        pytest.param(
            update(CHARGE).where(CHARGE.c.reading == 1).values(version=7),
            "are current besides newer ones",
            id="versions",
        ),
    ],
)
def test_damage_is_found_and_a_rebuild_mends_it(world: World, damage: object, sentence: str) -> None:
    before, mails = world.report(), world.outgoing("mail")
    assert len(mails) == 1
    with world.service.store.transaction() as tx:
        tx.connection.execute(damage)  # type: ignore[call-overload]
    found = run("ledger", "check")
    assert found.exit_code == 1
    assert sentence in found.output
    world.close()
    assert run("ledger", "rebuild").stdout == "the ledger is rebuilt and holds\n"
    assert run("ledger", "check").exit_code == 0
    world.settle()
    assert (world.report(), world.outgoing("mail")) == (before, mails)
    assert len(world.events(ThresholdCrossed)) == 1


def test_no_rebuild_under_a_running_program(world: World) -> None:
    before = world.report()
    world.service.start()
    with pytest.raises(ConfigurationError, match="stop the program"):
        run("ledger", "rebuild")
    assert world.report() == before
    world.service.stop()
    world.restart()


PRICED = "not charged as the register prices them"


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        ("DELETE FROM rollup WHERE shard = 0", "differs from its charges"),
        ("DELETE FROM charge WHERE reading = 1 AND lead = 0", "differs from its charges"),
        ("DELETE FROM reading WHERE number = 1", "charges are of readings that are lost"),
        ("UPDATE charge SET superseded_at = 5 WHERE reading = 1", "neither charges nor a reason"),
        ("UPDATE charge SET lead = 1", "differs from its charges"),
        ("UPDATE reading SET quantities = '5 5' WHERE number = 1", PRICED),
        ("UPDATE reading SET day = day + 40 WHERE number = 1", PRICED),
        ("UPDATE reading SET retracted = 1 WHERE number = 1", "readings that cost nothing have charges"),
        ("UPDATE charge SET eur_nano = eur_nano + 5; UPDATE rollup SET eur_nano = eur_nano + 5", PRICED),
        ("DELETE FROM register_fact WHERE kind = 'Tariff'", PRICED),
        ("DELETE FROM reading_name_recent WHERE number = 1", "3 names are known of 4 readings"),
        ("UPDATE reading_name_recent SET number = 9 WHERE number = 1", "or of others"),
        ("UPDATE register_state SET version = 9", "register version 9 is in force, the last published is 1"),
        ("UPDATE budget_use SET eur_nano = eur_nano + 1", "as used, its units cost"),
        ("DELETE FROM period_charge; DELETE FROM rollup WHERE shard = -1", "not charged as"),
        ("UPDATE adjustment SET eur_nano = eur_nano + 1", "the books of 2026-11 take something else"),
        ("DELETE FROM adjustment", "the books of 2026-11 take something else"),
        ("UPDATE register_state SET closings = 7", "1 months are closed and 7 were counted"),
        ("DELETE FROM basis WHERE reason IS NULL", "have lost what they were priced by"),
        ("DELETE FROM word WHERE text = 'kymp'", "the unit of"),
    ],
)
def test_no_damage_passes(world: World, damage: str, sentence: str) -> None:
    world.publish(seat_count(date(2026, 10, 1), 3), seat_count(date(2026, 10, 2), 3))
    world.settle()
    world.clock.set(datetime(2026, 11, 2, 9, tzinfo=UTC))
    close(world, OCTOBER)
    world.later(minutes=1)
    world.publish(reading("late"))
    world.settle()
    assert run("ledger", "check").exit_code == 0
    with world.service.store.transaction() as tx:
        for statement in damage.split(";"):
            tx.connection.execute(text(statement))
    found = run("ledger", "check")
    assert found.exit_code == 1
    assert sentence in found.output
