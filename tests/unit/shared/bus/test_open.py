from contextlib import closing
from pathlib import Path

import pytest

from services.shared.bus import kafka, partition_of
from services.shared.bus.open import open_bus
from services.shared.bus.sqlite import SqliteBus
from services.shared.clock import SystemClock
from services.shared.errors import TransientError
from services.shared.events.topics import USAGE
from services.shared.settings import Settings
from tests.servers.process import HOST, free_port


def test_the_embedded_bus_lies_in_the_data_folder(tmp_path: Path) -> None:
    with closing(open_bus(Settings(data_dir=tmp_path, bus="sqlite", bus_partitions=3), SystemClock())) as bus:
        assert isinstance(bus, SqliteBus)
        bus.ensure_topics([USAGE])
        assert len(bus.end_positions([USAGE.name])) == 3
    assert (tmp_path / "bus.db").exists()


@pytest.mark.parametrize("client", ["kafka-python", "confluent"])
def test_a_broker_that_does_not_answer_is_waited_for(monkeypatch: pytest.MonkeyPatch, client: str) -> None:
    if client == "confluent":
        pytest.importorskip("confluent_kafka", reason="the extra is not installed")
        monkeypatch.setattr("services.shared.bus.confluent._ANSWER_SECONDS", 0.5)
    monkeypatch.setitem(kafka._COMMON, "bootstrap_timeout_ms", 500)
    servers = f"kafka://{HOST}:{free_port()}, {HOST}:{free_port()}"
    with pytest.raises(TransientError, match="tried again"):
        open_bus(Settings(bus=servers, bus_client=client), SystemClock())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("key", "partitions", "expected"), [(b"", 6, 0), (b"key", 6, 3), (b"key", 1, 0), (bytes(1000), 1000, 196)]
)
def test_a_key_keeps_its_partition_for_good(key: bytes, partitions: int, expected: int) -> None:
    assert partition_of(key, partitions) == expected
