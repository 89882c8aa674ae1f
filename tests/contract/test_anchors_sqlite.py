"""Anchors on SQLite."""

import pytest

from tests.contract.anchors_contract import AnchorsContract


class TestAnchorsOnSqlite(AnchorsContract):
    def store_address(self, request: pytest.FixtureRequest) -> str:
        return "sqlite"
