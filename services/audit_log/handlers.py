"""What the log does with events: append them, fold them into cases, decide about findings, once.

A case is folded by the index of its entries and judged at a moment, so the projections can be thrown away and made
again. A decision leaves through the outbox as an outcome and counts only when the log holds that outcome.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from sqlalchemy import Connection

from services.audit_log.domain.review import Case, assign, decide, fold, judge
from services.audit_log.ports import Arrival, CaseFiles, EntryLog, EntryReader, Judged
from services.shared.clock import Clock
from services.shared.consumer import Delivered
from services.shared.events import GOVERNANCE, OUTCOMES, REGISTER, USAGE, Event, decode, encode, key_of
from services.shared.events.governance import OutputFact
from services.shared.events.outcomes import FindingClosed, FindingOpened
from services.shared.events.register import RegisterChange, RegisterPublished
from services.shared.store import OutgoingMessage, Transaction
from services.shared.tlog.entry import Position

GROUP = "audit-log"
TOPICS = (USAGE.name, GOVERNANCE.name, REGISTER.name, OUTCOMES.name)
FOLDED_TOPICS = (GOVERNANCE.name, REGISTER.name, OUTCOMES.name)
_CASES_AT_ONCE = 1_000
_ENTRIES_AT_ONCE = 2_000


class AppendHandler:
    """The consumer group of the log.

    Args:
        log: where entries go.
        cases: the projections.
        clock: tells when something is decided.
        cluster: the bus's id.
        may_decide: whether everything that was on the bus at the first start has been read; before that, outcomes that
            are already on the bus would be decided again.
    """

    group = GROUP
    topics = TOPICS

    def __init__(
        self, log: EntryLog, cases: CaseFiles, clock: Clock, cluster: str, may_decide: Callable[[Connection], bool]
    ) -> None:
        self._log, self._cases, self._clock, self._cluster = log, cases, clock, cluster
        self._may_decide = may_decide

    def handle(self, batch: Sequence[Delivered], tx: Transaction) -> None:
        """Append what is new and fold it."""
        appended = self._log.append(tx, [self._arrival(delivered) for delivered in batch])
        news = [
            (found.seq, delivered.event)
            for found, delivered in zip(appended, batch, strict=True)
            if found and found.conflicts_with is None and delivered.record.topic in FOLDED_TOPICS
        ]
        if news:
            fold_entries(news, self._cases, tx)
            if self._may_decide(tx.connection):
                look(self._cases, tx, self._clock.now())

    def _arrival(self, delivered: Delivered) -> Arrival:
        record, event = delivered
        position = Position(self._cluster, record.topic, record.partition, record.offset, record.ingest_time)
        return Arrival(position, (event.source, event.id), record.value)


def fold_entries(news: Iterable[tuple[int, Event]], cases: CaseFiles, tx: Transaction) -> None:
    """Fold events, in the order of their indexes, into the projections; touched cases wait to be judged."""
    segment: list[tuple[int, Event]] = []
    for index, event in news:
        if isinstance(event, RegisterPublished):
            _fold_outputs(segment, cases, tx)
            segment = []
            _apply_register(event.data.version, cases, tx)
        elif isinstance(event, RegisterChange):
            cases.stage(tx, event)
        elif not cases.note(tx, index, event):
            segment.append((index, event))
    _fold_outputs(segment, cases, tx)


def look(cases: CaseFiles, tx: Transaction, now: datetime, limit: int = _CASES_AT_ONCE) -> int:
    """Judge the cases that wait for it, decide about their findings; how many there were."""
    found = cases.waiting(tx, now, limit)
    decisions = [event for case in found for event in decide(case, now)]
    first = cases.decided_first(tx, [event.id for event in decisions], now)
    tx.send([message_of(event) for event in decisions if event.id in first])
    cases.save(tx, [Judged(case, judge(case, now)) for case in found])
    return len(found)


def rebuild(
    log: EntryReader,
    cases: CaseFiles,
    tx: Transaction,
    now: datetime,
    progress: Callable[[int], None] = lambda _index: None,
) -> None:
    """Make every projection again from the entries, and judge it at `now`. Decides nothing that was decided.

    `progress` is told the index up to which entries were folded, exclusive.
    """
    refold(log, cases, tx, progress)
    while look(cases, tx, now):
        pass


def refold(
    log: EntryReader, cases: CaseFiles, tx: Transaction, progress: Callable[[int], None] = lambda _index: None
) -> None:
    """Make every projection again from the entries; all of it waits to be judged."""
    cases.clear(tx)
    first = 0
    while entries := log.events(tx, FOLDED_TOPICS, first, _ENTRIES_AT_ONCE):
        fold_entries([(index, decode(value)) for index, value in entries], cases, tx)
        first = entries[-1][0] + 1
        progress(first)


def _fold_outputs(news: Sequence[tuple[int, Event]], cases: CaseFiles, tx: Transaction) -> None:
    concerned = [(index, event, output_id) for index, event in news if (output_id := _output_of(event))]
    if not concerned:
        return
    rules = cases.rulebook(tx)
    known = cases.load(tx, list({output_id: None for _, _, output_id in concerned}))
    for index, event, output_id in concerned:
        known[output_id] = fold(known.get(output_id) or Case(output_id=output_id), event, rules)
        if isinstance(event, FindingOpened):
            cases.note_opened(tx, index, event)
        elif isinstance(event, FindingClosed):
            cases.note_closed(tx, index, event)
    cases.touch(tx, list(known.values()))


def _apply_register(version: int, cases: CaseFiles, tx: Transaction) -> None:
    """A new register gives duties to outputs that had none, and stricter ones to those that nobody has reviewed."""
    cases.apply_register(tx, version)
    rules = cases.rulebook(tx)
    for portion in cases.unsettled(tx):
        assigned = [(case, assign(case, rules)) for case in portion]
        cases.touch(tx, [after for before, after in assigned if after != before])


def _output_of(event: Event) -> str | None:
    """The output that a governance event, or an outcome about one, is about."""
    if isinstance(event.data, OutputFact):
        return event.data.output_id
    return event.data.output_id if isinstance(event, FindingOpened | FindingClosed) else None


def message_of(event: Event) -> OutgoingMessage:
    """An outcome on its way to the bus, by the outbox."""
    return OutgoingMessage(event.id, "bus", encode(event), OUTCOMES.name, key_of(event))
