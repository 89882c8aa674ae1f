"""A store in one schema of a PostgreSQL database, version 15 or newer.

Transactions are READ COMMITTED, views REPEATABLE READ. Staging tables of the bulk methods are temporary: one per
connection and target, emptied at the end of each use.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import psycopg
from psycopg import sql
from sqlalchemy import Connection, Engine, MetaData, Table, create_engine, make_url, text
from sqlalchemy.exc import ArgumentError

from services.shared.errors import ConfigurationError, IncompatibleStoreError, PlatformError, TransientError
from services.shared.store import Dialect, Transaction, faults, summed
from services.shared.store.both import CommonStore, CommonTransaction
from services.shared.store.faults import translated
from services.shared.store.identity import check_cluster
from services.shared.store.tables import common_tables

OLDEST_VERSION = 15
LOCK_SECONDS = 30
CONNECT_SECONDS = 10

_SCHEMA = text("SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = :name)")
_MAY_CREATE = text("SELECT has_database_privilege(current_database(), 'CREATE')")
_MAY_USE = text("SELECT has_schema_privilege(:name, 'USAGE')")
_CONNECTIONS = 5
_MORE_CONNECTIONS = 10
_FEW = 100
"""Up to so many rows a pipelined INSERT is quicker than COPY through a staging table."""

# Classes (the first two characters) and codes of SQLSTATE after which the same call may succeed later.
_TRANSIENT_CLASSES = {"08", "40", "53", "57", "58"}
_TRANSIENT_CODES = {"55P03", "25006"}
_REJECTED_CLASSES = {"28", "3D"}
_REJECTED_CODES = {"42501"}


@dataclass(frozen=True, slots=True)
class PostgresTransaction(CommonTransaction):
    """See `Transaction`."""

    dialect: Dialect = "postgresql"

    def bulk_insert(
        self, table: Table, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, ignore_conflicts: bool = False
    ) -> int:
        if not rows:
            return 0
        if not ignore_conflicts:
            return self._copy(sql.Identifier(table.name), table, columns, rows)
        return self._merge(table, columns, rows, sql.SQL("ON CONFLICT DO NOTHING"))

    def bulk_put(self, table: Table, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        if not rows:
            return
        key = [column.name for column in table.primary_key]
        change = sql.SQL(", ").join(
            sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in columns if name not in key
        )
        self._merge(table, columns, rows, sql.SQL("ON CONFLICT ({}) DO UPDATE SET {}").format(_names(key), change))

    def bulk_add(self, table: Table, key: Sequence[str], sums: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        if not rows:
            return
        change = sql.SQL(", ").join(
            sql.SQL("{0} = {1}.{0} + excluded.{0}").format(sql.Identifier(name), sql.Identifier(table.name))
            for name in sums
        )
        conflict = sql.SQL("ON CONFLICT ({}) DO UPDATE SET {}").format(_names(key), change)
        self._merge(table, [*key, *sums], summed(rows, len(key)), conflict)

    def _merge(
        self, table: Table, columns: Sequence[str], rows: Sequence[Sequence[Any]], conflict: sql.Composable
    ) -> int:
        """Insert rows in their order, doing what `conflict` says with those whose key stands already."""
        parts = {"target": sql.Identifier(table.name), "names": _names(columns), "conflict": conflict}
        with self._driver.cursor() as cursor:
            if len(rows) <= _FEW:
                places = sql.SQL(", ").join([sql.Placeholder()] * len(columns))
                insert = sql.SQL("INSERT INTO {target} ({names}) VALUES ({places}) {conflict}")
                cursor.executemany(insert.format(**parts, places=places), rows)
            else:
                self._stage(table, columns, rows, cursor)
                select = sql.SQL("INSERT INTO {target} ({names}) SELECT {names} FROM {stage} ORDER BY ctid {conflict}")
                cursor.execute(select.format(**parts, stage=_stage_of(table)))
            return cursor.rowcount

    def _stage(
        self, table: Table, columns: Sequence[str], rows: Sequence[Sequence[Any]], cursor: psycopg.Cursor[Any]
    ) -> None:
        parts = {"target": sql.Identifier(table.name), "stage": _stage_of(table)}
        made = "CREATE TEMPORARY TABLE IF NOT EXISTS {stage} ON COMMIT DELETE ROWS AS TABLE {target} WITH NO DATA"
        cursor.execute(sql.SQL(made).format(**parts))
        cursor.execute(sql.SQL("TRUNCATE {stage}").format(**parts))  # of an earlier call in this transaction
        self._copy(_stage_of(table), table, columns, rows)

    def _copy(self, into: sql.Identifier, table: Table, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> int:
        statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(into, _names(columns))
        types = [_type_name(table, column, self.connection) for column in columns]
        with self._driver.cursor() as cursor:
            with cursor.copy(statement) as copy:
                copy.set_types(types)
                for row in rows:
                    copy.write_row(row)
            return cursor.rowcount

    @property
    def _driver(self) -> psycopg.Connection[Any]:
        return cast("psycopg.Connection[Any]", self.connection.connection.driver_connection)


class PostgresStore(CommonStore):
    """See `Store`.

    Args:
        address: `postgresql://user:password@host[:port]/database`, with libpq's options as query.
        metadata: the service's tables, the common ones among them. They are made by `migrate`, not here.
        service: whose database this is, and the name of its schema, made when missing.

    Raises:
        ConfigurationError: the address cannot be used, or the server is older than 15.
        IncompatibleStoreError: there is no schema, and this role may not make it.
        TransientError: the server is away.
    """

    dialect: Dialect = "postgresql"

    def __init__(self, address: str, metadata: MetaData, service: str, *, lock_seconds: int = LOCK_SECONDS) -> None:
        self.service = service
        self._common = common_tables(metadata)
        self.engine = _engine(address, service, lock_seconds)
        try:
            with self._translated():
                self._prepare()
        except BaseException:
            self.close()
            raise

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        with self._translated(), self.engine.begin() as connection:
            yield PostgresTransaction(connection, self._common)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self._translated(), self.engine.connect() as connection:
            view = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with view.begin():
                yield view

    def bind(self, cluster_id: str) -> None:
        with self.transaction() as tx:
            check_cluster(tx, self._common.store_info, cluster_id, f"the schema {self.service}")

    @contextmanager
    def exclusive(self, name: str) -> Iterator[bool]:
        key = {"name": f"valvomo {self.service} {name}"}
        with self._translated(), self.engine.connect() as connection:
            alone = connection.execution_options(isolation_level="AUTOCOMMIT")
            mine = bool(alone.execute(text("SELECT pg_try_advisory_lock(hashtextextended(:name, 0))"), key).scalar())
            try:
                yield mine
            finally:
                if mine:
                    alone.execute(text("SELECT pg_advisory_unlock(hashtextextended(:name, 0))"), key)

    def close(self) -> None:
        self.engine.dispose()

    def _prepare(self) -> None:
        with self.engine.begin() as connection:
            version = int(connection.execute(text("SHOW server_version_num")).scalar_one()) // 10_000
            if version < OLDEST_VERSION:
                raise ConfigurationError(
                    f"found PostgreSQL {version}; expected {OLDEST_VERSION} or newer: update that server"
                )
            # IF NOT EXISTS alone is no protection against a second starter of the same moment.
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('valvomo schema'))"))
            if connection.execute(_SCHEMA, {"name": self.service}).scalar_one():
                self._refuse_closed(connection)
                return
            if not connection.execute(_MAY_CREATE).scalar_one():
                raise IncompatibleStoreError(
                    f"the database has no schema {self.service}, and the role in VALVOMO_STORE may not make one: "
                    "let its administrator run valvomo store prepare"
                )
            connection.execute(text(f'CREATE SCHEMA "{self.service}"'))

    def _refuse_closed(self, connection: Connection) -> None:
        if not connection.execute(_MAY_USE, {"name": self.service}).scalar_one():
            raise IncompatibleStoreError(
                f"the role in VALVOMO_STORE may not use the schema {self.service}: let its administrator run "
                "valvomo store prepare, then start again"
            )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        with translated(explain):
            yield


def _engine(address: str, schema: str, lock_seconds: int) -> Engine:
    try:
        url = make_url(address).set(drivername="postgresql+psycopg")
    except (ArgumentError, ValueError):
        raise ConfigurationError(
            "VALVOMO_STORE is no address; expected sqlite or postgresql://user:password@host:port/database"
        ) from None
    options = f"-c search_path={schema} -c lock_timeout={lock_seconds * 1000} -c timezone=UTC"
    return create_engine(
        url,
        pool_size=_CONNECTIONS,
        max_overflow=_MORE_CONNECTIONS,
        connect_args={"options": options, "connect_timeout": CONNECT_SECONDS, "application_name": f"valvomo {schema}"},
        hide_parameters=True,
    )


def explain(error: BaseException) -> PlatformError | None:
    """What an error of PostgreSQL's means; None when it is not PostgreSQL's. Its own words may quote a row."""
    if not isinstance(error, psycopg.Error):
        return None
    code = error.sqlstate or ""
    if code[:2] in _REJECTED_CLASSES or code in _REJECTED_CODES:
        return ConfigurationError(f"PostgreSQL refused us ({type(error).__name__}): check VALVOMO_STORE and its role")
    if code[:2] in _TRANSIENT_CLASSES or code in _TRANSIENT_CODES:
        return TransientError(f"PostgreSQL broke off ({type(error).__name__}); nothing was written, trying again")
    if not code and isinstance(error, psycopg.OperationalError):
        return TransientError("PostgreSQL does not answer at the address in VALVOMO_STORE; trying again")
    where = (error.diag.table_name, error.diag.column_name, error.diag.constraint_name)
    return faults.refused(f"{type(error).__name__} {code}".strip(), " ".join(filter(None, where)) or "no name", error)


def _stage_of(table: Table) -> sql.Identifier:
    return sql.Identifier(f"stage_{table.name}")


def _names(columns: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def _type_name(table: Table, column: str, connection: Connection) -> str:
    """The name by which psycopg knows the column's type, as in `bigint`."""
    return table.c[column].type.compile(connection.dialect).lower().split("(")[0]
