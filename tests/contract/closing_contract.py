"""What closed months, restatements and VAT keep on every store; the world and the city are the ledger's."""

# ruff: noqa: ANN401  # members of a contract, or of a report, are passed on as they come

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from services.cost_alerts.adapters.restatements import restated
from services.cost_alerts.adapters.tables import CLOSING
from services.cost_alerts.domain.closing import month_number
from services.shared.events import register as facts
from services.shared.events.outcomes import LedgerRestated
from services.shared.events.prices import Contract, Tariff
from services.shared.money import from_nano
from services.shared.periods import Month
from tests.contract.ledger_world import (
    BASE,
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

SEPTEMBER, NOVEMBER, DECEMBER = Month(2026, 9), Month(2026, 11), Month(2026, 12)
MONTHS = (SEPTEMBER, OCTOBER, NOVEMBER, DECEMBER)
COPILOT = facts.System(id="copilot", vendor="microsoft", name="Copilot", owner="city")


def seat_price(price: str) -> Tariff:
    found: Tariff = tariff(
        "seats", price, id="seat", system="copilot", sku="M365", model="per_seat_month", per="1", currency="EUR"
    )
    return found


def contract(vat_rate: str | None = "0.255", **members: Any) -> Contract:
    given = {"id": "anthropic-2026", "system": SYSTEM, "vendor": "anthropic", "vat_rate": vat_rate}
    return Contract.model_validate({**given, "valid_from": date(2026, 1, 1), **members})


def close(world: World, month: Month, cut_off: datetime | None = None, by: str | None = None) -> None:
    """Everything so far counts, nothing that comes later."""
    world.later(minutes=1)
    data = facts.Closing(
        month=str(month), cut_off=cut_off or world.clock.now() - timedelta(milliseconds=1), closed_by=by
    )
    name = f"closed-{month}-{world.clock.now():%s}"
    event = facts.PeriodClosed(id=name, source="test", subject=str(month), time=world.clock.now(), data=data)
    world.publish(event)


def totals(world: World, basis: str, **how: Any) -> dict[str, str]:
    """Month → euro, of the months that have any."""
    found = {str(month): world.report(month, basis=basis, **how)["total"]["eur"] for month in MONTHS}
    return {month: eur for month, eur in found.items() if eur != "0"}


def assert_adds_up(world: World, **how: Any) -> None:
    """What is booked, over all months, is what was incurred."""
    sums = [
        sum(Decimal(world.report(month, basis=basis, **how)["total"]["eur"]) for month in MONTHS)
        for basis in ("booked", "incurred")
    ]
    assert sums[0] == sums[1]


class ClosingContract:
    """Inherited by the test of each store, which gives `make_world`."""

    @pytest.fixture
    def world(self, make_world: MakeWorld) -> World:
        world = make_world()
        world.register(*BASE)
        return world

    @pytest.fixture
    def late(self, world: World) -> World:
        """October costs 3.60 and is closed; then a reading of 3.60 comes for it."""
        world.publish(reading("a"))
        world.settle()
        world.clock.set(datetime(2026, 11, 3, 9, tzinfo=UTC))
        close(world, OCTOBER, by="finance")
        world.later(hours=1)
        world.publish(reading("late"))
        world.settle()
        return world

    @pytest.fixture(autouse=True)
    def holds_and_rebuilds_to_the_same(self, world: World) -> Iterator[None]:
        """After every test: the ledger holds, adds up, and folding the bus again gives every report again."""
        yield
        world.settle()
        assert world.problems() == []
        assert_adds_up(world)
        before = everything(world)
        world.rebuild()
        assert world.problems() == []
        assert everything(world) == before
        world.close()

    def test_what_comes_after_the_closing_is_booked_in_the_open_month(self, late: World) -> None:
        assert totals(late, "booked") == {"2026-10": "3.6", "2026-11": "3.6"}
        assert totals(late, "incurred") == {"2026-10": "7.2"}

    def test_a_row_tells_the_day_it_was_incurred_on(self, late: World) -> None:
        [row] = late.report(NOVEMBER, by="day", basis="booked")["rows"]
        assert (row["day"], row["eur"], row["readings"]) == ("2026-10-02", "3.6", 1)

    def test_as_known_before_the_closing_nothing_was_closed(self, late: World) -> None:
        for known_on in (date(2026, 10, 1), date(2026, 11, 2)):
            assert totals(late, "booked", as_known_on=known_on) == {"2026-10": "3.6"}
        assert totals(late, "booked", as_known_on=date(2026, 11, 3)) == {"2026-10": "3.6", "2026-11": "3.6"}
        assert totals(late, "incurred", as_known_on=date(2026, 11, 3)) == {"2026-10": "7.2"}

    def test_the_first_closing_stands(self, late: World) -> None:
        late.later(hours=1)
        close(late, OCTOBER, by="another")
        late.settle()
        assert totals(late, "booked") == {"2026-10": "3.6", "2026-11": "3.6"}
        with late.service.store.reading() as connection:
            [row] = connection.execute(select(CLOSING)).all()
        assert (row.month, row.closed_by) == (month_number(OCTOBER), "finance")

    def test_when_the_next_month_is_closed_too_the_one_after_takes_it(self, late: World) -> None:
        late.clock.set(datetime(2026, 12, 2, 9, tzinfo=UTC))
        close(late, NOVEMBER)
        late.later(hours=1)
        late.publish(reading("later still"))
        late.settle()
        assert totals(late, "booked") == {"2026-10": "3.6", "2026-11": "3.6", "2026-12": "3.6"}
        assert totals(late, "incurred") == {"2026-10": "10.8"}

    def test_what_came_between_the_cut_off_and_the_closing_moves(self, world: World) -> None:
        """It was counted before anybody knew of the closing."""
        world.publish(reading("a"))
        world.clock.set(datetime(2026, 11, 3, 9, tzinfo=UTC))
        cut_off = world.clock.now() + timedelta(minutes=30)
        world.later(hours=1)
        world.publish(reading("b"), reading("a", 1, consumed={"input_tokens": "2000000"}))
        world.settle()
        close(world, OCTOBER, cut_off)
        world.settle()
        assert totals(world, "booked") == {"2026-10": "3.6", "2026-11": "4.8"}  # 3.60, and 4.80 in place of 3.60

    @pytest.mark.parametrize("what", ["tariff", "rate", "rule", "unit", "placement"])
    def test_a_correction_after_the_closing_leaves_the_closed_month_alone(self, world: World, what: str) -> None:
        world.publish(reading("a"), reading("b", consumer={"person": "p-1x"}))
        world.settle()
        before = world.report()
        world.clock.set(datetime(2026, 11, 3, 9, tzinfo=UTC))
        close(world, OCTOBER)
        world.settle()
        assert world.report() == before
        world.later(hours=1)
        change = {
            "tariff": tariff("input_tokens", "6.00"),
            "rate": rate(date(2026, 9, 30), "2"),
            "rule": rule("account-kymp", 10, "sote", account="wrk-kymp"),
            "unit": unit("kymp", cost_centre="3010005"),
            "placement": placed("p-1x", "sote"),
        }[what]
        world.register(change)
        world.settle()
        assert world.report() == before
        assert world.report(basis="incurred") != before or what == "unit"
        assert world.report(NOVEMBER)["rows"] or what == "unit"
        assert world.report(NOVEMBER, by="cost_centre")["rows"] or what != "unit"
        world.later(days=1)
        world.publish(reading("a", 1, retracted=True), reading("b", 1, retracted=True))
        world.settle()
        assert world.report() == before
        assert sum(Decimal(eur) for eur in totals(world, "booked").values()) == 0
        assert totals(world, "incurred") == {}

    def test_seats_of_a_closed_month_stay(self, world: World) -> None:
        world.register(COPILOT, seat_price("31.00"), placed("p-1x", "kymp"))
        world.publish(seat("p-1x", date(2026, 10, 1)))
        world.publish(seat_count(date(2026, 10, 1), 2), seat_count(date(2026, 10, 31), 2))
        world.settle()
        before = world.report()
        assert before["total"]["eur"] == "62"
        world.clock.set(datetime(2026, 11, 3, 9, tzinfo=UTC))
        world.publish(seat_count(date(2026, 10, 30), 3))
        world.settle()
        close(world, OCTOBER)
        world.later(minutes=1)
        world.publish(seat_count(date(2026, 10, 29), 4))  # on the day of the cut-off, after it
        world.settle()
        closed = world.report()
        assert closed["total"]["eur"] == "63"
        world.later(days=1)
        world.register(seat_price("62.00"))
        world.settle()
        assert world.report() == closed
        assert totals(world, "incurred") == {"2026-10": "130"}
        assert totals(world, "booked") == {"2026-10": "63", "2026-11": "67"}

    def test_closing_a_month_without_charges_opens_nothing(self, world: World) -> None:
        world.publish(reading("a"))
        close(world, SEPTEMBER)
        world.later(hours=1)
        world.publish(reading("september", start=datetime(2026, 9, 30, 8, tzinfo=UTC)))
        world.settle()
        assert totals(world, "booked") == {"2026-10": "3.6"}  # without a rate: readings and dollars, no euro
        assert world.report(OCTOBER)["total"]["readings"] == 2
        assert world.report(SEPTEMBER)["rows"] == []

    # VAT

    def test_vat_is_told_beside_the_net(self, world: World) -> None:
        world.register(contract("0.255"))
        world.publish(reading("a"))
        world.settle()
        [row] = world.report()["rows"]
        assert (row["eur"], row["vat_eur"], row["without_vat_rate"]) == ("3.6", "0.918", "0")

    def test_vat_is_exact_beyond_a_nano(self, world: World) -> None:
        world.register(contract("0.255"))
        world.publish(reading("a", consumed={"input_tokens": "1"}))
        world.settle()
        [row] = world.report()["rows"]
        assert (row["eur"], row["vat_eur"]) == ("0.0000024", "0.000000612")

    def test_an_unknown_vat_rate_is_not_nought(self, world: World) -> None:
        world.register(contract("0.255", valid_to=date(2026, 10, 3)))
        world.publish(reading("a"), reading("b", start=datetime(2026, 10, 4, 8, tzinfo=UTC)))
        world.settle()
        [row] = world.report()["rows"]
        assert (row["eur"], row["vat_eur"], row["without_vat_rate"]) == ("7.2", None, "3.6")

    def test_a_vat_rate_of_nought_is_known(self, world: World) -> None:
        world.register(contract("0"))
        world.publish(reading("a"))
        world.settle()
        assert world.report()["total"]["vat_eur"] == "0"

    # Restatements

    def test_a_restatement_tells_why_and_who_and_what_before_and_after(self, world: World) -> None:
        world.publish(reading("a"), reading("b", account="wrk-sote"))
        world.settle()
        world.later(days=1)
        world.register(
            tariff("input_tokens", "6.00"),
            marker={"author": "ict", "approver": "finance", "reason": "the list price was mistyped"},
        )
        world.settle()
        [told] = world.events(LedgerRestated)
        assert (told.data.author, told.data.approver) == ("ict", "finance")
        assert told.data.reason == "the list price was mistyped"
        assert told.data.before_eur == {"kymp": Decimal("3.6"), "sote": Decimal("3.6")}
        assert told.data.after_eur == {"kymp": Decimal(6), "sote": Decimal(6)}

    def test_charges_by_the_period_are_in_the_figure(self, world: World) -> None:
        world.register(COPILOT, seat_price("31.00"), placed("p-1x", "kymp"))
        world.clock.set(datetime(2026, 10, 12, 9, tzinfo=UTC))
        world.publish(seat("p-1x", date(2026, 10, 1)), seat_count(date(2026, 10, 1), 2))
        world.publish(seat_count(date(2026, 10, 10), 2))
        world.settle()
        world.later(hours=3)
        world.register(seat_price("62.00"))
        world.later(hours=3)  # later on the same day something else is known: that is no correction
        world.publish(seat_count(date(2026, 10, 12), 2))
        world.settle()
        assert world.report()["total"]["eur"] == "48"
        [told] = world.events(LedgerRestated)
        assert told.data.before_eur == {"kymp": Decimal(10), "unallocated": Decimal(10)}
        assert told.data.after_eur == {"kymp": Decimal(20), "unallocated": Decimal(20)}

    def test_each_version_is_told_also_when_several_wait(self, world: World) -> None:
        world.publish(reading("a"))
        world.settle()
        for price in ("6.00", "9.00"):
            world.later(hours=1)
            world.register(tariff("input_tokens", price))
        world.settle()
        told = {one.data.register_version: one.data.after_eur["kymp"] for one in world.events(LedgerRestated)}
        assert told == {2: Decimal(6), 3: Decimal("8.4")}

    def test_a_version_was_in_force_until_the_revision_that_came_before_the_walk(self, world: World) -> None:
        """The register and the revision are read before the restater looks: the day between is not forgotten."""
        world.publish(reading("a"))
        world.settle()
        world.later(days=1)
        world.register(tariff("input_tokens", "6.00"))
        world.later(days=1)
        world.publish(reading("a", 1, consumed={"input_tokens": "500000"}))
        world.settle()
        known = [world.eur(as_known_on=date(2026, 10, day)) for day in (1, 2, 3)]
        assert known == [{"kymp": "3.6"}, {"kymp": "6"}, {"kymp": "2.4"}]
        [told] = world.events(LedgerRestated)
        assert (told.data.before_eur, told.data.after_eur) == ({"kymp": Decimal("3.6")}, {"kymp": Decimal(6)})

    def test_restated_figures_stand_again_after_a_rebuild(self, world: World) -> None:
        world.publish(reading("a"))
        world.settle()
        world.later(days=1)
        world.register(tariff("input_tokens", "6.00"))
        world.settle()
        before, by_unit = restatements(world), world.service.queries.restated(OCTOBER)
        assert before == [(2, {"kymp": (Decimal("3.6"), Decimal(6))})]
        world.rebuild()
        assert restatements(world) == before
        assert world.service.queries.restated(OCTOBER) == by_unit
        assert len(world.events(LedgerRestated)) == 1

    def test_restating_twice_is_restating_once(self, world: World) -> None:
        world.publish(reading("a"))
        world.settle()
        world.later(days=1)
        world.register(tariff("input_tokens", "6.00"))
        world.settle()
        before = everything(world)
        with world.service.store.transaction() as tx:
            tx.connection.exec_driver_sql("UPDATE restatement SET done_to = 0, finished = 0")
            tx.connection.exec_driver_sql("UPDATE reading SET register_version = 1")
        world.settle()
        assert everything(world) == before
        assert len(world.events(LedgerRestated)) == 1

    def test_a_restatement_is_under_way_until_it_is_told(self, world: World) -> None:
        world.publish(*(reading(f"r{number}") for number in range(5)))
        world.settle()
        assert world.service.queries.restatement_progress() == 1.0
        world.later(days=1)
        world.register(tariff("input_tokens", "6.00"))
        register, *_ = world.service.consumers
        while not register.status().caught_up:
            register.step()
        assert world.service.queries.restatement_progress() == 0.0
        world.settle()
        assert world.service.queries.restatement_progress() == 1.0


def restatements(world: World) -> list[tuple[int, dict[str, tuple[Decimal, Decimal]]]]:
    with world.service.store.reading() as connection:
        return [
            (
                one.version,
                {unit: (from_nano(before), from_nano(after)) for unit, (before, after) in one.by_unit.items()},
            )
            for one in restated(connection)
        ]


def everything(world: World) -> list[Any]:
    """Every report of every month on both bases, now and as known on some days before, and what was restated."""
    last = world.clock.now().date()
    days = [None, *(last - timedelta(days=number) for number in (0, 1, 2, 30, 40))]
    return [
        restatements(world),
        *(
            world.report(month, by=by, basis=basis, as_known_on=day)
            for month in MONTHS
            for by in ("unit", "cost_centre")
            for basis in ("booked", "incurred")
            for day in days
        ),
    ]
