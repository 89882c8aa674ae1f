"""What the register topic holds: the facts of the last whole version, and what an unfinished one left behind.

The rule for everybody who reads the topic: facts wait until a marker comes. A marker whose version is above the one in
force puts everything that waits into force, the last word on each fact counting; any other marker drops what waits. A
publisher that was interrupted leaves facts without a marker; the next version says each of them again, so that the
last word on every fact is the folder's.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast, get_args

from services.shared.bus import EventBus, Record, TopicPartition
from services.shared.events import REGISTER, decode
from services.shared.events.envelope import Fact
from services.shared.events.register import RegisterChange, RegisterPublished
from services.usage_collector.register.facts import FactKey, Facts, key_of_change

PARTITION = TopicPartition(REGISTER.name, 0)
_CHANGES = get_args(RegisterChange)
_READ_AT_ONCE = 1_000


@dataclass(slots=True)
class Held:
    """The register as the topic tells it.

    Attributes:
        version: the last whole version; 0 before the first.
        highest: the highest version any fact names, whole or not.
        facts: what holds.
        doubtful: facts said since that version, without a marker that counts: a reader may have them waiting.
        disputed: whether a marker came that does not count, so that readers may differ on the facts before it.
        end: offset after the last record that was read.
    """

    version: int = 0
    highest: int = 0
    facts: dict[FactKey, Fact] = field(default_factory=dict)
    doubtful: set[FactKey] = field(default_factory=set)
    disputed: bool = False
    end: int = 0
    _waiting: dict[FactKey, Fact | None] = field(default_factory=dict)

    def take(self, records: Iterable[Record]) -> None:
        """Read on."""
        for record in records:
            event = decode(record.value)
            if isinstance(event, RegisterPublished):
                self._mark(event.data.version)
            elif isinstance(event, _CHANGES):
                self._wait(cast("RegisterChange", event))
            self.end = record.offset + 1

    def _wait(self, event: RegisterChange) -> None:
        key = key_of_change(event)
        self.highest = max(self.highest, event.data.version)
        self._waiting[key] = event.data.fact
        self.doubtful.add(key)

    def _mark(self, version: int) -> None:
        self.highest = max(self.highest, version)
        if version > self.version:
            self.version = version
            self.facts = {key: fact for key, fact in (self.facts | self._waiting).items() if fact is not None}
            self.doubtful.clear()
            self.disputed = False
        else:
            self.disputed = True
        self._waiting.clear()


def read_held(bus: EventBus) -> Held:
    """Read the whole register topic."""
    held = Held()
    read_on(bus, held)
    return held


def read_on(bus: EventBus, held: Held) -> int:
    """Read what came since; how many records."""
    count = 0
    while records := bus.read(PARTITION, held.end, _READ_AT_ONCE):
        held.take(records)
        count += len(records)
    return count


def changes(held: Facts, wanted: Facts) -> Mapping[FactKey, Fact | None]:
    """What must be said so that `held` becomes `wanted`: new and changed facts, and None for those that are gone."""
    changed: dict[FactKey, Fact | None] = {key: fact for key, fact in wanted.items() if held.get(key) != fact}
    return changed | {key: None for key in held if key not in wanted}
