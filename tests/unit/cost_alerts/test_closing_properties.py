"""Whatever is corrected afterwards: a closed month stays as it was closed, and nothing is lost between the books."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.shared.bus.memory import MemoryBus
from services.shared.events.envelope import Fact
from services.shared.periods import Month
from tests.contract.closing_contract import COPILOT, MONTHS, close, contract, seat_price
from tests.contract.ledger_world import (
    BASE,
    World,
    make_world,
    placed,
    rate,
    reading,
    rule,
    seat,
    seat_count,
    tariff,
    unit,
)
from tests.servers.postgres import PostgresServer

Step = Callable[[World], None]

CORRECTIONS: Sequence[Fact] = [
    tariff("input_tokens", "4.00"),
    tariff("input_tokens", "0.000000000123456789", per="7"),
    rate(date(2026, 9, 29), "1.1"),
    rate(date(2026, 10, 2), "1.5"),
    rule("account-kymp", 10, "sote", account="wrk-kymp"),
    placed("p-1x", "sote"),
    placed("p-1x", "kymp", until=date(2026, 10, 15)),
    unit("kymp", cost_centre="3010005"),
    contract("0.255"),
    contract("0.14", discounts=[{"off": "0.1"}]),
    contract(
        terms=[{"kind": "pool", "id": "p", "meter": "output_tokens", "size": "1000", "price": "31", "currency": "EUR"}]
    ),
    seat_price("31.00"),
    seat_price("29.99"),
]
DAYS = [datetime(2026, month, day, 8, tzinfo=UTC) for month, day in ((9, 30), (10, 1), (10, 31), (11, 1))]


def _reading(name: int, revision: int, tokens: int, start: datetime, retracted: bool) -> Step:
    consumed = {"input_tokens": str(tokens), "output_tokens": str(tokens * 7)}
    account = ("wrk-kymp", "wrk-sote")[name % 2]
    event = reading(f"r{name}", revision, start=start, consumed=consumed, retracted=retracted, account=account)
    return lambda world: world.publish(event)


def _seats(start: datetime, count: int, revision: int) -> Step:
    return lambda world: world.publish(seat_count(start.date(), count, revision))


def _corrected(fact: Fact) -> Step:
    def publish(world: World) -> None:
        world.register(fact)

    return publish


STEPS = st.one_of(
    st.builds(
        _reading, st.integers(0, 3), st.integers(0, 2), st.integers(0, 10**6), st.sampled_from(DAYS), st.booleans()
    ),
    st.sampled_from(CORRECTIONS).map(_corrected),
    st.builds(_seats, st.sampled_from(DAYS), st.integers(0, 5), st.integers(0, 2)),
    st.sampled_from([None, date(2026, 10, 2)]).map(
        lambda end: lambda world: world.publish(seat("p-1x", date(2026, 9, 1), end, revision=int(end is not None)))
    ),
    st.sampled_from([{"days": 1}, {"hours": 5}]).map(lambda step: lambda world: world.later(**step)),
    st.just(lambda world: world.settle()),
    st.just(lambda world: world.begin_day()),
)
PARTS = st.lists(STEPS, max_size=6)


def live(world: World, parts: Sequence[Sequence[Step]], in_order: Sequence[Month]) -> None:
    """Close a month after each part, and hold its books still from then on."""
    world.register(*BASE, COPILOT, seat_price("31.00"))
    world.later(minutes=1)
    world.publish(*(reading(f"r{number}", start=start) for number, start in enumerate(DAYS)))
    world.publish(seat_count(date(2026, 9, 20), 2), seat_count(date(2026, 10, 31), 3))
    world.clock.set(datetime(2026, 12, 1, 9, tzinfo=UTC))
    books: dict[Month, Any] = {}
    for steps, month in zip(parts, (*in_order, None), strict=True):
        for step in steps:
            step(world)
        world.settle()
        assert world.problems() == []
        assert _booked(world, books) == books
        if month is not None:
            close(world, month)
            world.settle()
            books[month] = _booked(world, [month])[month]
            world.later(minutes=1)
    _compare(world, books)


def _compare(world: World, books: dict[Month, Any]) -> None:
    """Closed stays closed, and what is known on a day stays known, also when the ledger is folded again."""
    assert _total(world, "booked") == _total(world, "incurred")
    known_on = world.clock.now().date()
    before = [_booked(world, MONTHS), _total(world, "booked", as_known_on=known_on)]
    assert before[1] == _total(world, "booked")
    world.rebuild()
    assert world.problems() == []
    assert _booked(world, books) == books
    assert [_booked(world, MONTHS), _total(world, "booked", as_known_on=known_on)] == before


def _booked(world: World, months: Any) -> dict[Month, Any]:  # noqa: ANN401  # any collection of months
    return {month: [world.report(month, by=by) for by in ("unit", "cost_centre", "meter")] for month in months}


def _total(world: World, basis: str, **how: date) -> tuple[Decimal, int, int]:
    found = [world.report(month, basis=basis, **how)["total"] for month in MONTHS]
    return (
        sum((Decimal(one["eur"]) for one in found), start=Decimal(0)),
        sum(one["readings"] for one in found),
        sum(one["unpriced"] for one in found),
    )


STORIES = st.tuples(PARTS, PARTS, PARTS)
ORDERS = st.permutations([Month(2026, 9), Month(2026, 10)])


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(parts=STORIES, in_order=ORDERS)
def test_closed_stays_closed(parts: Sequence[Sequence[Step]], in_order: Sequence[Month]) -> None:
    with TemporaryDirectory() as folder:
        world = make_world(Path(folder), lambda clock: MemoryBus(clock, partitions=2))
        try:
            live(world, parts, in_order)
        finally:
            world.close()


@pytest.mark.timeout(600)
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(parts=STORIES, in_order=ORDERS)
def test_closed_stays_closed_on_postgres(
    postgres_server: PostgresServer, parts: Sequence[Sequence[Step]], in_order: Sequence[Month]
) -> None:
    with postgres_server.database() as url, TemporaryDirectory() as folder:
        world = make_world(Path(folder), lambda clock: MemoryBus(clock, partitions=2), url)
        try:
            live(world, parts, in_order)
        finally:
            world.close()
