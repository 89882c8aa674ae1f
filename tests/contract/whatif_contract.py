"""What would be, on every store: a change of nothing changes nothing, a plan costs what its like cost."""

# ruff: noqa: ANN401  # members of any model are passed through to it, which checks them

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from sqlalchemy import select

from services.cost_alerts.adapters.price_exposure import price_exposures
from services.cost_alerts.adapters.register import load_book
from services.cost_alerts.adapters.tables import PERIOD_CHARGE
from services.cost_alerts.adapters.whatif.estimate import estimate
from services.cost_alerts.adapters.whatif.price_index import price_index
from services.cost_alerts.adapters.whatif.register import facts_now
from services.cost_alerts.adapters.whatif.simulate import register_now, simulate
from services.cost_alerts.domain.whatif.change import Change
from services.cost_alerts.domain.whatif.comparing import Comparison
from services.cost_alerts.domain.whatif.plan import Nano, Plan, PlanPart
from services.shared.errors import ConfigurationError
from services.shared.events import prices
from services.shared.events import register as facts
from services.shared.events.plans import PlannedChange
from services.shared.events.usage import Consumer
from services.shared.money import NANO
from services.shared.periods import Month
from tests.contract.invoices_contract import invoice
from tests.contract.ledger_world import (
    BASE,
    MODEL,
    OCTOBER,
    SYSTEM,
    World,
    placed,
    rate,
    reading,
    rule,
    seat,
    seat_count,
    tariff,
    unit,
)

MakeWorld = Callable[[], World]
SEPTEMBER, NOVEMBER = OCTOBER.previous, OCTOBER.next
MONTHS = [SEPTEMBER, OCTOBER]
TODAY = date(2026, 11, 2)
SEARCHES = "web_searches"
UNHEARD = Change(rates={"XYZ": Decimal(1)})
"""A change of nothing that is paid, for which every system is priced again all the same."""


def contract(*terms: dict[str, Any], **members: Any) -> prices.Contract:
    given = {"id": "claude-2026", "system": SYSTEM, "vendor": "anthropic", "valid_from": date(2026, 9, 20)}
    return prices.Contract.model_validate({**given, "terms": terms, **members})


POOL = {"kind": "pool", "id": "searches", "meter": SEARCHES, "size": "100", "price": "31.00", "currency": "EUR"}
SEAT = tariff(
    "seats", "31.00", id="seat", system="copilot", sku="M365", model="per_seat_month", per="1", currency="EUR"
)
COPILOT = facts.System(id="copilot", vendor="microsoft", name="Copilot", owner="city")
TIERED = prices.Tariff.model_validate(
    {
        **tariff("audio_minutes", "1", id="audio", per="1").model_dump(),
        "model": "graduated",
        "price": None,
        "tiers": [{"up_to": "50", "price": "2"}, {"price": "1"}],
    }
)
EVERYTHING = (
    contract(
        POOL,
        {"kind": "fee", "id": "platform", "sku": "platform", "amount": "62.00", "currency": "USD"},
        {"kind": "minimum", "id": "promised", "amount": "900.00", "currency": "EUR"},
        {"kind": "capacity", "id": "ptu", "sku": "ptu", "quantity": "3", "price": "0.5", "currency": "EUR"},
        discounts=[{"off": "0.05"}],
    ),
    tariff(SEARCHES, "1.00", id="searches", per="1"),
    TIERED,
    tariff("messages", "1.00", id="packs", per="1", round_up={"to": "40", "per": "month"}),
    SEAT,
    COPILOT,
    facts.System(id="other", vendor="openai", name="Other", owner="city", price_from="reported"),
    placed("p-1x", "kymp"),
    placed("p-1x", "sote", date(2026, 10, 20)),
)  # fmt: skip
"""A pool, a fee, a minimum, capacity, tiers, packages, discounts, seats, a vendor's own costs, somebody who moves."""


def publish_use(world: World) -> None:
    """Use of everything on some days of September and October: some without a price, some estimated and invoiced."""
    for number in range(20):
        start = datetime(2026, 9, 16, 8, tzinfo=UTC) + timedelta(days=2 * number)
        consumed = {SEARCHES: "13", "input_tokens": "1000000", "audio_minutes": "7", "messages": "3"}
        world.publish(
            reading(f"r{number}", start=start, consumed=consumed, account=f"wrk-{('kymp', 'sote', 'no')[number % 3]}"),
            reading(f"u{number}", start=start, sku="unheard-of", consumed={"input_tokens": "5"}),
            reading(f"e{number}", start=start, finality="estimate"),
            reading(f"o{number}", start=start, system="other", sku="gpt", consumed={"requests": "5"},
                    reported_cost={"amount": "1.50", "currency": "USD"}),
        )  # fmt: skip
    world.publish(*(seat_count(date(2026, 9, 1) + timedelta(days=number), 4) for number in range(0, 60, 5)))
    world.publish(seat("p-1x", date(2026, 9, 3)), seat("p-2x", date(2026, 9, 3)))
    world.publish(invoice("2000.00"))


def live_until(world: World, day: date) -> None:
    while world.clock.now().date() < day:
        world.later(days=7)
        world.begin_day()
    world.settle()


def simulated(world: World, change: Change, months: list[Month] | None = None) -> Comparison:
    return simulate(world.service.store, change, months or MONTHS, lambda _done, _of: None)


def of_system(found: Comparison, system: str) -> tuple[int, int]:
    rows = [row for row in found.rows if row.system == system]
    return sum(row.before_nano for row in rows), sum(row.after_nano for row in rows)


def assert_before_is_the_ledger(world: World) -> None:
    found = simulated(world, UNHEARD)
    assert (found.unlike_nano, {row.difference_nano for row in found.rows}) == (0, {0})
    assert {row.system for row in found.rows} == {SYSTEM, "copilot", "other"}
    for month in MONTHS:
        rows = world.report(month, basis="incurred")["rows"]
        told = {row["unit"]: (Decimal(row["eur"]), row["unpriced"]) for row in rows}
        assert told == {unit: sums(found, month, unit) for unit in told}
    with world.service.store.reading() as connection:
        charged = set(connection.execute(select(PERIOD_CHARGE.c.agreement)).scalars())
    assert {name.split(":")[0] for name in charged} == {
        "capacity", "fee", "invoice", "minimum", "pool", "seats", "tariff",
    }  # fmt: skip


def sums(found: Comparison, month: Month, unit: str) -> tuple[Decimal, int]:
    rows = [row for where, row in found.by_month.items() if where[:2] == (month, unit)]
    return Decimal(sum(row.before_nano for row in rows)) / NANO, sum(row.unpriced_before for row in rows)


def assert_what_is_unchanged_changes_nothing(world: World) -> None:
    tariffs = [one for one in (*BASE, *EVERYTHING) if isinstance(one, prices.Tariff)]
    same = Change(tariffs, [EVERYTHING[0]])
    found = simulated(world, same, [OCTOBER])
    assert (found.unlike_nano, {row.difference_nano for row in found.rows}) == (0, {0})
    before, after = of_system(simulated(world, same), SYSTEM)
    assert after > before  # the contract began in September: on all of its days it would have cost more


def assert_a_dearer_seat_costs_more_by_its_part(world: World) -> None:
    dearer = SEAT.model_copy(update={"id": "next", "price": Decimal("34.10"), "valid_from": date(2027, 1, 1)})
    found = simulated(world, Change([dearer], seats={("copilot", "M365"): 8}), [OCTOBER])
    before, after = of_system(found, "copilot")
    days = 26  # October's days up to the last count
    assert before == pytest.approx(4 * 31 * NANO * days / 31, abs=60)
    assert after == pytest.approx(8 * Decimal("34.10") * NANO * days / 31, abs=60)
    assert of_system(found, SYSTEM)[0] == of_system(found, SYSTEM)[1] > 0


class WhatIfContract:
    """Subclasses give `make_world`: fresh ledgers on their store."""

    @pytest.fixture
    def world(self, make_world: MakeWorld) -> Iterator[World]:
        world = make_world()
        yield world
        world.close()

    def test_before_is_the_ledger_and_after_differs_by_the_change_alone(self, world: World) -> None:
        world.register(*BASE, *EVERYTHING)
        publish_use(world)
        live_until(world, TODAY)
        assert_before_is_the_ledger(world)
        assert_what_is_unchanged_changes_nothing(world)
        assert_a_dearer_seat_costs_more_by_its_part(world)

    def test_the_register_that_a_change_is_checked_against(self, world: World) -> None:
        world.register(*BASE, SEAT, COPILOT)
        world.publish(seat_count(date(2026, 10, 1), 4))
        world.settle()
        found = register_now(world.service.store, TODAY, MONTHS)
        assert {"seat", "account-kymp"} <= set(found.ids)
        assert found.counted == {("copilot", "M365")}
        with world.service.store.reading() as connection:
            assert len(facts_now(connection)) == len(BASE) + 2

    def test_prices_rise_from_the_day_of_the_next_tariff(self, world: World) -> None:
        ends = tariff("input_tokens", "3.00", valid_to=date(2027, 1, 1))
        follows = tariff("input_tokens", "6.00", id="next", valid_from=date(2027, 1, 1))
        world.register(*BASE[:4], ends, follows, *BASE[5:], SEAT, COPILOT)
        start = datetime(2026, 10, 30, 8, tzinfo=UTC)
        world.publish(reading("a", start=start), reading("b", start=start, sku="unheard-of"))
        world.publish(seat_count(date(2026, 10, 30), 4))
        live_until(world, TODAY)
        days = [date(2026, 10, 1), TODAY, date(2026, 12, 31), date(2027, 1, 1), date(2027, 8, 1)]
        with world.service.store.reading() as connection:
            found = price_index(connection, load_book(connection), SYSTEM, days, today=TODAY)
        assert [found.levels[day] for day in days] == [1, 1, 1, Fraction(5, 3), Fraction(5, 3)]
        assert (found.guessed, found.left_out) == ({}, ["unheard-of"])
        claude, copilot = price_exposures(world.service.store, TODAY)
        left = (date(2027, 11, 2) - date(2027, 1, 1)).days
        assert (claude.system, claude.vendor, claude.announced_from) == (SYSTEM, "anthropic", date(2027, 1, 1))
        assert claude.announced_nano == round(Decimal("2.4") * NANO * left / 28)
        assert claude.ten_percent_nano == round(Decimal("3.6") * NANO * 365 / 280)
        assert (copilot.vendor, copilot.announced_nano, copilot.announced_from) == ("microsoft", 0, None)
        assert copilot.ten_percent_nano == pytest.approx(4 * 31 * 12 * NANO / 10, rel=0.003)

    def test_a_plan_costs_what_its_users_like_used(self, world: World) -> None:
        units = [unit(f"unit-{number}") for number in range(3)]
        people = [placed(f"p-{number:03d}", f"unit-{number // 5}") for number in range(15)]
        world.register(*BASE, *units, *people, SEAT, COPILOT)
        for number in range(15):
            for month in (9, 10):
                many = 1 + number // 5
                world.publish(
                    reading(
                        f"{number}-{month}",
                        start=datetime(2026, month, 5, 8, tzinfo=UTC),
                        consumed={"input_tokens": str(many * 1_000_000)},
                        consumer=Consumer(person=f"p-{number:03d}"),
                    )
                )
        world.publish(seat_count(date(2026, 10, 1), 10, assigned=7))
        live_until(world, TODAY)
        plan = Plan.model_validate(
            {"name": "Tutor", "users": 100, "comparable": [SYSTEM], "seats": [{"system": "copilot", "sku": "M365"}]}
        )
        use, seats = estimate(world.service.store, plan, MONTHS, TODAY).parts
        assert isinstance(use.monthly, Nano)
        assert (use.by, use.persons, use.groups, use.skus) == ("groups", 15, 6, [MODEL])
        assert use.monthly.mid == pytest.approx(100 * Decimal("4.80") * NANO, abs=100)
        assert use.monthly.low == pytest.approx(100 * Decimal("2.40") * NANO, abs=100)
        assert use.monthly.high == pytest.approx(100 * Decimal("7.20") * NANO, abs=100)
        assert (seats.seats, seats.free) == (97, 3)
        assert seats.monthly is not None
        assert seats.monthly.mid == pytest.approx(97 * 31 * NANO, rel=0.001)
        few = estimate(world.service.store, plan.model_copy(update={"skus": ("other",)}), MONTHS, TODAY)
        assert [(part.kind, part.reason) for part in few.parts] == [("use", "no_history"), ("seats", None)]
        assert (few.monthly, few.total) == (None, None)


class WhatIfStories(WhatIfContract):
    """More of it, which asks the store nothing else."""

    def test_what_loses_its_price_is_unknown_and_not_free(self, world: World) -> None:
        world.register(*BASE, tariff(SEARCHES, "1.00", id="searches", per="1"))
        world.publish(reading("a", consumed={SEARCHES: "5"}), reading("b"))
        live_until(world, TODAY)
        found = simulated(world, Change(without=["searches"]), [OCTOBER])
        [row] = found.rows
        assert not row.is_known
        assert (row.unpriced_before, row.unpriced_after) == (0, 1)
        assert row.difference_nano == -4 * NANO

    def test_a_rule_moves_cost_and_a_rate_makes_it_dearer(self, world: World) -> None:
        world.register(*BASE)
        world.publish(reading("a"))
        live_until(world, TODAY)
        moved = simulated(world, Change(allocation=[rule("account-kymp", 10, "sote", account="wrk-kymp")]), [OCTOBER])
        assert {row.unit: row.difference_nano for row in moved.rows} == {"kymp": -3_600_000_000, "sote": 3_600_000_000}
        dollars = simulated(world, Change(rates={"USD": Decimal(1)}), [OCTOBER])
        assert (dollars.total.before_nano, dollars.total.after_nano) == (3_600_000_000, 4_500_000_000)

    def test_months_without_cost_are_refused(self, world: World) -> None:
        world.register(*BASE)
        world.settle()
        with pytest.raises(ConfigurationError, match="found no cost from 2026-09 to 2026-10; expected months"):
            simulated(world, UNHEARD)

    def test_a_planned_rise_counts_once_and_only_before_its_day(self, world: World) -> None:
        def planned(name: str, day: date, **members: Any) -> PlannedChange:
            given = {
                "id": name,
                "kind": "price",
                "system": SYSTEM,
                "valid_from": day,
                "factor": "1.10",
                "source": "a letter",
            }
            return PlannedChange.model_validate({**given, **members})

        world.register(*BASE, rate(date(2026, 11, 1), "1.25"))
        start = datetime(2026, 10, 30, 8, tzinfo=UTC)
        world.publish(reading("a", start=start), reading("b", start=start, account="wrk-sote"))
        live_until(world, TODAY)
        rise = planned("rise", date(2027, 1, 1), unit="kymp")
        world.register(rise, planned("past", date(2026, 10, 1)))
        world.settle()
        [found] = price_exposures(world.service.store, TODAY)
        left = (date(2027, 11, 2) - date(2027, 1, 1)).days
        assert (found.announced_from, found.announced_nano) == (
            date(2027, 1, 1),
            round(Decimal("0.36") * NANO * left / 28),
        )
        world.register(tariff("input_tokens", "3.00", id="next", sku="new", valid_from=date(2027, 1, 1)))
        world.settle()
        [found] = price_exposures(world.service.store, TODAY)
        assert (found.announced_from, found.announced_nano) == (None, 0)

    def test_a_plan_first_uses_what_a_pool_has_left(self, world: World) -> None:
        world.register(*BASE, contract(POOL), tariff(SEARCHES, "1.00", id="searches", per="1", currency="EUR"))
        for week in range(7):
            start = datetime(2026, 9, 9, 8, tzinfo=UTC) + timedelta(weeks=week)
            world.publish(reading(f"w{week}", start=start, consumed={SEARCHES: "15", "requests": "15"}))
        live_until(world, TODAY)

        def part(users: int, uses: str | None) -> PlanPart:
            given = {"name": "Bot", "users": users, "comparable": [SYSTEM], "skus": [MODEL]}
            plan = Plan.model_validate({**given, "uses_per_user_per_month": uses})
            return estimate(world.service.store, plan, MONTHS, TODAY).parts[0]

        world.register(tariff("requests", "0", id="requests"))
        world.settle()
        assert part(20, "1").monthly == Nano(0, 0, 0)
        dearer = part(100, "1")
        assert dearer.by_price == Nano(*[100 * NANO] * 3)
        assert dearer.monthly == pytest.approx([45 * NANO] * 3, abs=31)  # October left 55 of the pool
        assert part(20, None).reason == "no_persons"

    def test_a_plan_that_names_what_is_not_there(self, world: World) -> None:
        world.register(*BASE)
        world.settle()
        for members, sentence in (
            ({"comparable": ["nothing"]}, f"comparable: found nothing; expected use cases or systems of {SYSTEM}"),
            ({"comparable": [SYSTEM], "unit": "moon"}, "unit: found moon; expected one of city, kymp, sote"),
            ({"seats": [{"system": "s", "sku": "k"}]}, f"seats: found the system s; expected one of {SYSTEM}"),
        ):
            plan = Plan.model_validate({"name": "x", "users": 1, **members})
            with pytest.raises(ConfigurationError, match=sentence):
                estimate(world.service.store, plan, MONTHS, TODAY)
