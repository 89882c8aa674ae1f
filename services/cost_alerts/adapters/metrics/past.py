"""The metrics of days past, as a scrape at the end of each would have shown them, from what the ledger knows now.

Made by the same functions as those of today. What only a running program knows (sources, consumers, outboxes, reviews)
and what was announced then is not told: nobody can know it afterwards.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from prometheus_client.core import GaugeMetricFamily

from services.cost_alerts.adapters.metrics.forecasts import forecast_families, trust_families
from services.cost_alerts.adapters.metrics.ledger import budget_families, seat_families
from services.cost_alerts.adapters.metrics.numbers import euro
from services.cost_alerts.adapters.metrics.past_reading import (
    Part,
    PoolLeft,
    Restated,
    SeatRow,
    days_of,
    forecasts_by_day,
    parts_by_day,
    pools_by_day,
    restatements,
    seats_by_day,
    tests_by_month,
)
from services.cost_alerts.adapters.metrics.risks import deadline_samples, structure_samples
from services.cost_alerts.adapters.queries import LedgerQueries, SeatState
from services.cost_alerts.adapters.risks.reading import RegionDays, region_days, trail, weights_on
from services.cost_alerts.domain.agreements.seating import METER as SEATS
from services.cost_alerts.domain.budgets.look import Facts
from services.cost_alerts.domain.budgets.scope import Counting
from services.cost_alerts.domain.budgets.state import states
from services.cost_alerts.domain.foresight.forecast import Forecast
from services.cost_alerts.domain.foresight.issued import ForecastTest
from services.cost_alerts.domain.outlook import at_this_pace
from services.cost_alerts.domain.risks.deadlines import deadlines
from services.cost_alerts.domain.risks.spending import PACE_DAYS, YEAR_DAYS, Sums, Trail
from services.cost_alerts.domain.risks.structure import structure
from services.cost_alerts.domain.view import View
from services.shared import metrics
from services.shared.events.register import UNALLOCATED
from services.shared.periods import Month, day_start
from services.shared.store import Store

_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)

Families = Iterator[GaugeMetricFamily]


def past_metrics(store: Store, today: date, days: int) -> Iterator[tuple[datetime, Sequence[GaugeMetricFamily]]]:
    """The last second of each of the `days` before `today`, rising, with what a scrape then would have shown."""
    first = today - timedelta(days=days)
    view = LedgerQueries(store).view()
    with store.reading() as connection:
        past = _Past(
            view=view,
            spent=trail(connection, today, days),
            regions=region_days(connection, today, days),
            parts=parts_by_day(connection, today),
            seats=seats_by_day(connection),
            forecasts=forecasts_by_day(connection, first),
            tests=tests_by_month(connection),
            restated=restatements(connection),
            pools=pools_by_day(store, first, today - _DAY),
        )
    yield from past.told(first, today)


@dataclass(slots=True)
class _Sums:
    """What adds up from day to day."""

    month: dict[tuple[str, str], int] = field(default_factory=dict)
    by_day: dict[str, dict[date, int]] = field(default_factory=lambda: defaultdict(dict))
    used: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    readings: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    unpriced: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, day: date, parts: Iterable[Part], counting: Counting) -> None:
        if day.day == 1:
            self.month.clear()
            self.by_day.clear()
        for part in parts:
            unit, system, _ = part.where
            self.month[unit, system] = self.month.get((unit, system), 0) + part.eur_nano
            self.by_day[unit][day] = self.by_day[unit].get(day, 0) + part.eur_nano
            self.readings[system] += part.readings
            self.unpriced[system] += part.unpriced
            for budget in counting.counted(part.where, day):
                self.used[budget] += part.eur_nano


@dataclass(frozen=True, slots=True)
class _Past:
    view: View
    spent: Trail
    regions: RegionDays
    parts: Mapping[date, Sequence[Part]]
    seats: Mapping[date, Sequence[SeatRow]]
    forecasts: Mapping[date, Sequence[Forecast]]
    tests: Mapping[Month, Sequence[ForecastTest]]
    restated: Sequence[Restated]
    pools: Mapping[date, Sequence[PoolLeft]]

    def told(self, first: date, until: date) -> Iterator[tuple[datetime, Sequence[GaugeMetricFamily]]]:
        counting, sums = Counting(self.view.budgets, self.view), _Sums()
        year, pace = self.spent.window(YEAR_DAYS), self.spent.window(PACE_DAYS)
        newest_seats: dict[tuple[str, str], SeatRow] = {}
        start = min([first, *self.parts, *self.seats])
        for day in days_of(start, until):
            sums.add(day, self.parts.get(day, ()), counting)
            newest_seats.update({(one.system, one.sku): one for one in self.seats.get(day, ())})
            if day >= first:
                moment = day_start(day + _DAY) - _SECOND
                families = [*self._costs(day, sums), *self._budgets(day, sums), *self._unpriced(sums)]
                families += self._seats(day, newest_seats.values())
                families += [*self._restated(day, moment), *self._foreseen(day), *self._pools(day)]
                families += self._risks(year(day), pace(day), day, moment)
                yield moment, families

    def _costs(self, day: date, sums: _Sums) -> Families:
        spent = sorted(sums.month.items())
        yield metrics.filled(metrics.COST_MONTH_TO_DATE, [(labels, euro(nano)) for labels, nano in spent])
        systems = sorted({system for _, system in sums.month})
        yield metrics.filled(
            metrics.UNALLOCATED, [((one,), euro(sums.month.get((UNALLOCATED, one), 0))) for one in systems]
        )
        month = Month.of(day)
        paces = {unit: at_this_pace(month, days, day) for unit, days in sums.by_day.items()}
        yield metrics.filled(
            metrics.RUN_RATE_MONTH_END, [((unit,), euro(nano)) for unit, nano in paces.items() if nano is not None]
        )

    def _budgets(self, day: date, sums: _Sums) -> Families:
        year = (date(day.year, 1, 1), date(day.year, 12, 31))
        forecasts = {
            one.name: one
            for one in self.forecasts.get(day, ())
            if one.level == "budget" and (one.first, one.last) == year
        }
        found = states(self.view, day, Facts(sums.used, (), (), forecasts, settled=True))
        yield from budget_families([one for one in found if one.budget.period == day.year])

    def _unpriced(self, sums: _Sums) -> Families:
        counted = sorted(sums.readings.items())
        yield metrics.filled(
            metrics.UNPRICED_READINGS, [((system,), float(sums.unpriced[system])) for system, _ in counted]
        )
        yield metrics.filled(
            metrics.UNPRICED_RATIO, [((system,), sums.unpriced[system] / count) for system, count in counted if count]
        )

    def _seats(self, day: date, rows: Iterable[SeatRow]) -> Families:
        """Who was active counts where the vendor told so itself; from persons' last use it cannot be known later."""
        month = self.spent.window(day.day)(day + _DAY)
        cost: dict[tuple[str, str], int] = defaultdict(int)
        for kind, amount in month.items():
            if kind.meter == SEATS:
                cost[kind.system, kind.sku] += amount.eur_nano
        return seat_families(
            SeatState(one.system, one.sku, day, one.purchased, one.assigned, one.active, cost[one.system, one.sku])
            for one in rows
        )

    def _restated(self, day: date, moment: datetime) -> Families:
        month = Month.of(day)
        changed: dict[str, int] = defaultdict(int)
        for one in self.restated:
            if one.published_at <= moment and Month.of(one.day) == month:
                changed[one.unit] += one.change_nano
        yield metrics.filled(metrics.RESTATED, [((unit,), euro(nano)) for unit, nano in sorted(changed.items())])

    def _foreseen(self, day: date) -> Families:
        yield from forecast_families(self.forecasts.get(day, ()), day)
        tested = max((month for month in self.tests if month < Month.of(day)), default=None)
        yield from trust_families(() if tested is None else self.tests[tested])

    def _pools(self, day: date) -> Families:
        found = [((one.system, one.pool), one) for one in self.pools.get(day, ())]
        yield metrics.filled(metrics.POOL_REMAINING, [(labels, float(one.left)) for labels, one in found])
        yield metrics.filled(metrics.POOL_SIZE, [(labels, float(one.size)) for labels, one in found])

    def _risks(self, year: Sums, pace: Sums, day: date, moment: datetime) -> Families:
        found = structure(self.view, year, pace, self.spent.days_before(day, PACE_DAYS), weights_on(self.regions, day))
        yield from (metrics.filled(metric, samples) for metric, samples in structure_samples(found))
        yield metrics.filled(metrics.CONTRACT_DEADLINE, deadline_samples(deadlines(self.view, moment)))
