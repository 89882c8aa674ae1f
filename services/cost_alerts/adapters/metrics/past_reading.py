"""What past days' metrics are made from, each read once for all days."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from services.cost_alerts.adapters.foresight.kept import LEVELS
from services.cost_alerts.adapters.pools import PoolMonth, pools
from services.cost_alerts.adapters.tables import (
    FORECAST,
    FORECAST_TEST,
    REGISTER_VERSION,
    RESTATED,
    ROLLUP,
    SEAT_COUNT,
    WORD,
)
from services.cost_alerts.domain.budgets.scope import Where
from services.cost_alerts.domain.foresight.forecast import Forecast
from services.cost_alerts.domain.foresight.issued import ForecastTest
from services.shared.periods import Month
from services.shared.store import Store
from services.shared.store.tables import instant


class Part(NamedTuple):
    """What was spent on a day in one place; 10⁻⁹ euro."""

    where: Where
    eur_nano: int
    readings: int
    unpriced: int


def parts_by_day(connection: Connection, before: date) -> Mapping[date, Sequence[Part]]:
    """All spending of the days before one."""
    names = ("unit", "system", "project")
    words = {name: WORD.alias(f"{name}_word") for name in names}
    texts = [words[name].c.text for name in names]
    sums = [func.sum(ROLLUP.c[name]) for name in ("eur_nano", "readings", "unpriced")]
    query = select(ROLLUP.c.day, *texts, *sums).where(ROLLUP.c.day < before.toordinal())
    for name, word in words.items():
        query = query.join(word, word.c.id == ROLLUP.c[name])
    found: dict[date, list[Part]] = defaultdict(list)
    for day, unit, system, project, *totals in connection.execute(query.group_by(ROLLUP.c.day, *texts)):
        found[date.fromordinal(day)].append(Part(Where(unit, system, project), *map(int, totals)))
    return found


class SeatRow(NamedTuple):
    """Seats of a SKU as a vendor counted them."""

    system: str
    sku: str
    purchased: int
    assigned: int
    active: int | None


def seats_by_day(connection: Connection) -> Mapping[date, Sequence[SeatRow]]:
    """Every count of seats by its day, of each the highest revision."""
    columns = SEAT_COUNT.c
    newest: dict[tuple[int, str, str], SeatRow] = {}
    for row in connection.execute(select(SEAT_COUNT).order_by(columns.revision)):
        newest[row.observed_on, row.system, row.sku] = SeatRow(
            row.system, row.sku, row.purchased, row.assigned, row.active
        )
    found: dict[date, list[SeatRow]] = defaultdict(list)
    for (day, _, _), seats in sorted(newest.items(), key=lambda one: one[0]):
        found[date.fromordinal(day)].append(seats)
    return found


def forecasts_by_day(connection: Connection, first: date) -> Mapping[date, Sequence[Forecast]]:
    """What was forecast on each day from `first` on, as it was kept."""
    query = select(FORECAST.c.made_on, FORECAST.c.body).where(
        FORECAST.c.level.in_(LEVELS), FORECAST.c.made_on >= first.toordinal()
    )
    found: dict[date, list[Forecast]] = defaultdict(list)
    for row in connection.execute(query.order_by(FORECAST.c.made_on, FORECAST.c.level, FORECAST.c.name)):
        found[date.fromordinal(row.made_on)].append(Forecast.model_validate_json(row.body))
    return found


def tests_by_month(connection: Connection) -> Mapping[Month, Sequence[ForecastTest]]:
    """The back-tests that were kept, by the last month they looked at."""
    query = select(FORECAST_TEST.c.body).order_by(FORECAST_TEST.c.month, FORECAST_TEST.c.level, FORECAST_TEST.c.name)
    found: dict[Month, list[ForecastTest]] = defaultdict(list)
    for row in connection.execute(query):
        test = ForecastTest.model_validate_json(row.body)
        found[Month.of(test.month)].append(test)
    return found


class Restated(NamedTuple):
    """What a register version changed of a day of a unit, and when it was published."""

    published_at: datetime
    unit: str
    day: date
    change_nano: int


def restatements(connection: Connection) -> Sequence[Restated]:
    """Every change by a register version, as an absolute amount."""
    change = func.abs(RESTATED.c.after_nano - RESTATED.c.before_nano)
    query = (
        select(REGISTER_VERSION.c.published_at, WORD.c.text, RESTATED.c.day, change)
        .join(REGISTER_VERSION, REGISTER_VERSION.c.version == RESTATED.c.version)
        .join(WORD, WORD.c.id == RESTATED.c.unit)
    )
    rows = connection.execute(query)
    return [Restated(instant(at), unit, date.fromordinal(day), int(nano)) for at, unit, day, nano in rows]


class PoolLeft(NamedTuple):
    """What was left of a pool as a day began, and what its cycle held."""

    system: str
    pool: str
    left: Decimal
    size: Decimal


def pools_by_day(store: Store, first: date, last: date) -> Mapping[date, Sequence[PoolLeft]]:
    """Where every pool stood as each day began, of cycles that the middle of a month lies in."""
    found: dict[date, dict[str, PoolLeft]] = defaultdict(dict)
    month = Month.of(first)
    while month.first_day <= last:
        for one in pools(store, month):
            for day, left in _left(one, last):
                if first <= day <= last:
                    found[day][one.key] = left
        month = month.next
    return {day: list(left.values()) for day, left in found.items()}


def _left(one: PoolMonth, last: date) -> Iterator[tuple[date, PoolLeft]]:
    at_end = {day.day: day.left for day in one.days}
    left = one.state.size
    for number in range(one.state.first_day.toordinal(), min(one.state.last_day, last).toordinal() + 1):
        day = date.fromordinal(number)
        yield day, PoolLeft(one.system, one.key.removeprefix("pool:"), left, one.state.size)
        left = at_end.get(day, left)


def days_of(first: date, until: date) -> Iterator[date]:
    """The days from `first` on, `until` exclusive."""
    for number in range((until - first).days):
        yield first + timedelta(days=number)
