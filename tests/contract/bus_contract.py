"""What every event bus keeps, whatever carries it. An adapter's test inherits this class and says how it is opened."""

import threading
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from uuid import uuid4

import pytest

from services.shared.bus import BusConsumer, EventBus, Message, Positions, Record, TopicPartition
from services.shared.errors import ConfigurationError, IncompatibleStoreError, InvalidEventError, PlatformError
from services.shared.events.topics import Topic

PARTITIONS = 4
PATIENCE_SECONDS = 30.0
SHORT_SECONDS = 0.2

MakeBus = Callable[[], EventBus]


def from_start(_partitions: Collection[TopicPartition]) -> Positions:
    return {}


def numbered(topic: str, count: int, keys: int = 20) -> list[Message]:
    """Messages whose value is their number; every key comes again and again."""
    return [Message(topic, b"key-%d" % (number % keys), b"%d" % number) for number in range(count)]


def collect(consumer: BusConsumer, count: int, at_once: int = 1000) -> list[Record]:
    """Poll until so many records came."""
    found: list[Record] = []
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(found) < count:
        assert time.monotonic() < deadline, f"{len(found)} of {count} records came"
        found += consumer.poll(SHORT_SECONDS, at_once)
    return found


def poll_until(condition: Callable[[], bool], *consumers: BusConsumer) -> list[Record]:
    """Poll all of them in turn until the condition holds; what they read meanwhile."""
    found: list[Record] = []
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the group did not settle"
        for consumer in consumers:
            found += consumer.poll(SHORT_SECONDS, 1000)
    return found


def where(records: Sequence[Record]) -> list[tuple[int, int]]:
    return sorted((record.partition, record.offset) for record in records)


class EventBusContract(ABC):
    @pytest.fixture
    @abstractmethod
    def make_bus(self) -> MakeBus:
        """Open the bus of this test; called again, open the same bus once more."""

    @pytest.fixture
    def bus(self, make_bus: MakeBus) -> Iterator[EventBus]:
        bus = make_bus()
        yield bus
        bus.close()

    @pytest.fixture
    def topic(self, bus: EventBus) -> str:
        """A new topic with four partitions."""
        name = f"contract-{uuid4()}"
        bus.ensure_topics([Topic(name, partitions=PARTITIONS)])
        return name

    @pytest.fixture
    def group(self) -> str:
        return f"group-{uuid4()}"

    @pytest.fixture
    def join(self, bus: EventBus, topic: str, group: str) -> Iterator[Callable[..., BusConsumer]]:
        """Join the test's group; all members leave after the test."""
        members: list[BusConsumer] = []

        def join(positions: Callable[[Collection[TopicPartition]], Positions] = from_start) -> BusConsumer:
            members.append(bus.consumer(group, [topic], positions))
            return members[-1]

        yield join
        for member in members:
            member.close()

    def test_records_of_one_key_keep_their_order(
        self, bus: EventBus, topic: str, join: Callable[..., BusConsumer]
    ) -> None:
        messages = numbered(topic, 300)
        for start in range(0, 300, 37):
            bus.publish(messages[start : start + 37])
        read = collect(join(), 300)
        by_key = defaultdict(list)
        for record in read:
            by_key[record.key].append(int(record.value))
        assert by_key == {b"key-%d" % key: list(range(key, 300, 20)) for key in range(20)}

    def test_publishing_returns_the_records_that_will_be_read(
        self, bus: EventBus, topic: str, join: Callable[..., BusConsumer]
    ) -> None:
        published = bus.publish(numbered(topic, 50))
        assert [record.value for record in published] == [b"%d" % number for number in range(50)]
        assert sorted(collect(join(), 50)) == sorted(published)

    def test_one_key_stays_in_one_partition_and_many_keys_use_them_all(self, bus: EventBus, topic: str) -> None:
        published = bus.publish(numbered(topic, 400, keys=100))
        partitions = defaultdict(set)
        for record in published:
            partitions[record.key].add(record.partition)
        assert all(len(found) == 1 for found in partitions.values())
        assert {record.partition for record in published} == set(range(PARTITIONS))

    def test_publishing_nothing_is_nothing(self, bus: EventBus) -> None:
        assert list(bus.publish([])) == []

    def test_a_thousand_records_in_one_publish(self, bus: EventBus, topic: str) -> None:
        assert len(bus.publish(numbered(topic, 1000))) == 1000
        assert sum(bus.end_positions([topic]).values()) == 1000

    def test_a_new_group_begins_at_the_earliest_record(
        self, bus: EventBus, topic: str, join: Callable[..., BusConsumer]
    ) -> None:
        published = bus.publish(numbered(topic, 20))
        assert where(collect(join(), 20)) == where(published)

    def test_reading_resumes_after_a_position(
        self, bus: EventBus, topic: str, join: Callable[..., BusConsumer]
    ) -> None:
        bus.publish(numbered(topic, 100))
        done = bus.end_positions([topic])
        later = bus.publish(numbered(topic, 40))
        asked: list[Collection[TopicPartition]] = []

        def stored(partitions: Collection[TopicPartition]) -> Positions:
            asked.append(partitions)
            return {partition: done[partition] for partition in partitions}

        assert where(collect(join(stored), 40)) == where(later)
        assert sorted(partition for each in asked for partition in each) == sorted(done)

    def test_what_was_reported_does_not_move_a_group(
        self, bus: EventBus, topic: str, join: Callable[..., BusConsumer]
    ) -> None:
        published = bus.publish(numbered(topic, 20))
        first = join()
        collect(first, 20)
        first.report(bus.end_positions([topic]))
        first.report({TopicPartition("another", 7): 3})
        first.close()
        first.report(bus.end_positions([topic]))
        assert where(collect(join(), 20)) == where(published)

    def test_seeking_back_reads_again(self, bus: EventBus, topic: str, join: Callable[..., BusConsumer]) -> None:
        bus.publish(numbered(topic, 60))
        consumer = join()
        first = collect(consumer, 60)
        consumer.seek({TopicPartition(topic, number): 0 for number in range(PARTITIONS)})
        assert where(collect(consumer, 60)) == where(first)

    def test_seeking_back_over_part_of_a_batch(
        self, bus: EventBus, topic: str, join: Callable[..., BusConsumer]
    ) -> None:
        published = bus.publish(numbered(topic, 200))
        consumer = join()
        first = collect(consumer, 7, at_once=7)
        consumer.seek({TopicPartition(r.topic, r.partition): r.offset for r in reversed(first)})
        assert where(collect(consumer, 200, at_once=13)) == where(published)

    def test_seeking_passes_over_partitions_of_others(
        self, bus: EventBus, topic: str, join: Callable[..., BusConsumer]
    ) -> None:
        published = bus.publish(numbered(topic, 20))
        consumer = join()
        first = collect(consumer, 1, at_once=1)
        consumer.seek({TopicPartition("another", 3): 17})
        assert where(first + collect(consumer, 19)) == where(published)

    def test_a_poll_gives_no_more_than_asked(self, bus: EventBus, topic: str, join: Callable[..., BusConsumer]) -> None:
        published = bus.publish(numbered(topic, 50))
        consumer = join()
        found: list[Record] = []
        while len(found) < 50:
            batch = consumer.poll(SHORT_SECONDS, 8)
            assert len(batch) <= 8
            found += batch
        assert where(found) == where(published)

    def test_a_poll_ends_without_records(self, join: Callable[..., BusConsumer]) -> None:
        consumer = join()
        assert list(consumer.poll(SHORT_SECONDS, 10)) == []

    def test_a_waiting_poll_gets_a_new_record_promptly(
        self, bus: EventBus, topic: str, join: Callable[..., BusConsumer]
    ) -> None:
        consumer = join()
        poll_until(lambda: len(consumer.assignment()) == PARTITIONS, consumer)
        with ThreadPoolExecutor(1) as threads:
            polling = threads.submit(consumer.poll, PATIENCE_SECONDS, 10)
            began = time.monotonic()
            bus.publish(numbered(topic, 1))
            assert len(polling.result()) == 1
        assert time.monotonic() - began < PATIENCE_SECONDS / 5

    def test_groups_read_independently(self, bus: EventBus, topic: str, join: Callable[..., BusConsumer]) -> None:
        published = bus.publish(numbered(topic, 30))
        other = bus.consumer(f"other-{uuid4()}", [topic], from_start)
        try:
            assert where(collect(join(), 30)) == where(collect(other, 30)) == where(published)
        finally:
            other.close()

    def test_a_group_reads_several_topics(self, bus: EventBus, topic: str, group: str) -> None:
        second = f"contract-{uuid4()}"
        bus.ensure_topics([Topic(second, partitions=1)])
        bus.publish([*numbered(topic, 10), *numbered(second, 10)])
        consumer = bus.consumer(group, [topic, second], from_start)
        try:
            assert {record.topic for record in collect(consumer, 20)} == {topic, second}
            assert len(consumer.assignment()) == PARTITIONS + 1
        finally:
            consumer.close()

    def test_two_members_share_and_hand_over(self, bus: EventBus, topic: str, join: Callable[..., BusConsumer]) -> None:
        everything = frozenset(TopicPartition(topic, number) for number in range(PARTITIONS))
        handled: dict[TopicPartition, int] = {}
        seen: list[Record] = []

        def stored(partitions: Collection[TopicPartition]) -> Positions:
            return {partition: handled[partition] for partition in partitions if partition in handled}

        def handle(records: Sequence[Record]) -> None:
            """As a consumer does: every record is counted once, and before the next poll."""
            for record in records:
                name = TopicPartition(record.topic, record.partition)
                assert record.offset == handled.get(name, 0), "a record was left out, or read twice"
                handled[name] = record.offset + 1
                seen.append(record)

        def settle(condition: Callable[[], bool], *members: BusConsumer) -> None:
            deadline = time.monotonic() + PATIENCE_SECONDS
            while not condition():
                assert time.monotonic() < deadline, "the group did not settle"
                for member in members:
                    handle(member.poll(SHORT_SECONDS, 5))
                    assert_none_reads_twice()

        def assert_none_reads_twice() -> None:
            assert not frozenset.intersection(*(member.assignment() for member in (first, second)))

        first = join(stored)
        second = first
        bus.publish(numbered(topic, 100))
        deadline = time.monotonic() + PATIENCE_SECONDS
        while first.assignment() != everything:
            assert time.monotonic() < deadline
            handle(first.poll(SHORT_SECONDS, 5))
        second = join(stored)
        settle(lambda: len(first.assignment()) == len(second.assignment()) == 2, first, second)
        assert first.assignment() | second.assignment() == everything
        bus.publish(numbered(topic, 100))
        settle(lambda: len(seen) == 200, first, second)
        bus.publish(numbered(topic, 100))
        first.close()
        settle(lambda: len(seen) == 300, second)
        assert second.assignment() == everything
        assert handled == bus.end_positions([topic])

    def test_a_partition_is_handed_over_only_when_its_owner_polls_again(
        self, bus: EventBus, topic: str, join: Callable[..., BusConsumer]
    ) -> None:
        first = join()
        poll_until(lambda: len(first.assignment()) == PARTITIONS, first)
        bus.publish(numbered(topic, 100))
        given = collect(first, 1)
        second = join()
        for _ in range(3):
            assert list(second.poll(SHORT_SECONDS, 100)) == []
            assert second.assignment() == frozenset()
        assert given
        poll_until(lambda: bool(second.assignment()), first, second)

    def test_a_partition_taken_away_gives_no_more_records(
        self, bus: EventBus, topic: str, join: Callable[..., BusConsumer]
    ) -> None:
        bus.publish(numbered(topic, 500, keys=100))
        first = join()
        poll_until(lambda: len(first.assignment()) == PARTITIONS, first)
        second = join()
        poll_until(lambda: bool(second.assignment()) and len(first.assignment()) < PARTITIONS, first, second)
        for _ in range(5):
            for member in (first, second):
                found = {TopicPartition(r.topic, r.partition) for r in member.poll(SHORT_SECONDS / 2, 3)}
                assert found <= member.assignment()

    def test_end_positions_name_every_partition(self, bus: EventBus, topic: str) -> None:
        everything = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        assert bus.end_positions([topic]) == dict.fromkeys(everything, 0)
        record = bus.publish(numbered(topic, 1))[0]
        assert bus.end_positions([topic]) == dict.fromkeys(everything, 0) | {TopicPartition(topic, record.partition): 1}

    def test_ingest_times_never_fall(self, bus: EventBus, topic: str) -> None:
        for _ in range(20):
            bus.publish(numbered(topic, 10))
        for number in range(PARTITIONS):
            times = [record.ingest_time for record in bus.read(TopicPartition(topic, number), 0, 1000)]
            assert all(earlier <= later for earlier, later in pairwise(times))
            assert all(moment.tzinfo is not None and moment.microsecond % 1000 == 0 for moment in times)

    @pytest.mark.parametrize(
        "message",
        [
            pytest.param(Message("", b"k", bytes(range(256)) * 234 + bytes(96)), id="60,000 bytes"),
            pytest.param(Message("", bytes(range(256)), b"\x00\xff\n\r"), id="binary key and value"),
            pytest.param(Message("", b"", b""), id="empty key and value"),
            pytest.param(Message("", b"k", b"v", (("content-type", b"a/b"),)), id="a header"),
            pytest.param(
                Message("", b"k", b"v", (("a", b"\x00\xff"), ("a", b""), ("ä", b"1"))), id="repeated, binary, empty"
            ),
            pytest.param(Message("", b"k", b"x" * 999_000), id="almost as large as may be"),
        ],
    )
    def test_a_message_comes_back_as_it_was(self, bus: EventBus, topic: str, message: Message) -> None:
        sent = Message(topic, message.key, message.value, message.headers)
        published = bus.publish([sent])[0]
        read = bus.read(TopicPartition(topic, published.partition), 0, 1)[0]
        assert (read.key, read.value, read.headers) == (sent.key, sent.value, sent.headers)
        assert read == published

    def test_a_message_that_is_too_large_is_refused_with_all_that_came_along(self, bus: EventBus, topic: str) -> None:
        with pytest.raises(InvalidEventError, match="at most 1000000"):
            bus.publish([*numbered(topic, 3), Message(topic, b"k", bytes(1_000_001))])
        assert sum(bus.end_positions([topic]).values()) == 0

    def test_reading_without_a_group(self, bus: EventBus, topic: str) -> None:
        partition = bus.publish(numbered(topic, 1, keys=1))[0].partition
        name = TopicPartition(topic, partition)
        bus.publish(numbered(topic, 49, keys=1))
        assert [record.offset for record in bus.read(name, 0, 10)] == list(range(10))
        assert [record.offset for record in bus.read(name, 10, 7)] == list(range(10, 17))
        assert [record.offset for record in bus.read(name, 45, 100)] == list(range(45, 50))
        assert list(bus.read(name, 50, 10)) == list(bus.read(name, 1000, 10)) == []

    def test_what_was_published_is_there_after_opening_again(
        self, bus: EventBus, topic: str, make_bus: MakeBus
    ) -> None:
        published = bus.publish(numbered(topic, 30))
        again = make_bus()
        try:
            read = [record for name in again.end_positions([topic]) for record in again.read(name, 0, 100)]
            assert again.cluster_id == bus.cluster_id
        finally:
            again.close()
        assert sorted(read) == sorted(published)

    def test_topics_may_be_ensured_again(self, bus: EventBus, topic: str) -> None:
        bus.publish(numbered(topic, 3))
        bus.ensure_topics([Topic(topic, partitions=PARTITIONS), Topic(topic)])
        assert sum(bus.end_positions([topic]).values()) == 3

    @pytest.mark.parametrize(
        ("wanted", "sentence"),
        [
            pytest.param({"partitions": 1}, "is 4, expected 1", id="another number of partitions"),
            pytest.param({"retention_days": 30}, "expected", id="another retention"),
        ],
    )
    def test_a_topic_of_other_settings_is_refused(
        self, bus: EventBus, topic: str, wanted: dict[str, int], sentence: str
    ) -> None:
        with pytest.raises(IncompatibleStoreError, match=rf"{topic}.*{sentence}"):
            bus.ensure_topics([Topic(topic, **wanted)])

    def test_a_topic_that_loses_records_is_refused(self, bus: EventBus) -> None:
        name = f"contract-{uuid4()}"
        bus.ensure_topics([Topic(name, retention_days=30)])
        bus.ensure_topics([Topic(name, retention_days=30)])
        with pytest.raises(IncompatibleStoreError, match=name):
            bus.ensure_topics([Topic(name)])

    def test_an_unknown_topic_is_named(self, bus: EventBus) -> None:
        name = f"never-made-{uuid4()}"
        calls: list[Callable[[], object]] = [
            lambda: bus.publish(numbered(name, 1)),
            lambda: bus.consumer("g", [name], from_start),
            lambda: bus.end_positions([name]),
            lambda: bus.read(TopicPartition(name, 0), 0, 1),
        ]
        for call in calls:
            with pytest.raises(ConfigurationError, match=name):
                call()

    def test_a_position_beyond_the_end_stops_the_consumer(
        self, bus: EventBus, topic: str, join: Callable[..., BusConsumer]
    ) -> None:
        bus.publish(numbered(topic, 10))
        consumer = join(lambda partitions: dict.fromkeys(partitions, 1000))
        with pytest.raises(IncompatibleStoreError, match=r"position of .* is 1000"):
            poll_until(lambda: False, consumer)

    def test_eight_threads_publish_at_once(self, bus: EventBus, topic: str, join: Callable[..., BusConsumer]) -> None:
        start = threading.Barrier(8)

        def publish(thread: int) -> None:
            start.wait()
            for number in range(25):
                bus.publish([Message(topic, b"thread-%d" % thread, b"%d" % number)])

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(publish, range(8)))
        by_key = defaultdict(list)
        for record in collect(join(), 200):
            by_key[record.key].append(int(record.value))
        assert by_key == {b"thread-%d" % thread: list(range(25)) for thread in range(8)}

    def test_closing_the_bus_wakes_who_waits(self, make_bus: MakeBus, bus: EventBus, topic: str, group: str) -> None:
        other = make_bus()
        consumer = other.consumer(group, [topic], from_start)
        poll_until(lambda: len(consumer.assignment()) == PARTITIONS, consumer)
        with ThreadPoolExecutor(1) as threads:
            polling = threads.submit(consumer.poll, PATIENCE_SECONDS, 10)
            began = time.monotonic()
            other.close()
            assert list(polling.result()) == []
        assert time.monotonic() - began < PATIENCE_SECONDS / 3
        consumer.close()
        with pytest.raises(PlatformError, match="closed"):
            other.publish(numbered(topic, 1))

    def test_a_closed_consumer_owns_nothing(self, bus: EventBus, join: Callable[..., BusConsumer]) -> None:
        consumer = join()
        poll_until(lambda: len(consumer.assignment()) == PARTITIONS, consumer)
        consumer.close()
        consumer.close()
        assert consumer.assignment() == frozenset()
