"""What the pages of reviews show: lines of the queue, a rule in words, who somebody is to it. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args
from urllib.parse import urlsplit

from services.audit_log.adapters.reviews.queue import Item, Place, Wanted
from services.audit_log.domain.reviews.case import State
from services.audit_log.domain.reviews.deciding import ONE_BY_ONE
from services.audit_log.domain.reviews.duty import RISK_CLASSES, Duty, Rulebook
from services.audit_log.domain.reviews.hurdles import STANDINGS, Refused, Remit
from services.audit_log.domain.reviews.several import MOST_AT_ONCE
from services.shared.events.register import ReviewRule
from services.shared.periods import timestamp, utc
from services.shared.web.words import Words

FILTERS = ("unit", "use_case", "risk_class", "system", "state")
FIELDS = (*FILTERS, "mine", "after", "after_due")
WAITING: tuple[State, ...] = ("overdue", "used_unreviewed", "in_review", "pending")
"""States of what waits, the gravest first."""

Standing = Literal["none", "no_role", "no_mandate", "mandate"]
_LONGEST = 192
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_CLASSES = frozenset(RISK_CLASSES)
_STATES = frozenset(get_args(State))


@dataclass(frozen=True, slots=True)
class You:
    """Who looks at the queue. `standing`: whether they may review, and why not; `form_token`: for their forms."""

    standing: Standing
    remit: Remit
    person: str | None = None
    form_token: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One output in the queue. `own`: who looks had asked for it; `tickable`: they may review it with others."""

    item: Item
    late: bool
    own: bool
    tickable: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asks the queue for: the filters as given, and from where on."""

    given: Mapping[str, str]
    wanted: Wanted
    after: Place | None


@dataclass(frozen=True, slots=True)
class Choices:
    """What the form of the queue offers to choose from, as the register knows it."""

    use_cases: Sequence[tuple[str, str]]
    units: Sequence[str]
    systems: Sequence[str]


def asked_in(parameters: Mapping[str, str], remit: Remit) -> Asked | None:
    """What a form asks; None: it cannot be understood."""
    given = {name: text for name in FIELDS if (text := parameters.get(name, "").strip())}
    if any(len(text) > _LONGEST or _CONTROL.search(text) for text in given.values()):
        return None
    if given.get("risk_class", "minimal") not in _CLASSES or given.get("state", "pending") not in _STATES:
        return None
    try:
        after = _place(given)
    except (ValueError, OverflowError):
        return None
    unit, use_case, risk_class, system, state = (given.get(name) for name in FILTERS)
    wanted = Wanted(unit, use_case, risk_class, system, state, remit if "mine" in given else None)
    return Asked({name: text for name, text in given.items() if not name.startswith("after")}, wanted, after)


def next_of(place: Place) -> dict[str, str]:
    """The parameters of the page after this place."""
    due = {"after_due": timestamp(place.due_at)} if place.due_at else {}
    return {**due, "after": place.output_id}


def lines_of(items: Sequence[Item], you: You, now: datetime) -> list[Line]:
    """The items of a page as who looks sees them."""
    return [_line(item, you, now) for item in items]


def choices_of(rules: Rulebook, words: Words) -> Choices:
    """Use cases by their names, and the units and systems that have any."""
    use_cases = sorted(
        {(found.id, words.name(found.name, found.id)) for found in rules.use_cases}, key=lambda one: one[1]
    )
    units = sorted({found.unit for found in rules.use_cases})
    return Choices(use_cases, units, sorted({system for found in rules.use_cases for system in found.systems}))


def names_of(rules: Rulebook, words: Words) -> dict[str, str]:
    """Use case → its name."""
    return {found.id: words.name(found.name, found.id) for found in rules.use_cases}


def rule_in_words(duty: Duty, words: Words) -> list[str]:
    """What the policy demands of an output, a sentence each."""
    return list(_sentences(duty, duty.rule, words))


def refusal_in_words(refused: Refused, words: Words, count: int = 0) -> str:
    """Why nothing was taken, in a sentence."""
    if refused.code in STANDINGS:
        return words("rev_standing_" + refused.code)
    moment = words.moment(refused.until) if refused.until else ""
    return words("rev_hurdle_" + refused.code, moment=moment, count=words.number(count), most=refused.most or 0)


def host_of(link: str | None) -> str | None:
    """The host that a vendor's link leads to, as the network knows it: letters that look like others do not pass."""
    host = urlsplit(link).hostname if link else None
    if host is None or host.isascii():
        return host
    try:
        return host.encode("idna").decode()
    except UnicodeError:  # no browser finds such a host either
        return ascii(host)[1:-1]


def _place(given: Mapping[str, str]) -> Place | None:
    if "after" not in given:
        return None
    due = given.get("after_due")
    return Place(utc(datetime.fromisoformat(due)) if due else None, given["after"])


def _line(item: Item, you: You, now: datetime) -> Line:
    own = you.person is not None and item.requester == you.person
    together = item.risk_class not in ONE_BY_ONE and item.max_bulk != 0
    tickable = you.standing == "mandate" and together and not own and you.remit.has(item.use_case, item.unit)
    return Line(item, item.due_at is not None and item.due_at < now, own, tickable)


def _sentences(duty: Duty, rule: ReviewRule, words: Words) -> Iterator[str]:
    risk_class = words("finding_class_" + duty.risk_class)
    yield words("rev_rule_policy", policy=duty.policy, version=duty.policy_version, risk_class=risk_class)
    yield words("rev_gate_" + duty.gate)
    if duty.gate not in {"before_use", "after_use"}:
        return
    if rule.deadline_business_hours:
        yield words("rev_rule_hours", hours=rule.deadline_business_hours)
    grades = ", ".join(words("rev_evidence_" + grade) for grade in rule.accepted_evidence)
    yield words("rev_rule_evidence", grades=grades)
    if rule.reviewers > 1:
        yield words("rev_rule_reviewers", count=rule.reviewers)
    yield from _of_persons(rule, words)
    yield from _of_the_way(duty, rule, words)


def _of_persons(rule: ReviewRule, words: Words) -> Iterator[str]:
    yield words("rev_four_eyes_" + rule.four_eyes)
    yield words("rev_independence_" + rule.independence)
    if rule.training_required:
        yield words("rev_rule_training")


def _of_the_way(duty: Duty, rule: ReviewRule, words: Words) -> Iterator[str]:
    if rule.max_bulk == 0 or duty.risk_class in ONE_BY_ONE:
        yield words("rev_rule_no_bulk")
    else:
        yield words("rev_rule_bulk", count=min(rule.max_bulk or MOST_AT_ONCE, MOST_AT_ONCE))
    if rule.min_dwell_seconds:
        yield words("rev_rule_dwell", seconds=rule.min_dwell_seconds)
