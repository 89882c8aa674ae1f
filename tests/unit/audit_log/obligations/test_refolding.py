"""A database of an older program: its projections are made again from the entries before the log begins to work."""

import shutil
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import select
from typer.testing import CliRunner, Result

from services.audit_log import migrations
from services.audit_log.adapters.entries import SqlEntryLog
from services.audit_log.adapters.reviews import refolding
from services.audit_log.adapters.tables import METADATA, finding, refold
from services.audit_log.cli import app
from services.audit_log.ports import Arrival
from services.shared.bus.open import open_bus
from services.shared.clock import SteppedClock
from services.shared.errors import ConfigurationError
from services.shared.events import TOPICS, Event, encode, topic_of
from services.shared.events.governance import ReviewRequested
from services.shared.settings import Settings
from services.shared.store.migrate import migrate
from services.shared.store.sqlite import SqliteStore
from services.shared.tlog.entry import Position
from tests.contract.log_contract import Program
from tests.unit.audit_log.events import MONDAY, at, generated, register_events, reviewed, used
from tests.unit.audit_log.obligations.telling import case_of, settle


def migrations_up_to(folder: Path, last: str) -> str:
    """A package with the migrations that there were once; its name."""
    package = folder / "once_migrations"
    package.mkdir()
    (package / "__init__.py").touch()
    for path in Path(migrations.__path__[0]).glob("0*.py"):
        if path.name <= last:
            shutil.copy(path, package)
    return package.name


def write_entries(path: Path, package: str, events: list[Event]) -> None:
    store = SqliteStore(path, METADATA, "log")
    migrate(store, METADATA, package)
    with store.transaction() as tx:
        SqlEntryLog().append(
            tx,
            [
                Arrival(Position("once", topic_of(event), 0, at, MONDAY), (event.source, event.id), encode(event))
                for at, event in enumerate(events)
            ],
        )
    store.close()


@pytest.fixture
def older(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A log of version 0003, which had told one finding."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "var").mkdir()
    _, said = settle(case_of([generated(), used(when=at(1))]), at(2))
    events = [*register_events(), generated(), used(when=at(1)), generated("o-2"), reviewed("o-2", at(1)), *said]
    package = migrations_up_to(tmp_path, "0003_z")
    kept = [one for one in events if not isinstance(one, ReviewRequested)]
    write_entries(tmp_path / "var" / "log.db", package, kept)
    return Settings(data_dir=tmp_path / "var", log_origin="log.example/audit")


def test_projections_are_made_again_once(older: Settings) -> None:
    program = Program(older)
    with program.service.store.reading() as connection:
        assert connection.execute(select(refold)).first() is None
        kinds = list(connection.execute(select(finding.c.kind)).scalars())
    assert (program.states(), kinds) == ({"o-1": "used_unreviewed", "o-2": "approved"}, ["used_unreviewed"])
    program.settle()
    assert program.outcomes() == [], "what was said is not said again"
    program.close()


def test_a_start_that_fails_while_they_are_made_leaves_it_to_the_next(
    older: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise MemoryError

    store = SqliteStore(older.data_dir / "log.db", METADATA, "log")
    migrate(store, METADATA, "services.audit_log.migrations")
    with monkeypatch.context() as broken:
        broken.setattr(refolding, "rebuild", fail)
        with pytest.raises(MemoryError):
            refolding.refold_if_needed(store, at(2))
    store.close()
    program = Program(older)
    assert program.states() == {"o-1": "used_unreviewed", "o-2": "approved"}
    program.close()


def test_nothing_is_compared_before_they_are_made(older: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALVOMO_DATA_DIR", str(older.data_dir))
    with closing(open_bus(older, SteppedClock(MONDAY))) as bus:
        bus.ensure_topics(TOPICS)
    refused = audit("rebuild", "--compare")
    assert isinstance(refused.exception, ConfigurationError)
    assert "start the program once" in str(refused.exception)
    assert [audit(*command).exit_code for command in (("rebuild",), ("rebuild", "--compare"))] == [0, 0]


def audit(*command: str) -> Result:
    return CliRunner().invoke(app, ["audit", *command])
