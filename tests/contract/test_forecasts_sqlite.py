import pytest

from services.shared.bus.memory import MemoryBus
from tests.contract.forecasts_contract import ForecastsContract, MakeWorld
from tests.contract.ledger_world import make_world


class TestForecastsOnSqlite(ForecastsContract):
    @pytest.fixture(scope="class")
    @classmethod
    def make_world(cls, tmp_path_factory: pytest.TempPathFactory) -> MakeWorld:
        folder = tmp_path_factory.mktemp("forecasts")
        return lambda: make_world(folder, lambda clock: MemoryBus(clock, partitions=2))
