"""What an export says of a charge beyond the charge: names, vendors, contracts, and what a pool is counted in."""

from collections import Counter
from datetime import date, datetime
from functools import lru_cache

from services.cost_alerts.domain.view import View
from services.cost_alerts.exports.focus import SERVICE_CATEGORIES, plural, unit_of
from services.cost_alerts.exports.tables import Locale
from services.shared.events.dated import Names
from services.shared.events.prices import Contract, Pool
from services.shared.events.register import UNALLOCATED, System

CREDITS = "credits"
NOT_APPLICABLE = "Not Applicable"
_UNALLOCATED: dict[Locale, str] = {"fi": "Kohdistamatta", "sv": "Ofördelat", "en": "Unallocated"}


class Catalog:
    """The newest register, asked for names in one language."""

    def __init__(self, view: View, locale: Locale) -> None:
        self.view = view
        self._locale = locale
        names = Counter(self._named(one.name, one.id) for one in view.systems.values())
        self._twice = {name for name, count in names.items() if count > 1}
        self.unit_name = lru_cache(maxsize=100_000)(self._unit_name)
        self.contract = lru_cache(maxsize=100_000)(self._contract)

    def service_name(self, system: str) -> str:
        """Unlike every other system's: a service has one category (FOCUS)."""
        known = self.view.systems.get(system)
        name = system if known is None else self._named(known.name, system)
        return f"{name} ({system})" if name in self._twice else name

    def system(self, system: str) -> System | None:
        return self.view.systems.get(system)

    def vendor(self, system: str) -> str:
        known = self.view.systems.get(system)
        return system if known is None else known.vendor

    def host(self, system: str) -> str:
        known = self.view.systems.get(system)
        return NOT_APPLICABLE if known is None or known.host is None else known.host

    def category(self, system: str) -> str:
        known = self.view.systems.get(system)
        found = "Other" if known is None else known.service_category
        return found if found in SERVICE_CATEGORIES else "Other"

    def _unit_name(self, unit: str, day: date) -> str:
        if unit == UNALLOCATED:
            return _UNALLOCATED[self._locale]
        known = self.view.units.on(unit, day)
        return unit if known is None else self._named(known.name, unit)

    def _contract(self, system: str, moment: datetime) -> Contract | None:
        """The contract a system is bought under; of several the first by id."""
        return next((one.fact for one in self.view.contracts.at(system, moment)), None)

    def pool(self, system: str, agreement: str) -> Pool | None:
        """The pool that an agreement's key names, as the newest register has it."""
        name = agreement.removeprefix("pool:")
        for contract, term in self.view.contracts.terms(system):
            if isinstance(term, Pool) and f"{contract.fact.id}/{term.id}" == name:
                return term
        return None

    def virtual_currency(self, system: str, agreement: str) -> str:
        """What a pool is counted in, as a currency has a name: its credit, its meter, or the money paid in advance."""
        pool = self.pool(system, agreement)
        if pool is None:
            return plural(agreement.rpartition("/")[2])
        if pool.meter is None:
            return f"Prepaid {pool.burns}"
        return plural(pool.sku) if pool.meter == CREDITS and pool.sku != "*" else unit_of(pool.meter)

    def _named(self, names: Names | str, otherwise: str) -> str:
        if isinstance(names, str):
            return names
        return names.get(self._locale) or next(iter(names.values()), otherwise)
