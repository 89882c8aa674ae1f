"""The relay: what waits in an outbox reaches the bus, in order, at least once, and nobody waits behind what cannot."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.shared.bus import Message, Record, TopicPartition
from services.shared.bus.memory import MemoryBus
from services.shared.clock import SteppedClock
from services.shared.errors import TransientError
from services.shared.events import CHARGES, TOPICS
from services.shared.relay import IDLE_SECONDS, OTHERS_SECONDS, BusRelay
from services.shared.store import OutgoingMessage
from services.shared.store.sqlite import SqliteStore
from tests.contract.store_samples import sqlite_store

NOW = datetime(2026, 11, 22, tzinfo=UTC)


class FlakyBus(MemoryBus):
    """Fails before or after it has written, as a broker behind a bad network does."""

    fault: str | None = None

    def publish(self, messages: Sequence[Message]) -> Sequence[Record]:
        if self.fault == "before":
            raise TransientError("the bus is away")
        records = super().publish(messages)
        if self.fault == "after":
            raise TransientError("the answer was lost")
        return records


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    made = sqlite_store(tmp_path / "sample.db")
    yield made
    made.close()


@pytest.fixture
def bus() -> FlakyBus:
    made = FlakyBus(SteppedClock(NOW), partitions=1)
    made.ensure_topics(TOPICS)
    return made


@pytest.fixture
def relay(store: SqliteStore, bus: FlakyBus) -> BusRelay:
    return BusRelay(store, bus, SteppedClock(NOW), batch_messages=4)


def fill(store: SqliteStore, *values: bytes) -> None:
    with store.transaction() as tx:
        tx.send([OutgoingMessage(f"m{v[:8]!r}{len(v)}", "bus", v, topic=CHARGES.name, key=b"k") for v in values])


def published(bus: MemoryBus) -> list[bytes]:
    return [record.value for record in bus.read(TopicPartition(CHARGES.name, 0), 0, 100)]


def test_messages_reach_the_bus_in_the_order_of_making(store: SqliteStore, bus: FlakyBus, relay: BusRelay) -> None:
    values = [bytes([65 + n]) for n in range(10)]
    fill(store, *values[:6])
    fill(store, *values[6:])
    assert [relay.step() for _ in range(4)] == [0.0, 0.0, 0.0, IDLE_SECONDS]
    assert published(bus) == values
    assert store.pending_counts() == {}


def test_other_destinations_are_not_its_business(store: SqliteStore, bus: FlakyBus, relay: BusRelay) -> None:
    with store.transaction() as tx:
        tx.send([OutgoingMessage("m", "mail", b"{}", recipient="finance")])
    assert relay.step() == IDLE_SECONDS
    assert store.pending_counts() == {("mail", "waiting"): 1}


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        pytest.param("before", [b"a", b"b"], id="nothing was written: once"),
        pytest.param("after", [b"a", b"b", b"a", b"b"], id="written and not told: again, with the same bytes"),
    ],
)
def test_when_the_bus_fails_everything_waits_and_goes_again(
    store: SqliteStore, bus: FlakyBus, relay: BusRelay, fault: str, expected: list[bytes]
) -> None:
    fill(store, b"a", b"b")
    bus.fault = fault
    with pytest.raises(TransientError):
        relay.step()
    bus.fault = None
    relay.step()
    assert published(bus) == expected
    assert store.pending_counts() == {}


def test_what_the_bus_can_never_take_is_given_up_and_the_others_go_on(
    store: SqliteStore, bus: FlakyBus, relay: BusRelay, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(store, b"a", b"x" * 1_100_000, b"b")
    relay.step()
    assert published(bus) == [b"a", b"b"]
    assert store.pending_counts() == {("bus", "given_up"): 1}
    assert "given up" in "".join(capsys.readouterr())


def test_while_another_works_it_waits(store: SqliteStore, bus: FlakyBus, relay: BusRelay) -> None:
    fill(store, b"a")
    with store.exclusive("relay"):
        assert relay.step() == OTHERS_SECONDS
        assert published(bus) == []
    relay.step()
    assert published(bus) == [b"a"]
