"""Whatever happens in whatever order: the ledger adds up, and folding the bus again gives the same history."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.shared.bus.memory import MemoryBus
from services.shared.events.envelope import Fact
from tests.contract.ledger_world import (
    BASE,
    OCTOBER,
    START,
    World,
    budget,
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

SEAT_PRICE = tariff(
    "seats", "31.00", id="seat", system="copilot", sku="M365", model="per_seat_month", per="1", currency="EUR"
)


def _reading(name: int, revision: int, tokens: int, day: int, retracted: bool) -> Step:
    return lambda world: world.publish(
        reading(
            f"r{name}",
            revision,
            start=datetime(2026, 10, day, 8, tzinfo=UTC),
            consumed={"input_tokens": str(tokens)},
            retracted=retracted,
            account=f"wrk-{('kymp', 'sote')[name % 2]}",
        )
    )


def _published(fact: Fact) -> Step:
    def publish(world: World) -> None:
        world.register(fact)

    return publish


def _usage_first(world: World) -> None:
    """The usage is read before the register that was published before it."""
    usage = world.service.consumers[1]
    while not usage.status().caught_up:
        usage.step()


CHANGES = [
    tariff("input_tokens", "4.00"),
    tariff("input_tokens", "5.00", valid_to=date(2026, 10, 3)),
    rate(date(2026, 10, 2), "1.5"),
    rate(date(2026, 10, 1), "2"),
    rule("account-kymp", 10, "sote", account="wrk-kymp"),
    placed("p-1x", "kymp"),
    SEAT_PRICE,
    budget("kymp-2026", "kymp", "0.01", "0.5", "1.0"),
]

steps = st.one_of(
    st.builds(_reading, st.integers(0, 3), st.integers(0, 2), st.integers(0, 10**6), st.integers(1, 4), st.booleans()),
    st.sampled_from(CHANGES).map(_published),
    st.builds(
        lambda day, count: lambda world: world.publish(seat_count(date(2026, 10, day), count)),
        st.integers(1, 4),
        st.integers(0, 5),
    ),
    st.sampled_from([None, date(2026, 10, 2)]).map(
        lambda end: lambda world: world.publish(seat("p-1x", date(2026, 10, 1), end, revision=int(end is not None)))
    ),
    st.just(lambda world: world.later(days=1)),
    st.just(lambda world: world.settle()),
    st.just(_usage_first),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(steps, min_size=3, max_size=14))
def test_live_and_rebuilt_are_the_same(happened: Sequence[Step]) -> None:
    with TemporaryDirectory() as folder:
        world = make_world(Path(folder), lambda clock: MemoryBus(clock, partitions=2))
        world.register(*BASE)
        for step in happened:
            step(world)
        world.settle()
        assert world.problems() == []
        live, told = _everything(world), world.outgoing("mail")
        world.rebuild()
        assert world.problems() == []
        assert (_everything(world), world.outgoing("mail")) == (live, told)
        world.close()


def _everything(world: World) -> list[dict[str, object]]:
    days = [START.date() + timedelta(days=number) for number in range((world.clock.now() - START).days + 1)]
    return [world.report(OCTOBER)] + [world.report(OCTOBER, as_known_on=day) for day in days]
