"""What people are told of reviews on SQLite."""

import pytest

from tests.contract.governance_contract import GovernanceContract


class TestGovernanceOnSqlite(GovernanceContract):
    def store_address(self, request: pytest.FixtureRequest) -> str:
        return "sqlite"
