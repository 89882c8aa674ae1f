"""Samples on PostgreSQL."""

import pytest

from tests.contract.sampling_contract import SamplingContract


class TestSamplingOnPostgres(SamplingContract):
    def store_address(self, request: pytest.FixtureRequest) -> str:
        return str(request.getfixturevalue("postgres_url"))
