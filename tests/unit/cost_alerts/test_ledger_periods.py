"""Whatever happens in whatever order, charges by the period are what was known, however the worker came to them."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from services.cost_alerts.adapters.tables import BASIS, PERIOD_CHARGE, WORD
from services.shared.bus.memory import MemoryBus
from services.shared.events import register as facts
from services.shared.events.envelope import Fact
from services.shared.events.outcomes import DayBegun
from services.shared.events.prices import Contract, Tariff
from services.shared.periods import Month, helsinki_day
from tests.contract.ledger_world import (
    BASE,
    SYSTEM,
    World,
    make_world,
    placed,
    rate,
    reading,
    rule,
    seat,
    seat_count,
    tariff,
)

Step = Callable[[World], None]
MONTHS = [Month(2026, 9), Month(2026, 10), Month(2026, 11)]
SEARCHES = "web_searches"


def contract(*terms: dict[str, Any], **members: Any) -> Contract:  # noqa: ANN401  # members of any model
    given = {"id": "claude-2026", "system": SYSTEM, "vendor": "anthropic", "valid_from": date(2026, 9, 20)}
    return Contract.model_validate({**given, "terms": terms, **members})


POOL = {"kind": "pool", "id": "searches", "meter": SEARCHES, "size": "100", "price": "31.00", "currency": "EUR"}
FEE = {"kind": "fee", "id": "platform", "sku": "platform", "amount": "62.00", "currency": "USD"}
MINIMUM = {"kind": "minimum", "id": "promised", "amount": "200.00", "currency": "EUR"}
CAPACITY = {"kind": "capacity", "id": "ptu", "sku": "ptu", "quantity": "3", "price": "0.5", "currency": "EUR"}
TIERS = [{"up_to": "50", "price": "2"}, {"price": "1"}]


def tiered(model: str, **members: Any) -> Tariff:  # noqa: ANN401  # members of any model
    given = tariff(SEARCHES, "1.00", id="searches", per="1").model_dump(mode="json")
    return Tariff.model_validate({**given, "model": model, "price": None, "tiers": TIERS, **members})


CHANGES: Sequence[Fact] = [
    contract(),
    contract(POOL),
    contract({**POOL, "size": "30", "share": {"by": "headcount"}}, FEE),
    contract({**POOL, "overage": "none"}, MINIMUM, vat_rate="0.255"),
    contract(FEE, MINIMUM, CAPACITY, valid_to=date(2026, 10, 20)),
    contract(MINIMUM),
    tariff(SEARCHES, "1.00", id="searches", per="1"),
    tiered("graduated"),
    tiered("volume", currency="EUR"),
    tariff(SEARCHES, "1.00", id="searches", per="1", round_up={"to": "40", "per": "month"}),
    rate(date(2026, 10, 1), "1.5"),
    rate(date(2026, 10, 2), "2"),
    rule("account-kymp", 10, "sote", account="wrk-kymp"),
    placed("p-1x", "kymp"),
    placed("p-2x", "sote", date(2026, 10, 2)),
    tariff("seats", "31.00", id="seat", system="copilot", sku="M365", model="per_seat_month", per="1", currency="EUR"),
    facts.System(id="copilot", vendor="microsoft", name="Copilot", owner="city"),
]


def _reading(name: int, revision: int, searches: int, day: date, retracted: bool) -> Step:  # drawn
    return lambda world: world.publish(
        reading(
            f"r{name}",
            revision,
            start=datetime(day.year, day.month, day.day, 8, name, tzinfo=UTC),
            consumed={SEARCHES: str(searches), "input_tokens": "1000"},
            retracted=retracted,
            account=f"wrk-{('kymp', 'sote')[name % 2]}",
        )
    )


def _changed(fact: Fact) -> Step:
    def publish(world: World) -> None:
        world.register(fact)

    return publish


def _a_step(world: World) -> None:
    world.service.periods.step()


def _tomorrow(world: World) -> None:
    world.later(days=1)


def _read(number: int) -> Step:
    def read(world: World) -> None:
        consumer = world.service.consumers[number]
        while not consumer.status().caught_up:
            consumer.step()

    return read


DAYS = [date(2026, 9, 30), date(2026, 10, 1), date(2026, 10, 2), date(2026, 10, 31), date(2026, 11, 1)]
STEPS = st.one_of(
    st.builds(_reading, st.integers(0, 5), st.integers(0, 2), st.integers(0, 90), st.sampled_from(DAYS), st.booleans()),
    st.builds(
        _reading, st.integers(0, 5), st.integers(0, 2), st.integers(0, 90), st.sampled_from(DAYS), st.just(value=False)
    ),
    st.sampled_from(CHANGES).map(_changed),
    st.builds(
        lambda day, count: lambda world: world.publish(seat_count(date(2026, 10, day), count)),
        st.integers(1, 4),
        st.integers(0, 5),
    ),
    st.sampled_from([None, date(2026, 10, 2)]).map(
        lambda end: lambda world: world.publish(seat("p-1x", date(2026, 10, 1), end, revision=int(end is not None)))
    ),
    st.sampled_from([{"hours": 5}, {"days": 1}, {"days": 20}]).map(lambda step: lambda world: world.later(**step)),
    st.just(lambda world: world.settle()),
    st.integers(0, 2).map(_read),
    st.just(_a_step),
)
FIRST = [_changed(CHANGES[1]), _changed(CHANGES[6]), _reading(0, 0, 70, DAYS[1], retracted=False)]
STORIES = st.lists(STEPS, min_size=4, max_size=14)


def rows(world: World) -> set[tuple[Any, ...]]:
    """Every charge by the period there is or ever was, with what it is based on spelled out."""
    words = {name: WORD.alias(name) for name in ("unit", "system", "sku", "meter")}
    columns = [one for one in PERIOD_CHARGE.c if one.name != "basis"]
    told = [one for one in BASIS.c if one.name not in {"id", "digest", *words, "cost_centre", "project"}]
    query = select(*columns, *told, *(word.c.text for word in words.values()))
    query = query.join(BASIS, BASIS.c.id == PERIOD_CHARGE.c.basis)
    for name, word in words.items():
        query = query.join(word, word.c.id == BASIS.c[name])
    with world.service.store.reading() as connection:
        return {tuple(row) for row in connection.execute(query)}


def reports(world: World, known_on: date | None = None) -> list[dict[str, Any]]:
    found = [world.report(month, by="system", as_known_on=known_on) for month in MONTHS]
    return [{**one, "as_known_on": None} for one in found]


def live(world: World, story: Sequence[Step], *, patient: bool) -> dict[date, list[dict[str, Any]]]:
    """Let it happen; each day's last reports. `patient`: charge at the ends of days, else with no time for any step."""
    world.register(*BASE)
    evenings = {}
    for step in (*FIRST, *story, _tomorrow):
        before, now = world.clock.now(), reports(world) if patient else []
        step(world)
        if helsinki_day(world.clock.now()) != helsinki_day(before):
            evenings[helsinki_day(before)] = now
            world.begin_day()
        elif patient:
            world.settle()
    world.settle()
    return evenings


def assert_known_stays_known(make: Callable[[], World], story: Sequence[Step]) -> None:
    """A ledger that follows every step, one that has no time, and one that is folded anew: the same rows for good."""
    world, other = make(), make()
    evenings = live(world, story, patient=True)
    assert world.problems() == []
    assert {day: reports(world, day) for day in evenings} == evenings
    followed, told = rows(world), len(world.events(DayBegun))
    world.rebuild()
    assert rows(world) == followed
    assert world.problems() == []
    world.begin_day()
    assert len(world.events(DayBegun)) == told
    other.service.periods._step_seconds = 0.0
    live(other, story, patient=False)
    assert rows(other) == followed


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(STORIES)
def test_what_was_known_stays_known(story: Sequence[Step]) -> None:
    with TemporaryDirectory() as folder:
        worlds: list[World] = []

        def make() -> World:
            path = Path(folder) / str(len(worlds))
            worlds.append(make_world(path, lambda clock: MemoryBus(clock, partitions=2)))
            return worlds[-1]

        try:
            assert_known_stays_known(make, story)
        finally:
            for world in worlds:
                world.close()


def test_what_another_process_charged_is_read_too(tmp_path: Path) -> None:
    """Two processes take turns: what one has not seen may be recorded before the last that it has."""
    world = make_world(tmp_path, lambda clock: MemoryBus(clock, partitions=2))
    try:
        world.register(*BASE, CHANGES[1], CHANGES[6])
        for name in range(3):
            _reading(name, 0, 60, DAYS[1], retracted=False)(world)
            world.later(hours=1)
        world.settle()
        [shelf] = [one for one in world.service.periods._shelves.values() if any(map(len, one.uses.values()))]
        for uses in filter(len, shelf.uses.values()):  # as if the first reading had been the other process's
            first = min(uses._told.values())
            del uses._told[first.number, first.revision]
        _reading(3, 0, 60, DAYS[1], retracted=False)(world)
        world.settle()
        followed = rows(world)
        world.rebuild()
        assert rows(world) == followed
    finally:
        world.close()
