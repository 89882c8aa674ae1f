"""A change that is not in the register, and the register as it would be with it.

Its dates are moved so that it holds through all the days that are priced again: the question is what those days would
have cost, not when the change comes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

from pydantic import Field

from services.cost_alerts.domain.agreements.terms import anniversary
from services.cost_alerts.domain.view import FactVersion
from services.cost_alerts.domain.whatif.throughout import question
from services.shared.events.envelope import Fact, Id, Name
from services.shared.events.prices import Contract, Tariff
from services.shared.events.register import AllocationRule, FxRates
from services.shared.events.usage import Currency
from services.shared.money import ExactQuantity

BEFORE, AFTER = 1, 2
"""The versions of the register as it is, and as it would be."""


Entry = Tariff | Contract | AllocationRule
"""What is written in a change as it would be written in the register."""


class SeatsWanted(Fact):
    """So many purchased seats of a SKU on every day, in the place of those that were counted."""

    system: Id
    sku: Name
    purchased: int = Field(ge=0, le=1_000_000, strict=True)


class Rate(Fact):
    """Units of a currency per euro on every day, in the place of the published ones."""

    currency: Currency
    per_euro: ExactQuantity


@dataclass(frozen=True, slots=True)
class Change:
    """What would be otherwise. `without`: ids of tariffs, contracts and rules that would not be.

    `seats`: (system, SKU) → seats purchased; `rates`: currency → units of it per euro.
    """

    tariffs: Sequence[Tariff] = ()
    contracts: Sequence[Contract] = ()
    allocation: Sequence[AllocationRule] = ()
    seats: Mapping[tuple[str, str], int] | None = None
    rates: Mapping[str, Decimal] | None = None
    without: Sequence[str] = ()

    @property
    def entries(self) -> Sequence[Entry]:
        return [*self.tariffs, *self.contracts, *self.allocation]

    def systems(self, facts: Iterable[Fact]) -> frozenset[str] | None:
        """The systems whose cost it may change; None: any. `facts`: of the register as it is."""
        takes_place = _replaced(self)
        gone = [fact for fact in facts if takes_place(fact)]
        changed = [*self.entries, *gone]
        found = {_system(fact) for fact in changed} | {system for system, _ in self.seats or {}}
        return None if self.rates or None in found else frozenset(one for one in found if one is not None)


class Named(NamedTuple):
    """A fact with its id within its kind."""

    name: str
    fact: Fact


def laid_over(facts: Sequence[Named], change: Change, days: tuple[date, date]) -> list[FactVersion]:
    """The register in two versions: as it is, and as it would be with the change on all of these days.

    A tariff takes the place of those of the same system, SKU, meter and `when`, whatever their dates, a contract that
    of all stretches of its id, a rule that of the rule of its id. Everything else stays as it is.
    """
    takes_place = _replaced(change)
    standing: list[FactVersion] = []
    for name, fact in facts:
        instead = _rated(fact, change.rates or {})
        is_gone = takes_place(fact) or instead != fact
        standing.append(FactVersion(name, BEFORE, AFTER if is_gone else None, fact))
        if instead != fact:
            standing.append(FactVersion(name, AFTER, None, instead))
    new: list[Fact] = [throughout(fact, days) for fact in change.entries]
    new += _first_rates(change.rates or {}, days[0])
    return [*standing, *(FactVersion(f"what-if {number}", AFTER, None, fact) for number, fact in enumerate(new))]


def _replaced(change: Change) -> Callable[[Fact], bool]:
    questions = {question(tariff) for tariff in change.tariffs}
    ids = {(type(fact), fact.id) for fact in change.entries}

    def takes_place(fact: Fact) -> bool:
        if isinstance(fact, Tariff) and question(fact) in questions:
            return True
        return isinstance(fact, Tariff | Contract | AllocationRule) and (
            (type(fact), fact.id) in ids or fact.id in change.without
        )

    return takes_place


def throughout(fact: Entry, days: tuple[date, date]) -> Entry:
    """The same, in force on all of these days, and its months and years begin as they would.

    Begun earlier by whole years where it begins too late; without its end, unless something is paid once up to it.
    """
    years = 0
    while anniversary(fact.valid_from, -years) > days[0]:
        years += 1
    moved: dict[str, date | None] = {"valid_from": anniversary(fact.valid_from, -years)} if years else {}
    if fact.valid_to is not None and (years or fact.valid_to <= days[1]):
        moved["valid_to"] = anniversary(fact.valid_to, -years) if is_paid_once(fact) else None
    return fact.model_copy(update=moved)


def is_paid_once(fact: Entry) -> bool:
    """Whether a price of a contract is for its whole term."""
    return isinstance(fact, Contract) and any(getattr(term, "every", None) == "once" for term in fact.terms)


def _rated(fact: Fact, rates: Mapping[str, Decimal]) -> Fact:
    if not isinstance(fact, FxRates) or not rates.keys() & fact.rates.keys():
        return fact
    return fact.model_copy(update={"rates": {one: rates.get(one, rate) for one, rate in fact.rates.items()}})


def _first_rates(rates: Mapping[str, Decimal], first: date) -> Iterator[FxRates]:
    """The rates of the change for currencies that the register has none of; early, for cycles that reach back."""
    if rates:
        yield FxRates(day=first - timedelta(days=400), rates=dict(rates), source="a change that is tried")


def _system(fact: Fact) -> str | None:
    match fact:
        case Tariff() | Contract():
            return fact.system
        case AllocationRule():
            return fact.match.system
        case _:
            return None
