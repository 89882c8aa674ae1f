"""PostgreSQL: the tables belong to one role, and the program works with another that may only do what it needs.

`valvomo store prepare` makes it so, as the owner; a program whose role may not change the schema checks the version
and says so when it is old.
"""

from collections.abc import Sequence
from typing import NamedTuple, cast

import psycopg
from sqlalchemy import Connection, MetaData, make_url, text
from sqlalchemy.exc import ArgumentError

from services.shared.errors import ConfigurationError
from services.shared.store import Store
from services.shared.store.migrate import VERSION_TABLE
from services.shared.store.rights import rights_in

PREPARE = "valvomo store prepare"


class Role(NamedTuple):
    """Who an address signs in as."""

    name: str
    password: str | None


def role_of(address: str) -> Role:
    """The role in the address of a PostgreSQL.

    Raises:
        ConfigurationError: it is no such address, or names none.
    """
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        url = None
    if url is None or not url.username or not url.drivername.startswith("postgresql"):
        raise ConfigurationError(
            "an address names no role of a PostgreSQL; expected postgresql://role:password@host/database in "
            "VALVOMO_STORE and in VALVOMO_STORE_OWNER (SQLite needs no preparing)"
        )
    return Role(url.username, str(url.password) if url.password else None)


def make_role(store: Store, role: Role) -> bool:
    """Make the service's role, when there is none; whether it was made. `store` is open as the owner.

    Raises:
        ConfigurationError: it is the owner itself, may do everything anyway, or cannot be made.
    """
    with store.transaction() as tx:
        found = tx.connection.execute(_ROLE, {"role": role.name}).one()
        if found.is_owner:
            raise ConfigurationError(
                f"VALVOMO_STORE signs in as {role.name}, which is the owner's role or may become it, or a superuser; "
                "expected a role of its own, without any membership: nothing would hold it back"
            )
        if not found.exists:
            _create(tx.connection, role)
        return not found.exists


_ROLE = text(
    "SELECT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = :role) AS exists, coalesce((SELECT rolsuper OR "
    "pg_has_role(oid, current_user, 'MEMBER') FROM pg_roles WHERE rolname = :role), :role = current_user) AS is_owner"
)


def _create(connection: Connection, role: Role) -> None:
    if role.password is None:
        raise ConfigurationError(
            f"the role {role.name} does not exist, and VALVOMO_STORE holds no password to make it with; make it, or "
            "write a password into the address"
        )
    # The server gets the password's hash: what it logs of statements does not tell the password.
    driver = cast("psycopg.Connection[object]", connection.connection.driver_connection)
    hashed = driver.pgconn.encrypt_password(role.password.encode(), role.name.encode(), b"scram-sha-256").decode()
    name = _quoted(connection, role.name)
    connection.exec_driver_sql(f"CREATE ROLE {name} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD '{hashed}'")


def take_over(store: Store) -> Sequence[str]:
    """Make the owner the owner of what a program's role made before there were two; the names of what was taken."""
    with store.transaction() as tx:
        schema = _quoted(tx.connection, store.service)
        found = [(row.kind, row.name) for row in tx.connection.execute(_OTHERS, {"schema": store.service})]
        for kind, name in found:
            what = schema if kind == "SCHEMA" else f"{schema}.{name}"
            tx.connection.exec_driver_sql(f"ALTER {kind} {what} OWNER TO CURRENT_USER")
    return [name for _, name in found]


_OTHERS = text(
    "SELECT 'SCHEMA' AS kind, quote_ident(nspname) AS name FROM pg_namespace "
    "WHERE nspname = :schema AND nspowner <> current_user::regrole "
    "UNION ALL SELECT 'TABLE', quote_ident(relname) FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace "
    "WHERE nspname = :schema AND relkind IN ('r', 'p') AND relowner <> current_user::regrole "
    "UNION ALL SELECT 'ROUTINE', p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace "
    "WHERE nspname = :schema AND proowner <> current_user::regrole"
)


def grant(store: Store, metadata: MetaData, role: Role) -> None:
    """Give the service's role what it needs of these tables, and take away everything else. Can be repeated."""
    with store.transaction() as tx:
        for statement in _grants(tx.connection, store.service, metadata, role.name):
            tx.connection.exec_driver_sql(statement)


def _grants(connection: Connection, service: str, metadata: MetaData, role: str) -> list[str]:
    schema, name = _quoted(connection, service), _quoted(connection, role)
    whom = f"PUBLIC, {name}"
    made = [
        f"REVOKE ALL ON SCHEMA {schema} FROM {whom}",
        f"REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {whom}",
        f"REVOKE ALL ON ALL SEQUENCES IN SCHEMA {schema} FROM {whom}",
        f"GRANT USAGE ON SCHEMA {schema} TO {name}",
        f"GRANT SELECT ON {schema}.{VERSION_TABLE} TO {name}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {name}",  # to draw numbers, not to set them back
    ]
    for table, rights in rights_in(metadata).items():
        made.append(f"GRANT {', '.join(sorted(rights))} ON {schema}.{_quoted(connection, table)} TO {name}")
    # Connecting and temporary tables are everybody's by default; where an administrator took them away, they are given.
    lacking = connection.execute(_LACKING, {"role": role}).scalars().all()
    database = _quoted(connection, connection.execute(text("SELECT current_database()")).scalar_one())
    return made + [f"GRANT {right} ON DATABASE {database} TO {name}" for right in lacking]


_LACKING = text(
    "SELECT wanted FROM unnest(ARRAY['CONNECT', 'TEMPORARY']) AS wanted "
    "WHERE NOT has_database_privilege(:role, current_database(), wanted)"
)


def owns_tables(connection: Connection) -> bool:
    """Whether the role that asks could undo grants and triggers: it owns the tables, or may become who does."""
    return bool(connection.execute(_OWNS).scalar_one())


_OWNS = text(
    "SELECT coalesce(bool_or(pg_has_role(current_user, relowner, 'MEMBER')), false) FROM pg_class "
    "WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'"
)


def _quoted(connection: Connection, name: str) -> str:
    return connection.dialect.identifier_preparer.quote_identifier(name)
