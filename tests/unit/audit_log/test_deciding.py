"""What a decision needs, which outputs may be decided about at once, and how reviews are named: as tables."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.audit_log.domain.reviews.deciding import (
    ONE_BY_ONE,
    REASONS,
    SHOWN,
    Said,
    bulk_limit,
    bulk_name,
    deciding,
    declining,
    fault_of,
    fault_of_bulk,
    needs_confirming,
    opening,
    review_name,
    review_of,
)
from services.audit_log.domain.reviews.deciding import Hand as By
from services.shared.events.register import ReviewRule
from tests.unit.audit_log.events import MONDAY

HASH, OTHER = "ab" * 32, "cd" * 32
FULL = Said("approved", "assessed_first", adverse=False, shown=("text",))
QUICK = ReviewRule(risk_class="limited", gate="after_use", one_click=True, max_bulk=50)
SLOW = ReviewRule(risk_class="limited", gate="after_use", one_click=False, max_bulk=0)


@pytest.mark.parametrize(
    ("said", "risk_class", "fault"),
    [
        pytest.param(FULL, "high_decision", None, id="all is said"),
        pytest.param(FULL._replace(decision=None), "limited", "decision_missing", id="no decision"),
        pytest.param(FULL._replace(decision="liked"), "limited", "decision_missing", id="no such decision"),
        pytest.param(Said("approved"), "limited", None, id="a quick approval, where the rule allows it"),
        pytest.param(Said("approved"), "high_decision", "reason_missing", id="none of a decision, whatever the rule"),
        pytest.param(Said("rejected"), "limited", "reason_missing", id="a rejection says why"),
        pytest.param(
            Said("rejected", "assessed_first"), "limited", "reason_unknown", id="a reason of another decision"
        ),
        pytest.param(FULL._replace(adverse=None), "unclassified", "adverse_missing", id="to whose disadvantage"),
        pytest.param(FULL._replace(adverse=None, shown=()), "high_support", None, id="not asked of preparations"),
        pytest.param(FULL._replace(shown=()), "high_decision", "shown_missing", id="nothing was looked at"),
        pytest.param(FULL._replace(shown=("gossip",)), "limited", "shown_unknown", id="something else was"),
        pytest.param(Said("abstained", "disqualified"), "high_decision", None, id="who abstains says only why"),
        pytest.param(Said("edited", "facts_corrected"), "limited", "edited_hash_missing", id="edited, but what"),
        pytest.param(
            Said("edited", "facts_corrected", edited_hash=HASH), "limited", "edited_hash_same", id="edited into itself"
        ),
        pytest.param(Said("edited", "facts_corrected", edited_hash=OTHER), "limited", None, id="edited"),
    ],
)
def test_what_a_decision_needs(said: Said, risk_class: str, fault: str | None) -> None:
    assert fault_of(said, QUICK, risk_class, HASH) == fault


def test_no_class_that_decides_is_approved_by_one_click() -> None:
    assert all(needs_confirming(QUICK, risk_class) for risk_class in ONE_BY_ONE)
    assert not needs_confirming(QUICK, "limited")
    assert needs_confirming(SLOW, "limited")
    assert needs_confirming(None, "limited"), "what no rule allows"


@pytest.mark.parametrize(
    ("count", "kinds", "rule", "fault"),
    [
        pytest.param(50, {("chat", "limited")}, QUICK, None, id="as many as the rule allows"),
        pytest.param(51, {("chat", "limited")}, QUICK, "bulk_too_many", id="one more"),
        pytest.param(2, {("chat", "limited"), ("help", "limited")}, QUICK, "bulk_mixed", id="two use cases"),
        pytest.param(2, {("chat", "limited"), ("chat", "minimal")}, QUICK, "bulk_mixed", id="two classes"),
        pytest.param(1, {("benefits", "high_decision")}, QUICK, "bulk_never", id="a decision about a person"),
        pytest.param(1, {("chat", "limited")}, SLOW, "bulk_never", id="the rule allows none"),
        pytest.param(1, {("chat", "limited")}, None, "bulk_never", id="no rule"),
        pytest.param(0, set(), QUICK, "bulk_empty", id="nothing"),
        pytest.param(201, {("chat", "limited")}, QUICK.model_copy(update={"max_bulk": None}), "bulk_too_many",
                     id="more than anybody can look at"),
    ],
)  # fmt: skip
def test_how_many_are_decided_about_at_once(
    count: int, kinds: set[tuple[str, str]], rule: ReviewRule | None, fault: str | None
) -> None:
    assert fault_of_bulk(count, kinds, rule, most=200) == fault


@given(st.integers(0, 300), st.sampled_from(["limited", "high_support", "high_decision", "unclassified"]))
def test_a_limit_is_never_above_the_rule_s(allowed: int, risk_class: str) -> None:
    limit = bulk_limit(QUICK.model_copy(update={"max_bulk": allowed}), risk_class, 200)
    assert 0 <= limit <= min(allowed, 200)
    assert limit == 0 or risk_class not in ONE_BY_ONE


def test_names_are_the_same_until_the_log_knows_more() -> None:
    names = {review_name(output, person, earlier) for output in "ab" for person in "pq" for earlier in range(3)}
    assert len(names) == 12
    assert review_name("a", "p", 1) == review_name("a", "p", 1)
    assert bulk_name("p", ["x", "y"]) == bulk_name("p", ["y", "x"]) != bulk_name("q", ["x", "y"])


def test_a_review_ends_once_however_it_ends() -> None:
    review = review_of("o", "r", FULL, By("p-1"), MONDAY, opened_at=MONDAY, content_hash=HASH)
    handed = declining("o", "r", "p-1", "no_time", MONDAY)
    assert deciding(review).id == handed.id != opening("o", "r", "p-1", MONDAY).id


def test_what_is_written_of_a_decision() -> None:
    said, opened = Said("rejected", "wrong_law", True, SHOWN, OTHER), MONDAY - timedelta(minutes=3)
    review = review_of("o", "r", said, By("p-1", "editor"), MONDAY, opened_at=opened, content_hash=HASH, replaces="q")
    told = (review.reviewer, review.capacity, review.decided_by, review.made_in, review.replaces, review.adverse)
    assert told == ("p-1", "editor", "person", "valvomo", "q", True)
    assert (review.evidence, review.edited_content_hash, review.content_hash_reviewed) == (
        "explicit_accept",
        None,
        HASH,
    )


def test_every_decision_has_reasons() -> None:
    assert all(REASONS[decision] for decision in ("approved", "edited", "rejected", "abstained", "declined"))
