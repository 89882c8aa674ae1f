"""The forecasts of a day put together: what was paid, what is owed, what is planned, and the use still to come.

For the city, every unit with those below it, system, vendor and budget; each for the month and for the year. All of it
is added up from the same places, so that the parts of a whole add up to it.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np

from services.cost_alerts.domain.budgets.scope import Where
from services.cost_alerts.domain.foresight.ahead import Cumulate, Stretch, stretches
from services.cost_alerts.domain.foresight.arrays import FloatArray
from services.cost_alerts.domain.foresight.coming import SHARE_DAYS, Beyond, Coming, draining
from services.cost_alerts.domain.foresight.consumption import consumption
from services.cost_alerts.domain.foresight.effect import PlannedEffect
from services.cost_alerts.domain.foresight.fixed import owed, shortfalls
from services.cost_alerts.domain.foresight.forecast import Forecast
from services.cost_alerts.domain.foresight.groups import Group, Membership
from services.cost_alerts.domain.foresight.inputs import Inputs
from services.cost_alerts.domain.foresight.paid import Paid
from services.cost_alerts.domain.foresight.planned import Planned, Stream, counting, planned
from services.cost_alerts.domain.foresight.pool_plans import planned_pools
from services.cost_alerts.domain.foresight.pools import PoolOutlook, PoolUse, outlook, overage, shares
from services.shared.money import NANO

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The forecasts made in the morning of a day."""

    made_on: date
    forecasts: Sequence[Forecast]
    pools: Sequence[PoolOutlook]
    planned: Sequence[PlannedEffect]


def forecasts(inputs: Inputs, cumulate: Cumulate) -> Outcome:
    """The forecasts that can be made in the morning of `inputs.today`."""
    assembly = _Assembly(inputs, cumulate)
    return Outcome(inputs.today, list(assembly.forecasts()), assembly.pool_outlooks(), assembly.effects())


class _Assembly:
    """One day's making; what several forecasts need is made once."""

    def __init__(self, inputs: Inputs, cumulate: Cumulate) -> None:
        self.inputs = inputs
        self.today = inputs.today
        self.view = inputs.standing.view
        self.member = Membership(self.view, self.today)
        self.paid = Paid(inputs.spent, self.member)
        self.past = consumption(inputs.spent, inputs.beyond, inputs.prices)
        self.changes = counting(self.view, self.today, inputs.until)
        self.owed = list(owed(inputs.standing, self.today, inputs.until))
        self.pools = draining(inputs, cumulate)
        self.use = Coming(inputs, self.past, self.member, {one.system for one in self.changes}, cumulate)
        self.owed += shortfalls(inputs.standing, self.today, inputs.until, self._expected_cost)
        self.with_plans, more = planned_pools(self.view, self.changes, self.pools, self.today)
        alone = planned(self.view, self.changes, self._streams(), self.today, inputs.days)
        self.planned = [replace(one, added=[*one.added, *more.get(one.change.id, ())]) for one in alone]

    def places(self) -> list[Where]:
        """Every place that costs something, did, or will."""
        found = {one.where for one in self.owed} | {one.where for plan in self.planned for one in plan.added}
        return sorted(found.union(self.inputs.spent.places))

    def forecasts(self) -> Iterator[Forecast]:
        groups = self.member.all(self.places())
        for stretch in stretches(self.today):
            days = (stretch.last - self.today).days + 1
            paid = self.paid.by_group(stretch.first, self.today - _DAY)
            fixed = self._owed(stretch)
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
        """Where the pools lead, with all that is planned."""
        return [outlook(one.pool, one.use, self.today, one.prices) for one in self.with_plans]

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
        yield from self.use.streams()
        due: dict[tuple[Where, str, bool], FloatArray] = defaultdict(lambda: np.zeros(self.inputs.days))
        for one in self.owed:
            if one.where.system in systems:
                is_open = one.at_list_price or one.renewed
                due[one.where, one.sku, is_open][(one.day - self.today).days] += one.nano / NANO
        for (where, sku, is_open), eur in due.items():
            yield Stream(where, sku, eur, at_list_price=is_open)

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

    def _shares(self, pool: PoolUse) -> Mapping[Group, float]:
        """The part of a pool's use that each group has."""
        found: dict[Group, float] = defaultdict(float)
        for where, share in shares(pool, SHARE_DAYS):
            for group in self.member.of(where):
                found[group] += share
        return found

    def _beyond(self, days: int) -> Mapping[Group, "Beyond"]:
        """What use beyond pools will cost whom."""
        found: dict[Group, Beyond] = defaultdict(Beyond)
        for one in self.pools:
            cost = None if one.use is None else overage(one.pool, one.use, self.today, days, one.prices)
            for group, share in self._shares(one.pool).items():
                found[group].add(cost, share, is_known=one.use is not None)
        return found


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
