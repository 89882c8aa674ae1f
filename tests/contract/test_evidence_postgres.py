"""The log's tables as evidence, on PostgreSQL."""

import pytest

from tests.contract.evidence_contract import EvidenceContract


class TestEvidenceOnPostgres(EvidenceContract):
    def store_address(self, request: pytest.FixtureRequest) -> str:
        return str(request.getfixturevalue("postgres_url"))
