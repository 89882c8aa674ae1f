"""Reviewing on PostgreSQL."""

import pytest

from tests.contract.reviewing_contract import ReviewingContract


class TestReviewingOnPostgres(ReviewingContract):
    def store_address(self, request: pytest.FixtureRequest) -> str:
        return str(request.getfixturevalue("postgres_url"))
