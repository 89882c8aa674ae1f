from pathlib import Path

import pytest

from services.shared.bus.memory import MemoryBus
from tests.contract.ledger_contract import LedgerContract, MakeWorld
from tests.contract.ledger_world import make_world
from tests.servers.postgres import PostgresServer


class TestLedgerOnPostgres(LedgerContract):
    @pytest.fixture
    def make_world(self, tmp_path: Path, postgres_server: PostgresServer, request: pytest.FixtureRequest) -> MakeWorld:
        def make() -> object:
            database = postgres_server.database()
            url = database.__enter__()
            request.addfinalizer(lambda: database.__exit__(None, None, None))
            return make_world(tmp_path, lambda clock: MemoryBus(clock, partitions=2), url)

        return make
