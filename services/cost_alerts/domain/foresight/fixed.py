"""What will be owed whether anybody uses anything or not: seats, fees, capacity, pools; by the code that charges it.

A contract that ends and that no later one follows is reckoned with as if it were renewed as it is, but told apart.
Where a key asks who used what, the shares of the last weeks stand for those to come.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

from services.cost_alerts.domain.agreements.agreement import Cycle, Known, Part, Spent
from services.cost_alerts.domain.agreements.all import agreements
from services.cost_alerts.domain.agreements.fixed import Capacities, Fees
from services.cost_alerts.domain.agreements.minimum import Minimums
from services.cost_alerts.domain.agreements.pool import Pools
from services.cost_alerts.domain.agreements.reckoning import noon
from services.cost_alerts.domain.agreements.seating import Observed, Product
from services.cost_alerts.domain.agreements.seats import day_parts, holder
from services.cost_alerts.domain.agreements.split import Payers, weights_on
from services.cost_alerts.domain.agreements.terms import stretch_of
from services.cost_alerts.domain.allocation import NOBODY, Owner
from services.cost_alerts.domain.budgets.scope import Where
from services.cost_alerts.domain.contracts import Contracts, DatedContract
from services.cost_alerts.domain.use import Profile
from services.cost_alerts.domain.view import View
from services.shared.events.prices import Contract, Fee, Minimum, Pool, SplitKey
from services.shared.money import split_nano

SEEN_WITHIN = timedelta(days=35)
"""Seats that nobody has counted for longer are no longer reckoned with."""

_RENEWED = " (renewed"
_DAY = timedelta(days=1)

Shares = Mapping[Where, int]
"""Whole weights by who pays; none negative, at least one positive."""

SharesOf = Callable[[str, str], Shares | None]
"""Agreement's key and system → how its cost was parted, or the system's use, in the last weeks; None: nobody knows."""

Termed = Fees | Pools | Capacities | Minimums


class Owed(NamedTuple):
    """What a unit will owe for a day, 10⁻⁹ euro. `renewed`: only if a contract that ends before is renewed.

    `at_list_price`: what it costs follows the list price of `sku`; else the contract says it.
    """

    where: Where
    day: date
    sku: str
    nano: int
    renewed: bool
    at_list_price: bool = False


def renewing(view: View, today: date, until: date) -> View:
    """The register; contracts that end after `today`, by `until`, and that nothing follows, are renewed as they are.

    What is paid once for a whole term is renewed for terms of the same length, all else without an end.
    """
    found: list[tuple[int, Contract]] = []
    for system in sorted(view.contracts.systems()):
        of_system = view.contracts.on(system)
        for one in of_system:
            found += [
                (one.version, one.fact),
                *((one.version, fact) for fact in _renewals(one, of_system, today, until)),
            ]
    return replace(view, contracts=Contracts(found))


def _renewals(one: DatedContract, others: Sequence[DatedContract], today: date, until: date) -> Iterator[Contract]:
    fact = one.fact
    ends = fact.valid_to
    if ends is None or not today < ends <= until or any(_follows(other.fact, fact) for other in others):
        return
    length, by_term = ends - fact.valid_from, any(_is_paid_once(term) for term in fact.terms)
    number = 1
    while ends <= until and length > timedelta(0):
        after = ends + length if by_term else None
        yield fact.model_copy(update={"id": f"{fact.id}{_RENEWED} {number})", "valid_from": ends, "valid_to": after})
        if after is None:
            return
        ends, number = after, number + 1


def _follows(later: Contract, fact: Contract) -> bool:
    """Whether a contract of the same vendor began later and goes on when this one ends."""
    assert fact.valid_to is not None
    goes_on = later.valid_to is None or later.valid_to > fact.valid_to
    return later.vendor == fact.vendor and later.valid_from > fact.valid_from and goes_on


def _is_paid_once(term: object) -> bool:
    return isinstance(term, Fee | Pool | Minimum) and term.every == "once"


@dataclass(frozen=True, slots=True)
class Standing:
    """What fixed cost is reckoned from: the register with contracts renewed, seats as observed, shares of late.

    `view`: as published; `seats`: system → SKU → everything observed.
    """

    view: View
    renewed: View
    seats: Mapping[str, Mapping[str, Observed]]
    shares: SharesOf

    @classmethod
    def at(
        cls, view: View, days: tuple[date, date], seats: Mapping[str, Mapping[str, Observed]], shares: SharesOf
    ) -> "Standing":
        """To reckon with from today up to a day, inclusive."""
        return cls(view, renewing(view, *days), seats, shares)


class _Undivided(Payers):
    """Payers of whom one pays for all, so that what is shared stays in one part until it is known by what key."""

    def heads(self, day: date) -> Mapping[Owner, int]:  # noqa: ARG002  # as `Payers` has it
        return {NOBODY: 1}

    def fixed(self, weights: Mapping[str, Decimal], day: date) -> Mapping[Owner, int]:  # noqa: ARG002  # likewise
        return {NOBODY: 1}


def owed(standing: Standing, today: date, until: date) -> Iterator[Owed]:
    """What is owed for each day from `today` to `until`, inclusive; minimums left out, for they depend on use."""
    payers, undivided = Payers(standing.renewed), _Undivided(standing.renewed)
    for system in sorted({*standing.renewed.contracts.systems(), *standing.seats}):
        for sku, observed in sorted(standing.seats.get(system, {}).items()):
            yield from _seats(standing, _Seats(Product(system, sku), observed, payers), today, until)
        for agreement in agreements(standing.renewed, system, payers=undivided):
            if isinstance(agreement, Fees | Pools | Capacities):
                yield from _termed(_Dividing(standing, payers, agreement), today, until)


def _termed(dividing: "_Dividing", today: date, until: date) -> Iterator[Owed]:
    for cycle in dividing.agreement.cycles(today, until):
        parts = dividing.agreement.parts(dividing.payers.view, cycle, Known(until))
        yield from dividing.owed(cycle, [one for one in parts if today <= one.day <= until])


@dataclass(frozen=True, slots=True)
class _Dividing:
    """Divides what an agreement charges in one part among those who will pay it.

    It charges in as many parts as there are units, day by day for a year: this is the same, many times faster.
    """

    standing: Standing
    payers: Payers
    agreement: Termed

    def owed(self, cycle: Cycle, parts: Iterable[Part]) -> Iterator[Owed]:
        """What these parts of a cycle, each whole, come to for everybody."""
        found = stretch_of(self.agreement.stretches, cycle)  # type: ignore[misc]  # each kind has stretches of its own
        if found is None:
            return
        share: SplitKey = found[0].term.share
        renewed = _RENEWED in self.agreement.key
        for part in parts:
            nano = part.amounts[1]
            if nano:
                for where, amount in self._divided(share, part, nano):
                    yield Owed(where, part.day, part.sku, amount, renewed)

    def _divided(self, share: SplitKey, part: Part, nano: int) -> Iterable[tuple[Where, int]]:
        system = self.agreement.system
        if share.by == "usage":
            shares = self.standing.shares(published_key(self.agreement.key), system)
            return [(_where(part.line.owner, system), nano)] if shares is None else split_nano(nano, shares).items()
        nobody = Profile(system, part.sku, (part.line.meter,))
        weights = weights_on(self.payers, share, part.day, {}, nobody)
        return [(_where(owner, system), amount) for owner, amount in split_nano(nano, weights).items()]


def published_key(key: str) -> str:
    """The key of an agreement as the register has it, of one that is thought of as renewed."""
    contract, _, term = key.rpartition("/")
    return f"{contract.split(_RENEWED)[0]}/{term}"


def _where(owner: Owner, system: str) -> Where:
    return Where(owner.unit, system, owner.project)


@dataclass(slots=True)
class _Seats:
    """The seats of one SKU as last counted, ready to be asked for days to come."""

    product: Product
    observed: Observed
    payers: Payers
    _owners: dict[tuple[str, tuple[int, int]], Owner] = field(default_factory=dict)

    @property
    def counted(self) -> tuple[date, int] | None:
        """The last day that was counted, and its seats."""
        last = max(self.observed.counts, default=None)
        return None if last is None else (last, self.observed.counts[last].purchased)

    def held(self, day: date) -> Mapping[Owner, int]:
        """Seats by whose holders have them."""
        found: dict[Owner, int] = {}
        for person in self.observed.holders(day):
            owner = self._owner(person, day)
            found[owner] = found.get(owner, 0) + 1
        return found

    def _owner(self, person: str, day: date) -> Owner:
        key = (person, self.payers.view.allocation.segment(person, day))
        found = self._owners.get(key)
        if found is None:
            found = self._owners[key] = self.payers.of(holder(self.product, person), day)
        return found


def _seats(standing: Standing, seats: _Seats, today: date, until: date) -> Iterator[Owed]:
    """As many seats as were counted last, on every day that is not counted yet.

    Days of the present month that lie behind the last count are told as of today: they are charged when it comes.
    """
    counted = seats.counted
    if counted is None or not counted[1] or today - counted[0] > SEEN_WITHIN:
        return
    day = min(today, max(counted[0] + _DAY, today.replace(day=1)))
    while day <= until:
        renewed = _is_renewed(standing.view, seats.product.system, today, day)
        for part in day_parts(seats.payers, seats.product, day, counted[1], seats.held(day)):
            if part.amounts[1]:
                where = _where(part.line.owner, seats.product.system)
                yield Owed(where, max(day, today), part.sku, part.amounts[1], renewed, at_list_price=True)
        day += _DAY


def _is_renewed(view: View, system: str, today: date, day: date) -> bool:
    """Whether a contract is in force today that nothing has followed by `day`; without any, seats just go on."""
    return bool(view.contracts.at(system, noon(today))) and not view.contracts.at(system, noon(day))


SpentOn = Callable[[str, date, date], int]
"""System, first and last day → what it cost, and is expected to cost, on these days; 10⁻⁹ euro."""


def shortfalls(standing: Standing, today: date, until: date, spent: SpentOn) -> Iterator[Owed]:
    """What minimums of cycles that end by `until` will demand, when a system costs what is expected of it."""
    payers, undivided = Payers(standing.renewed), _Undivided(standing.renewed)
    for system in sorted(standing.renewed.contracts.systems()):
        for agreement in agreements(standing.renewed, system, payers=undivided):
            if isinstance(agreement, Minimums):
                yield from _shortfalls(_Dividing(standing, payers, agreement), agreement, (today, until), spent)


def _shortfalls(dividing: _Dividing, agreement: Minimums, days: tuple[date, date], spent: SpentOn) -> Iterator[Owed]:
    for cycle in agreement.cycles(*days):
        found = stretch_of(agreement.stretches, cycle)
        if found is None or not days[0] <= found[1].last <= days[1]:
            continue
        span = found[1]
        cost = Spent(span.last, NOBODY, agreement.system, spent(agreement.system, span.first, span.last))
        parts = agreement.parts(dividing.payers.view, cycle, Known(span.until, spent=[cost]))
        yield from dividing.owed(cycle, parts)


def by_day(found: Iterable[Owed], *, renewed: bool) -> Mapping[Where, Mapping[date, int]]:
    """What is owed by unit, system and project, and by day; of contracts in force, or of those renewed."""
    sums: dict[Where, dict[date, int]] = {}
    for one in found:
        if one.renewed == renewed:
            days = sums.setdefault(one.where, {})
            days[one.day] = days.get(one.day, 0) + one.nano
    return sums
