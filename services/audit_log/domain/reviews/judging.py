"""What a case is at a moment. Depends on its arguments only, so that states can be made again from the log."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Literal

from services.audit_log.domain.reviews.calendar import time_after
from services.audit_log.domain.reviews.case import (
    OBJECTING,
    Case,
    Flag,
    Judgement,
    KnownReview,
    KnownUse,
    Result,
    State,
)
from services.audit_log.domain.reviews.duty import EFFECTS, Duty
from services.audit_log.domain.reviews.standing import versions_of
from services.shared.events.register import EscalationStep

_STRICTEST: tuple[Result, ...] = ("approved", "edited", "rejected")
Verdict = Literal["fine", "unreviewed", "rejected", "unverifiable"]


def judge(case: Case, now: datetime) -> Judgement:
    """What the case is at `now`. Of several states the gravest is named, all else stands in the flags."""
    flags: set[Flag] = set()
    state, next_look = outlook(case, now, flags)
    if case.output is not None:
        flags.update(_told_flags(case))
    elif next_look is None and case.hold_until:
        flags.add("orphan")
    return Judgement(state, frozenset(flags), next_look)


def outlook(case: Case, now: datetime, flags: set[Flag] | None = None) -> tuple[State, datetime | None]:
    """The state of a case at `now`, and its next look, as in a judgement: all that is written down of one.

    `flags` gets what is so besides the state and was found on the way to it.
    """
    if case.output is None:
        waits = case.hold_until if case.hold_until and (case.reviews or case.uses) and now <= case.hold_until else None
        return "unknown_output", waits
    duty = case.duty
    if duty is None:
        return "generated", None
    found = flags if flags is not None else set()
    state = _fixed_state(case, duty) or _use_state(case, found) or _time_state(case, duty, now, found)
    return state, _next_look(case, duty, now)


def is_demanded(case: Case) -> bool:
    """Whether a person must look at the output: by its class, or because it was drawn."""
    duty, output = case.duty, case.output
    if duty is None or output is None or duty.gate in ("none", "never") or is_voided(case):
        return False
    if output.step and not any(known.use.kind in EFFECTS for known in case.uses):
        return False
    return not duty.sampled or case.demand is not None


def is_voided(case: Case) -> bool:
    """Whether it was told in error. What was used was no error."""
    return case.voided is not None and not case.uses


def is_replaced(case: Case) -> bool:
    """A newer output took its place before anybody used it: the duty has moved on."""
    return case.superseded_at is not None and not case.uses


def due_of(case: Case) -> datetime | None:
    """When the review is due: as the log has stored it, else as the duty computes it."""
    duty, demand = case.duty, case.demand
    if demand is not None and duty is not None and demand.risk_class == duty.risk_class:
        return demand.due_at
    return duty.due_at if duty else None


def valid_reviews(case: Case) -> list[KnownReview]:
    """The reviews that count, in the order of their decisions."""
    found = [known for known in case.reviews if known.standing == "valid"]
    return sorted(found, key=_when) if len(found) > 1 else found


def _heard(case: Case) -> list[KnownReview]:
    """The reviews that count, and every rejection by a person who may reject, in the order of their decisions."""
    found = [
        known
        for known in case.reviews
        if known.standing == "valid" or (known.standing in OBJECTING and known.review.decision == "rejected")
    ]
    return sorted(found, key=_when) if len(found) > 1 else found


def result_of(reviews: Sequence[KnownReview]) -> Result:
    """The strictest of the reviewers' latest decisions; a later one of a higher rank stands over those of lower ranks.

    Args:
        reviews: at least one, in the order of their decisions; none abstained.
    """
    if len(reviews) == 1:
        return _decision(reviews[0])
    standing = _standing_decisions(reviews)
    return max((_decision(known) for known in standing), key=_STRICTEST.index)


def completed_at(case: Case) -> datetime | None:
    """Since when the review is complete: enough reviewers approved the same content, or one rejected it."""
    reviews = valid_reviews(case)
    for count in range(1, len(reviews) + 1):
        if _is_complete(case, reviews[:count]):
            return reviews[count - 1].moment
    return None


def reviewers_needed(case: Case) -> int:
    """How many different people must approve before it may be used."""
    duty, output = case.duty, case.output
    if duty is None or output is None:
        return 1
    rule = duty.rule
    if rule.four_eyes == "none":
        return rule.reviewers
    if rule.four_eyes == "all" or output.adverse or any(known.review.adverse for known in valid_reviews(case)):
        return max(rule.reviewers, 2)
    return rule.reviewers


def reviewers_in_all(case: Case) -> int:
    """How many different people must approve by the due time: those before use, and who was drawn to look once more."""
    return max(reviewers_needed(case), case.demand.reviewers if case.demand else 1)


def is_overdue(case: Case, now: datetime) -> bool:
    """Whether the review was not complete by its due time, of an output that is still to be used."""
    due = due_of(case)
    if due is None or now <= due or is_replaced(case) or not is_demanded(case):
        return False
    if case.deleted is not None and case.deleted.deleted_at <= due:
        return False
    completed = completed_at(case)
    return completed is None or completed > due


def is_deleted_unreviewed(case: Case) -> bool:
    """Whether the content was destroyed before a demanded review of it was complete."""
    if case.deleted is None or is_replaced(case) or not is_demanded(case):
        return False
    completed = completed_at(case)
    return completed is None or completed > case.deleted.deleted_at


def verdict_of(case: Case, known: KnownUse) -> Verdict:
    """Whether what was used had been approved before it was used."""
    content = content_used(case, known)
    if known.use.kind == "copied" and content is not None and content not in versions_of(case):
        return "unverifiable"
    moment = used_at(case, known)
    before = [one for one in _heard(case) if one.moment <= moment and covers(case, one, content)]
    if before and result_of(before) == "rejected":
        return "rejected"
    approving = [one for one in before if one.standing == "valid"]
    return "fine" if approving and _may_be_used(case, approving) else "unreviewed"


def unreviewed_uses(case: Case) -> list[KnownUse]:
    """Uses without a complete approving review of what was used, where the class asks for one before use."""
    if case.duty is None or case.duty.gate != "before_use" or not is_demanded(case):
        return []
    return [known for known in case.uses if verdict_of(case, known) == "unreviewed"]


def rejected_uses(case: Case) -> list[KnownUse]:
    """Uses although it was rejected."""
    if not is_demanded(case):
        return []
    return [known for known in case.uses if verdict_of(case, known) == "rejected"]


def unverifiable_uses(case: Case) -> list[KnownUse]:
    """Parts of the text that were used: no hash can tell of which."""
    if not is_demanded(case):
        return []
    return [known for known in case.uses if verdict_of(case, known) == "unverifiable"]


def reviewed_later(case: Case, known: KnownUse) -> KnownReview | None:
    """The review that completed, after the use, what was missing before it."""
    content = content_used(case, known)
    covering = [one for one in valid_reviews(case) if covers(case, one, content)]
    for count in range(1, len(covering) + 1):
        if result_of(covering[:count]) == "rejected" or _may_be_used(case, covering[:count]):
            return covering[count - 1]
    return None


def used_at(case: Case, known: KnownUse) -> datetime:
    """When it was used; a use cannot have been told before it was made, but for what clocks may differ."""
    grace = case.duty.grace if case.duty else timedelta()
    return (
        min(known.use.used_at, known.ingest_time)
        if known.use.used_at > known.ingest_time + grace
        else known.use.used_at
    )


def content_used(case: Case, known: KnownUse) -> str | None:
    """The hash of what was used; of what a declared template made of it, the hash of what went into the template."""
    rendering = known.use.rendering
    if rendering is not None and case.duty is not None and rendering.template in case.duty.renderings:
        return rendering.content_hash
    return known.use.content_hash_used


def covers(case: Case, known: KnownReview, content: str | None) -> bool:
    """Whether a review was of this content; unknown hashes are given the benefit."""
    return content is None or (hash_of(case, known) or content) == content


def hash_of(case: Case, known: KnownReview) -> str | None:
    """The content that a review decided about: an editor's is what came out. None: nobody knows."""
    review = known.review
    own = case.output.content_hash if case.output else None
    conversation = case.output.conversation_hash if case.output else None
    if review.decision == "edited":
        return review.edited_content_hash or review.content_hash_reviewed
    if conversation is not None and conversation in (review.conversation_hash, review.content_hash_reviewed):
        return own
    return review.content_hash_reviewed or own


def escalation_times(case: Case) -> Iterator[tuple[datetime, EscalationStep]]:
    """When each step of the policy's escalation is due: a share of the business time to review has passed."""
    duty = case.duty
    if duty is None or duty.due_at is None or duty.rule.deadline_business_hours is None:
        return
    whole = timedelta(hours=duty.rule.deadline_business_hours) // timedelta(microseconds=1)
    for step in duty.rule.escalation:
        yield time_after(duty.counts_from, timedelta(microseconds=int(whole * step.share))), step


def is_waiting(case: Case) -> bool:
    """Whether somebody must still review it, and can."""
    return is_demanded(case) and not is_replaced(case) and case.deleted is None and completed_at(case) is None


def _fixed_state(case: Case, duty: Duty) -> State | None:
    """What neither time nor reviews change."""
    if is_voided(case):
        return "voided"
    if duty.gate == "never":
        return "prohibited"
    return None if is_demanded(case) else "exempt"


def _use_state(case: Case, flags: set[Flag]) -> State | None:
    if not case.uses:
        return None
    rejected, missing = rejected_uses(case), unreviewed_uses(case)
    if unverifiable_uses(case):
        flags.add("unverifiable_use")
    later = bool(missing) and all(reviewed_later(case, known) for known in missing)
    if missing:
        flags.add("reviewed_after_use" if later else "used_unreviewed")
    if rejected:
        flags.add("used_rejected")
        return "used_rejected"
    if missing:
        return "reviewed_after_use" if later else "used_unreviewed"
    return None


def _time_state(case: Case, duty: Duty, now: datetime, flags: set[Flag]) -> State:
    overdue, completed = is_overdue(case, now), completed_at(case)
    if is_deleted_unreviewed(case):
        flags.add("deleted_unreviewed")
    if completed is not None:
        if overdue:
            flags.add("late")
        return "late_reviewed" if overdue else result_of(valid_reviews(case))
    if overdue:
        flags.add("overdue")
        return "overdue"
    if is_replaced(case):
        return "superseded"
    if "deleted_unreviewed" in flags:
        return "deleted_unreviewed"
    return "in_review" if _lease_ends(case, duty, now) else "pending"


def _next_look(case: Case, duty: Duty, now: datetime) -> datetime | None:
    if not is_demanded(case) or is_replaced(case):
        return None
    due = due_of(case)
    moments = [due] if due is not None and _depends_on(case, due) else []
    if is_waiting(case):
        moments += [moment for moment, _ in escalation_times(case)] if duty.rule.escalation else []
        lease = _lease_ends(case, duty, now)
        moments += [lease] if lease else []
    return min((moment for moment in moments if moment >= now), default=None)


def _depends_on(case: Case, due: datetime) -> bool:
    """Whether passing the due time changes anything."""
    if case.deleted is not None and case.deleted.deleted_at <= due:
        return False
    completed = completed_at(case)
    return completed is None or completed > due


def _lease_ends(case: Case, duty: Duty, now: datetime) -> datetime | None:
    """Until when the output is kept for who opened it; None: nobody has it."""
    lease = timedelta(minutes=duty.lease_minutes)
    ends = [opening.opened_at + lease for opening in case.openings if not opening.ended]
    return max((end for end in ends if end >= now), default=None)


def _is_complete(case: Case, reviews: Sequence[KnownReview]) -> bool:
    return result_of(reviews) == "rejected" or _are_enough(case, reviews)


def _are_enough(case: Case, reviews: Sequence[KnownReview]) -> bool:
    """Whether enough different people approved the same content, the drawn second review among them."""
    found = _independent(case, reviews, reviewers_in_all(case))
    return any(not case.second or len({known.unit or known.person for known in some}) > 1 for some in found)


def _may_be_used(case: Case, reviews: Sequence[KnownReview]) -> bool:
    """Whether as many approved the same content as must before it is used: a second review may come after that."""
    return any(_independent(case, reviews, reviewers_needed(case)))


def _independent(case: Case, reviews: Sequence[KnownReview], needed: int) -> Iterator[list[KnownReview]]:
    """Per content that at least so many approved who may stand beside each other: those."""
    if len(reviews) < needed:
        return
    approving = [known for known in _latest(reviews) if known.review.decision != "rejected"]
    if len(approving) == 1:
        yield from [approving] if needed <= 1 else []
        return
    apart = case.duty is not None and case.duty.rule.independence == "no_reporting_line"
    count = Counter(hash_of(case, known) for known in approving)
    for content in count:
        if (count[content] + count[None] if content else len(approving)) < needed:
            continue
        chosen: list[KnownReview] = []
        for known in approving:
            in_line = apart and any(_in_one_line(known, other) for other in chosen)
            if covers(case, known, content) and not in_line:
                chosen.append(known)
        if len(chosen) >= needed:
            yield chosen


def _in_one_line(one: KnownReview, other: KnownReview) -> bool:
    return one.reports_to == other.person or other.reports_to == one.person


def _latest(reviews: Sequence[KnownReview]) -> list[KnownReview]:
    return list({known.person: known for known in reviews}.values())


def _standing_decisions(reviews: Sequence[KnownReview]) -> list[KnownReview]:
    """Everybody's latest decision, but for those that somebody of a higher rank decided after."""
    highest, standing = 0, list[KnownReview]()
    for known in sorted(_latest(reviews), key=_when, reverse=True):
        if known.rank >= highest:
            standing.append(known)
            highest = known.rank
    return standing


def _when(known: KnownReview) -> tuple[datetime, int]:
    return known.moment, known.index


def _decision(known: KnownReview) -> Result:
    decision = known.review.decision
    return "rejected" if decision == "abstained" else decision


def _told_flags(case: Case) -> Iterator[Flag]:
    """What is so at any time."""
    so: dict[Flag, bool] = {
        "superseded": case.superseded_at is not None,
        "deleted": case.deleted is not None,
        "voided": case.voided is not None,
        "conflicting": bool(case.contradicted),
        "resubmitted": case.resubmits is not None,
        "escalated": bool(case.escalations),
        "step": case.output is not None and case.output.step,
        "second": case.second,
    }
    yield from (flag for flag, holds in so.items() if holds)
    if case.duty is not None:
        yield from _duty_flags(case, case.duty)
    if case.reviews:
        yield from _review_flags(case)


def _duty_flags(case: Case, duty: Duty) -> Iterator[Flag]:
    if duty.suspended:
        yield "suspended"
    if duty.risk_class == "unclassified" and duty.gate != "none":
        yield "unclassified"
    if duty.sampled:
        yield "drawn" if case.demand else "not_drawn"
    if duty.because == "stricter":
        yield "stricter"


def _review_flags(case: Case) -> Iterator[Flag]:
    for known in case.reviews:
        if known.standing == "not_a_person":
            yield "no_person"
        if known.hasty:
            yield "hasty"
        if known.clock == "differs":
            yield "clock_differs"
        elif known.clock == "within_grace":
            yield "within_grace"
        elif known.clock == "claimed":
            yield "claimed_time"
    valid = valid_reviews(case)
    if valid and completed_at(case) is None:
        yield "partly_reviewed"
    if len({known.review.decision for known in _latest(valid)} & {"approved", "rejected"}) > 1:
        yield "disagreement"
