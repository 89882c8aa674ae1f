"""The overview: units as a tree, with what they cost, what they may cost, and what awaits somebody. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from services.cost_alerts.adapters.overview import SendingState, UnpricedUse
from services.cost_alerts.adapters.queries import Decided, OpenFinding, Spent
from services.cost_alerts.domain.budgets.scope import narrowed_to
from services.cost_alerts.domain.budgets.state import BudgetState
from services.cost_alerts.domain.outlook import at_this_pace
from services.cost_alerts.domain.units import Units
from services.shared.events import event_id
from services.shared.events.plans import Budget
from services.shared.events.register import UNALLOCATED, Unit
from services.shared.money import from_nano
from services.shared.periods import Month


@dataclass(frozen=True, slots=True)
class Found:
    """What the ledger answered, at one moment or nearly so."""

    units: Units
    daily: Mapping[str, Mapping[date, int]]
    spent: Sequence[Spent]
    budgets: Sequence[BudgetState]
    findings: Sequence[OpenFinding]
    unpriced: Sequence[UnpricedUse]
    crossings: Sequence[Decided]
    sendings: Mapping[str, SendingState]


@dataclass(frozen=True, slots=True)
class BudgetLine:
    """A budget and how much of it is used; `passed`: the highest threshold that is behind.

    `amount`: with the amendments in force and what was carried over; euro.
    """

    budget: Budget
    amount: Decimal
    used: Decimal
    ratio: Decimal
    passed: Decimal | None

    @property
    def is_over(self) -> bool:
        return self.used > self.amount

    @property
    def narrowed_to(self) -> str:
        """What of the unit's cost it is for; empty: all of it."""
        return ", ".join(narrowed_to(self.budget))


@dataclass(frozen=True, slots=True)
class UnitLine:
    """A unit with the units below it. `outlook` None: there is no pace to go by. `unit` None: not in the register."""

    id: str
    unit: Unit | None
    depth: int
    cost: Decimal
    outlook: Decimal | None
    budgets: Sequence[BudgetLine]
    findings: int


@dataclass(frozen=True, slots=True)
class FindingLine:
    """Open findings of one kind in one unit."""

    unit: str
    kind: str
    count: int
    oldest: datetime


@dataclass(frozen=True, slots=True)
class AlertLine:
    """A crossing, and how many of its messages are where."""

    decided: Decided
    sent: int
    waiting: int
    given_up: int


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything the page shows, in its order."""

    month: Month
    units: Sequence[UnitLine]
    total: Decimal
    outlook: Decimal | None
    unallocated: Sequence[tuple[str, Decimal]]
    unpriced: Sequence[UnpricedUse]
    findings: Sequence[FindingLine]
    alerts: Sequence[AlertLine]

    @property
    def unallocated_total(self) -> Decimal:
        return sum((amount for _, amount in self.unallocated), Decimal())

    @property
    def unpriced_readings(self) -> int:
        return sum(one.readings for one in self.unpriced)

    @property
    def unallocated_findings(self) -> int:
        return sum(one.count for one in self.findings if one.unit == UNALLOCATED)

    @property
    def open_findings(self) -> int:
        return sum(one.count for one in self.findings)


def overview(month: Month, today: date, found: Found) -> Overview:
    """Put together what the ledger answered. Units stand as on `today`, or on the month's last day if that is past."""
    day = min(today, month.next.first_day - timedelta(days=1))
    costs = _with_parents(found.units, found.daily)
    whole = _added(found.daily.values())
    outlook = at_this_pace(month, whole, today)
    open_in = _findings_with_parents(found.units, found.findings, day)
    budgets = _budget_lines(month.year, found.budgets)
    return Overview(
        month,
        [
            _unit_line(known, month, today, costs=costs, budgets=budgets, findings=open_in)
            for known in _tree(found, day)
        ],
        from_nano(sum(whole.values())),
        None if outlook is None else from_nano(outlook),
        [(one.system, from_nano(one.eur_nano)) for one in found.spent if one.unit == UNALLOCATED and one.readings],
        found.unpriced,
        _finding_lines(found.findings),
        alert_lines(found.crossings, found.sendings),
    )


def _with_parents(units: Units, daily: Mapping[str, Mapping[date, int]]) -> Mapping[str, Mapping[date, int]]:
    """Costs by unit and day with those of the units below, as the tree was on each day: as budgets count."""
    sums: defaultdict[str, Counter[date]] = defaultdict(Counter)
    for unit, days in daily.items():
        for day, nano in days.items():
            for one in units.with_ancestors(unit, day):
                sums[one][day] += nano
    return sums


def _added(parts: Iterable[Mapping[date, int]]) -> Mapping[date, int]:
    whole: Counter[date] = Counter()
    for part in parts:
        for day, nano in part.items():
            whole[day] += nano
    return whole


def _findings_with_parents(units: Units, findings: Sequence[OpenFinding], day: date) -> Mapping[str, int]:
    return Counter(unit for one in findings for unit in units.with_ancestors(one.unit, day))


def _budget_lines(year: int, budgets: Sequence[BudgetState]) -> Mapping[str, Sequence[BudgetLine]]:
    lines: defaultdict[str, list[BudgetLine]] = defaultdict(list)
    for one in budgets:
        if one.budget.period == year:
            lines[one.budget.unit].append(_budget_line(one))
    return lines


def _budget_line(state: BudgetState) -> BudgetLine:
    used, ratio = from_nano(state.used_nano), state.used_ratio
    return BudgetLine(state.budget, state.amount, used, Decimal(0) if ratio is None else ratio, state.passed())


def tree(units: Iterable[Unit]) -> Iterator[tuple[Unit, int]]:
    """(unit, depth): each unit after its parent, siblings by id."""
    defined = {unit.id: unit for unit in units}
    children: defaultdict[str | None, list[str]] = defaultdict(list)
    for unit in defined.values():
        children[unit.parent if unit.parent in defined else None].append(unit.id)
    seen: set[str] = set()

    def below(parent: str | None, depth: int) -> Iterator[tuple[Unit, int]]:
        for one in sorted(children[parent]):
            if one not in seen:  # a cycle would never end
                seen.add(one)
                yield defined[one], depth
                yield from below(one, depth + 1)

    return below(None, 0)


def _tree(found: Found, day: date) -> Iterator[tuple[str, Unit | None, int]]:
    """(id, unit, depth) of the tree; then what has cost and is no unit on that day."""
    defined = {unit.id: unit for unit in found.units.defined(day)}
    ordered = list(tree(defined.values()))
    yield from ((unit.id, unit, depth) for unit, depth in ordered)
    placed = {unit.id for unit, _ in ordered}
    others = {*found.daily, *(one.unit for one in found.findings), *defined} - placed - {UNALLOCATED}
    yield from ((one, defined.get(one), 0) for one in sorted(others))


def _unit_line(
    known: tuple[str, Unit | None, int], month: Month, today: date, *, costs: Mapping[str, Mapping[date, int]],
    budgets: Mapping[str, Sequence[BudgetLine]], findings: Mapping[str, int],
) -> UnitLine:  # fmt: skip
    name, unit, depth = known
    days = costs.get(name, {})
    outlook = at_this_pace(month, days, today)
    return UnitLine(
        name,
        unit,
        depth,
        from_nano(sum(days.values())),
        None if outlook is None else from_nano(outlook),
        budgets.get(name, ()),
        findings.get(name, 0),
    )


def _finding_lines(findings: Sequence[OpenFinding]) -> Sequence[FindingLine]:
    groups: defaultdict[tuple[str, str], list[datetime]] = defaultdict(list)
    for one in findings:
        groups[one.unit, one.kind].append(one.opened_at)
    return [FindingLine(unit, kind, len(opened), min(opened)) for (unit, kind), opened in sorted(groups.items())]


def alert_lines(crossings: Iterable[Decided], states: Mapping[str, SendingState]) -> Sequence[AlertLine]:
    """Crossings with what became of their messages: newest first, of one moment the highest threshold first."""
    newest = sorted(crossings, key=lambda one: (one.decided_at, one.crossing.threshold), reverse=True)
    return [_alert_line(one, states) for one in newest]


def _alert_line(decided: Decided, sendings: Mapping[str, SendingState]) -> AlertLine:
    """A webhook counts while it waits or is lost: a role without one is settled too, and was told nothing that way."""
    recipients = decided.crossing.recipients if decided.crossing.spoken else ()
    mails = [sendings.get(event_id("mail", decided.alert_id, role)) for role in recipients]
    both = mails + [sendings.get(event_id("webhook", decided.alert_id, role)) for role in recipients]
    return AlertLine(decided, mails.count("sent"), both.count("waiting"), both.count("given_up"))
