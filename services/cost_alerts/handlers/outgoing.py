"""What the ledger tells the world: events for the bus, messages for roles; all through the outbox."""

import json
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

from services.cost_alerts.domain.budgets.crossing import crossing_id
from services.cost_alerts.ports.ledger import ConflictRow
from services.shared.events import encode, event_id, key_of, topic_of
from services.shared.events.envelope import Event
from services.shared.events.outcomes import (
    BegunDay,
    Conflict,
    Crossing,
    DayBegun,
    LedgerRestated,
    PostingBatch,
    PostingsMade,
    ReadingConflictFound,
    Restatement,
    ThresholdCrossed,
)
from services.shared.events.register import Unit
from services.shared.periods import day_start
from services.shared.store import OutgoingMessage
from services.shared.store.tables import instant

SOURCE = "valvomo/cost-alerts"


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


def crossed(crossing: Crossing, unit: Unit | None, now: datetime) -> Iterator[OutgoingMessage]:
    """Tell of a crossing on the bus, and, when it is the one that speaks, every role by mail and webhook."""
    name = crossing_id(crossing)
    event = ThresholdCrossed(id=name, source=SOURCE, subject=crossing.budget, time=now, data=crossing)
    yield for_bus(event)
    if not crossing.spoken:
        return
    value = json.dumps(_alert(name, event, unit), ensure_ascii=False, separators=(",", ":")).encode()
    for recipient in crossing.recipients:
        yield OutgoingMessage(event_id("mail", name, recipient), "mail", value, recipient=recipient)
        yield OutgoingMessage(event_id("webhook", name, recipient), "webhook", value, recipient=recipient)


def _alert(name: str, event: ThresholdCrossed, unit: Unit | None) -> dict[str, Any]:
    """What a notifier renders: the crossing, with the unit's names and cost centre as the register has them now."""
    document = event.model_dump(mode="json")
    return {
        "alert_id": name,
        "kind": "threshold_crossed",
        "decided_at": document["time"],
        "crossing": document["data"],
        "unit": {
            "id": event.data.unit,
            "name": {} if unit is None else dict(unit.name),
            "cost_centre": None if unit is None else unit.cost_centre,
        },
    }
