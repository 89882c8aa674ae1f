import itertools
from pathlib import Path

import pytest

from services.shared.bus.memory import MemoryBus
from tests.contract.costed_contract import CostedContract, MakeWorld
from tests.contract.ledger_world import make_world


class TestCostedOnSqlite(CostedContract):
    @pytest.fixture
    def make_world(self, tmp_path: Path) -> MakeWorld:
        numbers = itertools.count()
        return lambda: make_world(tmp_path / str(next(numbers)), lambda clock: MemoryBus(clock, partitions=2))
