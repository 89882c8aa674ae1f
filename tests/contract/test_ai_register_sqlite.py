"""The AI register's view on SQLite."""

import pytest

from tests.contract.ai_register_contract import AiRegisterContract


class TestAiRegisterOnSqlite(AiRegisterContract):
    def store_address(self, request: pytest.FixtureRequest) -> str:
        return "sqlite"
