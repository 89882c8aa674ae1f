"""The AI register as people see it: per unit its uses of AI, the prohibited and the high-risk ones first. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import NamedTuple

from services.audit_log.domain.ai_register.obligations import Missing, obligations, policy_on
from services.shared.events.governance import RiskClass
from services.shared.events.outcomes import CostBand, FindingKind
from services.shared.events.plans import BenefitResult
from services.shared.events.register import Policy, ReviewRule, System, Unit, UseCase
from services.shared.money import EXACT
from services.shared.privacy import FEWEST_PERSONS

CLASS_ORDER: tuple[RiskClass, ...] = (
    "prohibited", "high_decision", "high_support", "unclassified", "public_text", "limited", "minimal",
)  # fmt: skip
"""What the law watches comes first; what nobody has classified is treated as high."""

SHORT, LONG = timedelta(days=30), timedelta(days=90)
"""Live use is told for so long back."""
REVIEWED_OVER = timedelta(days=365)
"""The share reviewed is of outputs whose review was due within so long."""
FEWEST_OUTPUTS = FEWEST_PERSONS
"""A share of fewer outputs is not told: it would tell what single persons did."""


class Counts(NamedTuple):
    """Outputs of the last 30 and 90 days, the newest one (UTC); how many reviews were due in a year, and were made."""

    short: int = 0
    long: int = 0
    last_at: datetime | None = None
    due: int = 0
    reviewed: int = 0

    @property
    def share(self) -> Decimal | None:
        """The share reviewed of those due; None: none was due, or too few to tell."""
        return EXACT.divide(Decimal(self.reviewed), Decimal(self.due)) if self.due >= FEWEST_OUTPUTS else None

    def plus(self, other: "Counts") -> "Counts":
        last = max((one for one in (self.last_at, other.last_at) if one), default=None)
        return Counts(
            self.short + other.short, self.long + other.long, last, self.due + other.due, self.reviewed + other.reviewed
        )


NO_COUNTS = Counts()


class Cost(NamedTuple):
    """A band of cost, and the day since when it is known."""

    band: CostBand
    as_of: date


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that the register is shown from; `counts` by (use case, unit) of the outputs."""

    units: Sequence[Unit]
    systems: Mapping[str, System]
    use_cases: Sequence[UseCase]
    policies: Sequence[Policy]
    benefits: Sequence[BenefitResult]
    counts: Mapping[tuple[str, str], Counts]
    findings: Mapping[str, Mapping[FindingKind, int]]
    costs: Mapping[str, Cost]


class BenefitSoFar(NamedTuple):
    """Results by month (YYYY-MM), the first first; `done`: how much of the way from baseline to target the last is."""

    months: tuple[tuple[str, Decimal], ...]
    done: Decimal | None


@dataclass(frozen=True, slots=True)
class Entry:
    """A use of AI as it is today. `unit`: the chain of units, its own first, the city last."""

    use_case: UseCase
    units: tuple[Unit, ...]
    systems: tuple[System, ...]
    rule: ReviewRule | None
    missing: tuple[Missing, ...]
    suspended: bool
    counts: Counts
    findings: Mapping[FindingKind, int]
    cost: Cost | None
    benefit: BenefitSoFar

    @property
    def is_watched(self) -> bool:
        """Whether the law watches it: prohibited, high-risk, or nobody has said what it is."""
        return self.use_case.risk_class in CLASS_ORDER[:4]


@dataclass(frozen=True, slots=True)
class UnitEntry:
    """A unit with its own uses of AI, the strictest class first. `depth`: 0 for the city itself.

    `counts`: of the outputs made for the unit itself, whichever use they belong to.
    """

    unit: Unit
    units: tuple[Unit, ...]
    depth: int
    entries: tuple[Entry, ...]
    counts: Counts

    @property
    def classes(self) -> Mapping[RiskClass, int]:
        return Counter(one.use_case.risk_class for one in self.entries)


@dataclass(frozen=True)
class View:
    """The whole register at `now` (UTC), on the Helsinki day `today`; units in the order of the tree."""

    now: datetime
    today: date
    units: tuple[UnitEntry, ...]
    all_use_cases: tuple[UseCase, ...]
    """Also those of other days."""

    @cached_property
    def entries(self) -> Mapping[str, Entry]:
        return {one.use_case.id: one for unit in self.units for one in unit.entries}

    def of(self, unit: str | None, risk_class: str | None) -> list[UnitEntry]:
        """The units at and below `unit`, those that have uses of this class, with these only."""
        found = [one for one in self.units if unit is None or any(unit == above.id for above in one.units)]
        if risk_class is None:
            return found
        kept = ((one, tuple(e for e in one.entries if e.use_case.risk_class == risk_class)) for one in found)
        return [UnitEntry(one.unit, one.units, one.depth, entries, one.counts) for one, entries in kept if entries]


def view(facts: Facts, now: datetime, today: date) -> View:
    """The register as it stands: the uses that hold today, each with what is known and what is missing."""
    entries = _entries(facts, now, today)
    by_unit: dict[str, list[Entry]] = defaultdict(list)
    for one in sorted(entries, key=_strictest_first):
        by_unit[one.use_case.unit].append(one)
    units = {one.id: one for one in facts.units if one.holds_on(today)}
    for name in by_unit.keys() - units.keys():
        units[name] = _undefined(name, today)
    counts: dict[str, Counts] = defaultdict(Counts)
    for (_, unit), found in facts.counts.items():
        counts[unit] = counts[unit].plus(found)
    shown = tuple(
        UnitEntry(units[name], _chain(name, units), depth, tuple(by_unit[name]), counts[name])
        for name, depth in _tree(units)
    )
    return View(now, today, shown, tuple(facts.use_cases))


def _entries(facts: Facts, now: datetime, today: date) -> list[Entry]:
    units = {one.id: one for one in facts.units if one.holds_on(today)}
    missing: dict[str, list[Missing]] = defaultdict(list)
    for lack in obligations(facts.use_cases, facts.policies, today):
        missing[lack.use_case].append(lack)
    policy = policy_on(facts.policies, today)
    rules = {rule.risk_class: rule for rule in policy.rules} if policy else {}
    counts: dict[str, Counts] = defaultdict(Counts)
    for (name, _), found in facts.counts.items():
        counts[name] = counts[name].plus(found)
    results: dict[str, list[BenefitResult]] = defaultdict(list)
    for one in facts.benefits:
        results[one.use_case].append(one)
    return [
        Entry(
            use_case=use,
            units=_chain(use.unit, units),
            systems=tuple(facts.systems[name] for name in use.systems if name in facts.systems),
            rule=rules.get(use.risk_class),
            missing=tuple(missing[use.id]),
            suspended=use.is_suspended_at(now),
            counts=counts[use.id],
            findings=facts.findings.get(use.id, {}),
            cost=facts.costs.get(use.id),
            benefit=_benefit(use, results[use.id]),
        )
        for use in facts.use_cases
        if use.holds_on(today)
    ]


def _strictest_first(entry: Entry) -> tuple[int, str]:
    return CLASS_ORDER.index(entry.use_case.risk_class), entry.use_case.id


def _benefit(use: UseCase, results: Iterable[BenefitResult]) -> BenefitSoFar:
    months = tuple(sorted((one.month, one.result) for one in results))
    if use.benefit is None or not months or use.benefit.target == use.benefit.baseline:
        return BenefitSoFar(months, None)
    way = EXACT.subtract(use.benefit.target, use.benefit.baseline)
    return BenefitSoFar(months, EXACT.divide(EXACT.subtract(months[-1][1], use.benefit.baseline), way))


def _undefined(name: str, today: date) -> Unit:
    return Unit(id=name, name={"en": name}, valid_from=today)


def _chain(name: str, units: Mapping[str, Unit]) -> tuple[Unit, ...]:
    """The unit, its parent and so on; a cycle is cut where it closes."""
    chain: dict[str, Unit] = {}
    current: str | None = name
    while current is not None and current in units and current not in chain:
        chain[current] = units[current]
        current = units[current].parent
    return tuple(chain.values())


def _tree(units: Mapping[str, Unit]) -> Iterator[tuple[str, int]]:
    """(unit, depth), every unit once, the ones below after the one above, by id; what hangs nowhere comes last."""
    below: dict[str | None, list[str]] = defaultdict(list)
    for name in sorted(units):
        parent = units[name].parent
        below[parent if parent in units else None].append(name)
    seen: set[str] = set()
    stack = [(name, 0) for name in reversed(below[None])]
    while stack:
        name, depth = stack.pop()
        seen.add(name)
        yield name, depth
        stack += [(one, depth + 1) for one in reversed(below[name])]
    yield from ((name, 0) for name in sorted(units.keys() - seen))
