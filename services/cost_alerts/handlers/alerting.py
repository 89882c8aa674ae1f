"""The watch over conditions: looks at the ledger, tells each condition once when it begins, and when it is over."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from sqlalchemy import Connection

from services.cost_alerts.domain.alerts.conditions import Changes, changes
from services.cost_alerts.domain.alerts.letter import Briefing, Letter
from services.cost_alerts.handlers import outgoing
from services.cost_alerts.ports.alerts import Alerts, Lookout
from services.shared.clock import Clock
from services.shared.events.outcomes import Condition
from services.shared.logs import logger
from services.shared.store import OutgoingMessage, Store
from services.shared.store.tables import micros

NAME = "alert watch"
PAUSE_SECONDS = 60.0
"""Conditions last for days; a look adds up some weeks of sums."""

WAIT_SECONDS = 1.0

Told = tuple[Condition, Briefing]


class AlertWatch:
    """Tells conditions, for a `Loop`; one process at a time, of what is committed only.

    What begins is recorded, told on the bus and put into the outbox for its recipients in one transaction; so is what
    is over, of which only critical ones are told to people, and only where something became better. A process that dies
    before the commit has told nothing, and the next look tells it.

    `may_decide`: whether the outcomes of an earlier life have been read; before that, nobody knows what was told.
    """

    def __init__(
        self, store: Store, lookout: Lookout, book: Alerts, clock: Clock, may_decide: Callable[[Connection], bool]
    ) -> None:
        self._store = store
        self._lookout = lookout
        self._book = book
        self._clock = clock
        self._may_decide = may_decide
        self._log = logger("cost_alerts.alerts")

    def step(self) -> float:
        """Tell what there is to tell; how long to pause, in seconds."""
        with self._store.reading() as connection:
            if not self._may_decide(connection):
                return WAIT_SECONDS
        with self._store.exclusive(NAME) as alone:
            if alone:
                self._look()
        return PAUSE_SECONDS

    def _look(self) -> None:
        now = self._clock.now()
        situation, told = self._lookout.see(now)
        found = changes(situation, told)
        if found.raised or found.resolved:
            raised = [(one, self._lookout.brief(situation, one)) for one in found.raised]
            calmed = [(one, self._lookout.brief(situation, one)) for one in found.resolved if _is_told(one, found)]
            self._tell(found, raised, calmed, now)

    def _tell(self, found: Changes, raised: Sequence[Told], calmed: Sequence[Told], now: datetime) -> None:
        with self._store.transaction() as tx:
            self._book.raised(tx, [(one, micros(now)) for one in found.raised])
            self._book.resolved(tx, [(one.alert_id, micros(now)) for one in found.resolved])
            tx.send(list(_messages(found, raised, calmed, now)))
        for one in found.raised:
            self._log.info("alert raised", alert_id=one.alert_id, kind=one.kind, severity=one.severity)
        for one in found.resolved:
            self._log.info("alert over", alert_id=one.alert_id, kind=one.kind)


def _is_told(condition: Condition, found: Changes) -> bool:
    """Whether people are told that it is over: who was called to act may rest."""
    return condition.severity == "critical" and condition.alert_id not in found.replaced | found.lapsed


def _messages(
    found: Changes, raised: Sequence[Told], calmed: Sequence[Told], now: datetime
) -> Iterator[OutgoingMessage]:
    for condition in found.resolved:
        yield outgoing.alert_resolved(condition.alert_id, now)
    for condition, briefing in calmed:
        yield from outgoing.letters(_letter(condition, briefing, now, resolved=True), condition.recipients)
    for condition, briefing in raised:
        yield outgoing.alert_raised(condition, now)
        yield from outgoing.letters(_letter(condition, briefing, now), condition.recipients)


def _letter(condition: Condition, briefing: Briefing, now: datetime, *, resolved: bool = False) -> Letter:
    return Letter(
        alert_id=condition.alert_id, decided_at=now, condition=condition, resolved=resolved, briefing=briefing
    )
