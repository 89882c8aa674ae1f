"""Credits and gigabytes: a pack that runs dry in mid-month, whatever the number of days; the invoice of Claude."""

import re
from collections import defaultdict
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from services.shared.events.usage import Invoice
from services.simulator.apps import Apps
from services.simulator.billing import GATEWAY_COUNTED, Billing
from services.simulator.claude import ClaudeUse, Prices
from services.simulator.platforms import PACK, STUDIO, TRANSFER, Platforms
from services.simulator.rhythm import days
from services.simulator.stories import Stories
from services.usage_collector.invoices import read_invoices
from tests.unit.simulator.asking import NOW, TODAY, example, stories


def used(told: Stories, system: str, meter: str) -> dict[tuple[int, int], list[int]]:
    """Month → quantity of each of its simulated days."""
    found: dict[tuple[int, int], list[int]] = defaultdict(list)
    for day in days(told.first_day, told.today):
        events = [event["data"] for event in Platforms(told).of_day(day) if event["data"]["system"] == system]
        found[day.year, day.month].append(sum(int(data["consumed"][meter]) for data in events))
    return found


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("count", [20, 30, 120])
def test_the_pack_runs_dry_before_its_month_is_over(count: int, seed: int) -> None:
    told = stories(days=count, seed=seed)
    drawn = used(told, STUDIO, "credits")[told.fullest_month.year, told.fullest_month.number]
    dry = next(place for place, _ in enumerate(drawn) if sum(drawn[: place + 1]) > PACK)
    assert 0.5 * len(drawn) < dry < 0.95 * len(drawn)
    assert sum(drawn) < 2 * PACK


def test_data_transfer_reaches_its_last_tier_in_a_full_month() -> None:
    [october] = [sent for month, sent in used(stories(), TRANSFER, "gigabytes").items() if month == (2026, 10)]
    assert 10_240 < sum(october) < 20_000


def test_platforms_tell_whole_utc_days() -> None:
    for event in Platforms(stories()).of_day(date(2026, 10, 25)):
        data = event["data"]
        assert (data["charge_period_start"], data["charge_period_end"]) == (
            "2026-10-25T00:00:00Z",
            "2026-10-26T00:00:00Z",
        )


def bill(told: Stories) -> Invoice | None:
    city = example()
    use, prices = ClaudeUse(city, told), Prices(city.tariffs)
    made = Billing(city, told, use, prices, Apps(city, told)).invoice(NOW)
    return None if made is None else read_invoices(made.name, made.content)[0].invoice


def test_the_real_import_reads_the_invoice() -> None:
    invoice = bill(stories())
    assert invoice is not None
    assert (invoice.vendor, invoice.month, invoice.currency) == ("anthropic", "2026-10", "USD")
    assert invoice.issued_on == date(2026, 11, 2)
    assert {line.vat_rate for line in invoice.lines} == {Decimal("0.255")}
    skus = {line.sku for line in invoice.lines}
    assert {"claude-opus-5", "claude-sonnet-5"} <= skus


def test_the_invoice_has_the_city_s_discount_and_the_gateway_s_use_as_the_vendor_counts_it() -> None:
    invoice = bill(stories())
    assert invoice is not None
    prices, october = Prices(example().tariffs), list(days(date(2026, 10, 1), date(2026, 11, 1)))
    [line] = [line for line in invoice.lines if line.description == "Messages by another cloud"]
    apps = Apps(example(), stories())
    at_list = sum((prices.of(use) for day in october for use in apps.gateway_use(day)), Decimal())
    assert abs(line.net - at_list * GATEWAY_COUNTED * Decimal("0.95")) <= Decimal("0.005")


def test_the_gateway_bills_what_it_tells() -> None:
    apps, day = Apps(example(), stories()), date(2026, 10, 15)
    told = [event["data"]["consumed"] for event in apps.of_day(day) if event["source"] == "city/viestinta-gateway"]
    assert [(str(use.input_tokens), str(use.output_tokens)) for use in apps.gateway_use(day)] == [
        (consumed["input_tokens"], consumed["output_tokens"]) for consumed in told
    ]


@pytest.mark.parametrize(
    ("today", "count", "invoiced", "reorganised"),
    [
        pytest.param(TODAY, 120, "2026-10", date(2026, 10, 16), id="four months"),
        pytest.param(TODAY, 20, None, date(2026, 11, 16), id="no month is over"),
        pytest.param(date(2026, 12, 1), 1, "2026-11", date(2026, 11, 30), id="a month's last day"),
        pytest.param(date(2027, 1, 5), 60, "2026-12", date(2026, 12, 16), id="over the new year"),
    ],
)
def test_when_the_stories_happen(today: date, count: int, invoiced: str | None, reorganised: date) -> None:
    told = Stories(1, count, today)
    assert (None if told.invoiced_month is None else str(told.invoiced_month)) == invoiced
    assert told.reorganised_on == reorganised
    assert told.first_day <= told.reorganised_on < today


def test_without_a_month_that_is_over_there_is_no_invoice() -> None:
    assert bill(stories(days=20)) is None


def test_the_invoice_names_nobody() -> None:
    told, city = stories(), example()
    made = Billing(city, told, ClaudeUse(city, told), Prices(city.tariffs), Apps(city, told)).invoice(
        datetime(2026, 11, 22, tzinfo=UTC)
    )
    assert made is not None
    assert not re.search(rb"@|person", made.content)
