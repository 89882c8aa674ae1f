"""What restoring and succession need alike: that nobody else works on the log's database."""

import sqlite3
import time
from contextlib import closing

from sqlalchemy import text

from services.shared.errors import ConfigurationError
from services.shared.store import Store
from services.shared.store.sqlite import SqliteStore

_LEAVING_SECONDS = 2.0
"""How long PostgreSQL may take to see that connections were given back."""
_POLL_SECONDS = 0.05
_BUSY = "the log's database is in use by another process; stop the program (and every command on it) first"


def refuse_others(store: Store) -> None:
    """Make sure that no other process has the database open. Connections of `store` are given back first.

    Raises:
        ConfigurationError: another one has.
    """
    if isinstance(store, SqliteStore):
        store.close()
        _fold_wal(store)
        return
    store.engine.dispose()
    deadline = time.monotonic() + _LEAVING_SECONDS
    while _others(store):
        if time.monotonic() > deadline:
            raise ConfigurationError(_BUSY)
        time.sleep(_POLL_SECONDS)


def _others(store: Store) -> int:
    """Connections of others; whoever works on a log's schema says so in the connection's name."""
    others = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = :name "
        "AND pid <> pg_backend_pid()"
    )
    with store.reading() as connection:
        return int(connection.execute(others, {"name": f"valvomo {store.service}"}).scalar_one())


def _fold_wal(store: SqliteStore) -> None:
    """Bring everything into the one file. SQLite does so only for who is alone."""
    with closing(sqlite3.connect(store.path, timeout=0, isolation_level=None)) as connection:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = DELETE").fetchone()
            if mode == "delete":
                connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            raise ConfigurationError(_BUSY) from None
    if mode != "delete":
        raise ConfigurationError(_BUSY)
