"""What the program's own connections cannot do to the log on SQLite; and that the program runs so.

It binds the program, not the file: whoever may write it can open it with another tool. That is not prevented, and shown
here so that nobody believes it is. Checkpoints outside the house show it.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlalchemy import text

from services.audit_log.adapters.tables import APPEND_ONLY, METADATA
from services.shared.settings import Settings
from services.shared.store.faults import RefusedStatementError
from services.shared.store.open import open_store
from services.shared.store.sqlite import SqliteStore
from tests.contract.log_contract import Program
from tests.contract.unguarded import unguarded_store
from tests.unit.audit_log.events import at, window

TABLES = tuple(table.name for table in APPEND_ONLY)
REFUSED = [
    *(f"DELETE FROM {table}" for table in TABLES),  # noqa: S608
    "UPDATE entry SET body = x'00' WHERE seq = 0",
    "UPDATE tile SET hashes = x''",
    "UPDATE checkpoint SET note = x''",
    "UPDATE entry_name SET number = 0",
    "DELETE FROM entry_name",
    "DELETE FROM decision",
    "DELETE FROM head",
    "INSERT INTO head VALUES (2, 0, x'')",
    "INSERT INTO pruning VALUES (5, 0, 5, '')",
    "INSERT INTO entry VALUES (0, 0, 0, x'') ON CONFLICT (seq) DO UPDATE SET body = x'00'",
    "DROP TRIGGER entry_no_update",
    "DROP TABLE entry",
    "DROP INDEX conflict_first",
    "ALTER TABLE entry ADD COLUMN more TEXT",
    "ALTER TABLE entry RENAME TO other",
    "CREATE TABLE other (id INTEGER)",
    "CREATE TEMP TRIGGER away BEFORE INSERT ON entry BEGIN SELECT RAISE(IGNORE); END",
    "CREATE VIEW seen AS SELECT * FROM entry",
    "ATTACH ':memory:' AS other",
    "PRAGMA writable_schema = ON",
    "PRAGMA recursive_triggers = OFF",
    "PRAGMA synchronous = OFF",
    "PRAGMA journal_mode = DELETE",
    "PRAGMA user_version = 9",
    "DELETE FROM sqlite_master WHERE type = 'trigger'",
    "UPDATE alembic_version SET version_num = '0001'",
    "SELECT load_extension('other')",
    "REINDEX",
    "ANALYZE",
]
REPLACED = [
    "INSERT OR REPLACE INTO entry SELECT seq, source_ref, source_offset, x'00' FROM entry WHERE seq = 3",
    "REPLACE INTO tile VALUES (0, 0, x'')",
    "INSERT OR REPLACE INTO conflict SELECT seq, 0 FROM conflict",
]
REFUSAL = r"not authorized|prohibited|may not be modified"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """The log with a tile, a conflict and a checkpoint."""
    made = Program(Settings(data_dir=tmp_path_factory.mktemp("guard") / "var", log_origin="log.example/audit"))
    made.publish(*(window(number) for number in range(300)), window(1).model_copy(update={"time": at(5)}))
    made.settle()
    assert made.sign() is not None
    yield made
    made.close()


@pytest.mark.parametrize("statement", REFUSED)
def test_the_program_is_refused(program: Program, statement: str) -> None:
    before = program.entries()
    with pytest.raises(RefusedStatementError, match=REFUSAL), program.service.store.transaction() as tx:
        tx.connection.execute(text(statement))
    assert program.entries() == before


@pytest.mark.parametrize("statement", REFUSED)
def test_a_view_is_refused_too(program: Program, statement: str) -> None:
    """A connection for reading is held by `query_only`, which it could switch off."""
    with pytest.raises(RefusedStatementError, match=REFUSAL), program.service.store.reading() as connection:
        connection.execute(text(statement))


def test_a_view_stays_one(program: Program) -> None:
    with pytest.raises(RefusedStatementError, match=REFUSAL), program.service.store.reading() as connection:
        connection.execute(text("PRAGMA query_only = OFF"))


@pytest.mark.parametrize("statement", REPLACED)
def test_replacing_meets_a_trigger_in_every_case(program: Program, statement: str) -> None:
    """SQLite asks nobody whether a replaced row may go; a trigger does, and where that is gone, another one."""
    before = program.entries()
    table = statement.split("INTO ")[1].split(maxsplit=1)[0]
    with pytest.raises(RefusedStatementError, match="never changed"), program.service.store.transaction() as tx:
        tx.connection.execute(text(statement))
    with unguarded_store(program.service.store), pytest.raises(RefusedStatementError, match="never changed"):
        _without_its_trigger(program, table, statement)
    assert program.entries() == before


def _without_its_trigger(program: Program, table: str, statement: str) -> None:
    with program.service.store.transaction() as tx:  # whose failure brings the trigger back
        tx.connection.execute(text(f"DROP TRIGGER {table}_no_replace"))
        tx.connection.execute(text(statement))


def test_adding_goes_on(program: Program) -> None:
    size = program.size()
    program.publish(*(window(number) for number in range(1_000, 1_300)))
    program.settle()
    assert program.size() == size + 300
    assert program.sign() is not None


def test_an_administrators_ceremony_opens_it_otherwise(program: Program) -> None:
    store = open_store(program.settings, "log", METADATA, guarded=False)
    assert isinstance(store, SqliteStore)
    with closing(store), store.transaction() as tx, tx.connection.begin_nested() as attempt:
        tx.connection.execute(text("DROP TRIGGER entry_no_delete"))
        assert tx.connection.execute(text("DELETE FROM entry")).rowcount == program.size()
        attempt.rollback()


def test_what_another_tool_may_do_is_not_prevented(program: Program) -> None:
    assert isinstance(program.service.store, SqliteStore)
    with closing(sqlite3.connect(program.service.store.path)) as connection:
        connection.execute("DROP TRIGGER entry_no_delete")
        assert connection.execute("DELETE FROM entry").rowcount == program.size()
        connection.rollback()


def test_statements_of_the_hot_loop_are_authorized_once(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """So a guarded append costs what an unguarded one does: SQLite asks when it prepares a statement."""
    store, asked = program.service.store, list[int]()
    assert isinstance(store, SqliteStore)
    held = store._authorizer

    def counted(action: int, first: str | None, second: str | None, schema: str | None, by: str | None) -> int:
        asked.append(action)
        return held(action, first, second, schema, by)

    monkeypatch.setattr(store, "_authorizer", counted)
    store.guard()
    for start in (2_000, 3_000, 4_000, 5_000):
        asked.clear()
        program.publish(*(window(number) for number in range(start, start + 500)))
        program.settle()
    assert len(asked) < 500, "fewer questions than entries"
