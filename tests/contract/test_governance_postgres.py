"""What people are told of reviews on PostgreSQL."""

import pytest

from tests.contract.governance_contract import GovernanceContract


class TestGovernanceOnPostgres(GovernanceContract):
    def store_address(self, request: pytest.FixtureRequest) -> str:
        return str(request.getfixturevalue("postgres_url"))
