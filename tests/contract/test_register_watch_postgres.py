"""The watch over the AI register on PostgreSQL."""

import pytest

from tests.contract.register_watch_contract import RegisterWatchContract


class TestRegisterWatchOnPostgres(RegisterWatchContract):
    def store_address(self, request: pytest.FixtureRequest) -> str:
        return str(request.getfixturevalue("postgres_url"))
