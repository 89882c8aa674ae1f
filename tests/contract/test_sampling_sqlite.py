"""Samples on SQLite."""

import pytest

from tests.contract.sampling_contract import SamplingDetails


class TestSamplingOnSqlite(SamplingDetails):
    def store_address(self, request: pytest.FixtureRequest) -> str:
        return "sqlite"
