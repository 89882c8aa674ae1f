"""The outcomes: what was told before is taken over, so that nothing is told twice; findings are counted by unit."""

from collections.abc import Sequence

from services.cost_alerts.ports.alerts import Alerts
from services.cost_alerts.ports.ledger import ConflictRow
from services.cost_alerts.ports.outcomes import Conflicts, Crossings, Findings, PostingBook, UseCosts
from services.cost_alerts.ports.periods import Days
from services.cost_alerts.ports.register import Restatements
from services.shared.consumer import Delivered
from services.shared.events import OUTCOMES
from services.shared.events.envelope import Event
from services.shared.events.outcomes import (
    AlertAcknowledged,
    AlertRaised,
    AlertResolved,
    DayBegun,
    FindingClosed,
    FindingOpened,
    LedgerRestated,
    PostingsMade,
    ReadingConflictFound,
    ThresholdCrossed,
    ThresholdReceded,
    UseCaseCosted,
)
from services.shared.store import Transaction
from services.shared.store.tables import micros

GROUP = "cost-alerts-outcomes"


class OutcomesHandler:
    """Keeps decisions of this and of earlier lives of the ledger, and findings; see `Handler`."""

    group = GROUP
    topics = (OUTCOMES.name,)

    def __init__(  # noqa: PLR0917  # one book per kind of outcome
        self,
        crossings: Crossings,
        restatements: Restatements,
        conflicts: Conflicts,
        findings: Findings,
        postings: PostingBook,
        days: Days,
        alerts: Alerts,
        costs: UseCosts,
    ) -> None:
        self._crossings = crossings
        self._conflicts = conflicts
        self._restatements = restatements
        self._findings = findings
        self._postings = postings
        self._days = days
        self._alerts = alerts
        self._costs = costs

    def handle(self, batch: Sequence[Delivered], tx: Transaction) -> None:
        events = [event for _, event in batch]
        begun = [(event.data.day, micros(record.ingest_time)) for record, event in batch if isinstance(event, DayBegun)]
        self._days.begun(tx, begun)
        crossed = [(event.data, micros(event.time)) for event in events if isinstance(event, ThresholdCrossed)]
        self._crossings.keep(tx, crossed)
        receded = [(event.data, micros(event.time)) for event in events if isinstance(event, ThresholdReceded)]
        self._crossings.recede(tx, receded)
        self._take_over_alerts(tx, events)
        for event in events:
            if isinstance(event, LedgerRestated):
                self._restatements.note_announced(tx, event.data.register_version)
        self._conflicts.told(tx, [_conflict(event) for event in events if isinstance(event, ReadingConflictFound)])
        self._findings.opened(tx, [event.data for event in events if isinstance(event, FindingOpened)])
        made = [(event.data, micros(event.time)) for event in events if isinstance(event, PostingsMade)]
        self._postings.keep(tx, made)
        costed = [(event.data, micros(event.time)) for event in events if isinstance(event, UseCaseCosted)]
        self._costs.keep(tx, costed)
        self._findings.closed(tx, [event.data for event in events if isinstance(event, FindingClosed)])

    def _take_over_alerts(self, tx: Transaction, events: Sequence[Event]) -> None:
        raised = [(event.data, micros(event.time)) for event in events if isinstance(event, AlertRaised)]
        self._alerts.raised(tx, raised)
        over = [(event.data.alert_id, micros(event.time)) for event in events if isinstance(event, AlertResolved)]
        self._alerts.resolved(tx, over)
        seen = [(event.data, micros(event.time)) for event in events if isinstance(event, AlertAcknowledged)]
        self._alerts.acknowledged(tx, seen)


def _conflict(event: ReadingConflictFound) -> ConflictRow:
    told = event.data
    return ConflictRow(told.reading_source, told.reading_id, told.revision, micros(event.time))
