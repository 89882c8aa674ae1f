"""Several outputs decided about at once: each with a review of its own, or none of them. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from services.audit_log.domain.reviews.case import Case, Opening
from services.audit_log.domain.reviews.deciding import (
    Bulk,
    Hand,
    Said,
    bulk_limit,
    bulk_name,
    fault_of,
    fault_of_bulk,
    review_of,
)
from services.audit_log.domain.reviews.duty import Duty, Rulebook
from services.audit_log.domain.reviews.hurdles import (
    Refused,
    Reviewer,
    capacity_of,
    earlier_review,
    hurdle_of,
    lease_of,
    next_review,
    own_opening,
    standing_beforehand,
)
from services.shared.events.governance import Review

MOST_AT_ONCE = 200
"""More outputs are not looked at at once, whatever the policy allows: nobody can."""

COUNTING = frozenset({"valid", "abstained"})
"""How the log may come to see a review that is taken here."""

_PROBE = Said("approved", "checked_by_list")


class Sitting(NamedTuple):
    """Who reviews, by which rules, and when (UTC)."""

    reviewer: Reviewer
    rules: Rulebook
    now: datetime

    @property
    def person(self) -> str:
        return self.reviewer.person


class Shown(NamedTuple):
    """An output, and the content hash of what somebody was shown of it."""

    output_id: str
    content_hash: str | None


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several outputs: what the log has of it, and why it will not do (None: it will).

    `opening`: where the reviewer has opened it by itself.
    """

    output_id: str
    case: Case | None
    refused: Refused | None
    review_id: str = ""
    opening: Opening | None = None


@dataclass(frozen=True, slots=True)
class Several:
    """Outputs that somebody wants to decide about at once. `refused`: why not; None: all of them will do."""

    choices: tuple[Choice, ...]
    refused: Refused | None


def look_at(wanted: Sequence[Shown], cases: Mapping[str, Case], sitting: Sitting) -> Several:
    """Whether somebody may decide about these at once, and which of them stand in the way."""
    if len(wanted) > MOST_AT_ONCE:
        return too_many()
    names = [one.output_id for one in wanted]
    choices = tuple(
        _choice(shown, cases.get(shown.output_id), sitting, Bulk("probe", place, len(wanted)))
        for place, shown in enumerate(wanted, start=1)
    )
    choices = tuple(_once(choice, names) for choice in choices)
    refused = _of_kinds(choices)
    if refused is None and any(choice.refused for choice in choices):
        refused = Refused("bulk_ineligible")
    return Several(choices, refused)


def too_many() -> Several:
    """More than are ever looked at."""
    return Several((), Refused("bulk_too_many", most=MOST_AT_ONCE))


def decided(found: Several, said: Said, sitting: Sitting) -> list[Review] | Refused:
    """The reviews that a decision about all of them makes; or what is missing in it.

    Texts that somebody edited are reviewed one by one, and nobody abstains from many at once.
    """
    if found.refused is not None:
        return found.refused
    if said.decision not in {"approved", "rejected"}:
        return Refused("decision_missing")
    duty = _duty(found.choices[0])
    fault = fault_of(said, duty.rule, duty.risk_class, None) if duty else None
    if fault is not None or said.reason is None:
        return Refused(fault or "reason_missing")
    bulk_id = bulk_name(sitting.person, [choice.review_id for choice in found.choices])
    reviews = [
        _made(choice, said, sitting, Bulk(bulk_id, place, len(found.choices)))
        for place, choice in enumerate(found.choices, start=1)
    ]
    return [review for review in reviews if review is not None]


def review_by(
    case: Case, review_id: str, said: Said, sitting: Sitting, opening: Opening | None, *, bulk: Bulk | None = None
) -> Review:
    """The review that somebody makes of a case as it is now."""
    return review_of(
        case.output_id,
        review_id,
        said,
        Hand(sitting.person, capacity_of(case, sitting.person, sitting.rules)),
        sitting.now,
        opened_at=opening.opened_at if opening else None,
        content_hash=case.output.content_hash if case.output else None,
        replaces=earlier_review(case, sitting.person, sitting.rules),
        bulk=bulk,
    )


def _choice(shown: Shown, case: Case | None, sitting: Sitting, bulk: Bulk) -> Choice:
    refused = hurdle_of(case, sitting.reviewer, sitting.rules, sitting.now)
    if refused is not None or case is None:
        return Choice(shown.output_id, case, refused)
    if shown.content_hash != (case.output.content_hash if case.output else None):
        return Choice(shown.output_id, case, Refused("changed"))
    held = _held(case, sitting)
    review_id = held.review_id if held else next_review(case, sitting.person, sitting.rules)
    choice = Choice(shown.output_id, case, None, review_id, held)
    probe = _made(choice, _PROBE, sitting, bulk)
    standing = standing_beforehand(case, probe, sitting.rules, sitting.now) if probe else None
    return choice if standing is None or standing in COUNTING else replace(choice, refused=Refused(standing))


def _held(case: Case, sitting: Sitting) -> Opening | None:
    held = own_opening(case, sitting.person, sitting.rules)
    return held if held is not None and lease_of(case, held) >= sitting.now else None


def _made(choice: Choice, said: Said, sitting: Sitting, bulk: Bulk) -> Review | None:
    if choice.case is None:
        return None
    return review_by(choice.case, choice.review_id, said, sitting, choice.opening, bulk=bulk)


def _once(choice: Choice, names: Sequence[str]) -> Choice:
    return replace(choice, refused=Refused("repeated")) if names.count(choice.output_id) > 1 else choice


def _of_kinds(choices: Sequence[Choice]) -> Refused | None:
    duties = [duty for choice in choices if (duty := _duty(choice))]
    if choices and not duties:
        return None
    kinds = {(_use_case(choice), duty.risk_class) for choice in choices if (duty := _duty(choice))}
    rule, risk_class = (duties[0].rule, duties[0].risk_class) if duties else (None, "")
    fault = fault_of_bulk(len(choices), kinds, rule, MOST_AT_ONCE)
    return None if fault is None else Refused(fault, most=bulk_limit(rule, risk_class, MOST_AT_ONCE))


def _duty(choice: Choice) -> Duty | None:
    return choice.case.duty if choice.case else None


def _use_case(choice: Choice) -> str:
    return (choice.case.use_case if choice.case else None) or ""
