"""Retention, on PostgreSQL."""

from pathlib import Path

import pytest
from sqlalchemy import text

from services.audit_log.adapters.entries import SqlEntryLog
from services.audit_log.adapters.holds import lock_everything
from services.audit_log.adapters.reviews.cases import SqlCaseFiles
from services.audit_log.adapters.tables import METADATA
from services.audit_log.handlers import rebuild
from services.shared.errors import ConfigurationError
from services.shared.store.open import open_store
from tests.contract.log_contract import Program
from tests.contract.retention_contract import YEARS, RetentionContract, pruned
from tests.contract.test_guard_postgres import database_with_roles, prepare
from tests.servers.postgres import PostgresServer
from tests.unit.audit_log.events import register_events, window


class TestRetentionOnPostgres(RetentionContract):
    def store_address(self, request: pytest.FixtureRequest) -> str:
        return str(request.getfixturevalue("postgres_url"))

    def test_nobody_may_delete_when_the_ceremony_is_over(self, program: Program) -> None:
        pruned(program)
        with program.service.store.reading() as connection:
            rights = connection.execute(text("SELECT relacl::text FROM pg_class WHERE oid = 'entry'::regclass"))
            assert "d" not in rights.scalar_one().partition("=")[2].partition("/")[0]


def test_pruning_is_for_the_owner(postgres_server: PostgresServer, tmp_path: Path) -> None:
    with database_with_roles(postgres_server) as roles:
        settings = roles.settings(tmp_path)
        prepare(settings)
        program = Program(settings)
        program.publish(*register_events(), *(window(number) for number in range(300)))
        program.settle()
        program.clock.advance(YEARS)
        program.publish(window(1000))
        program.settle()
        with program.service.store.transaction() as tx:
            lock_everything(tx)
            rebuild(SqlEntryLog(), SqlCaseFiles(), tx, program.clock.now())  # the program's own role may do that
        with pytest.raises(ConfigurationError, match="VALVOMO_STORE_OWNER"):
            pruned(program)
        assert len(program.entries()) == program.size()
        owner = open_store(settings.model_copy(update={"store": settings.store_owner}), "log", METADATA)
        program.service.store.close()
        program.service.store = owner
        assert pruned(program).before == 256
        program.close()
