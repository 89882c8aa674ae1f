from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.shared.bus import Message, TopicPartition
from services.shared.bus.groups import Bounds, Member, checked_position, share
from services.shared.bus.memory import MemoryBus
from services.shared.errors import IncompatibleStoreError, TransientError
from services.shared.events.topics import Topic

TOPICS = ("a", "b", "c")
PLACE = TopicPartition("t", 3)
everything = st.dictionaries(st.sampled_from(TOPICS), st.integers(1, 9)).map(
    lambda counts: [TopicPartition(topic, number) for topic, count in counts.items() for number in range(count)]
)


class TestSharing:
    @given(partitions=everything, old=st.integers(0, 5), new=st.integers(1, 5))
    def test_is_even_and_moves_no_more_than_it_must(self, partitions: list[TopicPartition], old: int, new: int) -> None:
        members = [Member(TOPICS) for _ in range(max(old, new))]
        before = share(partitions, members[:old], {})
        after = share(partitions, members[:new], before)
        assert after.keys() == set(partitions)
        loads = Counter(after.values())
        assert max(loads.values(), default=0) - min((loads[member] for member in members[:new]), default=0) <= 1
        moved = sum(before.get(partition) is not owner for partition, owner in after.items())
        stayed = sum(min(Counter(before.values())[member], loads[member]) for member in members[:new])
        assert moved <= len(partitions) - stayed

    @given(partitions=everything, wanted=st.lists(st.sets(st.sampled_from(TOPICS)), max_size=5))
    def test_gives_a_topic_only_to_who_wants_it(self, partitions: list[TopicPartition], wanted: list[set[str]]) -> None:
        members = [Member(topics) for topics in wanted]
        shared = share(partitions, members, {})
        assert all(partition.topic in owner.topics for partition, owner in shared.items())
        assert shared.keys() == {p for p in partitions if any(p.topic in member.topics for member in members)}


class TestPosition:
    @pytest.mark.parametrize(
        ("position", "bounds", "expected"),
        [
            pytest.param(0, Bounds(0, 0, expires=False), 0, id="nothing there yet"),
            pytest.param(10, Bounds(0, 10, expires=False), 10, id="at the end"),
            pytest.param(5, Bounds(5, 10, expires=False), 5, id="at the start"),
            pytest.param(4, Bounds(5, 10, expires=True), 5, id="expired by right"),
            pytest.param(0, Bounds(10, 10, expires=True), 10, id="all expired by right"),
        ],
    )
    def test_goes_on_where_nothing_is_left_out(self, position: int, bounds: Bounds, expected: int) -> None:
        assert checked_position(PLACE, position, bounds) == expected

    @pytest.mark.parametrize(
        ("position", "bounds", "sentence"),
        [
            pytest.param(11, Bounds(0, 10, expires=False), "t/3 is 11, but the bus ends at 10", id="beyond the end"),
            pytest.param(11, Bounds(0, 10, expires=True), "t/3 is 11, but the bus ends at 10", id="beyond, expiring"),
            pytest.param(4, Bounds(5, 10, expires=False), "t/3 is 4, but the bus begins at 5", id="before the start"),
        ],
    )
    def test_is_refused_where_records_are_missing(self, position: int, bounds: Bounds, sentence: str) -> None:
        with pytest.raises(IncompatibleStoreError, match=sentence):
            checked_position(PLACE, position, bounds)


class TestConsumer:
    def test_whose_positions_cannot_be_loaded_asks_again(self) -> None:
        bus = MemoryBus(partitions=2)
        bus.ensure_topics([Topic("t")])
        bus.publish([Message("t", b"k", b"v")])
        answers = iter([TransientError("the database is away"), None])

        def stored(_partitions: object) -> dict[TopicPartition, int]:
            if answer := next(answers):
                raise answer
            return {}

        consumer = bus.consumer("g", ["t"], stored)
        with pytest.raises(TransientError, match="database is away"):
            consumer.poll(0.0, 10)
        assert consumer.assignment() == frozenset()
        assert len(consumer.poll(0.0, 10)) == 1

    def test_that_fails_while_fetching_leaves_nothing_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        bus = MemoryBus(partitions=8)
        bus.ensure_topics([Topic("t")])
        bus.publish([Message("t", b"%d" % number, b"v") for number in range(50)])
        consumer = bus.consumer("g", ["t"], lambda _: {})
        fetch, calls = bus.fetch, Counter[str]()

        def fetch_or_fail(partition: TopicPartition, offset: int, limit: int) -> object:
            calls["all"] += 1
            if calls["all"] == 4:
                raise TransientError("busy")
            return fetch(partition, offset, limit)

        monkeypatch.setattr(bus, "fetch", fetch_or_fail)
        with pytest.raises(TransientError):
            consumer.poll(0.0, 100)
        assert len(consumer.poll(0.0, 100)) == 50

    def test_takes_turns_between_partitions(self) -> None:
        bus = MemoryBus(partitions=2)
        bus.ensure_topics([Topic("t")])
        bus.publish([Message("t", b"%d" % number, b"v") for number in range(100)])
        consumer = bus.consumer("g", ["t"], lambda _: {})
        assert {consumer.poll(0.0, 5)[0].partition for _ in range(2)} == {0, 1}
