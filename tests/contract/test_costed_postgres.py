from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from services.shared.bus.memory import MemoryBus
from tests.contract.costed_contract import CostedContract, MakeWorld
from tests.contract.ledger_world import World, make_world
from tests.servers.postgres import PostgresServer


class TestCostedOnPostgres(CostedContract):
    @pytest.fixture
    def make_world(self, tmp_path: Path, postgres_server: PostgresServer) -> Iterator[MakeWorld]:
        def make() -> World:
            url = databases.enter_context(postgres_server.database())
            return make_world(tmp_path, lambda clock: MemoryBus(clock, partitions=2), url)

        with ExitStack() as databases:
            yield make
