"""What a bus on a Kafka broker does, whichever client library carries it out."""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress

from services.shared.bus import Positions, Record, TopicPartition
from services.shared.bus.groups import Bounds
from services.shared.bus.kafka_topics import FoundTopic, check_found
from services.shared.bus.messages import unknown_topic
from services.shared.errors import TransientError
from services.shared.events.topics import Topic

SLICE_SECONDS = 0.2
"""A waiting poll looks up so often: whether the bus was closed, and for partitions that came."""

_VISIBLE_SECONDS = 10.0
_DESCRIPTION_SECONDS = 300.0


class BrokerBus(ABC):
    """Topics and offsets, asked of the broker; what was learnt of a topic is believed for five minutes."""

    def __init__(self, partitions: int, replicas: int) -> None:
        self._default_partitions = partitions
        self._replicas = replicas
        self._closed = threading.Event()
        self._known: dict[str, tuple[float, FoundTopic]] = {}

    @property
    def is_closed(self) -> bool:
        return self._closed.is_set()

    def ensure_topics(self, topics: Sequence[Topic]) -> None:
        names = [topic.name for topic in topics]
        with self._work():
            found = self._described(names)
            missing = {topic.name: topic for topic in topics if topic.name not in found}
            if missing:
                self._create(list(missing.values()))
                found = self._described_when_there(names)
        for topic in topics:
            check_found(topic, found[topic.name])

    def end_positions(self, topics: Sequence[str]) -> Positions:
        with self._work():
            partitions = [TopicPartition(name, n) for name in topics for n in range(self._topic(name).partitions)]
            return self._offsets(partitions, at_end=True)

    def read(self, partition: TopicPartition, offset: int, limit: int) -> Sequence[Record]:
        with self._work():
            bounds = self.bounds([partition])[partition]
            start = max(offset, bounds.start)
            return self._read(partition, start, bounds.end, limit) if start < bounds.end else ()

    def bounds(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, Bounds]:
        """What these partitions hold now."""
        with self._work():
            expires = {topic: self._topic(topic).expires for topic in {partition.topic for partition in partitions}}
            starts = self._offsets(partitions, at_end=False)
            ends = self._offsets(partitions, at_end=True)
        return {each: Bounds(starts[each], ends[each], expires[each.topic]) for each in partitions}

    @contextmanager
    def _work(self) -> Iterator[None]:
        if self.is_closed:
            raise TransientError("the bus was closed; open it again")
        with self._errors():
            yield

    def _topic(self, name: str) -> FoundTopic:
        known = self._known.get(name)
        if known is None or known[0] < time.monotonic() - _DESCRIPTION_SECONDS:
            self._described([name])
        if name not in self._known:
            raise unknown_topic(name)
        return self._known[name][1]

    def _described(self, names: Sequence[str]) -> dict[str, FoundTopic]:
        found = self._describe(sorted(set(names))) if names else {}
        self._known |= {name: (time.monotonic(), topic) for name, topic in found.items()}
        return found

    def _described_when_there(self, names: Sequence[str]) -> dict[str, FoundTopic]:
        """What was just made is not seen everywhere at once, nor has it a leader at once."""
        deadline = time.monotonic() + _VISIBLE_SECONDS
        while time.monotonic() < deadline:
            with suppress(TransientError):
                found = self._described(names)
                if found.keys() == set(names):
                    self.end_positions(names)
                    return found
            self._closed.wait(SLICE_SECONDS / 4)
        raise TransientError("topics were made and are not to be seen yet; it is tried again")

    @abstractmethod
    def _errors(self) -> AbstractContextManager[None]:
        """Turn the client's errors into ours."""

    @abstractmethod
    def _describe(self, names: Sequence[str]) -> dict[str, FoundTopic]:
        """Those of the topics that exist."""

    @abstractmethod
    def _create(self, topics: Sequence[Topic]) -> None:
        """Make these; one that another process made meanwhile is no error."""

    @abstractmethod
    def _offsets(self, partitions: Collection[TopicPartition], *, at_end: bool) -> dict[TopicPartition, int]:
        """The first offset of each, or the one after its last."""

    @abstractmethod
    def _read(self, partition: TopicPartition, start: int, end: int, limit: int) -> Sequence[Record]:
        """At most `limit` records from `start` (which exists) to `end` (exclusive)."""


class BrokerConsumer(ABC):
    """A member of a group that the broker keeps."""

    def __init__(self, bus: BrokerBus) -> None:
        self._bus = bus
        self._is_closed = False

    def poll(self, timeout_seconds: float, max_records: int) -> Sequence[Record]:
        if self._bus.is_closed or self._is_closed:
            raise TransientError("the bus was closed; open it again")
        deadline = time.monotonic() + timeout_seconds
        while True:
            self._settle()
            found = self._fetch(min(SLICE_SECONDS, deadline - time.monotonic()), max_records)
            if found or time.monotonic() >= deadline or self._bus.is_closed:
                return found

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._leave()

    @abstractmethod
    def _settle(self) -> None:
        """Begin to read what came, from its stored positions."""

    @abstractmethod
    def _fetch(self, seconds: float, max_records: int) -> Sequence[Record]:
        """What comes within so many seconds (which may be less than none)."""

    @abstractmethod
    def _leave(self) -> None: ...
