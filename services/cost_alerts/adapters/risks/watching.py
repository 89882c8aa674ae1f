"""The risks of today: read from the ledger by a worker, so that no scrape waits for them, and shown with their age."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction
from time import perf_counter

from sqlalchemy import Connection, func, select

from services.cost_alerts.adapters.foresight import SqlForecasts, pool_outlooks
from services.cost_alerts.adapters.price_exposure import price_exposures
from services.cost_alerts.adapters.queries import LedgerQueries
from services.cost_alerts.adapters.risks.reading import region_days, stocks, trail, weights_on
from services.cost_alerts.adapters.tables import FORECAST, METADATA, PERIOD_DIRTY, REGISTER_STATE
from services.cost_alerts.domain.foresight.issued import ForecastTest
from services.cost_alerts.domain.foresight.pools import PoolOutlook
from services.cost_alerts.domain.risks.assess import DryPool, Facts, Health, PriceRise, Trust, assess
from services.cost_alerts.domain.risks.deadlines import deadlines, end_of
from services.cost_alerts.domain.risks.risk import Risk
from services.cost_alerts.domain.risks.seats import idle_seats
from services.cost_alerts.domain.risks.spending import PACE_DAYS, YEAR_DAYS, Trail
from services.cost_alerts.domain.risks.structure import RegionWeights, Structure, structure
from services.cost_alerts.domain.view import View
from services.cost_alerts.domain.whatif.exposure import Exposure
from services.shared.clock import Clock
from services.shared.periods import Month, helsinki_day
from services.shared.store import Store
from services.shared.store.tables import common_tables

LEAST_SECONDS, MOST_SECONDS = 2.0, 300.0
"""Between two readings of the figures: at least, and at most."""

_SHARE_OF_TIME = 0.03
"""Of one core, for reading them again and again while the ledger changes."""


@dataclass(frozen=True, slots=True)
class RiskFigures:
    """The risks of a day and what they were made from; `made_at`: when."""

    made_at: datetime
    facts: Facts
    risks: Sequence[Risk]
    pools: Sequence[PoolOutlook]


def read_risks(store: Store, now: datetime) -> RiskFigures:
    """The risks as the ledger knows them now. It reads a year of sums: some hundred milliseconds and more."""
    today = helsinki_day(now)
    queries = LedgerQueries(store)
    view, month = queries.view(), Month.of(today)
    pools, exposures = pool_outlooks(store, today), price_exposures(store, today)
    seats = queries.seats(month)
    with store.reading() as connection:
        spent, regions = trail(connection, today), region_days(connection, today)
        tests, stocked = SqlForecasts().tests(connection), stocks(connection, seats)
    facts = Facts(
        now=now,
        structure=structure_of(view, spent, today, weights_on(regions, today)),
        stocks=stocked,
        idle=idle_seats(stocked, view, today, lambda system: end_of(view, system, now)),
        deadlines=deadlines(view, now),
        rises=rises(exposures),
        pools=[_dry(one) for one in pools],
        health=_health(queries, month),
        trust=trust(tests),
    )
    return RiskFigures(now, facts, assess(facts), pools)


def structure_of(view: View, spent: Trail, today: date, regions: RegionWeights) -> Structure:
    """The risks in what was bought from whom, as of one day."""
    year, pace = spent.window(YEAR_DAYS)(today), spent.window(PACE_DAYS)(today)
    return structure(view, year, pace, spent.days_before(today, PACE_DAYS), regions)


def rises(exposures: Iterable[Exposure]) -> Mapping[str, PriceRise]:
    """Vendor → what dearer prices of all its systems would cost."""
    announced: defaultdict[str, int] = defaultdict(int)
    tenth: defaultdict[str, int] = defaultdict(int)
    for one in exposures:
        announced[one.vendor] += one.announced_nano
        tenth[one.vendor] += one.ten_percent_nano
    return {vendor: PriceRise(announced[vendor], tenth[vendor]) for vendor in sorted(announced)}


def trust(tests: Iterable[ForecastTest]) -> Trust:
    """The back-test of the whole city, over all days of the month that were forecast on."""
    city = (tested for one in tests if one.level == "city" for tested in one.tested if tested.day_of_month is None)
    found = next(city, None)
    if found is None:
        return Trust(None, None)
    error, coverage = (None if one is None else Fraction(one) for one in (found.error, found.coverage))
    return Trust(error, coverage)


def _dry(pool: PoolOutlook) -> DryPool:
    """Days of the cycle without anything left, as expected."""
    if pool.reason is not None and pool.left:
        return DryPool(pool.key, None, pool.overage_mid_nano)
    return DryPool(pool.key, 0 if pool.dry_mid is None else (pool.last_day - pool.dry_mid).days, pool.overage_mid_nano)


def _health(queries: LedgerQueries, month: Month) -> Health:
    found = queries.unpriced()
    return Health(
        month_nano=sum(one.eur_nano for one in queries.month_costs(month)),
        unallocated_nano=sum(queries.unallocated(month).values()),
        restated_nano=sum(queries.restated(month).values()),
        readings=sum(one.readings for one in found),
        unpriced=sum(one.unpriced for one in found),
    )


class RiskWatch:
    """Reads the risks again when the ledger has changed or a day has begun, taking a small part of one core."""

    def __init__(self, store: Store, clock: Clock, seconds: Callable[[], float] = perf_counter) -> None:
        self._store, self._clock, self._seconds = store, clock, seconds
        self._seen: tuple[object, ...] | None = None
        self._figures: RiskFigures | None = None

    @property
    def newest(self) -> RiskFigures | None:
        """What was read last; None: nothing was yet."""
        return self._figures

    def step(self) -> float:
        """Read them if there is news; how long to pause, in seconds."""
        now = self._clock.now()
        with self._store.reading() as connection:
            seen = (helsinki_day(now), *_state(connection))
        if seen == self._seen and not self._is_old(now):
            return LEAST_SECONDS
        began = self._seconds()
        self._figures = read_risks(self._store, now)
        self._seen = seen
        took = self._seconds() - began
        return min(MOST_SECONDS, max(LEAST_SECONDS, took / _SHARE_OF_TIME))

    def _is_old(self, now: datetime) -> bool:
        """Whether what no event tells of, such as a forecast made anew, may have changed since."""
        return self._figures is None or (now - self._figures.made_at).total_seconds() > MOST_SECONDS


def _state(connection: Connection) -> tuple[object, ...]:
    """What changes when something was read, charged by the period, forecast for a day, or published."""
    position = common_tables(METADATA).consumer_position
    newest = select(func.max(FORECAST.c.made_on)).scalar_subquery()
    asked = (
        select(func.sum(position.c.next_offset)),
        select(func.sum(func.length(FORECAST.c.body))).where(FORECAST.c.made_on == newest),
        select(func.count()).select_from(PERIOD_DIRTY),
        select(func.max(FORECAST.c.made_on)),
        select(REGISTER_STATE.c.version),
    )
    return tuple(connection.execute(one).scalar() for one in asked)
