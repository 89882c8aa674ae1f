"""By what an event is found, and what a question asks."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.audit_log.adapters.indexing import BLOCK, read_told, rows_of
from services.audit_log.domain.search import (
    TYPES_ABOUT_OUTPUTS,
    Facet,
    Filter,
    Told,
    facets_of,
    fits,
    key_of,
    moment_of,
)
from services.shared.events import Event, encode, event_types, types_of
from services.shared.events import log as about
from services.shared.events.outcomes import Finding, FindingOpened
from services.shared.events.register import UnitDefined
from services.shared.events.usage import UsageRecorded
from services.shared.tlog.entry import Position, make_entry
from tests.unit.audit_log.events import MONDAY, generated, register_events, reviewed, superseded, used, without_fact

READING = UsageRecorded.model_validate(
    {
        "id": "call-1.0",
        "source": "apps/library",
        "subject": "call-1",
        "time": MONDAY,
        "data": {
            "reading_id": "call-1",
            "system": "library-chatbot",
            "sku": "gpt",
            "charge_period_start": "2026-11-16T08:00:00Z",
            "charge_period_end": "2026-11-16T08:00:01Z",
            "consumed": {"requests": "1"},
            "dimensions": {"system": "a-dimension"},
            "consumer": {"person": "p-ann", "tags": {"unit": "a-tag", "person": "p-tag"}},
        },
    }
)
FINDING = FindingOpened(
    id="f-1",
    source="valvomo/audit-log",
    subject="o-1",
    time=MONDAY,
    data=Finding(
        finding_id="f-1", kind="overdue_review", output_id="o-1", use_case="benefits", system="now-assist", unit="kymp",
        policy="review", policy_version=3, due_at=None, detected_at=MONDAY,
    ),
)  # fmt: skip
UNIT = UnitDefined.model_validate(
    {
        "id": "1.kymp",
        "source": "register",
        "subject": "register",
        "time": MONDAY,
        "data": {
            "version": 1,
            "fact_id": "kymp",
            "fact": {"id": "kymp", "name": {"fi": "K", "sv": "K", "en": "K"}, "valid_from": "2026-01-01"},
        },
    }
)
READ = about.LogRead(
    id="r-1",
    source="valvomo/audit-log",
    subject="log",
    time=MONDAY,
    data=about.Lookup(reader="auditor-1", what="entries", asked={"unit": "kymp"}, entries=3, read_at=MONDAY),
)


def told(event: Event, when: datetime = MONDAY, topic: str = "valvomo.usage") -> Told:
    return Told(when, topic, json.loads(encode(event)))


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        pytest.param(READING, {"system=library-chatbot", "person=p-ann"}, id="a reading, but not a sender's own words"),
        pytest.param(
            generated(parent_output_id="o-0"),
            {"system=now-assist", "unit=kymp", "use_case=benefits", "output=o-1", "output=o-0", "person=p-requester"},
            id="an output, and what it was made from",
        ),
        pytest.param(reviewed(), {"output=o-1", "person=p-reviewer"}, id="a review by its reviewer"),
        pytest.param(used(actor="p-clerk"), {"output=o-1", "person=p-clerk"}, id="a use by who used it"),
        pytest.param(superseded(), {"output=o-1", "output=o-2"}, id="both outputs of a replacement"),
        pytest.param(
            FINDING, {"output=o-1", "use_case=benefits", "system=now-assist", "unit=kymp"}, id="a finding of our own"
        ),
        pytest.param(UNIT, {"unit=kymp"}, id="a unit by its own id"),
        pytest.param(without_fact(2, UnitDefined, "kymp"), {"unit=kymp"}, id="a unit that is gone by the id it had"),
        pytest.param(
            register_events(policies=())[0],
            {"use_case=benefits", "unit=kymp", "system=now-assist"},
            id="a use case, its unit, its systems",
        ),
        pytest.param(READ, set(), id="a look at the log is not about what was looked for"),
    ],
)
def test_what_an_event_is_found_by(event: Event, expected: set[str]) -> None:
    found = facets_of(json.loads(encode(event)))
    assert {f"{facet.kind}={facet.value}" for facet in found if facet.kind != "type"} == expected
    assert [facet.value for facet in found if facet.kind == "type"] == [event.model_dump()["type"]]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        pytest.param(Filter(), True, id="everything"),
        pytest.param(Filter(since=MONDAY), True, id="from a moment on, inclusive"),
        pytest.param(Filter(until=MONDAY), False, id="up to a moment, exclusive"),
        pytest.param(Filter(topic="valvomo.usage"), True, id="its topic"),
        pytest.param(Filter(topic="valvomo.governance"), False, id="another topic"),
        pytest.param(Filter(system="library-chatbot", person="p-ann"), True, id="two properties"),
        pytest.param(Filter(system="library-chatbot", person="p-bob"), False, id="one of two properties"),
        pytest.param(Filter(event_id="call-1.0", source="apps/library"), True, id="its name"),
        pytest.param(Filter(event_id="call-1.0", source="apps/other"), False, id="its id from another source"),
    ],
)
def test_what_fits(wanted: Filter, expected: bool) -> None:
    found = told(READING)
    assert fits(wanted, found, facets_of(found.event)) is expected


def test_what_was_asked_is_told_by_name() -> None:
    wanted = Filter(since=MONDAY, unit="kymp", state="overdue")
    assert wanted.asked() == {"since": "2026-11-16T08:00:00Z", "unit": "kymp", "state": "overdue"}


@given(st.text(), st.text())
def test_a_key_is_a_positive_number_of_a_database(left: str, right: str) -> None:
    assert 0 <= key_of(Facet("unit", left)) < 2**63
    assert (key_of(Facet("unit", left)) == key_of(Facet("unit", right))) is (left == right)
    assert key_of(Facet("unit", left)) != key_of(Facet("system", left))


@pytest.mark.parametrize(
    ("text", "last", "expected"),
    [
        ("2026-11-16", False, datetime(2026, 11, 15, 22, tzinfo=UTC)),
        ("2026-11-16", True, datetime(2026, 11, 16, 22, tzinfo=UTC)),
        ("2026-10-25", True, datetime(2026, 10, 25, 22, tzinfo=UTC)),
        ("2026-11-16T10:00:00+02:00", True, MONDAY),
    ],
)
def test_a_day_is_one_in_helsinki(text: str, last: bool, expected: datetime) -> None:
    assert moment_of(text, last=last) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "2026-11-16T10:00:00", "9999-12-31", "0001-01-01", "2026-13-01"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"outside|time zone|isoformat|month"):
        moment_of(text, last=text > "1")


def test_the_topics_of_outputs_are_known() -> None:
    assert set(TYPES_ABOUT_OUTPUTS) < set(event_types())
    assert types_of("valvomo.no-such-topic") == ()
    assert "valvomo.ai.output.used.v1" in TYPES_ABOUT_OUTPUTS


def entry(event: Event, offset: int = 0, when: datetime = MONDAY) -> bytes:
    return make_entry(Position("bus", "valvomo.usage", 0, offset, when), encode(event))


def test_what_an_entry_adds_to_the_index() -> None:
    late = datetime(2026, 11, 17, tzinfo=UTC)
    rows = rows_of([(BLOCK - 1, entry(READING)), (BLOCK, entry(FINDING, 1, late)), (BLOCK + 1, entry(READING, 2))])
    assert rows.sources == {"apps/library", "valvomo/audit-log"}
    assert rows.blocks == {0: (MONDAY, MONDAY), 1: (MONDAY, late)}
    assert (key_of(Facet("person", "p-ann")), BLOCK + 1) in rows.facets
    assert list(rows.facets) == sorted(set(rows.facets)), "in the order of the key, each once"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no entry",
        b"{}\n{}",
        b"[]\n[]",
        b'{"ingest_time":"2026-11-16T08:00:00","topic":"t"}\n{}',
        b'{"ingest_time":7,"topic":"t"}\n{}',
        b"\xff\n\xff",
        b"[" * 5_000 + b"\n{}",
    ],
)
def test_damaged_bytes_are_found_by_nothing_and_stop_nobody(body: bytes) -> None:
    assert read_told(body) is None
    assert rows_of([(0, body)]) == ([], {}, set(), [])


@pytest.mark.parametrize(
    "data", [None, [], "text", {"fact": None}, {"fact": {"id": 7}}, {"unit": 7, "systems": [None]}]
)
def test_events_of_another_shape_have_no_properties(data: Any) -> None:  # noqa: ANN401  # anything at all
    assert facets_of({"type": "valvomo.unit.defined.v1", "data": data}) == {Facet("type", "valvomo.unit.defined.v1")}
