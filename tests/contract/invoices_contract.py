"""What invoices keep on every store: months with estimates become what was invoiced, and the ledger can say why."""

# ruff: noqa: ANN401  # members of any model are passed through to it, which checks them

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest

from services.cost_alerts.adapters.invoices import InvoiceQueries
from services.shared.events import register as facts
from services.shared.events.envelope import Event
from services.shared.events.outcomes import BegunDay, DayBegun
from services.shared.events.usage import Invoice, InvoiceLine, InvoiceReceived
from services.shared.periods import Month
from tests.contract.closing_contract import contract
from tests.contract.ledger_world import BASE, OCTOBER, SYSTEM, World, reading

MakeWorld = Callable[[], World]

NOVEMBER = Month(2026, 11)
ISSUED = date(2026, 11, 3)


def invoice(net: str, revision: int = 0, **members: Any) -> InvoiceReceived:
    """October's invoice of the one system, in dollars at 1.20 per euro; the ledger's own rate is 1.25."""
    line = InvoiceLine(system=members.pop("system", SYSTEM), net=Decimal(net))
    given = {
        "vendor": "anthropic",
        "invoice_id": "A-1",
        "revision": revision,
        "month": "2026-10",
        "issued_on": ISSUED,
        "currency": "USD",
        "per_euro": "1.20",
        "net": line.net,
        "lines": [line],
    }
    data = Invoice.model_validate({**given, **members})
    name = f"{data.vendor}/{data.invoice_id}.{revision}"
    time = datetime(2026, 11, 3, tzinfo=UTC)
    return InvoiceReceived(id=name, source="import/invoice", subject=data.vendor, time=time, data=data)


def begun(day: date) -> DayBegun:
    name = f"day-{day}"
    return DayBegun(
        id=name, source="test", subject=str(day), time=datetime(2026, 11, 1, tzinfo=UTC), data=BegunDay(day=day)
    )


def explained(world: World, month: Month = OCTOBER) -> dict[str, Any]:
    [found] = InvoiceQueries(world.service.store).reconciliations(month)
    return found.document()


ESTIMATES = (
    reading("a", finality="provisional"),
    reading("b", finality="estimate", account="wrk-sote"),
    reading("c", account="wrk-sote"),
)
"""13.50 USD and 10.80 EUR: 3.60 for kymp, 7.20 for sote."""

OVER = begun(date(2026, 11, 1))


class InvoicesContract:
    """Inherited by the test of each store, which gives `make_world`."""

    @pytest.fixture
    def world(self, make_world: MakeWorld) -> Iterator[World]:
        """Every ledger of these tests holds, and a ledger folded anew from the same events says the same."""
        world = make_world()
        world.register(*BASE)
        yield world
        world.settle()
        assert world.problems() == []
        before = (world.eur(), world.eur(month=NOVEMBER), self._reconciled(world))
        world.rebuild()
        assert (world.eur(), world.eur(month=NOVEMBER), self._reconciled(world)) == before
        assert world.problems() == []
        world.close()

    @staticmethod
    def _reconciled(world: World) -> list[dict[str, Any]]:
        return [one.document() for one in InvoiceQueries(world.service.store).reconciliations()]

    @pytest.fixture
    def october(self, world: World) -> World:
        """A month with estimates that is over."""
        world.publish(*ESTIMATES)
        world.later(days=33)
        world.publish(OVER)
        world.settle()
        return world

    def test_a_month_with_estimates_becomes_its_invoice(self, october: World) -> None:
        assert october.eur() == {"kymp": "3.6", "sote": "7.2"}
        october.publish(invoice("13.50"))
        october.settle()
        assert october.eur() == {"kymp": "3.75", "sote": "7.5"}, "the invoice's rate has replaced ours"
        told = explained(october)
        assert told["explained"] == {"fx_eur": "0.45", "timing_eur": "0", "discount_eur": "0", "unexplained_eur": "0"}
        assert (told["ledger_eur"], told["true_up_eur"], told["estimated_eur"]) == ("10.8", "0.45", "7.2")
        assert not told["needs_a_person"]

    def test_an_invoice_that_comes_twice_counts_once(self, october: World) -> None:
        one = invoice("12")
        october.publish(one, one)
        october.settle()
        october.publish(one, invoice("24"))
        october.settle()
        assert october.report()["total"]["eur"] == "10"

    def test_a_revision_replaces_and_a_credit_note_adds_up(self, october: World) -> None:
        for more, expected in (
            (invoice("12"), "10"),
            (invoice("24", revision=1), "20"),
            (invoice("-6", invoice_id="A-2"), "15"),
            (invoice("1", invoice_id="A-3", currency="EUR", per_euro=None), "16"),
        ):
            october.publish(more)
            october.settle()
            assert october.report()["total"]["eur"] == expected
        assert [one["invoice_id"] for one in explained(october)["invoices"]] == ["A-1", "A-2", "A-3"]

    def test_what_was_known_before_the_invoice_stays_known(self, october: World) -> None:
        october.later(days=1)
        october.publish(invoice("12"))
        october.settle()
        assert october.report(as_known_on=date(2026, 11, 3))["total"]["eur"] == "10.8"
        assert october.report(as_known_on=date(2026, 11, 4))["total"]["eur"] == "10"

    @pytest.mark.parametrize("order", list(permutations(range(3))))
    def test_the_order_in_which_it_all_comes_changes_nothing(self, world: World, order: tuple[int]) -> None:
        events: list[tuple[Event, ...]] = [ESTIMATES, (invoice("12"),), (OVER,)]
        world.later(days=33)
        for index in order:
            world.publish(*events[index])
            world.settle()
            world.later(hours=1)
        assert world.eur() == {"kymp": "3.333333334", "sote": "6.666666666"}

    def test_a_month_that_is_not_over_waits(self, world: World) -> None:
        world.publish(*ESTIMATES, invoice("12"))
        world.settle()
        assert world.report()["total"]["eur"] == "10.8"

    def test_a_month_without_estimates_is_left_to_people(self, world: World) -> None:
        world.publish(reading("a"), OVER, invoice("6"))
        world.settle()
        assert world.report()["total"]["eur"] == "3.6"
        told = explained(world)
        assert (told["difference_eur"], told["true_up_eur"], told["needs_a_person"]) == ("1.4", "0", True)

    def test_what_becomes_final_is_no_longer_brought_to_the_invoice(self, october: World) -> None:
        october.publish(invoice("12"))
        october.settle()
        october.later(days=1)
        finals = (reading("a", 1), reading("b", 1, account="wrk-sote"))
        october.publish(*finals)
        october.settle()
        assert october.eur() == {"kymp": "3.6", "sote": "7.2"}

    def test_a_revision_that_moves_its_invoice_leaves_nothing_behind(self, october: World) -> None:
        october.publish(invoice("12"))
        october.settle()
        october.publish(invoice("12", revision=1, month="2026-11"))
        october.settle()
        assert october.report()["total"]["eur"] == "10.8"
        assert InvoiceQueries(october.service.store).reconciliations(OCTOBER) == []
        assert explained(october, NOVEMBER)["invoiced_eur"] == "10"

    def test_a_revision_that_names_another_system_leaves_nothing_behind(self, october: World) -> None:
        october.publish(invoice("12"))
        october.settle()
        october.publish(invoice("12", revision=1, system="claude-enterprise"))
        october.settle()
        assert october.report()["total"]["eur"] == "10.8"

    def test_use_that_came_after_the_invoice(self, october: World) -> None:
        october.publish(invoice("13.50", per_euro="1.25", issued_on=date(2026, 11, 3)))
        october.later(days=2)
        october.publish(reading("late"))
        october.publish(reading("c", 1, account="wrk-sote", consumed={"input_tokens": "2000000"}))
        october.settle()
        told = explained(october)
        assert told["ledger_eur"] == "15.6"
        assert told["explained"] == {"fx_eur": "0", "timing_eur": "-4.8", "discount_eur": "0", "unexplained_eur": "0"}

    def test_what_has_no_price_is_counted_beside(self, october: World) -> None:
        october.publish(reading("d", sku="unheard-of"), invoice("13.50"))
        october.settle()
        told = explained(october)["unpriced"]
        assert [(one["sku"], one["meter"], one["charges"]) for one in told] == [
            ("unheard-of", "input_tokens", 1),
            ("unheard-of", "output_tokens", 1),
        ]

    def test_an_invoice_without_any_rate_shows_as_unpriced(self, october: World) -> None:
        october.publish(invoice("100", currency="SEK", per_euro=None))
        october.settle()
        assert october.report()["total"]["unpriced"] >= 1
        assert explained(october)["explained"] is None

    def test_a_register_that_heals_the_rate_brings_the_month_to_its_invoice(self, october: World) -> None:
        october.publish(invoice("100", currency="SEK", per_euro=None))
        october.settle()
        october.later(hours=1)
        october.register(facts.FxRates(day=date(2026, 10, 30), rates={"SEK": Decimal(10)}, source="a test"))
        october.settle()
        assert october.report()["total"]["eur"] == "10"

    def test_a_vendor_that_nobody_knows_is_kept_and_shown(self, october: World) -> None:
        october.publish(invoice("12", vendor="unheard-of", system="unheard-of"))
        october.settle()
        told = explained(october)
        assert (told["vendor"], told["ledger_eur"], told["explained"]["unexplained_eur"]) == ("unheard-of", "0", "10")
        assert october.report()["total"]["eur"] == "10.8"

    def test_a_discount_that_the_vendor_forgot(self, world: World) -> None:
        world.register(contract(discounts=[{"off": "0.1"}]))
        world.publish(*ESTIMATES, invoice("13.50", per_euro="1.25"))
        world.settle()
        told = explained(world)
        assert (told["ledger_eur"], told["discount"]) == ("9.72", "0")
        assert told["explained"]["discount_eur"] == "1.08"

    def test_time_zones_of_contracts_move_the_edges(self, world: World) -> None:
        late_evening = datetime(2026, 10, 31, 22, 30, tzinfo=UTC)
        world.publish(reading("in"), reading("edge", start=late_evening), invoice("9", per_euro="1.25"))
        world.settle()
        assert explained(world)["explained"]["timing_eur"] == "3.6", "half past midnight in Helsinki, October in UTC"
        world.later(hours=1)
        world.register(contract(time_zone="Europe/Helsinki"))
        world.settle()
        assert explained(world)["explained"]["timing_eur"] == "0"

    def test_nothing_is_said_before_an_invoice_comes(self, october: World) -> None:
        assert InvoiceQueries(october.service.store).reconciliations() == []
