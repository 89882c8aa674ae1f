"""The watch over budgets: decides crossings, once each, from what is committed, and tells those who must act."""

from collections.abc import Callable, Iterator
from datetime import date, datetime

from sqlalchemy import Connection

from services.cost_alerts.domain.alerts.letter import Briefing
from services.cost_alerts.domain.budgets.look import Decided, decide
from services.cost_alerts.domain.view import View
from services.cost_alerts.handlers import outgoing
from services.cost_alerts.ports.ledger import OpenWork
from services.cost_alerts.ports.outcomes import Crossings
from services.shared.clock import Clock
from services.shared.events.outcomes import Crossing
from services.shared.logs import logger
from services.shared.periods import helsinki_day
from services.shared.store import OutgoingMessage, Store, Transaction
from services.shared.store.tables import micros

NAME = "budget watch"
PAUSE_SECONDS = 1.0

Brief = Callable[[Connection, View, date, Crossing], Briefing]
"""What a message about a crossing tells besides it, on a Helsinki day."""


class BudgetWatch:
    """Looks at what every budget has used and at what is forecast for it, for a `Loop`.

    One process watches at a time, and it sees only what is committed: two consumers that add to one budget at the
    same moment would each see too little.

    `may_decide`: whether what the bus held when this ledger was first opened has been read; before that, decisions
    of an earlier life are still on their way.
    """

    def __init__(  # noqa: PLR0917  # what it reads, how it decides, what it tells
        self,
        store: Store,
        begin: OpenWork,
        book: Crossings,
        clock: Clock,
        may_decide: Callable[[Connection], bool],
        brief: Brief,
    ) -> None:
        self._store = store
        self._begin = begin
        self._book = book
        self._clock = clock
        self._may_decide = may_decide
        self._brief = brief
        self._decided: object = None
        self._log = logger("cost_alerts.budgets")

    def step(self) -> float:
        """Decide what there is to decide; how long to pause, in seconds."""
        with self._store.exclusive(NAME) as alone:
            if alone:
                self._look()
        return PAUSE_SECONDS

    def _look(self) -> None:
        now = self._clock.now()
        with self._store.reading() as connection:
            state = (helsinki_day(now), self._book.state(connection))
            if state == self._decided or not self._may_decide(connection):
                return
        with self._store.transaction() as tx:
            self._decide(tx, now)
        self._decided = state

    def _decide(self, tx: Transaction, now: datetime) -> None:
        book, today = self._begin(tx).book, helsinki_day(now)
        view = book.view(book.newest)
        found = decide(view, today, self._book.facts(tx.connection))
        self._book.recede(tx, [(one, micros(now)) for one in found.recedings])
        self._book.keep(tx, [(one.crossing, micros(now)) for one in found.told])
        tx.send([outgoing.receded(one, now) for one in found.recedings])
        tx.send(list(self._messages(tx, view, found, now)))
        self._tell(found)

    def _messages(self, tx: Transaction, view: View, found: Decided, now: datetime) -> Iterator[OutgoingMessage]:
        for one in found.told:
            spoken = one.crossing.spoken
            briefing = self._brief(tx.connection, view, helsinki_day(now), one.crossing) if spoken else _UNSPOKEN
            yield from outgoing.crossed(one, briefing, now)

    def _tell(self, found: Decided) -> None:
        for fell in found.recedings:
            self._log.info("thresholds receded", budget=fell.budget, epoch=fell.epoch)
        for one in found.told:
            told = one.crossing
            self._log.info(
                "threshold crossed",
                budget=told.budget,
                threshold=str(told.threshold),
                measure=told.measure,
                epoch=told.epoch,
                spoken=told.spoken,
            )


_UNSPOKEN = Briefing(unit=None, system=None)
"""What is not told to anybody needs no words."""
