"""Price models through the whole ledger: what is charged, and that a check and a rebuild come to the same."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from services.shared.bus.memory import MemoryBus
from services.shared.events import prices
from services.shared.events.envelope import Fact
from tests.contract.ledger_world import BASE, MODEL, SYSTEM, World, make_world, reading, tariff

CLIFF = prices.Tariff.model_validate(
    {
        **tariff("input_tokens", "3.00").model_dump(),
        "model": "by_request_size",
        "price": None,
        "tiers": [{"up_to": "100000", "price": "1"}, {"price": "5"}],
        "currency": "EUR",
    }
)
SMALL, LARGE, SEVERAL = (
    {"input_tokens": "100000"},
    {"input_tokens": "100001"},
    {"input_tokens": "100000", "requests": "2"},
)
CALLS = tariff("requests", "0", sku="*", currency="EUR")


def contract(**members: object) -> prices.Contract:
    given = {"id": "c", "system": SYSTEM, "vendor": "anthropic", "valid_from": date(2026, 1, 1)}
    return prices.Contract.model_validate({**given, **members})


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path, MemoryBus)
    made.register(*BASE)
    yield made
    made.close()


def told(world: World) -> tuple[dict[str, str], int]:
    """Euro by unit, and how many readings have no price; the same after a rebuild, and nothing wrong."""
    world.settle()
    assert world.problems() == []
    found = world.eur(), int(world.report()["total"]["unpriced"])
    world.rebuild()
    assert world.problems() == []
    assert (world.eur(), int(world.report()["total"]["unpriced"])) == found
    return found


@pytest.mark.parametrize(
    ("facts", "consumed", "euro", "unpriced"),
    [
        pytest.param([CLIFF], [SMALL, LARGE], "0.600005", 0, id="each reading at the tier of its own size"),
        pytest.param([CLIFF, CALLS], [SEVERAL, SMALL], "0.1", 1, id="several requests have no size"),
        pytest.param(
            [tariff("audio_minutes", "0.5", per="1", currency="EUR", round_up={"to": "1"})],
            [{"audio_minutes": "0.1"}] * 3,
            "1.5",
            0,
            id="each session rounded up",
        ),
        pytest.param(
            [
                tariff("conversations", "20", per="1", currency=None, credit="flex"),
                tariff("credits", "0.005", id="flex", sku="flex", per="1"),
                contract(discounts=[{"sku": "flex", "off": "0.25"}], vat_rate="0.255"),
            ],
            [{"conversations": "5"}],
            "0.3",
            0,
            id="credits, less a discount, in dollars",
        ),
    ],
)
def test_what_readings_cost(
    world: World, facts: list[Fact], consumed: list[dict[str, str]], euro: str, unpriced: int
) -> None:
    world.register(*facts)
    world.publish(*(reading(f"r{number}", consumed=one) for number, one in enumerate(consumed)))
    assert told(world) == ({"kymp": euro}, unpriced)


def test_a_price_by_size_that_comes_late_restates_each_reading_by_its_own(world: World) -> None:
    world.publish(reading("small", consumed=SMALL), reading("large", consumed=LARGE))
    world.settle()
    world.later(days=1)
    world.register(CLIFF)
    assert told(world) == ({"kymp": "0.600005"}, 0)


def test_a_pool_of_money_is_burned_at_the_price_of_each_size(world: World) -> None:
    """0.10 euro inside; of the second reading 0.10 inside, and 0.400005 beyond, at the tariff."""
    free = {"kind": "pool", "id": "p", "measure": "cost", "burns": "EUR", "size": "0.2", "price": "0"}
    world.register(CLIFF, contract(terms=[{**free, "currency": "EUR"}]))
    world.publish(reading("a-small", consumed=SMALL), reading("b-large", consumed=LARGE))
    assert told(world) == ({"kymp": "0.400005"}, 0)
    assert MODEL in {row["sku"] for row in world.report(by="sku")["rows"]}
