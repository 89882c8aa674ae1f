from collections.abc import Iterator

import pytest

from services.shared.bus.memory import MemoryBus
from tests.contract.ledger_world import World, make_world
from tests.contract.risks_contract import RisksContract, lived


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = make_world(tmp_path_factory.mktemp("ledger"), lambda clock: MemoryBus(clock, partitions=2))
    yield lived(made)
    made.close()


class TestRisksOnSqlite(RisksContract):
    pass
