"""Where people review: what somebody decides becomes an event, once, in one transaction with the look at the case.

The event leaves by the outbox, and counts when the log holds it, like everybody else's. Between a click and the log a
second click finds the same names, and so makes nothing new.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from services.audit_log.adapters.reviews.cases import SqlCaseFiles, read_cases, read_facts, read_rulebook
from services.audit_log.adapters.reviews.content_key import ContentKey
from services.audit_log.domain.reviews.case import Case, Opening
from services.audit_log.domain.reviews.deciding import Said, deciding, declining, fault_of, needs_confirming, opening
from services.audit_log.domain.reviews.hurdles import (
    Refused,
    Reviewer,
    hurdle_of,
    lease_of,
    next_review,
    opening_held,
    own_opening,
    standing_beforehand,
)
from services.audit_log.domain.reviews.several import (
    COUNTING,
    MOST_AT_ONCE,
    Several,
    Shown,
    Sitting,
    decided,
    look_at,
    review_by,
    too_many,
)
from services.audit_log.handlers import say_once
from services.shared.clock import Clock
from services.shared.events import Event
from services.shared.events.register import Unit
from services.shared.store import Store, Transaction


@dataclass(frozen=True, slots=True)
class Taken:
    """What somebody did is on its way into the log. `new`: it was not before."""

    review_ids: tuple[str, ...]
    new: bool = True


@dataclass(frozen=True, slots=True)
class Verdict:
    """What somebody said about an output that they had opened.

    `said.edited_hash` is the plain SHA-256 of the edited text. `content_hash`: of what they were shown. `confirmed`:
    whether they were asked twice.
    """

    output_id: str
    review_id: str
    said: Said
    content_hash: str | None
    confirmed: bool = False


class Desk:
    """Takes what reviewers do.

    Args:
        store: the log's database, whose outbox the events leave by.
        clock: when they decide.
        may_decide: whether the log has read what was on the bus at its first start; before that it does not know what
            was decided already.
        key: for edited texts.
    """

    def __init__(self, store: Store, clock: Clock, may_decide: Callable[[Connection], bool], key: ContentKey) -> None:
        self._store, self._clock, self._may_decide, self.key = store, clock, may_decide, key
        self._cases = SqlCaseFiles()

    def open(self, reviewer: Reviewer, output_id: str) -> Taken | Refused:
        """Open an output for review, or find that this person has it open already."""
        with self._store.transaction() as tx:
            case, sitting = self._begin(tx, reviewer, output_id)
            refused = self._not_yet(tx) or hurdle_of(case, sitting.reviewer, sitting.rules, sitting.now)
            if refused is not None or case is None:
                return refused or Refused("unknown_output")
            held = own_opening(case, reviewer.person, sitting.rules)
            if held is not None and lease_of(case, held) >= sitting.now:
                return Taken((held.review_id,), new=False)
            review_id = next_review(case, reviewer.person, sitting.rules)
            return self._sent(tx, [opening(output_id, review_id, reviewer.person, sitting.now)], sitting, review_id)

    def decide(self, reviewer: Reviewer, verdict: Verdict) -> Taken | Refused:
        """End an open review with a decision."""
        with self._store.transaction() as tx:
            case, sitting = self._begin(tx, reviewer, verdict.output_id)
            held = self._held(tx, case, verdict.review_id, sitting)
            if isinstance(held, Refused) or case is None:
                return held if isinstance(held, Refused) else Refused("unknown_output")
            said = self.checked(case, verdict)
            if isinstance(said, Refused):
                return said
            review = review_by(case, held.review_id, said, sitting, held)
            standing = standing_beforehand(case, review, sitting.rules, sitting.now)
            if standing is not None and standing not in COUNTING:
                return Refused(standing)
            return self._sent(tx, [deciding(review)], sitting, held.review_id)

    def decline(self, reviewer: Reviewer, output_id: str, review_id: str, reason: str | None) -> Taken | Refused:
        """Hand an opened output back without a decision."""
        with self._store.transaction() as tx:
            case, sitting = self._begin(tx, reviewer, output_id)
            held = self._held(tx, case, review_id, sitting)
            if isinstance(held, Refused):
                return held
            return self._sent(
                tx, [declining(output_id, review_id, reviewer.person, reason, sitting.now)], sitting, review_id
            )

    def checked(self, case: Case, verdict: Verdict) -> Said | Refused:
        """What somebody said, with the edited text's keyed hash; or what is missing in it."""
        said, own = verdict.said, _content_hash(case)
        if verdict.content_hash != own:
            return Refused("changed")
        if said.decision == "edited" and said.edited_hash is not None:
            if not self.key.is_here:
                return Refused("no_key")
            said = said._replace(edited_hash=self.key.keyed(said.edited_hash))
        rule, risk_class = (case.duty.rule, case.duty.risk_class) if case.duty else (None, "unclassified")
        fault = fault_of(said, rule, risk_class, own)
        if fault is not None:
            return Refused(fault)
        asks_twice = said.decision in {"approved", "edited"} and needs_confirming(rule, risk_class)
        return Refused("unconfirmed") if asks_twice and not verdict.confirmed else said

    def look_at(self, reviewer: Reviewer, output_ids: Sequence[str]) -> Several:
        """Look at outputs, as they are now, that somebody wants to decide about at once; nothing is written."""
        if len(output_ids) > MOST_AT_ONCE:
            return too_many()
        with self._store.reading() as connection:
            cases = read_cases(connection, output_ids)
            wanted = [Shown(name, _content_hash(cases.get(name))) for name in output_ids]
            return look_at(wanted, cases, self._sitting(connection, reviewer))

    def decide_at_once(self, reviewer: Reviewer, wanted: Sequence[Shown], said: Said) -> Taken | Several:
        """Decide about several outputs alike: a review of each, or of none, with what stands in the way."""
        if len(wanted) > MOST_AT_ONCE:
            return too_many()
        with self._store.transaction() as tx:
            sitting = self._sitting(tx.connection, reviewer)
            found = look_at(wanted, self._cases.load(tx, [one.output_id for one in wanted]), sitting)
            reviews = self._not_yet(tx) or decided(found, said, sitting)
            if isinstance(reviews, Refused):
                return Several(found.choices, reviews)
            return self._sent(tx, [deciding(one) for one in reviews], sitting, *(one.review_id for one in reviews))

    def knows(self, output_id: str, review_id: str, *, ended: bool) -> bool:
        """Whether the log holds the beginning (or the end) of a review."""
        with self._store.reading() as connection:
            case = read_cases(connection, [output_id]).get(output_id)
        return case is not None and is_told(case, review_id, ended=ended)

    def _begin(self, tx: Transaction, reviewer: Reviewer, output_id: str) -> tuple[Case | None, Sitting]:
        return self._cases.load(tx, [output_id]).get(output_id), self._sitting(tx.connection, reviewer)

    def _sitting(self, connection: Connection, reviewer: Reviewer) -> Sitting:
        reaching = reviewer._replace(units=with_those_below(connection, reviewer.units))
        return Sitting(reaching, read_rulebook(connection), self._clock.now())

    def _held(self, tx: Transaction, case: Case | None, review_id: str, sitting: Sitting) -> Opening | Refused:
        refused = self._not_yet(tx)
        if refused is not None or case is None:
            return refused or Refused("unknown_output")
        held = opening_held(case, review_id, sitting.person, sitting.rules, sitting.now)
        hurdle = hurdle_of(case, sitting.reviewer, sitting.rules, sitting.now)
        return held if isinstance(held, Refused) or hurdle is None or hurdle.code == "leased" else hurdle

    def _not_yet(self, tx: Transaction) -> Refused | None:
        return None if self._may_decide(tx.connection) else Refused("catching_up")

    def _sent(self, tx: Transaction, events: Sequence[Event], sitting: Sitting, *names: str) -> Taken:
        """A review that ended elsewhere while this was looked at keeps its first end."""
        return Taken(names, new=bool(say_once(self._cases, tx, events, sitting.now)))


def read_units(connection: Connection) -> dict[str, Unit]:
    """The city's units, as the log has the register; of several entries of one unit, the one that began last."""
    units = [Unit.model_validate_json(document) for _, document in read_facts(connection, "unit")]
    return {unit.id: unit for unit in sorted(units, key=lambda unit: unit.valid_from)}


def with_those_below(connection: Connection, names: frozenset[str]) -> frozenset[str]:
    """These units and all below them."""
    found, last = names, frozenset[str]()
    units = read_units(connection).values() if names else ()
    while found != last:
        found, last = found | {unit.id for unit in units if unit.parent in found}, found
    return found


def is_told(case: Case, review_id: str, *, ended: bool) -> bool:
    """Whether a case knows of the beginning (or the end) of a review."""
    decided_there = any(known.review.review_id == review_id for known in case.reviews)
    return decided_there or any(one.review_id == review_id and (one.ended or not ended) for one in case.openings)


def _content_hash(case: Case | None) -> str | None:
    return case.output.content_hash if case and case.output else None
