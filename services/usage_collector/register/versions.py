"""What the register topic holds: the facts of the last whole version, and what an unfinished one left behind.

The rule for everybody who reads the topic: facts wait until a marker comes. A marker whose version is above the one in
force puts everything that waits into force, the last word on each fact counting; any other marker drops what waits. A
publisher that was interrupted leaves facts without a marker; the next version says each of them again, so that the
last word on every fact is the folder's. Other events on the topic (proposals, closings of months) are no facts.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast, get_args

from services.shared.bus import EventBus, Record, TopicPartition
from services.shared.events import REGISTER, decode
from services.shared.events.envelope import Fact
from services.shared.events.register import ProposalDecided, RegisterChange, RegisterPublished, RegisterVersion
from services.usage_collector.register.facts import FactKey, Facts, key_of_change
from services.usage_collector.register.proposals import Proposals

PARTITION = TopicPartition(REGISTER.name, 0)
_CHANGES = get_args(RegisterChange)
_DISTURBING = (*_CHANGES, RegisterPublished, ProposalDecided)
"""What tells a publisher that somebody else is at work."""
_READ_AT_ONCE = 1_000


@dataclass(slots=True)
class Held:
    """The register as the topic tells it.

    Attributes:
        version: the last whole version; 0 before the first.
        digest: what the marker of that version says, as the program that published it reckoned: one that knows more
            members of facts than it did comes to another digest of the same facts.
        highest: the highest version any fact names, whole or not.
        facts: what holds.
        doubtful: facts said since that version, without a marker that counts: a reader may have them waiting.
        disputed: whether a marker came that does not count, so that readers may differ on the facts before it.
        end: offset after the last record that was read.
        proposals: what waits for a second person, or has been decided.
    """

    version: int = 0
    digest: str | None = None
    highest: int = 0
    facts: dict[FactKey, Fact] = field(default_factory=dict)
    doubtful: set[FactKey] = field(default_factory=set)
    disputed: bool = False
    end: int = 0
    proposals: Proposals = field(default_factory=Proposals)
    _waiting: dict[FactKey, Fact | None] = field(default_factory=dict)

    def take(self, records: Iterable[Record]) -> int:
        """Read on; how many records were facts, markers or decisions."""
        disturbing = 0
        for record in records:
            event = decode(record.value)
            if isinstance(event, RegisterPublished):
                self._mark(event.data)
            elif isinstance(event, _CHANGES):
                self._wait(cast("RegisterChange", event))
            else:
                self.proposals.take(event, self.facts)
            disturbing += isinstance(event, _DISTURBING)
            self.end = record.offset + 1
        return disturbing

    def _wait(self, event: RegisterChange) -> None:
        key = key_of_change(event)
        self.highest = max(self.highest, event.data.version)
        self._waiting[key] = event.data.fact
        self.doubtful.add(key)

    def _mark(self, marker: RegisterVersion) -> None:
        self.highest = max(self.highest, marker.version)
        if marker.version > self.version:
            self.version, self.digest = marker.version, marker.digest
            self.proposals.carried(marker)
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
    """Read what came since; how many records were facts, markers or decisions."""
    count = 0
    while records := bus.read(PARTITION, held.end, _READ_AT_ONCE):
        count += held.take(records)
    return count


def changes(held: Facts, wanted: Facts) -> Mapping[FactKey, Fact | None]:
    """What must be said so that `held` becomes `wanted`: new and changed facts, and None for those that are gone."""
    changed: dict[FactKey, Fact | None] = {key: fact for key, fact in wanted.items() if held.get(key) != fact}
    return changed | {key: None for key in held if key not in wanted}
