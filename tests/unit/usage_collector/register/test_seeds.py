"""List prices become tariffs without losing a digit, and what they cannot say is told."""

import json
from collections import defaultdict
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from services.shared.errors import ConfigurationError
from services.shared.events.prices import Tariff
from services.usage_collector.register.documents import Notes
from services.usage_collector.register.entries import items_of
from services.usage_collector.register.facts import KIND
from services.usage_collector.register.folder import load_folder, stand_in
from services.usage_collector.register.problems import Problem
from services.usage_collector.register.seeds import Seed, seed, seed_file
from services.usage_collector.register.yaml_entries import read_entries

SAMPLE = Path(__file__).parent / "samples" / "usage_report_messages.json"
EXAMPLE_CITY = Path(__file__).parents[4] / "deploy" / "example-city"
FROM, CHECKED = date(2026, 1, 1), date(2026, 11, 22)


def seeded(*skus: str, valid_from: date = FROM) -> Seed:
    return seed("anthropic", "claude-api", skus, valid_from=valid_from, checked_on=CHECKED)


def priced(sku: str, meter: str, dimensions: dict[str, str], day: date, found: Seed) -> Decimal | None:
    """The price of one unit, as a plain reading of the tariffs gives it; None when none or several fit."""
    fitting = [
        tariff
        for tariff in found.tariffs
        if (tariff.sku, tariff.meter) == (sku, meter)
        and tariff.holds_on(day)
        and tariff.when.items() <= dimensions.items()
    ]
    widest = max((len(tariff.when) for tariff in fitting), default=0)
    best = [tariff for tariff in fitting if len(tariff.when) == widest]
    return best[0].price / best[0].per if len(best) == 1 and best[0].price is not None else None


def meters_of(row: dict[str, Any]) -> dict[str, int]:
    return {
        "input_tokens": row["uncached_input_tokens"],
        "cache_read_tokens": row["cache_read_input_tokens"],
        "cache_write_5m_tokens": row["cache_creation"]["ephemeral_5m_input_tokens"],
        "cache_write_1h_tokens": row["cache_creation"]["ephemeral_1h_input_tokens"],
        "output_tokens": row["output_tokens"],
        "web_searches": row["server_tool_use"]["web_search_requests"],
    }


def test_seeds_price_a_usage_report_as_its_vendor_did() -> None:
    found = seeded()
    totals: defaultdict[str, Decimal] = defaultdict(Decimal)
    for bucket in json.loads(SAMPLE.read_text())["data"]:
        day = date.fromisoformat(bucket["starting_at"][:10])
        for row in bucket["results"]:
            for meter, quantity in meters_of(row).items():
                price = priced(row["model"], meter, {"service_tier": row["service_tier"]}, day, found)
                assert price is not None, (row["model"], meter)
                totals[str(day)] += quantity * price
    assert totals == {
        "2026-11-16": Decimal("15.51279"),
        "2026-11-17": Decimal("25.15033"),
        "2026-11-18": Decimal("0.45529"),
    }


def test_example_city_carries_these_seeds() -> None:
    folder = load_folder(EXAMPLE_CITY, today=CHECKED)
    tariffs = [fact for fact in folder.facts.values() if isinstance(fact, Tariff)]
    city = {fact.id: fact for fact in tariffs if fact.source.startswith("genai-prices")}
    assert {tariff.id: tariff.model_dump(exclude={"checked_on"}) for tariff in seeded().tariffs} == {
        name: fact.model_dump(exclude={"checked_on"}) for name, fact in city.items()
    }


@pytest.mark.parametrize(
    ("sku", "meter", "dimensions", "day", "per_million"),
    [
        pytest.param("claude-opus-5", "input_tokens", {"service_tier": "standard"}, CHECKED, "5", id="ordinary"),
        pytest.param("claude-opus-5", "input_tokens", {"service_tier": "batch"}, CHECKED, "2.5", id="batch"),
        pytest.param(
            "claude-opus-5",
            "input_tokens",
            {"service_tier": "batch"},
            date(2026, 10, 13),
            None,
            id="batch before its price is known",
        ),
        pytest.param(
            "claude-opus-5", "output_tokens", {"service_tier": "standard", "speed": "fast"}, CHECKED, "50", id="fast"
        ),
        pytest.param("claude-opus-5", "input_tokens", {"service_tier": "priority"}, CHECKED, None, id="another tier"),
        pytest.param("claude-opus-5", "input_tokens", {}, CHECKED, None, id="a report that does not tell the tier"),
        pytest.param(
            "claude-opus-5",
            "web_searches",
            {"service_tier": "batch"},
            CHECKED,
            "10000",
            id="searches cost the same in a batch",
        ),
        pytest.param(
            "claude-sonnet-4-5",
            "input_tokens",
            {"service_tier": "standard", "context_window": "0-200k"},
            CHECKED,
            "3",
            id="small context",
        ),
        pytest.param(
            "claude-sonnet-4-5",
            "output_tokens",
            {"service_tier": "standard", "context_window": "200k-1M"},
            CHECKED,
            "22.5",
            id="large context",
        ),
        pytest.param(
            "claude-haiku-4-5-20251001",
            "cache_write_1h_tokens",
            {"service_tier": "standard"},
            CHECKED,
            "2",
            id="a dated name",
        ),
    ],
)
def test_price(sku: str, meter: str, dimensions: dict[str, str], day: date, per_million: str | None) -> None:
    found = priced(sku, meter, dimensions, day, seeded())
    assert found == (None if per_million is None else Decimal(per_million) / 1_000_000)


def test_a_price_that_changed_is_two_tariffs_without_a_gap() -> None:
    found = [
        tariff
        for tariff in seeded("claude-opus-4-6").tariffs
        if tariff.meter == "input_tokens" and tariff.when.get("service_tier") == "standard"
    ]
    spans = sorted((tariff.valid_from, tariff.valid_to, tariff.price) for tariff in found)
    change = date(2026, 3, 13)
    assert spans == [(FROM, change, Decimal(5)), (FROM, change, Decimal(10)), (change, None, Decimal(5))]


def test_prices_that_ended_before_the_first_day_are_left_out_of_the_file() -> None:
    found = seeded("claude-opus-4-6", valid_from=date(2026, 6, 1))
    assert {tariff.valid_from for tariff in found.tariffs if tariff.when == {"service_tier": "standard"}} == {
        date(2026, 6, 1)
    }


@pytest.mark.parametrize(
    ("sku", "sentence"),
    [
        pytest.param(
            "claude-haiku-5-5",
            "claude-haiku-5-5: prices that change at 100,000 tokens of a request",
            id="a tier that no report tells apart",
        ),
        pytest.param(
            "claude-esimerkki-6", "claude-esimerkki-6: not among the prices of anthropic", id="an unknown model"
        ),
        pytest.param(
            "claude-opus-5",
            "claude-opus-5: its price for processing=batch before 2026-10-14",
            id="a price without a past",
        ),
    ],
)
def test_what_cannot_be_said_is_told(sku: str, sentence: str) -> None:
    found = seeded(sku)
    assert any(told.startswith(sentence) for told in found.left_out)
    assert sentence in seed_file("anthropic", found)


def test_tiered_tokens_are_left_out_and_the_rest_is_kept() -> None:
    assert {tariff.meter for tariff in seeded("claude-haiku-5-5").tariffs} <= {"web_searches"}


def test_an_unknown_vendor_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="found the vendor 'oracle'; list prices are known for anthropic"):
        seed("oracle", "x", (), valid_from=FROM, checked_on=CHECKED)


def test_the_file_says_exactly_the_tariffs() -> None:
    found = seeded()
    problems: list[Problem] = []
    entries = read_entries(seed_file("anthropic", found), Notes("tariffs/anthropic.yaml", problems))
    read = [item.fact for entry in entries for item in items_of(KIND["tariff"], entry, stand_in, problems)]
    assert not problems
    assert read == list(found.tariffs)
