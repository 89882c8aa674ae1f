"""Signing and restoring on PostgreSQL."""

import pytest
from sqlalchemy import text

from services.audit_log.adapters.checkpoints import LOSES_COMMITS
from services.shared.errors import ConfigurationError
from tests.contract.log_contract import Program
from tests.contract.restoring_contract import RestoringContract
from tests.contract.signing_contract import SigningContract, grow, sizes


class TestSigningOnPostgres(SigningContract):
    def store_address(self, request: pytest.FixtureRequest) -> str:
        return str(request.getfixturevalue("postgres_url"))

    def test_nothing_is_signed_where_a_commit_does_not_wait_for_the_disk(self, program: Program) -> None:
        grow(program, 1)
        with program.service.store.transaction() as tx:
            name = tx.connection.exec_driver_sql("SELECT current_database()").scalar_one()
            tx.connection.execute(text(f'ALTER DATABASE "{name}" SET synchronous_commit = off'))
        program.restart()
        with pytest.raises(ConfigurationError, match="found synchronous_commit = off"):
            program.sign()
        assert sizes(program) == []
        with program.service.store.transaction() as tx:
            tx.connection.execute(text(f'ALTER DATABASE "{name}" RESET synchronous_commit'))
        program.restart()
        program.sign()
        assert sizes(program) == [1]

    def test_nothing_is_signed_on_a_server_that_never_waits(
        self, program: Program, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As the tests' own server does, which `conftest.py` lets pass elsewhere."""
        grow(program, 1)
        monkeypatch.setitem(LOSES_COMMITS, "fsync", "off")
        with pytest.raises(ConfigurationError, match="found fsync = off"):
            program.sign()


class TestRestoringOnPostgres(RestoringContract):
    def store_address(self, request: pytest.FixtureRequest) -> str:
        return str(request.getfixturevalue("postgres_url"))
