"""Forecasts as gauges: those that are kept, so that no scrape makes one."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from services.cost_alerts.adapters.foresight import SqlForecasts
from services.cost_alerts.adapters.metrics.numbers import LIMITS, euro
from services.cost_alerts.domain.foresight.forecast import Forecast
from services.cost_alerts.domain.foresight.issued import ForecastTest
from services.shared import metrics
from services.shared.clock import Clock
from services.shared.periods import Month, day_start, helsinki_day
from services.shared.store import Store

_DAY = timedelta(days=1)

SHOWN = (
    metrics.FORECAST_MONTH_END,
    metrics.FORECAST_YEAR_END,
    metrics.FORECAST_MADE,
    metrics.FORECAST_ERROR,
    metrics.FORECAST_COVERAGE,
)

ALL_DAYS = "all"
"""The label of a test over all days of the month that were forecast on."""


class ForecastMetrics(Collector):
    """What a scrape shows of the newest forecasts and of their last test."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock

    def describe(self) -> Iterator[GaugeMetricFamily]:
        return map(metrics.family, SHOWN)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        kept = SqlForecasts()
        with self._store.reading() as connection:
            forecasts, tests = kept.newest(connection), kept.tests(connection)
        yield from forecast_families(forecasts, helsinki_day(self._clock.now()))
        yield from trust_families(tests)


def forecast_families(forecasts: Sequence[Forecast], today: date) -> Iterator[GaugeMetricFamily]:
    """The newest forecasts of the present month and year, of units and of the whole city; and their day.

    A stretch for which there is not enough data has no series.
    """
    for metric, is_asked in (
        (metrics.FORECAST_MONTH_END, is_this_month),
        (metrics.FORECAST_YEAR_END, is_this_year),
    ):
        yield metrics.filled(metric, forecast_samples(one for one in forecasts if is_asked(one, today)))
    made = {day_start(one.made_on).timestamp() for one in forecasts}
    yield metrics.filled(metrics.FORECAST_MADE, [((), max(made))] if made else [])


def is_this_month(one: Forecast, today: date) -> bool:
    month = Month.of(today)
    return (one.first, one.last) == (month.first_day, month.next.first_day - _DAY)


def is_this_year(one: Forecast, today: date) -> bool:
    return (one.first, one.last) == (date(today.year, 1, 1), date(today.year, 12, 31))


def forecast_samples(forecasts: Iterable[Forecast]) -> list[tuple[tuple[str, ...], float]]:
    """Low, mid and high of units, and of the city without a unit."""
    return [
        ((one.name, limit), euro(nano))
        for one in forecasts
        if one.level in {"city", "unit"} and one.total is not None
        for limit, nano in zip(LIMITS, one.total, strict=True)
    ]


def trust_families(tests: Sequence[ForecastTest]) -> Iterator[GaugeMetricFamily]:
    """The last back-test of units and of the whole city, by the day of the month that was forecast on."""
    found = [
        ((one.name, ALL_DAYS if tested.day_of_month is None else str(tested.day_of_month)), tested)
        for one in tests
        if one.level in {"city", "unit"}
        for tested in one.tested
    ]
    yield metrics.filled(
        metrics.FORECAST_ERROR, [(labels, tested.error) for labels, tested in found if tested.error is not None]
    )
    yield metrics.filled(
        metrics.FORECAST_COVERAGE,
        [(labels, tested.coverage) for labels, tested in found if tested.coverage is not None],
    )
