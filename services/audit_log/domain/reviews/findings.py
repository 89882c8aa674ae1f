"""What the log says of a case by itself: what is demanded, whom it is escalated to, which findings open and close.

All have deterministic ids, so that what was said is not said again. A finding is opened once and never taken back.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Literal, NamedTuple

from services.audit_log.domain.reviews.case import Case, KnownReview, Standing
from services.audit_log.domain.reviews.duty import DECISION_CLASSES, Duty
from services.audit_log.domain.reviews.judging import (
    completed_at,
    due_of,
    escalation_times,
    is_deleted_unreviewed,
    is_demanded,
    is_overdue,
    is_replaced,
    is_voided,
    is_waiting,
    rejected_uses,
    reviewed_later,
    unreviewed_uses,
    unverifiable_uses,
    valid_reviews,
)
from services.audit_log.domain.telling import SOURCE
from services.shared.events import event_id
from services.shared.events import governance as told
from services.shared.events.governance import RiskClass
from services.shared.events.outcomes import Finding, FindingClosed, FindingClosing, FindingKind, FindingOpened
from services.shared.events.register import UNALLOCATED, EscalationStep

Decision = FindingOpened | FindingClosed | told.ReviewRequested | told.ReviewEscalated
Severity = Literal["note", "warning", "severe"]
Reason = Literal[
    "reviewed_late", "reviewed_after_use", "reviewed_in_time", "superseded", "erased", "recorded", "voided", "resolved"
]
_Answer = tuple[Reason, KnownReview | None]

SEVERITIES: Mapping[FindingKind, Severity] = {
    "overdue_review": "warning",
    "used_unreviewed": "warning",
    "used_rejected": "severe",
    "prohibited_use": "severe",
    "unclassified_use": "warning",
    "orphan_review": "warning",
    "conflicting_duplicate": "warning",
    "self_review": "warning",
    "reviewer_not_trained": "warning",
    "reviewer_not_mandated": "warning",
    "review_of_unknown_content": "warning",
    "bulk_over_limit": "warning",
    "clock_differs": "note",
    "deleted_unreviewed": "warning",
    "use_of_unlogged_output": "severe",
    "unverifiable_use": "note",
    "hasty_review": "note",
    "no_person_reviewed": "warning",
    "resubmitted_after_reject": "warning",
    "use_while_suspended": "severe",
    "uncovered_use": "warning",
    "record_missing": "warning",
    "sample_short": "note",
    "incident_late": "severe",
}
_SEVERE_IN_DECISIONS: frozenset[FindingKind] = frozenset(
    {"used_unreviewed", "deleted_unreviewed", "no_person_reviewed"}
)
_OF_STANDING: Mapping[Standing, FindingKind] = {
    "self_review": "self_review",
    "unknown_requester": "self_review",
    "other_content": "review_of_unknown_content",
    "not_mandated": "reviewer_not_mandated",
    "other_capacity": "reviewer_not_mandated",
    "not_trained": "reviewer_not_trained",
    "bulk_over_limit": "bulk_over_limit",
}
_ABOUT_REVIEWS: frozenset[FindingKind] = frozenset({*_OF_STANDING.values(), "no_person_reviewed"})
"""What a complete review by others answers."""


class Wanted(NamedTuple):
    """A finding that there is to be; `about`: the review, the use or the event that it is about besides the output."""

    kind: FindingKind
    about: str | None = None


def decide(case: Case, now: datetime) -> list[Decision]:
    """What is to be said now, beyond what the log holds.

    A finding that is both missing and already answered (a late review that came with its output) is opened first and
    closed when the log holds it, so that the record shows both.
    """
    said: list[Decision] = [*_demands(case, now), *_escalations(case, now)]
    for wanted in wanted_findings(case, now):
        name = name_of(case, wanted)
        if name not in case.findings:
            said.append(_opening(case, wanted, name, now))
    return [*said, *_closings(case, now)]


def is_to_be_told(case: Case, now: datetime) -> bool:
    """Whether `decide` has something to say; nothing is made of it."""
    wanted = (name_of(case, one) not in case.findings for one in wanted_findings(case, now))
    return any(wanted) or any(True for made in (_demands, _escalations, _closings) for _ in made(case, now))


def finding_id(output_id: str, kind: FindingKind, duty: Duty | None, about: str | None = None) -> str:
    """The one name of this finding: the same output, kind, rule and matter never make two."""
    rule = (duty.policy, duty.policy_version) if duty else ()
    return event_id(output_id, kind, *rule, *((about,) if about is not None else ()))


def demand_id(demand: told.ReviewDemand) -> str:
    """The one name of this demand; a stricter class makes another."""
    stricter = (demand.risk_class,) if demand.because == "stricter" else ()
    return event_id(
        "review.requested", demand.output_id, demand.policy, demand.policy_version, demand.because, *stricter
    )


def requested(demand: told.ReviewDemand, now: datetime) -> told.ReviewRequested:
    """The event that tells a demand."""
    return told.ReviewRequested(id=demand_id(demand), source=SOURCE, subject=demand.output_id, time=now, data=demand)


def severity_of(kind: FindingKind, risk_class: RiskClass | None) -> Severity:
    """How grave a finding is; where a decision about a person may hang on it, graver."""
    if kind in _SEVERE_IN_DECISIONS and risk_class in DECISION_CLASSES:
        return "severe"
    return SEVERITIES[kind]


def name_of(case: Case, wanted: Wanted) -> str:
    """The finding's id; what another policy version already said of the same matter is not said again."""
    for name, known in case.findings.items():
        if (known.kind, known.about) == (wanted.kind, wanted.about) and wanted.about is not None:
            return name
    return finding_id(case.output_id, wanted.kind, case.duty, wanted.about)


def wanted_findings(case: Case, now: datetime) -> Iterator[Wanted]:
    """All findings that there must be about the case at `now`, known or not."""
    yield from (Wanted("conflicting_duplicate", name) for name in case.contradicted)
    if case.output is None:
        yield from _of_unknown_output(case, now)
        return
    duty = case.duty
    if duty is None or is_voided(case):
        return
    if duty.gate == "never":
        yield Wanted("prohibited_use")
    if duty.suspended:
        yield Wanted("use_while_suspended")
    if duty.risk_class == "unclassified" and duty.gate != "none" and not _is_inner_step(case):
        yield Wanted("unclassified_use")
    if case.came is not None and case.output.generated_at > case.came + duty.grace:
        yield Wanted("clock_differs")
    if is_demanded(case):
        yield from _of_demanded(case, now)


def _is_inner_step(case: Case) -> bool:
    """A step of an agent's run without effect outside: that nobody covers the agent is a finding of the register."""
    return case.output is not None and case.output.step and not is_demanded(case)


def _of_unknown_output(case: Case, now: datetime) -> Iterator[Wanted]:
    if case.hold_until is None or now <= case.hold_until:
        return
    if case.reviews:
        yield Wanted("orphan_review")
    if case.uses:
        yield Wanted("use_of_unlogged_output")


def _of_demanded(case: Case, now: datetime) -> Iterator[Wanted]:
    missing = unreviewed_uses(case) if case.uses else []
    if case.uses:
        if rejected_uses(case):
            yield Wanted("used_rejected")
        if missing:
            yield Wanted("used_unreviewed")
        yield from (Wanted("unverifiable_use", known.use.use_id) for known in unverifiable_uses(case))
    overdue = is_overdue(case, now)
    if overdue:
        yield Wanted("overdue_review")
    if is_deleted_unreviewed(case):
        yield Wanted("deleted_unreviewed")
    if case.resubmits is not None:
        yield Wanted("resubmitted_after_reject")
    yield from _of_reviews(case)
    if (overdue or missing) and not valid_reviews(case):
        yield from _of_machines(case)


def _of_reviews(case: Case) -> Iterator[Wanted]:
    for known in case.reviews:
        kind = _OF_STANDING.get(known.standing) if known.standing else None
        if kind is not None:
            yield Wanted(kind, known.review.review_id)
        if known.hasty:
            yield Wanted("hasty_review", known.review.review_id)
        if known.clock == "differs":
            yield Wanted("clock_differs", known.review.review_id)


def _of_machines(case: Case) -> Iterator[Wanted]:
    """A timer or a model approved what no person has reviewed."""
    for known in case.reviews:
        if known.standing == "not_a_person" and known.review.decision in ("approved", "edited"):
            yield Wanted("no_person_reviewed", known.review.review_id)


def _demands(case: Case, now: datetime) -> Iterator[told.ReviewRequested]:
    """Everything of a class is demanded at once; what is drawn, by who draws."""
    duty, demand = case.duty, case.demand
    if duty is None or duty.sampled or not is_demanded(case):
        return
    if demand is not None and (duty.because == "class" or demand.risk_class == duty.risk_class):
        return
    yield requested(_demand(case, duty), now)


def _demand(case: Case, duty: Duty) -> told.ReviewDemand:
    adverse = duty.rule.four_eyes == "adverse" and case.output is not None and case.output.adverse
    return told.ReviewDemand(
        output_id=case.output_id,
        policy=duty.policy,
        policy_version=duty.policy_version,
        risk_class=duty.risk_class,
        gate=duty.gate,
        unit=duty.unit,
        due_at=duty.due_at,
        reviewers=max(duty.rule.reviewers, 2 if adverse or duty.rule.four_eyes == "all" else 1),
        because=duty.because,
    )


def _escalations(case: Case, now: datetime) -> Iterator[told.ReviewEscalated]:
    due = due_of(case)
    if due is None or case.duty is None or not case.duty.rule.escalation or not is_waiting(case):
        return
    known = {(found.role, found.share) for found in case.escalations}
    for moment, step in escalation_times(case):
        if now > moment and (step.role, step.share) not in known:
            yield _escalation(case, step, due, now)


def _escalation(case: Case, step: EscalationStep, due: datetime, now: datetime) -> told.ReviewEscalated:
    data = told.Escalation(output_id=case.output_id, role=step.role, share=step.share, due_at=due, escalated_at=now)
    name = event_id("review.escalated", case.output_id, step.role, f"{step.share.normalize():f}")
    return told.ReviewEscalated(id=name, source=SOURCE, subject=case.output_id, time=now, data=data)


def _opening(case: Case, wanted: Wanted, name: str, now: datetime) -> FindingOpened:
    duty, output = case.duty, case.output
    finding = Finding(
        finding_id=name,
        kind=wanted.kind,
        output_id=case.output_id,
        use_case=case.use_case,
        system=output.system if output else None,
        unit=duty.unit if duty else UNALLOCATED,
        policy=duty.policy if duty else None,
        policy_version=duty.policy_version if duty else None,
        due_at=due_of(case),
        detected_at=now,
        severity=severity_of(wanted.kind, duty.risk_class if duty else None),
        about=wanted.about,
    )
    return FindingOpened(id=name, source=SOURCE, subject=case.output_id, time=now, data=finding)


def _closings(case: Case, now: datetime) -> Iterator[FindingClosed]:
    for name, known in case.findings.items():
        answer = _answer(case, known.kind, known.about) if known.open else None
        if answer:
            reason, review = answer
            closing = FindingClosing(
                finding_id=name,
                output_id=case.output_id,
                closed_at=now,
                reason=reason,
                review_id=review.review.review_id if review else None,
            )
            yield FindingClosed(
                id=event_id(name, "closed"), source=SOURCE, subject=case.output_id, time=now, data=closing
            )


def _answer(case: Case, kind: FindingKind, about: str | None) -> _Answer | None:
    """Why a finding needs nobody any more. Of prohibited and rejected uses, and the like, only a person can say."""
    if is_voided(case):
        return "voided", None
    answering = _ANSWERS.get(kind)
    if answering is not None:
        return answering(case)
    return _answer_review(case, about) if kind in _ABOUT_REVIEWS else None


def _answer_unknown(case: Case) -> _Answer | None:
    return ("recorded", None) if case.output is not None else None


def _answer_unclassified(case: Case) -> _Answer | None:
    return ("recorded", None) if case.duty is not None and case.duty.risk_class != "unclassified" else None


def _answer_overdue(case: Case) -> _Answer | None:
    completing = _completing(case)
    if completing is not None:
        due = due_of(case)
        return ("reviewed_in_time" if due is None or completing.moment <= due else "reviewed_late"), completing
    if is_replaced(case):
        return "superseded", None
    return ("erased", None) if case.erased else None


def _answer_used(case: Case) -> _Answer | None:
    missing = unreviewed_uses(case)
    if not missing:
        completing = _completing(case)
        return ("reviewed_in_time", completing) if completing else None
    later = [reviewed_later(case, known) for known in missing]
    if all(later):
        return "reviewed_after_use", later[-1]
    return ("erased", None) if case.erased else None


def _answer_deleted(case: Case) -> _Answer | None:
    completing = _completing(case)
    if completing is not None and not is_deleted_unreviewed(case):
        return "reviewed_in_time", completing
    return ("erased", None) if case.erased else None


_ANSWERS: Mapping[FindingKind, Callable[[Case], _Answer | None]] = {
    "orphan_review": _answer_unknown,
    "use_of_unlogged_output": _answer_unknown,
    "unclassified_use": _answer_unclassified,
    "overdue_review": _answer_overdue,
    "used_unreviewed": _answer_used,
    "deleted_unreviewed": _answer_deleted,
}


def _answer_review(case: Case, about: str | None) -> _Answer | None:
    """What one review lacked, others gave."""
    completing = _completing(case)
    return ("resolved", completing) if completing and completing.review.review_id != about else None


def _completing(case: Case) -> KnownReview | None:
    """The review with which the demanded reviews were complete."""
    completed = completed_at(case)
    return next((known for known in valid_reviews(case) if known.moment == completed), None) if completed else None
