"""The review rule, case by case: what state an output is in, which findings it opens, and what closes them."""

from collections.abc import Sequence
from datetime import date, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.audit_log.domain.reviews.duty import Duty, Rulebook, duty_of
from services.audit_log.domain.reviews.folding import (
    Case,
    Happened,
    assign,
    decide,
    finding_id,
    fold,
    judge,
)
from services.audit_log.domain.telling import SOURCE
from services.shared.events import Event, decode, encode
from services.shared.events.outcomes import FindingClosed, FindingOpened
from services.shared.events.register import ReviewerMandate
from tests.unit.audit_log.events import (
    MONDAY,
    POLICY,
    USE_CASES,
    at,
    deleted,
    generated,
    opened,
    reviewed,
    superseded,
    use_case,
    used,
)

RULES = Rulebook((POLICY,), USE_CASES)
DUE = at(24)
"""Eight business hours after Monday 10:00: Tuesday 10:00."""
LATE = at(30)
A, B, C = "a" * 64, "b" * 64, "c" * 64


def case_of(*events: Event, rules: Rulebook = RULES) -> Case:
    case = Case(output_id="o-1")
    for event in events:
        case = add(case, event, rules)
    return case


def add(case: Case, event: Event, rules: Rulebook = RULES) -> Case:
    """Fold an event that the bus had when its source told it."""
    return fold(case, Happened(0, event.time, event), rules)


def settle(case: Case, now: datetime, rules: Rulebook = RULES) -> tuple[Case, list[Event]]:
    """Decide, read the decisions back, and again, until nothing is left to decide."""
    told: list[Event] = []
    while decisions := decide(case, now):
        told += decisions
        for event in decisions:
            case = add(case, decode(encode(event)), rules)
    return case, told


def story(told: Sequence[Event]) -> list[str]:
    closings = [event for event in told if isinstance(event, FindingOpened | FindingClosed)]
    return [
        event.data.kind if isinstance(event, FindingOpened) else f"closed {event.data.reason}" for event in closings
    ]


@pytest.mark.parametrize(
    ("events", "now", "state", "findings"),
    [
        pytest.param([generated()], DUE, "pending", [], id="waits until its due time, inclusive"),
        pytest.param([generated()], at(24.001), "overdue", ["overdue_review"], id="overdue after it"),
        pytest.param([generated(), opened()], at(0.5), "in_review", [], id="opened"),
        pytest.param([generated(), opened()], at(0.51), "pending", [], id="opened, and left for half an hour"),
        pytest.param([generated(), opened()], LATE, "overdue", ["overdue_review"], id="opened and left"),
        pytest.param([generated(), reviewed(when=DUE)], LATE, "approved", [], id="reviewed at the last moment"),
        pytest.param([generated(), reviewed(decision="edited", evidence="edited")], LATE, "edited", [], id="edited"),
        pytest.param([generated(), reviewed(decision="rejected")], LATE, "rejected", [], id="rejected"),
        pytest.param(
            [generated(), reviewed(when=at(25))],
            LATE,
            "late_reviewed",
            ["overdue_review", "closed reviewed_late"],
            id="reviewed too late: the record shows both",
        ),
        pytest.param(
            [generated(), reviewed(when=at(30))], at(2), "approved", [], id="a clock ahead of ours, before the due time"
        ),
        pytest.param(
            [generated(), reviewed(evidence="thumb")], LATE, "overdue", ["overdue_review"], id="a thumb is no review"
        ),
        pytest.param(
            [generated(), reviewed(decision="abstained")], LATE, "overdue", ["overdue_review"], id="abstained"
        ),
        pytest.param(
            [generated(), reviewed(reviewer="p-requester")],
            LATE,
            "overdue",
            ["overdue_review", "self_review"],
            id="own output",
        ),
        pytest.param(
            [generated(), reviewed(reviewer=None)], LATE, "overdue", ["overdue_review"], id="review by nobody"
        ),
        pytest.param(
            [generated(content_hash=A), reviewed(content_hash_reviewed=B)],
            LATE,
            "overdue",
            ["overdue_review", "review_of_unknown_content"],
            id="review of another content",
        ),
        pytest.param([reviewed(), generated()], LATE, "approved", [], id="the review came before its output"),
        pytest.param([reviewed()], at(24), "unknown_output", [], id="the output may still come"),
        pytest.param([reviewed()], LATE, "unknown_output", ["orphan_review"], id="the output never came"),
        pytest.param([generated(), superseded(when=at(1))], LATE, "superseded", [], id="replaced in time"),
        pytest.param(
            [generated(), superseded(when=at(1)), used(when=at(2))],
            LATE,
            "used_unreviewed",
            ["used_unreviewed", "overdue_review"],
            id="replaced and used all the same",
        ),
        pytest.param(
            [generated(), reviewed(when=at(1)), used(when=at(2))], LATE, "approved", [], id="used after its review"
        ),
        pytest.param(
            [generated(), used(when=at(1))], at(2), "used_unreviewed", ["used_unreviewed"], id="used before any review"
        ),
        pytest.param(
            [generated(), used(when=at(1)), reviewed(when=at(2))],
            at(3),
            "reviewed_after_use",
            ["used_unreviewed", "closed reviewed_after_use"],
            id="used, then reviewed",
        ),
        pytest.param(
            [generated(), reviewed(when=at(1), decision="rejected"), used(when=at(2))],
            LATE,
            "used_rejected",
            ["used_rejected"],
            id="used although rejected: no review closes that",
        ),
        pytest.param(
            [
                generated(),
                reviewed(when=at(1)),
                reviewed(review="r-2", reviewer="p-other", when=at(2), decision="rejected"),
                used(when=at(3)),
            ],
            LATE,
            "used_rejected",
            ["used_rejected"],
            id="of two reviewers the stricter counts",
        ),
        pytest.param(
            [
                generated(),
                reviewed(when=at(1), decision="rejected"),
                reviewed(review="r-2", when=at(2)),
                used(when=at(3)),
            ],
            LATE,
            "approved",
            [],
            id="a reviewer may change her mind",
        ),
        pytest.param(
            [
                generated(content_hash=A),
                reviewed(content_hash_reviewed=A, when=at(1)),
                used(when=at(2), content_hash_used=B),
            ],
            LATE,
            "used_unreviewed",
            ["used_unreviewed"],
            id="changed after its review",
        ),
        pytest.param(
            [
                generated(content_hash=A),
                used(when=at(2), content_hash_used=B),
                reviewed(
                    content_hash_reviewed=A, edited_content_hash=B, decision="edited", evidence="edited", when=at(1)
                ),
            ],
            LATE,
            "edited",
            [],
            id="what the reviewer made of it was used",
        ),
        pytest.param(
            [generated(), deleted()],
            LATE,
            "deleted_unreviewed",
            ["deleted_unreviewed", "closed erased"],
            id="erased by law",
        ),
        pytest.param(
            [generated(), deleted(reason="retention")],
            LATE,
            "deleted_unreviewed",
            ["deleted_unreviewed"],
            id="deleted too early",
        ),
        pytest.param(
            [generated(use_case="chat"), used()], at(1), "pending", [], id="review after use: use opens nothing"
        ),
        pytest.param(
            [generated(use_case="chat")], at(200), "overdue", ["overdue_review"], id="and is due all the same"
        ),
        pytest.param(
            [generated(use_case="chat"), reviewed(evidence="thumb")],
            at(200),
            "approved",
            [],
            id="a thumb suffices there",
        ),
        pytest.param([generated(use_case="drafts"), used()], at(900), "exempt", [], id="no review demanded"),
        pytest.param([generated(environment="test"), used()], LATE, "exempt", [], id="test traffic"),
        pytest.param(
            [generated(use_case="scoring")], MONDAY, "prohibited", ["prohibited_use"], id="prohibited at once"
        ),
        pytest.param(
            [generated(use_case=None)],
            LATE,
            "overdue",
            ["unclassified_use", "overdue_review"],
            id="unclassified is high",
        ),
        pytest.param(
            [generated(use_case="new")],
            LATE,
            "overdue",
            ["unclassified_use", "overdue_review"],
            id="unknown use case is high",
        ),
        pytest.param(
            [generated(when=datetime.fromisoformat("2025-12-01T10:00:00Z"))],
            LATE,
            "generated",
            [],
            id="before any policy",
        ),
    ],
)
def test_states_and_findings(events: list[Event], now: datetime, state: str, findings: list[str]) -> None:
    case, told = settle(case_of(*events), now)
    assert judge(case, now).state == state
    assert story(told) == findings


def test_an_output_that_names_no_use_case_belongs_to_the_only_one_of_its_system() -> None:
    output = generated(use_case=None).data
    alone = RULES._replace(use_cases=(use_case("drafts", "minimal"),))
    elsewhere = RULES._replace(use_cases=(use_case("drafts", "minimal").model_copy(update={"systems": ("other",)}),))
    classes = [duty.risk_class for rules in (alone, elsewhere, RULES) if (duty := duty_of(output, rules))]
    assert classes == ["minimal", "unclassified", "unclassified"]


def test_a_finding_says_what_it_is_about() -> None:
    _, event = decide(case_of(generated()), LATE)
    assert isinstance(event, FindingOpened)
    data = event.data
    assert (event.id, event.source, event.subject) == (data.finding_id, SOURCE, "o-1")
    assert (data.system, data.unit, data.use_case) == ("now-assist", "kymp", "benefits")
    assert (data.policy, data.policy_version, data.due_at, data.detected_at) == ("review", 3, DUE, LATE)


def test_the_same_finding_has_the_same_name_whenever_it_is_found() -> None:
    case = case_of(generated())
    assert [event.id for event in decide(case, LATE)] == [event.id for event in decide(case, at(99))]
    assert case.duty is not None
    other = case.duty.model_copy(update={"policy_version": 4})
    names = {finding_id("o-1", "overdue_review", duty) for duty in (case.duty, other)}
    assert (
        len(names | {finding_id("o-1", "used_unreviewed", case.duty), finding_id("o-2", "overdue_review", case.duty)})
        == 4
    )


@pytest.mark.parametrize(
    ("review", "reason"), [(reviewed(when=at(5)), "reviewed_in_time"), (reviewed(when=at(40)), "reviewed_late")]
)
def test_a_review_that_comes_later_closes_the_matter(review: Event, reason: str) -> None:
    case, told = settle(case_of(generated()), LATE)
    case, more = settle(add(case, review, RULES), at(50))
    assert story(told) == ["overdue_review"]
    assert story(more) == [f"closed {reason}"]
    assert isinstance(more[0], FindingClosed)
    assert (more[0].data.review_id, more[0].data.finding_id) == ("r-1", told[1].id)


def test_a_replacement_closes_an_overdue_review() -> None:
    case, _ = settle(case_of(generated()), LATE)
    assert story(settle(add(case, superseded(when=at(40)), RULES), at(50))[1]) == ["closed superseded"]


def test_a_late_register_heals() -> None:
    before = case_of(generated(), reviewed(evidence="thumb"), rules=Rulebook())
    assert judge(before, LATE).state == "generated"
    assert decide(before, LATE) == []
    after = assign(before, RULES)
    assert judge(after, LATE).state == "overdue"
    assert after.reviews[0].standing == "not_evidence"


def test_due_times_stay_as_they_were_computed() -> None:
    case = case_of(generated())
    relaxed = POLICY.model_copy(update={"rules": (), "version": 4, "valid_from": date(2026, 2, 1)})
    assert assign(case, Rulebook((relaxed,), USE_CASES)) == case


@pytest.mark.parametrize(
    ("before", "after", "moves"),
    [
        pytest.param("limited", "high_decision", True, id="upward"),
        pytest.param("high_decision", "limited", False, id="not downward"),
        pytest.param("unclassified", "minimal", True, id="from unclassified to what it is"),
    ],
)
def test_reclassification(before: str, after: str, moves: bool) -> None:
    case = case_of(generated(), rules=Rulebook((POLICY,), (use_case(risk_class=before),)))
    changed = assign(case, Rulebook((POLICY,), (use_case(risk_class=after),)))
    assert (changed != case) is moves
    settled = add(case, reviewed(), Rulebook((POLICY,), (use_case(risk_class=before),)))
    assert assign(settled, Rulebook((POLICY,), (use_case(risk_class=after),))) == settled


def mandate(reviewer: str, **members: object) -> ReviewerMandate:
    fields = {"unit": "kymp", "valid_from": date(2026, 1, 1), "use_cases": ("benefits",), **members}
    return ReviewerMandate.model_validate({"reviewer": reviewer, **fields})


@pytest.mark.parametrize(
    ("mandates", "standing"),
    [
        pytest.param((), "valid", id="nobody is named"),
        pytest.param((mandate("p-reviewer"),), "valid", id="she is named"),
        pytest.param((mandate("p-other"),), "not_mandated", id="somebody else is named"),
        pytest.param((mandate("p-reviewer", valid_to=date(2026, 11, 16)),), "not_mandated", id="her mandate ended"),
        pytest.param((mandate("p-other", use_cases=("chat",)),), "valid", id="named for another use case"),
        pytest.param((mandate("p-other", use_cases=()),), "not_mandated", id="named for the whole unit"),
        pytest.param((mandate("p-other", use_cases=(), unit="sote"),), "valid", id="named for another unit"),
    ],
)
def test_who_may_review(mandates: tuple[ReviewerMandate, ...], standing: str) -> None:
    case = case_of(generated(), reviewed(), rules=Rulebook((POLICY,), USE_CASES, mandates))
    assert case.reviews[0].standing == standing


def test_the_policy_of_the_day_of_generation_holds() -> None:
    later = POLICY.model_copy(update={"version": 4, "valid_from": date(2026, 11, 17)})
    rules = Rulebook((later, POLICY), USE_CASES)
    found = [duty_of(generated(when=when).data, rules) for when in (at(13.9), at(14.1))]
    assert [duty.policy_version for duty in found if duty] == [3, 4], "the Helsinki day begins at 22:00 UTC"


def test_a_unit_is_found_where_it_can_be() -> None:
    units = [generated(unit=None), generated(unit=None, use_case="nothing")]
    assert [duty.unit for event in units if (duty := duty_of(event.data, RULES))] == ["kymp", "unallocated"]


def test_a_class_without_a_rule_is_treated_as_high() -> None:
    rules = Rulebook((POLICY.model_copy(update={"rules": ()}),), USE_CASES)
    duty = duty_of(generated().data, rules)
    assert isinstance(duty, Duty)
    assert (duty.gate, duty.due_at) == ("before_use", None)


pool = [
    generated(), generated(when=at(9)), reviewed(when=at(20)), reviewed(when=at(28), review="r-2", reviewer="p-other"),
    reviewed(when=at(3), review="r-3", evidence="thumb"), used(when=at(10)), used(when=at(22), use="u-2"),
    used(when=at(29), use="u-3"), superseded(when=at(21)), opened(), deleted(reason="retention"),
]  # fmt: skip
stories = st.lists(st.sampled_from(pool), max_size=10)


@settings(deadline=None)
@given(stories, st.integers(0, 48))
def test_everything_decided_is_decided_once(events: list[Event], hour: int) -> None:
    case, told = settle(case_of(*events), at(hour))
    assert len({event.id for event in told}) == len(told)
    assert decide(case, at(hour)) == []
    assert settle(case_of(*events, *told), at(hour))[1] == [], "reading the outcomes back decides nothing again"


@settings(max_examples=1_000, deadline=None)
@given(stories, st.integers(0, 48))
@example([generated(), reviewed(when=at(28))], 10)
def test_every_use_that_should_not_have_been_has_a_finding(events: list[Event], hour: int) -> None:
    case, _ = settle(case_of(*events), at(hour))
    state = judge(case, at(hour)).state
    kinds = {known.kind for known in case.findings.values()}
    if state in ("used_unreviewed", "reviewed_after_use", "used_rejected"):
        assert kinds & {"used_unreviewed", "used_rejected"}
    if state in ("overdue", "late_reviewed"):
        assert "overdue_review" in kinds


@settings(deadline=None)
@given(stories, st.sampled_from(pool), st.integers(0, 48))
def test_more_events_never_take_a_finding_away(events: list[Event], more: Event, hour: int) -> None:
    case, told = settle(case_of(*events), at(hour))
    later, _ = settle(add(case, more, RULES), at(hour))
    assert case.findings.keys() <= later.findings.keys()
    assert {event.id for event in told if isinstance(event, FindingOpened)} <= later.findings.keys()


@settings(max_examples=1_000, deadline=None)
@given(stories, st.integers(0, 30), st.integers(20, 60))
@example([generated(), reviewed(when=at(28))], 10, 30)
def test_looking_at_the_named_moment_is_enough(events: list[Event], first: int, second: int) -> None:
    """Between a judgement and its `next_look` nothing changes by itself."""
    case = case_of(*events)
    early, late = sorted((first, second))
    judged = judge(case, at(early))
    if judged.next_look is None or at(late) <= judged.next_look:
        assert judge(case, at(late)).state == judged.state
        assert [event.id for event in decide(case, at(late))] == [event.id for event in decide(case, at(early))]


@settings(deadline=None)
@given(stories)
def test_cases_survive_being_written_down(events: list[Event]) -> None:
    case = case_of(*events)
    assert Case.model_validate_json(case.model_dump_json(exclude_defaults=True)) == case
