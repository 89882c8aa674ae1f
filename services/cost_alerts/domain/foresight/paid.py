"""What the days before a day have cost whom: exactly what the ledger has."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

from services.cost_alerts.domain.foresight.consumption import Spent
from services.cost_alerts.domain.foresight.groups import Group, Membership

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Paid:
    """What was paid, ready to be asked for stretches of days."""

    spent: Spent
    member: Membership

    def by_group(self, first: date, last: date) -> Mapping[Group, int]:
        """What the days from `first` to `last` (inclusive) have cost, 10⁻⁹ euro; a group that has none has nought.

        Units with those below them as they are now; what counts towards a budget is told by the tree of each day.
        """
        found: dict[Group, int] = defaultdict(int)
        sums = self.spent.total[:, self.spent.at(first, last)].sum(axis=1)
        for where, nano in zip(self.spent.places, sums, strict=True):
            for group in self.member.of(where):
                if group.level != "budget":
                    found[group] += int(nano)
        for budget, nano in self._counted(first, last):
            found[Group("budget", budget)] += nano
        return found

    def _counted(self, first: date, last: date) -> Iterator[tuple[str, int]]:
        for since, until in self._unmoved(first, last):
            sums = self.spent.total[:, self.spent.at(since, until)].sum(axis=1)
            for where, nano in zip(self.spent.places, sums, strict=True):
                if nano:
                    yield from ((budget, int(nano)) for budget in self.member.budgets_on(where, since))

    def _unmoved(self, first: date, last: date) -> Iterator[tuple[date, date]]:
        """The days from `first` to `last`, cut where the tree of units changes, and between years."""
        dated = (edge for unit in self.member.view.units.all() for edge in (unit.valid_from, unit.valid_to))
        years = (date(year, 1, 1) for year in range(first.year, last.year + 1))
        cuts = {edge for edge in (*dated, *years) if edge is not None and first < edge <= last}
        for since, until in pairwise([first, *sorted(cuts), last + _DAY]):
            if since < until:
                yield since, until - _DAY
