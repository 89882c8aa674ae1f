"""What the program's own role, and the owner's, cannot do to the log on PostgreSQL; and that the program runs so.

Who owns the tables can disable their triggers, and a superuser is above all of it: that is not prevented, and shown
here so that nobody believes it is. Checkpoints outside the house show it.
"""

import json
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

import psycopg
import pytest
from prometheus_client import generate_latest
from psycopg import errors
from pydantic import SecretStr
from sqlalchemy import MetaData, make_url, text
from typer.testing import CliRunner

from services.__main__ import app
from services.audit_log.adapters.entries import SqlEntryLog
from services.audit_log.adapters.reviews.cases import SqlCaseFiles
from services.audit_log.adapters.succession import Words, plan_succession
from services.audit_log.adapters.tables import APPEND_ONLY
from services.audit_log.adapters.tables import METADATA as LOG
from services.audit_log.handlers import rebuild
from services.cost_alerts.adapters.ledger import Memory
from services.cost_alerts.adapters.tables import METADATA as LEDGER
from services.shared.errors import ConfigurationError, IncompatibleStoreError
from services.shared.settings import Settings
from services.shared.store.open import open_store, prepare_stores
from services.shared.store.roles import owns_tables
from services.usage_collector.adapters.tables import METADATA as COLLECTOR
from tests.contract.log_contract import Program
from tests.contract.restoring_contract import places_of
from tests.servers.postgres import PostgresServer
from tests.unit.audit_log.events import at, generated, register_events, window

TABLES = tuple(table.name for table in APPEND_ONLY)
REFUSED = [
    "UPDATE entry SET body = '' WHERE seq = 0",
    "UPDATE tile SET hashes = ''",
    "UPDATE checkpoint SET note = ''",
    "DELETE FROM entry WHERE seq = 0",
    "DELETE FROM entry_name",
    "DELETE FROM head",
    "DELETE FROM decision",
    "INSERT INTO entry SELECT * FROM entry WHERE seq = 0 ON CONFLICT (seq) DO UPDATE SET body = excluded.body",
    "MERGE INTO entry USING (SELECT 0 AS seq) AS given ON entry.seq = given.seq WHEN MATCHED THEN DELETE",
    "INSERT INTO head VALUES (2, 0, '')",
    "INSERT INTO pruning VALUES (5, 0, 5, '')",
    "SELECT * FROM entry WHERE seq = 0 FOR UPDATE",
    "LOCK TABLE entry IN ACCESS EXCLUSIVE MODE",
    "ALTER TABLE entry DISABLE TRIGGER entry_no_change",
    "ALTER TABLE entry DISABLE TRIGGER ALL",
    "ALTER TABLE entry ADD COLUMN more text",
    "ALTER TABLE entry OWNER TO CURRENT_USER",
    "DROP TRIGGER entry_no_change ON entry",
    "DROP TABLE entry",
    "DROP SCHEMA log CASCADE",
    "DROP FUNCTION refuse_change() CASCADE",
    "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'",
    "CREATE TABLE log.other (id integer)",
    "CREATE RULE away AS ON INSERT TO entry DO INSTEAD NOTHING",
    "SET session_replication_role = replica",
    "UPDATE pg_catalog.pg_trigger SET tgenabled = 'D'",
    "UPDATE alembic_version SET version_num = '0001'",
    *(f"TRUNCATE {table}" for table in TABLES),
]


class Roles(NamedTuple):
    """Addresses of one database: as the program, as the owner, as a superuser."""

    program: str
    owner: str
    superuser: str

    def settings(self, folder: Path) -> Settings:
        return Settings(
            data_dir=folder / "var",
            store=SecretStr(self.program),
            store_owner=SecretStr(self.owner),
            log_origin="log.example/audit",
        )


@contextmanager
def database_with_roles(server: PostgresServer) -> Iterator[Roles]:
    """An empty database, and an owner's role for it; the program's is not made yet."""
    name = uuid.uuid4().hex
    owner, program = f"owner_{name}", f"app_{name}"
    with server.database() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"CREATE ROLE {owner} LOGIN CREATEROLE")
            connection.execute(f"GRANT CREATE ON DATABASE {make_url(url).database} TO {owner}")
        yield Roles(_as(program, url), _as(owner, url), url)
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(f"DROP ROLE IF EXISTS {program}")
        connection.execute(f"DROP ROLE {owner}")


def _as(role: str, url: str) -> str:
    return make_url(url).set(username=role, password=f"secret-of-{role}").render_as_string(hide_password=False)


def prepare(settings: Settings) -> bool:
    made, _ = prepare_stores(settings, {"collector": COLLECTOR, "ledger": LEDGER, "log": LOG})
    return made


class GuardContract:
    """Inherited by a test class per version of the server."""

    @pytest.fixture(scope="class")
    @classmethod
    def server(cls) -> PostgresServer:
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def roles(cls, server: PostgresServer) -> Iterator[Roles]:
        with database_with_roles(server) as roles:
            yield roles

    @pytest.fixture(scope="class")
    @classmethod
    def program(cls, roles: Roles, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
        """The log with some entries, prepared by the owner, run as the program's role."""
        settings = roles.settings(tmp_path_factory.mktemp("guard"))
        assert prepare(settings), "the program's role was made"
        program = Program(settings)
        program.publish(*register_events(), generated(), *(window(number) for number in range(300)))
        program.publish(window(1).model_copy(update={"time": at(5)}))
        program.settle()
        assert program.sign() is not None
        yield program
        program.close()

    def test_the_program_runs_with_no_more_than_it_needs(self, program: Program, tmp_path: Path) -> None:
        size = program.size()
        program.publish(*(window(number) for number in range(1_000, 1_300)))
        program.settle()
        assert program.size() == size + 300
        assert program.sign() is not None
        states = program.states()
        with program.service.store.transaction() as tx:
            rebuild(SqlEntryLog(), SqlCaseFiles(), tx, program.clock.now())
        assert program.states() == states == {"o-1": "pending"}
        assert program.export(tmp_path / "export").joinpath("checkpoint").exists()
        program.restart()
        assert b"valvomo_log_rewritable 0.0" in generate_latest(program.registry)

    @pytest.mark.parametrize(("service", "metadata"), [("collector", COLLECTOR), ("ledger", LEDGER)])
    def test_the_other_services_open_and_write(
        self, program: Program, service: Literal["collector", "ledger"], metadata: MetaData
    ) -> None:
        store = open_store(program.settings, service, metadata)
        try:
            rows = [(f"m-{number}", "mail", b"x") for number in range(300)]
            with store.transaction() as tx:  # more than a few: through a temporary table
                outbox = metadata.tables["outbox"]
                columns = ("message_id", "destination", "value")
                assert tx.bulk_insert(outbox, columns, rows, ignore_conflicts=True) == 300
                tx.connection.execute(outbox.delete())
        finally:
            store.close()

    def test_the_ledger_may_number_its_readings(self, program: Program) -> None:
        with closing(open_store(program.settings, "ledger", LEDGER)) as store, store.transaction() as tx:
            assert len(Memory().begin(tx).enter([b"0" * 16, b"1" * 16])) == 2

    def test_the_programs_role_begins_no_succession(self, program: Program) -> None:
        """What was begun would have to be finished before any program starts."""
        program.service.store.close()
        places = places_of(program)
        with closing(open_store(program.settings, "log", LOG)) as store, pytest.raises(ConfigurationError) as refused:
            plan_succession(store, places, Words("log.example/next", "a drill", "cio", "ciso"), program.clock.now())
        assert "the role that owns it" in str(refused.value)
        assert not places.plan.exists()

    @pytest.mark.parametrize("statement", REFUSED)
    def test_the_programs_role_is_refused(self, program: Program, roles: Roles, statement: str) -> None:
        before = program.entries()
        with (
            psycopg.connect(roles.program, options="-c search_path=log") as connection,
            pytest.raises(errors.InsufficientPrivilege),
        ):
            connection.execute(statement)
        assert program.entries() == before

    def test_the_programs_role_gives_no_rights_away(self, program: Program, roles: Roles) -> None:
        assert program.size()
        with psycopg.connect(roles.program, options="-c search_path=log") as connection:
            connection.execute("GRANT ALL ON entry TO PUBLIC")  # a warning is all that PostgreSQL has to say of it
            rights = connection.execute("SELECT has_table_privilege('entry', 'UPDATE, DELETE, TRUNCATE')").fetchone()
        assert rights == (False,)

    @pytest.mark.parametrize("table", [table for table in TABLES if table not in {"receipt", "pruning"}])
    def test_the_owner_is_refused_by_triggers_until_they_are_disabled(
        self, program: Program, roles: Roles, table: str
    ) -> None:
        assert program.size()
        with psycopg.connect(roles.owner, options="-c search_path=log") as connection:
            connection.execute(f"GRANT ALL ON {table} TO CURRENT_USER")
            deleting = f"DELETE FROM {table}"  # noqa: S608
            for statement in (deleting, f"TRUNCATE {table}"):
                with pytest.raises(errors.RaiseException, match="never changed"), connection.transaction():
                    connection.execute(statement)
            # Not prevented, as nothing in a database can be: its owner may disable what guards it.
            connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
            assert connection.execute(deleting).rowcount > 0
            connection.rollback()

    def test_a_superuser_skips_no_trigger_by_playing_a_replica(self, program: Program, roles: Roles) -> None:
        assert program.size()
        with psycopg.connect(roles.superuser, options="-c search_path=log") as connection:
            connection.execute("SET session_replication_role = replica")
            with pytest.raises(errors.RaiseException, match="never changed"):
                connection.execute("DELETE FROM entry")

    def test_preparing_again_changes_nothing(self, program: Program, roles: Roles) -> None:
        before = program.entries()
        assert not prepare(program.settings)
        with (
            psycopg.connect(roles.program, options="-c search_path=log") as connection,
            pytest.raises(errors.InsufficientPrivilege),
        ):
            connection.execute("DELETE FROM entry")
        assert program.entries() == before

    def test_an_old_database_is_a_sentence_that_names_the_command(self, program: Program, roles: Roles) -> None:
        with psycopg.connect(roles.owner, options="-c search_path=log", autocommit=True) as connection:
            (newest,) = connection.execute("SELECT version_num FROM alembic_version").fetchone() or ("",)
            connection.execute("UPDATE alembic_version SET version_num = '0001'")
            try:
                with pytest.raises(IncompatibleStoreError, match="valvomo store prepare"):
                    open_store(program.settings, "log", LOG)
            finally:
                connection.execute("UPDATE alembic_version SET version_num = %s", (newest,))


class TestGuardOnPostgres(GuardContract):
    @pytest.fixture(scope="class")
    @classmethod
    def server(cls, postgres_server: PostgresServer) -> PostgresServer:
        return postgres_server

    def test_tables_of_one_all_powerful_role_are_taken_over(self, server: PostgresServer, tmp_path: Path) -> None:
        """As before there were two roles: the program owns everything, until an administrator comes."""
        with database_with_roles(server) as roles:
            alone = Settings(data_dir=tmp_path / "var", store=SecretStr(roles.superuser))
            program = Program(alone)
            program.publish(window(1), window(2))
            program.settle()
            with program.service.store.reading() as connection:
                assert owns_tables(connection)
            assert b"valvomo_log_rewritable 1.0" in generate_latest(program.registry)
            program.close()
            with psycopg.connect(roles.superuser, autocommit=True) as connection:  # who it takes to take things over
                owner = make_url(roles.owner).username
                connection.execute(f"ALTER ROLE {owner} SUPERUSER")
            settings = roles.settings(tmp_path)
            _, prepared = prepare_stores(settings, {"log": LOG})
            assert {"entry", "head", "refuse_change()"} <= {
                name.removeprefix("log.") for name in prepared[0].taken_over
            }
            store = open_store(settings, "log", LOG)
            try:
                with store.reading() as connection:
                    assert not owns_tables(connection)
                    assert connection.execute(text("SELECT count(*) FROM entry")).scalar() == 2
            finally:
                store.close()

    def test_what_cannot_be_prepared_is_a_sentence(self, server: PostgresServer, tmp_path: Path) -> None:
        with database_with_roles(server) as roles:
            settings = roles.settings(tmp_path)
            for changed, sentence in (
                ({"store": SecretStr(roles.owner)}, "a role of its own"),
                ({"store": SecretStr(roles.superuser)}, "or a superuser"),
                ({"store": SecretStr("sqlite")}, "SQLite needs no preparing"),
                ({"store_owner": None}, "VALVOMO_STORE_OWNER"),
            ):
                with pytest.raises(ConfigurationError, match=sentence):
                    prepare(settings.model_copy(update=changed))

    def test_a_program_before_its_administrator_is_told_so(self, server: PostgresServer, tmp_path: Path) -> None:
        with database_with_roles(server) as roles:
            role = make_url(roles.program).username
            with psycopg.connect(roles.superuser, autocommit=True) as connection:
                connection.execute(f"CREATE ROLE {role} LOGIN")
            with pytest.raises(IncompatibleStoreError, match="valvomo store prepare"):
                open_store(roles.settings(tmp_path), "log", LOG)

    def test_a_schema_that_it_may_not_use_is_a_sentence(self, server: PostgresServer, tmp_path: Path) -> None:
        with database_with_roles(server) as roles:
            role = make_url(roles.program).username
            with psycopg.connect(roles.superuser, autocommit=True) as connection:
                connection.execute(f"CREATE ROLE {role} LOGIN")
                connection.execute("CREATE SCHEMA log")
            with pytest.raises(IncompatibleStoreError, match="valvomo store prepare"):
                open_store(roles.settings(tmp_path), "log", LOG)

    def test_the_command(self, server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with database_with_roles(server) as roles:
            monkeypatch.setenv("VALVOMO_STORE", roles.program)
            (tmp_path / "owner").write_text(f"{roles.owner}\n")
            command = ["store", "prepare", "--owner-url-file", str(tmp_path / "owner"), "--json"]
            told = CliRunner().invoke(app, command, catch_exceptions=False)
            found = json.loads(told.stdout)
            assert (told.exit_code, found["role_made"]) == (0, True)
            assert [one["schema"] for one in found["schemas"]] == ["collector", "ledger", "log", "sign_in"]
            assert "secret-of" not in told.output


class TestGuardOnOldestPostgres(GuardContract):
    @pytest.fixture(scope="class")
    @classmethod
    def server(cls, oldest_postgres_server: PostgresServer) -> PostgresServer:
        return oldest_postgres_server
