"""Queries on PostgreSQL."""

import pytest

from tests.contract.search_contract import SearchContract


class TestSearchOnPostgres(SearchContract):
    def store_address(self, request: pytest.FixtureRequest) -> str:
        return str(request.getfixturevalue("postgres_url"))
