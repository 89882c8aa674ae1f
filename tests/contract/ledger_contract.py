"""What the ledger keeps on every store: each fact counts once, history stays, sums are the sums of their parts."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random

import pytest
from sqlalchemy import delete

from services.cost_alerts.adapters.periods import SqlPeriods
from services.cost_alerts.adapters.presence import is_another_at_work
from services.cost_alerts.adapters.rebuild import forget_ledger
from services.cost_alerts.adapters.seats import SqlSeats
from services.cost_alerts.adapters.tables import METADATA
from services.cost_alerts.domain.report import Sum, report
from services.cost_alerts.main import GROUPS
from services.shared.bus import Message
from services.shared.events import DEAD_LETTER, OUTCOMES, USAGE, encode, prices
from services.shared.events import register as facts
from services.shared.events.outcomes import (
    Finding,
    FindingClosed,
    FindingClosing,
    FindingOpened,
    LedgerRestated,
    ReadingConflictFound,
    ThresholdCrossed,
)
from services.shared.events.usage import Consumer, Cost
from services.shared.periods import Month
from services.shared.store import Transaction
from services.shared.store.open import open_store
from services.shared.store.tables import common_tables, micros
from tests.contract.ledger_world import (
    BASE,
    OCTOBER,
    START,
    SYSTEM,
    World,
    budget,
    placed,
    rate,
    reading,
    rule,
    seat,
    seat_count,
    tariff,
    unit,
)
from tests.contract.migrations_match import assert_migrations_match


def _read(world: World, number: int) -> None:
    """One consumer reads to the end."""
    consumer = world.service.consumers[number]
    while not consumer.status().caught_up:
        consumer.step()


MakeWorld = Callable[[], World]

KYMP = {"unit": "kymp", "eur": "3.6", "pricing": {"USD": "4.5"}, "readings": 1, "unpriced": 0}
SEATS = facts.System(id="copilot", vendor="microsoft", name="Copilot", owner="city")


def seat_price(price: str, **members: object) -> prices.Tariff:
    given = {"id": "copilot-seat", "system": "copilot", "sku": "M365", "model": "per_seat_month", "per": "1"}
    return tariff("seats", price, **{**given, "currency": "EUR", **members})


class LedgerContract:
    """Inherited by the test of each store, which gives `make_world`."""

    @pytest.fixture
    def world(self, make_world: MakeWorld) -> World:
        world = make_world()
        world.register(*BASE)
        return world

    @pytest.fixture(autouse=True)
    def holds_and_rebuilds_to_the_same(self, world: World) -> Iterator[None]:
        """After every test: the check finds nothing, and folding the bus again gives every report again."""
        yield
        world.settle()
        assert world.problems() == []
        days = [START.date() + timedelta(days=number) for number in range((world.clock.now() - START).days + 1)]
        before = [world.report()] + [world.report(as_known_on=day) for day in days]
        sent = (world.outgoing("mail"), world.outgoing("webhook"))
        world.rebuild()
        assert [world.report()] + [world.report(as_known_on=day) for day in days] == before
        assert world.problems() == []
        assert (world.outgoing("mail"), world.outgoing("webhook")) == sent
        world.close()

    # Readings

    def test_a_reading_costs_what_its_tariffs_say(self, world: World) -> None:
        world.publish(reading("a"))
        world.settle()
        row = {**KYMP, "vat_eur": None, "without_vat_rate": "3.6"}
        total = {name: value for name, value in row.items() if name != "unit"}
        assert world.report() == {
            "month": "2026-10",
            "basis": "booked",
            "as_known_on": None,
            "rows": [row],
            "total": total,
        }

    def test_the_same_again_changes_nothing(self, world: World) -> None:
        world.publish(reading("a"))
        world.settle()
        world.publish(reading("a"), reading("a", consumed={"output_tokens": "100000.0", "input_tokens": "1000000"}))
        world.settle()
        assert world.rows() == {"kymp": KYMP}
        assert world.service.queries.counts() == {"readings": 1, "charges": 2, "conflicts": 0}

    def test_a_reported_cost_is_the_same_however_it_is_written(self, world: World) -> None:
        world.publish(*(reading("a", reported_cost={"amount": text, "currency": "USD"}) for text in ("1.20", "1.2")))
        world.settle()
        assert world.service.queries.counts()["conflicts"] == 0

    def test_the_largest_charges_fit_one_sum(self, world: World) -> None:
        largest = {"input_tokens": "330000000000"}  # at 3 dollars a million just below the largest charge
        world.publish(*(reading(f"large-{number}", consumed=largest) for number in range(200)))
        world.settle()
        assert world.rows()["kymp"]["unpriced"] == 0
        assert world.rows()["kymp"]["readings"] == 200

    def test_the_same_thrice_in_one_batch_counts_once(self, world: World) -> None:
        world.publish(reading("a"), reading("a"), reading("b"), reading("a"))
        world.settle()
        assert world.eur() == {"kymp": "7.2"}

    def test_a_higher_revision_replaces_and_the_past_stays_known(self, world: World) -> None:
        world.publish(reading("a"))
        world.settle()
        world.later(days=1)
        world.publish(reading("a", 1, consumed={"input_tokens": "2000000"}))
        world.settle()
        assert world.eur() == {"kymp": "4.8"}
        assert world.eur(as_known_on=date(2026, 10, 1)) == {"kymp": "3.6"}
        assert world.eur(as_known_on=date(2026, 10, 2)) == {"kymp": "4.8"}

    def test_a_lower_revision_that_comes_late_changes_nothing(self, world: World) -> None:
        world.publish(reading("a", 3), reading("a", 1, consumed={"input_tokens": "7"}))
        world.settle()
        assert world.rows() == {"kymp": KYMP}
        assert world.events(ReadingConflictFound) == []

    def test_revisions_of_one_batch_leave_the_highest(self, world: World) -> None:
        changed = [reading("a", number, consumed={"input_tokens": str(number * 1_000_000)}) for number in range(5)]
        world.publish(*changed)
        world.settle()
        assert world.eur() == {"kymp": "9.6"}
        assert world.rows()["kymp"]["readings"] == 1

    def test_a_revision_with_two_contents_is_told_once_and_the_first_stands(self, world: World) -> None:
        other = reading("a", consumed={"input_tokens": "1"})
        world.publish(reading("a"), other)
        world.settle()
        world.publish(other, reading("a", consumed={"input_tokens": "2"}))
        world.settle()
        assert world.rows() == {"kymp": KYMP}
        [told] = world.events(ReadingConflictFound)
        assert (told.data.reading_id, told.data.revision) == ("a", 0)
        assert world.service.queries.counts()["conflicts"] == 1

    def test_a_conflict_with_a_replaced_revision_is_told_too(self, world: World) -> None:
        world.publish(reading("a"), reading("a", 1))
        world.settle()
        world.publish(reading("a", 0, consumed={"input_tokens": "1"}))
        world.settle()
        assert [told.data.revision for told in world.events(ReadingConflictFound)] == [0]

    def test_what_the_vendor_took_back_costs_nothing(self, world: World) -> None:
        world.publish(reading("a"), reading("b"))
        world.settle()
        world.publish(reading("a", 1, retracted=True))
        world.settle()
        assert world.rows() == {"kymp": KYMP}

    def test_and_costs_again_when_it_comes_back(self, world: World) -> None:
        world.publish(reading("a"), reading("a", 1, retracted=True), reading("a", 2))
        world.settle()
        assert world.rows() == {"kymp": KYMP}

    @pytest.mark.parametrize("purpose", ["attribution", "telemetry"])
    def test_only_billing_readings_cost(self, world: World, purpose: str) -> None:
        world.publish(reading("a", purpose=purpose))
        world.settle()
        assert world.rows() == {}
        assert world.service.queries.counts()["readings"] == 1

    def test_a_reading_may_move_to_another_month_and_unit(self, world: World) -> None:
        world.publish(reading("a"))
        world.settle()
        world.publish(reading("a", 1, start=datetime(2026, 11, 2, 8, tzinfo=UTC), account="wrk-sote"))
        world.settle()
        assert world.eur() == {}
        assert world.eur(Month(2026, 11)) == {"sote": "3.6"}

    @pytest.mark.parametrize(
        ("start", "month"),
        [
            pytest.param(datetime(2026, 10, 31, 21, 59, tzinfo=UTC), Month(2026, 10), id="a minute before midnight"),
            pytest.param(datetime(2026, 10, 31, 22, 0, tzinfo=UTC), Month(2026, 11), id="midnight in Helsinki, winter"),
            pytest.param(datetime(2026, 9, 30, 21, 0, tzinfo=UTC), Month(2026, 10), id="midnight in Helsinki, summer"),
        ],
    )
    def test_a_reading_belongs_to_the_helsinki_day_of_its_start(
        self, world: World, start: datetime, month: Month
    ) -> None:
        world.register(rate(date(2026, 9, 29), "1.25"))
        world.publish(reading("a", start=start))
        world.settle()
        assert world.eur(month) == {"kymp": "3.6"}

    def test_what_nobody_owns_is_unallocated(self, world: World) -> None:
        world.publish(reading("a", account="unknown"))
        world.settle()
        assert world.eur() == {"unallocated": "3.6"}
        assert world.service.queries.unallocated(OCTOBER) == {SYSTEM: 3_600_000_000}

    # Prices

    def test_a_reading_without_a_tariff_is_unpriced_not_free(self, world: World) -> None:
        world.publish(reading("a", sku="claude-unheard-of"), reading("b"))
        world.settle()
        assert world.rows()["kymp"] == {**KYMP, "readings": 2, "unpriced": 1}
        assert [(one.sku, one.meter, one.reason) for one in world.service.queries.unpriced_reasons()] == [
            ("claude-unheard-of", "input_tokens", "no tariff"),
            ("claude-unheard-of", "output_tokens", "no tariff"),
        ]
        assert [tuple(one) for one in world.service.queries.unpriced()] == [(SYSTEM, 2, 1)]

    def test_one_unpriced_meter_makes_one_unpriced_reading(self, world: World) -> None:
        world.publish(reading("a", consumed={"input_tokens": "1000000", "web_searches": "2", "assists": "1"}))
        world.settle()
        assert world.rows()["kymp"] == {
            "unit": "kymp", "eur": "2.4", "pricing": {"USD": "3"}, "readings": 1, "unpriced": 1,
        }  # fmt: skip

    def test_readings_wait_until_the_register_was_read(self, world: World) -> None:
        """Else the first of two revisions in one batch keeps prices that were not in force any more."""
        world.register(*BASE)
        world.settle()
        world.register(tariff("input_tokens", "6.00"))
        world.later(hours=1)
        world.publish(reading("a"))
        register, usage, *_ = world.service.consumers
        assert world.service.consume(usage) > 0
        assert not world.rows()
        while not register.status().caught_up:
            world.service.consume(register)
        while not usage.status().caught_up:
            world.service.consume(usage)
        assert world.eur() == {"kymp": "6"}

    def test_none_consumed_needs_no_tariff(self, world: World) -> None:
        world.publish(reading("a", consumed={"input_tokens": "1000000", "web_searches": "0"}))
        world.settle()
        assert (world.rows()["kymp"]["eur"], world.rows()["kymp"]["unpriced"]) == ("2.4", 0)

    def test_a_reading_without_meters_says_so(self, world: World) -> None:
        world.publish(reading("a", consumed={}))
        world.settle()
        assert [one.reason for one in world.service.queries.unpriced_reasons()] == ["nothing metered"]

    def test_an_impossible_amount_is_unpriced(self, world: World) -> None:
        world.publish(reading("a", consumed={"input_tokens": "9" * 30}))
        world.settle()
        assert [one.reason for one in world.service.queries.unpriced_reasons()] == ["amount too large"]

    def test_without_a_rate_dollars_are_known_and_euro_are_not(self, world: World) -> None:
        world.publish(reading("a", start=datetime(2026, 9, 30, 8, tzinfo=UTC)))
        world.settle()
        assert world.rows(Month(2026, 9))["kymp"] == {
            "unit": "kymp", "eur": "0", "pricing": {"USD": "4.5"}, "readings": 1, "unpriced": 1,
        }  # fmt: skip

    def test_the_vendors_own_figure_counts_where_the_register_says_so(self, world: World) -> None:
        world.register(facts.System(id=SYSTEM, vendor="anthropic", name="Claude", owner="city", price_from="reported"))
        cost = Cost(amount=Decimal("1.234567891"), currency="EUR")
        world.publish(reading("a", reported_cost=cost), reading("b"))
        world.settle()
        assert world.rows()["kymp"] == {
            "unit": "kymp", "eur": "1.234567891", "pricing": {"EUR": "1.234567891"}, "readings": 2, "unpriced": 1,
        }  # fmt: skip

    def test_an_estimate_is_marked_and_its_final_figure_replaces_it(self, world: World) -> None:
        world.publish(reading("a", finality="estimate"))
        world.settle()
        world.publish(reading("a", 1, finality="final"))
        world.settle()
        assert world.rows() == {"kymp": KYMP}

    # The register

    def test_a_late_tariff_heals_and_the_past_stays_known(self, world: World) -> None:
        world.publish(reading("a", sku="claude-new"))
        world.settle()
        world.later(days=1)
        world.register(
            tariff("input_tokens", "3.00", id="n-i", sku="claude-new"),
            tariff("output_tokens", "15.00", id="n-o", sku="claude-new"),
        )
        world.settle()
        assert world.rows() == {"kymp": KYMP}
        assert world.rows(as_known_on=date(2026, 10, 1))["kymp"]["unpriced"] == 1
        [told] = world.events(LedgerRestated)
        assert (told.data.register_version, told.data.readings) == (2, 1)
        assert (told.data.before_eur, told.data.after_eur) == ({"kymp": Decimal(0)}, {"kymp": Decimal("3.6")})

    def test_a_corrected_price_restates_each_reading_once(self, world: World) -> None:
        world.publish(*(reading(f"r{number}") for number in range(5)))
        world.settle()
        world.later(days=1)
        world.register(tariff("input_tokens", "6.00"))
        world.settle()
        world.later(days=1)
        world.register(tariff("input_tokens", "6.00", source="the same price, checked again"))
        world.settle()
        assert world.eur() == {"kymp": "30"}
        assert [told.data.register_version for told in world.events(LedgerRestated)] == [2]
        assert world.service.queries.restated(OCTOBER) == {"kymp": 12_000_000_000}

    def test_facts_wait_for_their_marker(self, world: World) -> None:
        world.settle()
        world.version += 1
        world.publish(world._change(tariff("input_tokens", "99"), tariff("input_tokens", "99")))
        world.publish(reading("a"))
        world.settle()
        assert world.rows() == {"kymp": KYMP}

    def test_a_marker_that_is_not_newer_drops_what_waits(self, world: World) -> None:
        world.settle()
        world.version -= 1
        world.register(tariff("input_tokens", "99"))
        world.register(tariff("output_tokens", "30"))
        world.publish(reading("a"))
        world.settle()
        assert world.eur() == {"kymp": "4.8"}

    def test_a_price_ends_and_another_begins(self, world: World) -> None:
        world.register(
            tariff("input_tokens", "3.00", valid_to=date(2026, 10, 15)),
            tariff("input_tokens", "4.00", id="from-mid-october", valid_from=date(2026, 10, 15)),
        )
        before, after = datetime(2026, 10, 14, 23, 59, tzinfo=UTC), datetime(2026, 10, 15, 0, 0, tzinfo=UTC)
        world.publish(reading("a", start=before, consumed={"input_tokens": "1000000"}))
        world.publish(reading("b", start=after, consumed={"input_tokens": "1000000"}))
        world.settle()
        assert world.report()["total"]["pricing"] == {"USD": "7"}

    def test_a_new_rate_restates_only_days_after_its_own(self, world: World) -> None:
        days = {"a": 2, "b": 5, "c": 6, "d": 7}
        world.publish(*(reading(name, start=datetime(2026, 10, day, 8, tzinfo=UTC)) for name, day in days.items()))
        world.settle()
        world.later(days=1)
        world.register(rate(date(2026, 10, 5), "1.5"), rate(date(2026, 10, 6), "1.2"))
        world.settle()
        # 2 and 5 October keep 1.25, 6 October has the rate of the 5th, 7 October that of the 6th.
        assert world.eur() == {"kymp": "13.95"}

    def test_a_person_moves_in_mid_month(self, world: World) -> None:
        world.register(placed("p-anna", "kymp", until=date(2026, 10, 15)), placed("p-anna", "sote", date(2026, 10, 15)))
        anna = Consumer(person="p-anna", account="wrk-kymp")
        for day in (14, 15, 16):
            start = datetime(2026, 10, day, 8, tzinfo=UTC)
            world.publish(reading(f"d{day}", start=start, consumer=anna))
        world.settle()
        assert world.eur() == {"kymp": "3.6", "sote": "7.2"}

    def test_a_reorganisation_told_afterwards_moves_what_was_charged(self, world: World) -> None:
        world.publish(reading("a"), reading("b", account="wrk-sote"))
        world.settle()
        world.later(days=1)
        world.register(rule("account-kymp", 10, "sote", account="wrk-kymp"))
        world.settle()
        assert world.eur() == {"sote": "7.2"}
        assert world.eur(as_known_on=date(2026, 10, 1)) == {"kymp": "3.6", "sote": "3.6"}

    def test_a_fact_that_is_gone_prices_no_more(self, world: World) -> None:
        world.publish(reading("a"))
        world.settle()
        world.register(without=[tariff("output_tokens", "15.00")])
        world.settle()
        assert (world.eur(), world.rows()["kymp"]["unpriced"]) == ({"kymp": "2.4"}, 1)

    def test_a_register_that_is_read_late_gives_the_same_history(self, world: World) -> None:
        """The readings of a minute are read before a version that was published before them."""
        world.settle()
        world.later(days=1)
        world.register(tariff("input_tokens", "6.00"))
        world.later(days=1)
        world.publish(reading("a"))
        usage = world.service.consumers[1]
        while usage.status().caught_up is False:
            usage.step()
        assert world.eur() == {"kymp": "3.6"}
        world.settle()
        assert world.eur() == world.eur(as_known_on=date(2026, 10, 3)) == {"kymp": "6"}
        assert world.eur(as_known_on=date(2026, 10, 2)) == {}

    # Seats

    def test_seats_cost_their_share_of_the_month_each_day(self, world: World) -> None:
        world.register(SEATS, seat_price("31.00"), placed("p-1", "kymp"), placed("p-2", "sote"))
        world.publish(seat("p-1", date(2026, 10, 1)), seat("p-2", date(2026, 10, 2)), seat_count(date(2026, 10, 2), 3))
        world.publish(seat_count(date(2026, 10, 1), 3))
        world.settle()
        # Three seats at one euro a day: on the first day one is held, on the second two.
        assert world.eur() == {"kymp": "2", "sote": "1", "unallocated": "3"}

    def test_a_day_without_a_count_has_the_seats_of_the_day_before(self, world: World) -> None:
        world.register(SEATS, seat_price("31.00"))
        world.publish(seat_count(date(2026, 10, 1), 2))
        world.settle()
        assert world.eur() == {"unallocated": "2"}
        world.publish(seat_count(date(2026, 10, 4), 5))
        world.settle()
        assert world.eur() == {"unallocated": "11"}  # 2 + 2 + 2 + 5

    def test_free_seats_go_by_the_rules_for_the_system(self, world: World) -> None:
        world.register(SEATS, seat_price("31.00"), rule("copilot-pool", 5, "city", system="copilot"))
        world.publish(seat_count(date(2026, 10, 1), 2))
        world.settle()
        assert world.eur() == {"city": "2"}

    def test_a_day_splits_without_losing_a_nano(self, world: World) -> None:
        world.register(SEATS, seat_price("10.00"), placed("p-1", "kymp"), placed("p-2", "kymp"), placed("p-3", "sote"))
        held = [seat(person, date(2026, 10, 1)) for person in ("p-1", "p-2", "p-3")]
        world.publish(*held, seat_count(date(2026, 10, 1), 3))
        world.settle()
        # 30 / 31 = 0.967741935…; two thirds of it cut, one third cut, the rest to the larger part.
        assert world.eur() == {"kymp": "0.64516129", "sote": "0.322580645"}
        assert world.report()["total"]["eur"] == "0.967741935"

    def test_a_seat_given_back_is_told_later_and_the_past_stays_known(self, world: World) -> None:
        world.register(SEATS, seat_price("31.00"), placed("p-1", "kymp"))
        world.publish(seat("p-1", date(2026, 10, 1)), *(seat_count(date(2026, 10, day), 1) for day in (1, 2, 3)))
        world.settle()
        world.later(days=2)
        world.publish(seat("p-1", date(2026, 10, 1), date(2026, 10, 2), revision=1))
        world.settle()
        assert world.eur() == {"kymp": "1", "unallocated": "2"}
        assert world.eur(as_known_on=date(2026, 10, 1)) == {"kymp": "3"}

    def test_a_seat_price_that_comes_late_heals(self, world: World) -> None:
        world.register(SEATS)
        world.publish(seat_count(date(2026, 10, 1), 1))
        world.settle()
        assert world.rows()["unallocated"]["unpriced"] == 1
        world.later(days=1)
        world.register(seat_price("31.00"))
        world.settle()
        assert world.rows()["unallocated"] == {
            "unit": "unallocated", "eur": "1", "pricing": {"EUR": "1"}, "readings": 0, "unpriced": 0,
        }  # fmt: skip
        assert world.rows(as_known_on=date(2026, 10, 1))["unallocated"]["unpriced"] == 1

    def test_a_count_is_corrected(self, world: World) -> None:
        world.register(SEATS, seat_price("31.00"))
        world.publish(seat_count(date(2026, 10, 1), 1), seat_count(date(2026, 10, 1), 4, revision=1))
        world.settle()
        assert world.eur() == {"unallocated": "4"}
        assert [one.purchased for one in world.service.queries.seats(OCTOBER)] == [4]

    def test_what_is_observed_while_seats_are_charged_is_charged_by_the_next_step(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """On a store with several writers the mark may be saved between two questions of the worker."""
        world.register(SEATS, seat_price("31.00"))
        world.publish(seat_count(date(2026, 10, 1), 1))
        world.settle()
        world.publish(seat_count(date(2026, 10, 1), 2, revision=1))
        _read(world, 1)
        late = SqlSeats()
        observed = SqlPeriods.seats

        def observed_just_before(book: SqlPeriods, tx: Transaction, system: str) -> object:
            found = observed(book, tx, system)
            late.add(tx, [(seat_count(date(2026, 10, 1), 4, revision=2).data, micros(world.clock.now()))], [])
            monkeypatch.undo()
            return found

        monkeypatch.setattr(SqlPeriods, "seats", observed_just_before)
        world.publish(seat_count(date(2026, 10, 1), 4, revision=2))  # for the rebuild after the test
        world.service.periods.step()
        assert world.eur() == {"unallocated": "2"}
        world.service.periods.step()
        assert world.eur() == {"unallocated": "4"}

    def test_idle_seats_are_those_nobody_used_for_four_weeks(self, world: World) -> None:
        world.register(SEATS, seat_price("31.00"))
        used = {"p-1": date(2026, 10, 1), "p-2": date(2026, 9, 1), "p-3": None, "p-4": None, "p-5": None}
        held = [seat(person, date(2026, 1, 1), last_active_on=day) for person, day in used.items()]
        world.publish(*held, seat_count(date(2026, 10, 1), 6, assigned=5))
        world.settle()
        [found] = world.service.queries.seats(OCTOBER)
        assert (found.purchased, found.assigned, found.active) == (6, 5, 1)
        assert (found.month_nano, found.idle_nano) == (6_000_000_000, 5_000_000_000)

    def test_of_fewer_than_five_holders_nobody_is_told_who_is_active(self, world: World) -> None:
        world.register(SEATS, seat_price("31.00"))
        held = [seat(f"p-{number}", date(2026, 1, 1), last_active_on=date(2026, 10, 1)) for number in range(4)]
        world.publish(*held, seat_count(date(2026, 10, 1), 4, assigned=4))
        world.settle()
        [found] = world.service.queries.seats(OCTOBER)
        assert (found.active, found.idle_nano) == (None, 0)

    # Budgets

    def test_a_crossing_is_told_once_to_every_recipient(self, world: World) -> None:
        world.register(budget("kymp-2026", "kymp", "7.20", "0.5"))
        world.publish(reading("a"))
        for _ in range(3):
            world.settle()
        [told] = world.events(ThresholdCrossed)
        assert (told.data.budget, told.data.used_eur, told.data.spoken) == ("kymp-2026", Decimal("3.6"), True)
        assert [recipient for _, recipient in world.outgoing("mail")] == ["finance-kymp"]
        assert [recipient for _, recipient in world.outgoing("webhook")] == ["finance-kymp"]

    def test_of_several_at_once_the_highest_speaks(self, world: World) -> None:
        world.register(budget("kymp-2026", "kymp", "4.00", "0.5", "0.8", "1.0"))
        world.publish(reading("a"))
        world.settle()
        told = {str(one.data.threshold): one.data.spoken for one in world.events(ThresholdCrossed)}
        assert told == {"0.5": False, "0.8": True}
        assert len(world.outgoing("mail")) == 1
        world.publish(reading("b"))
        world.settle()
        assert len(world.outgoing("mail")) == 2

    def test_a_unit_counts_towards_the_budgets_above_it(self, world: World) -> None:
        world.register(budget("city-2026", "city", "7.20", "1.0"))
        world.publish(reading("a"), reading("b", account="wrk-sote"))
        world.settle()
        assert [one.data.budget for one in world.events(ThresholdCrossed)] == ["city-2026"]

    def test_what_fell_back_and_rose_between_two_looks_is_not_told_again(self, world: World) -> None:
        world.register(budget("kymp-2026", "kymp", "7.20", "0.5"))
        world.publish(reading("a"))
        world.settle()
        world.publish(reading("a", 1, retracted=True), reading("a", 2))
        world.settle()
        assert len(world.events(ThresholdCrossed)) == 1

    def test_a_new_epoch_tells_again(self, world: World) -> None:
        world.register(budget("kymp-2026", "kymp", "7.20", "0.5"))
        world.publish(reading("a"))
        world.settle()
        world.register(budget("kymp-2026", "kymp", "7.20", "0.5", epoch=1))
        world.settle()
        assert [one.data.epoch for one in world.events(ThresholdCrossed)] == [0, 1]

    def test_another_years_use_does_not_count(self, world: World) -> None:
        world.register(budget("kymp-2025", "kymp", "1.00", "0.5", period=2025))
        world.publish(reading("a"))
        world.settle()
        assert world.events(ThresholdCrossed) == []

    def test_a_reorganisation_changes_what_counts(self, world: World) -> None:
        world.register(budget("kymp-2026", "kymp", "7.20", "1.0"))
        world.publish(reading("a"), reading("b", account="wrk-sote"))
        world.settle()
        assert world.events(ThresholdCrossed) == []
        world.register(unit("sote", "kymp"))
        world.settle()
        assert len(world.events(ThresholdCrossed)) == 1

    # Life of the process

    def test_migrations_make_exactly_the_tables_that_the_code_names(self, world: World) -> None:
        assert_migrations_match(METADATA, "services.cost_alerts.migrations", world.service.store)

    def test_a_ledger_that_is_lost_is_folded_again_without_telling(self, make_world: MakeWorld, world: World) -> None:
        world.register(budget("kymp-2026", "kymp", "7.20", "0.5"))
        world.publish(reading("a"))
        world.settle()
        before = world.report()
        world.close()
        other = make_world()
        other.bus, other.version = world.bus, world.version
        other.settle()
        assert other.report() == before
        assert (other.outgoing("mail"), other.outgoing("webhook")) == ([], [])
        assert len(other.events(ThresholdCrossed)) == 1
        other.close()

    def test_a_rebuild_decides_nothing_on_half_the_events(self, world: World) -> None:
        """What was corrected is not believed again because the ledger is folded anew, and is interrupted at that."""
        world.register(budget("kymp-2026", "kymp", "1000.00", "1.0"))
        world.publish(reading("a", consumed={"input_tokens": "1000000000"}))
        world.publish(reading("a", 1, consumed={"input_tokens": "1000000"}))
        world.settle()
        forget_ledger(world.service.store, tuple(GROUPS))
        world.close()
        world.settings = world.settings.model_copy(update={"batch_records": 1})
        register, usage, _ = world.service.consumers
        while not register.status().caught_up:
            register.step()
        while world.eur() != {"kymp": "2400"}:
            usage.step()
        world.service.watch.step()
        world.restart()
        world.service.watch.step()
        assert world.outgoing("mail") == []
        world.settle()
        assert world.events(ThresholdCrossed) == []

    def test_a_program_at_work_is_seen(self, world: World) -> None:
        """By a rebuild, which would make it read on from the wrong place."""

        def seen() -> bool:
            store = open_store(world.settings, "ledger", METADATA)
            try:
                return is_another_at_work(store)
            finally:
                store.close()

        world.close()
        assert not seen()
        world.service.start()
        assert seen()
        world.service.stop()
        world.restart()
        assert not seen()

    def test_a_rebuild_sets_nothing_aside_a_second_time(self, world: World) -> None:
        world.settle()
        world.bus.publish([Message(USAGE.name, b"k", b"{")])
        world.settle()
        before = world.bus.end_positions([DEAD_LETTER.name, OUTCOMES.name])
        assert sum(before.values()) == 2
        forget_ledger(world.service.store, tuple(GROUPS))
        with world.service.store.transaction() as tx:
            tx.connection.execute(delete(common_tables(METADATA).outbox))  # sent long ago, and cleared away
        world.restart()
        world.settle()
        assert world.bus.end_positions([DEAD_LETTER.name, OUTCOMES.name]) == before

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            pytest.param('"purchased":3', '"purchased":10000000000000000000', id="more seats than 64 bits"),
            pytest.param('"revision":1', '"revision":9223372036854775808', id="more revisions than 64 bits"),
            pytest.param("2026-10-01", "9999-12-31", id="seats at the end of the calendar"),
            pytest.param('"observed_on":"2026-10-01"', '"observed_on":20261001', id="a number for a day"),
        ],
    )
    def test_what_no_database_or_calendar_holds_is_set_aside(self, world: World, before: str, after: str) -> None:
        """One record costs itself, not the consumer."""
        world.register(SEATS, seat_price("31.00"))
        world.settle()
        value = encode(seat_count(date(2026, 10, 1), 3, revision=1)).decode()
        assert before in value
        world.bus.publish([Message(USAGE.name, b"k", value.replace(before, after).encode())])
        world.publish(reading("a"))
        world.settle()
        assert world.rows() == {"kymp": KYMP}
        assert world.bus.end_positions([DEAD_LETTER.name]) == {(DEAD_LETTER.name, 0): 1}

    @pytest.mark.parametrize("year", ["0001", "1999", "2101", "9999"])
    def test_a_reading_of_no_time_of_ours_is_set_aside(self, world: World, year: str) -> None:
        world.settle()
        value = encode(reading("far", start=datetime(2026, 12, 31, 22, 30, tzinfo=UTC))).decode()
        far = value.replace("2026-12-31", f"{year}-12-31")
        assert far != value
        world.bus.publish([Message(USAGE.name, b"k", far.encode())])
        world.publish(reading("a"))
        world.settle()
        assert world.rows() == {"kymp": KYMP}
        assert world.bus.end_positions([DEAD_LETTER.name]) == {(DEAD_LETTER.name, 0): 1}

    def test_a_batch_that_is_rolled_back_leaves_no_trace(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        world.settle()
        world.publish(reading("a", account="never-seen", sku="never-seen"))
        usage = world.service.consumers[1]
        handle = usage.handler.handle

        def handle_and_fail(*arguments: object) -> None:
            handle(*arguments)  # type: ignore[arg-type]
            raise InterruptedError

        with monkeypatch.context() as patched:
            patched.setattr(usage.handler, "handle", handle_and_fail)
            with pytest.raises(InterruptedError):
                usage.step()
        assert world.service.queries.counts()["readings"] == 0
        world.settle()
        assert world.rows()["unallocated"]["unpriced"] == 1
        assert [one.sku for one in world.service.queries.unpriced_reasons()] == ["never-seen", "never-seen"]

    def test_findings_are_open_until_they_are_closed_in_any_order(self, world: World) -> None:
        def opened(name: str) -> FindingOpened:
            data = Finding(
                finding_id=name, kind="overdue_review", output_id=f"o-{name}", use_case=None, system=SYSTEM,
                unit="kymp", policy="p", policy_version=1, due_at=None, detected_at=START,
            )  # fmt: skip
            return FindingOpened(id=name, source="valvomo/audit-log", subject=name, time=START, data=data)

        data = FindingClosing(finding_id="b", output_id="o-b", closed_at=START, reason="reviewed_late")
        closed = FindingClosed(id="b-closed", source="valvomo/audit-log", subject="b", time=START, data=data)
        world.publish(opened("a"), closed, opened("b"))
        world.settle()
        assert [(one.finding_id, one.unit) for one in world.service.queries.findings_open()] == [("a", "kymp")]

    def test_a_finding_about_no_output_is_counted_like_any_other(self, world: World) -> None:
        def told(name: str) -> FindingOpened:
            data = Finding(
                finding_id=name, kind="record_missing", use_case="benefits", system=None, unit="kymp", policy=None,
                policy_version=None, due_at=None, detected_at=START, about="dpia",
            )  # fmt: skip
            return FindingOpened(id=name, source="valvomo/audit-log", subject="benefits", time=START, data=data)

        data = FindingClosing(finding_id="b", closed_at=START, reason="recorded")
        closed = FindingClosed(id="b-closed", source="valvomo/audit-log", subject="benefits", time=START, data=data)
        world.publish(told("a"), closed, told("b"))
        world.settle()
        assert [(one.finding_id, one.unit) for one in world.service.queries.findings_open()] == [("a", "kymp")]

    def test_any_order_of_delivery_gives_the_same_ledger(self, world: World) -> None:
        """Readings with revisions, retractions and duplicates, shuffled in two ways."""
        events = [
            reading(
                f"r{name}", revision, consumed={"input_tokens": str(1000 * name + revision)}, retracted=name == revision
            )
            for name in range(30)
            for revision in range(3)
        ]
        shuffled = [*events, *events[:40]]
        Random(1).shuffle(shuffled)
        world.publish(*shuffled)
        world.settle()
        first = world.report()
        assert first["total"]["readings"] == 29
        world.publish(*reversed(events))
        world.settle()
        assert world.report() == first

    def test_units_vendors_and_meters_add_up_to_one_total(self, world: World) -> None:
        world.register(SEATS, seat_price("10.00"), placed("p-1", "kymp"))
        world.publish(seat("p-1", date(2026, 10, 1)), seat_count(date(2026, 10, 3), 7))
        for number in range(20):
            account = ("wrk-kymp", "wrk-sote", "else")[number % 3]
            world.publish(reading(f"r{number}", account=account, consumed={"input_tokens": str(7919 * number + 1)}))
        world.settle()
        totals = [world.report(by=by)["total"] for by in ("unit", "system", "vendor", "sku", "meter")]
        assert all(total == totals[0] for total in totals)
        assert report(OCTOBER, "unit", "booked", None, [Sum("u", "EUR", 1, 1, 0, 0)]).total.eur_nano == 1
