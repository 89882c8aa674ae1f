"""The use still to come: what is paid by the unit, carried forward by the model, and what goes beyond prepaid pools."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import hypot
from typing import NamedTuple

import numpy as np

from services.cost_alerts.domain.budgets.scope import Where
from services.cost_alerts.domain.foresight.ahead import Ahead, Cumulate
from services.cost_alerts.domain.foresight.arrays import BoolArray, FloatArray
from services.cost_alerts.domain.foresight.consumption import Consumption, take_late
from services.cost_alerts.domain.foresight.forecast import Range
from services.cost_alerts.domain.foresight.groups import Group, Membership
from services.cost_alerts.domain.foresight.inputs import Inputs
from services.cost_alerts.domain.foresight.planned import Stream
from services.cost_alerts.domain.foresight.pools import PoolUse, Use
from services.cost_alerts.domain.tariff import ANY_SKU
from services.shared.money import NANO

SHARE_DAYS = 28
"""Whose use beyond a pool will be is told by the use of so many days."""

TAKEN_OVER = timedelta(days=3)
"""So long after the end of a unit what it used is taken to be used, and seen, elsewhere."""

_DAY = timedelta(days=1)


class Draining(NamedTuple):
    """A pool in force, its use ahead (None: not enough data), and the price levels of its system ahead."""

    pool: PoolUse
    use: Use | None
    prices: FloatArray


def draining(inputs: Inputs, cumulate: Cumulate) -> list[Draining]:
    """The pools in force, with their use ahead. Use that is still on its way counts as that of today."""
    series = [(number, values) for number, pool in enumerate(inputs.pools) for values in pool.history.values()]
    prices = [inputs.ahead(pool.system) for pool in inputs.pools]
    if not series:
        return [Draining(pool, None, level) for pool, level in zip(inputs.pools, prices, strict=True)]
    owners = np.array([number for number, _ in series])
    groups = np.stack([np.equal(owners, number) for number in range(len(inputs.pools))])
    values = np.stack([values for _, values in series])
    late = take_late(values, [inputs.pools[number].key for number in owners])
    totals = cumulate(Ahead(inputs.spent.first_day, values, inputs.days), groups)
    uses = []
    for number, pool in enumerate(inputs.pools):
        days = inputs.spent.at(pool.cycles[0].first, inputs.today)
        waiting = float(late[groups[number], days].sum())
        uses.append(Use(*(path[number] + waiting for path in (totals.mid, totals.low, totals.high))))
    return [
        Draining(pool, uses[number] if totals.enough[number] and pool.history else None, prices[number])
        for number, pool in enumerate(inputs.pools)
    ]


@dataclass(slots=True)
class Beyond:
    """Use beyond pools, in euro: as expected, and how far the limits are from it (pools go up and down by themselves).

    `is_known`: whether all that is not priced elsewhere could be foreseen.
    """

    mid: float = 0.0
    below: float = 0.0
    above: float = 0.0
    is_known: bool = True

    def add(self, cost: Range | None, share: float, *, is_known: bool) -> None:
        self.is_known = self.is_known and is_known
        if cost is not None:
            self.mid += cost.mid * share / NANO
            self.below = hypot(self.below, (cost.mid - cost.low) * share / NANO)
            self.above = hypot(self.above, (cost.high - cost.mid) * share / NANO)


class Coming:
    """Use still to come that is paid by the unit, in euro."""

    def __init__(
        self, inputs: Inputs, past: Consumption, member: Membership, alone: Collection[str], cumulate: Cumulate
    ) -> None:
        """Carry `past` forward, by group, and of the systems `alone` by place too."""
        self._inputs = inputs
        self._alone = [where for where in past.places if where.system in alone]
        self._groups = member.all(past.places)
        self._rows = {group: number for number, group in enumerate(self._groups)}
        matrix = member.matrix(self._groups, past.places)
        self._is_used: BoolArray = np.asarray(matrix.any(axis=1))
        if past.places:
            groups = np.concatenate([matrix, _each(self._alone, past.places)])
            self._totals = cumulate(_ahead(inputs, past), groups)

    def range(self, group: Group, days: int, late: float, beyond: Beyond) -> Range | None:
        """The use of `days` days from today on, and of what is late; None: not enough data."""
        row = self._rows.get(group)
        if row is None or not self._is_used[row]:
            return _range(beyond.mid, beyond.below, beyond.above) if beyond.is_known else None
        if not self._totals.enough[row]:
            return None
        mid, low, high = (float(one[row, days - 1]) for one in (self._totals.mid, self._totals.low, self._totals.high))
        below, above = hypot(mid - low, beyond.below), hypot(high - mid, beyond.above)
        return _range(mid + late + beyond.mid, below, above)

    def expected(self, group: Group, first: date, last: date) -> float:
        """What is expected of the days from `first` to `last` that are still to come; nought where nobody knows."""
        row = self._rows.get(group)
        if row is None or not self._is_used[row] or not self._totals.enough[row]:
            return 0.0
        upto, before = ((day - self._inputs.today).days for day in (last, max(first, self._inputs.today) - _DAY))
        return self._total(row, upto) - self._total(row, before)

    def _total(self, row: int, day: int) -> float:
        return 0.0 if day < 0 else float(self._totals.mid[row, min(day, self._inputs.days - 1)])

    def streams(self) -> Iterator[Stream]:
        """The use of the systems alone by place, and by SKU where that is known."""
        for number, where in enumerate(self._alone):
            row = len(self._groups) + number
            if self._totals.enough[row]:
                eur = np.diff(self._totals.mid[row], prepend=0.0)
                for sku, part in self._inputs.by_sku.get(where, {ANY_SKU: 1.0}).items():
                    yield Stream(where, sku, eur * part, is_use=True, at_list_price=True)


def _range(mid: float, below: float, above: float) -> Range:
    return Range(round((mid - below) * NANO), round(mid * NANO), round((mid + above) * NANO))


def _ahead(inputs: Inputs, past: Consumption) -> Ahead:
    over = _ended(inputs)
    if not any(where.system in inputs.prices or where.unit in over for where in past.places):
        return Ahead(past.first_day, past.values, inputs.days)
    scale = np.stack([inputs.ahead(where.system) * (where.unit not in over) for where in past.places])
    return Ahead(past.first_day, past.values, inputs.days, scale)


def _ended(inputs: Inputs) -> Collection[str]:
    """Units that ended some days ago: with their successors' use their own would be expected twice."""
    units, today = inputs.standing.view.units, inputs.today
    return {
        one.id for one in units.all() if not units.on(one.id, today) and not units.on(one.id, today - TAKEN_OVER)
        and one.valid_from < today
    }  # fmt: skip


def _each(alone: Sequence[Where], places: Sequence[Where]) -> BoolArray:
    columns = {where: number for number, where in enumerate(places)}
    found = np.zeros((len(alone), len(places)), dtype=bool)
    for row, where in enumerate(alone):
        found[row, columns[where]] = True
    return found
