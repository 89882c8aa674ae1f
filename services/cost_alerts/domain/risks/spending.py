"""What was spent on what, by day, and its sums over the days before one: most risks are a share of such a sum.

A sum of `days` as of a day is that of the complete Helsinki days before it: it does not move while the day goes on.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from fractions import Fraction
from typing import NamedTuple

YEAR_DAYS, PACE_DAYS = 365, 28
"""Over which days structure is looked at, and over which the present pace."""

UNKNOWN = "unknown"
"""Where the register does not say."""


class Kind(NamedTuple):
    """What money is spent on: a rollup's key without who pays. `currency`: what it is priced in; empty: in none."""

    system: str
    sku: str
    meter: str
    category: str
    currency: str


class Amount(NamedTuple):
    """10⁻⁹ euro, and how many billing readings."""

    eur_nano: int
    readings: int


Sums = Mapping[Kind, Amount]

NOTHING = Amount(0, 0)


class Trail:
    """Spending by day, summed over the days before any day; asked for rising days, it only adds what has changed."""

    def __init__(self, rows: Iterable[tuple[date, Kind, Amount]]) -> None:
        self._days: dict[int, list[tuple[Kind, Amount]]] = defaultdict(list)
        for day, kind, amount in rows:
            self._days[day.toordinal()].append((kind, amount))
        self._first = min(self._days, default=None)

    def first_day(self) -> date | None:
        """The first day with any spending."""
        return None if self._first is None else date.fromordinal(self._first)

    def days_before(self, today: date, days: int) -> int:
        """How many of the `days` before `today` the ledger can know: those from its first day on."""
        if self._first is None:
            return 0
        return max(0, min(days, today.toordinal() - self._first))

    def window(self, days: int) -> Callable[[date], Sums]:
        """The sums of the `days` before a day, for days that rise from call to call."""
        return _Window(self._days, days)


class _Window:
    def __init__(self, by_day: Mapping[int, list[tuple[Kind, Amount]]], days: int) -> None:
        self._by_day, self._days = by_day, days
        self._from = self._until = 0
        self._sums: dict[Kind, Amount] = {}

    def __call__(self, today: date) -> Sums:
        until = today.toordinal()
        first = max(0, until - self._days)
        if not self._from <= first <= self._until <= until:
            self._from = self._until = first
            self._sums = {}
        self._add(range(self._until, until), 1)
        self._add(range(self._from, first), -1)
        self._from, self._until = first, until
        return {kind: amount for kind, amount in self._sums.items() if amount != NOTHING}

    def _add(self, days: range, sign: int) -> None:
        for number in days:
            for kind, amount in self._by_day.get(number, ()):
                eur_nano, readings = self._sums.get(kind, NOTHING)
                self._sums[kind] = Amount(eur_nano + sign * amount.eur_nano, readings + sign * amount.readings)


def grouped(sums: Sums, name_of: Callable[[Kind], str]) -> dict[str, Amount]:
    """The sums by a name that each kind has."""
    found: dict[str, Amount] = {}
    for kind, amount in sums.items():
        name = name_of(kind)
        eur_nano, readings = found.get(name, NOTHING)
        found[name] = Amount(eur_nano + amount.eur_nano, readings + amount.readings)
    return found


def shares(amounts: Mapping[str, int]) -> dict[str, Fraction]:
    """Each part of the sum of all positive parts, largest first, ties by name; parts of nought or less are left out.

    A vendor that gave more back than it took has no share, and lowers nobody else's.
    """
    positive = {name: amount for name, amount in amounts.items() if amount > 0}
    total = sum(positive.values())
    order = sorted(positive, key=lambda name: (-positive[name], name))
    return {name: Fraction(positive[name], total) for name in order}
