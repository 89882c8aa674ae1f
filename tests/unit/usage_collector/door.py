"""What the intake's tests share: a program with one door, and the bus behind it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from services.shared.access import Access, Token
from services.shared.bus import Record, TopicPartition
from services.shared.bus.memory import MemoryBus
from services.shared.clock import SteppedClock
from services.shared.events import TOPICS, Event, decode
from services.shared.http import make_app
from services.usage_collector.api import make_router
from services.usage_collector.intake import Intake, keyed_hash

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
KEY = b"k" * 32
SECRET = "vt_of-the-library"


def pseudonym(identity: str) -> str:
    """A stand-in for the collector's table: the same person, the same name."""
    return f"p-{sha256(b'door' + identity.encode()).hexdigest()[:12]}"


class Collector:
    """The part of the collector's service that the door needs."""

    name = "usage-collector"

    def __init__(self, intake: Intake, registry: CollectorRegistry) -> None:
        self.router = make_router(intake, registry)

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def problems(self) -> Sequence[str]:
        return ()


@dataclass
class Door:
    """A program that takes events in."""

    bus: MemoryBus = field(default_factory=lambda: MemoryBus(SteppedClock(NOW)))
    clock: SteppedClock = field(default_factory=lambda: SteppedClock(NOW))
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        self.bus.ensure_topics(TOPICS)
        self.intake = Intake(self.bus, keyed_hash(KEY), pseudonym, self.clock)

    def app(self, **rights: object) -> FastAPI:
        """Open, or for the holder of one token with these rights."""
        entry = {"id": "library", "sha256": sha256(SECRET.encode()).hexdigest(), **rights}
        access = Access([Token.model_validate(entry)] if rights else None, self.clock)
        return make_app([Collector(self.intake, self.registry)], self.registry, access, self.bus)

    def records(self) -> list[Record]:
        ends = self.bus.end_positions([topic.name for topic in TOPICS])
        return [record for place in sorted(ends) for record in self.bus.read(TopicPartition(*place), 0, 100_000)]

    def events(self) -> list[Event]:
        return [decode(record.value) for record in self.records()]

    def data(self, kind: str = "valvomo.usage.recorded.v1") -> list[dict[str, Any]]:
        """The data of the events of one type, as JSON says them."""
        return [event.model_dump(mode="json")["data"] for event in self.events() if event.type == kind]


def usage(number: int = 0, /, **changes: object) -> dict[str, Any]:
    """The least that a reading must say."""
    reading_id = f"call-{number}"
    data = {
        "reading_id": reading_id,
        "system": "library-chatbot",
        "sku": "claude-sonnet-4-5",
        "charge_period_start": "2026-11-22T11:00:00Z",
        "charge_period_end": "2026-11-22T11:00:01Z",
        "consumed": {"input_tokens": "374", "output_tokens": "44"},
        **changes,
    }
    return {
        "specversion": "1.0",
        "type": "valvomo.usage.recorded.v1",
        "source": "apps/library",
        "id": f"{data['reading_id']}.{data.get('revision', 0)}",
        "subject": "library-chatbot",
        "time": "2026-11-22T11:00:02Z",
        "data": data,
    }
