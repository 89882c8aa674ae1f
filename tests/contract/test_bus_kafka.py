from uuid import uuid4

import pytest

from services.shared.bus.kafka import KafkaBus
from tests.contract.bus_contract import EventBusContract, MakeBus
from tests.servers.kafka import KafkaServer


class TestKafkaBus(EventBusContract):
    @pytest.fixture
    def make_bus(self, kafka_server: KafkaServer) -> MakeBus:
        return lambda: KafkaBus([kafka_server.bootstrap])
