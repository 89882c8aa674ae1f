"""Doing to a database what the service itself may not: damage that a test then looks for."""

from contextlib import AbstractContextManager, nullcontext

from services.shared.store import Store
from services.shared.store.sqlite import SqliteStore


def unguarded_store(store: Store) -> AbstractContextManager[None]:
    """Lift the guard of SQLite's connections; on PostgreSQL the tests' role owns everything anyway."""
    return store.unguarded() if isinstance(store, SqliteStore) else nullcontext()
