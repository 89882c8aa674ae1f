"""Retention, on PostgreSQL."""

import pytest

from tests.contract.retention_contract import RetentionContract


class TestRetentionOnPostgres(RetentionContract):
    def store_address(self, request: pytest.FixtureRequest) -> str:
        return str(request.getfixturevalue("postgres_url"))
