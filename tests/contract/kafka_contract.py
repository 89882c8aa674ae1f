"""What a bus on Kafka keeps besides, whichever client it uses."""

import threading
import time
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from kafka import KafkaAdminClient
from kafka import TopicPartition as Place
from kafka.admin import NewTopic

from services.shared.bus import BusConsumer, EventBus, Message, Positions, TopicPartition
from services.shared.errors import IncompatibleStoreError, TransientError
from services.shared.events.topics import Topic
from tests.contract.bus_contract import (
    PATIENCE_SECONDS,
    SHORT_SECONDS,
    EventBusContract,
    MakeBus,
    collect,
    numbered,
    poll_until,
)
from tests.servers.kafka import KafkaServer
from tests.servers.process import HOST, free_port

KEYS = 5
STEPS = 200


class Publisher:
    """Publishes numbered messages, three at a time, until it is told to stop; tries again what failed."""

    def __init__(self, bus: EventBus, topic: str) -> None:
        self._bus = bus
        self._topic = topic
        self.published = 0
        self.failures = 0
        self.is_stopping = threading.Event()

    def run(self) -> None:
        while not self.is_stopping.is_set():
            numbers = range(self.published, self.published + 3)
            messages = [Message(self._topic, b"key-%d" % (number % KEYS), b"%d" % number) for number in numbers]
            try:
                self._bus.publish(messages)
            except TransientError:
                self.failures += 1
            else:
                self.published += 3


class KafkaBusContract(EventBusContract):
    @abstractmethod
    def open_bus(self, server: str) -> EventBus: ...

    @pytest.fixture
    def make_bus(self, kafka_server: KafkaServer) -> MakeBus:
        return lambda: self.open_bus(kafka_server.bootstrap)

    @pytest.fixture
    def admin(self, kafka_server: KafkaServer) -> Iterator[KafkaAdminClient]:
        admin = KafkaAdminClient(bootstrap_servers=kafka_server.bootstrap)
        yield admin
        admin.close()

    @pytest.mark.slow
    @pytest.mark.parametrize("how", ["stop", "kill"])
    def test_a_broker_that_restarts_loses_and_reorders_nothing(
        self, kafka_server: KafkaServer, bus: EventBus, topic: str, join: Callable[..., BusConsumer], how: str
    ) -> None:
        publisher = Publisher(bus, topic)
        consumer = join()
        seen: defaultdict[bytes, list[int]] = defaultdict(list)

        def read_until(condition: Callable[[], bool]) -> None:
            deadline = time.monotonic() + 2 * PATIENCE_SECONDS
            while not condition():
                assert time.monotonic() < deadline, f"{sum(map(len, seen.values()))} records came"
                try:
                    for record in consumer.poll(SHORT_SECONDS, 500):
                        seen[record.key].append(int(record.value))
                except TransientError:
                    continue

        def numbers() -> set[int]:
            return {number for found in seen.values() for number in found}

        def highest() -> int:
            return max(numbers(), default=-1)

        with ThreadPoolExecutor(1) as threads:
            publishing = threads.submit(publisher.run)
            try:
                read_until(lambda: highest() > STEPS)
                getattr(kafka_server, how)()
                kafka_server.start()
                reached = publisher.published
                read_until(lambda: highest() > reached + STEPS)
            finally:
                publisher.is_stopping.set()
                publishing.result()
                if not kafka_server.running:
                    kafka_server.start()
        confirmed = range(publisher.published)
        read_until(lambda: numbers() >= set(confirmed))
        for key in range(KEYS):
            first_comings = dict.fromkeys(seen[b"key-%d" % key])  # what was published again came again
            assert [number for number in first_comings if number in confirmed] == list(confirmed[key::KEYS])

    def test_a_consumer_stops_before_a_hole(
        self, bus: EventBus, topic: str, admin: KafkaAdminClient, join: Callable[..., BusConsumer]
    ) -> None:
        place = _hole(bus, topic, admin)
        consumer = join(lambda _: {place: 4})
        with pytest.raises(IncompatibleStoreError, match=r"is 4, but the bus begins at 8"):
            poll_until(lambda: False, consumer)

    def test_a_new_group_does_not_begin_after_a_hole(
        self, bus: EventBus, topic: str, admin: KafkaAdminClient, join: Callable[..., BusConsumer]
    ) -> None:
        _hole(bus, topic, admin)
        with pytest.raises(IncompatibleStoreError, match=r"is 0, but the bus begins at 8"):
            poll_until(lambda: False, join())

    def test_a_consumer_stops_when_records_go_while_it_reads(
        self, bus: EventBus, topic: str, admin: KafkaAdminClient, join: Callable[..., BusConsumer]
    ) -> None:
        consumer = join()
        poll_until(lambda: bool(consumer.assignment()), consumer)
        place = _hole(bus, topic, admin)
        consumer.seek({place: 4})
        with pytest.raises(IncompatibleStoreError, match=r"is 4, but the bus begins at 8"):
            poll_until(lambda: False, consumer)

    @pytest.mark.parametrize("stored", [pytest.param({}, id="a new group"), pytest.param({0: 4}, id="a known group")])
    def test_where_records_expire_reading_goes_on_at_the_first_that_is_left(
        self, bus: EventBus, admin: KafkaAdminClient, group: str, stored: dict[int, int]
    ) -> None:
        name = f"contract-{uuid4()}"
        bus.ensure_topics([Topic(name, partitions=1, retention_days=30)])
        place = _hole(bus, name, admin)

        def positions(_partitions: Collection[TopicPartition]) -> Positions:
            return {TopicPartition(name, number): position for number, position in stored.items()}

        consumer = bus.consumer(group, [name], positions)
        try:
            assert [record.offset for record in collect(consumer, 2)] == [8, 9]
            consumer.seek({place: 4})
            assert [record.offset for record in collect(consumer, 2)] == [8, 9]
        finally:
            consumer.close()
        assert [record.offset for record in bus.read(place, 0, 10)] == [8, 9]

    @pytest.mark.parametrize(
        ("settings", "sentence"),
        [
            pytest.param({}, "message.timestamp.type is CreateTime, expected LogAppendTime", id="as made by others"),
            pytest.param({"cleanup.policy": "compact"}, "cleanup.policy is compact, expected delete", id="compacted"),
            pytest.param({"retention.ms": "604800000"}, "retention.ms is 604800000, expected -1", id="a week"),
            pytest.param({"retention.bytes": "1000"}, "retention.bytes is 1000, expected -1", id="a size"),
            pytest.param({"max.message.bytes": "1000"}, "max.message.bytes is 1000, expected at least", id="small"),
        ],
    )
    def test_a_topic_that_others_made_is_checked(
        self, bus: EventBus, admin: KafkaAdminClient, settings: dict[str, str], sentence: str
    ) -> None:
        name = f"contract-{uuid4()}"
        right = {"message.timestamp.type": "LogAppendTime", "retention.ms": "-1"} if settings else {}
        admin.create_topics([NewTopic(name, 1, 1, topic_configs=right | settings)], wait_for_metadata=True)
        with pytest.raises(IncompatibleStoreError, match=f"topic {name}: {sentence}"):
            bus.ensure_topics([Topic(name)])

    def test_the_bus_has_the_name_of_the_cluster(self, bus: EventBus, admin: KafkaAdminClient) -> None:
        assert bus.cluster_id == admin.describe_cluster()["cluster_id"]

    @abstractmethod
    def lose_patience(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let the client wait for a second only."""

    def test_a_broker_that_is_away_is_a_matter_of_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lose_patience(monkeypatch)
        with pytest.raises(TransientError, match="tried again"):
            self.open_bus(f"{HOST}:{free_port()}")


def _hole(bus: EventBus, topic: str, admin: KafkaAdminClient) -> TopicPartition:
    """Ten records in one partition, of which the first eight are gone."""
    record = bus.publish(numbered(topic, 10, keys=1))[0]
    admin.delete_records({Place(topic, record.partition): 8})
    return TopicPartition(topic, record.partition)
