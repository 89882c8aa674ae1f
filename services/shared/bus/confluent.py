"""Apache Kafka through confluent-kafka (librdkafka): the same as `kafka.py`, several times faster, an optional extra.

Members of a group may use either client: both place a key in the same partition and share partitions the same way.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from services.shared.bus import BusConsumer, LoadPositions, Message, Positions, Record, TopicPartition, partition_of
from services.shared.bus.groups import Bounds, checked_position
from services.shared.bus.kafka_errors import name_of, translated
from services.shared.bus.kafka_topics import MAX_BATCH_BYTES, FoundTopic, check_found, settings_of
from services.shared.bus.messages import check_sizes, moment_of, unknown_topic
from services.shared.errors import ConfigurationError, TransientError
from services.shared.events.topics import Topic

try:
    from confluent_kafka import (
        Consumer,
        IsolationLevel,
        KafkaError,
        KafkaException,
        Producer,
        TopicCollection,
    )
    from confluent_kafka import (
        TopicPartition as Place,
    )
    from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, OffsetSpec
except ImportError as error:
    raise ConfigurationError(
        'the Kafka client "confluent" is not installed; run: pip install "valvomo[confluent]", or set '
        "VALVOMO_BUS_CLIENT=kafka-python"
    ) from error

_ANSWER_SECONDS = 10.0
_DELIVERY_SECONDS = 30.0
_SLICE_SECONDS = 0.2
_DESCRIPTION_SECONDS = 300.0

_COMMON: dict[str, Any] = {
    "reconnect.backoff.max.ms": 1_000,
    "allow.auto.create.topics": False,
    "log_level": 0,  # what goes wrong reaches us as an error; its own lines would bypass our log
}
_PRODUCER: dict[str, Any] = {
    "enable.idempotence": True,
    "acks": "all",
    "compression.type": "lz4",
    "linger.ms": 5,
    "batch.size": 256 * 1024,
    "message.max.bytes": MAX_BATCH_BYTES,
    "delivery.timeout.ms": int(_DELIVERY_SECONDS * 1000),
    "queue.buffering.max.messages": 500_000,
}
_CONSUMER: dict[str, Any] = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",
    "session.timeout.ms": 15_000,
    "heartbeat.interval.ms": 1_000,
    "partition.assignment.strategy": "range,roundrobin",  # kafka-python's own, for groups of both clients
    "max.partition.fetch.bytes": 4 * 1024 * 1024,
    "queued.max.messages.kbytes": 32 * 1024,
    "fetch.wait.max.ms": 100,
}


def _as_ours(found: KafkaError) -> Exception:
    return translated(name_of(found.name()), retriable=found.retriable())


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except KafkaException as error:
        raise _as_ours(error.args[0]) from error


class ConfluentBus:
    """One connection for administration, one producer; each consumer has its own."""

    def __init__(self, servers: Sequence[str], partitions: int = 6, replicas: int = 1) -> None:
        self._common = _COMMON | {"bootstrap.servers": ",".join(servers)}
        self._default_partitions = partitions
        self._replicas = replicas
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._found: dict[str, tuple[float, FoundTopic]] = {}
        self._producer: Producer | None = None
        with _errors():
            self._admin = AdminClient(self._common)
            self.cluster_id: str = self._admin.describe_cluster(request_timeout=_ANSWER_SECONDS).result().cluster_id

    def ensure_topics(self, topics: Sequence[Topic]) -> None:
        names = [topic.name for topic in topics]
        with self._work():
            found = self._describe(names)
            missing = {topic.name: topic for topic in topics if topic.name not in found}
            if missing:
                self._create(list(missing.values()))
                found = self._describe_when_there(names)
        for topic in topics:
            check_found(topic, found[topic.name])

    def publish(self, messages: Sequence[Message]) -> Sequence[Record]:
        check_sizes(messages)
        with self._work():
            counts = {topic: self._topic(topic).partitions for topic in {message.topic for message in messages}}
            delivery = _Delivery(len(messages))
            producer = self._open_producer()
            for number, message in enumerate(messages):
                self._send(producer, message, counts[message.topic], partial(delivery.note, number))
            delivery.wait(producer)
            self._drop_when_dead(delivery, producer)
            return delivery.records(messages)

    def consumer(self, group: str, topics: Sequence[str], load_positions: LoadPositions) -> BusConsumer:
        with self._work():
            for topic in topics:
                self._topic(topic)
            client = Consumer(self._common | _CONSUMER | {"group.id": group})
            return ConfluentGroupConsumer(self, client, topics, load_positions)

    def end_positions(self, topics: Sequence[str]) -> Positions:
        with self._work():
            partitions = [TopicPartition(t, n) for t in topics for n in range(self._topic(t).partitions)]
            return self._offsets(partitions, OffsetSpec.latest())

    def read(self, partition: TopicPartition, offset: int, limit: int) -> Sequence[Record]:
        with self._work():
            self._topic(partition.topic)
            bounds = self.bounds([partition])[partition]
            start = max(offset, bounds.start)
            return self._read(partition, start, bounds.end, limit) if start < bounds.end else ()

    def close(self) -> None:
        self._closed.set()
        with self._lock:
            if self._producer is not None:
                self._producer.flush(_ANSWER_SECONDS)
                self._producer = None

    @property
    def is_closed(self) -> bool:
        return self._closed.is_set()

    def bounds(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, Bounds]:
        """What these partitions hold now."""
        with self._work():
            starts = self._offsets(partitions, OffsetSpec.earliest())
            ends = self._offsets(partitions, OffsetSpec.latest())
            expires = {topic: self._topic(topic).expires for topic in {partition.topic for partition in partitions}}
        return {each: Bounds(starts[each], ends[each], expires[each.topic]) for each in partitions}

    @contextmanager
    def _work(self) -> Iterator[None]:
        if self.is_closed:
            raise TransientError("the bus was closed; open it again")
        with _errors():
            yield

    def _open_producer(self) -> Producer:
        with self._lock:
            if self._producer is None:
                self._producer = Producer(self._common | _PRODUCER)
            return self._producer

    def _drop_when_dead(self, delivery: "_Delivery", producer: Producer) -> None:
        """An idempotent producer that met a fatal error never sends again; the next publish makes another."""
        with self._lock:
            if delivery.is_fatal and self._producer is producer:
                self._producer = None

    @staticmethod
    def _send(producer: Producer, message: Message, partitions: int, done: Callable[[Any, Any], None]) -> None:
        deadline = time.monotonic() + _DELIVERY_SECONDS
        while True:
            try:
                producer.produce(
                    message.topic,
                    value=message.value,
                    key=message.key,
                    headers=list(message.headers),
                    partition=partition_of(message.key, partitions),
                    on_delivery=done,
                )
            except BufferError:
                if time.monotonic() > deadline:
                    raise TransientError("Kafka takes no records; it is tried again") from None
                producer.poll(_SLICE_SECONDS)
            else:
                return

    def _topic(self, name: str) -> FoundTopic:
        known = self._found.get(name)
        if known is None or known[0] < time.monotonic() - _DESCRIPTION_SECONDS:
            self._describe([name])
        if name not in self._found:
            raise unknown_topic(name)
        return self._found[name][1]

    def _describe(self, names: Sequence[str]) -> dict[str, FoundTopic]:
        """Those of the topics that exist."""
        if not names:
            return {}
        asked = self._admin.describe_topics(TopicCollection(sorted(set(names))), request_timeout=_ANSWER_SECONDS)
        described = {name: topic for name, answer in asked.items() if (topic := _existing(answer))}
        found = {name: FoundTopic(*_shape(topic), self._settings(name)) for name, topic in described.items()}
        self._found |= {name: (time.monotonic(), topic) for name, topic in found.items()}
        return found

    def _describe_when_there(self, names: Sequence[str]) -> dict[str, FoundTopic]:
        """What was just made is not seen everywhere at once, nor has it a leader at once."""
        deadline = time.monotonic() + _ANSWER_SECONDS
        while True:
            found = self._describe(names)
            with suppress(KafkaException):
                if found.keys() == set(names):
                    self._offsets(
                        [TopicPartition(n, p) for n in names for p in range(found[n].partitions)], OffsetSpec.latest()
                    )
                    return found
            if time.monotonic() > deadline:
                raise TransientError("topics were made and are not to be seen yet; it is tried again")
            self._closed.wait(_SLICE_SECONDS / 2)

    def _settings(self, name: str) -> dict[str, str]:
        resource = ConfigResource(ConfigResource.Type.TOPIC, name)
        answer = self._admin.describe_configs([resource], request_timeout=_ANSWER_SECONDS)[resource]
        return {setting: str(entry.value) for setting, entry in answer.result().items()}

    def _create(self, topics: Sequence[Topic]) -> None:
        wanted = [
            NewTopic(
                topic.name,
                topic.partitions or self._default_partitions,
                self._replicas,
                config=settings_of(topic, self._replicas),
            )
            for topic in topics
        ]
        for answer in self._admin.create_topics(wanted, request_timeout=_ANSWER_SECONDS).values():
            try:
                answer.result()
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:  # another process was faster
                    raise

    def _offsets(self, partitions: Collection[TopicPartition], spec: OffsetSpec) -> dict[TopicPartition, int]:
        if not partitions:
            return {}
        answers = self._admin.list_offsets(
            {Place(*partition): spec for partition in partitions},
            isolation_level=IsolationLevel.READ_UNCOMMITTED,
            request_timeout=_ANSWER_SECONDS,
        )
        return {TopicPartition(at.topic, at.partition): answer.result().offset for at, answer in answers.items()}

    def _read(self, partition: TopicPartition, start: int, end: int, limit: int) -> list[Record]:
        reader = Consumer(self._common | _CONSUMER | {"group.id": "valvomo-reader"})  # never joined
        try:
            reader.assign([Place(*partition, start)])
            found: list[Record] = []
            deadline = time.monotonic() + _DELIVERY_SECONDS
            while len(found) < limit and (not found or found[-1].offset + 1 < end):
                if time.monotonic() > deadline:
                    raise TransientError(f"Kafka gives no records of {partition.topic}; it is tried again")
                found += [_record(each) for each in _fetched(reader, 1.0, limit - len(found))]
        finally:
            reader.close()
        return [record for record in found if record.offset < end]


class _Delivery:
    """What became of the messages of one publish."""

    def __init__(self, count: int) -> None:
        self._done: list[Any] = [None] * count
        self._open = count
        self._failure: KafkaError | None = None
        self._lock = threading.Lock()

    def note(self, number: int, failure: KafkaError | None, message: Any) -> None:  # noqa: ANN401
        """Called by whichever thread serves the producer."""
        with self._lock:
            self._done[number] = message
            self._open -= 1
            self._failure = self._failure or failure

    @property
    def is_fatal(self) -> bool:
        return self._failure is not None and self._failure.fatal()

    def wait(self, producer: Producer) -> None:
        deadline = time.monotonic() + _DELIVERY_SECONDS + 1
        while self._open and time.monotonic() < deadline:
            producer.flush(_SLICE_SECONDS)

    def records(self, messages: Sequence[Message]) -> list[Record]:
        """Raises TransientError or InvalidEventError: a message was not delivered."""
        if self._failure is not None:
            raise _as_ours(self._failure)
        if self._open:
            raise TransientError("Kafka did not confirm all records in time; they are published again")
        return [
            Record(m.topic, at.partition(), at.offset(), m.key, m.value, m.headers, moment_of(at.timestamp()[1]))
            for m, at in zip(messages, self._done, strict=True)
        ]


class ConfluentGroupConsumer:
    """A member of a group that the broker keeps. All callbacks run within `poll`, on the caller's thread.

    The client is told nothing of partitions that come, until their stored positions are loaded: then it is given all
    partitions anew, each with the position where we are.
    """

    def __init__(
        self, bus: ConfluentBus, client: Consumer, topics: Sequence[str], load_positions: LoadPositions
    ) -> None:
        self._bus = bus
        self._client = client
        self._load_positions = load_positions
        self._came: set[TopicPartition] = set()
        self._positions: dict[TopicPartition, int] = {}
        self._is_closed = False
        client.subscribe(list(topics), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_revoke)

    def poll(self, timeout_seconds: float, max_records: int) -> Sequence[Record]:
        if self._bus.is_closed or self._is_closed:
            raise TransientError("the bus was closed; open it again")
        deadline = time.monotonic() + timeout_seconds
        while True:
            with _errors():
                self._settle()
                found = self._fetch(max(0.01, min(_SLICE_SECONDS, deadline - time.monotonic())), max_records)
            if found or time.monotonic() >= deadline or self._bus.is_closed:
                return found

    def assignment(self) -> frozenset[TopicPartition]:
        return frozenset(self._positions)

    def seek(self, positions: Positions) -> None:
        ours = {partition: position for partition, position in positions.items() if partition in self._positions}
        if ours:
            self._positions |= ours
            with _errors():
                self._assign_anew()

    def report(self, positions: Positions) -> None:
        offsets = [Place(*each, position) for each, position in positions.items() if each in self._positions]
        with suppress(KafkaException, RuntimeError):
            if offsets:
                self._client.commit(offsets=offsets, asynchronous=True)

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._positions.clear()
            with suppress(KafkaException, RuntimeError):
                self._client.close()

    def _on_assign(self, client: Consumer, came: Sequence[Place]) -> None:
        self._came = {TopicPartition(place.topic, place.partition) for place in came}
        self._positions.clear()
        client.assign([])

    def _on_revoke(self, client: Consumer, _gone: Sequence[Place]) -> None:
        self._came.clear()
        self._positions.clear()
        client.unassign()

    def _settle(self) -> None:
        if self._came:
            stored = self._load_positions(frozenset(self._came))
            bounds = self._bus.bounds(self._came)
            self._positions = {p: checked_position(p, stored.get(p, 0), held) for p, held in bounds.items()}
            self._came.clear()
            self._assign_anew()

    def _assign_anew(self) -> None:
        self._client.assign([Place(*partition, position) for partition, position in self._positions.items()])

    def _fetch(self, seconds: float, max_records: int) -> list[Record]:
        try:
            messages = _fetched(self._client, seconds, max_records)
        except KafkaException as error:
            if error.args[0].code() != KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001  # its public name
                raise
            self._check_positions()
            return []
        found = [record for record in map(_record, messages) if record[:2] in self._positions]
        self._positions |= {TopicPartition(record.topic, record.partition): record.offset + 1 for record in found}
        return found

    def _check_positions(self) -> None:
        """Records went while we read: read on where they expire by right, else stop."""
        bounds = self._bus.bounds(self._positions.keys())
        self.seek({each: checked_position(each, position, bounds[each]) for each, position in self._positions.items()})


def _fetched(client: Consumer, seconds: float, most: int) -> list[Any]:
    """What is there, waiting only for the first; `consume` alone would wait until `most` have come."""
    first = client.poll(seconds)
    if first is None:
        return []
    rest = client.consume(most - 1, 0) if most > 1 and first.error() is None else []
    for message in (first, *rest):
        if message.error() is not None:
            raise KafkaException(message.error())
    return [first, *rest]


def _record(found: Any) -> Record:  # noqa: ANN401
    return Record(
        found.topic(),
        found.partition(),
        found.offset(),
        found.key() or b"",
        found.value() or b"",
        tuple((name, value or b"") for name, value in found.headers() or ()),
        moment_of(found.timestamp()[1]),
    )


def _existing(answer: Any) -> Any:  # noqa: ANN401
    """The description, or None when there is no such topic."""
    try:
        return answer.result()
    except KafkaException as error:
        if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            return None
        raise


def _shape(described: Any) -> tuple[int, int]:  # noqa: ANN401
    """How many partitions, and how many replicas at least."""
    return len(described.partitions), min((len(each.replicas) for each in described.partitions), default=0)
