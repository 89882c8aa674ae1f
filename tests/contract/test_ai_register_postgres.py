"""The AI register's view on PostgreSQL."""

import pytest

from tests.contract.ai_register_contract import AiRegisterContract


class TestAiRegisterOnPostgres(AiRegisterContract):
    def store_address(self, request: pytest.FixtureRequest) -> str:
        return str(request.getfixturevalue("postgres_url"))
