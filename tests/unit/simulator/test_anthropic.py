"""The simulated Anthropic, asked by the real source and by hand."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from services.shared.events.usage import Reading
from services.simulator.claude import ClaudeUse, Prices, Use
from services.simulator.rhythm import DAY, days
from services.simulator.stories import Stories
from services.simulator.vendors.anthropic import BETA
from services.usage_collector.source import Cursor
from services.usage_collector.sources.anthropic import AnthropicSource
from tests.unit.simulator.asking import NOW, TODAY, Fetching, example, stories, who

USAGE, COST = "/v1/organizations/analytics/usage", "/v1/organizations/analytics/cost"
LEGACY = "/v1/organizations/usage_report/messages"
SPAN = [("starting_at", "2026-11-01T00:00:00Z"), ("ending_at", "2026-11-11T00:00:00Z")]
GROUPED = [*SPAN, ("time_bucket_width", "1d"), ("group_by[]", "workspace_id"), ("group_by[]", "model")]
WITH_BETA = {"anthropic-beta": BETA}


def read_all(fetching: Fetching, api: str, cursor: Cursor | None = None) -> list[Reading]:
    """Everything that the real source reads, from the beginning of the year."""
    source = AnthropicSource(who, api=api, default_workspace="wrkspc_01OletusTyotilaEsim2Ab6")
    found: list[Reading] = []
    more, place = True, cursor or {}
    while more:
        page = source.poll(fetching, place, fetching.now)
        found += [fact for fact in page.facts if isinstance(fact, Reading)]
        more, place = page.more, page.cursor
    return found


@pytest.mark.parametrize("api", ["analytics", "legacy"])
def test_the_real_source_reads_every_day(api: str) -> None:
    readings = read_all(Fetching(stories()), api)
    told = {reading.charge_period_start.date() for reading in readings}
    assert told == set(days(stories().first_day, TODAY))
    assert len({reading.reading_id for reading in readings}) == len(readings)
    assert 1000 < len(readings) < 1500


def test_both_interfaces_tell_the_same_tokens() -> None:
    totals = []
    for api in ("analytics", "legacy"):
        found: dict[tuple[str | None, str, str], Decimal] = {}
        for reading in read_all(Fetching(stories(20)), api):
            for meter, quantity in reading.consumed.items():
                key = (reading.consumer.account, reading.sku, meter)
                found[key] = found.get(key, Decimal(0)) + quantity
        totals.append(found)
    assert totals[0] == totals[1]


def test_analytics_tells_what_was_paid_and_legacy_does_not() -> None:
    assert all(reading.reported_cost for reading in read_all(Fetching(stories(5)), "analytics"))
    assert not any(reading.reported_cost for reading in read_all(Fetching(stories(5)), "legacy"))


def test_a_model_without_a_tariff_appears_late() -> None:
    readings = read_all(Fetching(stories()), "analytics")
    new = {reading.charge_period_start.date() for reading in readings if reading.sku == "claude-esimerkki-6"}
    assert new == set(days(stories().new_model_from, TODAY))
    assert new
    assert "claude-esimerkki-6" not in {entry["sku"] for entry in example().tariffs}


def test_batches_are_used_only_where_their_price_is_known() -> None:
    batch = {
        reading.charge_period_start.date()
        for reading in read_all(Fetching(stories()), "legacy")
        if reading.dimensions["service_tier"] == "batch"
    }
    assert min(batch) == date(2026, 10, 14)


def test_a_day_is_told_again_with_other_figures() -> None:
    told = stories()
    before, after = (
        {reading.reading_id: reading for reading in read_all(Fetching(told, now=moment), "analytics")}
        for moment in (told.restated_at - timedelta(hours=1), told.restated_at + timedelta(minutes=6))
    )
    differing = {name for name in before if before[name].consumed != after[name].consumed}
    assert {before[name].charge_period_start.date() for name in differing} == {told.restated_day}
    assert all(after[name].reported_cost.amount > before[name].reported_cost.amount for name in differing)  # type: ignore[union-attr]
    assert len(differing) == 2 + (told.restated_day >= told.new_model_from)


@pytest.mark.parametrize("size", ["1", "7", "1000"])
def test_pages_of_any_size_hold_the_same_rows(size: str) -> None:
    assert _rows(USAGE, size) == _rows(USAGE, "33")


def test_a_legacy_report_has_its_empty_days_too() -> None:
    fetching = Fetching(stories(3))
    document = _document(fetching, LEGACY, [*SPAN, ("bucket_width", "1d"), ("limit", "31")])
    assert [len(bucket["results"]) for bucket in document["data"]] == [0] * 10


def test_only_the_legacy_report_hides_the_default_workspace() -> None:
    default = example().workspace("default").id
    analytics = {row["group"]["workspace_id"] for row in _rows(USAGE, "1000")}
    legacy = _document(Fetching(stories()), LEGACY, [*SPAN, ("group_by[]", "workspace_id"), ("limit", "31")])
    hidden = {row["workspace_id"] for bucket in legacy["data"] for row in bucket["results"]}
    assert default in analytics
    assert None not in analytics
    assert hidden == (analytics - {default}) | {None}


def test_without_groups_everything_is_one_row_a_day() -> None:
    found = _document(Fetching(stories()), COST, [*SPAN, ("time_bucket_width", "1d"), ("limit", "100")], WITH_BETA)
    assert len(found["data"]) == 10
    assert all(value is None for row in found["data"] for value in row["group"].values())


@pytest.mark.parametrize(
    ("path", "query", "headers", "status"),
    [
        pytest.param(USAGE, GROUPED, {"x-api-key": "another"}, 401, id="another key"),
        pytest.param(USAGE, GROUPED, {}, 400, id="without the beta header"),
        pytest.param(USAGE, [*GROUPED, ("page", "bm9uc2Vuc2U=")], WITH_BETA, 400, id="a cursor that was never given"),
        pytest.param(USAGE, [*GROUPED, ("limit", "1001")], WITH_BETA, 400, id="too many rows"),
        pytest.param(USAGE, [*GROUPED, ("group_by[]", "weather")], WITH_BETA, 400, id="an unknown group"),
        pytest.param(USAGE, [("starting_at", "2025-12-31T00:00:00Z")], WITH_BETA, 400, id="before its history"),
        pytest.param(USAGE, [("starting_at", "2026-01-01T00:00:00Z")], WITH_BETA, 400, id="more than 31 days"),
        pytest.param(USAGE, [("starting_at", "yesterday")], WITH_BETA, 400, id="not a time"),
        pytest.param(LEGACY, [*SPAN, ("bucket_width", "1h")], {}, 400, id="hours"),
        pytest.param("/v1/organizations/unknown", [], {}, 404, id="an unknown path"),
    ],
)
def test_what_the_vendor_refuses(path: str, query: list[tuple[str, str]], headers: dict[str, str], status: int) -> None:
    reply = Fetching(stories()).ask("GET", path, query, headers)
    assert reply.status == status
    assert json.loads(reply.body)["type"] == "error"


def test_a_cursor_is_good_for_its_own_question_only() -> None:
    fetching = Fetching(stories())
    first = _document(fetching, USAGE, [*GROUPED, ("limit", "5")], WITH_BETA)
    other = [*GROUPED, ("group_by[]", "service_tier"), ("limit", "5"), ("page", first["next_page"])]
    assert fetching.ask("GET", USAGE, other, WITH_BETA).status == 400


@pytest.mark.parametrize(
    ("use", "usd"),
    [
        pytest.param({"model": "claude-sonnet-5", "input_tokens": 1_000_000}, "2", id="a price for all contexts"),
        pytest.param(
            {"model": "claude-sonnet-4-5", "context_window": "200k-1M", "output_tokens": 1000},
            "0.0225",
            id="long context",
        ),
        pytest.param(
            {"model": "claude-haiku-4-5-20251001", "service_tier": "batch", "cache_read_tokens": 20},
            "0.000001",
            id="batch",
        ),
        pytest.param({"model": "claude-opus-5", "web_searches": 3}, "0.03", id="searches"),
        pytest.param(
            {"model": "claude-esimerkki-6", "output_tokens": 2_000_000}, "30", id="what the city has no tariff for"
        ),
    ],
)
def test_the_vendor_charges_its_list_price(use: dict[str, Any], usd: str) -> None:
    assert Prices(example().tariffs).of(replace(NOTHING, **use)) == Decimal(usd)


@pytest.mark.parametrize("history", [30, 60, 120, 250])
def test_the_library_passes_its_budget_however_short_the_demo(history: int) -> None:
    prices, library = Prices(example().tariffs), example().workspace("kirjasto-chatbot").id
    told = Stories(1, history, TODAY)
    use = ClaudeUse(example(), told)
    usd = sum(
        prices.of(one) for day in days(told.first_day, TODAY) for one in use.on(day, NOW) if one.workspace_id == library
    )
    holders = len(example().members("kirjasto", TODAY))
    seats = holders * (TODAY - told.library_seats_from).days * Decimal("28.10") / 30
    assert 9000 * Decimal("1.05") < usd / Decimal("1.16") + seats < 9000 * Decimal("1.3")  # EUR; USD per EUR as in 2026


NOTHING = Use(
    day=TODAY, workspace_id="w", is_default=False, api_key_id="k", model="m", service_tier="standard",
    context_window=None, inference_geo="global", input_tokens=0, cache_write_5m_tokens=0, cache_write_1h_tokens=0,
    cache_read_tokens=0, output_tokens=0, web_searches=0, requests=1,
)  # fmt: skip


def _rows(path: str, size: str) -> list[dict[str, Any]]:
    fetching = Fetching(stories())
    query = [*GROUPED, ("order_by", "time"), ("limit", size)]
    rows: list[dict[str, Any]] = []
    page: str | None = ""
    while page is not None:
        document = _document(fetching, path, [*query, *([("page", page)] if page else [])], WITH_BETA)
        rows += document["data"]
        page = document["next_page"]
        assert document["has_more"] is (page is not None)
    return rows


def _document(
    fetching: Fetching, path: str, query: list[tuple[str, str]], headers: dict[str, str] | None = None
) -> dict[str, Any]:
    reply = fetching.ask("GET", path, query, headers)
    assert reply.status == 200, reply.body
    found: dict[str, Any] = json.loads(reply.body)
    return found


def test_nothing_of_an_unfinished_day_is_told() -> None:
    at_midnight = datetime(2026, 11, 22, 0, 4, tzinfo=UTC)
    use = ClaudeUse(example(), stories())
    assert use.on(date(2026, 11, 21), at_midnight)
    assert not use.on(TODAY, NOW)
    assert use.on(TODAY, NOW + DAY)
