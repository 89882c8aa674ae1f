import pytest

from services.shared.bus import EventBus
from tests.contract.kafka_contract import KafkaBusContract
from tests.servers.kafka import KafkaServer

pytest.importorskip("confluent_kafka", reason='the extra is not installed: pip install "valvomo[confluent]"')


class TestConfluentBus(KafkaBusContract):
    def open_bus(self, server: KafkaServer) -> EventBus:
        from services.shared.bus.confluent import ConfluentBus

        return ConfluentBus([server.bootstrap])
