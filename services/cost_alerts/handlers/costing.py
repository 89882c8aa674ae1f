"""The teller of cost bands: what a use of AI costs a year, told whenever it has moved to another band."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection

from services.cost_alerts.domain.costing import to_tell
from services.cost_alerts.handlers import outgoing
from services.cost_alerts.ports.outcomes import UseCosts
from services.shared.clock import Clock
from services.shared.events.outcomes import CostBand
from services.shared.periods import helsinki_day
from services.shared.store import Store
from services.shared.store.tables import micros

NAME = "use case costs"
PAUSE_SECONDS = 5.0


class CostTeller:
    """Tells bands that have changed, for a `Loop`; one process at a time, each band of a use case at most once a day.

    A band is told when two looks in a row, `interval_seconds` apart, agree on it: while readings still come in, half of
    the cost would be told first.

    Args:
        may_tell: whether the outcomes of an earlier life have been read; before that, nobody knows what was told.
        is_idle: whether the ledger has priced all it has.
    """

    def __init__(
        self,
        store: Store,
        book: UseCosts,
        clock: Clock,
        may_tell: Callable[[Connection], bool],
        *,
        is_idle: Callable[[], bool],
        interval_seconds: float,
    ) -> None:
        self._store, self._book, self._clock = store, book, clock
        self._may_tell, self._is_idle = may_tell, is_idle
        self._interval = timedelta(seconds=interval_seconds)
        self._looked_at: datetime | None = None
        self._before: Mapping[str, CostBand] = {}

    def step(self) -> float:
        """Look, if it is time, and tell what has changed; how long to pause, in seconds."""
        now = self._clock.now()
        with self._store.exclusive(NAME) as alone:
            if alone and self._is_due(now):
                self._look(now)
        return PAUSE_SECONDS

    def _is_due(self, now: datetime) -> bool:
        return (self._looked_at is None or now - self._looked_at >= self._interval) and self._is_idle()

    def _look(self, now: datetime) -> None:
        today = helsinki_day(now)
        with self._store.reading() as connection:
            if not self._may_tell(connection):
                return
            bands, told = self._book.bands(connection, today), self._book.told(connection)
        found = to_tell(bands, self._before, told, today)
        self._looked_at, self._before = now, bands
        if found:
            with self._store.transaction() as tx:
                new = self._book.keep(tx, [(cost, micros(now)) for cost in found])
                tx.send([outgoing.costed(cost, now) for cost in found if outgoing.costed_id(cost) in new])
