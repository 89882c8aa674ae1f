"""The review rule: which outputs a person must look at, by when, what counts as having done so, and what is missing.

A `Case` holds what the log says about one output and is folded by log index; `judge` says what that means at a given
moment, `decide` what is to be said about it. All three depend on their arguments only, so that the states can be made
again from the log.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

from services.audit_log.domain.reviews.case import (
    MISSING_STATES,
    REVIEWED_STATES,
    WAITING_STATES,
    Case,
    Flag,
    Happened,
    Judgement,
    KnownFinding,
    KnownReview,
    KnownUse,
    Opening,
    Standing,
    State,
)
from services.audit_log.domain.reviews.changing import changed
from services.audit_log.domain.reviews.duty import Duty, Rulebook, duty_of, from_then_on, hold_until, stricter_than
from services.audit_log.domain.reviews.findings import Decision, decide, finding_id
from services.audit_log.domain.reviews.judging import judge, valid_reviews
from services.audit_log.domain.reviews.standing import weigh, weigh_newest
from services.shared.events import Event
from services.shared.events import governance as told
from services.shared.events.outcomes import FindingClosed, FindingOpened

__all__ = [
    "MISSING_STATES",
    "REVIEWED_STATES",
    "WAITING_STATES",
    "Case",
    "Decision",
    "Flag",
    "Happened",
    "Judgement",
    "KnownFinding",
    "KnownReview",
    "KnownUse",
    "Opening",
    "Standing",
    "State",
    "assign",
    "decide",
    "finding_id",
    "fold",
    "judge",
]


def fold(case: Case, happened: Happened, rules: Rulebook) -> Case:
    """The case after one more entry about its output. The first event with a given id of its own stands."""
    folded = _folded(case, happened, rules)
    newest = max(case.newest or happened.ingest_time, happened.ingest_time)
    return folded if newest == folded.newest else changed(folded, newest=newest)


def _folded(case: Case, happened: Happened, rules: Rulebook) -> Case:
    kind = type(happened.event)
    if happened.contradicts:
        return _contradicted(case, _name_in(happened.event))
    if kind in _WEIGHING:
        return _WEIGHING[kind](case, happened, rules)
    return _KEEPING[kind](case, happened) if kind in _KEEPING else case


def assign(case: Case, rules: Rulebook, moment: datetime | None = None) -> Case:
    """The case with the duty that the register gives its output, and its reviews weighed.

    A duty once given stays, unless nobody had classified the use or the new one is stricter and no review counts yet;
    a suspension is taken over at any time. A policy or a use case that is taken back takes no duty with it: what is
    published next would find the output without one, and could ask for less. `moment`: since when a stricter one
    holds; None: since the output was made.
    """
    new = duty_of(case.output, rules, case.came) if case.output else None
    duty = _next_duty(case, new, moment) if new is not None else case.duty
    return weigh(case if duty == case.duty else changed(case, duty=duty), rules)


def _next_duty(case: Case, new: Duty, moment: datetime | None) -> Duty:
    old = case.duty
    if old is None:
        return new
    is_forgotten = new.risk_class == "unclassified" != old.risk_class
    if not (valid_reviews(case) or is_forgotten):
        if old.risk_class == "unclassified" != new.risk_class:
            return new
        if stricter_than(new, old):
            return from_then_on(new, old, moment) if moment else new
    return changed(old, suspended=True) if new.suspended and not old.suspended else old


def _generated(case: Case, happened: Happened, rules: Rulebook) -> Case:
    output = happened.event.data
    assert isinstance(output, told.Output)
    if case.output is None:
        duty = duty_of(output, rules, happened.ingest_time)
        return weigh(changed(case, output=output, index=happened.seq, came=happened.ingest_time, duty=duty), rules)
    return case if case.output == output else _contradicted(case, happened.event.id)


def _decided(case: Case, happened: Happened, rules: Rulebook) -> Case:
    review = happened.event.data
    assert isinstance(review, told.Review)
    before = next((known.review for known in case.reviews if known.review.review_id == review.review_id), None)
    if before is not None:
        return case if before == review else _contradicted(case, review.review_id)
    known = KnownReview(
        review=review, index=happened.seq, ingest_time=happened.ingest_time, source=happened.event.source
    )
    ended = tuple(_ended(opening) if opening.review_id == review.review_id else opening for opening in case.openings)
    return weigh_newest(_held(changed(case, reviews=(*case.reviews, known), openings=ended), happened, rules), rules)


def _used(case: Case, happened: Happened, rules: Rulebook) -> Case:
    use = happened.event.data
    assert isinstance(use, told.Use)
    before = next((known.use for known in case.uses if known.use.use_id == use.use_id), None)
    if before is not None:
        return case if before == use else _contradicted(case, use.use_id)
    known = KnownUse(use=use, index=happened.seq, ingest_time=happened.ingest_time)
    return _held(changed(case, uses=(*case.uses, known)), happened, rules)


def _opened(case: Case, happened: Happened, rules: Rulebook) -> Case:
    start = happened.event.data
    assert isinstance(start, told.ReviewStart)
    if any(opening.review_id == start.review_id for opening in case.openings):
        return case
    decided = any(known.review.review_id == start.review_id for known in case.reviews)
    opened_at = min(start.opened_at, happened.ingest_time)
    opening = Opening(review_id=start.review_id, reviewer=start.reviewer, opened_at=opened_at, ended=decided)
    noted = changed(case, openings=(*case.openings, opening))
    return weigh(noted, rules) if decided else noted


def _declined(case: Case, happened: Happened) -> Case:
    refusal = happened.event.data
    assert isinstance(refusal, told.ReviewRefusal)
    openings = tuple(
        _ended(opening) if opening.review_id == refusal.review_id else opening for opening in case.openings
    )
    return changed(case, openings=openings)


def _superseded(case: Case, happened: Happened) -> Case:
    data = happened.event.data
    assert isinstance(data, told.Superseding)
    return case if case.superseded_at else changed(case, superseded_at=data.superseded_at)


def _deleted(case: Case, happened: Happened, rules: Rulebook) -> Case:
    """The first deletion stands; should the law ask for it later, that is taken over."""
    data = happened.event.data
    assert isinstance(data, told.Deletion)
    if case.deleted is None:
        return weigh(changed(case, deleted=data), rules)
    erased = data.reason == "erasure" and not case.erased
    return changed(case, deleted=changed(case.deleted, reason="erasure")) if erased else case


def _voided(case: Case, happened: Happened) -> Case:
    data = happened.event.data
    assert isinstance(data, told.Voiding)
    return case if case.voided else changed(case, voided=data)


def _demanded(case: Case, happened: Happened) -> Case:
    """The first demand stands with its due time; a stricter class makes a new one, a second review asks for more."""
    demand = happened.event.data
    assert isinstance(demand, told.ReviewDemand)
    second = case.second or demand.because == "second"
    kept = case.demand
    if kept is None or demand.because == "stricter":
        kept = demand
    reviewers = max(kept.reviewers, demand.reviewers, case.demand.reviewers if case.demand else 1)
    kept = kept if kept.reviewers == reviewers else changed(kept, reviewers=reviewers)
    return changed(case, demand=kept, second=second)


def _escalated(case: Case, happened: Happened) -> Case:
    step = happened.event.data
    assert isinstance(step, told.Escalation)
    known = any((found.role, found.share) == (step.role, step.share) for found in case.escalations)
    return case if known else changed(case, escalations=(*case.escalations, step))


def _finding_opened(case: Case, happened: Happened) -> Case:
    event = happened.event
    assert isinstance(event, FindingOpened)
    if event.data.finding_id in case.findings:
        return case
    known = KnownFinding(kind=event.data.kind, about=event.data.about)
    return changed(case, findings={**case.findings, event.data.finding_id: known})


def _finding_closed(case: Case, happened: Happened) -> Case:
    event = happened.event
    assert isinstance(event, FindingClosed)
    known = case.findings.get(event.data.finding_id)
    if known is None or not known.open:
        return case
    closed = changed(known, open=False)
    return changed(case, findings={**case.findings, event.data.finding_id: closed})


_WEIGHING: Mapping[type, Callable[[Case, Happened, Rulebook], Case]] = {
    told.OutputGenerated: _generated,
    told.ReviewDecided: _decided,
    told.OutputUsed: _used,
    told.ReviewOpened: _opened,
    told.OutputDeleted: _deleted,
}
"""Kind of event → what folds it, where the register has a say in what it means."""
_KEEPING: Mapping[type, Callable[[Case, Happened], Case]] = {
    told.ReviewDeclined: _declined,
    told.OutputSuperseded: _superseded,
    told.OutputVoided: _voided,
    told.ReviewRequested: _demanded,
    told.ReviewEscalated: _escalated,
    FindingOpened: _finding_opened,
    FindingClosed: _finding_closed,
}


def _held(case: Case, happened: Happened, rules: Rulebook) -> Case:
    """What came before its output waits for it, for a while."""
    if case.output is not None or case.hold_until is not None:
        return case
    return changed(case, hold_until=hold_until(happened.ingest_time, rules))


def _ended(opening: Opening) -> Opening:
    return changed(opening, ended=True)


def _contradicted(case: Case, name: str) -> Case:
    return case if name in case.contradicted else changed(case, contradicted=(*case.contradicted, name))


def _name_in(event: Event) -> str:
    """What a contradiction is about: a review, a use, or the event itself."""
    data = event.data
    return str(getattr(data, "review_id", None) or getattr(data, "use_id", None) or event.id)
