"""What a person may decide about an output here, and what they must say with it. Pure: values in, values out.

Nothing is taken that would not count: what is refused is refused with a reason, before anything is written.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Literal, NamedTuple, get_args

from services.shared.events.envelope import event_id
from services.shared.events.governance import (
    Review,
    ReviewDecided,
    ReviewDeclined,
    ReviewOpened,
    ReviewRefusal,
    ReviewStart,
)
from services.shared.events.register import ReviewRule

SOURCE = "valvomo/reviews"
"""Of every review that was made here."""

Decision = Literal["approved", "edited", "rejected", "abstained"]
DECISIONS: tuple[Decision, ...] = get_args(Decision)

_NOT_FOR_ME = ("disqualified", "not_competent", "text_not_seen")
REASONS: Mapping[str, tuple[str, ...]] = {
    "approved": ("compared_with_sources", "assessed_first", "checked_by_list"),
    "edited": ("facts_corrected", "wording_corrected", "parts_added", "parts_removed"),
    "rejected": ("wrong_facts", "wrong_law", "essentials_missing", "discriminating", "unfit_for_purpose"),
    "abstained": _NOT_FOR_ME,
    "declined": ("no_time", *_NOT_FOR_ME),
}
"""Decision (or handing back) → why, of a closed list: free text could name somebody."""

SHOWN = ("text", "sources", "case_file", "instructions", "earlier_decisions")
"""What a reviewer may have had before them."""

ONE_BY_ONE = frozenset({"high_decision", "unclassified"})
"""Outputs that decide about a person, or may: nothing here is approved by one click, or in a bulk."""

Fault = Literal[
    "decision_missing", "reason_missing", "reason_unknown", "adverse_missing", "shown_missing", "shown_unknown",
    "edited_hash_missing", "edited_hash_same",
]  # fmt: skip
"""What is missing in what somebody sent."""

BulkFault = Literal["bulk_empty", "bulk_mixed", "bulk_never", "bulk_too_many"]
"""Why several outputs are not decided about at once."""


class Said(NamedTuple):
    """What a person sent about an opened output. `edited_hash`: keyed, of the text as they left it."""

    decision: str | None
    reason: str | None = None
    adverse: bool | None = None
    shown: tuple[str, ...] = ()
    edited_hash: str | None = None


class Hand(NamedTuple):
    """Who decides: their pseudonym, and as what."""

    person: str
    capacity: str | None = None


class Bulk(NamedTuple):
    """Several reviews at once: which one of how many this is (from 1)."""

    bulk_id: str
    place: int
    size: int


def needs_confirming(rule: ReviewRule | None, risk_class: str) -> bool:
    """Whether an approval is asked for twice, with a reason."""
    return risk_class in ONE_BY_ONE or rule is None or not rule.one_click


def fault_of(said: Said, rule: ReviewRule | None, risk_class: str, content_hash: str | None) -> Fault | None:
    """The first thing that is missing or wrong; None: all is there."""
    if said.decision not in DECISIONS:
        return "decision_missing"
    return (
        _fault_of_reason(said, rule, risk_class)
        or _fault_of_basis(said, risk_class)
        or (_fault_of_edit(said, content_hash) if said.decision == "edited" else None)
    )


def _fault_of_reason(said: Said, rule: ReviewRule | None, risk_class: str) -> Fault | None:
    if said.reason is None:
        may_be_short = said.decision == "approved" and not needs_confirming(rule, risk_class)
        return None if may_be_short else "reason_missing"
    return None if said.reason in REASONS[str(said.decision)] else "reason_unknown"


def _fault_of_basis(said: Said, risk_class: str) -> Fault | None:
    if not set(said.shown).issubset(SHOWN):
        return "shown_unknown"
    if said.decision == "abstained" or risk_class not in ONE_BY_ONE:
        return None
    if said.adverse is None:
        return "adverse_missing"
    return None if said.shown else "shown_missing"


def _fault_of_edit(said: Said, content_hash: str | None) -> Fault | None:
    if said.edited_hash is None:
        return "edited_hash_missing"
    return "edited_hash_same" if said.edited_hash == content_hash else None


def fault_of_bulk(
    count: int, kinds: Collection[tuple[str, str]], rule: ReviewRule | None, most: int
) -> BulkFault | None:
    """Why so many outputs, of these (use case, risk class), are not decided about at once; None: they may be.

    Args:
        count: how many they are.
        kinds: of them all.
        rule: of their class.
        most: that are ever taken at once, whatever the rule says.
    """
    if not count:
        return "bulk_empty"
    if count > most:
        return "bulk_too_many"
    if len(set(kinds)) > 1:
        return "bulk_mixed"
    allowed = bulk_limit(rule, next(risk_class for _, risk_class in kinds), most)
    if not allowed:
        return "bulk_never"
    return "bulk_too_many" if count > allowed else None


def bulk_limit(rule: ReviewRule | None, risk_class: str, most: int) -> int:
    """How many outputs of a class may be decided about at once; 0: each by itself."""
    if rule is None or risk_class in ONE_BY_ONE:
        return 0
    return most if rule.max_bulk is None else min(rule.max_bulk, most)


def review_name(output_id: str, person: str, earlier: int) -> str:
    """The name of a person's next review of an output: the same while the log knows `earlier` ones of theirs.

    So a second click makes no second review.
    """
    return event_id("review", output_id, person, earlier)


def bulk_name(person: str, review_ids: Sequence[str]) -> str:
    """The name of a bulk of these reviews."""
    return event_id("bulk", person, *sorted(review_ids))


def opening(output_id: str, review_id: str, person: str, now: datetime) -> ReviewOpened:
    """That a person begins to review an output."""
    data = ReviewStart(output_id=output_id, review_id=review_id, reviewer=person, opened_at=now)
    return ReviewOpened(id=event_id(review_id, "opened"), source=SOURCE, subject=output_id, time=now, data=data)


def declining(output_id: str, review_id: str, person: str, reason: str | None, now: datetime) -> ReviewDeclined:
    """That a person hands an output back."""
    data = ReviewRefusal(output_id=output_id, review_id=review_id, reviewer=person, declined_at=now, reason_code=reason)
    return ReviewDeclined(id=_end_of(review_id), source=SOURCE, subject=output_id, time=now, data=data)


def deciding(review: Review) -> ReviewDecided:
    """That a person decided. A review ends once, with the first end that it was given."""
    return ReviewDecided(
        id=_end_of(review.review_id), source=SOURCE, subject=review.output_id, time=review.decided_at, data=review
    )


def review_of(
    output_id: str, review_id: str, said: Said, hand: Hand, now: datetime,
    *, opened_at: datetime | None, content_hash: str | None, replaces: str | None = None, bulk: Bulk | None = None,
) -> Review:  # fmt: skip
    """The review that somebody made now, of the content that they were shown.

    Args:
        output_id: what it is about.
        review_id: its name.
        said: complete (`fault_of`).
        hand: who decides.
        now: when (UTC).
        opened_at: when they opened this very output, as the log knows; None: not by itself.
        content_hash: of what they were shown (keyed).
        replaces: an earlier review of theirs that this one takes back.
        bulk: where it was decided together with others.
    """
    fields = {
        "output_id": output_id,
        "review_id": review_id,
        "content_hash_reviewed": content_hash,
        "reviewer": hand.person,
        "decided_at": now,
        "decision": said.decision,
        "evidence": "edited" if said.decision == "edited" else "explicit_accept",
        "edited_content_hash": said.edited_hash if said.decision == "edited" else None,
        "bulk_id": bulk and bulk.bulk_id,
        "bulk_place": bulk and bulk.place,
        "bulk_size": bulk and bulk.size,
        "opened_at": opened_at,
        "capacity": hand.capacity,
        "reason_code": said.reason,
        "replaces": replaces,
        "adverse": said.adverse,
        "evidence_shown": said.shown,
        "made_in": "valvomo",
    }
    return Review.model_validate(fields)


def _end_of(review_id: str) -> str:
    return event_id(review_id, "ended")
