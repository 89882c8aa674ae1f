"""Samples on SQLite."""

import pytest

from tests.contract.sampling_contract import SamplingContract


class TestSamplingOnSqlite(SamplingContract):
    def store_address(self, request: pytest.FixtureRequest) -> str:
        return "sqlite"
