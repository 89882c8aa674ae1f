"""The tables that every service's database has, and how values stand in columns.

Whole numbers are 64-bit, instants are whole microseconds since 1970 UTC (`UtcMicros`): what SQLite and PostgreSQL
store, compare and copy alike. SQLite's tables are STRICT (`**STRICT`); so that one declaration serves both,
SQLAlchemy's integers, booleans and strings are written there by the type names that STRICT tables know.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    TypeDecorator,
    text,
)
from sqlalchemy.ext.compiler import compiles

STRICT: dict[str, Any] = {"sqlite_strict": True}
"""Give it to every table: `Table("reading", METADATA, …, **STRICT)`. PostgreSQL takes no notice."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def micros(moment: datetime) -> int:
    """Microseconds since 1970-01-01 UTC: how an instant stands in the database, and in the rows of a bulk insert."""
    return (moment - _EPOCH) // _MICROSECOND


def instant(value: int) -> datetime:
    """The instant, in UTC, that `micros` wrote."""
    return _EPOCH + timedelta(microseconds=value)


class UtcMicros(TypeDecorator[datetime]):
    """An instant with a time zone, kept as microseconds since 1970 UTC; read as UTC."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        return None if value is None else micros(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return None if value is None else instant(value)


@compiles(BigInteger, "sqlite")
@compiles(SmallInteger, "sqlite")
@compiles(Boolean, "sqlite")
def _integer(_type: object, _compiler: object, **_options: object) -> str:
    return "INTEGER"


@compiles(String, "sqlite")
def _text(_type: object, _compiler: object, **_options: object) -> str:
    return "TEXT"


@compiles(LargeBinary, "sqlite")
def _blob(_type: object, _compiler: object, **_options: object) -> str:
    return "BLOB"


class CommonTables(NamedTuple):
    """The handles of the tables that the store itself works with."""

    consumer_position: Table
    outbox: Table
    store_info: Table
    rebuild_horizon: Table


def add_common_tables(metadata: MetaData) -> CommonTables:
    """Declare the common tables in a service's `METADATA`; the first migration makes them (`common_0001.py`)."""
    position = Table(
        "consumer_position",
        metadata,
        Column("cluster", Text, primary_key=True),
        Column("consumer_group", Text, primary_key=True),
        Column("topic", Text, primary_key=True),
        Column("partition", Integer, primary_key=True),
        Column("next_offset", BigInteger, nullable=False),
        sqlite_with_rowid=False,
        **STRICT,
    )
    outbox = Table(
        "outbox",
        metadata,
        Column("sequence", BigInteger, Identity(always=False), primary_key=True),
        Column("message_id", Text, nullable=False, unique=True),
        Column("destination", Text, nullable=False),
        Column("topic", Text),
        Column("key", LargeBinary),
        Column("recipient", Text),
        Column("value", LargeBinary, nullable=False),
        Column("attempts", Integer, nullable=False, server_default=text("0")),
        Column("next_try_at", UtcMicros, nullable=False, server_default=text("0")),
        Column("sent_at", UtcMicros),
        Column("given_up_reason", Text),
        **STRICT,
    )
    waiting = text("sent_at IS NULL AND given_up_reason IS NULL")
    Index("outbox_waiting", outbox.c.destination, outbox.c.sequence, sqlite_where=waiting, postgresql_where=waiting)
    info = Table(
        "store_info",
        metadata,
        Column("name", Text, primary_key=True),
        Column("value", Text, nullable=False),
        sqlite_with_rowid=False,
        **STRICT,
    )
    horizon = Table(
        "rebuild_horizon",
        metadata,
        Column("cluster", Text, primary_key=True),
        Column("consumer_group", Text, primary_key=True),
        Column("topic", Text, primary_key=True),
        Column("partition", Integer, primary_key=True),
        Column("end_offset", BigInteger, nullable=False),
        sqlite_with_rowid=False,
        **STRICT,
    )
    return CommonTables(position, outbox, info, horizon)


def common_tables(metadata: MetaData) -> CommonTables:
    """The common tables of a `METADATA` that has them already."""
    return CommonTables(*(metadata.tables[name] for name in CommonTables._fields))
