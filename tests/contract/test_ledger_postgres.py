import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from prometheus_client import CollectorRegistry

from services.cost_alerts.main import CostService, build
from services.shared.bus.memory import MemoryBus
from services.shared.events.outcomes import ThresholdCrossed
from tests.contract.ledger_contract import LedgerContract, MakeWorld
from tests.contract.ledger_stories import STORIES, Step, live
from tests.contract.ledger_world import World, budget, make_world, net, reading, tariff
from tests.servers.postgres import PostgresServer
from tests.unit.cost_alerts import test_ledger_periods

WAIT_SECONDS = 60


class TestLedgerOnPostgres(LedgerContract):
    @pytest.fixture
    def make_world(self, tmp_path: Path, postgres_server: PostgresServer) -> Iterator[MakeWorld]:
        def make() -> World:
            url = databases.enter_context(postgres_server.database())
            return make_world(tmp_path, lambda clock: MemoryBus(clock, partitions=2), url)

        with ExitStack() as databases:
            yield make

    def test_two_processes_share_the_work(self, world: World, make_world: MakeWorld) -> None:
        """Both read, price, restate and watch at once, while the register changes under them."""
        world.register(budget("city-2026", "city", "100.00", "0.5", "1.0"))
        services = [build(world.settings, world.bus, world.clock, CollectorRegistry()) for _ in range(2)]
        for service in services:
            service.start()
        for number in range(40):
            names = [f"r{number}-{one}" for one in range(25)]
            world.publish(
                *(reading(name, account=f"wrk-{('kymp', 'sote')[one % 2]}") for one, name in enumerate(names))
            )
            world.publish(*(reading(name, 1, consumed={"input_tokens": "1000"}) for name in names[:5]))
            if number % 10 == 0:
                world.register(tariff("input_tokens", f"{3 + number // 10}.00"))
        wait_until(lambda: all(is_caught_up(world, service) for service in services))
        for service in services:
            service.stop()
        assert [problem for service in services for problem in service.problems()] == []
        world.settle()
        # 800 readings of 6.00 and 1.50 dollars, 200 of a thousandth of 6.00.
        total = {"eur": "4800.96", "pricing": {"USD": "6001.2"}, "readings": 1000, "unpriced": 0}
        assert net(world.report()["total"]) == total
        assert len(world.events(ThresholdCrossed)) == 2


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(story=STORIES)
def test_a_second_opinion_agrees(postgres_server: PostgresServer, story: Sequence[Step]) -> None:
    with postgres_server.database() as url, TemporaryDirectory() as folder:
        world = make_world(Path(folder), lambda clock: MemoryBus(clock, partitions=2), url)
        try:
            live(world, story)
        finally:
            world.close()


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(story=test_ledger_periods.STORIES)
def test_what_was_known_of_periods_stays_known(postgres_server: PostgresServer, story: Sequence[Step]) -> None:
    with ExitStack() as opened:
        folder = Path(opened.enter_context(TemporaryDirectory()))

        def make() -> World:
            url = opened.enter_context(postgres_server.database())
            world = make_world(folder, lambda clock: MemoryBus(clock, partitions=2), url)
            opened.callback(world.close)
            return world

        test_ledger_periods.assert_known_stays_known(make, story)


def is_caught_up(world: World, service: CostService) -> bool:
    ends = {name: world.bus.end_positions(one.topics) for one in service.statuses() for name in (one.group,)}
    return all(
        one.pending == 0 and all(one.positions.get(key, 0) >= end for key, end in ends[one.group].items())
        for one in service.statuses()
    )


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"not caught up after {WAIT_SECONDS} s"
        time.sleep(0.05)  # between two looks
