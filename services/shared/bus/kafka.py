"""Apache Kafka 4 through kafka-python 3.

The client does its network work on threads of its own, and calls the rebalance listener there. Nothing is loaded on
those threads: partitions that come are paused at once, and read on from the stored positions in the next `poll`.

Where the client would quietly jump (`auto_offset_reset`), it is told to raise instead: a topic that lost records stops
the consumer. The time of a record is the broker's; keep the brokers' clocks from being set back.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

import kafka
from kafka.admin import ConfigResource
from kafka.errors import (
    KafkaError,
    NoError,
    OffsetOutOfRangeError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
    for_code,
)

from services.shared.bus import BusConsumer, LoadPositions, Message, Positions, Record, TopicPartition, partition_of
from services.shared.bus.broker import BrokerBus, BrokerConsumer
from services.shared.bus.groups import checked_position
from services.shared.bus.kafka_errors import translated
from services.shared.bus.kafka_topics import MAX_BATCH_BYTES, FoundTopic, settings_of
from services.shared.bus.messages import check_sizes, moment_of
from services.shared.errors import TransientError
from services.shared.events.topics import Topic

_CONNECT_MILLISECONDS = 10_000
_CLOSE_SECONDS = 5.0
_DELIVERY_MILLISECONDS = 30_000
_SHORTEST_POLL_MILLISECONDS = 100  # kafka-python starves joining members of a group when polled without waiting

_COMMON: dict[str, Any] = {
    "bootstrap_timeout_ms": _CONNECT_MILLISECONDS,
    "request_timeout_ms": _CONNECT_MILLISECONDS,
    "metadata_max_age_ms": 60_000,
    "reconnect_backoff_max_ms": 1_000,  # with the default of 30 s a consumer sleeps on after the broker is back
}
_PRODUCER: dict[str, Any] = {
    "acks": "all",
    "enable_idempotence": True,
    "compression_type": "lz4",
    "linger_ms": 0,  # records that come together go together anyway; who waits for an answer shall not wait longer
    "batch_size": 256 * 1024,
    "max_request_size": MAX_BATCH_BYTES,
    "delivery_timeout_ms": _DELIVERY_MILLISECONDS,
    "max_block_ms": _CONNECT_MILLISECONDS,
    "allow_auto_create_topics": False,
    "metrics_enabled": False,
}
_CONSUMER: dict[str, Any] = {
    "enable_auto_commit": False,
    "auto_offset_reset": "none",
    "allow_auto_create_topics": False,
    "session_timeout_ms": 15_000,
    "heartbeat_interval_ms": 1_000,  # how soon a member learns that another one came
    "max_partition_fetch_bytes": 4 * 1024 * 1024,
    "metrics_enabled": False,
}


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except KafkaError as error:
        raise translated(type(error).__name__, retriable=error.retriable) from error
    except OSError as error:
        raise TransientError(f"the connection to Kafka failed ({type(error).__name__}); it is tried again") from error


class KafkaBus(BrokerBus):
    """One connection for administration, one producer; each consumer has its own."""

    def __init__(self, servers: Sequence[str], partitions: int = 6, replicas: int = 1) -> None:
        super().__init__(partitions, replicas)
        self._servers = list(servers)
        self._reading = threading.Lock()
        self._reader: Any = None
        with _errors():
            self._admin = kafka.KafkaAdminClient(bootstrap_servers=self._servers, **_COMMON)
            self.cluster_id: str = self._admin.describe_cluster()["cluster_id"]
            self._producer = kafka.KafkaProducer(bootstrap_servers=self._servers, **_COMMON, **_PRODUCER)

    def publish(self, messages: Sequence[Message]) -> Sequence[Record]:
        check_sizes(messages)
        with self._work():
            counts = {topic: self._topic(topic).partitions for topic in {message.topic for message in messages}}
            sent = [self._send(message, counts[message.topic]) for message in messages]
            done = [future.get(_DELIVERY_MILLISECONDS / 1000) for future in sent]
        return [
            Record(m.topic, at.partition, at.offset, m.key, m.value, m.headers, moment_of(at.timestamp))
            for m, at in zip(messages, done, strict=True)
        ]

    def consumer(self, group: str, topics: Sequence[str], load_positions: LoadPositions) -> BusConsumer:
        with self._work():
            for topic in topics:
                self._topic(topic)
            client = kafka.KafkaConsumer(bootstrap_servers=self._servers, group_id=group, **_COMMON, **_CONSUMER)
            return KafkaGroupConsumer(self, client, topics, load_positions)

    def close(self) -> None:
        self._closed.set()
        with suppress(KafkaError, OSError):
            self._producer.close(_CLOSE_SECONDS)
        with suppress(KafkaError, OSError):
            self._admin.close()
        with self._reading:
            if self._reader is not None:
                self._reader.close(autocommit=False)
                self._reader = None

    def _errors(self) -> AbstractContextManager[None]:
        return _errors()

    def _send(self, message: Message, partitions: int) -> Any:  # noqa: ANN401  # the client has no types
        return self._producer.send(
            message.topic,
            value=message.value,
            key=message.key,
            headers=list(message.headers),
            # Not the client's own choice: its hash is written in Python, and differs from that of other clients.
            partition=partition_of(message.key, partitions),
        )

    def _describe(self, names: Sequence[str]) -> dict[str, FoundTopic]:
        described = {topic["name"]: topic for topic in self._admin.describe_topics(list(names))}
        there = [name for name in names if _exists(described[name]["error_code"])]
        resources = [ConfigResource("topic", name) for name in there]
        settings = self._admin.describe_configs(resources, config_filter="all")["topic"] if there else {}
        return {name: _found_topic(described[name], settings[name]) for name in there}

    def _create(self, topics: Sequence[Topic]) -> None:
        for topic in topics:
            wanted = {
                "num_partitions": topic.partitions or self._default_partitions,
                "replication_factor": self._replicas,
                "configs": settings_of(topic, self._replicas),
            }
            with suppress(TopicAlreadyExistsError):  # another process was faster; what it made is checked
                self._admin.create_topics({topic.name: wanted})

    def _offsets(self, partitions: Collection[TopicPartition], *, at_end: bool) -> dict[TopicPartition, int]:
        spec = kafka.OffsetSpec.LATEST if at_end else kafka.OffsetSpec.EARLIEST
        asked = {kafka.TopicPartition(*partition): spec for partition in partitions}
        found = self._admin.list_partition_offsets(asked) if asked else {}
        return {TopicPartition(*partition): at.offset for partition, at in found.items()}

    def _read(self, partition: TopicPartition, start: int, end: int, limit: int) -> list[Record]:
        name = kafka.TopicPartition(*partition)
        found: list[Record] = []
        deadline = time.monotonic() + _DELIVERY_MILLISECONDS / 1000
        with self._reading:
            if self._reader is None:
                self._reader = kafka.KafkaConsumer(bootstrap_servers=self._servers, **_COMMON, **_CONSUMER)
            self._reader.assign([name])
            self._reader.seek(name, start)
            while len(found) < limit and self._reader.position(name) < end:
                if time.monotonic() > deadline:
                    raise TransientError(f"Kafka gives no records of {partition.topic}; it is tried again")
                batch = self._reader.poll(timeout_ms=1000, max_records=limit - len(found))
                found += [_record(record) for record in batch.get(name, ()) if record.offset < end]
        return found


class _Arrivals(kafka.ConsumerRebalanceListener):  # type: ignore[misc]  # published without types
    """Partitions that came and are not read yet. Called on the client's thread, asked on the consumer's."""

    def __init__(self, client: Any) -> None:  # noqa: ANN401
        self._client = client
        self._lock = threading.Lock()
        self._waiting: dict[TopicPartition, int] = {}
        self._ready: set[TopicPartition] = set()
        self._round = 0

    def on_partitions_assigned(self, assigned: Collection[Any]) -> None:
        with self._lock:
            self._round += 1
            for name in assigned:
                # Paused, and with some position, so that the client neither fetches nor looks for one of its own.
                self._client.pause(name)
                self._client.seek(name, 0)
                self._waiting[TopicPartition(*name)] = self._round

    def on_partitions_revoked(self, revoked: Collection[Any]) -> None:
        with self._lock:
            for name in revoked:
                self._waiting.pop(TopicPartition(*name), None)
                self._ready.discard(TopicPartition(*name))

    def waiting(self) -> dict[TopicPartition, int]:
        """Partition → in which round of the group it came."""
        with self._lock:
            return dict(self._waiting)

    def ready(self) -> frozenset[TopicPartition]:
        with self._lock:
            return frozenset(self._ready)

    def begin(self, came: Mapping[TopicPartition, int], positions: Positions) -> None:
        """Read these from there on, unless they were taken away meanwhile."""
        with self._lock:
            for partition, in_round in came.items():
                if self._waiting.get(partition) == in_round:
                    name = kafka.TopicPartition(*partition)
                    self._client.seek(name, positions[partition])
                    self._client.resume(name)
                    self._ready.add(partition)
                    del self._waiting[partition]

    def move(self, positions: Positions) -> None:
        with self._lock:
            for partition in positions.keys() & self._ready:
                self._client.seek(kafka.TopicPartition(*partition), positions[partition])


class KafkaGroupConsumer(BrokerConsumer):
    """Reads what `_Arrivals` has begun."""

    def __init__(self, bus: KafkaBus, client: Any, topics: Sequence[str], load_positions: LoadPositions) -> None:  # noqa: ANN401
        super().__init__(bus)
        self._client = client
        self._load_positions = load_positions
        self._arrivals = _Arrivals(client)
        client.subscribe(topics=list(topics), listener=self._arrivals)
        for topic in topics:
            # Waits for the metadata: a member that shares out partitions without it gives none to anybody at first.
            client.partitions_for_topic(topic)

    def assignment(self) -> frozenset[TopicPartition]:
        return self._arrivals.ready()

    def seek(self, positions: Positions) -> None:
        self._arrivals.move(positions)

    def report(self, positions: Positions) -> None:
        ours = self._arrivals.ready()
        offsets = {
            kafka.TopicPartition(*partition): kafka.OffsetAndMetadata(position, "", -1)
            for partition, position in positions.items()
            if partition in ours
        }
        with suppress(KafkaError, OSError):
            if offsets and not self._is_closed:
                self._client.commit_async(offsets)

    def _leave(self) -> None:
        with suppress(KafkaError, OSError):
            self._client.close(autocommit=False, timeout_ms=int(_CLOSE_SECONDS * 1000))
        self._arrivals.on_partitions_revoked(self._arrivals.ready())

    def _settle(self) -> None:
        came = self._arrivals.waiting()
        if came:
            stored = self._load_positions(came.keys())
            bounds = self._bus.bounds(came.keys())
            start = {p: checked_position(p, stored.get(p, 0), held) for p, held in bounds.items()}
            self._arrivals.begin(came, start)

    def _fetch(self, seconds: float, max_records: int) -> list[Record]:
        wait = max(_SHORTEST_POLL_MILLISECONDS, int(seconds * 1000))
        with _errors():
            try:
                batches = self._client.poll(timeout_ms=wait, max_records=max_records)
            except OffsetOutOfRangeError as error:
                self._check_positions(error.args[0])
                return []
        ready = self._arrivals.ready()
        return [_record(record) for name, batch in batches.items() if tuple(name) in ready for record in batch]

    def _check_positions(self, positions: Mapping[Any, int]) -> None:
        """Records went while we read: read on where they expire by right, else stop."""
        ours = {TopicPartition(*name): position for name, position in positions.items()}
        bounds = self._bus.bounds(ours.keys())
        self.seek({each: checked_position(each, position, bounds[each]) for each, position in ours.items()})


def _record(found: Any) -> Record:  # noqa: ANN401
    return Record(
        found.topic,
        found.partition,
        found.offset,
        bytes(found.key or b""),
        bytes(found.value or b""),
        tuple((name, value or b"") for name, value in found.headers),
        moment_of(found.timestamp),
    )


def _found_topic(described: Mapping[str, Any], settings: Mapping[str, Mapping[str, Any]]) -> FoundTopic:
    replicas: defaultdict[int, int] = defaultdict(int)
    for partition in described["partitions"]:
        replicas[partition["partition_index"]] = len(partition["replica_nodes"])
    values = {name: str(setting["value"]) for name, setting in settings.items()}
    return FoundTopic(len(replicas), min(replicas.values(), default=0), values)


def _exists(error_code: int) -> bool:
    error = for_code(error_code)
    if error not in (NoError, UnknownTopicOrPartitionError):
        raise error
    return error is NoError
