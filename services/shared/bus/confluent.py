"""Apache Kafka through confluent-kafka (librdkafka): the same as `kafka.py`, several times faster, an optional extra.

Members of a group may use either client: both place a key in the same partition and share partitions the same way.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from typing import Any

from services.shared.bus import BusConsumer, LoadPositions, Message, Positions, Record, TopicPartition, partition_of
from services.shared.bus.broker import SLICE_SECONDS, BrokerBus, BrokerConsumer
from services.shared.bus.groups import checked_position
from services.shared.bus.kafka_errors import name_of, translated
from services.shared.bus.kafka_topics import MAX_BATCH_BYTES, FoundTopic, settings_of
from services.shared.bus.messages import check_sizes, moment_of
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
_SHORTEST_POLL_SECONDS = 0.01

_COMMON: dict[str, Any] = {
    "reconnect.backoff.max.ms": 1_000,
    "allow.auto.create.topics": False,
    "log_level": 0,  # what goes wrong reaches us as an error; its own lines would bypass our log
}
_PRODUCER: dict[str, Any] = {
    "enable.idempotence": True,
    "acks": "all",
    "compression.type": "lz4",
    "linger.ms": 0,  # records that come together go together anyway; who waits for an answer shall not wait longer
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


class ConfluentBus(BrokerBus):
    """One connection for administration, one producer; each consumer has its own."""

    def __init__(self, servers: Sequence[str], partitions: int = 6, replicas: int = 1) -> None:
        super().__init__(partitions, replicas)
        self._common = _COMMON | {"bootstrap.servers": ",".join(servers)}
        self._lock = threading.Lock()
        self._sender: _Sender | None = None
        with _errors():
            self._admin = AdminClient(self._common)
            self.cluster_id: str = self._admin.describe_cluster(request_timeout=_ANSWER_SECONDS).result().cluster_id

    def publish(self, messages: Sequence[Message]) -> Sequence[Record]:
        check_sizes(messages)
        with self._work():
            counts = {topic: self._topic(topic).partitions for topic in {message.topic for message in messages}}
            delivery = _Delivery(len(messages))
            sender = self._open_sender()
            for number, message in enumerate(messages):
                sender.send(message, counts[message.topic], partial(delivery.note, number))
            delivery.wait()
            self._drop_when_dead(delivery, sender)
            return delivery.records(messages)

    def consumer(self, group: str, topics: Sequence[str], load_positions: LoadPositions) -> BusConsumer:
        with self._work():
            for topic in topics:
                self._topic(topic)
            client = Consumer(self._common | _CONSUMER | {"group.id": group})
            return ConfluentGroupConsumer(self, client, topics, load_positions)

    def close(self) -> None:
        self._closed.set()
        with self._lock:
            sender, self._sender = self._sender, None
        if sender is not None:
            sender.close()

    def _errors(self) -> AbstractContextManager[None]:
        return _errors()

    def _open_sender(self) -> "_Sender":
        with self._lock:
            if self._sender is None:
                self._sender = _Sender(self._common | _PRODUCER)
            return self._sender

    def _drop_when_dead(self, delivery: "_Delivery", sender: "_Sender") -> None:
        """An idempotent producer that met a fatal error never sends again; the next publish makes another."""
        with self._lock:
            if not delivery.is_fatal or self._sender is not sender:
                return
            self._sender = None
        sender.close()

    def _describe(self, names: Sequence[str]) -> dict[str, FoundTopic]:
        asked = self._admin.describe_topics(TopicCollection(list(names)), request_timeout=_ANSWER_SECONDS)
        described = {name: topic for name, answer in asked.items() if (topic := _existing(answer))}
        return {name: FoundTopic(*_shape(topic), self._settings(name)) for name, topic in described.items()}

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

    def _offsets(self, partitions: Collection[TopicPartition], *, at_end: bool) -> dict[TopicPartition, int]:
        if not partitions:
            return {}
        spec = OffsetSpec.latest() if at_end else OffsetSpec.earliest()
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


class _Sender:
    """A producer, and the thread on which it tells what became of its messages."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._producer = Producer(settings)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="kafka deliveries", daemon=True)
        self._thread.start()

    def send(self, message: Message, partitions: int, done: Callable[[Any, Any], None]) -> None:
        """Raises TransientError: too much waits already."""
        deadline = time.monotonic() + _DELIVERY_SECONDS
        while not self._is_taken(message, partitions, done):
            if time.monotonic() > deadline:
                raise TransientError("Kafka takes no records; it is tried again")
            self._stopping.wait(SLICE_SECONDS)

    def _is_taken(self, message: Message, partitions: int, done: Callable[[Any, Any], None]) -> bool:
        try:
            self._producer.produce(
                message.topic,
                value=message.value,
                key=message.key,
                headers=list(message.headers),
                partition=partition_of(message.key, partitions),
                on_delivery=done,
            )
        except BufferError:
            return False
        return True

    def close(self) -> None:
        self._stopping.set()
        self._thread.join()
        self._producer.flush(_ANSWER_SECONDS)

    def _serve(self) -> None:
        while not self._stopping.is_set():
            self._producer.poll(SLICE_SECONDS)


class _Delivery:
    """What became of the messages of one publish."""

    def __init__(self, count: int) -> None:
        self._done: list[Any] = [None] * count
        self._open = count
        self._failure: KafkaError | None = None
        self._is_over = threading.Event()

    def note(self, number: int, failure: KafkaError | None, message: Any) -> None:  # noqa: ANN401
        """Called on the sender's thread."""
        self._done[number] = message
        self._failure = self._failure or failure
        self._open -= 1
        if not self._open:
            self._is_over.set()

    @property
    def is_fatal(self) -> bool:
        return self._failure is not None and self._failure.fatal()

    def wait(self) -> None:
        if self._done:
            self._is_over.wait(_DELIVERY_SECONDS + 1)

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


class ConfluentGroupConsumer(BrokerConsumer):
    """All callbacks of the client run within `poll`, on the caller's thread.

    The client is told nothing of partitions that come, until their stored positions are loaded: then it is given all
    partitions anew, each with the position where we are.
    """

    def __init__(
        self, bus: ConfluentBus, client: Consumer, topics: Sequence[str], load_positions: LoadPositions
    ) -> None:
        super().__init__(bus)
        self._client = client
        self._load_positions = load_positions
        self._came: set[TopicPartition] = set()
        self._positions: dict[TopicPartition, int] = {}
        client.subscribe(list(topics), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_revoke)

    def assignment(self) -> frozenset[TopicPartition]:
        return frozenset(self._positions)

    def seek(self, positions: Positions) -> None:
        ours = {partition: position for partition, position in positions.items() if partition in self._positions}
        if ours:
            self._positions |= ours
            self._assign_anew()

    def report(self, positions: Positions) -> None:
        offsets = [Place(*each, position) for each, position in positions.items() if each in self._positions]
        with suppress(KafkaException, RuntimeError):
            if offsets:
                self._client.commit(offsets=offsets, asynchronous=True)

    def _leave(self) -> None:
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
        with _errors():
            self._client.assign([Place(*partition, position) for partition, position in self._positions.items()])

    def _fetch(self, seconds: float, max_records: int) -> list[Record]:
        with _errors():
            try:
                messages = _fetched(self._client, max(_SHORTEST_POLL_SECONDS, seconds), max_records)
            except KafkaException as error:
                if error.args[0].code() != KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001  # its public name
                    self._assign_anew()  # what came before the error was not handed out
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
