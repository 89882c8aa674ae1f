"""The forecasts of a day put together: what was paid, what is owed, what is planned, and the use still to come.

For the city, every unit with those below it, system, vendor and budget; each for the month and for the year. All of it
is added up from the same places, so that the parts of a whole add up to it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import pairwise
from math import hypot
from typing import NamedTuple, Protocol

import numpy as np

from services.cost_alerts.domain.budgets.scope import Where
from services.cost_alerts.domain.foresight.arrays import BoolArray, FloatArray
from services.cost_alerts.domain.foresight.consumption import Consumption, Spent, consumption
from services.cost_alerts.domain.foresight.effect import PlannedEffect
from services.cost_alerts.domain.foresight.fixed import Standing, owed, shortfalls
from services.cost_alerts.domain.foresight.forecast import Forecast, Range
from services.cost_alerts.domain.foresight.groups import Group, Membership
from services.cost_alerts.domain.foresight.planned import Planned, Stream, counting, planned
from services.cost_alerts.domain.foresight.pools import PoolOutlook, PoolUse, Use, outlook, overage, shares
from services.cost_alerts.domain.tariff import ANY_SKU
from services.shared.money import NANO
from services.shared.periods import Month

_DAY = timedelta(days=1)
_SHARE_DAYS = 28
"""Whose use beyond a pool will be is told by the use of so many days."""


class Totals(Protocol):
    """[group, day]: the expected total of the first h + 1 days ahead, with its 80 % limits; `enough` [group]."""

    @property
    def mid(self) -> FloatArray: ...
    @property
    def low(self) -> FloatArray: ...
    @property
    def high(self) -> FloatArray: ...
    @property
    def enough(self) -> BoolArray: ...


class Ahead(NamedTuple):
    """What is to be carried forward: `values` [series, day] from `first_day` on, `days` days ahead.

    `scale` [series, day]: what days ahead are multiplied by.
    """

    first_day: date
    values: FloatArray
    days: int
    scale: FloatArray | None = None


Cumulate = Callable[[Ahead, BoolArray], Totals]
"""The model: what groups [group, series] of series will add up to."""


class Stretch(NamedTuple):
    """A month or a year that `today` lies in; both days inclusive."""

    first: date
    last: date


def stretches(today: date) -> tuple[Stretch, Stretch]:
    """The month and the year of a day."""
    month = Month.of(today)
    return Stretch(month.first_day, month.next.first_day - _DAY), Stretch(
        date(today.year, 1, 1), date(today.year, 12, 31)
    )


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the forecasts of a day are made from.

    Attributes:
        spent: up to the day before `today`.
        beyond: place → day (ordinal) → what use beyond prepaid pools cost; it is part of `spent`.
        prices: system → price level by day, of the days of `spent` and then of those ahead to the end of the year; 1:
            as today. A system that is left out keeps its prices.
        by_sku: place → SKU → its part of the use of late, where a planned change asks for it.
    """

    today: date
    spent: Spent
    standing: Standing
    pools: Sequence[PoolUse] = ()
    beyond: Mapping[Where, Mapping[int, int]] = field(default_factory=dict)
    prices: Mapping[str, FloatArray] = field(default_factory=dict)
    by_sku: Mapping[Where, Mapping[str, float]] = field(default_factory=dict)

    @property
    def until(self) -> date:
        """The last day of the year."""
        return date(self.today.year, 12, 31)

    @property
    def days(self) -> int:
        """The days ahead, today and the last day of the year among them."""
        return (self.until - self.today).days + 1

    def ahead(self, system: str) -> FloatArray:
        """The price levels of the days ahead."""
        levels = self.prices.get(system)
        return np.ones(self.days) if levels is None else levels[self.spent.days :]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The forecasts of a day."""

    forecasts: Sequence[Forecast]
    pools: Sequence[PoolOutlook]
    planned: Sequence[PlannedEffect]


def forecasts(inputs: Inputs, cumulate: Cumulate) -> Outcome:
    """The forecasts that can be made in the morning of `inputs.today`."""
    assembly = _Assembly(inputs, cumulate)
    return Outcome(list(assembly.forecasts()), assembly.pool_outlooks(), assembly.effects())


class _Pool(NamedTuple):
    pool: PoolUse
    use: Use | None
    prices: FloatArray


class _Assembly:
    """One day's making; what several forecasts need is made once."""

    def __init__(self, inputs: Inputs, cumulate: Cumulate) -> None:
        self.inputs = inputs
        self.today = inputs.today
        self.view = inputs.standing.view
        self.member = Membership(self.view, self.today)
        self.past = consumption(inputs.spent, inputs.beyond, inputs.prices)
        self.changes = counting(self.view.planned, self.today, inputs.until)
        self.owed = list(owed(inputs.standing, self.today, inputs.until))
        self.pools = _pools(inputs, cumulate)
        self.use = _Use(self, cumulate)
        self.owed += shortfalls(inputs.standing, self.today, inputs.until, self._expected_cost)
        self.planned = planned(self.view, self.changes, self._streams(), self.today, inputs.days)

    def places(self) -> list[Where]:
        """Every place that costs something, did, or will."""
        found = {one.where for one in self.owed} | {one.where for plan in self.planned for one in plan.added}
        return sorted(found.union(self.inputs.spent.places))

    def forecasts(self) -> Iterator[Forecast]:
        groups = self.member.all(self.places())
        for stretch in stretches(self.today):
            days = (stretch.last - self.today).days + 1
            paid, fixed = self._paid(stretch), self._owed(stretch)
            plans, late = self._plans(days), self._late(stretch)
            beyond = self._beyond(days)
            for group in groups:
                variable = self.use.range(group, days, late[group], beyond[group])
                yield Forecast(
                    level=group.level,
                    name=group.name,
                    made_on=self.today,
                    first=stretch.first,
                    last=stretch.last,
                    actual_nano=paid[group],
                    fixed_nano=fixed[group, False],
                    renewed_nano=fixed[group, True],
                    planned_nano=plans[group],
                    variable=variable,
                    reason=None if variable is not None else "not_enough_data",
                )

    def pool_outlooks(self) -> list[PoolOutlook]:
        return [outlook(one.pool, one.use, self.today, one.prices) for one in self.pools]

    def effects(self) -> list[PlannedEffect]:
        """What each planned change adds, and which come too late to."""
        month, year = ((one.last - self.today).days + 1 for one in stretches(self.today))
        return [_effect(one, self.today, month, year) for one in self.planned]

    def _expected_cost(self, system: str, first: date, last: date) -> int:
        """What a system cost, and is expected to cost, on some days; without plans, and without minimums."""
        spent = self.inputs.spent
        rows = [number for number, where in enumerate(spent.places) if where.system == system]
        paid = int(spent.total[rows, spent.at(first, last)].sum())
        due = sum(one.nano for one in self.owed if one.where.system == system and first <= one.day <= last)
        return paid + due + round(self.use.expected(Group("system", system), first, last) * NANO)

    def _streams(self) -> Iterator[Stream]:
        """What planned changes change, as far as they ask for it."""
        if not self.changes:
            return
        systems = {change.system for change in self.changes}
        yield from self.use.streams(systems)
        due: dict[tuple[Where, str, bool], FloatArray] = defaultdict(lambda: np.zeros(self.inputs.days))
        for one in self.owed:
            if one.where.system in systems:
                is_open = one.at_list_price or one.renewed
                due[one.where, one.sku, is_open][(one.day - self.today).days] += one.nano / NANO
        for (where, sku, is_open), eur in due.items():
            yield Stream(where, sku, eur, at_list_price=is_open)

    def _paid(self, stretch: Stretch) -> Mapping[Group, int]:
        """What the days before today have cost: exactly what the ledger has."""
        spent = self.inputs.spent
        sums = spent.total[:, spent.at(stretch.first, self.today - _DAY)].sum(axis=1)
        paid: dict[Group, int] = defaultdict(int)
        for where, nano in zip(spent.places, sums, strict=True):
            for group in self.member.of(where):
                if group.level != "budget":
                    paid[group] += int(nano)
        for budget, nano in self._counted(stretch):
            paid[Group("budget", budget)] += nano
        return paid

    def _counted(self, stretch: Stretch) -> Iterator[tuple[str, int]]:
        """What counts towards budgets: of each day, by the tree of units as it was then."""
        spent = self.inputs.spent
        for first, last in self._unmoved(stretch):
            sums = spent.total[:, spent.at(first, last)].sum(axis=1)
            for where, nano in zip(spent.places, sums, strict=True):
                if nano:
                    yield from ((budget, int(nano)) for budget in self.member.budgets_on(where, first))

    def _unmoved(self, stretch: Stretch) -> Iterator[tuple[date, date]]:
        """The days of a stretch before today, cut where the tree of units changes."""
        dated = (edge for unit in self.view.units.all() for edge in (unit.valid_from, unit.valid_to))
        cuts = {edge for edge in dated if edge is not None and stretch.first < edge < self.today}
        edges = [stretch.first, *sorted(cuts), self.today]
        for first, end in pairwise(edges):
            if first < end:
                yield first, end - _DAY

    def _owed(self, stretch: Stretch) -> Mapping[tuple[Group, bool], int]:
        by_place: dict[tuple[Where, bool], int] = defaultdict(int)
        for one in self.owed:
            if one.day <= stretch.last:
                by_place[one.where, one.renewed] += one.nano
        found: dict[tuple[Group, bool], int] = defaultdict(int)
        for (where, renewed), nano in by_place.items():
            for group in self.member.of(where):
                found[group, renewed] += nano
        return found

    def _plans(self, days: int) -> Mapping[Group, int]:
        found: dict[Group, int] = defaultdict(int)
        for plan in self.planned:
            for one in plan.added:
                nano = _nano(one.eur, days)
                for group in self.member.of(one.where):
                    found[group] += nano
        return found

    def _late(self, stretch: Stretch) -> Mapping[Group, float]:
        """What is expected of days before today whose data is still on its way, in euro."""
        found: dict[Group, float] = defaultdict(float)
        sums = self.past.late[:, self.inputs.spent.at(stretch.first, self.today - _DAY)].sum(axis=1)
        for where, eur in zip(self.past.places, sums, strict=True):
            for group in self.member.of(where):
                found[group] += float(eur)
        return found

    def _beyond(self, days: int) -> Mapping[Group, "_Beyond"]:
        """What use beyond pools will cost whom."""
        found: dict[Group, _Beyond] = defaultdict(_Beyond)
        for one in self.pools:
            cost = None if one.use is None else overage(one.pool, one.use, self.today, days, one.prices)
            for where, share in shares(one.pool, _SHARE_DAYS):
                for group in self.member.of(where):
                    found[group].add(cost, share, is_known=one.use is not None)
        return found


@dataclass(slots=True)
class _Beyond:
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


class _Use:
    """Use still to come that is paid by the unit, in euro."""

    def __init__(self, assembly: _Assembly, cumulate: Cumulate) -> None:
        inputs, past = assembly.inputs, assembly.past
        self._inputs, self._past = inputs, past
        systems = {change.system for change in assembly.changes}
        self._alone = [where for where in past.places if where.system in systems]
        self._groups = assembly.member.all(past.places)
        self._rows = {group: number for number, group in enumerate(self._groups)}
        matrix = assembly.member.matrix(self._groups, past.places)
        self._is_used = matrix.any(axis=1)
        self._totals = cumulate(_ahead(inputs, past), np.concatenate([matrix, _each(self._alone, past.places)]))

    def range(self, group: Group, days: int, late: float, beyond: _Beyond) -> Range | None:
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
        if row is None or not self._totals.enough[row]:
            return 0.0
        upto, before = ((day - self._inputs.today).days for day in (last, max(first, self._inputs.today) - _DAY))
        return self._total(row, upto) - self._total(row, before)

    def _total(self, row: int, day: int) -> float:
        return 0.0 if day < 0 else float(self._totals.mid[row, min(day, self._inputs.days - 1)])

    def streams(self, systems: Iterable[str]) -> Iterator[Stream]:
        """The use of these systems by place, and by SKU where that is known."""
        wanted = set(systems)
        for number, where in enumerate(self._alone):
            row = len(self._groups) + number
            if where.system in wanted and self._totals.enough[row]:
                eur = np.diff(self._totals.mid[row], prepend=0.0)
                for sku, part in self._inputs.by_sku.get(where, {ANY_SKU: 1.0}).items():
                    yield Stream(where, sku, eur * part, is_use=True, at_list_price=True)


def _ahead(inputs: Inputs, past: Consumption) -> Ahead:
    if not any(where.system in inputs.prices for where in past.places):
        return Ahead(past.first_day, past.values, inputs.days)
    scale = np.stack([inputs.ahead(where.system) for where in past.places])
    return Ahead(past.first_day, past.values, inputs.days, scale)


def _each(alone: Sequence[Where], places: Sequence[Where]) -> BoolArray:
    columns = {where: number for number, where in enumerate(places)}
    found = np.zeros((len(alone), len(places)), dtype=bool)
    for row, where in enumerate(alone):
        found[row, columns[where]] = True
    return found


def _pools(inputs: Inputs, cumulate: Cumulate) -> list[_Pool]:
    """The pools in force, with their use ahead."""
    series = [(number, values) for number, pool in enumerate(inputs.pools) for values in pool.history.values()]
    prices = [inputs.ahead(pool.system) for pool in inputs.pools]
    if not series:
        return [_Pool(pool, None, level) for pool, level in zip(inputs.pools, prices, strict=True)]
    groups: BoolArray = np.equal.outer(np.arange(len(inputs.pools)), np.array([number for number, _ in series]))
    ahead = Ahead(inputs.spent.first_day, np.stack([values for _, values in series]), inputs.days)
    totals = cumulate(ahead, groups)
    return [
        _Pool(pool, _use_of(totals, number) if totals.enough[number] else None, prices[number])
        for number, pool in enumerate(inputs.pools)
    ]


def _use_of(totals: Totals, row: int) -> Use:
    return Use(totals.mid[row], totals.low[row], totals.high[row])


def _range(mid: float, below: float, above: float) -> Range:
    return Range(round((mid - below) * NANO), round(mid * NANO), round((mid + above) * NANO))


def _nano(eur: FloatArray, days: int) -> int:
    return round(float(eur[:days].sum()) * NANO)


def _effect(one: Planned, today: date, month: int, year: int) -> PlannedEffect:
    change = one.change
    month_nano, year_nano = (sum(_nano(part.eur, days) for part in one.added) for days in (month, year))
    return PlannedEffect(
        change=change.id,
        kind=change.kind,
        system=change.system,
        unit=change.unit,
        valid_from=change.valid_from,
        made_on=today,
        month_nano=month_nano,
        year_nano=year_nano,
        is_priced=one.is_priced,
    )
