"""What an opened store takes over from those opened before it in this process: nearly every test opens its own ledger.

Most of an opening was Alembic finding out anew what it had found out before, and most of a short test was SQLAlchemy
spelling the same statements again. Neither is what these tests ask, and neither comes out otherwise:

- The second empty database of a service is made by the very statements that the first one's migrations ran, taken
  down as they reached the driver. Tests of the migrations call `migrate` themselves, which this leaves alone; a
  database that holds anything is migrated as ever.
- Engines for one kind of database share what they have compiled. SQLAlchemy does the same within one engine.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any

from sqlalchemy import Connection, Engine, MetaData, event, text
from sqlalchemy.util import LRUCache

from services.shared.store import Store, Transaction

Migrate = Callable[[Store, MetaData, str], None]
Parameters = Sequence[Any] | Mapping[str, Any]
Statement = tuple[str, Parameters]

_LOOKS = ("BEGIN", "PRAGMA", "SELECT", "SHOW")
_TABLES = {
    "sqlite": "SELECT count(*) FROM sqlite_master",
    "postgresql": "SELECT count(*) FROM pg_class WHERE relnamespace = current_schema()::regnamespace",
}
_MOST_COMPILED = 5_000
"""More statements than all services have."""


class Opening:
    """Stands where `open_store` has `migrate`.

    Args:
        migrate: the real one.
    """

    def __init__(self, migrate: Migrate) -> None:
        self._migrate = migrate
        self._known: dict[tuple[str, str], Sequence[Statement]] = {}
        self._engines: dict[object, Engine] = {}
        self._one_at_a_time = Lock()

    def __call__(self, store: Store, metadata: MetaData, package: str) -> None:
        with self._one_at_a_time:
            for engine in (store.engine, getattr(store, "_readers", store.engine)):
                self._share_compiled(engine)
            self._bring_to_newest(store, metadata, package)

    def _share_compiled(self, engine: Engine) -> None:
        """Statements are kept by the dialect that spelled them, so both are taken over."""
        with engine.connect():
            first = self._engines.setdefault((engine.name, engine.dialect.server_version_info), engine)
        if first is engine:
            engine._compiled_cache = LRUCache(_MOST_COMPILED)
        engine.dialect, engine._compiled_cache = first.dialect, first._compiled_cache

    def _bring_to_newest(self, store: Store, metadata: MetaData, package: str) -> None:
        kind = (store.dialect, package)
        if kind in self._known and _repeated(store, self._known[kind]):
            return
        with store.transaction() as tx:
            empty = _is_empty(tx)
        with _taken_down(store) as statements:
            self._migrate(store, metadata, package)
        if empty:
            self._known[kind] = statements


def _repeated(store: Store, statements: Sequence[Statement]) -> bool:
    """Run the statements in one transaction, if the database is empty."""
    with store.transaction() as tx:
        if tx.dialect == "postgresql":  # as `migrate` does: two that begin at once go one by one
            tx.connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('valvomo migrate'))"))
        if not _is_empty(tx):
            return False
        cursor = tx.connection.connection.cursor()
        for statement, parameters in statements:
            cursor.execute(statement, parameters)
        cursor.close()
        return True


def _is_empty(tx: Transaction) -> bool:
    return tx.connection.execute(text(_TABLES[tx.dialect])).scalar() == 0


@contextmanager
def _taken_down(store: Store) -> Iterator[Sequence[Statement]]:
    """What changes the database meanwhile, as the driver gets it."""
    found: list[Statement] = []

    def take_down(
        _connection: Connection, _cursor: object, statement: str, parameters: Parameters, _context: object, many: bool
    ) -> None:
        if not statement.lstrip().upper().startswith(_LOOKS):
            found.extend((statement, one) for one in (parameters if many else [parameters]))

    event.listen(store.engine, "before_cursor_execute", take_down)
    try:
        yield found
    finally:
        event.remove(store.engine, "before_cursor_execute", take_down)
