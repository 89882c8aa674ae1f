"""Whatever happens in whatever order, every charge that stands can be explained and reckoned again to the last 10⁻⁹."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, given, settings

from services.shared.bus.memory import MemoryBus
from tests.contract import ledger_stories
from tests.contract.explain_contract import check_every_charge
from tests.contract.ledger_world import BASE, World, make_world
from tests.unit.cost_alerts.test_ledger_periods import STORIES, Step
from tests.unit.cost_alerts.test_ledger_periods import live as live_by_the_period


def world_in(folder: str) -> World:
    return make_world(Path(folder), lambda clock: MemoryBus(clock, partitions=2))


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(STORIES)
def test_charges_by_the_period_explain_themselves(story: Sequence[Step]) -> None:
    with TemporaryDirectory() as folder:
        world = world_in(folder)
        live_by_the_period(world, story, patient=False)
        check_every_charge(world)
        world.close()


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(ledger_stories.STORIES)
def test_charges_of_readings_and_seats_explain_themselves(story: Sequence[Step]) -> None:
    with TemporaryDirectory() as folder:
        world = world_in(folder)
        world.register(*BASE, ledger_stories.SEATS, *ledger_stories.SEAT_PRICES[:1])
        world.publish(*ledger_stories.FIRST)
        for step in story:
            step(world)
        world.settle()
        check_every_charge(world)
        world.close()
