"""`POST /v1/events`: what is taken in, how it is completed and cleaned, and what each bad input is answered."""

import gzip
import hmac
import json
import subprocess
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from services.shared.access import ANYBODY, Holder
from services.shared.bus import Message, Record
from services.shared.bus.memory import MemoryBus
from services.shared.clock import SteppedClock
from services.shared.errors import (
    ConfigurationError,
    IncompatibleStoreError,
    InvalidEventError,
    PlatformError,
    TransientError,
)
from services.shared.events import TOPICS, decode, event_types
from services.shared.http import Server
from services.usage_collector import api
from services.usage_collector.bodies import decompressed
from services.usage_collector.intake import PUSHABLE, Intake, keyed_hash, read_json
from services.usage_collector.publishing import GroupPublisher
from tests.unit.usage_collector.door import KEY, NOW, SECRET, Door, pseudonym, usage

EARLIER = "2026-11-22T11:00:00Z"
STRUCTURED = {"Content-Type": "application/cloudevents+json"}
BATCH = {"Content-Type": "application/cloudevents-batch+json; charset=utf-8"}
TEXT_HASH = sha256(b"Kirjasto avataan kello yhdeksan.").hexdigest()
KEYED = hmac.new(KEY, bytes.fromhex(TEXT_HASH), "sha256").hexdigest()


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
def client(door: Door) -> Iterator[TestClient]:
    with TestClient(door.app(), base_url="http://127.0.0.1") as found:
        yield found


def governance(_event: str, /, **data: object) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "type": f"valvomo.ai.{_event}.v1",
        "source": "apps/library",
        "id": f"{_event}-1",
        "subject": "answer-1",
        "time": "2026-11-22T11:00:02Z",
        "data": {"output_id": "answer-1", **data},
    }


def review(**data: object) -> dict[str, Any]:
    fields = {"review_id": "r", "decided_at": EARLIER, "decision": "approved", "evidence": "explicit_accept"}
    return governance("review.decided", **{**fields, **data})


def data_schema(name: str) -> dict[str, Any]:
    schema = event_types()[name].model_json_schema()
    data: dict[str, Any] = schema["$defs"][schema["properties"]["data"]["$ref"].rpartition("/")[2]]
    return {**data, "$defs": schema["$defs"]}


def made_up(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The least that a model asks for, and every hash and every person that it may hold."""
    found = {member: value_of(part, schema["$defs"]) for member, part in schema["properties"].items()}
    return {name: value for name, value in found.items() if name in schema.get("required", ()) or _tells(value)}


def _tells(value: object) -> bool:
    return value in (TEXT_HASH, "somebody") or (isinstance(value, dict) and any(map(_tells, value.values())))


def value_of(part: Mapping[str, Any], defs: Mapping[str, Any]) -> object:
    shape = next((one for one in part.get("anyOf", ()) if one.get("type") != "null"), part)
    if "$ref" in shape:
        whole = defs[shape["$ref"].rpartition("/")[2]]
        return made_up({**whole, "$defs": defs})
    if "enum" in shape:
        return shape["enum"][0]
    patterns = {r"^[0-9a-f]{64}$": TEXT_HASH, r"^p-[A-Za-z0-9_-]+$": "somebody"}
    return EARLIER if shape.get("format") == "date-time" else patterns.get(shape.get("pattern", ""), "answer-1")


def send(client: TestClient, *events: object, headers: dict[str, str] = BATCH) -> Any:  # noqa: ANN401  # the test client's own response
    return client.post("/v1/events", content=json.dumps(list(events)), headers=headers)


class TestModes:
    def test_one_structured_event(self, client: TestClient, door: Door) -> None:
        answer = client.post("/v1/events", content=json.dumps(usage()), headers=STRUCTURED)
        assert (answer.status_code, answer.json()) == (202, {"accepted": 1, "refused": []})
        assert [event.id for event in door.events()] == ["call-0.0"]

    def test_one_binary_event(self, client: TestClient, door: Door) -> None:
        event = usage()
        headers = {f"ce-{name}": event[name] for name in event if name != "data"} | {"Content-Type": "application/json"}
        headers["ce-subject"] = "kirjasto%20%C3%A4"
        answer = client.post("/v1/events", content=json.dumps(event["data"]), headers=headers)
        assert answer.json() == {"accepted": 1, "refused": []}
        assert [found.subject for found in door.events()] == ["kirjasto ä"]

    @pytest.mark.parametrize("bind", [to_binary_event, to_structured_event])
    def test_the_official_sdk_is_understood(
        self, client: TestClient, door: Door, bind: Callable[[CloudEvent], Any]
    ) -> None:
        event = usage()
        attributes = {name: found for name, found in event.items() if name not in {"data", "time"}}
        sent = bind(CloudEvent({**attributes, "time": NOW, "datacontenttype": "application/json"}, event["data"]))
        assert client.post("/v1/events", content=sent.body, headers=dict(sent.headers)).status_code == 202
        assert door.data()[0]["consumed"] == {"input_tokens": "374", "output_tokens": "44"}

    def test_a_batch_keeps_its_order(self, client: TestClient, door: Door) -> None:
        same_key = [usage(0, revision=number) for number in range(5)]
        assert send(client, *same_key).json() == {"accepted": 5, "refused": []}
        assert [event.id for event in door.events()] == [f"call-0.{number}" for number in range(5)]

    def test_an_empty_batch_is_nothing(self, client: TestClient, door: Door) -> None:
        assert send(client).json() == {"accepted": 0, "refused": []}
        assert door.records() == []

    def test_a_gzipped_batch(self, client: TestClient, door: Door) -> None:
        body = gzip.compress(json.dumps([usage(0)]).encode())
        assert client.post("/v1/events", content=body, headers=BATCH | {"Content-Encoding": "gzip"}).status_code == 202
        assert len(door.records()) == 1

    def test_the_trace_comes_along(self, client: TestClient, door: Door) -> None:
        trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        send(client, {**usage(), "traceparent": trace})
        assert door.events()[0].traceparent == trace

    def test_curl_delivers(self, door: Door, tmp_path: Path) -> None:
        file = tmp_path / "batch.json"
        file.write_text(json.dumps([usage(number) for number in range(3)]), encoding="utf-8")
        with Server(door.app()) as base:
            command = ["curl", "--silent", "--show-error", "--noproxy", "*", "--data-binary", f"@{file}"]
            command += ["--header", f"Content-Type: {BATCH['Content-Type']}", f"{base}/v1/events"]
            told = subprocess.run(command, capture_output=True, check=True, timeout=30)
        assert json.loads(told.stdout) == {"accepted": 3, "refused": []}
        assert len(door.records()) == 3


def test_the_example_of_the_page_is_taken(client: TestClient) -> None:
    page = (Path(__file__).parents[3] / "docs" / "intake.md").read_text(encoding="utf-8")
    example = page.partition("--data '")[2].partition("'")[0]
    assert client.post("/v1/events", content=example, headers=STRUCTURED).json() == {"accepted": 1, "refused": []}


class TestCompletion:
    def test_what_a_sender_may_leave_out_is_filled_in(self, client: TestClient, door: Door) -> None:
        send(client, usage())
        found = door.data()[0]
        filled = {name: found[name] for name in ("revision", "retracted", "dimensions", "consumer", "reported_cost")}
        assert filled == {
            "revision": 0,
            "retracted": False,
            "dimensions": {},
            "consumer": {"person": None, "account": None, "tags": {}},
            "reported_cost": None,
        }
        assert (found["finality"], found["purpose"], found["environment"]) == ("final", "billing", "production")

    @pytest.mark.parametrize(
        "member", ["reading_id", "system", "sku", "charge_period_start", "charge_period_end", "consumed"]
    )
    def test_nothing_else_may_be_left_out(self, client: TestClient, member: str) -> None:
        event = usage()
        del event["data"][member]
        assert f"data.{member}: Field required" in send(client, event).json()["refused"][0]["reason"]

    @pytest.mark.parametrize("member", ["specversion", "id", "source", "type", "time", "subject", "data"])
    def test_every_attribute_of_the_envelope_is_required(self, client: TestClient, door: Door, member: str) -> None:
        event = usage()
        del event[member]
        answer = send(client, event)
        assert answer.status_code == 400
        assert member in answer.json()["refused"][0]["reason"]
        assert door.records() == []

    def test_quantities_stay_exact(self, client: TestClient, door: Door) -> None:
        send(client, usage(consumed={"credits": "12345678901234567890.123456789"}))
        assert door.data()[0]["consumed"] == {"credits": "12345678901234567890.123456789"}

    @pytest.mark.parametrize(
        ("event", "member"),
        [
            (
                governance(
                    "output.generated",
                    system="library-chatbot",
                    generated_at="2026-11-22T11:00:00Z",
                    content_hash=TEXT_HASH,
                ),
                "content_hash",
            ),
            (
                governance(
                    "output.used", use_id="u", used_at="2026-11-22T11:00:00Z", kind="sent", content_hash_used=TEXT_HASH
                ),
                "content_hash_used",
            ),
            (
                governance(
                    "review.decided",
                    review_id="r",
                    decided_at="2026-11-22T11:00:00Z",
                    decision="edited",
                    evidence="edited",
                    content_hash_reviewed=TEXT_HASH,
                ),
                "content_hash_reviewed",
            ),
            (
                governance(
                    "review.decided",
                    review_id="r",
                    decided_at="2026-11-22T11:00:00Z",
                    decision="edited",
                    evidence="edited",
                    edited_content_hash=TEXT_HASH,
                ),
                "edited_content_hash",
            ),
        ],
        ids=["generated", "used", "reviewed", "edited"],
    )
    def test_a_digest_becomes_a_keyed_hash(
        self, client: TestClient, door: Door, event: dict[str, Any], member: str
    ) -> None:
        assert send(client, event).json()["refused"] == []
        record = door.records()[0]
        assert json.loads(record.value)["data"][member] == KEYED
        assert TEXT_HASH.encode() not in record.value

    def test_every_hash_and_every_person_of_every_type_is_replaced(self, client: TestClient, door: Door) -> None:
        """Walks the models, so that a new member cannot be forgotten."""
        for name in sorted(set(PUSHABLE) - {"valvomo.usage.recorded.v1"}):
            event = {**governance("x"), "type": name, "data": made_up(data_schema(name))}
            assert send(client, event).json()["refused"] == [], name
        written = b"".join(record.value for record in door.records())
        assert TEXT_HASH.encode() not in written
        assert b"somebody" not in written
        assert written.count(KEYED.encode()) == 7
        assert written.count(pseudonym("somebody").encode()) == 5

    def test_what_a_letterhead_was_made_of_is_keyed_like_the_text(self, client: TestClient, door: Door) -> None:
        rendering = {"template": "letterhead-2026", "content_hash": TEXT_HASH}
        event = governance("output.used", use_id="u", used_at=EARLIER, kind="sent", rendering=rendering)
        assert send(client, event).status_code == 202
        [found] = door.data("valvomo.ai.output.used.v1")
        assert found["rendering"] == {"template": "letterhead-2026", "content_hash": KEYED}

    @pytest.mark.parametrize(
        "rendering", [None, [], "text", {"template": "t", "content_hash": 7}, {"content_hash": []}]
    )
    def test_a_rendering_that_is_none_is_taken_or_refused(self, client: TestClient, rendering: object) -> None:
        event = governance("output.used", use_id="u", used_at=EARLIER, kind="sent", rendering=rendering)
        assert send(client, event).status_code == (202 if rendering is None else 400)

    @pytest.mark.parametrize("wrong", [TEXT_HASH.upper(), TEXT_HASH[:-1], 5, "text"])
    def test_what_is_no_digest_is_refused(self, client: TestClient, wrong: object) -> None:
        event = governance(
            "output.used", use_id="u", used_at="2026-11-22T11:00:00Z", kind="sent", content_hash_used=wrong
        )
        assert "data.content_hash_used" in send(client, event).json()["refused"][0]["reason"]

    @pytest.mark.parametrize(
        ("event", "place"),
        [
            (usage(consumer={"person": "liisa@kaupunki.example"}), ("consumer", "person")),
            (
                governance(
                    "output.generated",
                    system="s",
                    generated_at="2026-11-22T11:00:00Z",
                    requester="liisa@kaupunki.example",
                ),
                ("requester",),
            ),
            (
                governance(
                    "output.used",
                    use_id="u",
                    used_at="2026-11-22T11:00:00Z",
                    kind="sent",
                    actor="liisa@kaupunki.example",
                ),
                ("actor",),
            ),
            (
                governance(
                    "review.opened", review_id="r", opened_at="2026-11-22T11:00:00Z", reviewer="liisa@kaupunki.example"
                ),
                ("reviewer",),
            ),
            (
                governance(
                    "review.decided",
                    review_id="r",
                    decided_at="2026-11-22T11:00:00Z",
                    decision="approved",
                    evidence="thumb",
                    reviewer="liisa@kaupunki.example",
                ),
                ("reviewer",),
            ),
        ],
        ids=["used", "asked", "acted", "opened", "reviewed"],
    )
    def test_a_person_becomes_a_pseudonym(
        self, client: TestClient, door: Door, event: dict[str, Any], place: Sequence[str]
    ) -> None:
        assert send(client, event).json()["refused"] == []
        found = json.loads(door.records()[0].value)["data"]
        for name in place:
            found = found[name]
        assert found == pseudonym("liisa@kaupunki.example")
        assert b"liisa" not in door.records()[0].value

    def test_a_pseudonym_stays(self, client: TestClient, door: Door) -> None:
        send(client, usage(consumer={"person": "p-7f31"}))
        assert door.data()[0]["consumer"]["person"] == "p-7f31"


def test_a_mail_address_anywhere_else_is_refused(client: TestClient, door: Door) -> None:
    events = [
        usage(consumer={"account": "liisa@kaupunki.example"}),
        usage(consumer={"tags": {"who": "liisa@kaupunki.example"}}),
        usage(consumer={"tags": {"who": "liisa@käräjät.example"}}),
        usage(consumer={"tags": {"who": "liisa%40kaupunki.example"}}),
        usage(consumer={"tags": {"who": "liisa\N{FULLWIDTH COMMERCIAL AT}kaupunki.example"}}),
        usage(sku="claude-sonnet-4-5@20250929"),
    ]
    answer = send(client, *events)
    assert [one["index"] for one in answer.json()["refused"]] == [0, 1, 2, 3, 4]
    assert [found["sku"] for found in door.data()] == ["claude-sonnet-4-5@20250929"]


def deep(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


BAD_BODIES = [
    pytest.param(json.dumps(usage()).encode()[:-20], "not JSON", id="truncated"),
    pytest.param(b"", "not JSON", id="empty"),
    pytest.param(b"\xff\xfe\x00", "not UTF-8", id="not UTF-8"),
    pytest.param(json.dumps(usage()).encode("utf-16"), "not UTF-8", id="UTF-16"),
    pytest.param(b'{"id": "a", "id": "b"}', "found a member twice", id="member twice"),
    pytest.param(
        b'{"data": {"consumed": {"output_tokens": "1", "output_tokens": "2"}}}',
        "found a member twice",
        id="meter twice",
    ),
    pytest.param(b'{"data": NaN}', "found NaN", id="NaN"),
    pytest.param(b'{"data": -Infinity}', "found -Infinity", id="infinity"),
    pytest.param(deep(100_000), "nested too deeply", id="nested deeply"),
    pytest.param(b'{"id": ' + b"9" * 5_000 + b"}", "too many digits", id="a number of 5,000 digits"),
]


@pytest.mark.parametrize(("body", "reason"), BAD_BODIES)
@pytest.mark.parametrize("headers", [STRUCTURED, BATCH], ids=["structured", "batch"])
def test_a_body_that_is_no_json_is_refused_as_a_whole(
    client: TestClient, door: Door, body: bytes, reason: str, headers: dict[str, str]
) -> None:
    answer = client.post("/v1/events", content=body, headers=headers)
    assert answer.status_code == 400
    refused = answer.json()["refused"]
    assert (answer.json()["accepted"], len(refused), refused[0]["index"], refused[0]["id"]) == (0, 1, None, None)
    assert reason in refused[0]["reason"]
    assert door.records() == []


def linked(address: str) -> dict[str, Any]:
    return governance("output.generated", system="s", generated_at=EARLIER, content_ref=address)


BAD_EVENTS = [
    pytest.param(usage(consumed={"input_tokens": 374}), "data.consumed.input_tokens", id="a number for a quantity"),
    pytest.param(usage(consumed={"input_tokens": 3.5}), "data.consumed.input_tokens", id="a float for a quantity"),
    pytest.param(usage(consumed={"input_tokens": "-1"}), "cannot be negative", id="a negative quantity"),
    pytest.param(usage(consumed={"input_tokens": "1e3"}), "plain decimal", id="an exponent"),
    pytest.param(usage(consumed={"input_tokens": "NaN"}), "plain decimal", id="NaN as text"),
    pytest.param(usage(consumed={"tokens": "1"}), "unknown meter", id="a meter we do not know"),
    pytest.param(
        usage(reported_cost={"amount": 1.2345, "currency": "USD"}), "data.reported_cost.amount", id="a float for money"
    ),
    pytest.param(
        usage(reported_cost={"amount": "1.2345", "currency": "usd"}),
        "data.reported_cost.currency",
        id="a currency in lower case",
    ),
    pytest.param(usage(retracted="no"), "data.retracted", id="a text for a boolean"),
    pytest.param(usage(revision="1"), "data.revision", id="a text for a revision"),
    pytest.param(usage(revision=1.5), "data.revision", id="a fraction for a revision"),
    pytest.param(usage(purpose="gift"), "data.purpose", id="a purpose we do not know"),
    pytest.param(usage(colour="red"), "data.colour: Extra", id="an unknown member"),
    pytest.param({**usage(), "colour": "red"}, "colour: Extra", id="an unknown attribute"),
    pytest.param({**usage(), "data_base64": "e30="}, "data_base64: Extra", id="data twice"),
    pytest.param({**usage(), "specversion": "0.3"}, "specversion", id="another CloudEvents version"),
    pytest.param({**usage(), "datacontenttype": "text/xml"}, "datacontenttype", id="data that is no JSON"),
    pytest.param({**usage(), "data": "text"}, "data", id="a text for data"),
    pytest.param({**usage(), "data": None}, "data", id="null for data"),
    pytest.param({**usage(), "id": "call-0.7"}, "reading_id.revision", id="an id that is not reading_id.revision"),
    pytest.param({**usage(), "id": 7}, "id", id="a number for an id"),
    pytest.param({**usage(), "time": 1_794_996_001}, "time: expected a moment", id="a number for a moment"),
    pytest.param({**usage(), "time": "1794996001"}, "time: expected a moment", id="digits for a moment"),
    pytest.param({**usage(), "time": "2026-11-22T11:00:02"}, "time", id="a moment without a time zone"),
    pytest.param({**usage(), "time": "0001-01-01T00:00:00+05:00"}, "years 1 to 9999", id="a moment before the year 1"),
    pytest.param(
        usage(charge_period_end="9999-12-31T23:59:59-05:00"), "years 1 to 9999", id="a moment after the year 9999"
    ),
    pytest.param(
        usage(charge_period_start=1_794_996_001),
        "data.charge_period_start: expected a moment",
        id="a number for a start",
    ),
    pytest.param(
        usage(charge_period_end="2026-11-22T11:00:00Z"), "charge_period_end must be later", id="a period that is empty"
    ),
    pytest.param(
        usage(consumer={"person": "line\nbreak"}), "person: expected a pseudonym", id="a person that is no identifier"
    ),
    pytest.param(usage(consumer={"person": 7}), "data.consumer.person", id="a number for a person"),
    pytest.param(usage(sku="\ud800"), "data.sku", id="half a character"),
    pytest.param(
        usage(dimensions={f"d{number}": "x" * 250 for number in range(300)}),
        "at most 60000",
        id="larger than 60,000 bytes",
    ),
    pytest.param({**usage(), "source": "valvomo/reviews"}, "said by Valvomo itself", id="a source of ours"),
    pytest.param({**usage(), "source": "Valvomo"}, "said by Valvomo itself", id="a source like ours"),
    pytest.param(review(made_in="valvomo"), "data.made_in", id="a review as if made on our pages"),
    pytest.param(review(decided_by="nobody"), "data.decided_by", id="a reviewer of a kind we do not know"),
    pytest.param(review(bulk_place="1"), "data.bulk_place", id="a text for a place in a bulk"),
    pytest.param(linked("http://vendor.example/chat/1"), "data.content_ref", id="a link without encryption"),
    pytest.param(linked("javascript:alert(1)"), "data.content_ref", id="a link that is a program"),
    pytest.param(linked("https://vendor.example/chat/liisa%40kaupunki.example"), "e-mail", id="a link with an address"),
    pytest.param(linked("https://liisa:secret@intranet/chat"), "data.content_ref", id="a link with a password"),
    pytest.param(linked("https://[vendor/chat"), "data.content_ref", id="a link to no host"),
    pytest.param(
        {**usage(), "type": "valvomo.tariff.published.v1"}, "type: applications may send", id="a register event"
    ),
    pytest.param({**usage(), "type": "valvomo.charge.made.v1"}, "type: applications may send", id="a charge"),
    pytest.param({**usage(), "type": ["x"]}, "type: applications may send", id="a list for a type"),
    pytest.param("text", "no JSON object", id="a text for an event"),
    pytest.param(None, "no JSON object", id="null for an event"),
]


@pytest.mark.parametrize(("event", "reason"), BAD_EVENTS)
def test_a_bad_event_is_refused_with_its_reason_and_the_good_ones_are_kept(
    client: TestClient, door: Door, event: object, reason: str
) -> None:
    answer = send(client, usage(1), event, usage(2))
    assert answer.status_code == 400
    assert answer.json()["accepted"] == 2
    [refused] = answer.json()["refused"]
    assert refused["index"] == 1
    assert reason in refused["reason"]
    assert sorted(found.id for found in door.events()) == ["call-1.0", "call-2.0"]


@pytest.mark.parametrize("name", sorted(set(event_types()) - set(PUSHABLE)))
def test_what_only_valvomo_may_say_is_refused(name: str) -> None:
    outcome = Door().intake.accept([{**usage(), "type": name}], ANYBODY)
    assert outcome.accepted == 0
    assert outcome.refused[0].reason.startswith("type: applications may send")


def test_what_becomes_of_outputs_and_reviews_may_be_sent() -> None:
    assert {name.removeprefix("valvomo.").removesuffix(".v1") for name in PUSHABLE} == {
        "usage.recorded", "ai.output.generated", "ai.output.used", "ai.output.superseded", "ai.output.deleted",
        "ai.review.opened", "ai.review.decided", "ai.review.declined",
    }  # fmt: skip


def test_what_a_reviewer_takes_back_and_a_bulk_come_through(client: TestClient, door: Door) -> None:
    said = {"replaces": "r-0", "bulk_id": "b", "bulk_place": 3, "bulk_size": 7, "decided_by": "timer", "made_in": "app"}
    send(client, review(**said))
    [found] = door.data("valvomo.ai.review.decided.v1")
    assert {name: found[name] for name in said} == said


def test_no_reason_and_no_log_line_repeats_a_value(client: TestClient, capfd: pytest.CaptureFixture[str]) -> None:
    event = usage(consumer={"person": "liisa\n"}, sku=7, environment=["Salainen teksti"])
    assert "alainen" not in send(client, event).text
    written = "".join(capfd.readouterr())
    assert "liisa" not in written
    assert "alainen" not in written


@pytest.mark.parametrize(
    ("ahead", "status"),
    [
        pytest.param(timedelta(hours=24), 202, id="24 hours"),
        pytest.param(timedelta(hours=24, microseconds=1), 400, id="a microsecond more"),
    ],
)
def test_a_charge_period_may_start_a_day_ahead_at_most(client: TestClient, ahead: timedelta, status: int) -> None:
    start = NOW + ahead
    event = usage(charge_period_start=start.isoformat(), charge_period_end=(start + timedelta(hours=1)).isoformat())
    assert send(client, event).status_code == status


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/json"},
        {"Content-Type": "application/cloudevents+avro"},
        {"Content-Type": "application/cloudevents+json; charset=latin-1"},
        {"Content-Type": "application/cloudevents+json", "Content-Encoding": "br"},
        {"Content-Type": "application/cloudevents+json", "Content-Encoding": "gzip, gzip"},
    ],
    ids=lambda headers: "; ".join(headers.values()) or "none",
)
def test_other_media_types_and_compressions_are_415(client: TestClient, headers: dict[str, str]) -> None:
    answer = client.post("/v1/events", content=json.dumps(usage()).encode(), headers=headers)
    assert answer.status_code == 415
    assert answer.headers["accept-encoding"] == "gzip"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param(b"plain", "says it is gzip", id="not gzip"),
        pytest.param(b"", "cut off", id="empty"),
        pytest.param(gzip.compress(b"[]")[:-9], "cut off", id="cut off"),
        pytest.param(gzip.compress(b"[]") + b"rest", "says it is gzip", id="with a rest"),
    ],
)
def test_damaged_gzip_is_400(client: TestClient, body: bytes, reason: str) -> None:
    answer = client.post("/v1/events", content=body, headers=BATCH | {"Content-Encoding": "gzip"})
    assert answer.status_code == 400
    assert reason in answer.json()["refused"][0]["reason"]


def test_a_gzip_bomb_is_not_unpacked(client: TestClient) -> None:
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(b"0" * 1_000_000) for _ in range(300)) + packer.flush()
    assert len(bomb) < 400_000
    assert client.post("/v1/events", content=bomb, headers=BATCH | {"Content-Encoding": "gzip"}).status_code == 413


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=4))
def test_gzip_of_several_members_is_their_sum(parts: list[bytes]) -> None:
    assert decompressed(b"".join(map(gzip.compress, parts)), "gzip", 1_000) == b"".join(parts)


def test_more_than_1000_events_are_413(client: TestClient, door: Door) -> None:
    assert send(client, *[None] * 1_001).status_code == 413
    assert send(client, *[usage(number) for number in range(1_000)]).json()["accepted"] == 1_000
    assert len(door.records()) == 1_000


def test_11_mb_are_413(client: TestClient) -> None:
    assert client.post("/v1/events", content=b" " * 11_000_000, headers=BATCH).status_code == 413


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"ce-data": "{}"}, id="data as a header"),
        pytest.param({"ce-subject": "%FF"}, id="percent-encoding that is not UTF-8"),
    ],
)
def test_binary_headers_that_cannot_be_are_refused(client: TestClient, headers: dict[str, str]) -> None:
    event = usage()
    attributes = {f"ce-{name}": event[name] for name in event if name != "data"}
    answer = client.post(
        "/v1/events",
        content=json.dumps(event["data"]),
        headers=attributes | headers | {"Content-Type": "application/json"},
    )
    assert answer.status_code == 400


class TestWhoMay:
    @pytest.fixture
    def sender(self, door: Door) -> TestClient:
        app = door.app(scopes=["events"], systems=["library-chatbot"], sources=["apps/library"])
        return TestClient(app, base_url="https://valvomo.example", headers={"Authorization": f"Bearer {SECRET}"})

    def test_its_own_system_and_source(self, sender: TestClient) -> None:
        assert send(sender, usage()).status_code == 202

    @pytest.mark.parametrize(
        ("event", "member"),
        [
            (usage(system="payroll"), "data.system"),
            ({**usage(), "source": "anthropic/analytics"}, "source"),
            (
                {
                    **governance("review.opened", review_id="r", opened_at="2026-11-22T11:00:00Z"),
                    "source": "apps/other",
                },
                "source",
            ),
        ],
        ids=["another system", "another source", "a review under another source"],
    )
    def test_not_another(self, sender: TestClient, door: Door, event: dict[str, Any], member: str) -> None:
        assert send(sender, event).json()["refused"][0]["reason"].startswith(member)
        assert door.records() == []

    def test_a_review_is_for_its_system(self, sender: TestClient, door: Door) -> None:
        """The collector does not know whose output it is; the log compares."""
        assert send(sender, review()).status_code == 202
        assert send(sender, review(system="library-chatbot")).status_code == 202
        assert send(sender, review(system="payroll")).json()["refused"][0]["reason"].startswith("data.system")
        assert [found["system"] for found in door.data("valvomo.ai.review.decided.v1")] == ["library-chatbot"] * 2

    @pytest.mark.parametrize("systems", [["a", "b"], ["library-*"]])
    def test_who_may_tell_of_several_systems_says_which(self, door: Door, systems: list[str]) -> None:
        app = door.app(scopes=["events"], systems=systems, sources=["*"])
        client = TestClient(app, base_url="https://valvomo.example", headers={"Authorization": f"Bearer {SECRET}"})
        assert "name one of them" in send(client, review()).json()["refused"][0]["reason"]
        assert send(client, review(system=systems[0].replace("*", "chatbot"))).status_code == 202

    def test_nobody_without_a_token(self, door: Door) -> None:
        client = TestClient(door.app(scopes=["events"]), base_url="https://valvomo.example")
        assert send(client, usage()).status_code == 401


class AwayBus(MemoryBus):
    """A bus that is away until it is told to come back."""

    away = True

    def publish(self, messages: Sequence[Message]) -> Sequence[Record]:
        if self.away:
            raise TransientError("the bus is away", retry_after_seconds=3)
        return super().publish(messages)


def test_a_bus_that_is_away_is_503_and_the_same_batch_may_come_again() -> None:
    bus = AwayBus(SteppedClock(NOW))
    door = Door(bus)
    with TestClient(door.app(), base_url="http://127.0.0.1") as client:
        answer = send(client, usage())
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "3")
        assert door.intake.problem == "intake: the bus is away"
        bus.away = False
        assert send(client, usage()).status_code == 202
    assert len(door.records()) == 1
    assert door.intake.problem is None


def test_a_bus_that_was_away_is_told_for_a_minute() -> None:
    """Longer would be a trap: a program that is not ready is sent no events, so it would never learn of the end."""
    door = Door(AwayBus(SteppedClock(NOW)))
    with pytest.raises(TransientError):
        door.intake.accept([usage()], ANYBODY)
    door.clock.advance(timedelta(seconds=59))
    assert door.intake.problem is not None
    door.clock.advance(timedelta(seconds=1))
    assert door.intake.problem is None
    door.clock.advance(timedelta(days=-1))
    assert door.intake.problem is None


@pytest.mark.parametrize("kind", [ConfigurationError, IncompatibleStoreError])
def test_a_bus_that_a_person_must_mend_is_503_so_that_senders_keep_their_events(
    kind: type[PlatformError], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    door = Door()

    def broken(_messages: Sequence[Message]) -> Sequence[Record]:
        raise kind("bus.db is damaged; restore the last back-up")

    monkeypatch.setattr(door.bus, "publish", broken)
    answer = send(TestClient(door.app(), base_url="http://127.0.0.1"), usage())
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
    assert "bus.db" not in answer.text
    assert "bus.db is damaged" in "".join(capfd.readouterr())
    door.clock.advance(timedelta(days=1))
    assert door.intake.problem == "intake: bus.db is damaged; restore the last back-up"


class SlowBus(MemoryBus):
    """A bus whose first commit takes until it is let go."""

    def __init__(self) -> None:
        super().__init__(SteppedClock(NOW))
        self.entered, self.let_go = threading.Event(), threading.Event()
        self.commits: list[int] = []

    def publish(self, messages: Sequence[Message]) -> Sequence[Record]:
        self.commits.append(len(messages))
        self.entered.set()
        assert self.let_go.wait(30)
        return super().publish(messages)


def test_too_many_requests_at_once_are_429(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "MAX_REQUESTS_AT_ONCE", 1)
    bus = SlowBus()
    door = Door(bus)
    with TestClient(door.app(), base_url="http://127.0.0.1") as client:
        first = threading.Thread(target=send, args=(client, usage()))
        first.start()
        assert bus.entered.wait(30)
        answer = send(client, usage(1))
        bus.let_go.set()
        first.join(30)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
        assert send(client, usage(1)).status_code == 202


def test_requests_of_the_same_moment_share_a_commit() -> None:
    bus = SlowBus()
    bus.ensure_topics(TOPICS)
    intake = Intake(bus, keyed_hash(KEY), pseudonym, SteppedClock(NOW))
    threads = [threading.Thread(target=intake.accept, args=([usage(number)], ANYBODY)) for number in range(6)]
    threads[0].start()
    assert bus.entered.wait(30)
    for thread in threads[1:]:
        thread.start()
    publisher = intake._publisher
    while len(publisher._waiting) < 5:
        threading.Event().wait(0.001)
    bus.let_go.set()
    for thread in threads:
        thread.join(30)
    assert bus.commits == [1, 5]


class PickyBus(MemoryBus):
    """Refuses a message that says so, and with it its whole commit."""

    def publish(self, messages: Sequence[Message]) -> Sequence[Record]:
        if len(messages) == 1 and messages[0].value == b"unforeseen":
            raise RuntimeError("a defect")
        if any(message.value == b"too large" for message in messages):
            raise InvalidEventError("found a message that is too large for the bus")
        return super().publish(messages)


def test_a_fault_of_one_request_does_not_touch_the_others_of_its_commit() -> None:
    bus = PickyBus(SteppedClock(NOW))
    bus.ensure_topics(TOPICS)
    publisher = GroupPublisher(bus)
    results: list[str] = []

    def publish(value: bytes) -> None:
        try:
            publisher.publish([Message("valvomo.usage", b"k", value)])
            results.append("safe")
        except InvalidEventError:
            results.append("refused")
        except RuntimeError:
            results.append("broken")

    values = (b"good", b"too large", b"unforeseen", b"good")
    threads = [threading.Thread(target=publish, args=(value,), daemon=True) for value in values]
    with publisher._leading:  # so that all four are of one moment
        for thread in threads:
            thread.start()
        while len(publisher._waiting) < 4:
            threading.Event().wait(0.001)
    for thread in threads:
        thread.join(30)
    assert sorted(results) == ["broken", "refused", "safe", "safe"]
    assert sum(bus.end_positions(["valvomo.usage"]).values()) == 2


def test_duplicates_are_accepted(client: TestClient) -> None:
    assert send(client, usage(), usage()).json() == {"accepted": 2, "refused": []}
    assert send(client, usage()).json() == {"accepted": 1, "refused": []}


def test_what_came_is_counted(client: TestClient) -> None:
    send(client, usage(), None)
    text = client.get("/metrics").text
    assert 'valvomo_intake_events_total{answer="accepted"} 1.0' in text
    assert 'valvomo_intake_events_total{answer="refused"} 1.0' in text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(JSON, st.sampled_from(["type", "id", "source", "time", "data", "subject", "specversion"]))
def test_whatever_stands_in_a_member_is_taken_or_refused_with_a_reason(found: object, member: str) -> None:
    door = Door()
    outcome = door.intake.accept([{**usage(), member: found}], ANYBODY)
    assert outcome.accepted + len(outcome.refused) == 1
    assert [decode(record.value) for record in door.records()] == door.events()


@given(
    JSON,
    st.sampled_from([*usage()["data"], "consumer", "dimensions", "reported_cost", "revision", "retracted"]),
)
def test_whatever_stands_in_the_data_is_taken_or_refused_with_a_reason(found: object, member: str) -> None:
    outcome = Door().intake.accept([usage(**{member: found})], ANYBODY)
    assert outcome.accepted + len(outcome.refused) == 1


@given(st.dictionaries(st.text(), JSON.filter(lambda found: found == found), max_size=5))  # noqa: PLR0124  # not NaN
def test_json_without_nan_is_read_as_it_was_written(found: dict[str, object]) -> None:
    try:
        body = json.dumps(found, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, UnicodeEncodeError):
        return
    assert read_json(body) == found


def test_a_holder_without_rights_sends_nothing() -> None:
    outcome = Door().intake.accept([usage()], Holder("x", frozenset(), frozenset(), (), ()))
    assert outcome.accepted == 0
