"""Forecasts as they were made, kept for good: of each Helsinki day the last. Asking for them makes none."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import TypeVar, get_args

from pydantic import BaseModel
from sqlalchemy import Connection, delete, func, select

from services.cost_alerts.adapters.tables import FORECAST, FORECAST_TEST, METADATA
from services.cost_alerts.domain.closing import month_number, month_of
from services.cost_alerts.domain.foresight.assemble import Outcome
from services.cost_alerts.domain.foresight.effect import PlannedEffect
from services.cost_alerts.domain.foresight.forecast import Forecast, Level
from services.cost_alerts.domain.foresight.issued import ForecastTest
from services.cost_alerts.domain.foresight.pools import PoolOutlook
from services.cost_alerts.ports.foresight import Last
from services.shared.periods import Month
from services.shared.store import Store, Transaction
from services.shared.store.tables import common_tables, instant, micros

LEVELS: tuple[str, ...] = get_args(Level)
POOL, PLANNED = "pool", "planned"
"""Levels of rows that are no `Forecast`: a `PoolOutlook`, a `PlannedEffect`."""

_INFO = common_tables(METADATA).store_info
_LAST = "forecasts made"
"""Of `store_info`: for which day, from which state, and when."""

_COLUMNS = ("made_on", "level", "name", "first_day", "last_day", "body")

M = TypeVar("M", bound=BaseModel)


class SqlForecasts:
    """What was forecast. Every question is answered from what is kept."""

    def last(self, connection: Connection) -> Last | None:
        """The last making, by whichever process; None: there was none."""
        text = connection.execute(select(_INFO.c.value).where(_INFO.c.name == _LAST)).scalar()
        if text is None:
            return None
        today, state, at = text.split(" ")
        return Last(date.fromisoformat(today), state, instant(int(at)))

    def keep(self, tx: Transaction, made: Outcome, last: Last) -> None:
        """Keep a day's forecasts in the place of those made earlier on that day, and when they were made."""
        tx.connection.execute(delete(_INFO).where(_INFO.c.name == _LAST))
        text = f"{last.today.isoformat()} {last.state} {micros(last.at)}"
        tx.bulk_insert(_INFO, ("name", "value"), [(_LAST, text)])
        tx.connection.execute(delete(FORECAST).where(FORECAST.c.made_on == made.made_on.toordinal()))
        tx.bulk_insert(FORECAST, _COLUMNS, sorted(_rows(made)))

    def made_on(self, connection: Connection) -> date | None:
        """The day of the newest forecasts; None: there are none."""
        number = connection.execute(select(func.max(FORECAST.c.made_on))).scalar()
        return None if number is None else date.fromordinal(number)

    def newest(self, connection: Connection) -> Sequence[Forecast]:
        """The newest forecasts, by level, name and first day, the shorter stretch first."""
        return _newest(connection, LEVELS, Forecast)

    def pools(self, connection: Connection) -> Sequence[PoolOutlook]:
        """Where pools lead, as of the newest forecasts; by key."""
        return _newest(connection, (POOL,), PoolOutlook)

    def planned(self, connection: Connection) -> Sequence[PlannedEffect]:
        """What planned changes add to the newest forecasts, by the day they hold from."""
        return sorted(_newest(connection, (PLANNED,), PlannedEffect), key=lambda one: (one.valid_from, one.change))

    def of_month(self, connection: Connection, month: Month) -> Sequence[Forecast]:
        """Every forecast of a whole month that was kept, by the day it was made on."""
        last = month.next.first_day.toordinal() - 1
        query = select(FORECAST.c.body).where(
            FORECAST.c.first_day == month.first_day.toordinal(), FORECAST.c.last_day == last
        )
        rows = connection.execute(query.where(FORECAST.c.level.in_(LEVELS)).order_by(FORECAST.c.made_on))
        return [Forecast.model_validate_json(row.body) for row in rows]

    def keep_tests(self, tx: Transaction, month: Month, tests: Sequence[ForecastTest]) -> None:
        """Keep the tests made when a month had ended, in the place of earlier ones."""
        number = month_number(month)
        tx.connection.execute(delete(FORECAST_TEST).where(FORECAST_TEST.c.month == number))
        rows = sorted((number, one.level, one.name, one.model_dump_json()) for one in tests)
        tx.bulk_insert(FORECAST_TEST, ("month", "level", "name", "body"), rows)

    def tested(self, connection: Connection) -> Month | None:
        """The last month that the tests kept go up to; None: there are none."""
        number = connection.execute(select(func.max(FORECAST_TEST.c.month))).scalar()
        return None if number is None else month_of(number)

    def tests(self, connection: Connection) -> Sequence[ForecastTest]:
        """The tests of the last month that was tested, by level and name; empty: none was yet."""
        newest = select(func.max(FORECAST_TEST.c.month)).scalar_subquery()
        query = select(FORECAST_TEST.c.body).where(FORECAST_TEST.c.month == newest)
        rows = connection.execute(query.order_by(FORECAST_TEST.c.level, FORECAST_TEST.c.name))
        return [ForecastTest.model_validate_json(row.body) for row in rows]


def version_of(state: str) -> int:
    """The register version that a state of `ForecastBook` begins with."""
    return int(state.partition("/")[0])


def pool_outlooks(store: Store, today: date) -> Sequence[PoolOutlook]:
    """Where prepaid pools lead, as forecast last, of cycles that `today` lies in; by key."""
    with store.reading() as connection:
        found = SqlForecasts().pools(connection)
    return [one for one in found if one.first_day <= today <= one.last_day]


def _rows(made: Outcome) -> Iterable[tuple[int, str, str, int, int, str]]:
    day = made.made_on.toordinal()
    for one in made.forecasts:
        yield day, one.level, one.name, one.first.toordinal(), one.last.toordinal(), one.model_dump_json()
    for pool in made.pools:
        days = (pool.first_day.toordinal(), pool.last_day.toordinal())
        yield day, POOL, pool.key, *days, pool.model_dump_json()
    for plan in made.planned:
        yield day, PLANNED, plan.change, day, plan.valid_from.toordinal(), plan.model_dump_json()


def _newest(connection: Connection, levels: Sequence[str], kind: type[M]) -> list[M]:
    newest = select(func.max(FORECAST.c.made_on)).scalar_subquery()
    key = (FORECAST.c.level, FORECAST.c.name, FORECAST.c.first_day.desc(), FORECAST.c.last_day)
    query = select(FORECAST.c.body).where(FORECAST.c.made_on == newest, FORECAST.c.level.in_(levels)).order_by(*key)
    return [kind.model_validate_json(row.body) for row in connection.execute(query)]
