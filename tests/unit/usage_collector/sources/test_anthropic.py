"""The traps of Anthropic's two interfaces."""

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import ValidationError

from services.shared.errors import SourceChangedError
from services.shared.events.usage import Reading
from services.usage_collector.source import Cursor, Page
from services.usage_collector.sources.anthropic import BETA, WINDOWS, AnthropicSource
from tests.unit.usage_collector.sources.fake import FakeFetch, Json, nobody, numbered

PAYLOADS = Path(__file__).parents[3] / "golden/sources/payloads"
UNTIL = datetime(2026, 11, 19, 6, tzinfo=UTC)
CURSOR: Cursor = {"at": "2026-11-16T00:00:00Z", "next": "2026-11-16T00:00:00Z", "deep": "2026-11-19T00:00:00Z"}

LIST_PRICES = {  # USD per 1,000,000 tokens: input, output, cache write 5m and 1h, cache read; list of 2026-08
    "claude-haiku-4-5-20251001": ("1", "5", "1.25", "2", "0.10"),
    "claude-opus-5": ("5", "25", "6.25", "10", "0.50"),
    "claude-sonnet-5": ("2", "10", "2.50", "4", "0.20"),
}
METERS = ("input_tokens", "output_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "cache_read_tokens")


def recorded(name: str) -> Json:
    return json.loads((PAYLOADS / f"{name}.json").read_text())


def legacy(document: Json, until: datetime = UNTIL, cursor: Cursor = CURSOR, **options: Json) -> Page:
    return AnthropicSource(nobody, api="legacy", **options).poll(
        FakeFetch(lambda _path, _query: document), cursor, until
    )


def analytics(usage: Json, cost: Json, until: datetime = UNTIL, cursor: Cursor = CURSOR, **options: Json) -> Page:
    fetch = FakeFetch(lambda path, _query: usage if path.endswith("usage") else cost)
    return AnthropicSource(numbered, api="analytics", **options).poll(fetch, cursor, until)


def readings(page: Page) -> list[Reading]:
    return [fact for fact in page.facts if isinstance(fact, Reading)]


def usd(reading: Reading) -> Decimal:
    prices = dict(zip(METERS, map(Decimal, LIST_PRICES[reading.sku]), strict=True))
    half = Decimal("0.5") if reading.dimensions["service_tier"] == "batch" else Decimal(1)
    tokens = sum(
        (quantity * prices[meter] / 1_000_000 for meter, quantity in reading.consumed.items() if meter in prices),
        Decimal(),
    )
    return tokens * half + reading.consumed.get("web_searches", Decimal()) * Decimal("0.01")


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(lambda: legacy(recorded("usage_report_messages")), id="legacy"),
        pytest.param(
            lambda: analytics(recorded("analytics_usage_platform"), recorded("analytics_cost_platform")), id="analytics"
        ),
    ],
)
def test_the_quantities_of_three_days_are_complete(page: Callable[[], Page]) -> None:
    days: dict[str, Decimal] = {}
    for reading in readings(page()):
        day = reading.charge_period_start.date().isoformat()
        days[day] = days.get(day, Decimal()) + usd(reading)
    assert days == {
        "2026-11-16": Decimal("15.51279"),
        "2026-11-17": Decimal("25.15033"),
        "2026-11-18": Decimal("0.45529"),
    }


def test_the_reported_costs_are_the_vendors_cents() -> None:
    page = analytics(recorded("analytics_usage_platform"), recorded("analytics_cost_platform"))
    assert [str(reading.reported_cost.amount) for reading in readings(page) if reading.reported_cost] == [
        "4.14779", "11.365", "4.33008", "15.52025", "5.3", "0.4263", "0.02899",
    ]  # fmt: skip
    assert all(usd(reading) == reading.reported_cost.amount for reading in readings(page) if reading.reported_cost)


def test_the_beta_header_goes_with_the_newer_interface_only() -> None:
    fetch = FakeFetch(lambda _path, _query: recorded("analytics_usage") | {"data": []})
    AnthropicSource(numbered, api="analytics").poll(fetch, CURSOR, UNTIL)
    assert fetch.headers == [BETA, BETA]
    fetch = FakeFetch(lambda _path, _query: recorded("usage_report_messages"))
    AnthropicSource(nobody, api="legacy").poll(fetch, CURSOR, UNTIL)
    assert fetch.headers == [{}]


@pytest.mark.parametrize(
    ("api", "default", "account"),
    [
        ("legacy", None, "default"),
        ("legacy", "wrkspc_01OletusTyotilaEsim2Ab6", "wrkspc_01OletusTyotilaEsim2Ab6"),
        ("analytics", None, "wrkspc_01OletusTyotilaEsim2Ab6"),
        ("analytics", "wrkspc_01OletusTyotilaEsim2Ab6", "wrkspc_01OletusTyotilaEsim2Ab6"),
    ],
)
def test_the_default_workspace_can_have_one_name(api: str, default: str | None, account: str) -> None:
    if api == "legacy":
        page = legacy(recorded("usage_report_messages"), default_workspace=default)
    else:
        usage, cost = recorded("analytics_usage_platform"), recorded("analytics_cost_platform")
        page = analytics(usage, cost, default_workspace=default)
    last_day = [reading for reading in readings(page) if reading.charge_period_start.day == 18]
    assert {reading.consumer.account for reading in last_day} == {account}


def test_naming_the_default_workspace_later_renames_no_reading() -> None:
    before = legacy(recorded("usage_report_messages"))
    after = legacy(recorded("usage_report_messages"), default_workspace="wrkspc_01OletusTyotilaEsim2Ab6")
    assert [one.reading_id for one in readings(before)] == [one.reading_id for one in readings(after)]


def test_readings_are_named_the_same_way_on_every_poll_and_no_two_alike() -> None:
    names = [reading.reading_id for reading in readings(legacy(recorded("usage_report_messages")))]
    assert names == [reading.reading_id for reading in readings(legacy(recorded("usage_report_messages")))]
    assert len(set(names)) == len(names) == 7


@pytest.mark.parametrize(("until", "finality"), [("2026-12-17", "provisional"), ("2026-12-18", "final")])
def test_a_day_is_final_after_thirty_days(until: str, finality: str) -> None:
    document = recorded("usage_report_messages")
    page = legacy({**document, "data": document["data"][1:2]}, datetime.fromisoformat(until).replace(tzinfo=UTC))
    assert {reading.finality for reading in readings(page)} == {finality}


def test_unknown_geography_is_no_dimension_and_a_known_one_is() -> None:
    document = recorded("usage_report_messages")
    document["data"][0]["results"][0] |= {"inference_geo": "not_available", "context_window": "0-200k"}
    document["data"][0]["results"][1] |= {"inference_geo": "us"}
    first, second, *_ = readings(legacy(document))
    assert first.dimensions == {"service_tier": "standard", "context_window": "0-200k"}
    assert second.dimensions == {"service_tier": "standard", "inference_geo": "us"}


def test_a_day_without_a_bucket_is_missing_not_empty() -> None:
    document = recorded("usage_report_messages")
    del document["data"][1]
    assert [day.isoformat() for day in legacy(document).missing] == ["2026-11-17"]


def test_an_empty_bucket_is_a_day_without_use() -> None:
    document = recorded("usage_report_messages")
    document["data"][1]["results"] = []
    page = legacy(document)
    assert (page.missing, len(page.facts)) == ((), 4)


def test_only_what_the_vendor_had_counted_is_told() -> None:
    usage, cost = recorded("analytics_usage_platform"), recorded("analytics_cost_platform")
    cost["data_refreshed_at"] = "2026-11-18T17:00:00Z"
    page = analytics(usage, cost)
    assert page.window is not None
    assert (page.window.end.day, page.more, page.cursor["at"]) == (18, False, "2026-11-18T00:00:00Z")
    assert {reading.charge_period_start.day for reading in readings(page)} == {16, 17}
    cost["data_refreshed_at"] = "2026-11-16T23:00:00Z"
    waiting = analytics(usage, cost)
    assert (waiting.window, waiting.facts, waiting.cursor["at"]) == (None, (), CURSOR["at"])


def test_a_cost_without_tokens_is_seen() -> None:
    usage, cost = recorded("analytics_usage_platform"), recorded("analytics_cost_platform")
    container = copy.deepcopy(cost["data"][0])
    container["group"]["model"] = "code-execution"
    cost["data"].append(container)
    (found,) = [reading for reading in readings(analytics(usage, cost)) if reading.sku == "code-execution"]
    assert found.consumed == {"anthropic:untokened_cents": Decimal("414.779")}


def test_a_deleted_user_keeps_a_name_of_their_own_and_a_mail_address_comes_first() -> None:
    asked: list[Json] = []

    def who(identities: Json) -> dict[Json, str]:
        asked.extend(sorted(identities))
        return numbered(identities)

    fetch = FakeFetch(lambda path, _query: recorded("analytics_usage" if path.endswith("usage") else "analytics_cost"))
    AnthropicSource(who, api="analytics", organisation="enterprise").poll(fetch, CURSOR, UNTIL)
    assert ("user_01PoistettuEsim5RtYu1Op",) in asked
    assert ("aino.esimerkki@kaupunki.example", "user_01AinoEsimerkki7HdKq2Rz") in asked


def test_service_accounts_and_keys_are_tags_and_federated_subjects_persons() -> None:
    usage, cost = recorded("analytics_usage"), recorded("analytics_cost")
    cost["data"] = []
    actors = [
        {"type": "service_account_actor", "service_account_id": "svac_1"},
        {"type": "api_actor", "api_key_id": "apikey_1"},
        {"type": "federated_actor", "provider": "entra", "subject": "s-1"},
        {"type": "federated_actor", "provider": "entra", "subject": None},
    ]
    for row, actor in zip(usage["data"], actors, strict=False):
        row["group"]["actor"] = actor
    found = readings(analytics(usage, cost, organisation="enterprise"))
    assert [(one.consumer.person is not None, one.consumer.tags) for one in found[:4]] == [
        (False, {"service_account": "svac_1", "product": "chat"}),
        (False, {"api_key": "apikey_1", "product": "office_agent"}),
        (True, {"product": "claude_code"}),
        (False, {"product": "cowork"}),
    ]


def test_the_other_interface_goes_on_where_this_one_stopped() -> None:
    usage, cost = recorded("analytics_usage_platform"), recorded("analytics_cost_platform")
    for document in (usage, cost):
        document["data"] = [row for row in document["data"] if row["starting_at"] >= "2026-11-18"]
    page = analytics(
        usage, cost, cursor={"api": "legacy", "next": "2026-11-18T00:00:00Z", "deep": "2026-11-18T00:00:00Z"}
    )
    assert page.window is not None
    assert page.window.start.day == 18
    later = WINDOWS.window(page.cursor, datetime(2026, 11, 25, tzinfo=UTC))
    assert later is not None
    assert later[0].start.day == 18, "the daily look back must not reach into what the other interface told"
    source = AnthropicSource(numbered, api="analytics")
    by_hand = WINDOWS.window(source.rewind(page.cursor, datetime(2026, 11, 1, tzinfo=UTC)), UNTIL)
    assert by_hand is not None
    assert by_hand[0].start.day == 18, "nor does a person's wish"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda row: row.update(model=None), id="not grouped: every dimension is null"),
        pytest.param(lambda row: row.pop("output_tokens"), id="a field is gone"),
        pytest.param(lambda row: row.update(output_tokens="5"), id="a number as text"),
        pytest.param(lambda row: row.update(output_tokens=1.5), id="half a token"),
        pytest.param(lambda row: row.update(output_tokens=-1), id="less than none"),
        pytest.param(lambda row: row.pop("workspace_id"), id="a dimension is gone"),
    ],
)
def test_a_row_of_another_shape_is_refused(change: Callable[[Json], None]) -> None:
    document = recorded("usage_report_messages")
    change(document["data"][0]["results"][0])
    with pytest.raises(ValidationError):
        legacy(document)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param(lambda it: it.update(has_more=True), "without next_page", id="more without a cursor"),
        pytest.param(lambda it: it.update(has_more=True, next_page="p2"), "came back", id="a cursor that loops"),
        pytest.param(
            lambda it: it["data"][0].update(ending_at="2026-11-16T12:00:00Z"), "found a bucket", id="half a day"
        ),
        pytest.param(
            lambda it: it["data"][0].update(starting_at="2026-11-10T00:00:00Z", ending_at="2026-11-11T00:00:00Z"),
            "found a bucket",
            id="a day that was not asked for",
        ),
    ],
)
def test_an_answer_that_cannot_be_whole_is_refused(change: Callable[[Json], None], says: str) -> None:
    document = recorded("usage_report_messages")
    change(document)
    with pytest.raises(SourceChangedError, match=says):
        legacy(document)


def test_two_rows_for_one_place_are_not_added_up() -> None:
    usage, cost = recorded("analytics_usage_platform"), recorded("analytics_cost_platform")
    usage["data"].append(copy.deepcopy(usage["data"][0]))
    assert len(analytics(usage, cost).facts) == 7
    usage["data"][-1]["usage"]["output_tokens"] += 1
    with pytest.raises(SourceChangedError, match="two different rows"):
        analytics(usage, cost)


def test_all_pages_are_read() -> None:
    whole = recorded("usage_report_messages")
    book = {
        None: {**whole, "data": whole["data"][:1], "has_more": True, "next_page": "page_2"},
        "page_2": {**whole, "data": whole["data"][1:]},
    }
    fetch = FakeFetch(lambda _path, query: book[query.get("page")])
    page = AnthropicSource(nobody, api="legacy").poll(fetch, CURSOR, UNTIL)
    assert len(page.facts) == 7
    assert len(fetch.asked) == 2


def test_at_most_five_groups_are_asked_for() -> None:
    for organisation in ("console", "enterprise"):
        fetch = FakeFetch(lambda _path, _query: recorded("analytics_usage") | {"data": []})
        AnthropicSource(numbered, api="analytics", organisation=organisation).poll(fetch, CURSOR, UNTIL)
        groups = [value for name, value in fetch.asked[0][1] if name == "group_by[]"]
        assert len(groups) == 5
        assert "model" in groups
