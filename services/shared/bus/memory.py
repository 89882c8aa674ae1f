"""The bus of one process's life: for tests and trials. Keeps every record until it is dropped."""

import threading
from collections.abc import Sequence
from uuid import uuid4

from services.shared.bus import BusConsumer, LoadPositions, Message, Positions, Record, TopicPartition, partition_of
from services.shared.bus.groups import FOREVER, Bounds, GroupConsumer, Groups, NoClaim
from services.shared.bus.messages import check_sizes, check_topic, milliseconds, moment_of, unknown_topic
from services.shared.clock import Clock, SystemClock
from services.shared.errors import TransientError
from services.shared.events.topics import Topic


class MemoryBus:
    """Lists of records, and one lock. Nothing expires: what nobody can restart needs no retention."""

    patience_seconds = FOREVER

    def __init__(self, clock: Clock | None = None, partitions: int = 6) -> None:
        self._clock = clock or SystemClock()
        self._default_partitions = partitions
        self._topics: dict[str, tuple[Topic, list[list[Record]]]] = {}
        self._last_milliseconds = 0
        self.cluster_id = f"memory-{uuid4()}"
        self.bell = threading.Condition()
        self.closed = False
        self._groups = Groups(self.bell, self._partitions_of, lambda _name: NoClaim())

    def ensure_topics(self, topics: Sequence[Topic]) -> None:
        with self.bell:
            for topic in topics:
                made, logs = self._topics.setdefault(topic.name, (topic, self._empty(topic)))
                check_topic(topic, len(logs), made.retention_days)

    def publish(self, messages: Sequence[Message]) -> Sequence[Record]:
        check_sizes(messages)
        with self.bell:
            if self.closed:
                raise TransientError("the bus was closed; open it again")
            logs = [self._logs(message.topic) for message in messages]
            self._last_milliseconds = max(self._last_milliseconds, milliseconds(self._clock.now()))
            records = [self._append(message, log) for message, log in zip(messages, logs, strict=True)]
            self.bell.notify_all()
        return records

    def consumer(self, group: str, topics: Sequence[str], load_positions: LoadPositions) -> BusConsumer:
        return GroupConsumer(self, self._groups[group], topics, load_positions)

    def end_positions(self, topics: Sequence[str]) -> Positions:
        with self.bell:
            return {
                partition: self.bounds(partition).end for topic in topics for partition in self._partitions_of(topic)
            }

    def read(self, partition: TopicPartition, offset: int, limit: int) -> Sequence[Record]:
        return self.fetch(partition, offset, limit)

    def close(self) -> None:
        with self.bell:
            self.closed = True
            self.bell.notify_all()

    def fetch(self, partition: TopicPartition, offset: int, limit: int) -> Sequence[Record]:
        with self.bell:
            start = max(0, offset)
            return self._logs(partition.topic)[partition.partition][start : start + limit]

    def bounds(self, partition: TopicPartition) -> Bounds:
        with self.bell:
            return Bounds(0, len(self._logs(partition.topic)[partition.partition]), expires=False)

    def has_grown(self, positions: Positions) -> bool:
        return any(position < len(self._topics[topic][1][number]) for (topic, number), position in positions.items())

    def look_around(self) -> None:
        """Nobody else writes here."""

    def _empty(self, topic: Topic) -> list[list[Record]]:
        return [[] for _ in range(topic.partitions or self._default_partitions)]

    def _logs(self, topic: str) -> list[list[Record]]:
        if topic not in self._topics:
            raise unknown_topic(topic)
        return self._topics[topic][1]

    def _partitions_of(self, topic: str) -> list[TopicPartition]:
        return [TopicPartition(topic, number) for number in range(len(self._logs(topic)))]

    def _append(self, message: Message, logs: list[list[Record]]) -> Record:
        number = partition_of(message.key, len(logs))
        log = logs[number]
        record = Record(
            message.topic,
            number,
            len(log),
            message.key,
            message.value,
            message.headers,
            moment_of(self._last_milliseconds),
        )
        log.append(record)
        return record
