"""What events show to be in use, and how sightings of the same are put together."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.audit_log.domain.ai_register.sightings import Seen, Shown, Sighting, gathered, joined, shown_by
from services.shared.events import encode
from services.shared.events.usage import SeatCount, SeatsObserved
from tests.unit.audit_log.events import generated, reviewed

START = "2026-11-17T08:00:00Z"


def reading(**members: object) -> dict[str, Any]:
    data = {
        "system": "claude-api", "sku": "sonnet", "charge_period_start": START, "consumed": {"input_tokens": "5"},
        "environment": "production", "retracted": False, **members,
    }  # fmt: skip
    return {"type": "valvomo.usage.recorded.v1", "data": data}


def seen(event: dict[str, Any]) -> set[tuple[str, str]]:
    shown = shown_by(event)
    return {(one.seen.aspect, one.seen.value) for one in gathered([(0, shown)])} if shown else set()


SYSTEM = ("system", "claude-api")


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, {SYSTEM, ("model", "sonnet")}),
        ({"consumed": {"assists": "1"}}, {SYSTEM}),
        ({"consumed": {"cache_read_tokens": "1", "requests": "1"}}, {SYSTEM, ("model", "sonnet")}),
        ({"dimensions": {"region": "eu", "service_tier": "batch"}}, {SYSTEM, ("model", "sonnet"), ("region", "eu")}),
        ({"dimensions": {"inference_geo": "us"}}, {SYSTEM, ("model", "sonnet"), ("region", "us")}),
        (
            {"consumer": {"tags": {"feature": "Summarise", "agent": "triage", "department": "KYMP"}}},
            {SYSTEM, ("model", "sonnet"), ("feature", "Summarise"), ("agent", "triage")},
        ),
        ({"consumer": {"tags": {"product": "cowork"}}}, {SYSTEM, ("model", "sonnet"), ("feature", "cowork")}),
        ({"consumer": None, "dimensions": None, "consumed": None}, {SYSTEM}),
        ({"environment": "evaluation"}, set()),
        ({"retracted": True}, set()),
        ({"system": 7}, set()),
        ({"charge_period_start": None}, set()),
    ],
)  # fmt: skip
def test_what_a_reading_shows(members: dict[str, object], expected: set[tuple[str, str]]) -> None:
    assert seen(reading(**members)) == expected


def test_what_an_output_shows() -> None:
    event = generated(model="gpt-5", agent="permits", feature="letters", region="swedencentral")
    assert seen(json.loads(encode(event))) == {
        ("system", "now-assist"), ("model", "gpt-5"), ("agent", "permits"), ("feature", "letters"),
        ("region", "swedencentral"),
    }  # fmt: skip
    assert seen(json.loads(encode(generated(environment="test")))) == set()
    assert seen(json.loads(encode(reviewed()))) == set()


@pytest.mark.parametrize(("purchased", "assigned", "shows"), [(500, 0, True), (0, 3, True), (0, 0, False)])
def test_seats_show_a_system_while_there_are_any(purchased: int, assigned: int, shows: bool) -> None:
    day = datetime(2026, 11, 17, tzinfo=UTC).date()
    count = SeatCount(system="m365", sku="COPILOT", observed_on=day, purchased=purchased, assigned=assigned)
    event = SeatsObserved(id="s", source="test", subject="m365", time=datetime(2026, 11, 18, tzinfo=UTC), data=count)
    assert seen(json.loads(encode(event))) == ({("system", "m365")} if shows else set())


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"type": ["valvomo.usage.recorded.v1"], "data": {}},
        {"type": "valvomo.usage.recorded.v1", "data": []},
        reading(consumer="nobody"),
        reading(consumed=5),
        reading(charge_period_start="today"),
        reading(sku=["sonnet"]),
        reading(dimensions={"region": {"eu": 1}}),
    ],
)
def test_what_cannot_be_read_shows_nothing(event: dict[str, Any]) -> None:
    assert seen(event) == set()


MODEL = Seen("claude-api", "model", "sonnet")


def shown(index: int, when: str, model: str = "sonnet") -> tuple[int, Shown]:
    return index, (when, "claude-api", model, None)


def test_sightings_remember_the_first_entry_the_first_hour_and_the_last_day_in_helsinki() -> None:
    *_, found = gathered(
        [
            shown(7, "2026-11-17T22"),  # past midnight in Helsinki
            shown(8, "2026-11-17T21"),
            shown(9, "2026-11-17T23:30:00+02:00"),
            shown(10, "no time at all"),
        ]
    )
    assert found.seen in {MODEL, Seen("claude-api", "system", "claude-api")}
    assert found[1:] == (7, datetime(2026, 11, 17, 21, tzinfo=UTC), datetime(2026, 11, 17, 22, tzinfo=UTC))


@given(st.lists(st.tuples(st.integers(0, 400), st.sampled_from("abc")), max_size=30), st.integers(0, 30))
def test_gathering_in_portions_is_gathering_at_once(hours: list[tuple[int, str]], cut: int) -> None:
    start = datetime(2026, 3, 28, tzinfo=UTC)  # over the change to summer time
    entries = [
        shown(index, f"{start + timedelta(hours=hour):%Y-%m-%dT%H}", value) for index, (hour, value) in enumerate(hours)
    ]
    whole = {one.seen: one for one in gathered(entries)}
    parts: dict[Seen, Sighting] = {}
    for part in (entries[:cut], entries[cut:]):
        for one in gathered(part):
            parts[one.seen] = joined(parts[one.seen], one) if one.seen in parts else one
    assert parts == whole
    assert all(one.first_at <= one.last_at + timedelta(hours=25) for one in whole.values())
