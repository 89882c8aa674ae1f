"""Random lives of a city for the ledger: what may happen to readings, seats and the register, in any order."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from services.shared.events import register as facts
from services.shared.events.usage import Consumer, Cost
from services.shared.periods import Month
from tests.contract.ledger_oracle import Told, expected
from tests.contract.ledger_world import (
    BASE,
    MODEL,
    START,
    SYSTEM,
    World,
    budget,
    net,
    placed,
    rate,
    reading,
    rule,
    seat,
    seat_count,
    tariff,
    unit,
)

Step = Callable[[World], None]

SEATS = facts.System(id="copilot", vendor="microsoft", name="Copilot", owner="city")
EDGES = [
    datetime(2026, 3, 29, 0, 59, tzinfo=UTC),
    datetime(2026, 3, 29, 21, 0, tzinfo=UTC),
    datetime(2026, 10, 1, 8, tzinfo=UTC),
    datetime(2026, 10, 24, 20, 59, 59, tzinfo=UTC),
    datetime(2026, 10, 24, 21, tzinfo=UTC),
    datetime(2026, 10, 25, 1, 0, tzinfo=UTC),
    datetime(2026, 10, 25, 21, 59, tzinfo=UTC),
    datetime(2026, 10, 25, 22, 0, tzinfo=UTC),
    datetime(2026, 12, 31, 21, 59, tzinfo=UTC),
    datetime(2026, 12, 31, 22, 0, tzinfo=UTC),
    datetime(2027, 1, 1, 0, 0, tzinfo=UTC),
]
"""Both changes of the clock, and the turn of the year in Helsinki and in UTC."""

MONTHS = [Month(2026, 3), Month(2026, 10), Month(2026, 12), Month(2027, 1), Month(2028, 2)]

PRICES = [
    tariff("input_tokens", "4.000000000000000001"),
    tariff("input_tokens", "0.000000000123456789", per="7"),
    tariff("input_tokens", "5.00", valid_to=date(2026, 10, 25)),
    tariff("input_tokens", "6.00", id="later", valid_from=date(2026, 10, 25), time_zone="Europe/Helsinki"),
    tariff("input_tokens", "7.00", id="batch", when={"service_tier": "batch"}),
    tariff("input_tokens", "2.00", id="any", sku="*", currency="EUR"),
    tariff("output_tokens", "15.00", valid_to=date(2027, 1, 1)),
    tariff("output_tokens", "15.00", currency="SEK"),
]
RATES = [
    rate(date(2026, 9, 30), "1.5"),
    rate(date(2026, 10, 23), "1.1"),
    rate(date(2026, 10, 24), "0.000001"),
    rate(date(2026, 3, 27), "1.07"),
    rate(date(2026, 12, 31), "1.3"),
    facts.FxRates(day=date(2026, 10, 24), rates={"SEK": Decimal("11.1")}, source="a test"),
]
PLACES = [
    rule("account-kymp", 10, "sote", account="wrk-kymp"),
    rule("account-kymp", 10, "kymp", since=date(2026, 10, 25), account="wrk-kymp"),
    rule("tag", 5, "sote", tags={"department": "SOTE"}),
    rule("seats", 7, "city", system="copilot"),
    placed("p-1", "kymp"),
    placed("p-1", "kymp", until=date(2026, 10, 15)),
    placed("p-1", "sote", date(2026, 10, 15)),
    placed("p-2", "sote"),
]
OTHERS = [
    unit("sote", "kymp"),
    facts.System(id=SYSTEM, vendor="anthropic", name="Claude", owner="city", price_from="reported"),
    facts.System(id=SYSTEM, vendor="anthropic", name="Claude", owner="city"),
    budget("kymp-2026", "kymp", "0.01", "0.5", "1.0"),
    budget("kymp-2026", "kymp", "0.001", "0.5", "1.0", epoch=1),
    budget("city-2027", "city", "0.01", "0.5", period=2027),
]
SEAT_PRICES = [
    tariff("seats", price, **{"id": "seat", "system": "copilot", "model": "per_seat_month", "per": "1", **members})
    for price, members in (
        ("31.00", {"sku": "M365", "currency": "EUR"}),
        ("30.00", {"sku": "M365"}),
        ("9.99", {"id": "seat-any", "sku": "*", "currency": "EUR", "valid_from": date(2026, 10, 10)}),
    )
]  # fmt: skip
CHANGES: Sequence[Any] = [*PRICES, *RATES, *PLACES, *OTHERS, SEATS, *SEAT_PRICES]
GONE: Sequence[Any] = [*CHANGES, *BASE]

QUANTITIES = ["0", "1", "0.000000000000000001", "333333", "999999999999.999999999999999999", "9" * 30]


def _reading(  # noqa: PLR0917  # what hypothesis draws
    name: int, revision: int, start: datetime, consumed: dict[str, str], consumer: Consumer, cost: Cost | None,
    members: dict[str, Any],
) -> Step:  # fmt: skip
    event = reading(
        f"r{name}", revision, start=start, consumed=consumed, consumer=consumer, reported_cost=cost, **members
    )
    return lambda world: world.publish(event)


READINGS = st.builds(
    _reading,
    st.integers(0, 3),
    st.integers(0, 3),
    st.sampled_from(EDGES),
    st.dictionaries(
        st.sampled_from(["input_tokens", "output_tokens", "web_searches"]), st.sampled_from(QUANTITIES), max_size=3
    ),
    st.builds(
        lambda person, account, tags: Consumer(person=person, account=account, tags=tags),
        st.sampled_from([None, "p-1", "p-2"]),
        st.sampled_from(["wrk-kymp", "wrk-sote", "else"]),
        st.sampled_from([{}, {"department": "SOTE"}]),
    ),
    st.sampled_from([None, Cost(amount=Decimal("1.5"), currency="USD"), Cost(amount=Decimal("-0.1"), currency="EUR")]),
    st.fixed_dictionaries(
        {},
        optional={
            "retracted": st.booleans(),
            "purpose": st.sampled_from(["billing", "attribution"]),
            "finality": st.sampled_from(["estimate", "final"]),
            "sku": st.sampled_from([MODEL, "new"]),
            "dimensions": st.sampled_from([{}, {"service_tier": "batch"}]),
        },
    ),
)
SEAT_DAYS = {
    "M365": [date(2026, 10, 1), date(2026, 10, 14), date(2026, 10, 16), date(2026, 10, 26)],
    "SPRING": [date(2026, 3, 28), date(2026, 3, 30)],
    "YEAR": [date(2026, 12, 30), date(2027, 1, 2)],
    "LEAP": [date(2028, 2, 27), date(2028, 2, 29), date(2028, 3, 1)],
}
PRODUCT_DAYS = [(sku, day) for sku, days in SEAT_DAYS.items() for day in days]
SEAT_STEPS = st.one_of(
    st.builds(
        lambda seen, count, revision: lambda world: world.publish(seat_count(seen[1], count, revision, sku=seen[0])),
        st.sampled_from(PRODUCT_DAYS), st.integers(0, 5), st.integers(0, 2),
    ),
    st.builds(
        lambda person, held, length, revision: lambda world: world.publish(
            seat(person, held[1], length and held[1] + timedelta(days=length), revision=revision, sku=held[0])
        ),
        st.sampled_from(["p-1", "p-2", "p-3"]), st.sampled_from(PRODUCT_DAYS), st.sampled_from([None, 1, 2, 13, 14]),
        st.integers(0, 2),
    ),
)  # fmt: skip


def _publish(world: World, changed: Sequence[Any], gone: Sequence[Any], skipped: int) -> None:
    world.version += skipped
    world.register(*changed, without=gone)


def _read(world: World, number: int) -> None:
    """One consumer reads to the end, whatever the others have read."""
    consumer = world.service.consumers[number]
    while not consumer.status().caught_up:
        consumer.step()


STEPS = st.one_of(
    READINGS,
    READINGS,
    SEAT_STEPS,
    st.builds(
        lambda changed, gone, skipped: lambda world: _publish(world, changed, gone, skipped),
        st.lists(st.sampled_from(CHANGES), min_size=1, max_size=3),
        st.lists(st.sampled_from(GONE), max_size=1),
        st.sampled_from([0, 0, 0, 3]),
    ),
    st.sampled_from([{"days": 1}, {"hours": 5}, {"hours": -30}]).map(lambda step: lambda world: world.later(**step)),
    st.just(lambda world: world.settle()),
    st.integers(0, 2).map(lambda number: lambda world: _read(world, number)),
    st.just(lambda world: world.restart()),
    st.just(lambda world: world.service.restater.step()),
    st.just(lambda world: world.service.periods.step()),
)
FIRST = [
    *(reading(f"first-{number}", start=start, account=("wrk-kymp", "wrk-sote")[number % 2])
      for number, start in enumerate(EDGES)),
    *(reading(f"person-{number}", start=start, consumer=Consumer(person=f"p-{number % 2 + 1}", account="else"))
      for number, start in enumerate(EDGES)),
    *(seat_count(days[0], 2, sku=sku) for sku, days in SEAT_DAYS.items()),
    *(seat("p-1", days[0], sku=sku) for sku, days in SEAT_DAYS.items()),
]  # fmt: skip
"""What every story begins with, so that whatever changes has something to change."""

STORIES = st.lists(STEPS, min_size=8, max_size=25)


def live(world: World, story: Sequence[Step]) -> None:
    """Let it happen, and compare the ledger with the slow way, now and on every day before, also after a rebuild."""
    world.register(*BASE, SEATS, *SEAT_PRICES[:1])
    world.publish(*FIRST)
    for step in story:
        step(world)
    world.settle()
    assert world.problems() == []
    compare(world)
    world.rebuild()
    assert world.problems() == []
    compare(world)


def compare(world: World) -> None:
    told = Told(world.bus)
    first, last = START.date() - timedelta(days=1), max(START, world.clock.now()).date()
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    for known_on in (None, *days):
        register, usage = told.until(known_on)
        for month in MONTHS:
            found = world.report(month, as_known_on=known_on)
            rows = {row.pop("unit"): net(row) for row in found["rows"]}
            assert {"": net(found["total"]), **rows} == expected(register, usage, month.year, month.number), (
                str(month),
                known_on,
            )
