"""Whom a cost counts for: the city, its unit and those above, the system, its vendor, and the budgets over it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

import numpy as np

from services.cost_alerts.domain.budgets.scope import Counting, Where
from services.cost_alerts.domain.foresight.arrays import BoolArray
from services.cost_alerts.domain.foresight.forecast import Level
from services.cost_alerts.domain.view import View


class Group(NamedTuple):
    """Whose cost a forecast is about; `name` is empty for the city."""

    level: Level
    name: str


CITY = Group("city", "")


@dataclass(slots=True)
class Membership:
    """The groups of each place, by the tree of units and the budgets of `today`; remembered."""

    view: View
    today: date
    _counting: Counting = field(init=False)
    _groups: dict[Where, Sequence[Group]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._counting = Counting(self.view.budgets, self.view)

    def of(self, where: Where) -> Sequence[Group]:
        found = self._groups.get(where)
        if found is None:
            found = self._groups[where] = self._made(where)
        return found

    def _made(self, where: Where) -> list[Group]:
        known = self.view.systems.get(where.system)
        return [
            CITY,
            *(Group("unit", unit) for unit in self.view.units.with_ancestors(where.unit, self.today)),
            Group("system", where.system),
            *([] if known is None else [Group("vendor", known.vendor)]),
            *(Group("budget", budget) for budget in self._counting.counted(where, self.today)),
        ]

    def budgets_on(self, where: Where, day: date) -> Sequence[str]:
        """The ids of the budgets that a cost of a day counts towards: by the tree of that day."""
        return self._counting.counted(where, day)

    def all(self, places: Iterable[Where]) -> list[Group]:
        """The city, this year's budgets, and every group of these places; in a steady order."""
        budgets = (Group("budget", one.id) for one in self.view.budgets if one.period == self.today.year)
        found = {CITY, *budgets, *(group for where in places for group in self.of(where))}
        return sorted(found)

    def matrix(self, groups: Sequence[Group], places: Sequence[Where]) -> BoolArray:
        """[group, place]: whether a place counts for one of these groups."""
        rows: Mapping[Group, int] = {group: number for number, group in enumerate(groups)}
        found = np.zeros((len(groups), len(places)), dtype=bool)
        for column, where in enumerate(places):
            found[[rows[group] for group in self.of(where) if group in rows], column] = True
        return found
