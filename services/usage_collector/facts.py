"""How each kind of fact is named, dated, compared and written as an event. Values in, values out."""

import json
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from services.shared.events import Event, event_id
from services.shared.events.governance import Output, OutputGenerated, Review, ReviewDecided
from services.shared.events.usage import (
    Invoice,
    InvoiceReceived,
    Reading,
    SeatAssigned,
    SeatCount,
    SeatHolding,
    SeatsObserved,
    UsageRecorded,
)
from services.usage_collector.source import VendorFact, midnight

REVISED = ("reading", "seats", "seat", "invoice")
"""The kinds that have revisions; the others are told once."""

MODELS: dict[str, type[VendorFact]] = {
    "reading": Reading,
    "seats": SeatCount,
    "seat": SeatHolding,
    "invoice": Invoice,
    "output": Output,
    "review": Review,
}
"""Kind → model."""

_KINDS = {model: kind for kind, model in MODELS.items()}


@dataclass(frozen=True, slots=True)
class Known:
    """What the collector remembers of a fact that it has told: its newest revision and what that said."""

    revision: int
    digest: str
    retracted: bool = False


def known(fact: VendorFact) -> Known:
    return Known(revision_of(fact), digest_of(fact), not is_open(fact) and isinstance(fact, Reading))


def revision_of(fact: VendorFact) -> int:
    return 0 if isinstance(fact, Output | Review) else fact.revision


def is_open(fact: VendorFact) -> bool:
    """Whether a later read may end the fact: a reading that stands, a seat that is held."""
    match fact:
        case Reading():
            return not fact.retracted
        case SeatHolding():
            return fact.released_on is None
        case _:
            return False


def kind_of(fact: VendorFact) -> str:
    return _KINDS[type(fact)]


def id_of(fact: VendorFact) -> str:
    """Names the fact among those of its kind and source; at most 128 characters, a pseudonym at most of a person."""
    match fact:
        case Reading():
            return fact.reading_id
        case SeatCount():
            return event_id("seats", fact.system, fact.sku, fact.observed_on.isoformat())
        case SeatHolding():
            return event_id("seat", fact.system, fact.sku, fact.person, fact.assigned_on.isoformat())
        case Invoice():
            return event_id("invoice", fact.vendor, fact.invoice_id)
        case Output():
            return fact.output_id
        case Review():
            return fact.review_id


def starts_at(fact: VendorFact) -> datetime:
    """The moment by which a fact belongs to a window."""
    match fact:
        case Reading():
            return fact.charge_period_start
        case SeatCount():
            return midnight(fact.observed_on)
        case SeatHolding():
            return midnight(fact.assigned_on)
        case Invoice():
            return midnight(fact.issued_on)
        case Output():
            return fact.generated_at
        case Review():
            return fact.decided_at


def digest_of(fact: VendorFact) -> str:
    """Equal for equal content: the order of members, the revision and a retraction do not count."""
    content = fact.model_dump(mode="json", exclude={"revision", "retracted"})
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def event_of(fact: VendorFact, source: str, at: datetime) -> Event:
    """The event that tells `fact`. A revision is part of its id, so that the same id always has the same content."""
    match fact:
        case Reading():
            name = f"{fact.reading_id}.{fact.revision}"
            return UsageRecorded(id=name, source=source, subject=fact.system, time=at, data=fact)
        case SeatCount():
            name, subject = f"{id_of(fact)}.{fact.revision}", f"{fact.system}/{fact.sku}"
            return SeatsObserved(id=name, source=source, subject=subject, time=at, data=fact)
        case SeatHolding():
            name, subject = f"{id_of(fact)}.{fact.revision}", f"{fact.system}/{fact.sku}"
            return SeatAssigned(id=name, source=source, subject=subject, time=at, data=fact)
        case Invoice():  # of one vendor in one partition of the bus, in order
            name = f"{id_of(fact)}.{fact.revision}"
            return InvoiceReceived(id=name, source=source, subject=fact.vendor, time=at, data=fact)
        case Output():
            return OutputGenerated(id=fact.output_id, source=source, subject=fact.output_id, time=at, data=fact)
        case Review():
            return ReviewDecided(id=fact.review_id, source=source, subject=fact.output_id, time=at, data=fact)


def fact_in(event: Event) -> VendorFact | None:
    """The fact that an event tells; None for events of other kinds."""
    match event:
        case UsageRecorded() | SeatsObserved() | SeatAssigned() | InvoiceReceived():
            return event.data
        case OutputGenerated() | ReviewDecided():
            return event.data
        case _:
            return None
