"""What the AI register lacks: records that the law asks for by a day, and uses that no use case covers. Pure.

The days stand in the policy, not here: they have moved before.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Literal, NamedTuple

from services.audit_log.domain.ai_register.sightings import Aspect, Seen, Sighting
from services.shared.events.register import LegalDate, LegalRecord, Policy, UseCase
from services.shared.periods import helsinki_day

HIGH_CLASSES = frozenset({"prohibited", "high_decision", "high_support", "unclassified"})
"""Classes of which an uncovered use is severe; what nobody has classified is treated as high."""

TOLD_AT_MOST = 25
"""Values of one aspect of one system that are told one by one; of the others one word says that there are more."""
OTHERS = "*"

_PRODUCTION = "production"

MissingState = Literal["coming", "due", "overdue"]
"""`coming`: it is too early to tell anybody. `due`: within the days of warning. `overdue`: the day has come."""


class Missing(NamedTuple):
    """A record that the policy wants of a use case from the day `due` (Helsinki) on, and that is not there."""

    use_case: str
    unit: str
    legal_date: str
    article: str
    record: LegalRecord
    due: date
    state: MissingState


class Uncovered(NamedTuple):
    """Something in use that no use case covers. `unit`: of the strictest use case of the system; None: it has none."""

    seen: Seen
    unit: str | None
    severe: bool


def policy_on(policies: Iterable[Policy], today: date) -> Policy | None:
    """The policy in force on a Helsinki day."""
    holding = [policy for policy in policies if policy.holds_on(today)]
    return max(holding, key=lambda found: (found.valid_from, found.version), default=None)


def obligations(use_cases: Iterable[UseCase], policies: Iterable[Policy], today: date) -> list[Missing]:
    """What is missing of the uses in production that the register knows today, by the policy of today."""
    policy = policy_on(policies, today)
    if policy is None:
        return []
    found = (
        Missing(use_case.id, use_case.unit, legal.id, legal.article, record, legal.on, _missing_state(legal, today))
        for use_case in in_production(use_cases, today)
        for legal in policy.legal_dates
        if legal.concerns(use_case)
        for record in legal.requires
        if not is_on_record(use_case, record)
    )
    return sorted(found, key=lambda one: (one.due, one.use_case, one.record, one.legal_date))


def is_on_record(use_case: UseCase, record: LegalRecord) -> bool:
    """Whether the register has this about the use case."""
    return getattr(use_case, record) is not None


def in_production(use_cases: Iterable[UseCase], today: date) -> list[UseCase]:
    """The uses in production that the register knows on a day."""
    return [found for found in use_cases if found.holds_on(today) and found.environment == _PRODUCTION]


def uncovered(sightings: Iterable[Sighting], use_cases: Sequence[UseCase], today: date) -> list[Uncovered]:
    """What was seen in use and no use case covers: neither one of the day it was seen last nor one of today.

    Of a system without any use case only the system is told.
    """
    register = _Register(use_cases, today)
    found = [one for sighting in sightings if (one := _uncovered(sighting, register))]
    return sorted(_few(found), key=lambda one: one.seen)


def is_covered(sighting: Sighting, use_cases: Sequence[UseCase], today: date) -> bool:
    """Whether a use case covers what was seen."""
    return _uncovered(sighting, _Register(use_cases, today)) is None


class _Register:
    """The use cases of each system, of a day and of today: looked up once for each day."""

    def __init__(self, use_cases: Sequence[UseCase], today: date) -> None:
        self._use_cases, self._today = use_cases, today
        self._days: dict[date, dict[str, list[UseCase]]] = {}

    def of_system(self, system: str, day: date) -> list[UseCase]:
        then, now = (self._on(one).get(system, []) for one in (day, self._today))
        return [*then, *now]

    def _on(self, day: date) -> dict[str, list[UseCase]]:
        if day not in self._days:
            found = self._days[day] = {}
            for one in in_production(self._use_cases, day):
                for system in one.systems:
                    found.setdefault(system, []).append(one)
        return self._days[day]


def _missing_state(legal: LegalDate, today: date) -> MissingState:
    days = (legal.on - today).days
    if days <= 0:
        return "overdue"
    return "due" if days <= legal.warn_days else "coming"


def _uncovered(sighting: Sighting, register: _Register) -> Uncovered | None:
    seen = sighting.seen
    of_system = register.of_system(seen.system, helsinki_day(sighting.last_at))
    if any(_covers(one, seen) for one in of_system) or (not of_system and seen.aspect != "system"):
        return None
    strictest = max(of_system, key=lambda one: (one.risk_class in HIGH_CLASSES, one.id), default=None)
    severe = strictest is not None and strictest.risk_class in HIGH_CLASSES
    return Uncovered(seen, strictest.unit if strictest else None, severe)


def _covers(use_case: UseCase, seen: Seen) -> bool:
    patterns = _patterns(use_case, seen.aspect)
    return not patterns or any(_fits(pattern, seen.value) for pattern in patterns)


def _patterns(use_case: UseCase, aspect: Aspect) -> tuple[str, ...]:
    covers = use_case.covers
    named = {"model": covers.models, "agent": covers.agents, "feature": covers.features, "region": covers.regions}
    return named.get(aspect, ())


def _fits(pattern: str, value: str) -> bool:
    return value.startswith(pattern[:-1]) if pattern.endswith("*") else value == pattern


def _few(found: Sequence[Uncovered]) -> Iterator[Uncovered]:
    """At most `TOLD_AT_MOST` of one aspect of a system, the ones seen first; one more stands for the others."""
    count: dict[tuple[str, Aspect], int] = dict.fromkeys(((one.seen.system, one.seen.aspect) for one in found), 0)
    for one in found:
        place = one.seen.system, one.seen.aspect
        count[place] += 1
        if count[place] <= TOLD_AT_MOST:
            yield one
        elif count[place] == TOLD_AT_MOST + 1:
            yield one._replace(seen=one.seen._replace(value=OTHERS))
