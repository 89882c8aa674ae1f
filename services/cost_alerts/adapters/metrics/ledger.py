"""What operations see of the ledger, read from its store when Prometheus asks; floats from here on, for eyes only."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from services.cost_alerts.adapters.metrics.numbers import LIMITS, euro
from services.cost_alerts.adapters.queries import LedgerQueries, SeatState
from services.cost_alerts.domain.budgets.state import BudgetState
from services.cost_alerts.domain.outlook import at_this_pace
from services.shared import metrics
from services.shared.clock import Clock
from services.shared.periods import Month, helsinki_day

_DAY_SECONDS = 86_400

SHOWN = (
    metrics.COST_MONTH_TO_DATE,
    metrics.RUN_RATE_MONTH_END,
    metrics.BUDGET,
    metrics.BUDGET_USED_RATIO,
    metrics.BUDGET_COMMITTED,
    metrics.BUDGET_PLANNED,
    metrics.BUDGET_FORECAST_RATIO,
    metrics.UNPRICED_READINGS,
    metrics.UNPRICED_RATIO,
    metrics.UNALLOCATED,
    metrics.SEATS,
    metrics.IDLE_SEAT_COST,
    metrics.RESTATED,
    metrics.RESTATEMENT_PENDING,
    metrics.RESTATEMENT_PROGRESS,
    metrics.FX_AGE,
)


class LedgerMetrics(Collector):
    """What a scrape shows. Units, systems and budgets are those of the register, so labels are bounded by it."""

    def __init__(self, queries: LedgerQueries, clock: Clock) -> None:
        self._queries, self._clock = queries, clock

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Names without reading: registering must not touch the database."""
        return map(metrics.family, SHOWN)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        today = helsinki_day(self._clock.now())
        month = Month.of(today)
        yield from self._costs(month)
        yield metrics.filled(
            metrics.RUN_RATE_MONTH_END,
            [
                ((unit,), euro(outlook))
                for unit, days in self._queries.daily_costs(month).items()
                if (outlook := at_this_pace(month, days, today)) is not None
            ],
        )
        yield from budget_families([one for one in self._queries.budgets(today) if one.budget.period == today.year])
        yield from self._unpriced()
        yield from seat_families(self._queries.seats(month))
        restated = self._queries.restated(month)
        yield metrics.filled(metrics.RESTATED, [((unit,), euro(nano)) for unit, nano in restated.items()])
        yield metrics.filled(metrics.RESTATEMENT_PENDING, [((), float(self._queries.restatement_pending()))])
        yield metrics.filled(metrics.RESTATEMENT_PROGRESS, [((), self._queries.restatement_progress())])
        ages = self._queries.rate_ages(today)
        yield metrics.filled(metrics.FX_AGE, [((currency,), days * _DAY_SECONDS) for currency, days in ages.items()])

    def _costs(self, month: Month) -> Iterator[GaugeMetricFamily]:
        spent = self._queries.month_costs(month)
        yield metrics.filled(
            metrics.COST_MONTH_TO_DATE, [((one.unit, one.system), euro(one.eur_nano)) for one in spent]
        )
        unallocated = self._queries.unallocated(month)
        systems = {one.system for one in spent}
        yield metrics.filled(
            metrics.UNALLOCATED, [((system,), euro(unallocated.get(system, 0))) for system in sorted(systems)]
        )

    def _unpriced(self) -> Iterator[GaugeMetricFamily]:
        found = self._queries.unpriced()
        yield metrics.filled(metrics.UNPRICED_READINGS, [((one.system,), float(one.unpriced)) for one in found])
        yield metrics.filled(
            metrics.UNPRICED_RATIO, [((one.system,), one.unpriced / one.readings) for one in found if one.readings]
        )


def budget_families(budgets: Iterable[BudgetState]) -> Iterator[GaugeMetricFamily]:
    """Amount and used share of each budget."""
    rows = [((one.budget.id, one.budget.unit), one) for one in budgets]
    yield metrics.filled(metrics.BUDGET, [(labels, euro(one.amount_nano)) for labels, one in rows])
    yield metrics.filled(
        metrics.BUDGET_USED_RATIO,
        [(labels, one.used_nano / one.amount_nano) for labels, one in rows if one.amount_nano > 0],
    )
    yield metrics.filled(
        metrics.BUDGET_COMMITTED,
        [(labels, euro(one.committed_nano)) for labels, one in rows if one.committed_nano is not None],
    )
    yield metrics.filled(metrics.BUDGET_PLANNED, [(labels, euro(one.planned_to_date_nano)) for labels, one in rows])
    yield metrics.filled(
        metrics.BUDGET_FORECAST_RATIO,
        [
            ((*labels, limit), nano / one.amount_nano)
            for labels, one in rows
            if one.forecast is not None and one.amount_nano > 0
            for limit, nano in zip(LIMITS, one.forecast, strict=True)
        ],
    )


def seat_families(seats: Iterable[SeatState]) -> Iterator[GaugeMetricFamily]:
    """Seats and the cost of idle ones, by system. Where nobody tells who is active, that state is absent, not 0."""
    counted: defaultdict[tuple[str, str], int] = defaultdict(int)
    idle: defaultdict[str, int] = defaultdict(int)
    for one in seats:
        counted[one.system, "purchased"] += one.purchased
        counted[one.system, "assigned"] += one.assigned
        if one.active is not None:
            counted[one.system, "active"] += one.active
            idle[one.system] += one.idle_nano
    yield metrics.filled(metrics.SEATS, [(labels, float(count)) for labels, count in sorted(counted.items())])
    yield metrics.filled(metrics.IDLE_SEAT_COST, [((system,), euro(nano)) for system, nano in sorted(idle.items())])
