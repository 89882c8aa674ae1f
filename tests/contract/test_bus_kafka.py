from services.shared.bus import EventBus
from services.shared.bus.kafka import KafkaBus
from tests.contract.kafka_contract import KafkaBusContract
from tests.servers.kafka import KafkaServer


class TestKafkaBus(KafkaBusContract):
    def open_bus(self, server: KafkaServer) -> EventBus:
        return KafkaBus([server.bootstrap])
