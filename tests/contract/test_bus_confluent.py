import pytest

from services.shared.bus import EventBus
from tests.contract.kafka_contract import KafkaBusContract

pytest.importorskip("confluent_kafka", reason='the extra is not installed: pip install "valvomo[confluent]"')


class TestConfluentBus(KafkaBusContract):
    def open_bus(self, server: str) -> EventBus:
        from services.shared.bus.confluent import ConfluentBus

        return ConfluentBus([server])

    def lose_patience(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("services.shared.bus.confluent._ANSWER_SECONDS", 1.0)
