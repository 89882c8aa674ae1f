"""The watch over the AI register on SQLite."""

import pytest

from tests.contract.register_watch_contract import RegisterWatchContract


class TestRegisterWatchOnSqlite(RegisterWatchContract):
    def store_address(self, request: pytest.FixtureRequest) -> str:
        return "sqlite"
