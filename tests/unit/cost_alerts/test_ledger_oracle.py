"""The ledger against a naive second opinion, on random lives of a city."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, given, settings

from services.shared.bus.memory import MemoryBus
from tests.contract.ledger_stories import STORIES, Step, live
from tests.contract.ledger_world import make_world


@settings(max_examples=35, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(STORIES)
def test_a_second_opinion_agrees(story: Sequence[Step]) -> None:
    with TemporaryDirectory() as folder:
        world = make_world(Path(folder), lambda clock: MemoryBus(clock, partitions=2))
        live(world, story)
        world.close()
