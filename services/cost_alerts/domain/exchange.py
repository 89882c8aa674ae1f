"""Exchange rates: the one last published before a charge's Helsinki day, so that no day waits for its own rate."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from services.shared.events.register import FxRates

EUR = "EUR"


@dataclass(frozen=True, slots=True)
class Rate:
    """Units of a currency per 1 EUR, and the day it was published (None for the euro itself)."""

    per_euro: Decimal
    published_on: date | None


ONE_TO_ONE = Rate(Decimal(1), None)


class Exchange:
    """All rates of one register version."""

    def __init__(self, published: Iterable[FxRates]) -> None:
        self._days: dict[str, list[date]] = defaultdict(list)
        self._rates: dict[str, list[Decimal]] = defaultdict(list)
        for fact in sorted(published, key=lambda fact: fact.day):
            for currency, rate in fact.rates.items():
                if rate:  # a rate of nought is no rate
                    self._days[currency].append(fact.day)
                    self._rates[currency].append(rate)

    def before(self, currency: str, day: date) -> Rate | None:
        """The rate of `currency` last published before `day`; None when there is none."""
        if currency == EUR:
            return ONE_TO_ONE
        days = self._days.get(currency, [])
        found = bisect_left(days, day)
        return Rate(self._rates[currency][found - 1], days[found - 1]) if found else None
