"""Whether a person may review an output now, and if not, why not. Pure.

What would not count is not taken: the review that somebody is about to make is weighed beforehand, as the log will.
"""

from datetime import date, datetime, timedelta
from typing import Literal, NamedTuple, get_args

from services.audit_log.domain.reviews.case import Case, KnownReview, Opening, Standing
from services.audit_log.domain.reviews.changing import changed
from services.audit_log.domain.reviews.deciding import SOURCE, BulkFault, Fault, Hand, Said, review_name, review_of
from services.audit_log.domain.reviews.duty import Rulebook
from services.audit_log.domain.reviews.judging import is_replaced, is_voided
from services.audit_log.domain.reviews.standing import weigh
from services.shared.events.governance import Review

Hurdle = Literal[
    "catching_up", "unknown_output", "no_duty", "not_needed", "prohibited", "superseded", "deleted", "voided", "leased",
    "not_opened", "lease_over", "ended", "changed", "outside_unit", "no_key", "unconfirmed", "bulk_ineligible",
    "repeated",
]  # fmt: skip
"""Why an output is not reviewed now, besides what its review would lack."""

Code = Hurdle | Fault | BulkFault | Standing
STANDINGS: frozenset[str] = frozenset(get_args(Standing))
_ABOUT_THE_PERSON = frozenset({
    "self_review", "unknown_requester", "not_mandated", "other_capacity", "not_trained", "same_unit", "reporting_line",
    "outside_unit",
})  # fmt: skip
_ABOUT_WHAT_WAS_SENT = frozenset({*get_args(Fault), *get_args(BulkFault), "unconfirmed", "repeated"})
_LONG_AGO = timedelta(days=1)


class Refused(NamedTuple):
    """Nothing was taken, and why. `until`: when it may be otherwise (UTC); `most`: so many would be taken."""

    code: Code
    until: datetime | None = None
    most: int | None = None

    @property
    def status(self) -> int:
        """As HTTP says it: nothing there, not by this person, not so, not now."""
        if self.code == "unknown_output":
            return 404
        if self.code in _ABOUT_THE_PERSON:
            return 403
        return 422 if self.code in _ABOUT_WHAT_WAS_SENT else 409


class Remit(NamedTuple):
    """What the register names somebody to review: outputs of these use cases, and all of these units."""

    use_cases: frozenset[str]
    units: frozenset[str]

    @property
    def is_empty(self) -> bool:
        return not (self.use_cases or self.units)

    def has(self, use_case: str | None, unit: str | None) -> bool:
        """Whether an output of this use case and unit is among it."""
        return use_case in self.use_cases or unit in self.units


class Reviewer(NamedTuple):
    """Who wants to review: their pseudonym, and all units that their role reaches to (empty: everywhere)."""

    person: str
    units: frozenset[str] = frozenset()


def remit_of(person: str, rules: Rulebook, day: date) -> Remit:
    """What a person is named to review on a Helsinki day."""
    held = [one for one in rules.mandates if rules.person(one.reviewer) == _one(person, rules) and one.holds_on(day)]
    use_cases = frozenset(use_case for one in held for use_case in one.use_cases)
    return Remit(use_cases, frozenset(one.unit for one in held if not one.use_cases))


def hurdle_of(case: Case | None, reviewer: Reviewer, rules: Rulebook, now: datetime) -> Refused | None:
    """Why this person cannot open this output for review now; None: they can."""
    if case is None:
        return Refused("unknown_output")
    hurdle = _of_output(case) or _of_role(case, reviewer) or _of_person(case, reviewer, rules, now)
    if hurdle is not None:
        return Refused(hurdle)
    until = kept_until(case, reviewer.person, rules, now)
    return Refused("leased", until) if until else None


def kept_until(case: Case, person: str, rules: Rulebook, now: datetime) -> datetime | None:
    """Until when the output is kept for somebody else, who has opened it; None: it is not."""
    others = [opening for opening in case.openings if not opening.ended and not _is(opening, person, rules)]
    ends = [end for opening in others if (end := lease_of(case, opening)) >= now]
    return max(ends, default=None)


def lease_of(case: Case, opening: Opening) -> datetime:
    """Until when an opened output is kept for who opened it."""
    return opening.opened_at + timedelta(minutes=case.duty.lease_minutes if case.duty else 0)


def own_opening(case: Case, person: str, rules: Rulebook) -> Opening | None:
    """The newest opening by this person that they have not ended."""
    own = [opening for opening in case.openings if not opening.ended and _is(opening, person, rules)]
    return max(own, key=lambda opening: opening.opened_at, default=None)


def opening_held(case: Case, review_id: str, person: str, rules: Rulebook, now: datetime) -> Opening | Refused:
    """The opening that a review ends, when it is this person's and still holds; else why it cannot end now."""
    found = next((one for one in case.openings if one.review_id == review_id), None)
    if found is None or not _is(found, person, rules):
        return Refused("not_opened")
    if found.ended:
        return Refused("ended")
    until = lease_of(case, found)
    return found if until >= now else Refused("lease_over", until)


def next_review(case: Case, person: str, rules: Rulebook) -> str:
    """The name of this person's next review of the output: the same until the log knows of it."""
    openings = {opening.review_id for opening in case.openings if _is(opening, person, rules)}
    reviews = {
        known.review.review_id for known in case.reviews if rules.person(known.review.reviewer) == _one(person, rules)
    }
    return review_name(case.output_id, _one(person, rules), len(openings | reviews))


def earlier_review(case: Case, person: str, rules: Rulebook) -> str | None:
    """The newest review by this person, which their next one takes back."""
    own = [
        known
        for known in case.reviews
        if rules.person(known.review.reviewer) == _one(person, rules) and known.review.decision != "abstained"
    ]
    newest = max(own, key=lambda known: (known.moment, known.index), default=None)
    return newest.review.review_id if newest else None


def capacity_of(case: Case, person: str, rules: Rulebook) -> str | None:
    """As what the register's mandates let this person review: what the rule asks for, if they are that."""
    held = {one.capacity for one in rules.mandates if rules.person(one.reviewer) == _one(person, rules)}
    wanted = case.duty.rule.capacity if case.duty else None
    return wanted if wanted in held else min(held, default=None)


def standing_beforehand(case: Case, review: Review, rules: Rulebook, now: datetime) -> Standing | None:
    """What the log will say of a review that is made now."""
    known = KnownReview(review=review, index=_newest(case) + 1, ingest_time=now, source=SOURCE)
    return weigh(changed(case, reviews=(*case.reviews, known)), rules).reviews[-1].standing


def _of_output(case: Case) -> Hurdle | None:  # noqa: PLR0911  # one line per reason
    if case.output is None:
        return "unknown_output"
    if case.duty is None:
        return "no_duty"
    if is_voided(case):
        return "voided"
    if case.deleted is not None:
        return "deleted"
    if case.duty.gate == "never":
        return "prohibited"
    if case.duty.gate == "none":
        return "not_needed"
    return "superseded" if is_replaced(case) else None


def _of_role(case: Case, reviewer: Reviewer) -> Hurdle | None:
    unit = case.duty.unit if case.duty else None
    return "outside_unit" if reviewer.units and unit not in reviewer.units else None


def _of_person(case: Case, reviewer: Reviewer, rules: Rulebook, now: datetime) -> Standing | None:
    """Why whatever this person decides would not count."""
    if rules.person(case.output.requester if case.output else None) == _one(reviewer.person, rules):
        return "self_review"
    said = Said("approved", "assessed_first")
    hand = Hand(reviewer.person, capacity_of(case, reviewer.person, rules))
    content = case.output.content_hash if case.output else None
    probe = review_of(case.output_id, "probe", said, hand, now, opened_at=now - _LONG_AGO, content_hash=content)
    standing = standing_beforehand(case, probe, rules, now)
    return None if standing in {"valid", "not_evidence", None} else standing


def _newest(case: Case) -> int:
    return max((known.index for known in case.reviews), default=0)


def _is(opening: Opening, person: str, rules: Rulebook) -> bool:
    return rules.person(opening.reviewer) == _one(person, rules)


def _one(person: str, rules: Rulebook) -> str:
    return rules.person(person) or person
