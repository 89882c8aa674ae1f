"""What is derived from the log, on PostgreSQL."""

import pytest

from tests.contract.rebuilding_contract import RebuildingContract


class TestRebuildingOnPostgres(RebuildingContract):
    def store_address(self, request: pytest.FixtureRequest) -> str:
        return str(request.getfixturevalue("postgres_url"))
