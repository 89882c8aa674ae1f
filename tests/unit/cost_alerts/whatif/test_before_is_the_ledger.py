"""Whatever happened in whatever order: pricing the months afresh from their readings gives the ledger's own figures."""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, given, settings

from services.cost_alerts.adapters.whatif.simulate import simulate
from services.cost_alerts.domain.whatif.change import Change
from services.shared.bus.memory import MemoryBus
from services.shared.errors import ConfigurationError
from tests.contract.ledger_world import World, make_world
from tests.unit.cost_alerts.test_ledger_periods import MONTHS, STORIES, Step, live


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(STORIES)
def test_before_is_the_ledger(story: Sequence[Step]) -> None:
    with TemporaryDirectory() as folder:
        world = make_world(Path(folder), lambda clock: MemoryBus(clock, partitions=2))
        try:
            live(world, story, patient=True)
            assert_the_same(world)
        finally:
            world.close()


def assert_the_same(world: World) -> None:
    try:
        found = simulate(world.service.store, Change(rates={"XYZ": Decimal(1)}), MONTHS, lambda _done, _of: None)
    except ConfigurationError:
        return  # nothing was paid in these months
    assert found.unlike_nano == 0
    assert {row.difference_nano for row in found.rows} == {0}
    assert {row.unpriced_after - row.unpriced_before for row in found.rows} == {0}
