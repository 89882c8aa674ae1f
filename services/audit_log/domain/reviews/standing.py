"""Whether a review counts: who made it, of what, how it is known, when, and by whose mandate.

Weighed by the newest register and its valid times, so that a mandate whose news came late heals; training after the
decision does not.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from services.audit_log.domain.reviews.case import Case, KnownReview, Standing
from services.audit_log.domain.reviews.changing import changed
from services.audit_log.domain.reviews.duty import DECISION_CLASSES, Duty, Rulebook, fits
from services.shared.events import governance as told
from services.shared.events.register import ReviewerMandate
from services.shared.periods import helsinki_day

FLOOR_SECONDS = 2
"""Nobody reviews anything in less."""
READING_CHARACTERS_A_MINUTE = 1_000
READING_SHARE_PERCENT = 30
"""Who took less than this share of the reading time was hasty."""
_HASTE_A_CHARACTER = timedelta(minutes=1) * READING_SHARE_PERCENT / (READING_CHARACTERS_A_MINUTE * 100)
_FLOOR = timedelta(seconds=FLOOR_SECONDS)


_Clock = Literal["differs", "within_grace", "claimed"] | None


class _Weighing(NamedTuple):
    """What a review is weighed by."""

    case: Case
    output: told.Output
    duty: Duty
    rules: Rulebook
    versions: frozenset[str]


class _Mandated(NamedTuple):
    """What the register says of who reviewed: whether anybody is named, and this person's mandates of that day."""

    anybody: bool
    mandates: Sequence[ReviewerMandate]


def weigh(case: Case, rules: Rulebook) -> Case:
    """The case with all its reviews weighed by these rules. Without an output or a duty nothing can be weighed yet."""
    if case.output is None or case.duty is None or not case.reviews:
        return case
    weighing = _Weighing(case, case.output, case.duty, rules, versions_of(case))
    return changed(case, reviews=tuple(weigh_one(known, weighing) for known in case.reviews))


def weigh_newest(case: Case, rules: Rulebook) -> Case:
    """The case with its newest review weighed, and those of what its editor made of the output.

    Of many reviews of one output each is weighed when it comes, and all of them only when the register says so.
    """
    if case.output is None or case.duty is None:
        return case
    weighing = _Weighing(case, case.output, case.duty, rules, versions_of(case))
    *others, newest = case.reviews
    edited = newest.review.edited_content_hash
    before = [
        weigh_one(known, weighing) if edited is not None and known.review.content_hash_reviewed == edited else known
        for known in others
    ]
    return changed(case, reviews=(*before, weigh_one(newest, weighing)))


def versions_of(case: Case) -> frozenset[str]:
    """The hashes of all versions of the output that the log knows: its own, and what reviewers made of it."""
    edited = {known.review.edited_content_hash for known in case.reviews}
    own = case.output.content_hash if case.output else None
    return frozenset(found for found in {own, *edited} if found)


def weigh_one(known: KnownReview, weighing: _Weighing) -> KnownReview:
    """One review with its standing."""
    review, duty = known.review, weighing.duty
    moment, clock = _believed(known, duty)
    person = weighing.rules.person(review.reviewer)
    mandated = _mandated(person, moment, weighing)
    mandate = max(mandated.mandates, key=lambda found: found.rank, default=None)
    dwell = _dwell(known, weighing.case)
    standing = _standing(review, (person, mandated), (moment, dwell), weighing)
    return changed(
        known,
        standing=standing,
        at=moment,
        person=person,
        rank=mandate.rank if mandate else 1,
        unit=mandate.unit if mandate else None,
        reports_to=weighing.rules.person(mandate.reports_to) if mandate else None,
        clock=clock,
        hasty=standing == "hasty" or (standing == "valid" and _was_hasty(dwell, weighing)),
    )


def _believed(known: KnownReview, duty: Duty) -> tuple[datetime, _Clock]:
    """When a review was decided as far as its source is believed, and what is to be said of its clock.

    Times are claims: one that lies ahead of the bus, or before the output was made, by more than clocks may differ, is
    not believed at all; one that was told late only of a source that the policy trusts.
    """
    decided, came = known.review.decided_at, known.ingest_time
    made = duty.counts_from if duty.because == "class" else decided
    if decided > came + duty.grace or decided < made - duty.grace:
        return came, "differs"
    if decided < made:
        return decided, "within_grace"
    if came - decided <= duty.grace:
        return decided, None
    return (decided, "claimed") if fits(known.source, duty.trusted_sources) else (came, None)


def _standing(
    review: told.Review, who: tuple[str | None, _Mandated], when: tuple[datetime, timedelta | None], weighing: _Weighing
) -> Standing:
    (person, mandated), (moment, dwell) = who, when
    reasons = (
        _no_review(review, weighing),
        _author(person, weighing),
        _of_what(review, moment, weighing),
        _by_whom(review, person, mandated, weighing),
        _how(review, dwell, weighing),
    )
    return next((reason for some in reasons for reason in some), "valid")


def _no_review(review: told.Review, weighing: _Weighing) -> Iterator[Standing]:
    if review.decided_by != "person":
        yield "not_a_person"
    if review.decision == "abstained":
        yield "abstained"
    if review.evidence not in _accepted(review, weighing):
        yield "not_evidence"


def _accepted(review: told.Review, weighing: _Weighing) -> Sequence[str]:
    """The grades of evidence that count, of the source that told this review."""
    rule = weighing.duty.rule
    source = next(known.source for known in weighing.case.reviews if known.review is review)
    return next(
        (grades for name, grades in rule.accepted_by_source.items() if fits(source, (name,))), rule.accepted_evidence
    )


def _author(person: str | None, weighing: _Weighing) -> Iterator[Standing]:
    if person is None:
        yield "no_reviewer"
    requester = weighing.rules.person(weighing.output.requester)
    if requester is None and weighing.duty.risk_class in DECISION_CLASSES:
        yield "unknown_requester"
    if requester == person:
        yield "self_review"


def _of_what(review: told.Review, moment: datetime, weighing: _Weighing) -> Iterator[Standing]:
    if review.system not in (None, weighing.output.system):
        yield "other_system"
    deleted = weighing.case.deleted
    if deleted is not None and moment > deleted.deleted_at:
        yield "after_deletion"
    if not _is_of_output(review, weighing):
        yield "other_content"


def _is_of_output(review: told.Review, weighing: _Weighing) -> bool:
    """Whether it was of this output, of what somebody made of it, or of the conversation up to it."""
    output, seen = weighing.output, review.content_hash_reviewed
    if output.conversation_hash is not None:
        if output.conversation_hash in (review.conversation_hash, seen):
            return True
        if review.conversation_hash is not None and seen is None:
            return False
    return seen is None or output.content_hash is None or seen in weighing.versions


def _by_whom(review: told.Review, person: str | None, mandated: _Mandated, weighing: _Weighing) -> Iterator[Standing]:
    rule = weighing.duty.rule
    if mandated.anybody and not mandated.mandates:
        yield "not_mandated"
    capacities = {found.capacity for found in mandated.mandates} if mandated.anybody else {review.capacity}
    if rule.capacity is not None and rule.capacity not in capacities:
        yield "other_capacity"
    decided = helsinki_day(review.decided_at)
    if rule.training_required and not any(found.is_trained_on(decided) for found in mandated.mandates):
        yield "not_trained"
    if rule.independence == "other_unit" and all(found.unit == weighing.duty.unit for found in mandated.mandates):
        yield "same_unit"
    if rule.independence == "no_reporting_line" and _reports(person, mandated, weighing):
        yield "reporting_line"


def _reports(person: str | None, mandated: _Mandated, weighing: _Weighing) -> bool:
    """Whether one of reviewer and requester reports to the other."""
    rules, requester = weighing.rules, weighing.rules.person(weighing.output.requester)
    upwards = any(rules.person(found.reports_to) == requester is not None for found in mandated.mandates)
    return upwards or any(
        rules.person(found.reviewer) == requester and rules.person(found.reports_to) == person
        for found in rules.mandates
    )


def _how(review: told.Review, dwell: timedelta | None, weighing: _Weighing) -> Iterator[Standing]:
    rule = weighing.duty.rule
    limit = rule.max_bulk if review.bulk_id is not None else None
    if limit is not None and (review.bulk_place is None or review.bulk_place > limit):
        yield "bulk_over_limit"
    if rule.min_dwell_seconds is not None and _is_under(dwell, max(rule.min_dwell_seconds, FLOOR_SECONDS)):
        yield "hasty"
    unreasoned = review.made_in == "valvomo" and review.reason_code is None and review.decision == "approved"
    if unreasoned and not rule.one_click:
        yield "one_click"


def _is_under(dwell: timedelta | None, seconds: int) -> bool:
    return dwell is None or dwell < timedelta(seconds=seconds)


def _was_hasty(dwell: timedelta | None, weighing: _Weighing) -> bool:
    """Whether nobody can have read that fast. What was never seen to be opened tells nothing here."""
    if dwell is None:
        return False
    return dwell < max((weighing.output.length or 0) * _HASTE_A_CHARACTER, _FLOOR)


def _dwell(known: KnownReview, case: Case) -> timedelta | None:
    """How long the output was open before the decision; None: nobody knows that it was opened."""
    review = known.review
    opened = review.opened_at or next(
        (opening.opened_at for opening in case.openings if opening.review_id == review.review_id), None
    )
    return None if opened is None else max(review.decided_at - opened, timedelta())


def _mandated(person: str | None, moment: datetime, weighing: _Weighing) -> _Mandated:
    """Where the register names reviewers for the use case, or its unit, only they may review."""
    unit, use_cases = weighing.duty.unit, {weighing.output.use_case, weighing.duty.use_case}
    named = [
        found
        for found in weighing.rules.mandates
        if (not use_cases.isdisjoint(found.use_cases) if found.use_cases else found.unit == unit)
    ]
    day = helsinki_day(moment)
    own = [found for found in named if weighing.rules.person(found.reviewer) == person and found.holds_on(day)]
    return _Mandated(bool(named), own)
