"""Do a service's migrations make exactly the tables that its metadata declares? For each service and database."""

import re
import sqlite3
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, MetaData, create_engine, text

from services.shared.store import Store, Transaction
from services.shared.store.migrate import VERSION_TABLE, migrate

Structure = dict[str, Any]


def assert_migrations_match(metadata: MetaData, package: str, store: Store) -> None:
    """Migrate `store` and compare it with what the metadata alone would make.

    Alembic's own comparison passes over checks, defaults, STRICT and the conditions of indexes; the catalogues do not.
    """
    migrate(store, metadata, package)
    with store.transaction() as tx:
        differences = compare_metadata(MigrationContext.configure(tx.connection, opts={"compare_type": True}), metadata)
        assert not [difference for difference in differences if VERSION_TABLE not in str(difference)]
        structure, expected = (
            (_sqlite_structure(tx.connection), _sqlite_expected(metadata))
            if tx.dialect == "sqlite"
            else (_postgres_structure(tx), _postgres_expected(tx, metadata))
        )
    structure.pop(VERSION_TABLE, None)
    assert structure == expected


def _sqlite_structure(connection: Connection) -> Structure:
    rows = connection.exec_driver_sql(
        "SELECT tbl_name, sql FROM sqlite_master WHERE type IN ('table', 'index') AND sql NOT NULL"
    )
    found: dict[str, list[str]] = {}
    for table, statement in rows:
        found.setdefault(table, []).append(_normal(statement))
    return {table: sorted(statements) for table, statements in found.items()}


def _normal(statement: str) -> str:
    """A statement without what does not matter: quotes, space, the order in which constraints are written."""
    plain = re.sub(r"\s+", " ", statement.replace('"', "")).strip()
    head, _, rest = plain.partition("(")
    body, _, tail = rest.rpartition(")")
    parts = (
        sorted(part.strip() for part in re.split(r",(?![^()]*\))", body)) if head.startswith("CREATE TABLE") else [body]
    )
    return f"{head.strip()} ({', '.join(parts)}) {', '.join(sorted(part.strip() for part in tail.split(',')))}"


def _sqlite_expected(metadata: MetaData) -> Structure:
    engine = create_engine("sqlite://")
    try:
        with engine.begin() as connection:
            metadata.create_all(connection)
            assert sqlite3.sqlite_version_info >= (3, 37), "STRICT tables need SQLite 3.37"
            return _sqlite_structure(connection)
    finally:
        engine.dispose()


_COLUMNS = """
SELECT table_name, column_name, data_type, is_nullable, column_default, is_identity, character_maximum_length
FROM information_schema.columns WHERE table_schema = current_schema()"""
_CONSTRAINTS = """
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = current_schema()::regnamespace AND contype <> 'n'"""
_INDEXES = """
SELECT tablename, indexname, replace(indexdef, ' ON ' || schemaname || '.', ' ON ')
FROM pg_indexes WHERE schemaname = current_schema()"""


def _postgres_structure(tx: Transaction) -> Structure:
    found: dict[str, list[tuple[Any, ...]]] = {}
    for query in (_COLUMNS, _CONSTRAINTS, _INDEXES):
        for table, *told in tx.connection.execute(text(query)):
            found.setdefault(table.rpartition(".")[2].strip('"'), []).append(tuple(map(str, told)))
    return {table: sorted(facts) for table, facts in found.items()}


def _postgres_expected(tx: Transaction, metadata: MetaData) -> Structure:
    with tx.connection.begin_nested() as point:
        tx.connection.execute(text("CREATE SCHEMA expected"))
        tx.connection.execute(text("SET LOCAL search_path = expected"))
        metadata.create_all(tx.connection)
        expected = _postgres_structure(tx)
        point.rollback()
    return expected
