"""The thirty decided cases, one test each."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from services.audit_log.domain.reviews import standing as weighing
from services.audit_log.domain.reviews.calendar import due_time
from services.audit_log.domain.reviews.duty import Rulebook, duty_of
from services.audit_log.domain.reviews.resubmitting import resubmitting
from services.shared.consumer import Delivered
from services.shared.events import GOVERNANCE, Event, decode
from services.shared.events import governance as told
from services.shared.events.register import ReviewerMandated
from services.shared.settings import Settings
from tests.contract.log_contract import Program
from tests.unit.audit_log.events import (
    MONDAY,
    POLICY,
    SOURCE,
    USE_CASES,
    at,
    deleted,
    generated,
    opened,
    register_events,
    reviewed,
    superseded,
    use_case,
    used,
    without_fact,
)
from tests.unit.audit_log.obligations.telling import (
    A,
    B,
    C,
    Told,
    assign,
    case_of,
    decide,
    demand,
    flags,
    judge,
    mandate,
    outcome,
    policy,
    rules,
    settle,
    standing,
    story,
)

LATE = at(30)
"""After the due time of a decision (Tuesday 10:00 Helsinki)."""
STRICT_CLOCKS = rules(policy(clock_grace_seconds=120, trusted_sources=()))


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    made = Program(Settings(data_dir=tmp_path / "var", log_origin="log.example/audit"))
    yield made
    made.close()


def findings_of(program: Program) -> list[tuple[str, str]]:
    """(output, kind) of all that were opened."""
    return sorted((event.data.output_id, event.data.kind) for event in program.outcomes() if "opened" in event.type)


def joined(old: str, new: str, when: datetime = MONDAY) -> told.PseudonymsJoined:
    data = told.PseudonymJoining(old=old, new=new, joined_at=when)
    return told.PseudonymsJoined(id=f"{old}.{new}", source=SOURCE, subject=old, time=when, data=data)


def test_e01_a_review_before_its_output_waits_for_it() -> None:
    assert outcome([reviewed(when=at(1))], at(25)) == ("unknown_output", [])
    assert outcome([reviewed(when=at(1))], at(25.01)) == ("unknown_output", ["orphan_review"])
    assert outcome([reviewed(when=at(1)), generated()], LATE) == ("approved", [])
    known = rules(policy(orphan_hours=2))
    orphan, said = settle(case_of([reviewed(when=at(1))], known), at(4), known)
    assert story(said) == ["orphan_review"]
    assert said[0].data.output_id == "o-1"
    found, more = settle(case_of([generated()], known, orphan), at(5), known)
    assert (judge(found, at(5)).state, story(more)) == ("approved", ["closed recorded"])


def test_e02_the_same_review_twice_changes_nothing_another_under_its_id_is_a_contradiction() -> None:
    first, again = reviewed(when=at(1)), reviewed(when=at(1), decision="rejected")
    assert outcome([generated(), first, first], LATE) == ("approved", [])
    assert outcome([generated(), first, again], LATE) == ("approved", ["conflicting_duplicate"])
    assert outcome([generated(), again, first], LATE) == ("rejected", ["conflicting_duplicate"]), "the first stands"


def test_e02_what_the_log_marked_as_a_contradiction_is_told_once(program: Program) -> None:
    other = reviewed(when=at(1), decision="rejected")
    program.publish(*register_events(), generated(), reviewed(when=at(1)), other, other)
    program.settle()
    assert (program.states(), findings_of(program)) == ({"o-1": "approved"}, [("o-1", "conflicting_duplicate")])


def test_e03_of_two_who_differ_the_stricter_counts_until_a_higher_rank_decides() -> None:
    known = rules(POLICY, USE_CASES, mandate("p-one"), mandate("p-two"), mandate("p-chief", rank=2))
    yes = reviewed(when=at(1), review="r-1", reviewer="p-one")
    no = reviewed(when=at(2), review="r-2", reviewer="p-two", decision="rejected")
    chief = reviewed(when=at(3), review="r-3", reviewer="p-chief")
    assert outcome([generated(), yes, no], LATE, known) == ("rejected", [])
    assert "disagreement" in flags([generated(), yes, no], LATE, known)
    assert outcome([generated(), no, yes], LATE, known) == ("rejected", [])
    assert outcome([generated(), yes, no, chief], LATE, known) == ("approved", [])
    early = reviewed(when=at(0.5), review="r-3", reviewer="p-chief")
    assert outcome([generated(), early, no], LATE, known) == ("rejected", []), "she has not seen the rejection"


def test_e04_a_reviewer_may_change_her_mind_and_uses_are_judged_by_what_held_then() -> None:
    yes = reviewed(when=at(1))
    no = reviewed(when=at(5), review="r-2", decision="rejected", replaces="r-1")
    assert outcome([generated(), yes, no], LATE) == ("rejected", [])
    assert outcome([generated(), yes, no, used(when=at(3))], LATE) == ("rejected", []), "in between it was approved"
    assert outcome([generated(), yes, no, used(when=at(6))], LATE) == ("used_rejected", ["used_rejected"])


@pytest.mark.parametrize(
    ("requester", "name", "expected"),
    [
        ("p-reviewer", "benefits", "self_review"),
        ("p-reviewer", "chat", "self_review"),
        (None, "benefits", "unknown_requester"),
        (None, "nobody knows", "unknown_requester"),
        (None, "chat", "valid"),
        ("p-requester", "benefits", "valid"),
    ],
)
def test_e05_who_asked_for_it_does_not_review_it(requester: str | None, name: str, expected: str) -> None:
    entries = [generated(requester=requester, use_case=name), reviewed(when=at(1))]
    assert standing(entries) == expected
    assert ("self_review" in outcome(entries, at(2))[1]) is (expected != "valid")


@pytest.mark.parametrize(
    ("members", "expected", "finding"),
    [
        ({"trained_on": date(2026, 11, 16)}, "valid", None),
        ({"trained_on": date(2026, 11, 17)}, "not_trained", "reviewer_not_trained"),
        ({"trained_on": date(2026, 1, 1), "trained_until": date(2026, 11, 16)}, "not_trained", "reviewer_not_trained"),
        ({}, "not_trained", "reviewer_not_trained"),
        ({"trained_on": date(2026, 1, 1), "valid_to": date(2026, 11, 16)}, "not_mandated", "reviewer_not_mandated"),
    ],
)
def test_e06_training_and_mandate_are_asked_for_on_the_day_of_the_decision(
    members: dict[str, Any], expected: str, finding: str | None
) -> None:
    known = rules(policy(training_required=True), USE_CASES, mandate(**members))
    entries = [generated(), reviewed(when=at(1))]
    assert standing(entries, known) == expected
    assert outcome(entries, at(2), known)[1] == ([finding] if finding else [])


def test_e06_a_mandate_that_arrives_a_moment_later_makes_no_false_finding(program: Program) -> None:
    """The review is read before the register that names the reviewer; nothing is said until that was read too."""
    trained = policy(training_required=True)
    program.publish(*register_events(1, (trained,), USE_CASES, (mandate("p-other", trained_on=date(2026, 1, 1)),)))
    program.settle()
    program.clock.advance(timedelta(seconds=1))
    program.publish(generated(), reviewed(when=at(1)), used(when=at(2)))
    both = (mandate("p-other"), mandate(trained_on=date(2026, 1, 1)))
    program.publish(*register_events(2, (trained,), USE_CASES, both))
    read_but_the_register(program)
    while program.service.tick() == 0.0:
        pass
    assert (findings_of(program), program.states()) == ([], {"o-1": "used_unreviewed"}), "it waits"
    program.settle()
    assert (findings_of(program), program.states()) == ([], {"o-1": "approved"})


def test_e06_a_mandate_that_never_arrives_makes_the_finding(program: Program) -> None:
    program.publish(*register_events(1, mandates=(mandate("p-other"),)), generated(), reviewed(when=at(1)))
    program.settle()
    assert findings_of(program) == [("o-1", "reviewer_not_mandated")]


def test_e06_what_was_reviewed_still_counts_when_the_reviewer_has_left(program: Program) -> None:
    """Named no more, somebody may not review from the next day on; nothing that they did is undone."""
    both = (mandate("p-other"), mandate())
    program.publish(*register_events(1, mandates=both), generated(), reviewed(when=at(1)), generated("o-2", at(2)))
    program.settle()
    program.publish(without_fact(2, ReviewerMandated, "ReviewerMandated-1"), *register_events(2, (), (), ()))
    program.settle()
    assert (findings_of(program), program.states()["o-1"]) == ([], "approved")
    program.clock.advance(timedelta(days=1))
    program.publish(reviewed("o-2", at(25), "r-2"))
    program.settle()
    assert findings_of(program)[0] == ("o-2", "reviewer_not_mandated")


def read_but_the_register(program: Program) -> None:
    """Let the log take what the governance topic holds, and nothing of what the register's topic has more."""
    records = program.records(GOVERNANCE.name)
    with program.service.store.transaction() as tx:
        program.service.consumer.handler.handle([Delivered(one, decode(one.value)) for one in records], tx)


def test_e07_an_output_made_again_is_another_one_and_no_approval_carries_over() -> None:
    first = [generated(content_hash=A), reviewed(when=at(1)), superseded(when=at(2))]
    assert outcome(first, LATE)[0] == "approved"
    assert outcome([generated(content_hash=A), superseded(when=at(2))], LATE) == ("superseded", [])
    again = generated("o-2", at(2), content_hash=A, parent_output_id="o-1")
    assert judge(case_of([again]), at(3)).state == "pending"


@pytest.mark.parametrize(
    ("use", "expected"),
    [
        ({"content_hash_used": A}, "approved"),
        ({"content_hash_used": B}, "used_unreviewed"),
        ({"content_hash_used": C, "rendering": {"template": "letterhead", "content_hash": A}}, "approved"),
        ({"content_hash_used": C, "rendering": {"template": "letterhead", "content_hash": B}}, "used_unreviewed"),
        ({"content_hash_used": C, "rendering": {"template": "rewriting", "content_hash": A}}, "used_unreviewed"),
    ],
)
def test_e08_what_was_changed_after_its_approval_was_not_approved(use: dict[str, Any], expected: str) -> None:
    known = rules(policy(renderings=("letterhead",)))
    entries = [generated(content_hash=A), reviewed(when=at(1), content_hash_reviewed=A), used(when=at(2), **use)]
    assert outcome(entries, at(3), known)[0] == expected


def test_e08_what_the_reviewer_made_of_it_was_approved_and_nothing_else() -> None:
    edited = reviewed(when=at(1), decision="edited", evidence="edited", edited_content_hash=B)
    entries = [generated(content_hash=A), edited]
    assert outcome([*entries, used(when=at(2), content_hash_used=B)], at(3))[0] == "edited"
    assert outcome([*entries, used(when=at(2), content_hash_used=A)], at(3))[0] == "used_unreviewed"


def test_e09_a_review_of_content_that_nobody_knows() -> None:
    entries = [generated(content_hash=A), reviewed(when=at(1), content_hash_reviewed=C)]
    assert standing(entries) == "other_content"
    assert outcome(entries, at(2)) == ("pending", ["review_of_unknown_content"])


@pytest.mark.parametrize(
    ("limit", "place", "counts"), [(10, 1, True), (10, 10, True), (10, 11, False), (10, None, False), (0, 1, False)]
)
def test_e10_more_approvals_in_one_bulk_than_allowed_do_not_count(limit: int, place: int | None, counts: bool) -> None:
    bulk = reviewed(when=at(1), bulk_id="b-1", bulk_place=place, bulk_size=12)
    expected = ("approved", []) if counts else ("pending", ["bulk_over_limit"])
    assert outcome([generated(), bulk], at(2), rules(policy(max_bulk=limit))) == expected


def test_e10_a_bulk_of_ten_thousand() -> None:
    known = rules(policy(max_bulk=10))
    states = [
        judge(case_of([generated(), reviewed(bulk_id="b", bulk_place=n, bulk_size=10_000)], known), at(1)).state
        for n in range(1, 10_001)
    ]
    assert (states.count("approved"), states.count("pending")) == (10, 9_990)


def test_e10_of_many_reviews_of_one_output_each_is_weighed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    weighed = Mock(wraps=weighing.weigh_one)
    monkeypatch.setattr(weighing, "weigh_one", weighed)
    reviews = [reviewed(when=at(1), review=f"r-{number}", reviewer=f"p-{number}") for number in range(40)]
    assert judge(case_of([generated(), *reviews]), at(3)).state == "approved"
    assert weighed.call_count == len(reviews)


def test_e10_a_review_of_what_an_editor_is_yet_to_make_counts_once_it_is_told() -> None:
    early = reviewed(when=at(1), review="r-1", content_hash_reviewed=B)
    assert standing([generated(content_hash=A), early]) == "other_content"
    edited = reviewed(when=at(1), review="r-2", reviewer="p-second", decision="edited", edited_content_hash=B)
    assert standing([generated(content_hash=A), early, edited]) == "valid"


@pytest.mark.parametrize(
    ("decided", "flag", "finding"),
    [(at(0), None, False), (at(-0.03), "within_grace", False), (at(-0.04), "clock_differs", True)],
)
def test_e11_a_decision_before_its_output_was_made(decided: datetime, flag: str | None, finding: bool) -> None:
    """Two minutes may clocks differ."""
    entries: list[Told] = [generated(), (reviewed(when=decided), at(0.01))]
    assert (flags(entries, at(1), STRICT_CLOCKS) & {"within_grace", "clock_differs"}) == ({flag} if flag else set())
    assert outcome(entries, at(1), STRICT_CLOCKS) == ("approved", ["clock_differs"] if finding else [])


def test_e11_a_decision_ahead_of_the_bus_counts_from_when_it_came() -> None:
    entries: list[Told] = [generated(), (reviewed(when=at(20)), at(28))]
    assert outcome([generated(), (reviewed(when=at(30)), at(1))], LATE, STRICT_CLOCKS) == (
        "approved",
        ["clock_differs"],
    )
    assert outcome(entries, LATE, STRICT_CLOCKS)[0] == "late_reviewed"
    future = generated(when=at(500))
    case, said = settle(case_of([(future, at(0))], STRICT_CLOCKS), LATE, STRICT_CLOCKS)
    assert (judge(case, LATE).state, story(said)) == ("overdue", ["clock_differs", "overdue_review"])


@pytest.mark.parametrize(
    ("trusted", "expected", "flag"),
    [(("test/*",), "approved", True), ((SOURCE,), "approved", True), ((), "late_reviewed", False)],
)
def test_e12_news_that_come_late_are_believed_of_a_trusted_source(
    trusted: tuple[str, ...], expected: str, flag: bool
) -> None:
    known = rules(policy(clock_grace_seconds=120, trusted_sources=trusted))
    entries: list[Told] = [generated(), (reviewed(when=at(1)), at(48))]
    assert outcome(entries, at(49), known)[0] == expected
    assert ("claimed_time" in flags(entries, at(49), known)) is flag


def test_e13_content_destroyed_before_its_review() -> None:
    assert outcome([generated(), deleted(when=at(1), reason="vendor")], at(2)) == (
        "deleted_unreviewed", ["deleted_unreviewed"],
    )  # fmt: skip
    assert outcome([generated(), deleted(when=at(1))], at(2))[1] == ["deleted_unreviewed", "closed erased"]
    late = [generated(), deleted(when=at(26), reason="retention")]
    assert outcome(late, LATE) == ("overdue", ["overdue_review", "deleted_unreviewed"])
    after = [generated(), deleted(when=at(1), reason="vendor"), reviewed(when=at(2))]
    assert standing(after) == "after_deletion"
    assert outcome([generated(), reviewed(when=at(1)), deleted(when=at(2))], LATE) == ("approved", [])


def test_e14_a_use_before_its_output_waits_for_it() -> None:
    assert outcome([used(when=at(1))], at(25)) == ("unknown_output", [])
    case, said = settle(case_of([used(when=at(1))]), at(26))
    assert story(said) == ["use_of_unlogged_output"]
    assert said[0].data.severity == "severe"  # type: ignore[union-attr]
    assert outcome([used(when=at(1)), generated()], at(2)) == ("used_unreviewed", ["used_unreviewed"])
    assert story(settle(case_of([generated()], None, case), at(27))[1]) == [
        "used_unreviewed", "overdue_review", "closed recorded",
    ]  # fmt: skip


def test_e15_used_before_its_approval_and_after_it() -> None:
    twice = [generated(), used(when=at(1)), reviewed(when=at(2)), used(when=at(3), use="u-2")]
    assert outcome(twice, at(4)) == ("reviewed_after_use", ["used_unreviewed", "closed reviewed_after_use"])
    assert outcome([generated(), reviewed(when=at(2)), used(when=at(3), use="u-2")], at(4)) == ("approved", [])


def test_e16_of_a_part_no_hash_can_tell() -> None:
    part = used(when=at(1), kind="copied", content_hash_used=B)
    assert outcome([generated(content_hash=A), part], at(2)) == ("pending", ["unverifiable_use"])
    whole = used(when=at(1), kind="copied", content_hash_used=A)
    assert outcome([generated(content_hash=A), whole], at(2)) == ("used_unreviewed", ["used_unreviewed"])


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ({"content_hash_reviewed": B}, "valid"),
        ({"conversation_hash": B}, "valid"),
        ({"content_hash_reviewed": A}, "valid"),
        ({"conversation_hash": C}, "other_content"),
        ({"content_hash_reviewed": C}, "other_content"),
    ],
)
def test_e17_a_review_may_cover_the_conversation_up_to_this_turn(seen: dict[str, Any], expected: str) -> None:
    turn = generated(content_hash=A, conversation_hash=B)
    assert standing([turn, reviewed(when=at(1), **seen)]) == expected
    if expected == "valid":
        sent = used(when=at(2), content_hash_used=A)
        assert outcome([turn, reviewed(when=at(1), **seen), sent], at(3)) == ("approved", [])


@pytest.mark.parametrize(
    ("kind", "expected"),
    [(None, "exempt"), ("copied", "exempt"), ("sent", "used_unreviewed"), ("executed", "used_unreviewed")],
)
def test_e18_an_inner_step_needs_review_by_its_effect_outside(kind: str | None, expected: str) -> None:
    entries: list[Event] = [generated(step=True), *([used(when=at(1), kind=kind)] if kind else [])]
    assert outcome(entries, at(2))[0] == expected
    assert (demands(entries) > 0) is (expected != "exempt")


def demands(entries: list[Event]) -> int:
    return sum(isinstance(event, told.ReviewRequested) for event in decide(case_of(entries), at(2)))


def test_e19_a_timer_approves_nothing() -> None:
    timer = reviewed(when=at(1), decided_by="timer", reviewer=None)
    assert standing([generated(), timer]) == "not_a_person"
    assert outcome([generated(), timer], at(2)) == ("pending", []), "so far nobody has relied on it"
    assert outcome([generated(), timer], LATE) == ("overdue", ["overdue_review", "no_person_reviewed"])
    assert outcome([generated(), timer, used(when=at(2))], at(3)) == (
        "used_unreviewed", ["used_unreviewed", "no_person_reviewed"],
    )  # fmt: skip


def test_e20_a_model_checks_and_does_not_review() -> None:
    model = reviewed(when=at(1), decided_by="model", reviewer="p-model", review="r-m")
    assert outcome([generated(), model, used(when=at(2))], at(3))[1] == ["used_unreviewed", "no_person_reviewed"]
    assert outcome([generated(), model, reviewed(when=at(2)), used(when=at(3))], at(4)) == ("approved", [])


def test_e21_a_lease_expires_can_be_handed_back_and_roles_are_told_once() -> None:
    refusal = told.ReviewRefusal(output_id="o-1", review_id="r-1", declined_at=at(0.1))
    handed_back = told.ReviewDeclined(id="d-1", source=SOURCE, subject="o-1", time=at(0.1), data=refusal)
    assert judge(case_of([generated(), opened()]), at(0.5)).state == "in_review"
    assert judge(case_of([generated(), opened()]), at(0.51)).state == "pending"
    assert judge(case_of([generated(), opened(), handed_back]), at(0.2)).state == "pending"
    half = {"share": "0.5", "role": "chief"}
    known = rules(policy(escalation=[half, {"share": "0.9", "role": "director"}]))
    case, said = settle(case_of([generated()], known), at(4.1), known)
    steps = [event.data for event in said if isinstance(event, told.ReviewEscalated)]
    assert [(step.role, str(step.share), step.due_at) for step in steps] == [("chief", "0.5", at(24))]
    assert judge(case, at(4.1)).next_look == due_time(MONDAY, 7) + timedelta(minutes=12), "0.9 of eight hours"
    assert settle(case, at(5), known)[1] == []
    assert settle(case_of([generated(), reviewed(when=at(1))], known), at(5), known)[1][1:] == [], "only the demand"


def test_e22_the_rule_of_the_day_of_generation_holds_unless_a_stricter_takes_hold() -> None:
    limited, minimal = (
        rules(POLICY, (use_case(risk_class="limited"),)),
        rules(POLICY, (use_case(risk_class="minimal"),)),
    )
    case = case_of([generated(), demand(risk_class="limited", gate="after_use", due_at=at(30 * 24))], limited)
    stricter = assign(case, rules(), at(20))
    assert stricter.duty is not None
    assert (stricter.duty.risk_class, stricter.duty.because) == ("high_decision", "stricter")
    assert stricter.duty.due_at == due_time(at(20), 8), "counted from when it took hold"
    (asked,) = (event.data for event in decide(stricter, at(21)) if isinstance(event, told.ReviewRequested))
    assert (asked.because, asked.due_at) == ("stricter", due_time(at(20), 8))
    assert assign(case, minimal, at(20)) == case, "a milder one changes nothing"
    done = case_of([reviewed(when=at(1))], limited, case)
    assert assign(done, rules(), at(20)) == done, "nor a stricter one, what was reviewed"


def test_e22_a_policy_that_would_make_a_past_finding_vanish_changes_nothing() -> None:
    case, said = settle(case_of([generated(), used(when=at(1))]), LATE)
    lax = policy(gate="none", deadline_business_hours=None)
    again = assign(case, rules(lax), at(31))
    assert judge(again, at(31)).state == judge(case, LATE).state == "used_unreviewed"
    assert again.findings == case.findings
    assert story(said) == ["used_unreviewed", "overdue_review"]
    assert settle(again, at(31), rules(lax))[1] == []


@pytest.mark.parametrize(
    "published",
    [
        pytest.param([Rulebook((), USE_CASES)], id="the policy is taken back"),
        pytest.param([Rulebook((POLICY.model_copy(update={"valid_to": MONDAY.date()}),), USE_CASES)], id="it is ended"),
        pytest.param([rules(POLICY, ())], id="the use case is taken back"),
        pytest.param([rules(POLICY, ()), rules(POLICY, (use_case(risk_class="minimal"),))], id="and comes as a milder"),
    ],
)
def test_e22_who_takes_back_what_was_published_takes_no_duty_with_it(published: list[Rulebook]) -> None:
    case, _ = settle(case_of([generated()]), at(1))
    again = case
    for hour, known in enumerate(published, 2):
        again = assign(again, known, at(hour))
    assert again == case
    assert story(settle(again, LATE, published[-1])[1]) == ["overdue_review"]


def test_e23_what_was_not_drawn_is_exempt_and_what_was_drawn_is_demanded_whenever_it_is_told() -> None:
    known = rules(policy("limited", sample_rate="0.05"))
    output = generated(use_case="chat")
    drawn = demand("sample", risk_class="limited", gate="after_use", due_at=at(40), period="2026-Q4")
    assert outcome([output], LATE, known)[0] == "exempt"
    assert flags([output], LATE, known) == {"not_drawn"}
    assert decide(case_of([output], known), LATE) == [], "who draws demands"
    assert outcome([output, drawn], at(30), known) == ("pending", [])
    assert outcome([output, drawn], at(41), known) == ("overdue", ["overdue_review"])
    assert outcome([output, reviewed(when=at(1)), drawn], at(41), known) == ("approved", []), "in any order"


def test_e23_a_second_review_is_another_units_and_may_come_after_the_use() -> None:
    mandates = [mandate(f"p-{name}", unit=unit) for name, unit in (("one", "kymp"), ("two", "kymp"), ("far", "sote"))]
    known = rules(POLICY, USE_CASES, *mandates)
    drawn = [generated(), demand(due_at=at(24)), demand("second", due_at=at(24), reviewers=2)]
    first = [*drawn, reviewed(when=at(1), reviewer="p-one"), used(when=at(2))]
    assert outcome(first, at(3), known) == ("pending", [])
    assert "partly_reviewed" in flags(first, at(3), known)
    near = reviewed(when=at(3), review="r-2", reviewer="p-two")
    assert outcome([*first, near], LATE, known) == ("overdue", ["overdue_review"]), "not another unit's"
    assert outcome([*first, near, reviewed(when=at(4), review="r-3", reviewer="p-far")], LATE, known)[0] == "approved"


def test_e24_what_is_drawn_to_reach_the_least_number_is_due_from_then() -> None:
    known = rules(policy("limited", sample_rate="0.05", sample_least=59))
    more = demand("top_up", when=at(2_000), risk_class="limited", gate="after_use", due_at=at(2_040), period="2026-Q4")
    entries = [generated(use_case="chat"), more]
    assert outcome(entries, at(2_040), known) == ("pending", [])
    assert outcome(entries, at(2_041), known) == ("overdue", ["overdue_review"])


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
def test_e25_a_rejected_output_that_comes_again(program: Program, order: tuple[int, ...]) -> None:
    """Whichever of the two the log hears of first."""
    told_in = [
        generated("o-1", content_hash=A),
        reviewed("o-1", at(1), decision="rejected"),
        generated("o-2", at(2), content_hash=A),
    ]
    program.publish(*register_events())
    program.settle()
    for number in order:
        program.publish(told_in[number])
        program.settle()
    assert program.states() == {"o-1": "rejected", "o-2": "pending"}
    assert findings_of(program) == [("o-2", "resubmitted_after_reject")]


def test_e25_only_of_the_same_system_and_after_the_rejection() -> None:
    rejected = case_of([generated(content_hash=A), reviewed(when=at(1), decision="rejected")])
    others = [
        generated("o-2", at(0.5), content_hash=A),
        generated("o-2", at(2), content_hash=B),
        generated("o-2", at(2), content_hash=A, system="other"),
        generated("o-1", at(2), content_hash=A),
    ]
    assert [resubmitting(case_of([one]), [rejected]).resubmits for one in others] == [None] * 4
    again = case_of([generated("o-2", at(2), content_hash=A)]).model_copy(update={"output_id": "o-2"})
    assert resubmitting(again, [rejected]).resubmits == "o-1"


@pytest.mark.parametrize(
    ("seconds", "length", "least", "expected", "hasty"),
    [
        (1, None, None, "valid", True),
        (2, None, None, "valid", False),
        (1, 0, None, "valid", True),
        (17, 1_000, None, "valid", True),
        (18, 1_000, None, "valid", False),
        (9, 10, 10, "hasty", True),
        (10, 10, 10, "valid", False),
        (1, 10, 0, "hasty", True),
        (None, 10, 10, "hasty", True),
        (None, 10, None, "valid", False),
    ],
)
def test_e26_a_decision_too_soon_after_opening(
    seconds: int | None, length: int | None, least: int | None, expected: str, hasty: bool
) -> None:
    """Two seconds at least, 30 % of the reading time of 1,000 characters a minute, and what the policy asks."""
    decided = at(1)
    when = None if seconds is None else decided - timedelta(seconds=seconds)
    entries = [generated(length=length), reviewed(when=decided, opened_at=when)]
    known = rules(policy(min_dwell_seconds=least))
    assert standing(entries, known) == expected
    assert ("hasty_review" in outcome(entries, at(2), known)[1]) is hasty


def test_e26_the_opening_counts_where_the_review_does_not_tell_it() -> None:
    known = rules(policy(min_dwell_seconds=60))
    assert standing([generated(), opened(), reviewed(when=at(0.1))], known) == "valid"
    assert standing([generated(), reviewed(when=at(0.1)), opened()], known) == "valid", "in any order"


def test_e27_a_due_time_stays_as_it_was_stored() -> None:
    """The calendar was edited after the demand: the entry says Wednesday."""
    stored = demand(due_at=at(48))
    entries = [generated(), stored]
    assert outcome(entries, at(48)) == ("pending", [])
    case, said = settle(case_of(entries), at(49))
    assert (judge(case, at(49)).state, said[0].data.due_at) == ("overdue", at(48))  # type: ignore[union-attr]
    first = [event.data for event in decide(case_of([generated()]), at(1)) if isinstance(event, told.ReviewRequested)]
    assert [(found.due_at, found.because, found.reviewers) for found in first] == [(at(24), "class", 1)]


def test_e28_outputs_after_a_suspension_are_findings_whatever_their_class() -> None:
    suspended = use_case("drafts", "minimal").model_copy(update={"suspended_from": at(1), "resumed_at": at(3)})
    known = rules(POLICY, (suspended,))
    said = [
        settle(case_of([generated(when=at(hour), use_case="drafts")], known), at(9), known)[1] for hour in (0, 1, 3)
    ]
    assert [story(one) for one in said] == [[], ["use_while_suspended"], []]
    assert said[1][0].data.severity == "severe"  # type: ignore[union-attr]


def test_e28_a_suspension_whose_news_come_late() -> None:
    done = case_of([generated(when=at(1)), reviewed(when=at(2))])
    suspended = use_case().model_copy(update={"suspended_from": at(0.5)})
    again = assign(done, rules(POLICY, (suspended,)), at(9))
    assert story(settle(again, at(9))[1]) == ["use_while_suspended"]


def test_e29_reviewer_and_requester_under_two_pseudonyms(program: Program) -> None:
    program.publish(*register_events(), generated(requester="p-old"), reviewed(when=at(1), reviewer="p-new"))
    program.publish(generated("o-2", requester="p-else"), reviewed("o-2", at(1), reviewer="p-new"))
    program.settle()
    assert program.states() == {"o-1": "approved", "o-2": "approved"}
    program.publish(joined("p-old", "p-middle"))
    program.settle()
    assert findings_of(program) == []
    program.publish(joined("p-middle", "p-new"))
    program.settle()
    assert program.states() == {"o-1": "pending", "o-2": "approved"}
    assert findings_of(program) == [("o-1", "self_review")]


def test_e29_two_names_of_one_reviewer_are_one() -> None:
    known = rules(policy(reviewers=2))
    one, other = reviewed(when=at(1)), reviewed(when=at(2), review="r-2", reviewer="p-second")
    assert outcome([generated(), one, other], at(3), known)[0] == "approved"
    same = known._replace(joined={"p-second": "p-reviewer"})
    assert outcome([generated(), one, other], at(3), same)[0] == "pending"
    assert known._replace(joined={"p-a": "p-b", "p-b": "p-a"}).person("p-b") == "p-a", "a circle has one name"


def test_e30_only_production_counts_and_leaving_it_hides_nothing() -> None:
    assert outcome([generated(environment="test"), used(when=at(1))], LATE) == ("exempt", [])
    trial = use_case().model_copy(update={"environment": "test"})
    assert outcome([generated()], LATE, rules(POLICY, (trial,))) == ("exempt", [])
    case = case_of([generated()])
    assert assign(case, rules(POLICY, (trial,)), at(1)) == case, "what was demanded stays so"


def test_renamed_split_and_merged_use_cases() -> None:
    output = generated().data
    day, until = date(2026, 11, 1), {"valid_to": date(2026, 11, 1)}
    old, other = (use_case(name).model_copy(update=until) for name in ("benefits", "grants"))
    new = [
        use_case(name, risk).model_copy(update={"valid_from": day, "replaces": replaced})
        for name, risk, replaced in (
            ("benefits-2", "minimal", ("benefits",)), ("benefits-3", "limited", ("benefits",)),
            ("support", "limited", ("benefits", "grants")), ("support-2", "limited", ("benefits-2",)),
        )
    ]  # fmt: skip
    ended = new[0].model_copy(update={"valid_to": date(2026, 11, 10)})
    stories = {
        "renamed": (old, new[0]),
        "split": (old, new[0], new[1]),
        "merged": (old, other, new[2]),
        "renamed twice": (old, ended, new[3]),
        "gone": (old,),
    }
    found = {name: duty_of(output, rules(POLICY, cases)) for name, cases in stories.items()}
    assert {name: duty.use_case for name, duty in found.items() if duty} == {
        "renamed": "benefits-2", "split": None, "merged": "support", "renamed twice": "support-2", "gone": None,
    }  # fmt: skip
    assert outcome([generated()], at(1), rules(POLICY, stories["split"]))[1] == ["unclassified_use"]


def test_an_unclassified_use_is_answered_by_its_class() -> None:
    case, said = settle(case_of([generated(use_case="new")]), at(1))
    assert story(said) == ["unclassified_use"]
    named = rules(POLICY, (*USE_CASES, use_case("new", "minimal")))
    again, more = settle(assign(case, named, at(2)), at(3), named)
    assert (judge(again, at(3)).state, story(more)) == ("exempt", ["closed recorded"])


def test_a_voided_output_needs_nothing_unless_it_was_used() -> None:
    data = told.Voiding(output_id="o-1", voided_at=at(1), reason="test data", approver="chief")
    voided = told.OutputVoided(id="v-1", source=SOURCE, subject="o-1", time=at(1), data=data)
    assert outcome([generated(), voided], LATE) == ("voided", [])
    overdue, _ = settle(case_of([generated()]), LATE)
    assert story(settle(case_of([voided], None, overdue), LATE)[1]) == ["closed voided"]
    assert outcome([generated(), voided, used(when=at(2))], at(3)) == ("used_unreviewed", ["used_unreviewed"])


def test_winter_time_and_holidays_count() -> None:
    """Independence Day 2026 is a Sunday; Friday 4.12. 15:00 plus two hours is Monday 7.12. 9:00, Helsinki."""
    assert due_time(datetime(2026, 12, 4, 13, tzinfo=UTC), 2) == datetime(2026, 12, 7, 7, tzinfo=UTC)
