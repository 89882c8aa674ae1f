from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from services.shared.bus.memory import MemoryBus
from tests.contract.forecasts_contract import ForecastsContract, MakeWorld
from tests.contract.ledger_world import World, make_world
from tests.servers.postgres import PostgresServer


class TestForecastsOnPostgres(ForecastsContract):
    @pytest.fixture(scope="class")
    @classmethod
    def make_world(
        cls, tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer
    ) -> Iterator[MakeWorld]:
        folder = tmp_path_factory.mktemp("forecasts")

        def make() -> World:
            url = databases.enter_context(postgres_server.database())
            return make_world(folder, lambda clock: MemoryBus(clock, partitions=2), url)

        with ExitStack() as databases:
            yield make
