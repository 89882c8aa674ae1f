"""The same seed gives the same bytes, in whatever order and however often it is asked."""

import json
from collections.abc import Sequence

import pytest

from services.simulator.apps import Apps
from services.simulator.vendors.anthropic import BETA
from services.usage_collector.source import Query
from tests.unit.simulator.asking import Fetching, example, stories

SPAN = [("starting_at", "2026-10-20T00:00:00Z"), ("ending_at", "2026-11-20T00:00:00Z"), ("limit", "31")]
QUESTIONS: Sequence[tuple[str, Query]] = [
    ("/v1/organizations/analytics/usage", [*SPAN, ("time_bucket_width", "1d"), ("group_by[]", "model")]),
    ("/v1/organizations/analytics/cost", [*SPAN, ("time_bucket_width", "1d"), ("group_by[]", "workspace_id")]),
    ("/v1/organizations/usage_report/messages", [*SPAN, ("group_by[]", "api_key_id")]),
    ("/v1.0/subscribedSkus", []),
    ("/v1.0/copilot/reports/getMicrosoft365CopilotUsageUserDetail(period='D28',version='v2')", []),
    ("/api/now/table/sys_gen_ai_usage_log", [("sysparm_query", "ORDERBYsys_created_on"), ("sysparm_limit", "500")]),
    ("/api/now/table/sys_generative_ai_log", []),
    ("/api/now/table/sys_user", []),
]


def answers(seed: int, questions: Sequence[tuple[str, Query]]) -> dict[str, bytes]:
    fetching = Fetching(stories(seed=seed))
    return {path: fetching.get(path, query, {"anthropic-beta": BETA}).body for path, query in questions}


@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_seed_answers_with_the_same_bytes(seed: int) -> None:
    assert answers(seed, QUESTIONS) == answers(seed, [*reversed(QUESTIONS), *QUESTIONS])


def test_another_seed_has_another_use() -> None:
    first, second = answers(1, QUESTIONS), answers(2, QUESTIONS)
    same = {path for path in first if first[path] == second[path]}
    assert same == {"/v1.0/subscribedSkus", "/api/now/table/sys_user"}


def test_the_same_seed_pushes_the_same_bytes() -> None:
    def pushed(seed: int) -> str:
        return json.dumps(Apps(example(), stories(days=20, seed=seed)).events())

    assert pushed(1) == pushed(1)
    assert pushed(1) != pushed(2)
