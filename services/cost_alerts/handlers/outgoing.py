"""What the ledger tells the world: events for the bus, messages for roles; all through the outbox."""

from collections.abc import Iterable, Iterator
from datetime import date, datetime

from services.cost_alerts.domain.alerts.letter import Briefing, Letter
from services.cost_alerts.domain.budgets.crossing import crossing_id, receding_id
from services.cost_alerts.domain.budgets.tree import Told
from services.cost_alerts.ports.ledger import ConflictRow
from services.shared.events import encode, event_id, key_of, topic_of
from services.shared.events.envelope import Event
from services.shared.events.outcomes import (
    Acknowledgement,
    AlertAcknowledged,
    AlertRaised,
    AlertResolved,
    BegunDay,
    Condition,
    Conflict,
    DayBegun,
    LedgerRestated,
    PostingBatch,
    PostingsMade,
    ReadingConflictFound,
    Receding,
    Resolving,
    Restatement,
    ThresholdCrossed,
    ThresholdReceded,
    UseCaseCost,
    UseCaseCosted,
)
from services.shared.money import from_nano
from services.shared.periods import day_start
from services.shared.store import Destination, OutgoingMessage
from services.shared.store.tables import instant

SOURCE = "valvomo/cost-alerts"

WAYS: tuple[Destination, ...] = ("mail", "webhook", "teams")
"""The ways to people. Each letter goes each way; a role that does not use one is passed over when it leaves."""


def for_bus(event: Event) -> OutgoingMessage:
    """An event on its way to its topic."""
    return OutgoingMessage(event.id, "bus", encode(event), topic_of(event), key_of(event))


def conflict(found: ConflictRow) -> OutgoingMessage:
    """Tell of a revision that came with two contents; timed by the bus, so that it is always told in the same bytes."""
    name = conflict_id(found.source, found.reading_id, found.revision)
    data = Conflict(reading_source=found.source, reading_id=found.reading_id, revision=found.revision)
    return for_bus(
        ReadingConflictFound(id=name, source=SOURCE, subject=name, time=instant(found.recorded_at), data=data)
    )


def conflict_id(source: str, reading_id: str, revision: int) -> str:
    return event_id("conflict", source, reading_id, revision)


def day_begun(day: date) -> OutgoingMessage:
    """Tell that a Helsinki day has begun; timed by its midnight, so that it is always told in the same bytes."""
    name = event_id("day", day.isoformat())
    subject, data = day.isoformat(), BegunDay(day=day)
    return for_bus(DayBegun(id=name, source=SOURCE, subject=subject, time=day_start(day), data=data))


def restated(restatement: Restatement, now: datetime) -> OutgoingMessage:
    """Tell what a register version changed."""
    name = restatement_id(restatement.register_version)
    return for_bus(LedgerRestated(id=name, source=SOURCE, subject=name, time=now, data=restatement))


def postings_made(batch: PostingBatch, now: datetime) -> OutgoingMessage:
    """Tell what was handed to bookkeeping, one part of a batch."""
    name = event_id("postings", batch.batch, batch.part)
    return for_bus(PostingsMade(id=name, source=SOURCE, subject=batch.batch, time=now, data=batch))


def restatement_id(version: int) -> str:
    return event_id("restated", version)


def costed(cost: UseCaseCost, now: datetime) -> OutgoingMessage:
    """Tell that a use of AI moved to another band of cost."""
    return for_bus(UseCaseCosted(id=costed_id(cost), source=SOURCE, subject=cost.use_case, time=now, data=cost))


def costed_id(cost: UseCaseCost) -> str:
    return event_id("usecase.costed", cost.use_case, cost.as_of.isoformat(), cost.band)


def alert_raised(condition: Condition, now: datetime) -> OutgoingMessage:
    """Tell that a condition began."""
    name = event_id("alert.raised", condition.alert_id)
    return for_bus(AlertRaised(id=name, source=SOURCE, subject=condition.alert_id, time=now, data=condition))


def alert_resolved(alert_id: str, now: datetime) -> OutgoingMessage:
    """Tell that a condition is gone."""
    name, data = event_id("alert.resolved", alert_id), Resolving(alert_id=alert_id)
    return for_bus(AlertResolved(id=name, source=SOURCE, subject=alert_id, time=now, data=data))


def alert_acknowledged(told: Acknowledgement, now: datetime) -> OutgoingMessage:
    """Tell that a role acts on an alert or a crossing; the first acknowledgement of each is told, no other."""
    name = event_id("alert.acknowledged", told.alert_id)
    return for_bus(AlertAcknowledged(id=name, source=SOURCE, subject=told.alert_id, time=now, data=told))


def letters(letter: Letter, recipients: Iterable[str]) -> Iterator[OutgoingMessage]:
    """A letter to each role, by every way to people; the same ids each time it is made."""
    value = letter.model_dump_json().encode()
    also = ("resolved",) if letter.resolved else ()
    for recipient in dict.fromkeys(recipients):
        for way in WAYS:
            name = event_id(way, letter.alert_id, recipient, *also)
            yield OutgoingMessage(name, way, value, recipient=recipient)


def crossed(told: Told, briefing: Briefing, now: datetime) -> Iterator[OutgoingMessage]:
    """Tell of a crossing on the bus and, when it speaks, everybody whom it and those it tells of concern."""
    crossing, name = told.crossing, crossing_id(told.crossing)
    yield for_bus(ThresholdCrossed(id=name, source=SOURCE, subject=crossing.budget, time=now, data=crossing))
    if crossing.spoken:
        limits = told.forecast
        letter = Letter(
            alert_id=name,
            decided_at=now,
            crossing=crossing,
            also=tuple(told.also),
            forecast_low_eur=None if limits is None else from_nano(limits.low),
            forecast_high_eur=None if limits is None else from_nano(limits.high),
            briefing=briefing,
        )
        yield from letters(letter, told.recipients)


def receded(receding: Receding, now: datetime) -> OutgoingMessage:
    """Tell that a correction ended an epoch of a budget."""
    name = receding_id(receding)
    return for_bus(ThresholdReceded(id=name, source=SOURCE, subject=receding.budget, time=now, data=receding))
