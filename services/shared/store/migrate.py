"""Bring a service's database to the version of the program: Alembic, run from a package of migrations.

`services/<service>/migrations/` is a package whose other files are the versions (`0001_initial.py`, …). There is no
`env.py` and no configuration file: the store gives the connection.
"""

import threading
from importlib.resources import as_file, files

from alembic.autogenerate import produce_migrations, render_python_code
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, MigrationStep
from alembic.script import ScriptDirectory
from alembic.script.revision import ResolutionError
from alembic.util.exc import CommandError
from sqlalchemy import Connection, MetaData, text

from services.shared.errors import IncompatibleStoreError
from services.shared.store import Store
from services.shared.store.identity import check_service
from services.shared.store.tables import common_tables

VERSION_TABLE = "alembic_version"

_one_at_a_time = threading.Lock()
"""Alembic's `op` is one object for the whole process."""


def migrate(store: Store, metadata: MetaData, package: str) -> None:
    """Run the migrations that this database has not seen, all or none, in one transaction.

    Several starters wait for each other: on PostgreSQL by an advisory lock, on SQLite by its write lock.

    Raises:
        IncompatibleStoreError: the database was made by a newer program or by another one, or is another service's.
    """
    with _one_at_a_time, as_file(files(package)) as folder, store.transaction() as tx:
        if tx.dialect == "postgresql":
            tx.connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('valvomo migrate'))"))
        _refuse_foreign(tx.connection, store.service)
        _upgrade(tx.connection, ScriptDirectory(str(folder), version_locations=[str(folder)]), package)
        check_service(tx.connection, common_tables(metadata).store_info, store.service, f"the store of {store.service}")


def draft(store: Store, metadata: MetaData) -> str:
    """The body of the migration that would bring this database to `metadata`: a draft, for a person to read."""
    with store.transaction() as tx:
        context = MigrationContext.configure(tx.connection, opts={"compare_type": True})
        changes = produce_migrations(context, metadata)
        assert changes.upgrade_ops is not None
        return render_python_code(changes.upgrade_ops)


def _upgrade(connection: Connection, script: ScriptDirectory, package: str) -> None:
    def missing(revision: tuple[str, ...] | str, _context: MigrationContext) -> list[MigrationStep]:
        _refuse_newer(script, revision, package)
        steps: list[MigrationStep] = script._upgrade_revs("head", revision)  # type: ignore[arg-type, assignment]  # noqa: SLF001  # what Alembic's own `upgrade` command calls
        if steps:
            _refuse_without_rights(connection)
        return steps

    environment = EnvironmentContext(Config(), script, fn=missing)
    with environment:
        environment.configure(connection=connection, transactional_ddl=True, version_table=VERSION_TABLE)
        environment.run_migrations()


def _refuse_without_rights(connection: Connection) -> None:
    if connection.dialect.name == "postgresql" and not connection.execute(_MAY_CREATE).scalar_one():
        raise IncompatibleStoreError(
            "the database is older than this program, and the role in VALVOMO_STORE may not change its tables: "
            "let its administrator run valvomo store prepare, then start again"
        )


_MAY_CREATE = text("SELECT has_schema_privilege(current_schema(), 'CREATE')")


def _refuse_newer(script: ScriptDirectory, revisions: tuple[str, ...] | str, package: str) -> None:
    for revision in [revisions] if isinstance(revisions, str) else revisions:
        try:
            script.get_revision(revision)
        except (ResolutionError, CommandError):
            raise IncompatibleStoreError(
                f"the database is at version {revision}, which {package} does not know: it was made by a newer "
                "program; update this one"
            ) from None


def _refuse_foreign(connection: Connection, service: str) -> None:
    names = set(connection.dialect.get_table_names(connection))
    if names and VERSION_TABLE not in names:
        raise IncompatibleStoreError(
            f"the place for the store of {service} holds tables of another program; expected it empty or Valvomo's: "
            "name another database in VALVOMO_STORE"
        )
