"""The register as it stood at each of its versions, and where each version differs from the one before.

The ledger is a function of events, so a reading that is handled late is priced at the version of its own recorded
time, and then at each later version that touches it. Nothing here forgets a version.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, TypeVar

from services.cost_alerts.domain.allocation import Allocation
from services.cost_alerts.domain.closing import NOTHING_CLOSED, Closings
from services.cost_alerts.domain.contracts import Contracts, DatedContract
from services.cost_alerts.domain.exchange import Exchange
from services.cost_alerts.domain.tariff import DatedTariff, TariffBook
from services.cost_alerts.domain.units import Units
from services.cost_alerts.domain.use import Profile, Sizes, Use, request_sizes
from services.shared.events.envelope import Fact
from services.shared.events.plans import BenefitResult, Budget, PlannedChange, Programme, Vendor
from services.shared.events.prices import Contract, Fee, Minimum, Pool, Tariff
from services.shared.events.register import AllocationRule, FxRates, Placement, System, Unit, UseCase
from services.shared.periods import helsinki_day

FIRST_DAY = date.min
LAST_DAY = date.max

F = TypeVar("F", bound=Fact)
P = TypeVar("P")

LARGEST = Decimal("Infinity")
"""The size of a request above every edge of a price."""


@dataclass(frozen=True, slots=True)
class FactVersion:
    """A fact as it stood from register version `since` (inclusive) to `until` (exclusive; None: it still stands)."""

    fact_id: str
    since: int
    until: int | None
    fact: Fact


@dataclass(frozen=True, slots=True)
class Scope:
    """Which readings a change may touch: of `system` (None: of all), on Helsinki days `first` to `last`, inclusive."""

    system: str | None
    first: date
    last: date

    def touches(self, system: str, day: date) -> bool:
        return self.first <= day <= self.last and self.system in (None, system)

    def reaches(self, system: str, first: date, last: date) -> bool:
        """Whether it touches any of these days (inclusive)."""
        return self.first <= last and first <= self.last and self.system in (None, system)


@dataclass(frozen=True, slots=True)
class View:
    """The register at one version, ready to be asked."""

    version: int
    tariffs: TariffBook
    contracts: Contracts
    exchange: Exchange
    allocation: Allocation
    systems: Mapping[str, System]
    units: Units
    budgets: Sequence[Budget]
    vendors: Mapping[str, Vendor]
    programmes: Mapping[str, Programme]
    planned: Sequence[PlannedChange]
    use_cases: Sequence[UseCase]
    benefits: Sequence[BenefitResult]

    def price_from(self, system: str) -> Literal["tariff", "reported"]:
        """Whose figure counts for a system; a system that the register does not name goes by tariffs."""
        known = self.systems.get(system)
        return "tariff" if known is None else known.price_from


class Book:
    """Every version of the register. Version 0 is empty; numbers rise, and some may be missing."""

    def __init__(
        self, published: Mapping[int, datetime], facts: Iterable[FactVersion], closings: Closings = NOTHING_CLOSED
    ) -> None:
        """`published`: version → ingest time of its marker; both rise together."""
        self.closings = closings
        self._published = dict(sorted(published.items()))
        self._versions = list(self._published)
        self._moments = list(self._published.values())
        self._facts: dict[type[Fact], list[FactVersion]] = defaultdict(list)
        for fact in sorted(facts, key=lambda one: (one.fact_id, one.since)):
            self._facts[type(fact.fact)].append(fact)
        self._changes = {kind: _changes(found) for kind, found in self._facts.items()}
        self._scopes = _scopes(self._facts)
        self._edges = _edges([*self._facts.get(Tariff, []), *self._facts.get(Contract, [])])
        self._size_edges = _size_edges(self._facts.get(Tariff, []))
        self._parts: dict[tuple[str, int], Any] = {}
        self._views: dict[int, View] = {}

    @property
    def newest(self) -> int:
        return self._versions[-1] if self._versions else 0

    def version_at(self, moment: datetime) -> int:
        """The version in force at a recorded time: the last whose marker was ingested by then."""
        found = bisect_right(self._moments, moment)
        return self._versions[found - 1] if found else 0

    def published_at(self, version: int) -> datetime:
        """When the marker of a version was ingested."""
        return self._published[version]

    def scopes(self, since: int, until: int | None = None) -> Iterator[Scope]:
        """What the versions after `since`, up to `until` inclusive, may have touched."""
        for version in self._versions[bisect_right(self._versions, since) :]:
            if until is None or version <= until:
                yield from self._scopes.get(version, ())

    def touching(self, since: int, system: str, day: date) -> Iterator[int]:
        """The versions after `since` that may price a use of `system` on `day` differently, rising."""
        for version in self._versions[bisect_right(self._versions, since) :]:
            if any(scope.touches(system, day) for scope in self._scopes.get(version, ())):
                yield version

    def touching_days(self, system: str, first: date, last: date) -> Iterator[int]:
        """The versions that may price a use of `system` on one of these days differently, rising."""
        for version in self._versions:
            if any(scope.reaches(system, first, last) for scope in self._scopes.get(version, ())):
                yield version

    def changing(self, *kinds: type[Fact]) -> Sequence[int]:
        """The versions that changed a fact of these kinds, rising."""
        return sorted({version for kind in kinds for version in self._changes.get(kind, ())})

    def systems(self) -> frozenset[str]:
        """Every system that any version names, has prices or contracts for."""
        priced = [one.fact for kind in (Tariff, Contract) for one in self._facts.get(kind, ())]
        named = [one.fact for one in self._facts.get(System, ())]
        return frozenset(
            {fact.system for fact in priced if isinstance(fact, Tariff | Contract)}
            | {fact.id for fact in named if isinstance(fact, System)}
        )

    def segment(self, moment: datetime) -> int:
        """Moments of one segment have the same tariffs and contracts in every version."""
        return bisect_right(self._edges, moment)

    def sizes(self, profile: Profile, quantities: Sequence[Decimal]) -> Sizes:
        """The sizes of a request, each the smallest edge of any version's price of that system that is not below it.

        Empty when no version prices the system by size: the usual case, and quick.
        """
        edges = self._size_edges.get(profile.system)
        if edges is None:
            return ()
        return tuple(
            None if size is None else edges[bisect_left(edges, size)]
            for size in request_sizes(profile.meters, quantities)
        )

    def use(
        self, profile: Profile, start: datetime, quantities: Sequence[Decimal], reported_currency: str | None = None
    ) -> Use:
        """What the price of a reading depends on. `quantities`: in the order of the profile's meters."""
        return Use(profile, start, helsinki_day(start), reported_currency, self.sizes(profile, quantities))

    def view(self, version: int) -> View:
        """The register as `version` left it."""
        if version not in self._views:
            self._views[version] = self._make_view(version)
        return self._views[version]

    def _make_view(self, version: int) -> View:
        at = self._at
        return View(
            version,
            self._part(version, lambda: TariffBook(at(Tariff, version)), Tariff),
            self._part(version, lambda: Contracts(at(Contract, version)), Contract),
            self._part(version, lambda: Exchange(fact for _, fact in at(FxRates, version)), FxRates),
            self._part(version, lambda: self._allocation(version), Placement, AllocationRule, Unit),
            self._part(version, lambda: {fact.id: fact for _, fact in at(System, version)}, System),
            self._units(version),
            self._all(Budget, version),
            self._part(version, lambda: {fact.id: fact for _, fact in at(Vendor, version)}, Vendor),
            self._part(version, lambda: {fact.id: fact for _, fact in at(Programme, version)}, Programme),
            self._all(PlannedChange, version),
            self._all(UseCase, version),
            self._all(BenefitResult, version),
        )

    def _all(self, kind: type[F], version: int) -> Sequence[F]:
        return self._part(version, lambda: tuple(fact for _, fact in self._at(kind, version)), kind)

    def _allocation(self, version: int) -> Allocation:
        return Allocation(
            (fact for _, fact in self._at(Placement, version)),
            (fact for _, fact in self._at(AllocationRule, version)),
            self._units(version),
        )

    def _units(self, version: int) -> Units:
        return self._part(version, lambda: Units(fact for _, fact in self._at(Unit, version)), Unit)

    def _at(self, kind: type[F], version: int) -> Iterator[tuple[int, F]]:
        for found in self._facts.get(kind, ()):
            if found.since <= version and (found.until is None or version < found.until):
                assert isinstance(found.fact, kind)
                yield found.since, found.fact

    def _part(self, version: int, make: Callable[[], P], *kinds: type[Fact]) -> P:
        """A part of a view, shared by the versions between two changes of its kinds."""
        changed = max(_last_change(self._changes.get(kind, ()), version) for kind in kinds)
        key = (kinds[0].__name__, changed)
        if key not in self._parts:
            self._parts[key] = make()
        part: P = self._parts[key]
        return part


def _changes(facts: Iterable[FactVersion]) -> list[int]:
    """The versions that changed any of these facts, rising."""
    return sorted({version for fact in facts for version in (fact.since, fact.until) if version is not None})


def _last_change(changes: Sequence[int], version: int) -> int:
    found = bisect_right(changes, version)
    return changes[found - 1] if found else 0


def _edges(facts: Iterable[FactVersion]) -> list[datetime]:
    """Every instant at which some version of some tariff or contract begins or ends."""
    dated = (_dated(one) for one in facts)
    return sorted({edge for one in dated if one for edge in (one.starts, one.ends) if edge is not None})


def _size_edges(tariffs: Iterable[FactVersion]) -> dict[str, list[Decimal]]:
    """System → every edge of its prices by size in any version, rising, `LARGEST` the last."""
    found: dict[str, set[Decimal]] = defaultdict(lambda: {LARGEST})
    for one in tariffs:
        if isinstance(one.fact, Tariff) and one.fact.model == "by_request_size":
            found[one.fact.system].update(tier.up_to for tier in one.fact.tiers if tier.up_to is not None)
    return {system: sorted(edges) for system, edges in found.items()}


def _dated(one: FactVersion) -> DatedTariff | DatedContract | None:
    match one.fact:
        case Tariff():
            return DatedTariff.of(one.fact, one.since)
        case Contract():
            return DatedContract.of(one.fact, one.since)
        case _:
            return None


def _scopes(facts: Mapping[type[Fact], Sequence[FactVersion]]) -> dict[int, list[Scope]]:
    """Version → what it may have touched, by the facts that came and went with it."""
    changed: dict[int, list[FactVersion]] = defaultdict(list)
    for one in (one for found in facts.values() for one in found):
        changed[one.since].append(one)
        if one.until is not None:
            changed[one.until].append(one)
    rates = facts.get(FxRates, ())
    return {version: _merged(_scopes_of(version, found, rates)) for version, found in changed.items()}


def _scopes_of(version: int, changed: Sequence[FactVersion], rates: Sequence[FactVersion]) -> Iterator[Scope]:
    kept = [one.fact for one in rates if one.since < version and (one.until is None or one.until > version)]
    days = _days_by_currency(fact for fact in kept if isinstance(fact, FxRates))
    for one in changed:
        scope = _rates_scope(one.fact, days) if isinstance(one.fact, FxRates) else _scope_of(one.fact)
        if scope is not None:
            yield scope


def _scope_of(fact: Fact) -> Scope | None:
    """The readings that a fact may price or place; None when it does neither."""
    match fact:
        case Tariff() | Contract():  # its midnight may fall on the Helsinki day before or after
            ends = None if isinstance(fact, Contract) and _counts_years(fact) else fact.valid_to
            return Scope(fact.system, _shift(fact.valid_from, -1), LAST_DAY if ends is None else _shift(ends, 1))
        case AllocationRule():
            return Scope(fact.match.system, fact.valid_from, fact.valid_to or LAST_DAY)
        case Placement() | Unit():  # a unit's cost centre stands on every charge
            return Scope(None, fact.valid_from, fact.valid_to or LAST_DAY)
        case System():
            return Scope(fact.id, FIRST_DAY, LAST_DAY)
        case _:
            return None


def _counts_years(contract: Contract) -> bool:
    """Whether an amendment of it counts its years from this one's first day, and so moves with it."""
    return any(isinstance(term, Pool | Fee | Minimum) and term.every == "year" for term in contract.terms)


def _rates_scope(fact: FxRates, days: Mapping[str, Sequence[date]]) -> Scope:
    """A rate holds from the day after its own until the day of the next for that currency, inclusive."""
    last = max((_following(days.get(currency, ()), fact.day) for currency in fact.rates), default=fact.day)
    return Scope(None, _shift(fact.day, 1), last)


def _following(days: Sequence[date], day: date) -> date:
    found = bisect_right(days, day)
    return days[found] if found < len(days) else LAST_DAY


def _days_by_currency(rates: Iterable[FxRates]) -> dict[str, list[date]]:
    days: dict[str, list[date]] = defaultdict(list)
    for fact in sorted(rates, key=lambda fact: fact.day):
        for currency in fact.rates:
            days[currency].append(fact.day)
    return days


def _merged(scopes: Iterable[Scope]) -> list[Scope]:
    """One scope per system from the first to the last day of all its scopes that overlap or touch."""
    merged: list[Scope] = []
    for scope in sorted(scopes, key=lambda one: (one.system or "", one.first)):
        last = merged[-1] if merged else None
        if last is not None and last.system == scope.system and scope.first <= _shift(last.last, 1):
            merged[-1] = Scope(scope.system, last.first, max(last.last, scope.last))
        else:
            merged.append(scope)
    return merged


def _shift(day: date, days: int) -> date:
    if (days < 0 and day == FIRST_DAY) or (days > 0 and day == LAST_DAY):
        return day
    return day + timedelta(days=days)
