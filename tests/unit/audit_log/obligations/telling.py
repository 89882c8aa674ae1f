"""What a test of obligations says and asks, in few words: a policy, entries, what is decided of them."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime

from services.audit_log.domain.reviews.duty import Rulebook
from services.audit_log.domain.reviews.folding import Case, Decision, Happened, assign, decide, fold, judge
from services.shared.events import Event, decode, encode
from services.shared.events import governance as told
from services.shared.events.outcomes import FindingClosed, FindingOpened
from services.shared.events.register import Policy, ReviewerMandate, ReviewRule, UseCase
from tests.unit.audit_log.events import MONDAY, POLICY, SOURCE, USE_CASES

A, B, C = "a" * 64, "b" * 64, "c" * 64
Told = Event | tuple[Event, datetime]
"""An event that the bus had when its source told it, or when the test says."""


def policy(risk_class: str = "high_decision", *, version: int = 3, **members: object) -> Policy:
    """The test city's policy, with another rule for a class, or other members of its own."""
    own = {name: members.pop(name) for name in list(members) if name in Policy.model_fields}
    before = next((rule for rule in POLICY.rules if rule.risk_class == risk_class), None)
    plain = before.model_dump() if before else {"risk_class": risk_class, "gate": "before_use"}
    rule = ReviewRule.model_validate({**plain, **members})
    rules = (*(found for found in POLICY.rules if found.risk_class != risk_class), rule)
    return POLICY.model_copy(update={"version": version, "rules": rules, **own})


def rules(found: Policy = POLICY, use_cases: tuple[UseCase, ...] = USE_CASES, *mandates: ReviewerMandate) -> Rulebook:
    return Rulebook((found,), use_cases, mandates)


def mandate(reviewer: str = "p-reviewer", **members: object) -> ReviewerMandate:
    fields = {"unit": "kymp", "valid_from": date(2026, 1, 1), "use_cases": ("benefits",), **members}
    return ReviewerMandate.model_validate({"reviewer": reviewer, **fields})


def case_of(entries: Iterable[Told], known: Rulebook | None = None, case: Case | None = None) -> Case:
    """The case after these entries, in this order."""
    folded = case or Case(output_id="o-1")
    for seq, entry in enumerate(entries):
        event, moment = entry if isinstance(entry, tuple) else (entry, entry.time)
        folded = fold(folded, Happened(seq, moment, event), known or rules())
    return folded


def settle(case: Case, now: datetime, known: Rulebook | None = None) -> tuple[Case, list[Decision]]:
    """Decide, read the decisions back, and again, until nothing is left to decide."""
    said: list[Decision] = []
    while decisions := decide(case, now):
        said += decisions
        case = case_of([(decode(encode(event)), now) for event in decisions], known, case)
    return case, said


def story(said: Sequence[Event]) -> list[str]:
    """The findings that were opened and closed, in words."""
    words: list[str] = []
    for event in said:
        if isinstance(event, FindingOpened):
            words.append(event.data.kind)
        elif isinstance(event, FindingClosed):
            words.append(f"closed {event.data.reason}")
    return words


def outcome(entries: Iterable[Told], now: datetime, known: Rulebook | None = None) -> tuple[str, list[str]]:
    """The state at `now`, and what was said of findings until nothing was left to say."""
    case, said = settle(case_of(entries, known), now, known)
    return judge(case, now).state, story(said)


def flags(entries: Iterable[Told], now: datetime, known: Rulebook | None = None) -> frozenset[str]:
    return judge(case_of(entries, known), now).flags


def standing(entries: Iterable[Told], known: Rulebook | None = None) -> str | None:
    """Of the first review."""
    return case_of(entries, known).reviews[0].standing


def demand(
    because: str = "class", output: str = "o-1", when: datetime = MONDAY, **members: object
) -> told.ReviewRequested:
    """What the log once said to be demanded."""
    fields = {
        "policy": "review", "policy_version": 3, "risk_class": "high_decision", "gate": "before_use", "unit": "kymp",
        "due_at": when, **members,
    }  # fmt: skip
    data = told.ReviewDemand.model_validate({"output_id": output, "because": because, **fields})
    return told.ReviewRequested(id=f"{output}.{because}", source=SOURCE, subject=output, time=when, data=data)


__all__ = [
    "A", "B", "C", "Case", "Told", "assign", "case_of", "decide", "demand", "flags", "judge", "mandate", "outcome",
    "policy", "rules", "settle", "standing", "story",
]  # fmt: skip
