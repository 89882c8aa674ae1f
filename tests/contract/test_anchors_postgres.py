"""Anchors on PostgreSQL."""

import pytest

from tests.contract.anchors_contract import AnchorsContract


class TestAnchorsOnPostgres(AnchorsContract):
    def store_address(self, request: pytest.FixtureRequest) -> str:
        return str(request.getfixturevalue("postgres_url"))
