import pytest

from services.shared.bus import EventBus, kafka
from tests.contract.kafka_contract import KafkaBusContract


class TestKafkaBus(KafkaBusContract):
    def open_bus(self, server: str) -> EventBus:
        return kafka.KafkaBus([server])

    def lose_patience(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(kafka._COMMON, "bootstrap_timeout_ms", 1000)
