"""The teller of days: what costs by time alone goes on each Helsinki day, and time itself is an event.

So a rebuild charges the same days at the same moments; it never asks a clock.
"""

from collections.abc import Callable
from datetime import date

from sqlalchemy import Connection

from services.cost_alerts.handlers import outgoing
from services.cost_alerts.ports.periods import Days
from services.shared.clock import Clock
from services.shared.periods import helsinki_day
from services.shared.store import Store

NAME = "days"
PAUSE_SECONDS = 5.0


class DayTeller:
    """Tells each Helsinki day once, when it has begun, for a `Loop`; one process at a time.

    Days on which no process ran are not told: the next one that is says as much. `may_tell`: whether the outcomes of an
    earlier life have been read; before that, nobody knows which days were told.
    """

    def __init__(self, store: Store, book: Days, clock: Clock, may_tell: Callable[[Connection], bool]) -> None:
        self._store = store
        self._book = book
        self._clock = clock
        self._may_tell = may_tell

    def step(self) -> float:
        """Tell the present day, if nobody has; how long to pause, in seconds."""
        today = helsinki_day(self._clock.now())
        with self._store.exclusive(NAME) as alone:
            if alone and self._is_news(today):
                with self._store.transaction() as tx:
                    self._book.tell(tx, today)
                    tx.send([outgoing.day_begun(today)])
        return PAUSE_SECONDS

    def _is_news(self, today: date) -> bool:
        with self._store.reading() as connection:
            last = self._book.last(connection)
            return (last is None or last < today) and self._may_tell(connection)
