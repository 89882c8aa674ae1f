from collections.abc import Iterator

import pytest

from services.shared.bus.memory import MemoryBus
from tests.contract.ledger_world import World, make_world
from tests.contract.risks_contract import RisksContract, lived
from tests.servers.postgres import PostgresServer


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("ledger")
    with postgres_server.database() as url:
        made = make_world(folder, lambda clock: MemoryBus(clock, partitions=2), url)
        yield lived(made)
        made.close()


class TestRisksOnPostgres(RisksContract):
    pass
