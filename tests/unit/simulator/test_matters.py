"""The outputs that an auditor is to find: each has gone wrong in its one way, on whatever days are simulated."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.shared.events.register import ReviewerMandate, ReviewRule, UseCase
from services.simulator.apps import Apps
from services.simulator.city import EXAMPLE_CITY
from services.simulator.matters import (
    BULK_SIZE,
    IN_BULK,
    PERMITS,
    REJECTED,
    REVIEWED_AFTER_USE,
    SELF_REVIEWED,
    SENT_AGAIN,
    SUSPENDED,
    UNTRAINED,
    USED_UNREVIEWED,
    WHILE_SUSPENDED,
)
from services.simulator.moving import Moving
from services.simulator.outputs import Sent
from services.simulator.stories import REVIEWED_PROMPTLY
from services.usage_collector.register.facts import Facts
from services.usage_collector.register.folder import load_folder
from tests.unit.simulator.asking import TODAY, example, stories

USED, DECIDED = "valvomo.ai.output.used.v1", "valvomo.ai.review.decided.v1"
DAYS = pytest.mark.parametrize("days", [1, 20, 120, 730])


def matters(days: int) -> Mapping[str, Sequence[Sent]]:
    found: dict[str, list[Sent]] = {}
    for event in Apps(example(), stories(days=days)).events():
        found.setdefault(event["subject"], []).append(event)
    return found


def only(life: Sequence[Sent], kind: str) -> dict[str, Any]:
    [found] = [event["data"] for event in life if event["type"] == kind]
    assert isinstance(found, dict)
    return found


def kinds(life: Sequence[Sent]) -> list[str]:
    return [event["type"] for event in life]


@pytest.fixture(scope="module")
def found() -> Mapping[str, Sequence[Sent]]:
    return matters(20)


def test_used_and_never_reviewed(found: Mapping[str, Sequence[Sent]]) -> None:
    assert USED in kinds(found[USED_UNREVIEWED])
    assert DECIDED not in kinds(found[USED_UNREVIEWED])


def test_reviewed_after_use(found: Mapping[str, Sequence[Sent]]) -> None:
    life = found[REVIEWED_AFTER_USE]
    assert only(life, USED)["used_at"] < only(life, DECIDED)["decided_at"]


def test_reviewed_by_who_had_asked(found: Mapping[str, Sequence[Sent]]) -> None:
    life = found[SELF_REVIEWED]
    assert life[0]["data"]["requester"] == only(life, DECIDED)["reviewer"]


def test_rejected_and_sent_again_unchanged(found: Mapping[str, Sequence[Sent]]) -> None:
    assert only(found[REJECTED], DECIDED)["decision"] == "rejected"
    [again] = found[SENT_AGAIN]
    assert again["data"]["content_hash"] == found[REJECTED][0]["data"]["content_hash"]
    assert again["data"]["generated_at"] > only(found[REJECTED], DECIDED)["decided_at"]


def test_a_bulk_is_larger_than_the_policy_lets_it_be(found: Mapping[str, Sequence[Sent]]) -> None:
    bulk = [only(found[f"{IN_BULK}-{place:02d}"], DECIDED) for place in range(1, BULK_SIZE + 1)]
    assert [one["bulk_place"] for one in bulk] == list(range(1, BULK_SIZE + 1))
    assert {(one["bulk_id"], one["bulk_size"]) for one in bulk} == {(IN_BULK, BULK_SIZE)}
    [rule] = [one for one in rules() if one.risk_class == "high_support"]
    assert rule.max_bulk is not None
    assert rule.max_bulk < BULK_SIZE


@DAYS
def test_a_reviewer_is_not_trained_any_more(days: int) -> None:
    decided_at = only(matters(days)[UNTRAINED], DECIDED)["decided_at"]
    [mandate] = [
        fact
        for fact in moved(days).values()
        if isinstance(fact, ReviewerMandate) and fact.trained_until and PERMITS in fact.use_cases
    ]
    reviewed = datetime.fromisoformat(decided_at).date()
    assert mandate.holds_on(reviewed)
    assert mandate.trained_on is not None
    assert mandate.trained_until is not None
    assert mandate.trained_on < mandate.trained_until <= reviewed


@DAYS
def test_a_use_case_was_suspended_before_it_was_used(days: int) -> None:
    [use_case] = [fact for fact in moved(days).values() if isinstance(fact, UseCase) and fact.id == SUSPENDED]
    life = matters(days)[WHILE_SUSPENDED]
    assert use_case.is_suspended_at(datetime.fromisoformat(life[0]["data"]["generated_at"]))
    assert USED in kinds(life)


@DAYS
def test_all_of_it_is_over(days: int) -> None:
    """And so long ago, where there are days enough, that no deadline hangs on the hour of a demo."""
    ours = {name: life for name, life in matters(days).items() if name in {USED_UNREVIEWED, UNTRAINED, WHILE_SUSPENDED}}
    begins = datetime.combine(TODAY, datetime.min.time(), UTC)
    for life in ours.values():
        age = begins - datetime.fromisoformat(life[-1]["time"])
        assert age > timedelta()
        assert days < 25 or age > REVIEWED_PROMPTLY - timedelta(days=1)


def moved(days: int) -> Facts:
    return Moving(stories(days=days)).moved(FOLDER)


def rules() -> Sequence[ReviewRule]:
    [policy] = [fact for (kind, _), fact in FOLDER.items() if kind == "policy"]
    return policy.rules  # type: ignore[attr-defined, no-any-return]  # of this kind it is a policy


FOLDER: Facts = load_folder(EXAMPLE_CITY, today=TODAY).facts
