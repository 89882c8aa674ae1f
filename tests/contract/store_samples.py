"""The sample tables that the store's contract works with, and how a store of each kind is opened on them."""

from pathlib import Path
from typing import TypeVar

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, Integer, LargeBinary, MetaData, Table, Text

from services.shared.store import Store
from services.shared.store.migrate import migrate
from services.shared.store.names import NameIndex
from services.shared.store.postgres import PostgresStore
from services.shared.store.sqlite import SqliteStore
from services.shared.store.tables import STRICT, UtcMicros, add_common_tables

PACKAGE = "tests.contract.migrations"
SERVICE = "sample"
METADATA = MetaData()
COMMON = add_common_tables(METADATA)
SAMPLE = Table(
    "sample",
    METADATA,
    Column("digest", LargeBinary, primary_key=True),
    Column("number", BigInteger, nullable=False, unique=True),
    Column("label", Text),
    Column("flag", Boolean, nullable=False),
    Column("seen_at", UtcMicros),
    CheckConstraint("number >= 0", name="sample_number"),
    **STRICT,
)
TALLY = Table(
    "tally",
    METADATA,
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("unit", Text, primary_key=True),
    Column("nano", BigInteger, nullable=False),
    Column("records", BigInteger, nullable=False),
    **STRICT,
)

NAMES = NameIndex("seen_name", METADATA)
AnyStore = TypeVar("AnyStore", bound=Store)


def sqlite_store(path: Path, *, busy_seconds: float = 30.0) -> SqliteStore:
    """A store in this file, brought to the samples' newest version."""
    return _migrated(SqliteStore(path, METADATA, SERVICE, busy_seconds=busy_seconds))


def postgres_store(url: str) -> PostgresStore:
    """A store in this database, brought to the samples' newest version."""
    return _migrated(PostgresStore(url, METADATA, SERVICE, lock_seconds=5))


def _migrated(store: AnyStore) -> AnyStore:
    try:
        migrate(store, METADATA, PACKAGE)
    except BaseException:
        store.close()
        raise
    return store
