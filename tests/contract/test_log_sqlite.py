"""The log on SQLite."""

import pytest
from sqlalchemy import text

from services.shared.store.faults import RefusedStatementError
from tests.contract.log_contract import LogContract, Program
from tests.unit.audit_log.events import window


class TestLogOnSqlite(LogContract):
    def store_address(self, request: pytest.FixtureRequest) -> str:
        return "sqlite"

    @pytest.mark.parametrize(
        "statement",
        [
            pytest.param("INSERT OR REPLACE INTO entry VALUES (3, 9, 9, x'00')", id="an index that is taken"),
            pytest.param(
                "INSERT OR REPLACE INTO entry SELECT 10, source_ref, source_offset, x'00' FROM entry WHERE seq = 3",
                id="a place on the bus that is taken",
            ),
            pytest.param("INSERT INTO entry VALUES (11, 9, 9, x'00')", id="an index that leaves a gap"),
            pytest.param("INSERT OR REPLACE INTO checkpoint VALUES (10, x'00', 0)", id="a checkpoint of the same size"),
            pytest.param("INSERT INTO checkpoint VALUES (9, x'00', 0)", id="a smaller checkpoint"),
        ],
    )  # fmt: skip
    def test_nothing_is_replaced(self, program: Program, statement: str) -> None:
        program.publish(*(window(number) for number in range(10)))
        program.settle()
        program.sign()
        with pytest.raises(RefusedStatementError, match="never changed"), program.service.store.transaction() as tx:
            tx.connection.execute(text(statement))

    def test_the_disk_is_waited_for(self, program: Program) -> None:
        """A checkpoint over entries that a power cut may take back would be a fork."""
        with program.service.store.transaction() as tx:
            assert tx.connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2, "FULL"
