"""The log's tables as evidence, on SQLite."""

import pytest

from tests.contract.evidence_contract import EvidenceContract


class TestEvidenceOnSqlite(EvidenceContract):
    def store_address(self, request: pytest.FixtureRequest) -> str:
        return "sqlite"
