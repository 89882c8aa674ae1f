"""Reviewing on SQLite."""

import pytest

from tests.contract.reviewing_contract import ReviewingContract


class TestReviewingOnSqlite(ReviewingContract):
    def store_address(self, request: pytest.FixtureRequest) -> str:
        return "sqlite"
