from datetime import UTC, datetime, timedelta

import pytest

from services.shared.bus.memory import MemoryBus
from services.shared.clock import SteppedClock
from services.shared.events.topics import Topic
from tests.contract.bus_contract import EventBusContract, MakeBus, numbered


class TestMemoryBus(EventBusContract):
    @pytest.fixture
    def make_bus(self) -> MakeBus:
        bus = MemoryBus()
        return lambda: bus

    def test_times_stand_still_when_the_clock_is_set_back(self) -> None:
        clock = SteppedClock(datetime(2026, 11, 18, 4, tzinfo=UTC))
        bus = MemoryBus(clock)
        bus.ensure_topics([Topic("t", partitions=1)])
        first = bus.publish(numbered("t", 1))[0]
        clock.advance(timedelta(hours=-1))
        assert bus.publish(numbered("t", 1))[0].ingest_time == first.ingest_time
        clock.advance(timedelta(hours=1, milliseconds=1))
        later = bus.publish(numbered("t", 1))[0].ingest_time
        assert later - first.ingest_time == timedelta(milliseconds=1)
