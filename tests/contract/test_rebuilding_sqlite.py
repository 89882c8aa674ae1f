"""What is derived from the log, on SQLite."""

import pytest

from tests.contract.rebuilding_contract import RebuildingContract


class TestRebuildingOnSqlite(RebuildingContract):
    def store_address(self, request: pytest.FixtureRequest) -> str:
        return "sqlite"
