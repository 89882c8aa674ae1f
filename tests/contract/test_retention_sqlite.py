"""Retention, on SQLite."""

import pytest

from tests.contract.retention_contract import RetentionContract


class TestRetentionOnSqlite(RetentionContract):
    def store_address(self, request: pytest.FixtureRequest) -> str:
        return "sqlite"
