"""Contracts in force: what is off the list price, which VAT an invoice carries, and the terms beyond the tariffs."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from services.shared.events.prices import Contract, Discount, Pool, Term
from services.shared.periods import day_start

CREDITS = "credits"
"""The meter of a vendor's credits; their SKU is the credit's name."""

_NOTHING_OFF = Decimal(0)


@dataclass(frozen=True, slots=True)
class DatedContract:
    """A contract with its validity as instants (UTC), and the register version it came with."""

    version: int
    fact: Contract
    starts: datetime
    ends: datetime | None

    @classmethod
    def of(cls, contract: Contract, version: int) -> "DatedContract":
        zone = ZoneInfo(contract.time_zone)
        ends = None if contract.valid_to is None else day_start(contract.valid_to, zone)
        return cls(version, contract, day_start(contract.valid_from, zone), ends)

    def holds_at(self, moment: datetime) -> bool:
        return self.starts <= moment and (self.ends is None or moment < self.ends)


class Contracts:
    """All contracts of one register version, by system; where several hold at once, the first by id counts."""

    def __init__(self, contracts: Iterable[tuple[int, Contract]]) -> None:
        self._by_system: dict[str, list[DatedContract]] = defaultdict(list)
        for version, contract in sorted(contracts, key=lambda one: (one[1].id, one[1].valid_from)):
            self._by_system[contract.system].append(DatedContract.of(contract, version))

    def at(self, system: str, moment: datetime) -> Sequence[DatedContract]:
        """The contracts on a system in force at `moment`."""
        return [one for one in self._by_system.get(system, ()) if one.holds_at(moment)]

    def on(self, system: str) -> Sequence[DatedContract]:
        """Every contract on a system, in force now or not."""
        return self._by_system.get(system, ())

    def vat_rate(self, system: str, moment: datetime) -> Decimal | None:
        """The VAT rate of a system's invoices; None when no contract tells."""
        rates = (one.fact.vat_rate for one in self.at(system, moment))
        return next((rate for rate in rates if rate is not None), None)

    def off(self, system: str, sku: str, meter: str, moment: datetime, credit: str | None = None) -> Decimal:
        """The part off the list price, from 0 to 1.

        What is priced by way of a credit has the discounts on its own SKU and meter, and those on the credit.
        """
        for contract in self.at(system, moment):
            for discount in contract.fact.discounts:
                if _fits(discount, sku, meter) or (credit is not None and _fits(discount, credit, CREDITS)):
                    return discount.off
        return _NOTHING_OFF

    def all(self) -> Iterator[DatedContract]:
        """Every contract, in force now or not, by system and id."""
        for system in sorted(self._by_system):
            yield from self._by_system[system]

    def terms(self, system: str) -> Iterator[tuple[DatedContract, Term]]:
        """Every term on a system, in force now or not."""
        for contract in self._by_system.get(system, ()):
            for term in contract.fact.terms:
                yield contract, term

    def pools(self, system: str, moment: datetime) -> Iterator[tuple[DatedContract, Pool]]:
        """The pools of the contracts on a system in force at `moment`."""
        for contract in self.at(system, moment):
            for term in contract.fact.terms:
                if isinstance(term, Pool):
                    yield contract, term

    def edges(self, system: str) -> Iterator[datetime]:
        """The instants at which a contract on a system begins or ends."""
        contracts = self._by_system.get(system, ())
        yield from (edge for one in contracts for edge in (one.starts, one.ends) if edge is not None)

    def systems(self) -> Iterable[str]:
        return self._by_system.keys()


def _fits(discount: Discount, sku: str, meter: str) -> bool:
    return discount.sku in ("*", sku) and discount.meter in (None, meter)
