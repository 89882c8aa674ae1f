"""What must be true of review policies: rules that demand something possible, versions that rise, legal dates."""

from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import get_args

from services.shared.events.governance import RiskClass
from services.shared.events.register import Policy, ReviewRule
from services.usage_collector.register.documents import Path
from services.usage_collector.register.entries import Item
from services.usage_collector.register.expected import EXPECTED
from services.usage_collector.register.problems import Problem
from services.usage_collector.register.spans import end_of, neighbours

CLASSES: tuple[str, ...] = get_args(RiskClass)
DECISIONS = "high_decision"
_REVIEWED = ("before_use", "after_use")
_ONE_BY_ONE = "that outputs of this class are approved one by one, by who has read them"


def policy_problems(policies: Sequence[Item]) -> Iterator[Problem]:
    """Everything for which a policy is refused besides what its own members say."""
    for earlier, later in neighbours(policies, lambda item: item.fact.id):
        yield from _version(earlier, later)
    for item in policies:
        yield from _second_rules(item)
        yield from _legal_dates(item)
        for index, rule in enumerate(item.fact.rules):
            yield from _draws_without_review(item, index, rule)
            yield from _escalation(item, index, rule)


def policy_warnings(policies: Sequence[Item], mandates: Sequence[Item], today: date) -> Iterator[Problem]:
    """What a person should look at in the policies that hold today or later."""
    capacities = {one.fact.capacity for one in mandates if end_of(one) > today}
    for item in policies:
        if end_of(item) > today:
            yield from _backdated(item, today)
            yield from _missing_rules(item)
            for index, rule in enumerate(item.fact.rules):
                yield from _deadline(item, index, rule)
                yield from _easy_approval(item, index, rule)
                yield from _capacity(item, index, rule, capacities)


def _version(earlier: Item, later: Item) -> Iterator[Problem]:
    before, after = earlier.fact.version, later.fact.version
    if before >= after and earlier.fact.valid_from < later.fact.valid_from:
        yield later.problem(
            "version",
            "policy-version",
            found=f"version: {after}, from {later.fact.valid_from} on",
            expected=f"a version above {before}, which {earlier.place} has for the time before",
            write=f"write version: {before + 1}",
        )


def _second_rules(item: Item) -> Iterator[Problem]:
    classes = [rule.risk_class for rule in item.fact.rules]
    for risk_class in sorted({name for name in classes if classes.count(name) > 1}):
        yield item.problem(
            "rules",
            "two-rules-per-class",
            found=f"several rules for {risk_class}",
            expected="one rule per risk class",
            write="remove all but one",
        )


def _legal_dates(item: Item) -> Iterator[Problem]:
    known: set[str] = set()
    for index, one in enumerate(item.fact.legal_dates):
        if one.id in known:
            yield _legal_date(item, (index, "id"), f"a second legal date {one.id!r}", "each id once", "another id")
        known.add(one.id)
        for member in ("requires", "risk_classes"):
            named: Sequence[str] = getattr(one, member)
            if not named:
                yield _legal_date(item, (index, member), f"{member}: []", "one name at least", EXPECTED[member][1])
            if len(set(named)) < len(named):
                twice = next(name for name in named if named.count(name) > 1)
                yield _legal_date(item, (index, member), f"{twice} twice", "each name once", "it once")


def _legal_date(item: Item, path: Path, found: str, expected: str, write: str) -> Problem:
    return item.problem(
        ("legal_dates", *path), "legal-date", found=found, expected=expected, write=f"write {write}, or remove the date"
    )


def _draws_without_review(item: Item, index: int, rule: ReviewRule) -> Iterator[Problem]:
    if rule.gate in _REVIEWED:
        return
    for member in ("sample_rate", "sample_least", "second_rate"):
        path = ("rules", index, member)
        if path in item.entry.lines:
            yield item.problem(
                path,
                "sample-without-review",
                found=f"{member} of {rule.risk_class} with gate: {rule.gate}",
                expected="a draw only where what is drawn is reviewed",
                write=f"write gate: after_use, or leave {member} out",
            )


def _escalation(item: Item, index: int, rule: ReviewRule) -> Iterator[Problem]:
    shares = [step.share for step in rule.escalation]
    if any(low >= high for low, high in pairwise([Decimal(0), *shares])):
        yield item.problem(
            ("rules", index, "escalation"),
            "escalation",
            found=f"shares {', '.join(f'{share:f}' for share in shares)}",
            expected="shares of the time to review that rise, above 0",
            write='write for example escalation: [{share: "0.5", role: head-kymp}, {share: "1", role: auditor}]',
        )
    if shares and rule.deadline_business_hours is None:
        yield item.problem(
            ("rules", index, "escalation"),
            "escalation",
            found=f"escalation of {rule.risk_class} without deadline_business_hours",
            expected="a time to review that shares can be taken of",
            write="write deadline_business_hours, or leave escalation out",
        )


def _backdated(item: Item, today: date) -> Iterator[Problem]:
    fact: Policy = item.fact
    published = fact.published_on or today
    if fact.version > 1 and fact.valid_from < published:
        yield item.problem(
            "valid_from",
            "backdated-policy",
            found=f"version {fact.version} that holds from {fact.valid_from} on, "
            + (f"published on {published}" if fact.published_on else "without published_on"),
            expected="a version that holds from a day after its publication on",
            write="findings of the time before stay as they are; write the day that was meant"
            + ("" if fact.published_on else ", or published_on: the day on which it was published"),
        )


def _missing_rules(item: Item) -> Iterator[Problem]:
    missing = [name for name in CLASSES if name not in {rule.risk_class for rule in item.fact.rules}]
    if missing:
        yield item.problem(
            "rules",
            "class-without-rule",
            found=f"no rule for {', '.join(missing)}",
            expected="a rule for each class: outputs of a class without one are reviewed as high_decision",
            write=f"write for example {{risk_class: {missing[0]}, gate: before_use, deadline_business_hours: 8}}",
        )


def _deadline(item: Item, index: int, rule: ReviewRule) -> Iterator[Problem]:
    if rule.gate in _REVIEWED and rule.deadline_business_hours is None:
        yield item.problem(
            ("rules", index, "gate"),
            "no-deadline",
            found=f"gate: {rule.gate} of {rule.risk_class} without deadline_business_hours",
            expected="a time to review, or nothing is ever overdue",
            write="write for example deadline_business_hours: 16",
        )


def _easy_approval(item: Item, index: int, rule: ReviewRule) -> Iterator[Problem]:
    """Ways to approve a decision about a person without reading it."""
    if rule.risk_class != DECISIONS or rule.gate not in _REVIEWED:
        return
    graded = {grade for grades in rule.accepted_by_source.values() for grade in grades} | {*rule.accepted_evidence}
    bulk = "any number" if rule.max_bulk is None else rule.max_bulk
    for open_way, found, write in (
        (rule.max_bulk != 0, f"{bulk} of {DECISIONS} in one bulk", "max_bulk: 0"),
        (not rule.min_dwell_seconds, f"{DECISIONS} without min_dwell_seconds", "min_dwell_seconds: 5"),
        (rule.one_click, f"{DECISIONS} with one_click: true", "one_click: false"),
        ("thumb" in graded, f"a thumb as review of {DECISIONS}", "accepted_evidence: [explicit_accept, edited]"),
    ):
        if open_way:
            yield item.problem(
                ("rules", index),
                "easy-approval",
                found=found,
                expected=_ONE_BY_ONE,
                write=f"write {write}",
            )


def _capacity(item: Item, index: int, rule: ReviewRule, capacities: set[str]) -> Iterator[Problem]:
    if rule.capacity is not None and rule.capacity not in capacities:
        yield item.problem(
            ("rules", index, "capacity"),
            "nobody-may-review",
            found=f"capacity: {rule.capacity!r}, which no mandate has",
            expected="a capacity of somebody in reviewers.yaml",
            write=f"write capacity: {rule.capacity} in the mandate of who reviews {rule.risk_class}",
        )
