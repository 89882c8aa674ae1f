"""Queries on SQLite."""

import pytest

from tests.contract.search_contract import SearchContract


class TestSearchOnSqlite(SearchContract):
    def store_address(self, request: pytest.FixtureRequest) -> str:
        return "sqlite"
