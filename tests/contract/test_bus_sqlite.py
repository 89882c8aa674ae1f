from pathlib import Path

import pytest

from services.shared.bus.sqlite import SqliteBus
from tests.contract.bus_contract import EventBusContract, MakeBus


class TestSqliteBus(EventBusContract):
    @pytest.fixture
    def make_bus(self, tmp_path: Path) -> MakeBus:
        return lambda: SqliteBus(tmp_path / "bus.db")
