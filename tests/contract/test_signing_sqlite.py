"""Signing on SQLite."""

import pytest

from tests.contract.signing_contract import SigningContract


class TestSigningOnSqlite(SigningContract):
    def store_address(self, request: pytest.FixtureRequest) -> str:
        return "sqlite"
