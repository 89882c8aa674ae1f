"""Signing and restoring on SQLite."""

import pytest

from tests.contract.restoring_contract import RestoringContract
from tests.contract.signing_contract import SigningContract


class TestSigningOnSqlite(SigningContract):
    def store_address(self, request: pytest.FixtureRequest) -> str:
        return "sqlite"


class TestRestoringOnSqlite(RestoringContract):
    def store_address(self, request: pytest.FixtureRequest) -> str:
        return "sqlite"
