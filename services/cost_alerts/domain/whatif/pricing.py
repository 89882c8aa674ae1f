"""What some days of a system cost under one register version, from its readings and from nothing else.

The very steps that charge the ledger, without its history: each reading by its lines, then the agreements that charge
by the period, then the minimums, which compare with all others. Corrections by invoices are no prices, and stay out.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from services.cost_alerts.domain.agreements.agreement import Agreement, Cycle, Known, Metered, Part, Spent
from services.cost_alerts.domain.agreements.all import agreements
from services.cost_alerts.domain.agreements.minimum import Minimums
from services.cost_alerts.domain.agreements.seating import Observed
from services.cost_alerts.domain.agreements.split import Payers
from services.cost_alerts.domain.allocation import Owner
from services.cost_alerts.domain.covering import lines
from services.cost_alerts.domain.pricing import Pricer, is_possible
from services.cost_alerts.domain.use import Use
from services.cost_alerts.domain.view import View
from services.shared.periods import helsinki_day

Days = tuple[date, date]
"""The first and the last of some Helsinki days, inclusive."""

_INSTANT = timedelta(microseconds=1)
_NO_COST = Decimal(0)


class Place(NamedTuple):
    """Where money counts: who pays for which day, in which currency it was priced (empty: in none)."""

    day: date
    owner: Owner
    estimated: bool
    currency: str


@dataclass(slots=True)
class Money:
    """10⁻⁹ euro, 10⁻⁹ of the pricing currency, and how much has no price: readings, and charges by the period."""

    eur_nano: int = 0
    nano: int = 0
    unpriced: int = 0


Costs = Mapping[Place, Money]


@dataclass(frozen=True, slots=True)
class Usage:
    """What is known of a system: its paid readings in the order of agreements, its seats, the last day that has begun.

    `metered` reaches over all of `reach`.
    """

    system: str
    metered: Sequence[Metered]
    seats: Mapping[str, Observed]
    today: date


def reach(view: View, system: str, seats: Mapping[str, Observed], days: Days) -> Days:
    """The days of use that the cost of these days depends on: those of every cycle that touches them."""
    known = agreements(view, system, seats)
    compared = _over([one for one in known if isinstance(one, Minimums)], days)
    return _over([one for one in known if not _is_by_day(one)], compared)


def _over(found: Sequence[Agreement], days: Days) -> Days:
    reached = [days, *(days_of(cycle) for one in found for cycle in one.cycles(*days))]
    return min(first for first, _ in reached), max(last for _, last in reached)


def _is_by_day(agreement: Agreement) -> bool:
    return agreement.key.startswith("seats:")


def days_of(cycle: Cycle) -> Days:
    """The Helsinki days of a cycle."""
    return helsinki_day(cycle.starts), helsinki_day(cycle.ends - _INSTANT)


def priced(view: View, usage: Usage, days: Days) -> Costs:
    """What a system cost on these days, corrections by invoices left out."""
    found = agreements(view, usage.system, usage.seats)
    minimums = [one for one in found if isinstance(one, Minimums)]
    compared = _over(minimums, days)
    costs: dict[Place, Money] = defaultdict(Money)
    _add_readings(costs, view, usage.metered, compared)
    for agreement in found:
        if not isinstance(agreement, Minimums):
            for part in _parts(view, agreement, usage, compared):
                _add_part(costs, part)
    spent = _spent(usage.system, costs)
    for minimum in minimums:
        for part in _parts(view, minimum, usage, days, spent):
            _add_part(costs, part)
    return {place: money for place, money in costs.items() if days[0] <= place.day <= days[1]}


def _parts(view: View, agreement: Agreement, usage: Usage, days: Days, spent: Sequence[Spent] = ()) -> Iterator[Part]:
    """What an agreement charges on these days; a minimum compares with what was `spent`."""
    for cycle in agreement.cycles(*days):
        first, last = days_of(cycle)
        metered = () if _is_by_day(agreement) else _between(usage.metered, cycle)
        here = [one for one in spent if first <= one.day <= last]
        for part in agreement.parts(view, cycle, Known(usage.today, metered, usage.seats, (), here)):
            if days[0] <= part.day <= days[1]:
                yield part


def _between(metered: Sequence[Metered], cycle: Cycle) -> Sequence[Metered]:
    first = bisect_right(metered, cycle.starts - _INSTANT, key=_start)
    return metered[first : bisect_right(metered, cycle.ends - _INSTANT, key=_start)]


def _start(metered: Metered) -> datetime:
    return metered.use.start


def _add_part(costs: dict[Place, Money], part: Part) -> None:
    nano, eur_nano = part.amounts
    money = costs[Place(part.day, part.line.owner, part.estimated, part.line.currency or "")]
    money.nano += nano or 0
    money.eur_nano += eur_nano or 0
    money.unpriced += eur_nano is None


def _spent(system: str, costs: Costs) -> list[Spent]:
    return [
        Spent(place.day, place.owner, system, money.eur_nano, place.estimated, place.currency, money.nano)
        for place, money in costs.items()
    ]


def _add_readings(costs: dict[Place, Money], view: View, metered: Sequence[Metered], days: Days) -> None:
    ready = _Ready(view)
    for one in metered:
        use = one.use
        if not days[0] <= use.day <= days[1]:
            continue
        pricers = ready.pricers(use)
        owner = ready.payers.of(use.profile, use.day)
        of_reading = pricers[0].line.of_reading
        quantities = (one.cost or _NO_COST,) if of_reading else one.quantities
        lacking = False
        for pricer, quantity in zip(pricers, quantities, strict=True):
            currency, nano, eur_nano = _amounts(pricer, quantity)
            money = costs[Place(use.day, owner, one.estimated, currency)]
            money.nano += nano or 0
            money.eur_nano += eur_nano or 0
            lacking = lacking or eur_nano is None
        money.unpriced += lacking


def _amounts(pricer: Pricer, quantity: Decimal) -> tuple[str, int | None, int | None]:
    """Currency, 10⁻⁹ of it, 10⁻⁹ euro. Nothing consumed is free, whatever the price."""
    line, amounts = pricer.line, pricer.amounts(quantity)
    if line.reason is not None and not (quantity or line.of_reading):
        return "", 0, 0
    if not is_possible(amounts):
        return "", None, None
    return line.currency or "", amounts[0], None if line.reason is not None else amounts[1]


@dataclass(slots=True)
class _Ready:
    """Prices made ready once for all uses that are charged alike, whoever pays."""

    view: View
    payers: Payers = field(init=False)
    _edges: dict[str, list[datetime]] = field(default_factory=dict)
    _made: dict[tuple[object, ...], tuple[Pricer, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.payers = Payers(self.view)

    def pricers(self, use: Use) -> tuple[Pricer, ...]:
        profile = use.profile
        segment = bisect_right(self._edges_of(profile.system), use.start)
        of_profile = (profile.system, profile.sku, profile.meters, profile.dimensions)
        key = (*of_profile, use.day, segment, use.reported_currency, use.sizes)
        found = self._made.get(key)
        if found is None:
            nobody = replace(profile, person=None, account=None, tags=(), environment="")
            found = self._made[key] = tuple(map(Pricer, lines(self.view, replace(use, profile=nobody))))
        return found

    def _edges_of(self, system: str) -> list[datetime]:
        if system not in self._edges:
            edges = {*self.view.tariffs.edges(system), *self.view.contracts.edges(system)}
            self._edges[system] = sorted(edges)
        return self._edges[system]
