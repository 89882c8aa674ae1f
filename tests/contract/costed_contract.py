"""What the teller of cost bands keeps on every store: a band is told when it has moved, once, over every rebuild."""

from collections.abc import Callable, Iterator
from datetime import date

import pytest

from services.shared.events import register as facts
from services.shared.events.outcomes import UseCaseCosted
from tests.contract.ledger_world import BASE, SYSTEM, World, reading, rule

MakeWorld = Callable[[], World]

ENDED = date(2026, 10, 1)

FACTS = (*BASE, rule("p7", 5, "kymp", account="wrk-p7").model_copy(update={"project": "P-7"}))


def use(name: str, unit: str, project: str | None = None, until: date | None = None) -> facts.UseCase:
    return facts.UseCase(
        id=name, name={"en": name}, unit=unit, owner="head", purpose="Checks", systems=(SYSTEM,), risk_class="limited",
        project=project, valid_from=date(2026, 1, 1), valid_to=until,
    )  # fmt: skip


def bands(world: World) -> list[tuple[str, str]]:
    return [(event.data.use_case, event.data.band) for event in world.events(UseCaseCosted)]


def look(world: World, times: int = 2) -> None:
    """So many looks of the teller, far enough apart, and what follows from them."""
    for _ in range(times):
        world.later(minutes=6)
        world.service.costs.step()
        world.settle()


class CostedContract:
    """To be inherited with a fixture `make_world`."""

    @pytest.fixture
    def world(self, make_world: MakeWorld) -> Iterator[World]:
        world = make_world()
        world.register(*FACTS, use("permits", "kymp", "P-7"), use("sotes", "sote"), use("past", "city", until=ENDED))
        world.publish(reading("a", account="wrk-p7"), reading("b", account="wrk-sote"))
        world.settle()
        world.later(days=35)  # October is over
        yield world
        world.close()

    def test_a_band_is_told_at_the_second_look_and_not_again(self, world: World) -> None:
        look(world, times=1)
        assert bands(world) == []
        look(world, times=3)
        assert bands(world) == [("permits", "under_1000"), ("sotes", "under_1000")]

    def test_looks_that_are_too_close_are_one(self, world: World) -> None:
        for _ in range(3):
            world.service.costs.step()
        world.settle()
        assert bands(world) == []

    def test_this_month_does_not_count_yet(self, world: World) -> None:
        world.publish(reading("now", account="wrk-sote", start=world.clock.now(), consumed={"input_tokens": "9" * 9}))
        world.settle()
        look(world)
        assert bands(world) == [("permits", "under_1000"), ("sotes", "under_1000")]

    def test_a_use_that_moves_to_another_band_is_told_of(self, world: World) -> None:
        look(world)
        world.publish(reading("more", account="wrk-sote", consumed={"input_tokens": "500000000"}))  # 1,200 euro
        world.settle()
        look(world)
        assert bands(world)[2:] == [("sotes", "under_10000")]

    def test_what_has_no_price_is_not_told_as_nothing(self, world: World) -> None:
        world.publish(reading("odd", account="wrk-p7", sku="unheard-of"))
        world.settle()
        look(world)
        assert bands(world) == [("sotes", "under_1000")]

    def test_a_rebuild_tells_nothing_twice(self, world: World) -> None:
        look(world)
        world.rebuild()
        look(world)
        assert bands(world) == [("permits", "under_1000"), ("sotes", "under_1000")]

    def test_a_process_that_dies_before_its_message_leaves_tells_the_same_later(self, world: World) -> None:
        for _ in range(2):
            world.later(minutes=6)
            world.service.costs.step()
        assert bands(world) == []
        world.restart()
        look(world)
        assert bands(world) == [("permits", "under_1000"), ("sotes", "under_1000")]

    def test_an_empty_ledger_takes_over_what_was_told(self, world: World, make_world: MakeWorld) -> None:
        look(world)
        world.close()
        heir = make_world()
        heir.bus, heir.clock = world.bus, world.clock
        heir.settle()
        look(heir)
        heir.close()
        assert bands(world) == [("permits", "under_1000"), ("sotes", "under_1000")]
