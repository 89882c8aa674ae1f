"""What leaves the ledger, on every store: FOCUS rows, postings and published charges add up to its reports."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from services.cost_alerts.adapters.details import Details, Wanted
from services.cost_alerts.cli.postings import find_batch, make_batch, preview
from services.cost_alerts.exports.catalog import Catalog
from services.cost_alerts.exports.focus import COLUMNS
from services.cost_alerts.exports.focus_export import FocusExport
from services.cost_alerts.exports.focus_rows import Setting
from services.shared.bus import EventBus, TopicPartition
from services.shared.errors import ConfigurationError
from services.shared.events import CHARGES, decode
from services.shared.events import register as facts
from services.shared.events.charges import ChargeMade, ChargeSuperseded
from services.shared.events.outcomes import PostedLine, PostingsMade
from services.shared.events.prices import Contract, Discount, Fee, Pool, SplitKey, Tariff
from services.shared.events.usage import Cost, UsageRecorded
from services.shared.money import from_nano
from services.shared.periods import Month
from tests.contract.closing_contract import close
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
from tests.golden.focus.checker import check

MakeWorld = Callable[[], World]

NOVEMBER = Month(2026, 11)
SOTE = {"fi": "Sosiaali- ja terveystoimiala", "en": "Social services"}
AGENTS, COPILOT, BOT = "agents", "copilot", "bot"

FLEX = Pool(
    kind="pool", id="flex", sku="flex-credit", meter="credits", size=Decimal(100), price=Decimal("31.10"),
    currency="EUR", every="month",
)  # fmt: skip
PACK = Pool(
    kind="pool", id="pack", meter="messages", size=Decimal(10), price=Decimal(10), currency="USD",
    every="month", share=SplitKey(by="fixed", weights={"kymp": Decimal(2), "sote": Decimal(1)}),
)  # fmt: skip
FEE = Fee(kind="fee", id="platform", sku="platform", amount=Decimal("100.01"), currency="EUR", every="month")

TRANSFER = Tariff.model_validate(
    {
        **tariff("gigabytes", "0", id="transfer", system=AGENTS, sku="*", per="1", currency="EUR").model_dump(),
        "price": None,
        "model": "graduated",
        "tiers": [{"up_to": "10", "price": "0"}, {"price": "0.077"}],
    }
)
"""The first ten gigabytes of a month are free."""

CITY: tuple[facts.Unit | facts.System | Tariff | Contract | facts.AllocationRule | facts.Placement, ...] = (
    unit("kymp", cost_centre="3010"),
    unit("sote", cost_centre="=4010").model_copy(update={"name": SOTE}),
    facts.System(id=SYSTEM, vendor="anthropic", name="Claude", owner="city", account="4470", host="Amazon"),
    facts.System(id=AGENTS, vendor="salesforce", name={"fi": "Agentit", "en": "Agents"}, owner="city", account="4471"),
    facts.System(
        id=COPILOT, vendor="microsoft", name="Copilot", owner="city", service_category="Business Applications"
    ),
    facts.System(id=BOT, vendor="example-bot", name="Copilot", owner="city", price_from="reported"),
    tariff("seats", "31.00", id="seat", system=COPILOT, sku="M365", model="per_seat_month", per="1", currency="EUR"),
    tariff("credits", "0.4", id="flex", system=AGENTS, sku="flex-credit", per="1", currency="EUR"),
    tariff("conversations", "20", id="talk", system=AGENTS, sku="talk", per="1", currency=None, credit="flex-credit"),
    tariff("messages", "0.7", id="message", system=AGENTS, sku="*", per="1", currency="USD"),
    tariff(
        "audio_minutes", "0.09", id="minutes", system=AGENTS, sku="voice", per="7", currency="USD",
        round_up={"to": "6"},
    ),
    TRANSFER,
    Contract(
        id="anthropic-2026", system=SYSTEM, vendor="anthropic", valid_from=date(2026, 1, 1),
        vat_rate=Decimal("0.255"), issuer="reseller", discounts=(Discount(off=Decimal("0.07")),),
    ),
    Contract(
        id="agents-2026", system=AGENTS, vendor="salesforce", valid_from=date(2026, 1, 1),
        vat_rate=Decimal("0.1"), terms=(FLEX, PACK, FEE),
    ),
    rule("all-agents", 30, "sote", system=AGENTS),
    placed("p-1", "kymp"),
    placed("p-2", "sote"),
)  # fmt: skip


def use(  # what it was, then what was metered
    name: str, sku: str, revision: int = 0, day: int = 3, account: str = "wrk-kymp", **consumed: str
) -> UsageRecorded:
    return reading(
        name, revision, system=AGENTS, sku=sku, account=account, consumed=consumed,
        start=datetime(2026, 10, day, 8, tzinfo=UTC),
    )  # fmt: skip


def live(world: World) -> None:
    """A little of everything in October: tokens, credits, messages, minutes, transfer, seats, a fee, reported cost."""
    world.register(*BASE, *CITY)
    world.publish(
        reading("a", dimensions={"service_tier": "standard"}),
        reading("b", account="wrk-sote", consumed={"input_tokens": "123457", "output_tokens": "0"}),
        reading("c", sku="unheard-of"),
        reading("d", account="else", consumed={"input_tokens": "1000", "web_searches": "3"}),
        use("talk-1", "talk", conversations="3"),
        use("talk-2", "talk", account="wrk-sote", conversations="4"),
        use("message-1", "any", messages="7"),
        use("message-2", "any", day=4, account="wrk-sote", messages="5"),
        use("voice", "voice", audio_minutes="13.5"),
        use("transfer", "any", gigabytes="13.25"),
        reading("bot", system=BOT, sku="chat", consumed={"conversations": "3"}, reported_cost=cost("1.2345")),
        reading("bot-2", system=BOT, sku="chat", consumed={"messages": "3"}, reported_cost=cost("-0.5")),
        seat_count(date(2026, 10, 1), 3),
        seat("p-1", date(2026, 9, 1)),
        seat("p-2", date(2026, 10, 1)),
    )
    world.later(days=4, hours=2)
    catch_up(world)


def cost(amount: str) -> Cost:
    return Cost(amount=Decimal(amount), currency="USD")


def catch_up(world: World) -> None:
    world.settle()
    world.service.days.step()
    world.settle()


def focus(world: World, month: Month = OCTOBER, basis: str = "booked") -> tuple[list[dict[str, str]], FocusExport]:
    """The rows as they are written, which the checker found nothing in, and the export."""
    view = world.service.queries.view()
    out = io.StringIO()
    with world.service.store.reading() as connection:
        wanted = Wanted.of(connection, month, basis, None)  # type: ignore[arg-type]
        export = FocusExport(Details(connection), wanted, Setting(month, Catalog(view, "fi")))
        export.write(out)
    assert check(out.getvalue()) == []
    return list(csv.DictReader(io.StringIO(out.getvalue()))), export


def total(rows: list[dict[str, str]], column: str, **where: str) -> Decimal:
    here = [row for row in rows if all(row[name] == value for name, value in where.items())]
    return sum((Decimal(row[column]) for row in here if row[column]), Decimal(0))


def publish(world: World) -> None:
    """Publish every change, and what the outbox holds of it."""
    while world.service.publisher.publish_some():
        pass
    while world.service.relay.step() == 0.0:
        pass


def folded(bus: EventBus) -> dict[str, ChargeMade]:
    """What a reader outside knows: of every charge the highest version, and no charge that has ended."""
    found: dict[str, ChargeMade | ChargeSuperseded] = {}
    for event in published(bus):
        known = found.get(event.data.charge_id)
        if known is None or event.data.version > known.data.version:
            found[event.data.charge_id] = event
        elif event.data.version == known.data.version:
            assert event == known, "one version, two contents"
    return {name: event for name, event in found.items() if isinstance(event, ChargeMade)}


def published(bus: EventBus) -> Iterator[ChargeMade | ChargeSuperseded]:
    for partition, end in bus.end_positions([CHARGES.name]).items():
        for record in bus.read(TopicPartition(*partition), 0, max(1, end)):
            event = decode(record.value)
            assert isinstance(event, ChargeMade | ChargeSuperseded)
            yield event


def assert_readers_know_the_ledger(world: World) -> None:
    """Per unit: the charges that a reader knows add up to what the ledger has, to the last 10⁻⁹; none is missing."""
    queries = world.service.queries
    known = folded(world.bus)
    assert eur_by_unit(known.values()) == {
        unit: from_nano(nano) for unit, nano in queries.total_by_unit().items() if nano
    }
    assert len(known) == queries.counts()["charges"]


def eur_by_unit(charges: Iterable[ChargeMade]) -> dict[str, Decimal]:
    """Unit → euro, of the units that have any."""
    found: dict[str, Decimal] = {}
    for event in charges:
        found[event.data.unit] = found.get(event.data.unit, Decimal(0)) + (event.data.eur or Decimal(0))
    return {unit: eur for unit, eur in found.items() if eur}


class ExportsContract:
    """Inherited by the test of each store, which gives `make_world`."""

    @pytest.fixture
    def world(self, make_world: MakeWorld) -> Iterator[World]:
        world = make_world()
        live(world)
        yield world
        assert world.problems() == []
        world.close()

    # FOCUS

    def test_effective_cost_is_the_report_and_the_checker_finds_nothing(self, world: World) -> None:
        rows, _ = focus(world)
        report = world.report()
        assert total(rows, "EffectiveCost") == Decimal(report["total"]["eur"])
        for row in report["rows"]:
            assert total(rows, "EffectiveCost", SubAccountId=row["unit"]) == Decimal(row["eur"]), row["unit"]

    def test_billed_and_effective_cost_are_the_same_sum(self, world: World) -> None:
        rows, _ = focus(world)
        assert total(rows, "BilledCost") == total(rows, "EffectiveCost")

    def test_what_a_pool_cost_is_what_its_use_costs_in_effect(self, world: World) -> None:
        rows, _ = focus(world)
        [bought] = [row for row in rows if row["ChargeCategory"] == "Purchase" and row["PricingUnit"] == "Flex Credits"]
        assert (bought["EffectiveCost"], bought["SubAccountId"]) == ("0.0", "")
        assert Decimal(bought["BilledCost"]) == total(rows, "EffectiveCost", PricingCurrency="Flex Credits") > 0
        assert total(rows, "PricingCurrencyEffectiveCost", PricingCurrency="Flex Credits") == 100

    def test_who_pays_for_a_pool_without_drawing_has_a_row_of_its_own(self, world: World) -> None:
        rows, _ = focus(world)
        world_of = [row for row in rows if row["PricingCurrency"] == "Messages"]
        assert {(row["SubAccountId"], row["PricingQuantity"]) for row in world_of} == {("kymp", "7.0"), ("sote", "3.0")}
        world.publish(use("message-2", "any", 1, day=4, messages="5"))
        world.settle()
        rows, _ = focus(world)
        [undrawn] = [row for row in rows if row["PricingCurrency"] == "Messages" and row["SubAccountId"] == "sote"]
        assert (undrawn["PricingQuantity"], undrawn["BilledCost"]) == ("0.0", "0.0")
        assert Decimal(undrawn["EffectiveCost"]) > 0

    def test_a_row_says_where_its_price_is_from(self, world: World) -> None:
        rows, _ = focus(world)
        [row] = [row for row in rows if row["SkuMeter"] == "input_tokens" and row["SubAccountId"] == "kymp"]
        assert list(row) == list(COLUMNS)
        assert {name: row[name] for name in EXPECTED} == EXPECTED

    def test_names_are_in_the_language_asked_for_and_a_service_has_one_name(self, world: World) -> None:
        rows, _ = focus(world)
        assert {row["ServiceName"] for row in rows} == {"Claude", "Agentit", "Copilot (copilot)", "Copilot (bot)"}
        assert "Sosiaali- ja terveystoimiala" in {row["SubAccountName"] for row in rows}

    def test_a_cost_centre_that_a_spreadsheet_would_run_is_made_safe(self, world: World) -> None:
        rows, _ = focus(world)
        assert {row["x_CostCentre"] for row in rows if row["SubAccountId"] == "sote"} == {"'=4010"}

    def test_what_has_no_price_is_left_out_and_counted(self, world: World) -> None:
        rows, export = focus(world)
        assert {(what.system, what.sku, what.meter): count for what, count in export.left_out.items()} == LEFT_OUT
        assert all(what.reason for what in export.left_out)
        assert export.rows == len(rows)
        [beside] = [row for row in rows if row["x_Unpriced"]]
        assert (beside["SkuMeter"], beside["x_Unpriced"]) == ("input_tokens", "1")

    def test_quantities_are_what_was_metered_and_what_was_paid_for(self, world: World) -> None:
        rows, _ = focus(world)
        [row] = [row for row in rows if row["SkuMeter"] == "audio_minutes"]
        assert (row["ConsumedQuantity"], row["ConsumedUnit"], row["PricingUnit"]) == ("13.5", "Minutes", "7 Minutes")
        assert Decimal(row["PricingQuantity"]) * 7 == pytest.approx(18)

    def test_a_closed_month_keeps_its_rows_and_the_next_has_corrections(self, world: World) -> None:
        close(world, OCTOBER)
        world.settle()
        before, _ = focus(world)
        world.later(days=33)
        world.publish(reading("a", 1, consumed={"input_tokens": "7"}), reading("late"))
        catch_up(world)
        after, _ = focus(world)
        assert after == before
        rows, _ = focus(world, NOVEMBER)
        corrections = [row for row in rows if row["ChargeClass"] == "Correction"]
        assert {row["ChargePeriodStart"][:7] for row in corrections} == {"2026-10"}
        assert total(rows, "EffectiveCost") == Decimal(world.report(NOVEMBER)["total"]["eur"])
        correction = total(rows, "EffectiveCost", ChargeClass="Correction", ServiceName="Claude")
        assert correction == Decimal("0.000015624") == Decimal("3.348") - Decimal("3.348") + 7 * Decimal("0.000002232")

    def test_incurred_rows_are_the_incurred_report(self, world: World) -> None:
        close(world, OCTOBER)
        world.later(days=33)
        world.publish(reading("a", 1, consumed={"input_tokens": "7"}), reading("late"))
        catch_up(world)
        rows, _ = focus(world, basis="incurred")
        assert total(rows, "EffectiveCost") == Decimal(world.report(basis="incurred")["total"]["eur"])

    # Postings

    def test_an_open_month_is_not_booked_only_looked_at(self, world: World) -> None:
        with pytest.raises(ConfigurationError, match="2026-10 is not closed"):
            make_batch(world.service.store, OCTOBER, world.clock)
        seen = preview(world.service.store, OCTOBER)
        assert seen.batch is None
        assert booked(seen.lines) == Decimal(world.report()["total"]["eur"]).quantize(Decimal("0.01"))
        assert world.outgoing("bus") == []

    def test_a_closed_month_is_booked_once(self, world: World) -> None:
        self.closed(world)
        made = make_batch(world.service.store, OCTOBER, world.clock)
        assert made is not None
        assert made.batch == "2026-10-01"
        assert booked(made.lines) == Decimal(world.report()["total"]["eur"]).quantize(Decimal("0.01"))
        assert make_batch(world.service.store, OCTOBER, world.clock) is None
        world.settle()
        [told] = world.events(PostingsMade)
        assert told.data.lines == made.lines
        assert find_batch(world.service.store, "2026-10-01") == made

    def test_lines_tell_account_cost_centre_and_vat(self, world: World) -> None:
        self.closed(world)
        lines = preview(world.service.store, OCTOBER).lines
        [line] = [line for line in lines if line.account == "4470" and line.unit == "kymp"]
        assert (line.cost_centre, line.vat_rate, line.net_eur) == ("3010", Decimal("0.255"), Decimal("3.35"))
        assert line.vat_eur == Decimal("0.85")
        assert {line.vat_eur for line in lines if line.vat_rate is None} == {None}

    def test_a_later_batch_has_only_differences(self, world: World) -> None:
        self.closed(world)
        make_batch(world.service.store, OCTOBER, world.clock)
        world.register(facts.System(id=COPILOT, vendor="microsoft", name="Copilot", owner="city", account="4480"))
        world.settle()
        more = make_batch(world.service.store, OCTOBER, world.clock)
        assert more is not None
        assert more.batch == "2026-10-02"
        assert {line.account for line in more.lines} == {None, "4480"}
        assert booked(more.lines) == 0

    def test_what_was_booked_stays_booked_over_a_rebuild_and_on_another_database(
        self, world: World, make_world: MakeWorld
    ) -> None:
        self.closed(world)
        made = make_batch(world.service.store, OCTOBER, world.clock)
        world.settle()
        world.rebuild()
        assert make_batch(world.service.store, OCTOBER, world.clock) is None
        world.close()  # a group's partitions have one reader
        other = make_world()
        other.bus = world.bus
        other.settle()
        assert find_batch(other.service.store, "2026-10-01") == made
        assert make_batch(other.service.store, OCTOBER, world.clock) is None
        other.close()

    def test_of_two_who_book_at_once_one_wins(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.closed(world)
        store = world.service.store
        seen = preview(store, OCTOBER).lines
        make_batch(store, OCTOBER, world.clock)
        monkeypatch.setattr("services.cost_alerts.cli.postings._to_book", lambda *_: ((), seen))  # read before it
        with pytest.raises(ConfigurationError, match="somebody else made batch 2026-10-01"):
            make_batch(store, OCTOBER, world.clock)
        world.settle()
        assert len(world.events(PostingsMade)) == 1

    def test_an_unknown_batch_is_one_sentence(self, world: World) -> None:
        with pytest.raises(ConfigurationError, match="found no batch '2026-10-09'"):
            find_batch(world.service.store, "2026-10-09")

    def closed(self, world: World) -> None:
        close(world, OCTOBER)
        catch_up(world)

    # Published charges

    def test_readers_know_what_the_ledger_knows(self, world: World) -> None:
        publish(world)
        assert_readers_know_the_ledger(world)
        assert not world.service.publisher.publish_some()

    def test_changes_of_every_kind_reach_the_readers(self, world: World) -> None:
        publish(world)
        world.later(hours=1)
        world.publish(
            reading("a", 1, consumed={"input_tokens": "7"}),
            reading("b", 1, retracted=True),
            use("talk-1", "talk", 1, conversations="6"),
            use("message-1", "any", 1, messages="1"),
            seat_count(date(2026, 10, 3), 1),
        )
        world.register(tariff("input_tokens", "6.00"), rate(date(2026, 10, 2), "1.31"))
        catch_up(world)
        publish(world)
        assert_readers_know_the_ledger(world)
        world.publish(reading("b", 2), use("talk-2", "talk", 1, account="wrk-sote", conversations="1"))
        world.register(without=[FEE_OF_CITY])
        catch_up(world)
        publish(world)
        assert_readers_know_the_ledger(world)

    def test_two_changes_of_one_instant_are_told_apart(self, world: World) -> None:
        for revision in range(1, 4):
            publish(world)
            world.publish(use("talk-1", "talk", revision, conversations=str(revision)), reading("a", revision))
            world.settle()
        publish(world)
        assert_readers_know_the_ledger(world)

    def test_a_meter_that_is_gone_is_ended_and_may_come_back(self, world: World) -> None:
        publish(world)
        world.publish(reading("a", 1, consumed={"input_tokens": "7"}))
        world.settle()
        publish(world)
        assert_readers_know_the_ledger(world)
        world.publish(reading("a", 2))
        world.settle()
        publish(world)
        assert_readers_know_the_ledger(world)

    def test_the_same_again_is_the_same_bytes(self, world: World) -> None:
        publish(world)
        before = {event.id: event for event in published(world.bus)}
        world.rebuild()
        publish(world)
        assert_readers_know_the_ledger(world)
        assert {event.id: event for event in published(world.bus)} == before

    def test_after_a_rebuild_versions_go_on_rising(self, world: World) -> None:
        publish(world)
        world.rebuild()
        world.publish(use("talk-1", "talk", 1, conversations="6"), reading("a", 1, retracted=True))
        world.settle()
        publish(world)
        assert_readers_know_the_ledger(world)

    def test_what_the_bus_had_before_a_crash_comes_again_unchanged(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def crash(*_: object) -> None:
            raise RuntimeError("killed")

        with monkeypatch.context() as patch:
            patch.setattr(world.service.publisher._book, "forget", crash)
            with pytest.raises(RuntimeError, match="killed"):
                world.service.publisher.publish_some()
        before = len(list(published(world.bus)))
        assert before
        publish(world)
        assert_readers_know_the_ledger(world)


LEFT_OUT = {
    (SYSTEM, "unheard-of", "input_tokens"): 1,
    (SYSTEM, "unheard-of", "output_tokens"): 1,
    (SYSTEM, MODEL, "web_searches"): 1,
}

FEE_OF_CITY = next(fact for fact in CITY if isinstance(fact, Contract) and fact.id == "agents-2026")


def booked(lines: Iterable[PostedLine]) -> Decimal:
    return sum((line.net_eur for line in lines), Decimal(0))


EXPECTED = {
    "BilledCost": "2.232",
    "BillingAccountId": "anthropic-2026",
    "BillingCurrency": "EUR",
    "BillingPeriodStart": "2026-09-30T21:00:00Z",
    "BillingPeriodEnd": "2026-10-31T22:00:00Z",
    "ChargeCategory": "Usage",
    "ChargeClass": "",
    "ChargeFrequency": "Usage-Based",
    "ChargePeriodStart": "2026-10-02T08:00:00Z",
    "ChargePeriodEnd": "2026-10-02T09:00:00Z",
    "ConsumedQuantity": "1000000.0",
    "ConsumedUnit": "Tokens",
    "ContractedCost": "2.232",
    "ContractedUnitPrice": "2.232",
    "EffectiveCost": "2.232",
    "HostProviderName": "Amazon",
    "InvoiceIssuerName": "reseller",
    "ListCost": "2.4",
    "ListUnitPrice": "2.4",
    "PricingCategory": "Standard",
    "PricingCurrency": "USD",
    "PricingCurrencyContractedUnitPrice": "2.79",
    "PricingCurrencyEffectiveCost": "2.79",
    "PricingCurrencyListUnitPrice": "3.0",
    "PricingQuantity": "1.0",
    "PricingUnit": "1000000 Tokens",
    "ProviderName": "anthropic",
    "ServiceCategory": "AI and Machine Learning",
    "ServiceName": "Claude",
    "ServiceSubcategory": "Generative AI",
    "SkuId": f"{SYSTEM}/{MODEL}",
    "SkuMeter": "input_tokens",
    "SkuPriceDetails": f'{{"x_Model": "{MODEL}", "x_ServiceTier": "standard", "x_TokenType": "input"}}',
    "SkuPriceId": f"{SYSTEM}/{MODEL}/{MODEL}-input_tokens",
    "SubAccountId": "kymp",
    "x_CostCentre": "3010",
    "x_TariffId": f"{MODEL}-input_tokens",
    "x_TariffValidFrom": "2026-01-01",
    "x_ExchangeRate": "1.25",
    "x_ExchangeRateDate": "2026-09-30",
    "x_RegisterVersion": "1",
    "x_VatRate": "0.255",
    "x_Estimated": "false",
    "x_Unpriced": "",
}
