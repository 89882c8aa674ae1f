"""The log on PostgreSQL."""

import pytest
from sqlalchemy import text

from services.shared.store.faults import RefusedStatementError
from tests.contract.log_contract import LogContract, Program
from tests.unit.audit_log.events import window


class TestLogOnPostgres(LogContract):
    def store_address(self, request: pytest.FixtureRequest) -> str:
        return str(request.getfixturevalue("postgres_url"))

    @pytest.mark.parametrize("table", ["entry", "tile", "checkpoint", "conflict"])
    def test_nothing_is_emptied_also_where_triggers_are_skipped(self, program: Program, table: str) -> None:
        program.publish(*(window(number) for number in range(300)))
        program.settle()
        for role in ("origin", "replica"):
            statement = text(f"SET LOCAL session_replication_role = {role}; TRUNCATE {table}")
            with pytest.raises(RefusedStatementError), program.service.store.transaction() as tx:
                tx.connection.execute(statement)
