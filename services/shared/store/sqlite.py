"""A store in one SQLite file: one writer at a time, readers beside it (WAL).

The process that opens the file queues its own writers on a lock; other processes wait in SQLite (`BEGIN IMMEDIATE`).
"""

import fcntl
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast

from sqlalchemy import URL, Connection, Engine, MetaData, QueuePool, Table, create_engine, event

from services.shared.errors import IncompatibleStoreError, PlatformError, TransientError
from services.shared.store import Dialect, Transaction, faults, summed
from services.shared.store.authorizer import authorizer
from services.shared.store.both import CommonStore, CommonTransaction
from services.shared.store.faults import translated
from services.shared.store.identity import check_cluster
from services.shared.store.rights import rights_in
from services.shared.store.tables import common_tables

APPLICATION_ID = 0x56414C56
"""`VALV` at a fixed place in the file's first page: this file is one of ours."""

BUSY_SECONDS = 30.0
"""How long a writer waits for another, in this process or outside it."""

_READERS = 8
_CACHE_KIB = 65_536
_CHECKPOINT_PAGES = 4_000
_BUSY = {
    sqlite3.SQLITE_BUSY: "is locked by another process",
    sqlite3.SQLITE_LOCKED: "is locked by another connection",
    sqlite3.SQLITE_FULL: "has no room left: free some space on its disk",
    sqlite3.SQLITE_IOERR: "cannot be read or written: look at its disk",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: look at its folder's rights",
    sqlite3.SQLITE_READONLY: "is read-only: look at its rights",
}
_DAMAGED = {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}


@dataclass(frozen=True, slots=True)
class SqliteTransaction(CommonTransaction):
    """See `Transaction`."""

    dialect: Dialect = "sqlite"

    def bulk_insert(
        self, table: Table, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, ignore_conflicts: bool = False
    ) -> int:
        if not rows:
            return 0
        statement = self._insert(table, columns) + (" ON CONFLICT DO NOTHING" if ignore_conflicts else "")
        return self._driver.executemany(statement, rows).rowcount

    def bulk_put(self, table: Table, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        if not rows:
            return
        quote = self.connection.dialect.identifier_preparer.quote
        key = [column.name for column in table.primary_key]
        change = ", ".join(f"{quote(name)} = excluded.{quote(name)}" for name in columns if name not in key)
        conflict = f" ON CONFLICT ({', '.join(map(quote, key))}) DO UPDATE SET {change}"
        self._driver.executemany(self._insert(table, columns) + conflict, rows)

    def bulk_add(self, table: Table, key: Sequence[str], sums: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        if not rows:
            return
        quote = self.connection.dialect.identifier_preparer.quote
        names, added = ", ".join(map(quote, key)), [quote(name) for name in sums]
        change = ", ".join(f"{name} = {name} + excluded.{name}" for name in added)
        statement = f"{self._insert(table, [*key, *sums])} ON CONFLICT ({names}) DO UPDATE SET {change}"
        self._driver.executemany(statement, summed(rows, len(key)))

    def _insert(self, table: Table, columns: Sequence[str]) -> str:
        preparer = self.connection.dialect.identifier_preparer
        names, places = ", ".join(map(preparer.quote, columns)), ", ".join("?" * len(columns))
        return f"INSERT INTO {preparer.format_table(table)} ({names}) VALUES ({places})"  # noqa: S608  # our own names

    @property
    def _driver(self) -> sqlite3.Connection:
        return cast("sqlite3.Connection", self.connection.connection.driver_connection)


class SqliteStore(CommonStore):
    """See `Store`.

    Args:
        path: the file; made when missing, its folder too.
        metadata: the service's tables, the common ones among them. They are made by `migrate`, not here.
        service: whose file this is: a file of another service, or of another program, is refused.
        synchronous: FULL survives a power cut with the last commit, NORMAL falls back a little, whole transactions
            at a time. Neither loses anything when only the process dies.

    Raises:
        IncompatibleStoreError: the file is not ours.
        TransientError: it cannot be opened now.
    """

    dialect: Dialect = "sqlite"

    def __init__(
        self,
        path: Path,
        metadata: MetaData,
        service: str,
        *,
        synchronous: Literal["FULL", "NORMAL"] = "FULL",
        busy_seconds: float = BUSY_SECONDS,
    ) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.service = path, service
        self._common = common_tables(metadata)
        self._authorizer, self._guarded = authorizer(rights_in(metadata)), False
        self._busy_seconds = busy_seconds
        self._lock = threading.Lock()
        self._writing_thread: int | None = None
        self._names: dict[str, threading.Lock] = {}
        self.engine = self._engine(1, f"PRAGMA synchronous = {synchronous}", "BEGIN IMMEDIATE")
        self._readers = self._engine(_READERS, "PRAGMA query_only = ON", "BEGIN")
        try:
            with self._translated():
                self._claim()
        except BaseException:
            self.close()
            raise

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        if self._writing_thread == threading.get_ident():
            raise RuntimeError("a transaction was begun inside another of the same thread; pass the first one along")
        if not self._lock.acquire(timeout=self._busy_seconds):
            raise TransientError(f"{self.path.name} has been written by another thread for {self._busy_seconds:g} s")
        self._writing_thread = threading.get_ident()
        try:
            with self._translated(), self.engine.begin() as connection:
                yield SqliteTransaction(connection, self._common)
        finally:
            self._writing_thread = None
            self._lock.release()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self._translated(), self._readers.begin() as connection:
            yield connection

    def bind(self, cluster_id: str) -> None:
        with self.transaction() as tx:
            check_cluster(tx, self._common.store_info, cluster_id, self.path.name)

    @contextmanager
    def exclusive(self, name: str) -> Iterator[bool]:
        inside = self._names.setdefault(name, threading.Lock())
        if not inside.acquire(blocking=False):
            yield False
            return
        try:
            with self.path.with_name(f"{self.path.name}-{name}.lock").open("w") as file:
                yield _locked(file.fileno())
        finally:
            inside.release()

    def guard(self) -> None:
        """Hold every connection from now on to what the service may do with its tables; after migrating."""
        self._guarded = True
        self.close()  # connections are made again, with the authorizer

    @contextmanager
    def unguarded(self) -> Iterator[None]:
        """Let the transactions of this block do what only an administrator may: pruning, and tests that do damage."""
        before, self._guarded = self._guarded, False
        self.close()
        try:
            yield
        finally:
            self._guarded = before
            self.close()

    def fold_wal(self) -> bool:
        """Bring the log of writes into the file and empty it, so that nothing deleted is left there either.

        Waits for readers as long as for a writer; whether it could be done.
        """
        with self._translated(), closing(sqlite3.connect(self.path, timeout=self._busy_seconds)) as connection:
            (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    def close(self) -> None:
        self._readers.dispose()
        self.engine.dispose()

    def _engine(self, connections: int, pragma: str, begin: str) -> Engine:
        engine = create_engine(
            URL.create("sqlite+pysqlite", database=str(self.path)),
            poolclass=QueuePool,
            pool_size=connections,
            max_overflow=0,
            pool_timeout=self._busy_seconds,
            connect_args={"timeout": self._busy_seconds, "check_same_thread": False, "isolation_level": None},
            hide_parameters=True,
        )

        @event.listens_for(engine, "connect")
        def prepare(connection: sqlite3.Connection, _record: object) -> None:
            connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
            connection.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten; not every build does so
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA recursive_triggers = ON")  # or INSERT OR REPLACE deletes without a trigger
            connection.execute(pragma)
            if self._guarded:
                connection.set_authorizer(self._authorizer)

        @event.listens_for(engine, "begin")
        def begin_transaction(connection: Connection) -> None:
            connection.exec_driver_sql(begin)

        return engine

    def _claim(self) -> None:
        """Mark a new file as ours; refuse another program's before anything in it changes.

        Openers go one by one: SQLite does not wait for a lock when it is asked to begin with WAL.
        """
        with (
            self.path.with_name(f"{self.path.name}-open.lock").open("w") as file,
            closing(sqlite3.connect(self.path, timeout=self._busy_seconds, isolation_level=None)) as connection,
        ):
            fcntl.flock(file.fileno(), fcntl.LOCK_EX)
            (found,) = connection.execute("PRAGMA application_id").fetchone()
            (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if found != APPLICATION_ID and (found or tables):
                raise IncompatibleStoreError(
                    f"{self.path.name} is a database of another program; "
                    f"expected Valvomo's {self.service} or no file: set VALVOMO_DATA_DIR to another folder"
                )
            if not found:
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute("PRAGMA journal_mode = WAL")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        with translated(partial(explain, self.path.name)):
            yield


def explain(name: str, error: BaseException) -> PlatformError | None:
    """What an error of SQLite's means for the file of this name; None when it is not SQLite's."""
    if not isinstance(error, sqlite3.Error):
        return None
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _BUSY:
        return TransientError(f"{name} {_BUSY[code]}; trying again")
    if code in _DAMAGED:
        return IncompatibleStoreError(
            f"{name} is damaged or no SQLite database; stop, keep the file, and restore it from a copy "
            "(only the ledger can be rebuilt without one)"
        )
    return faults.refused(type(error).__name__, str(error), error)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
