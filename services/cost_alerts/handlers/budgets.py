"""The watch over budgets: decides crossings, once each, from what is committed, and tells those who must act."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection

from services.cost_alerts.domain.budgets.crossing import crossings
from services.cost_alerts.domain.view import View
from services.cost_alerts.handlers import outgoing
from services.cost_alerts.ports.ledger import OpenWork
from services.cost_alerts.ports.outcomes import Crossings
from services.shared.clock import Clock
from services.shared.events.outcomes import Crossing
from services.shared.events.register import Unit
from services.shared.logs import logger
from services.shared.periods import helsinki_day
from services.shared.store import Store, Transaction
from services.shared.store.tables import micros

NAME = "budget watch"
PAUSE_SECONDS = 1.0


class BudgetWatch:
    """Looks at what every budget has used, for a `Loop`.

    One process watches at a time, and it sees only what is committed: two consumers that add to one budget at the
    same moment would each see too little.

    `may_decide`: whether what the bus held when this ledger was first opened has been read; before that, decisions
    of an earlier life are still on their way.
    """

    def __init__(
        self, store: Store, begin: OpenWork, book: Crossings, clock: Clock, may_decide: Callable[[Connection], bool]
    ) -> None:
        self._store = store
        self._begin = begin
        self._book = book
        self._clock = clock
        self._may_decide = may_decide
        self._decided: object = None
        self._log = logger("cost_alerts.budgets")

    def step(self) -> float:
        """Decide what there is to decide; how long to pause, in seconds."""
        with self._store.exclusive(NAME) as alone:
            if alone:
                self._look()
        return PAUSE_SECONDS

    def _look(self) -> None:
        with self._store.reading() as connection:
            state = self._book.state(connection)
            if state == self._decided or not self._may_decide(connection):
                return
        with self._store.transaction() as tx:
            self._decide(tx)
        self._decided = state

    def _decide(self, tx: Transaction) -> None:
        book = self._begin(tx).book
        view = book.view(book.newest)
        used, known, now = self._book.used(tx), self._book.known(tx), self._clock.now()
        found = [one for budget in view.budgets for one in crossings(budget, used.get(budget.id, 0), known)]
        self._book.keep(tx, [(crossing, micros(now)) for crossing in found])
        tx.send([message for one in found for message in outgoing.crossed(one, _unit(view, one, now), now)])
        for crossing in found:
            self._log.info(
                "threshold crossed", budget=crossing.budget, threshold=str(crossing.threshold), spoken=crossing.spoken
            )


def _unit(view: View, crossing: Crossing, now: datetime) -> Unit | None:
    return view.units.on(crossing.unit, helsinki_day(now))
