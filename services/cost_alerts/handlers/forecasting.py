"""The forecaster: makes the forecasts of each day, again when the sums have changed, and tests them every month."""

from collections.abc import Callable
from datetime import date, timedelta
from time import monotonic

from sqlalchemy import Connection

from services.cost_alerts.domain.foresight.ahead import Cumulate, by_model
from services.cost_alerts.domain.foresight.assemble import Outcome, forecasts
from services.cost_alerts.domain.foresight.judging import judged
from services.cost_alerts.ports.foresight import ForecastBook, Last
from services.shared.clock import Clock
from services.shared.logs import logger
from services.shared.periods import Month, helsinki_day
from services.shared.store import Store

NAME = "forecaster"
PAUSE_SECONDS = 5.0
"""Between two looks whether there is anything to do."""


class Forecaster:
    """Makes forecasts, for a `Loop`; one process at a time.

    Those of a day are made as soon as one looks, and again when the sums or the register have changed, but not within
    `interval_seconds`. Whoever asks for forecasts gets those that are kept: asking makes none.

    `may_begin`: whether what the bus held when this ledger was first opened has been read; before that, the sums are
    those of a part of the past.
    """

    def __init__(
        self,
        store: Store,
        book: ForecastBook,
        clock: Clock,
        may_begin: Callable[[Connection], bool],
        *,
        interval_seconds: float,
        cumulate: Cumulate = by_model,
    ) -> None:
        self._store, self._book, self._clock = store, book, clock
        self._may_begin = may_begin
        self._interval = timedelta(seconds=interval_seconds)
        self._cumulate = cumulate
        self._log = logger("cost_alerts.forecasts")

    def step(self) -> float:
        """Make what is due; how long to pause, in seconds."""
        today = helsinki_day(self._clock.now())
        with self._store.exclusive(NAME) as alone:
            if alone and self._is_due(today):
                began = monotonic()
                made = self.make(today)
                self._log.info("forecast", forecasts=len(made.forecasts), seconds=round(monotonic() - began, 3))
        return PAUSE_SECONDS

    def _is_due(self, today: date) -> bool:
        """Whether there are none of the day yet, or they are old enough and something has changed."""
        with self._store.reading() as connection:
            if not self._may_begin(connection):
                return False
            last = self._book.last(connection)
            if last is None or last.today != today:
                return True
            age = self._clock.now() - last.at
            return age >= self._interval and self._book.state(connection) != last.state

    def make(self, today: date) -> Outcome:
        """Make the forecasts of a day and keep them, and the tests of the month before where there are none."""
        with self._store.reading() as connection:
            last = Last(today, self._book.state(connection), self._clock.now())
            inputs = self._book.inputs(connection, today)
            past = Month.of(today).previous
            is_due = self._book.tested(connection) != past
            issued = self._book.of_month(connection, past) if is_due else ()
        made = forecasts(inputs, self._cumulate)
        found = judged(inputs, past, issued) if is_due else ()
        with self._store.transaction() as tx:
            self._book.keep(tx, made, last)
            if is_due:
                self._book.keep_tests(tx, past, found)
        return made
