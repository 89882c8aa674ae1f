"""Reading and writing events: what is taken, what is refused, and what a refusal never repeats."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.shared.errors import InvalidEventError
from services.shared.events import TOPICS, decode, encode, event_id, event_types, key_of, topic_of
from services.shared.events.envelope import MAX_EVENT_BYTES
from services.shared.events.usage import UsageRecorded


def usage(**changes: object) -> dict[str, object]:
    """The reading of the design's section 3, with `changes` to its data."""
    data: dict[str, object] = {
        "reading_id": "8f2c",
        "revision": 0,
        "system": "claude-api",
        "sku": "claude-sonnet-4-5",
        "charge_period_start": "2026-11-17T00:00:00Z",
        "charge_period_end": "2026-11-18T00:00:00Z",
        "consumed": {"input_tokens": "18234", "cache_read_tokens": "1200", "output_tokens": "5121"},
        "dimensions": {"service_tier": "standard"},
        "consumer": {"person": "p-7f31", "account": "wrk-012", "tags": {"department": "KYMP"}},
        "reported_cost": {"amount": "1.2345", "currency": "USD"},
    }
    return {
        "specversion": "1.0",
        "type": "valvomo.usage.recorded.v1",
        "source": "anthropic/analytics",
        "id": "8f2c.0",
        "subject": "claude-api",
        "time": "2026-11-18T04:00:07Z",
        "datacontenttype": "application/json",
        "data": data | changes,
    }


def test_what_is_written_reads_back_the_same() -> None:
    event = decode(json.dumps(usage()))
    assert isinstance(event, UsageRecorded)
    assert decode(encode(event)) == event
    assert encode(decode(encode(event))) == encode(event)


def test_a_sender_may_leave_out_only_what_the_design_says() -> None:
    event = decode(json.dumps(usage()))
    assert isinstance(event, UsageRecorded)
    assert (event.data.finality, event.data.purpose, event.data.environment, event.data.retracted) == (
        "final",
        "billing",
        "production",
        False,
    )
    for needed in ("reading_id", "system", "sku", "charge_period_start", "charge_period_end", "consumed"):
        document = usage()
        data = document["data"]
        assert isinstance(data, dict)
        del data[needed]
        with pytest.raises(InvalidEventError, match=needed):
            decode(json.dumps(document))


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        pytest.param('{"specversion": "1.0", "ty', "Invalid JSON", id="truncated JSON"),
        pytest.param("[]", "should be an object", id="a list"),
        pytest.param(json.dumps(usage(consumed={"input_tokens": 18234.5})), "found a float", id="a float as quantity"),
        pytest.param(
            json.dumps(usage(consumed={"input_tokens": 18234})), "found a int", id="a JSON number as quantity"
        ),
        pytest.param(json.dumps(usage(consumed={"input_tokens": "NaN"})), "not a plain decimal", id="NaN as text"),
        pytest.param(json.dumps(usage(consumed={"input_tokens": float("nan")})), "found a float", id="NaN as number"),
        pytest.param(
            json.dumps(usage(consumed={"input_tokens": "-1"})), "cannot be negative", id="a negative quantity"
        ),
        pytest.param(json.dumps(usage(consumed={"tokens": "1"})), "unknown meter", id="an unknown meter"),
        pytest.param(
            json.dumps(usage(reported_cost={"amount": 1.2, "currency": "USD"})), "found a float", id="a float as money"
        ),
        pytest.param(
            json.dumps(usage(reported_cost={"amount": "1.2", "currency": "usd"})),
            "reported_cost.currency",
            id="a currency in small letters",
        ),
        pytest.param(json.dumps(usage(colour="red")), "Extra inputs", id="an unknown member"),
        pytest.param(json.dumps(usage(revision="0")), "revision", id="a revision as text"),
        pytest.param(json.dumps(usage(retracted="no")), "retracted", id="a truth value as text"),
        pytest.param(
            json.dumps(usage(consumer={"person": "anna@example.org"})),
            "consumer.person",
            id="a person that is no pseudonym",
        ),
        pytest.param(
            json.dumps(usage(charge_period_start="2026-11-17T00:00:00")), "timezone", id="a time without a zone"
        ),
        pytest.param(json.dumps(usage(charge_period_end="2026-11-17T00:00:00Z")), "later than", id="an empty period"),
        pytest.param(
            json.dumps(usage(charge_period_start="0001-01-01T00:00:00+05:00")),
            "outside the years 1 to 9999",
            id="a time before the year 1 in UTC",
        ),
        pytest.param(
            json.dumps(usage(charge_period_end="9999-12-31T23:59:59-05:00")),
            "outside the years 1 to 9999",
            id="a time after the year 9999 in UTC",
        ),
        pytest.param(json.dumps(usage() | {"tracestate": "a\x00"}), "tracestate", id="a NUL in the trace"),
        pytest.param(json.dumps(usage(charge_period_start=1763337600)), "RFC 3339", id="a time as a number"),
        pytest.param(json.dumps(usage(reading_id="x" * 129)), "reading_id", id="a name too long"),
        pytest.param(json.dumps(usage(revision=1)), "reading_id.revision", id="an id that names another revision"),
        pytest.param(
            json.dumps(usage() | {"type": "valvomo.usage.guessed.v1"}), "unknown event type", id="an unknown type"
        ),
        pytest.param(json.dumps(usage() | {"specversion": "0.3"}), "specversion", id="another CloudEvents version"),
        pytest.param(json.dumps(usage() | {"extension": "x"}), "extension", id="an unknown envelope member"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_member_named(document: str, sentence: str) -> None:
    with pytest.raises(InvalidEventError, match=sentence):
        decode(document)


def test_a_refusal_never_repeats_what_the_sender_wrote() -> None:
    for document in (
        usage(consumer={"person": "anna@example.org"}),
        usage() | {"type": "anna@example.org"},
        usage(sku="anna@example.org\x00"),
        usage(**{"anna@example.org": "x"}),
        usage(consumer={"tags": {"anna@example.org": 7}}),
        usage(consumed={"anna@example.org": "1"}),
        usage(reading_id="anna@example.org"),
    ):
        with pytest.raises(InvalidEventError) as refusal:
            decode(json.dumps(document))
        assert "anna" not in str(refusal.value)


def test_an_event_larger_than_the_limit_is_refused_both_ways() -> None:
    wide = usage(consumer={"tags": {f"tag{number}": "x" * 250 for number in range(300)}})
    assert len(json.dumps(wide)) > MAX_EVENT_BYTES
    with pytest.raises(InvalidEventError, match="at most 60000"):
        decode(json.dumps(wide))
    with pytest.raises(InvalidEventError, match="at most 60000"):
        encode(UsageRecorded.model_validate(wide))


def test_revisions_of_one_reading_share_a_partition_key() -> None:
    first, second = decode(json.dumps(usage())), decode(json.dumps(usage(revision=1) | {"id": "8f2c.1"}))
    assert key_of(first) == key_of(second)
    assert topic_of(first) == "valvomo.usage"


def test_every_type_is_versioned_and_has_a_topic() -> None:
    names = {topic.name for topic in TOPICS}
    for type_name, model in event_types().items():
        assert type_name.startswith("valvomo.")
        assert type_name.endswith(".v1")
        nothing: dict[str, Any] = {}
        assert topic_of(model.model_construct(**nothing)) in names


@given(
    st.lists(st.one_of(st.text(), st.integers()), max_size=4), st.lists(st.one_of(st.text(), st.integers()), max_size=4)
)
def test_no_two_facts_share_a_name(one: list[str | int], other: list[str | int]) -> None:
    assert (event_id(*one) == event_id(*other)) == (one == other)


def test_a_name_does_not_depend_on_the_zone_a_time_is_written_in() -> None:
    moment = datetime(2026, 11, 17, tzinfo=UTC)
    assert event_id("a", moment) == event_id("a", datetime.fromisoformat("2026-11-17T02:00:00+02:00"))
