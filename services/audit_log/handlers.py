"""What the log does with events: append them, fold them into cases, decide about findings, once.

A case is folded by the index of its entries and judged at a moment, so the projections can be thrown away and made
again. A decision leaves through the outbox and counts only when the log holds its event.
"""

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from services.audit_log.domain.reviews.findings import is_to_be_told
from services.audit_log.domain.reviews.folding import Case, Happened, assign, decide, fold
from services.audit_log.domain.reviews.judging import outlook
from services.audit_log.domain.reviews.resubmitting import resubmitting
from services.audit_log.domain.reviews.sampling import may_be_drawn
from services.audit_log.domain.reviews.standing import weigh
from services.audit_log.ports import AT_ONCE, Arrival, CaseFiles, Draws, EntryLog, EntryReader, Judged
from services.shared.clock import Clock
from services.shared.consumer import Delivered
from services.shared.events import (
    GOVERNANCE,
    OUTCOMES,
    REGISTER,
    USAGE,
    Event,
    decode,
    encode,
    event_types,
    key_of,
    topic_of,
)
from services.shared.events.governance import OutputFact, PseudonymsJoined
from services.shared.events.outcomes import FindingClosed, FindingOpened
from services.shared.events.register import RegisterChange, RegisterPublished
from services.shared.store import OutgoingMessage, Transaction
from services.shared.tlog.entry import Position

GROUP = "audit-log"
TOPICS = (USAGE.name, GOVERNANCE.name, REGISTER.name, OUTCOMES.name)
FOLDED_TOPICS = (GOVERNANCE.name, REGISTER.name, OUTCOMES.name)
_OF_FINDINGS: frozenset[type] = frozenset({FindingOpened, FindingClosed})
_DATA: dict[type, Any] = {kind: kind.model_fields["data"].annotation for kind in event_types().values()}
_ABOUT_OUTPUTS = _OF_FINDINGS | {kind for kind, data in _DATA.items() if issubclass(data, OutputFact)}
"""Kinds of events that a case is folded from. What an event is, is asked of its type: for each of very many entries."""
_CASES_AT_ONCE = 1_000
_ENTRIES_AT_ONCE = 4_000
_CASES_KEPT = 10_000
"""Before they are written: about 80 MB."""


class AppendHandler:
    """The consumer group of the log. It decides nothing: what is to be said of a case is said at the next look.

    Args:
        log: where entries go.
        cases: the projections.
        clock: at which moment cases are judged.
        cluster: the bus's id.
    """

    group = GROUP
    topics = TOPICS

    def __init__(self, log: EntryLog, cases: CaseFiles, clock: Clock, cluster: str) -> None:
        self._log, self._cases, self._clock, self._cluster = log, cases, clock, cluster

    def handle(self, batch: Sequence[Delivered], tx: Transaction) -> None:
        """Append what is new and fold it."""
        appended = self._log.append(tx, [self._arrival(delivered) for delivered in batch])
        news = [
            Happened(found.seq, delivered.record.ingest_time, delivered.event, found.conflicts_with is not None)
            for found, delivered in zip(appended, batch, strict=True)
            if found and delivered.record.topic in FOLDED_TOPICS
        ]
        if news:
            fold_entries(news, self._cases, tx, self._clock.now())

    def _arrival(self, delivered: Delivered) -> Arrival:
        record, event = delivered
        position = Position(self._cluster, record.topic, record.partition, record.offset, record.ingest_time)
        return Arrival(position, (event.source, event.id), record.value)


def fold_entries(news: Iterable[Happened], cases: CaseFiles, tx: Transaction, now: datetime) -> None:
    """Fold entries, in the order of their indexes, into the projections, and judge what they touch at `now`.

    Cases of which something is to be said wait for the next look.
    """
    folding = _Folding(cases, tx, now)
    folding.take(news)
    folding.write()


class _Folding:
    """Cases that entries are folded into, and what else is kept of entries, in one transaction.

    Most entries about an output come soon after each other: their case is judged and written once for all of them.
    """

    def __init__(self, cases: CaseFiles, tx: Transaction, now: datetime) -> None:
        self._cases, self._tx, self._now = cases, tx, now
        self._known: dict[str, Case] = {}
        """Cases that are not written as they are now."""

    def take(self, news: Iterable[Happened]) -> None:
        """Fold these entries, in the order of their indexes."""
        segment: list[Happened] = []
        for happened in news:
            event = happened.event
            if type(event) in _ABOUT_OUTPUTS:
                segment.append(happened)
            elif happened.contradicts:
                continue
            elif isinstance(event, RegisterPublished | PseudonymsJoined):
                self._fold(segment)
                segment = []
                self.write()
                _apply(happened, self._cases, self._tx, self._now)
            elif isinstance(event, RegisterChange):
                self._cases.stage(self._tx, event)
            else:
                self._cases.note(self._tx, happened.seq, event)
        self._fold(segment)
        if len(self._known) >= _CASES_KEPT:
            self.write()

    def write(self) -> None:
        """Judge the cases and write them down."""
        known, self._known = self._known, {}
        if known:
            self._cases.save(self._tx, [judged(case, self._now) for case in known.values()])
            _mark_resubmitted(known, self._cases, self._tx, self._now)

    def _fold(self, segment: Sequence[Happened]) -> None:
        if not segment:
            return
        known, rules = self._known, self._cases.rulebook(self._tx)
        named = [_output_of(one.event) for one in segment]
        known |= self._cases.load(self._tx, list({name: None for name in named if name and name not in known}))
        for happened, name in zip(segment, named, strict=True):
            if name is not None:
                known[name] = fold(known.get(name) or Case(output_id=name), happened, rules)
            if type(happened.event) in _OF_FINDINGS and not happened.contradicts:
                _note_finding(happened, self._cases, self._tx)


def look(
    cases: CaseFiles,
    tx: Transaction,
    now: datetime,
    limit: int = _CASES_AT_ONCE,
    *,
    read_to: datetime | None = None,
    draws: Draws | None = None,
) -> int:
    """Judge the cases that wait for it, say what is to be said about them; of how many.

    Args:
        cases: the projections.
        tx: in which all of it happens.
        now: the moment.
        limit: so many cases at most.
        read_to: the register was read to its end of this moment (None: it is known to be read). What came later must
            wait: a mandate that is on its way must make no false finding.
        draws: says which outputs were drawn; None: nothing is drawn.
    """
    found = cases.waiting(tx, now, limit)
    ready = [case for case in found if read_to is None or case.newest is None or case.newest <= read_to]
    said: list[Event] = [event for case in ready for event in decide(case, now)]
    if draws is not None:
        said += draws.told(tx, ready, now)
    say_once(cases, tx, said, now)
    names = {case.output_id for case in ready}
    waiting = [Judged(case, outlook(case, now)[0], now) for case in found if case.output_id not in names]
    cases.mark(tx, [*waiting, *(Judged(case, *outlook(case, now)) for case in ready)])
    return len(ready)


def rebuild(
    log: EntryReader,
    cases: CaseFiles,
    tx: Transaction,
    now: datetime,
    progress: Callable[[int], None] = lambda _index: None,
) -> None:
    """Make every projection again from the entries, and judge it at `now`. Decides nothing.

    `progress` is told the index up to which entries were folded, exclusive. Cases of which something is to be said
    wait for the next look of the running log, which says nothing twice.
    """
    cases.clear(tx)
    folding, first = _Folding(cases, tx, now), 0
    with _uncollected():
        while entries := log.events(tx, FOLDED_TOPICS, first, _ENTRIES_AT_ONCE):
            folding.take(Happened(one.seq, one.ingest_time, decode(one.value), one.contradicts) for one in entries)
            first = entries[-1].seq + 1
            progress(first)
        folding.write()


@contextmanager
def _uncollected() -> Iterator[None]:
    """No search for reference cycles: a rebuild makes very many objects that live for a while, and no cycles."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _note_finding(happened: Happened, cases: CaseFiles, tx: Transaction) -> None:
    event = happened.event
    if isinstance(event, FindingOpened):
        cases.note_opened(tx, happened.seq, event)
    elif isinstance(event, FindingClosed):
        cases.note_closed(tx, happened.seq, event)


def judged(case: Case, now: datetime) -> Judged:
    """The case as it is at `now`; where something is to be said or drawn, it is looked at next."""
    state, next_look = outlook(case, now)
    return Judged(case, state, AT_ONCE if may_be_drawn(case) or is_to_be_told(case, now) else next_look)


def _apply(happened: Happened, cases: CaseFiles, tx: Transaction, now: datetime) -> None:
    event = happened.event
    if isinstance(event, RegisterPublished):
        _apply_register(event.data.version, happened.ingest_time, cases, tx, now)
    elif isinstance(event, PseudonymsJoined):
        _apply_joining(happened.seq, event, cases, tx, now)


def _apply_register(version: int, moment: datetime, cases: CaseFiles, tx: Transaction, now: datetime) -> None:
    """A new register gives duties to outputs that had none, and stricter ones to those that nobody has reviewed."""
    news = cases.apply_register(tx, version, moment)
    if not news:
        return
    rules = cases.rulebook(tx)
    for portion in cases.affected(tx, news):
        assigned = [(case, assign(case, rules, moment)) for case in portion]
        cases.save(tx, [judged(after, now) for before, after in assigned if after != before])


def _apply_joining(seq: int, event: PseudonymsJoined, cases: CaseFiles, tx: Transaction, now: datetime) -> None:
    """Whoever had the old name, by whichever way, has the new one: their reviews are weighed once more."""
    before = cases.rulebook(tx)
    cases.note(tx, seq, event)
    rules = cases.rulebook(tx)
    old = before.person(event.data.old)
    new = rules.person(event.data.new)
    names = {event.data.old, event.data.new, *before.names(old), *rules.names(new)}
    for portion in cases.naming(tx, sorted(names)):
        cases.save(tx, [judged(weigh(case, rules), now) for case in portion])


def _mark_resubmitted(known: Mapping[str, Case], cases: CaseFiles, tx: Transaction, now: datetime) -> None:
    """What was rejected and came again, unchanged, under another id. Whichever of the two the log heard of first."""
    contents = {case.output.content_hash for case in known.values() if case.output and case.output.content_hash}
    rejected = cases.rejected(tx, sorted(contents)) if contents else []
    if not rejected:
        return
    again = dict(known)
    for case in rejected:
        if case.output_id in known:
            again.update({one.output_id: one for one in cases.of_content(tx, case)})
    marked = [(case, resubmitting(case, rejected)) for case in again.values()]
    cases.save(tx, [judged(after, now) for before, after in marked if after != before])


def _output_of(event: Event) -> str | None:
    """The output that an event of these kinds is about; a finding may be about none."""
    output_id: str | None = event.data.output_id  # type: ignore[attr-defined]  # all of these kinds have it
    return output_id


def say_once(cases: CaseFiles, tx: Transaction, events: Sequence[Event], now: datetime) -> set[str]:
    """Let those of these events leave by the outbox that nobody has said yet; their ids."""
    first = cases.decided_first(tx, [event.id for event in events], now)
    tx.send([message_of(event) for event in events if event.id in first])
    return first


def message_of(event: Event) -> OutgoingMessage:
    """An event on its way to the bus, by the outbox."""
    return OutgoingMessage(event.id, "bus", encode(event), topic_of(event), key_of(event))
