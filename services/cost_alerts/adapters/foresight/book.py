"""What forecasts are made from, in SQL, in one consistent view."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta

import numpy as np
from sqlalchemy import Connection, func, select

from services.cost_alerts.adapters.foresight.fixed import standing_at
from services.cost_alerts.adapters.foresight.kept import SqlForecasts
from services.cost_alerts.adapters.foresight.pools import Days, pooled
from services.cost_alerts.adapters.foresight.sums import by_sku, spent
from services.cost_alerts.adapters.register import load_book
from services.cost_alerts.adapters.tables import REGISTER_STATE, ROLLUP, SEAT_COUNT
from services.cost_alerts.adapters.whatif.price_index import price_index
from services.cost_alerts.domain.agreements.reckoning import noon
from services.cost_alerts.domain.foresight.arrays import FloatArray
from services.cost_alerts.domain.foresight.fixed import Standing
from services.cost_alerts.domain.foresight.inputs import Inputs
from services.cost_alerts.domain.foresight.planned import counting
from services.cost_alerts.domain.tariff import ANY_SKU
from services.cost_alerts.domain.view import Book

HISTORY_DAYS = 760
"""How far back forecasts look: two Christmases and two Julys."""

_DAY = timedelta(days=1)


class SqlForesight(SqlForecasts):
    """See `ForecastBook`. The register and the price levels of a day are remembered until the register changes."""

    def __init__(self, history_days: int = HISTORY_DAYS) -> None:
        self._history_days = history_days
        self._book: Book | None = None
        self._prices: dict[tuple[int, date, date], Mapping[str, FloatArray]] = {}

    def state(self, connection: Connection) -> str:
        version = connection.execute(select(REGISTER_STATE.c.version)).scalar_one()
        sums = connection.execute(select(func.sum(ROLLUP.c.eur_nano), func.sum(ROLLUP.c.charges))).one()
        seats = connection.execute(select(func.count(), func.max(SEAT_COUNT.c.recorded_at))).one()
        return "/".join(str(one) for one in (version, *sums, *seats))

    def inputs(self, connection: Connection, today: date) -> Inputs:
        book = self._register(connection)
        view, until = book.view(book.newest), date(today.year, 12, 31)
        first = self._first_day(connection, today)
        standing = standing_at(connection, view, today, until)
        found = pooled(connection, standing.view, Days(first, today, until))
        named = any(one.sku != ANY_SKU for one in counting(view, today, until))
        return Inputs(
            today=today,
            spent=spent(connection, first, today),
            standing=standing,
            pools=found.pools,
            beyond=found.beyond,
            prices=self._levels(connection, book, standing, (first, today)),
            by_sku=by_sku(connection, today) if named else {},
        )

    def _register(self, connection: Connection) -> Book:
        version = connection.execute(select(REGISTER_STATE.c.version)).scalar_one()
        if self._book is None or self._book.newest != version:
            self._book, self._prices = load_book(connection), {}
        return self._book

    def _first_day(self, connection: Connection, today: date) -> date:
        """The first day that anything was charged, no earlier than what is looked back at."""
        earliest = connection.execute(select(func.min(ROLLUP.c.day))).scalar()
        begun = today if earliest is None else date.fromordinal(earliest)
        return max(min(begun, today), today - self._history_days * _DAY)

    def _levels(
        self, connection: Connection, book: Book, standing: Standing, days: tuple[date, date]
    ) -> Mapping[str, FloatArray]:
        """System → price level of the days from the first looked back at to the end of the year, where it moves."""
        key = (book.newest, *days)
        if key not in self._prices:
            self._prices = {key: dict(self._moving(connection, book, standing, days))}
        return self._prices[key]

    def _moving(
        self, connection: Connection, book: Book, standing: Standing, days: tuple[date, date]
    ) -> Iterator[tuple[str, FloatArray]]:
        first, today = days
        asked = [first + number * _DAY for number in range((date(today.year, 12, 31) - first).days + 1)]
        for system in sorted(book.systems()):
            if _may_move(standing, system, asked):
                levels = price_index(connection, book, system, asked, today=today, view=standing.renewed).levels
                found = np.array([float(levels[day]) for day in asked])
                past = found[: (today - first).days]
                past[past <= 0.0] = 1.0  # what cost nothing tells nothing of what it would cost today
                if (found != 1.0).any():
                    yield system, found


def _may_move(standing: Standing, system: str, days: Sequence[date]) -> bool:
    """Whether a price of the system may change between two of these days (rising)."""
    view = standing.renewed
    edges = sorted({*view.tariffs.edges(system), *view.contracts.edges(system)})
    return bisect_right(edges, noon(days[0])) != bisect_right(edges, noon(days[-1]))
