"""The review rule: which outputs a person must look at, by when, what counts as having done so, and what is missing.

A `Case` holds what the log says about one output and is folded by log index; `judge` says what that means at a given
moment, `decide` which findings are to be opened or closed. All three depend on their arguments only, so that the
states can be made again from the log.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from pydantic import Field

from services.audit_log.domain.duty import RISK_CLASSES, Duty, Rulebook, duty_of
from services.audit_log.domain.telling import SOURCE
from services.shared.events import Event, event_id
from services.shared.events import governance as told
from services.shared.events.envelope import Fact, Utc
from services.shared.events.outcomes import Finding, FindingClosed, FindingClosing, FindingKind, FindingOpened
from services.shared.events.register import ReviewerMandate
from services.shared.periods import helsinki_day

State = Literal[
    "unknown_output", "generated", "exempt", "pending", "in_review", "approved", "edited", "rejected", "overdue",
    "late_reviewed", "used_unreviewed", "used_rejected", "reviewed_after_use", "superseded", "prohibited",
]  # fmt: skip
REVIEWED_STATES: frozenset[State] = frozenset({"approved", "edited", "rejected", "late_reviewed", "reviewed_after_use"})
WAITING_STATES: frozenset[State] = frozenset({"pending", "in_review", "overdue", "used_unreviewed"})
MISSING_STATES: frozenset[State] = frozenset({"overdue", "used_unreviewed"})

Standing = Literal["valid", "abstained", "not_evidence", "no_reviewer", "self_review", "not_mandated", "other_content"]
_STRICTEST = ("approved", "edited", "rejected")


class WeighedReview(Fact):
    """A review with whether it counts, by the register of the moment it was weighed; None: no duty known yet."""

    review: told.Review
    standing: Standing | None = None


class KnownFinding(Fact):
    """A finding that the log holds."""

    kind: FindingKind
    open: bool = True


class Case(Fact):
    """Everything the log says about one output."""

    output_id: str
    output: told.Output | None = None
    duty: Duty | None = None
    reviews: tuple[WeighedReview, ...] = ()
    uses: tuple[told.Use, ...] = ()
    opened: bool = False
    superseded_at: Utc | None = None
    erased: bool = False
    findings: dict[str, KnownFinding] = Field(default_factory=dict)


class Judgement(NamedTuple):
    """What a case is at a moment, and when (UTC) the passing of time alone will change that; None: never."""

    state: State
    next_look: datetime | None = None


def fold(case: Case, event: Event, rules: Rulebook) -> Case:  # noqa: PLR0911  # one line per kind of event
    """The case after one more event about its output. The first event with a given id of its own stands."""
    match event:
        case told.OutputGenerated() if case.output is None:
            return assign(_with(case, output=event.data), rules)
        case told.ReviewDecided() if all(known.review.review_id != event.data.review_id for known in case.reviews):
            return _weigh(_with(case, reviews=(*case.reviews, WeighedReview(review=event.data))), rules)
        case told.OutputUsed() if all(known.use_id != event.data.use_id for known in case.uses):
            return _with(case, uses=(*case.uses, event.data))
        case told.ReviewOpened():
            return _with(case, opened=True)
        case told.OutputSuperseded() if case.superseded_at is None:
            return _with(case, superseded_at=event.data.superseded_at)
        case told.OutputDeleted():
            return _with(case, erased=case.erased or event.data.reason == "erasure")
        case FindingOpened() if event.data.finding_id not in case.findings:
            return _with(case, findings={**case.findings, event.data.finding_id: KnownFinding(kind=event.data.kind)})
        case FindingClosed() if event.data.finding_id in case.findings:
            closed = _with_finding_closed(case, event.data.finding_id)
            return _with(case, findings=closed)
    return case


def assign(case: Case, rules: Rulebook) -> Case:
    """The case with the duty that the register gives its output, and its waiting reviews weighed.

    A duty once given stays, unless nobody had classified the use or the new class is stricter and no review counts yet.
    """
    duty = duty_of(case.output, rules) if case.output else None
    if duty is None or not _replaces(case, duty):
        return _weigh(case, rules)
    unweighed = tuple(WeighedReview(review=known.review) for known in case.reviews)
    return _weigh(_with(case, duty=duty, reviews=unweighed), rules)


def _replaces(case: Case, duty: Duty) -> bool:
    old = case.duty
    if old is None:
        return True
    stricter = RISK_CLASSES.index(duty.risk_class) > RISK_CLASSES.index(old.risk_class)
    return (stricter or old.risk_class == "unclassified" != duty.risk_class) and not _counting(case)


def _weigh(case: Case, rules: Rulebook) -> Case:
    if case.duty is None or case.output is None or all(known.standing for known in case.reviews):
        return case
    weighed = [
        known if known.standing else _weighed(known.review, case.output, case.duty, rules) for known in case.reviews
    ]
    return _with(case, reviews=tuple(weighed))


def _weighed(review: told.Review, output: told.Output, duty: Duty, rules: Rulebook) -> WeighedReview:
    return WeighedReview(review=review, standing=standing_of(review, output, duty, rules.mandates))


def standing_of(  # noqa: PLR0911  # one line per reason
    review: told.Review, output: told.Output, duty: Duty, mandates: Sequence[ReviewerMandate]
) -> Standing:
    """Whether a review counts, and if not, why.

    Where the register names reviewers for the use case (or its unit), a review of anybody else does not count.
    """
    if review.decision == "abstained":
        return "abstained"
    if review.evidence not in duty.accepted_evidence:
        return "not_evidence"
    if review.reviewer is None:
        return "no_reviewer"
    if review.reviewer == output.requester:
        return "self_review"
    if (
        None not in (review.content_hash_reviewed, output.content_hash)
        and review.content_hash_reviewed != output.content_hash
    ):
        return "other_content"
    named = [mandate for mandate in mandates if _concerns(mandate, output, duty)]
    day = helsinki_day(review.decided_at)
    if named and not any(mandate.reviewer == review.reviewer and mandate.holds_on(day) for mandate in named):
        return "not_mandated"
    return "valid"


def _concerns(mandate: ReviewerMandate, output: told.Output, duty: Duty) -> bool:
    return output.use_case in mandate.use_cases if mandate.use_cases else mandate.unit == duty.unit


def judge(case: Case, now: datetime) -> Judgement:
    """What the case is at `now`. Of several states the gravest is named."""
    duty = case.duty
    if case.output is None:
        return Judgement("unknown_output")
    if duty is None:
        return Judgement("generated")
    if duty.gate in ("never", "none"):
        return Judgement("prohibited" if duty.gate == "never" else "exempt")
    waiting = duty.due_at is not None and now <= duty.due_at and _due_unless_reviewed(case, duty.due_at)
    next_look = duty.due_at if waiting else None
    return Judgement(_use_state(case) or _time_state(case, duty, now), next_look)


def _use_state(case: Case) -> State | None:
    missing, rejected = _uses_unreviewed(case), _uses_rejected(case)
    if rejected:
        return "used_rejected"
    if missing:
        return "reviewed_after_use" if all(_covering(case, use) for use in missing) else "used_unreviewed"
    return None


def _time_state(case: Case, duty: Duty, now: datetime) -> State:
    reviews = _counting(case)
    if reviews:
        late = duty.due_at is not None and now > duty.due_at and _due_unless_reviewed(case, duty.due_at)
        return "late_reviewed" if late else result_of(reviews)
    if _replaced(case):
        return "superseded"
    if duty.due_at is not None and now > duty.due_at:
        return "overdue"
    return "in_review" if case.opened else "pending"


def result_of(reviews: Sequence[told.Review]) -> Literal["approved", "edited", "rejected"]:
    """The strictest of the reviewers' latest decisions."""
    latest = {review.reviewer: review.decision for review in sorted(reviews, key=lambda review: review.decided_at)}
    return max((one for one in latest.values() if one != "abstained"), key=_STRICTEST.index)


def decide(case: Case, now: datetime) -> list[FindingOpened | FindingClosed]:
    """The findings to be opened or closed now, beyond those that the log holds.

    A finding that is both missing and already answered (a late review that came with its output) is opened first and
    closed when the log holds it, so that the record shows both.
    """
    opened = [
        _opening(case, case.output, case.duty, kind, now)
        for kind in _wanted(case, now)
        if case.output and case.duty and finding_id(case.output_id, kind, case.duty) not in case.findings
    ]
    return [*opened, *_closings(case, now)]


def finding_id(output_id: str, kind: FindingKind, duty: Duty) -> str:
    """The one name of this finding: the same output, kind and rule never make two."""
    return event_id(output_id, kind, duty.policy, duty.policy_version)


def _wanted(case: Case, now: datetime) -> Iterator[FindingKind]:
    duty = case.duty
    if case.output is None or duty is None:
        return
    if duty.gate == "never":
        yield "prohibited_use"
    if _uses_rejected(case):
        yield "used_rejected"
    if _uses_unreviewed(case):
        yield "used_unreviewed"
    if duty.due_at is not None and now > duty.due_at and _due_unless_reviewed(case, duty.due_at):
        yield "overdue_review"


def _opening(case: Case, output: told.Output, duty: Duty, kind: FindingKind, now: datetime) -> FindingOpened:
    name = finding_id(case.output_id, kind, duty)
    finding = Finding(
        finding_id=name,
        kind=kind,
        output_id=case.output_id,
        use_case=output.use_case,
        system=output.system,
        unit=duty.unit,
        policy=duty.policy,
        policy_version=duty.policy_version,
        due_at=duty.due_at,
        detected_at=now,
    )
    return FindingOpened(id=name, source=SOURCE, subject=case.output_id, time=now, data=finding)


def _closings(case: Case, now: datetime) -> Iterator[FindingClosed]:
    for name, known in case.findings.items():
        answer = _answer(case, known.kind) if known.open else None
        if answer:
            reason, review = answer
            closing = FindingClosing(
                finding_id=name,
                output_id=case.output_id,
                closed_at=now,
                reason=reason,
                review_id=review.review_id if review else None,
            )
            yield FindingClosed(
                id=event_id(name, "closed"), source=SOURCE, subject=case.output_id, time=now, data=closing
            )


Reason = Literal["reviewed_late", "reviewed_after_use", "reviewed_in_time", "superseded", "erased"]


def _answer(case: Case, kind: FindingKind) -> tuple[Reason, told.Review | None] | None:
    """Why a finding of this kind needs nobody any more. Of prohibited and rejected uses only a person can say."""
    if kind == "overdue_review":
        return _answer_overdue(case)
    if kind == "used_unreviewed":
        return _answer_used(case)
    return None


def _answer_overdue(case: Case) -> tuple[Reason, told.Review | None] | None:
    reviews = sorted(_counting(case), key=lambda review: review.decided_at)
    if reviews:
        in_time = case.duty is not None and case.duty.due_at is not None and reviews[0].decided_at <= case.duty.due_at
        return ("reviewed_in_time" if in_time else "reviewed_late"), reviews[0]
    if _replaced(case):
        return "superseded", None
    return ("erased", None) if case.erased else None


def _answer_used(case: Case) -> tuple[Reason, told.Review | None] | None:
    missing = _uses_unreviewed(case)
    if not missing:
        return ("reviewed_in_time", _counting(case)[0]) if _counting(case) else None
    answers = [_covering(case, use) for use in missing]
    if all(answers):
        return "reviewed_after_use", answers[-1][0]
    return ("erased", None) if case.erased else None


def _counting(case: Case) -> list[told.Review]:
    return [known.review for known in case.reviews if known.standing == "valid"]


def _due_unless_reviewed(case: Case, due: datetime) -> bool:
    """Whether a review is missing that was made by the due time, of an output that is still to be used."""
    return not _replaced(case) and all(review.decided_at > due for review in _counting(case))


def _replaced(case: Case) -> bool:
    """A newer output took its place before anybody used it: the duty has moved on."""
    return case.superseded_at is not None and not case.uses


def _covering(case: Case, use: told.Use) -> list[told.Review]:
    """The counting reviews of what was used: of the same content, or of what the reviewer made of it."""
    return [review for review in _counting(case) if _covers(review, use)]


def _covers(review: told.Review, use: told.Use) -> bool:
    seen = {review.content_hash_reviewed, review.edited_content_hash} - {None}
    return use.content_hash_used is None or not seen or use.content_hash_used in seen


def _before(case: Case, use: told.Use) -> list[told.Review]:
    return [review for review in _covering(case, use) if review.decided_at <= use.used_at]


def _uses_unreviewed(case: Case) -> list[told.Use]:
    if case.duty is None or case.duty.gate != "before_use":
        return []
    return [use for use in case.uses if not _before(case, use)]


def _uses_rejected(case: Case) -> list[told.Use]:
    return [use for use in case.uses if (before := _before(case, use)) and result_of(before) == "rejected"]


def _with_finding_closed(case: Case, name: str) -> dict[str, KnownFinding]:
    return {**case.findings, name: KnownFinding(kind=case.findings[name].kind, open=False)}


def _with(case: Case, **changes: object) -> Case:
    return case.model_copy(update=changes)
