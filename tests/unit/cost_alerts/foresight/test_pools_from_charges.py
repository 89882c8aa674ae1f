"""Pools as forecasts see them, from the charges, beside what their readings say."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from services.cost_alerts.adapters.foresight.pools import Days, pooled
from services.cost_alerts.adapters.pools import pools
from services.cost_alerts.domain.foresight.pools import PoolUse
from services.shared.bus.memory import MemoryBus
from services.shared.events import register as facts
from services.shared.events.envelope import Fact
from services.shared.events.prices import Contract
from services.shared.money import NANO
from services.shared.periods import Month
from tests.contract.ledger_world import BASE, World, make_world, rate, reading, tariff

TODAY = date(2026, 11, 10)
UNTIL = date(2026, 12, 31)
HELSINKI = "Europe/Helsinki"
SYSTEMS = ("quantity", "money", "carried", "yearly", "refused", "once")


def signed(system: str, **term: Any) -> list[Fact]:  # noqa: ANN401  # of the model
    """A system with a price of 0.02 USD per credit, a fifth off, and one pool."""
    pool = {"kind": "pool", "id": "p", "price": "10", "currency": "USD"}
    of = {"id": f"{system}-2026", "system": system, "vendor": "microsoft", "time_zone": HELSINKI}
    members = of | {"valid_from": date(2026, 9, 1), "discounts": [{"off": "0.2"}], "terms": [pool | term]}
    if term.get("every") == "once":
        members["valid_to"] = date(2026, 12, 1)
    return [
        facts.System(id=system, vendor="microsoft", name=system, owner="city"),
        tariff("credits", "0.02", id=f"credit-{system}", system=system, sku="credits", per="1"),
        Contract.model_validate(members),
    ]


OF_CREDITS = {"sku": "credits", "meter": "credits", "size": "100"}
TOWN = [
    *BASE,
    rate(date(2026, 1, 2), "1.25"),
    *signed("quantity", **OF_CREDITS),
    *signed("money", measure="cost", burns="USD", size="3"),
    *signed("carried", **OF_CREDITS, carries_over=True),
    *signed("yearly", **OF_CREDITS, every="year"),
    *signed("refused", **OF_CREDITS, overage="none"),
    *signed("once", **OF_CREDITS, every="once"),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Seventy credits of each pool are used in September, forty in October, sixty-five in November."""
    folder: Path = tmp_path_factory.mktemp("pools")
    world = make_world(folder, lambda clock: MemoryBus(clock, partitions=2))
    world.register(*TOWN)
    for system in SYSTEMS:
        for month, day, used, account in (
            (9, 7, "70", "kymp"),
            (10, 7, "40", "sote"),
            (11, 4, "25", "kymp"),
            (11, 5, "40", "sote"),
        ):
            start = datetime(2026, month, day, 8, tzinfo=UTC)
            world.publish(
                reading(f"{system}-{month}-{day}", system=system, sku="credits", start=start, account=f"wrk-{account}",
                        consumed={"credits": used})
            )  # fmt: skip
    world.clock.set(datetime(TODAY.year, TODAY.month, TODAY.day, 5, tzinfo=UTC))
    world.settle()
    world.begin_day()
    yield world
    world.close()


@pytest.fixture(scope="module")
def found(world: World) -> Mapping[str, PoolUse]:
    with world.service.store.reading() as connection:
        days = Days(date(2026, 9, 1), TODAY, UNTIL)
        return {one.system: one for one in pooled(connection, world.service.queries.view(), days).pools}


@pytest.mark.parametrize("system", SYSTEMS)
def test_as_much_is_left_as_the_readings_say(system: str, world: World, found: Mapping[str, PoolUse]) -> None:
    said = next(one for one in pools(world.service.store, Month.of(TODAY)) if one.system == system)
    assert found[system].left == Fraction(said.state.left)
    if system != "carried":  # one agreement, and its readings, for the whole term
        assert found[system].cycles[0].size == Fraction(said.state.size)
    assert found[system].meter == said.meter


@pytest.mark.parametrize(
    ("system", "cycles"),
    [
        pytest.param("quantity", [(11, 1, 11, 30), (12, 1, 12, 31)], id="by the month"),
        pytest.param("carried", [(11, 1, 11, 30), (12, 1, 12, 31)], id="by the month, carried over"),
        pytest.param("yearly", [(9, 1, 8, 31)], id="by the year"),
        pytest.param("once", [(9, 1, 11, 30), (12, 1, 3, 1)], id="for a term, and then for another"),
    ],
)
def test_cycles_go_on(system: str, cycles: list[tuple[int, int, int, int]], found: Mapping[str, PoolUse]) -> None:
    told = [(one.first.month, one.first.day, one.last.month, one.last.day) for one in found[system].cycles]
    assert told == cycles


def test_a_unit_beyond_costs_its_contracted_price_and_a_refused_one_none(found: Mapping[str, PoolUse]) -> None:
    euro = {system: None if one.unit_nano is None else one.unit_nano / NANO for system, one in found.items()}
    assert euro == pytest.approx(
        {"quantity": 0.0128, "carried": 0.0128, "yearly": 0.0128, "once": 0.0128, "money": 0.8, "refused": None}
    )


def test_use_is_told_by_day_and_unit_in_what_the_pool_counts(found: Mapping[str, PoolUse]) -> None:
    by_unit = {where.unit: [float(one) for one in days if one] for where, days in found["quantity"].history.items()}
    assert by_unit == {"kymp": [70.0, 25.0], "sote": [40.0, 40.0]}
    of_money = {where.unit: [float(one) for one in days if one] for where, days in found["money"].history.items()}
    assert of_money == {"kymp": pytest.approx([1.12, 0.4]), "sote": pytest.approx([0.64, 0.64])}


def test_what_use_beyond_cost_is_known_apart(world: World) -> None:
    """By the year: 100 of the 175 credits were prepaid, the others cost 0.0128 euro each."""
    with world.service.store.reading() as connection:
        beyond = pooled(connection, world.service.queries.view(), Days(date(2026, 9, 1), TODAY, UNTIL)).beyond
    told = {where.system: sum(days.values()) / NANO for where, days in beyond.items() if where.unit == "sote"}
    assert told["yearly"] == pytest.approx((10 + 40) * 0.0128)
    assert "quantity" not in told


def test_a_pool_that_has_ended_is_none(world: World) -> None:
    with world.service.store.reading() as connection:
        later = Days(date(2026, 9, 1), date(2026, 12, 1), UNTIL)
        systems = {one.system for one in pooled(connection, world.service.queries.view(), later).pools}
    assert systems == {*SYSTEMS} - {"once"}
