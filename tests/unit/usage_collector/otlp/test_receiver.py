"""OTLP/HTTP: what exporters send, what becomes of it, and what they are answered."""

import gzip
import json
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from services.shared.access import ANYBODY
from services.shared.bus import Message, Record
from services.shared.bus.memory import MemoryBus
from services.shared.clock import SteppedClock
from services.shared.errors import InvalidEventError, TransientError
from services.shared.http import Server
from services.usage_collector.otlp.carriage import JSON, PROTOBUF, Signal, decode
from services.usage_collector.otlp.receiver import receive
from services.usage_collector.otlp.tokens import Tokens
from tests.unit.usage_collector.door import NOW, SECRET, Door, pseudonym

OUTPUT = "valvomo.ai.output.generated.v1"
REVIEW = "valvomo.ai.review.decided.v1"
START = 1_795_344_000_000_000_000  # 2026-11-22T10:40:00Z
SECOND = 1_000_000_000
CHAT: dict[str, str | int] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "claude-haiku-4-5",
    "gen_ai.usage.input_tokens": 10,
    "gen_ai.usage.output_tokens": 5,
}
API_REQUEST = {
    "event.name": "api_request",
    "model": "claude-opus-5",
    "input_tokens": "1840",
    "output_tokens": 912,
    "request_id": "req_1",
    "duration_ms": 500,
    "cost_usd": 0.075605,
    "cost_usd_micros": 75605,
}
TOOL_DECISION = {
    "event.name": "tool_decision",
    "tool_name": "Edit",
    "tool_use_id": "toolu_1",
    "decision": "accept",
    "source": "user_temporary",
    "user.email": "aino@kaupunki.example",
}
TOOL_EXECUTION: dict[str, str | int] = {
    "tool_name": "edit_slide_xml",
    "tool.id": "toolu_1",
    "tool.read_write": "write",
    "tool.accept_decision": "manual",
    "user.email": "liisa@kaupunki.example",
}
PERSON_REVIEW = {
    "gen_ai.evaluation.name": "human_review",
    "gen_ai.evaluation.score.label": "pass",
    "gen_ai.response.id": "msg_1",
    "valvomo.reviewer": "liisa@kaupunki.example",
}


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
def client(door: Door) -> Iterator[TestClient]:
    with TestClient(door.app(), base_url="http://127.0.0.1") as found:
        yield found


def pairs(attributes: Mapping[str, object]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(found)} for key, found in attributes.items()]


def _value(found: object) -> dict[str, object]:
    match found:
        case bool():
            return {"boolValue": found}
        case int():
            return {"intValue": str(found)}
        case float():
            return {"doubleValue": found}
        case list():
            return {"arrayValue": {"values": [_value(item) for item in found]}}
        case _:
            return {"stringValue": found}


def resource(**more: object) -> dict[str, Any]:
    return {"attributes": pairs({"service.name": "library", **more})}


def span(attributes: Mapping[str, object], number: int = 1, **more: object) -> dict[str, Any]:
    return {
        "traceId": f"{number:032x}",
        "spanId": f"{number:016x}",
        "name": "chat",
        "startTimeUnixNano": str(START),
        "endTimeUnixNano": str(START + SECOND),
        "attributes": pairs(attributes),
        **more,
    }


def traces(*spans: dict[str, Any], **more: object) -> dict[str, Any]:
    return {
        "resourceSpans": [
            {"resource": resource(**more), "scopeSpans": [{"scope": {"name": "s"}, "spans": list(spans)}]}
        ]
    }


def logs(*records: Mapping[str, object], service: str = "claude-code", **more: object) -> dict[str, Any]:
    listed = [{"timeUnixNano": str(START), "attributes": pairs(attributes), **more} for attributes in records]
    return {
        "resourceLogs": [
            {"resource": resource(**{"service.name": service}), "scopeLogs": [{"scope": {}, "logRecords": listed}]}
        ]
    }


def point(number: object, attributes: Mapping[str, object], seconds: int = 60) -> dict[str, Any]:
    told = {"asDouble": number} if isinstance(number, float | str) else {"asInt": str(number)}
    times = {"startTimeUnixNano": str(START), "timeUnixNano": str(START + seconds * SECOND)}
    return {"attributes": pairs({"model": "claude-opus-5", **attributes}), **times, **told}


def metrics(
    *points: dict[str, Any], name: str = "claude_code.token.usage", temporality: int = 1, kind: str = "sum"
) -> dict[str, Any]:
    told = {"name": name, kind: {"aggregationTemporality": temporality, "dataPoints": list(points)}}
    if kind == "sum":
        told[kind]["isMonotonic"] = True  # type: ignore[index]
    return {
        "resourceMetrics": [{"resource": resource(), "scopeMetrics": [{"scope": {"name": "m"}, "metrics": [told]}]}]
    }


def post(client: TestClient, signal: Signal, document: object, **headers: str) -> Any:  # noqa: ANN401  # the client's response
    return client.post(f"/v1/otlp/v1/{signal}", content=json.dumps(document), headers={"Content-Type": JSON} | headers)


class TestSpans:
    def test_current_names(self, client: TestClient, door: Door) -> None:
        cached = {"gen_ai.usage.cache_read.input_tokens": 4, "gen_ai.usage.cache_write.input_tokens": 3}
        post(client, "traces", traces(span({**CHAT, **cached})))
        assert door.data()[0]["consumed"] == {
            "input_tokens": "3",
            "output_tokens": "5",
            "cache_read_tokens": "4",
            "cache_write_5m_tokens": "3",
        }

    def test_older_names(self, client: TestClient, door: Door) -> None:
        old = {
            "gen_ai.system": "openai",
            "gen_ai.request.model": "gpt-5.2",
            "gen_ai.usage.prompt_tokens": 9.0,
            "gen_ai.usage.completion_tokens": "2",
            "gen_ai.usage.cache_creation.input_tokens": 1,
        }
        post(client, "traces", traces(span(old)))
        assert door.data()[0]["consumed"] == {"input_tokens": "8", "output_tokens": "2", "cache_write_5m_tokens": "1"}

    def test_the_model_that_answered_is_the_sku(self, client: TestClient, door: Door) -> None:
        post(client, "traces", traces(span({**CHAT, "gen_ai.response.model": "claude-haiku-4-5-20251001"})))
        assert door.data()[0]["sku"] == "claude-haiku-4-5-20251001"

    def test_an_answer_with_an_id_is_an_output_tied_to_its_reading(self, client: TestClient, door: Door) -> None:
        more = {
            "gen_ai.response.id": "msg_1",
            "valvomo.use_case": "opening-hours",
            "user.email": "liisa@kaupunki.example",
        }
        post(client, "traces", traces(span({**CHAT, **more})))
        [output], [reading] = door.data(OUTPUT), door.data()
        assert (output["output_id"], output["use_case"]) == ("msg_1", "opening-hours")
        assert output["reading_id"] == reading["reading_id"]
        assert output["requester"] == reading["consumer"]["person"] == pseudonym("liisa@kaupunki.example")

    @pytest.mark.parametrize("operation", ["invoke_agent", "execute_tool", "fetch_response", "create_agent"])
    def test_operations_that_repeat_or_use_nothing_are_let_go(
        self, client: TestClient, door: Door, operation: str
    ) -> None:
        answer = post(client, "traces", traces(span({**CHAT, "gen_ai.operation.name": operation})))
        assert (answer.status_code, answer.json()) == (200, {})
        assert door.records() == []

    def test_spans_about_something_else_are_let_go(self, client: TestClient, door: Door) -> None:
        assert post(client, "traces", traces(span({"http.route": "/"}))).json() == {}
        assert door.records() == []

    def test_claude_codes_spans_are_let_go_because_its_logs_count(self, client: TestClient, door: Door) -> None:
        post(client, "traces", traces(span({**CHAT, "gen_ai.response.id": "req_1"}, name="claude_code.llm_request")))
        assert door.records() == []

    @pytest.mark.parametrize(
        ("allowed", "verdict"),
        [
            ("manual", ("approved", "thumb", "person", pseudonym("liisa@kaupunki.example"))),
            ("auto_accept", ("approved", "none", "timer", None)),
            pytest.param("deferred", None, id="deferred: nobody has decided yet"),
        ],
    )
    def test_who_let_an_office_agent_change_a_document(
        self, client: TestClient, door: Door, allowed: str, verdict: tuple[object, ...] | None
    ) -> None:
        change = span({**TOOL_EXECUTION, "tool.accept_decision": allowed}, name="agent.tool_execution")
        post(client, "traces", traces(change, **{"service.name": "office-agent"}))
        [output] = door.data(OUTPUT)
        assert (output["output_id"], output["step"], output["system"]) == ("toolu_1", True, "office-agent")
        names = ("decision", "evidence", "decided_by", "reviewer")
        told = [tuple(found[name] for name in names) for found in door.data(REVIEW)]
        assert told == ([] if verdict is None else [verdict])

    @pytest.mark.parametrize(
        ("service", "change"),
        [
            pytest.param("office-agent", {"tool.read_write": "read"}, id="it only read"),
            pytest.param("office-agent", {"tool.id": ""}, id="no id names the change"),
            pytest.param("library", {}, id="another program's tool"),
        ],
    )
    def test_no_document_changed(
        self, client: TestClient, door: Door, service: str, change: dict[str, str | int]
    ) -> None:
        sent = span({**TOOL_EXECUTION, **change}, name="agent.tool_execution")
        assert post(client, "traces", traces(sent, **{"service.name": service})).json() == {}
        assert door.records() == []

    def test_embeddings_are_used_but_are_no_output(self, client: TestClient, door: Door) -> None:
        post(client, "traces", traces(span({**CHAT, "gen_ai.operation.name": "embeddings", "gen_ai.response.id": "e"})))
        assert (len(door.data()), door.data(OUTPUT)) == (1, [])

    def test_two_instrumentations_of_one_call_count_once(self, client: TestClient, door: Door) -> None:
        first = span({**CHAT, "gen_ai.response.id": "msg_1"}, 1)
        second = span({**CHAT, "gen_ai.response.id": "msg_1", "gen_ai.usage.output_tokens": 6}, 2)
        post(client, "traces", traces(first, second))
        assert [reading["consumed"]["output_tokens"] for reading in door.data()] == ["5"]

    def test_a_retry_writes_the_same_bytes(self, client: TestClient, door: Door) -> None:
        for _ in range(2):
            post(client, "traces", traces(span({**CHAT, "gen_ai.response.id": "msg_1"})))
        values = [record.value for record in door.records()]
        assert len(values) == 4
        assert len(set(values)) == 2

    def test_what_may_be_kept_is_kept_and_content_is_not(self, client: TestClient, door: Door) -> None:
        content = {
            "gen_ai.input.messages": ["Salainen"],
            "gen_ai.prompt": "Salainen",
            "user.name": "Liisa",
            "team.id": "a@b.example",
        }
        more = {"deployment.environment.name": "test", "cost_center": "1200", "valvomo.tag.project": "hours"}
        post(client, "traces", traces(span({**CHAT, **content}), **more))
        found = door.data()[0]
        assert found["consumer"]["tags"] == {"cost_center": "1200", "project": "hours", "service.name": "library"}
        assert found["environment"] == "test"
        assert not any(secret in record.value for record in door.records() for secret in (b"Salainen", b"Liisa", b"@"))

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"gen_ai.usage.input_tokens": -1}, "whole number"),
            ({"gen_ai.usage.input_tokens": 1.5}, "whole number"),
            ({"gen_ai.usage.input_tokens": "many"}, "whole number"),
            ({"gen_ai.usage.input_tokens": True}, "whole number"),
            ({"gen_ai.request.model": ""}, "without a model"),
        ],
        ids=["negative", "a fraction", "a text", "a boolean", "no model"],
    )
    def test_a_call_that_cannot_be_is_rejected_and_the_others_are_kept(
        self, client: TestClient, door: Door, changes: dict[str, object], reason: str
    ) -> None:
        answer = post(client, "traces", traces(span(CHAT, 1), span({**CHAT, **changes}, 2)))
        assert answer.status_code == 200
        partial = answer.json()["partialSuccess"]
        assert partial["rejectedSpans"] == "1"
        assert reason in partial["errorMessage"]
        assert len(door.data()) == 1

    def test_a_span_without_times_is_rejected(self, client: TestClient) -> None:
        answer = post(client, "traces", traces(span(CHAT, startTimeUnixNano="0")))
        assert "found no time" in answer.json()["partialSuccess"]["errorMessage"]

    def test_a_span_of_the_day_after_tomorrow_is_rejected(self, client: TestClient) -> None:
        ahead = str(START + 48 * 3600 * SECOND)
        answer = post(client, "traces", traces(span(CHAT, startTimeUnixNano=ahead, endTimeUnixNano=ahead)))
        assert "24 hours ahead" in answer.json()["partialSuccess"]["errorMessage"]

    def test_a_span_that_took_no_time_still_has_a_period(self, client: TestClient, door: Door) -> None:
        post(client, "traces", traces(span(CHAT, endTimeUnixNano=str(START))))
        assert door.data()[0]["charge_period_end"] == "2026-11-22T10:40:00.000001Z"


@pytest.mark.parametrize(
    ("tokens", "meters"),
    [
        pytest.param(Tokens(100, 5), {"input_tokens": "100", "output_tokens": "5"}, id="plain"),
        pytest.param(Tokens(0, None), {"input_tokens": "0"}, id="nothing used is told, nothing told is left out"),
        pytest.param(
            Tokens(100, 5, 60, 40),
            {"input_tokens": "0", "output_tokens": "5", "cache_read_tokens": "60", "cache_write_5m_tokens": "40"},
            id="all cached",
        ),
        pytest.param(
            Tokens(10, 5, 60),
            {"input_tokens": "10", "output_tokens": "5", "cache_read_tokens": "60"},
            id="more cached than input: the input left it out",
        ),
        pytest.param(
            Tokens(100, 5, 60, input_includes_cached=False),
            {"input_tokens": "100", "output_tokens": "5", "cache_read_tokens": "60"},
            id="the vendor leaves it out",
        ),
    ],
)
def test_every_token_is_in_one_meter(tokens: Tokens, meters: dict[str, str]) -> None:
    assert tokens.meters() == meters


class TestLogs:
    def test_a_request_of_claude_code(self, client: TestClient, door: Door) -> None:
        post(client, "logs", logs(API_REQUEST))
        [found] = door.data()
        assert found["consumed"] == {"input_tokens": "1840", "output_tokens": "912"}
        assert found["reported_cost"] == {"amount": "0.075605", "currency": "USD"}
        assert (found["finality"], found["purpose"]) == ("estimate", "telemetry")
        assert (found["charge_period_start"], found["charge_period_end"]) == (
            "2026-11-22T10:39:59.500000Z",
            "2026-11-22T10:40:00Z",
        )

    def test_a_cost_that_is_only_a_float_is_no_cost(self, client: TestClient, door: Door) -> None:
        post(client, "logs", logs({name: found for name, found in API_REQUEST.items() if name != "cost_usd_micros"}))
        assert door.data()[0]["reported_cost"] is None

    def test_another_programs_api_request_is_let_go(self, client: TestClient, door: Door) -> None:
        assert post(client, "logs", logs(API_REQUEST, service="shop")).json() == {}
        assert door.records() == []

    @pytest.mark.parametrize("lacking", ["model", "request_id", "input_tokens"])
    def test_a_request_that_lacks_something_is_rejected(self, client: TestClient, door: Door, lacking: str) -> None:
        attributes = {name: found for name, found in API_REQUEST.items() if name not in {lacking, "output_tokens"}}
        answer = post(client, "logs", logs(attributes))
        assert answer.json()["partialSuccess"]["rejectedLogRecords"] == "1"
        assert lacking in answer.json()["partialSuccess"]["errorMessage"]
        assert door.records() == []

    def test_a_duration_that_cannot_be_is_rejected(self, client: TestClient, door: Door) -> None:
        answer = post(client, "logs", logs({**API_REQUEST, "duration_ms": 2**63 - 1}))
        assert "duration_ms" in answer.json()["partialSuccess"]["errorMessage"]
        assert door.records() == []

    def test_a_session_and_its_sequence_name_a_request_of_an_older_version(
        self, client: TestClient, door: Door
    ) -> None:
        old = {name: found for name, found in API_REQUEST.items() if name != "request_id"} | {"session.id": "s"}
        post(client, "logs", logs({**old, "event.sequence": 1}, {**old, "event.sequence": 2}))
        assert len({reading["reading_id"] for reading in door.data()}) == 2

    @pytest.mark.parametrize(("label", "decision"), [("pass", "approved"), ("fail", "rejected"), ("edited", "edited")])
    def test_a_persons_evaluation_is_a_review(self, client: TestClient, door: Door, label: str, decision: str) -> None:
        post(
            client,
            "logs",
            logs({**PERSON_REVIEW, "gen_ai.evaluation.score.label": label}, eventName="gen_ai.evaluation.result"),
        )
        [review] = door.data(REVIEW)
        assert (review["output_id"], review["decision"]) == ("msg_1", decision)
        assert review["reviewer"] == pseudonym("liisa@kaupunki.example")

    @pytest.mark.parametrize(
        ("name", "label", "decision"),
        [
            pytest.param("Relevance", "relevant", "abstained", id="a score is no decision"),
            pytest.param("Groundedness", "pass", "approved", id="a model says pass"),
            pytest.param("human_review", "fail", "rejected", id="called a person's, and nobody is named"),
        ],
    )
    def test_a_models_evaluation_is_a_check_and_no_review(
        self, client: TestClient, door: Door, name: str, label: str, decision: str
    ) -> None:
        said = {"gen_ai.evaluation.name": name, "gen_ai.evaluation.score.label": label, "gen_ai.response.id": "msg_1"}
        post(client, "logs", logs(said, eventName="gen_ai.evaluation.result"))
        [check] = door.data(REVIEW)
        assert (check["decided_by"], check["evidence"], check["reviewer"]) == ("model", "none", None)
        assert (check["output_id"], check["decision"]) == ("msg_1", decision)

    def test_checks_of_one_moment_are_told_apart(self, client: TestClient, door: Door) -> None:
        checks = [{"gen_ai.evaluation.name": name, "gen_ai.response.id": "msg_1"} for name in ("Relevance", "Fluency")]
        post(client, "logs", logs(*checks, eventName="gen_ai.evaluation.result"))
        assert len({check["review_id"] for check in door.data(REVIEW)}) == 2

    @pytest.mark.parametrize(
        "change",
        [
            pytest.param({"gen_ai.evaluation.name": "Relevance"}, id="a person's score"),
            pytest.param({"valvomo.reviewer": "", "gen_ai.response.id": ""}, id="a check of nothing"),
        ],
    )
    def test_what_decides_nothing_is_let_go(self, client: TestClient, door: Door, change: dict[str, str]) -> None:
        answer = post(client, "logs", logs({**PERSON_REVIEW, **change}, eventName="gen_ai.evaluation.result"))
        assert answer.json() == {}
        assert door.records() == []

    def test_a_review_says_whose_output_it_is_of_where_it_can(self, client: TestClient, door: Door) -> None:
        """Who reviews is another program than who made the output: its name is no system."""
        named = {**PERSON_REVIEW, "valvomo.system": "library-chatbot", "gen_ai.response.id": "msg_2"}
        post(client, "logs", logs(PERSON_REVIEW, named, eventName="gen_ai.evaluation.result"))
        assert {found["output_id"]: found["system"] for found in door.data(REVIEW)} == {
            "msg_1": None,
            "msg_2": "library-chatbot",
        }

    @pytest.mark.parametrize(
        ("decision", "source", "verdict"),
        [
            ("accept", "user_temporary", ("approved", "thumb", "person")),
            ("accept", "user_permanent", ("approved", "thumb", "person")),
            ("reject", "user_reject", ("rejected", "thumb", "person")),
            ("reject", "user_abort", ("abstained", "none", "person")),
            ("accept", "config", ("approved", "none", "timer")),
            ("accept", "hook", ("approved", "none", "timer")),
            ("reject", "hook", ("rejected", "none", "timer")),
            pytest.param("accept", "someday", ("approved", "none", "timer"), id="not said to be a person"),
        ],
    )
    def test_who_let_claude_code_change_a_file(
        self, client: TestClient, door: Door, decision: str, source: str, verdict: tuple[str, str, str]
    ) -> None:
        post(client, "logs", logs({**TOOL_DECISION, "decision": decision, "source": source}))
        [review] = door.data(REVIEW)
        assert (review["decision"], review["evidence"], review["decided_by"]) == verdict
        assert (review["reviewer"] is not None) == (verdict[2] == "person")
        [change] = door.data(OUTPUT)
        assert (change["output_id"], change["step"], change["feature"]) == ("toolu_1", True, "Edit")
        assert review["output_id"] == "toolu_1"

    @pytest.mark.parametrize(
        "change",
        [
            pytest.param({"tool_name": "Read"}, id="it only read"),
            pytest.param({"tool_name": "Bash"}, id="it ran a command"),
            pytest.param({"tool_use_id": ""}, id="no id names the change"),
            pytest.param({"event.name": "tool_result", "decision_source": "config"}, id="the result of a decision"),
        ],
    )
    def test_no_change_no_output(self, client: TestClient, door: Door, change: dict[str, str]) -> None:
        assert post(client, "logs", logs({**TOOL_DECISION, **change})).json() == {}
        assert door.records() == []

    def test_a_decision_that_is_none_leaves_the_change_unreviewed(self, client: TestClient, door: Door) -> None:
        post(client, "logs", logs({**TOOL_DECISION, "decision": "", "source": "config"}))
        assert [event.type for event in door.events()] == [OUTPUT]

    def test_a_review_of_nothing_is_rejected(self, client: TestClient) -> None:
        nothing = {name: found for name, found in PERSON_REVIEW.items() if name != "gen_ai.response.id"}
        answer = post(client, "logs", logs(nothing, eventName="gen_ai.evaluation.result"))
        assert "gen_ai.response.id" in answer.json()["partialSuccess"]["errorMessage"]


class TestMetrics:
    def test_delta_points_of_one_interval_are_one_reading(self, client: TestClient, door: Door) -> None:
        kinds = {"input": 10, "output": 2.0, "cacheRead": 7, "cacheCreation": 1, "of-next-year": 5}
        post(client, "metrics", metrics(*(point(number, {"type": kind}) for kind, number in kinds.items())))
        [found] = door.data()
        assert found["consumed"] == {
            "input_tokens": "10",
            "output_tokens": "2",
            "cache_read_tokens": "7",
            "cache_write_5m_tokens": "1",
        }
        assert (found["purpose"], found["revision"]) == ("telemetry", 0)

    def test_metrics_never_share_a_source_with_spans_and_logs(self, client: TestClient, door: Door) -> None:
        post(client, "logs", logs(API_REQUEST, service="claude-code"))
        post(client, "metrics", metrics(point(1840, {"type": "input"})))
        assert {event.source for event in door.events()} == {"otlp/claude-code", "otlp-metrics/library"}

    def test_a_cumulative_series_is_one_reading_that_grows(self, client: TestClient, door: Door) -> None:
        for seconds, number in ((60, 100), (120, 250), (120, 250)):
            post(client, "metrics", metrics(point(number, {"type": "input"}, seconds), temporality=2))
        found = [(one["reading_id"], one["revision"], one["consumed"]["input_tokens"]) for one in door.data()]
        assert len({reading_id for reading_id, _, _ in found}) == 1
        assert [(revision, number) for _, revision, number in found] == [(60, "100"), (120, "250"), (120, "250")]
        assert len({record.value for record in door.records()}) == 2

    def test_the_old_histogram_counts_where_it_is_alone(self, client: TestClient, door: Door) -> None:
        one = point(0, {"gen_ai.token.type": "output"}) | {"count": "3", "sum": 42.0}
        del one["asInt"]
        post(client, "metrics", metrics(one, name="gen_ai.client.token.usage", kind="histogram"))
        assert door.data()[0]["consumed"] == {"output_tokens": "42"}

    def test_other_metrics_are_let_go(self, client: TestClient, door: Door) -> None:
        assert post(client, "metrics", metrics(point(3, {}), name="claude_code.commit.count")).json() == {}
        assert post(client, "metrics", metrics(point(3, {}), name="http.server.duration")).json() == {}
        assert door.records() == []

    @pytest.mark.parametrize("number", [-1, 1.5, "NaN", "Infinity", 1e300], ids=str)
    def test_a_count_that_cannot_be_rejects_its_points(self, client: TestClient, door: Door, number: object) -> None:
        answer = post(client, "metrics", metrics(point(5, {"type": "input"}), point(number, {"type": "output"})))
        assert answer.json()["partialSuccess"]["rejectedDataPoints"] == "2"
        assert door.records() == []


class TestWhoMay:
    def client(self, door: Door, **rights: object) -> TestClient:
        app = door.app(scopes=["otlp"], **rights)
        return TestClient(app, base_url="https://valvomo.example", headers={"Authorization": f"Bearer {SECRET}"})

    @pytest.mark.parametrize("purpose", ["telemetry", "attribution", "billing"])
    def test_the_token_says_what_readings_are_for(self, door: Door, purpose: str) -> None:
        client = self.client(door, systems=["library-chatbot"], sources=["otlp/*"], otlp_purpose=purpose)
        post(client, "traces", traces(span(CHAT)))
        [found] = door.data()
        assert (found["system"], found["purpose"]) == ("library-chatbot", purpose)

    def test_metrics_are_never_for_billing(self, door: Door) -> None:
        client = self.client(door, systems=["library-chatbot"], sources=["*"], otlp_purpose="billing")
        post(client, "metrics", metrics(point(5, {"type": "input"})))
        assert door.data()[0]["purpose"] == "telemetry"

    def test_another_system_is_rejected(self, door: Door) -> None:
        client = self.client(door, systems=["library-chatbot"], sources=["*"])
        answer = post(client, "traces", traces(span({**CHAT, "valvomo.system": "payroll"})))
        assert "data.system" in answer.json()["partialSuccess"]["errorMessage"]
        assert door.records() == []


class TestAnswers:
    @pytest.mark.parametrize("body", [b"\xff\xff\xff", b"plain text"], ids=["bytes", "text"])
    @pytest.mark.parametrize("signal", ["traces", "metrics", "logs"])
    def test_what_is_no_protobuf_is_400_with_a_status(self, client: TestClient, signal: Signal, body: bytes) -> None:
        answer = client.post(f"/v1/otlp/v1/{signal}", content=body, headers={"Content-Type": PROTOBUF})
        assert (answer.status_code, answer.headers["content-type"]) == (400, PROTOBUF)
        assert answer.content[:1] == b"\x12"  # field 2 of google.rpc.Status: the message
        assert b"no OTLP" in answer.content

    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            (b'{"resourceSpans": [', "not JSON"),
            (b"[]", "one object"),
            (b'{"resourceSpans": 5}', "no OTLP traces request"),
            (b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "xyz"}]}]}]}', "hex"),
            (b'{"resourceSpans": ' + b"[" * 5_000, "nested too deeply"),
            (rb'{"resourceSpans": ["\ud800"]}', "no OTLP traces request"),
        ],
        ids=["truncated", "a list", "a number", "an id that is not hex", "nested deeply", "half a character"],
    )
    def test_what_is_no_json_is_400_with_a_message(self, client: TestClient, body: bytes, reason: str) -> None:
        answer = client.post("/v1/otlp/v1/traces", content=body, headers={"Content-Type": JSON})
        assert (answer.status_code, answer.headers["content-type"]) == (400, JSON)
        assert reason in answer.json()["message"]

    @pytest.mark.parametrize("kind", ["text/plain", "application/grpc", ""])
    def test_other_media_types_are_415(self, client: TestClient, kind: str) -> None:
        answer = client.post("/v1/otlp/v1/traces", content=b"", headers={"Content-Type": kind})
        assert answer.status_code == 415
        assert PROTOBUF in answer.headers["accept"]

    def test_other_compressions_are_415(self, client: TestClient) -> None:
        assert post(client, "traces", {}, **{"Content-Encoding": "zstd"}).status_code == 415

    def test_a_gzip_bomb_is_413(self, client: TestClient) -> None:
        body = gzip.compress(b" " * 20_000_000)
        headers = {"Content-Type": JSON, "Content-Encoding": "gzip"}
        assert client.post("/v1/otlp/v1/traces", content=body, headers=headers).status_code == 413

    def test_there_are_three_signals(self, client: TestClient) -> None:
        assert post(client, "profiles", {}).status_code == 422  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("signal", "answer"),
        [
            ("traces", ExportTraceServiceResponse),
            ("metrics", ExportMetricsServiceResponse),
            ("logs", ExportLogsServiceResponse),
        ],
    )
    def test_an_empty_request_is_a_success(self, client: TestClient, signal: Signal, answer: Callable[[], Any]) -> None:
        found = client.post(f"/v1/otlp/v1/{signal}", content=b"", headers={"Content-Type": PROTOBUF})
        assert (found.status_code, found.content) == (200, answer().SerializeToString())

    def test_a_rejection_in_protobuf_can_be_read(self, door: Door) -> None:
        body = decode("traces", JSON, json.dumps(traces(span({**CHAT, "gen_ai.request.model": ""}))).encode())
        answer = receive("traces", PROTOBUF, body.SerializeToString(), ANYBODY, door.intake)
        told = ExportTraceServiceResponse.FromString(answer.body)
        assert told.partial_success.rejected_spans == 1
        assert "without a model" in told.partial_success.error_message

    def test_a_bus_that_is_away_is_503_for_the_exporter_to_try_again(self) -> None:
        class AwayBus(MemoryBus):
            def publish(self, messages: Sequence[Message]) -> Sequence[Record]:
                raise TransientError("the bus is away", retry_after_seconds=7)

        with TestClient(Door(AwayBus(SteppedClock(NOW))).app(), base_url="http://127.0.0.1") as client:
            answer = post(client, "traces", traces(span(CHAT)))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")
        assert "the bus is away" in answer.json()["message"]


@given(st.binary(max_size=300), st.sampled_from(["traces", "metrics", "logs"]), st.sampled_from([JSON, PROTOBUF]))
def test_whatever_bytes_come_they_are_read_or_refused(body: bytes, signal: Signal, kind: str) -> None:
    with suppress(InvalidEventError):
        receive(signal, kind, body, ANYBODY, Door().intake)


def test_ids_in_json_are_hex() -> None:
    request = decode("traces", JSON, json.dumps(traces(span(CHAT, 0xABCDEF))).encode())
    assert isinstance(request, ExportTraceServiceRequest)
    found = request.resource_spans[0].scope_spans[0].spans[0]
    assert (len(found.trace_id), found.span_id.hex()) == (16, "0000000000abcdef")


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_the_sdks_exporter_delivers(door: Door, compression: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", compression)
    provider = TracerProvider(
        resource=Resource.create({"service.name": "kirjasto-chatbot", "org.unit": "KASKU-KIRJASTO"})
    )
    with Server(door.app()) as base:
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{base}/v1/otlp/v1/traces")))
        for number in range(20):
            with provider.get_tracer("kaupunki").start_as_current_span("chat") as made:
                made.set_attributes(
                    {**CHAT, "gen_ai.response.id": f"msg_{number}", "gen_ai.input.messages": "Salainen"}
                )
        assert provider.force_flush(30_000)
        provider.shutdown()
    assert {reading["consumed"]["input_tokens"] for reading in door.data()} == {"10"}
    assert sorted(output["output_id"] for output in door.data(OUTPUT)) == sorted(
        f"msg_{number}" for number in range(20)
    )
    assert door.data()[0]["consumer"]["tags"]["org.unit"] == "KASKU-KIRJASTO"
    assert not any(b"Salainen" in record.value for record in door.records())


def test_curl_delivers(door: Door, tmp_path: Path) -> None:
    file = tmp_path / "traces.json.gz"
    file.write_bytes(gzip.compress(json.dumps(traces(span(CHAT))).encode()))
    with Server(door.app()) as base:
        command = ["curl", "--silent", "--show-error", "--noproxy", "*", "--data-binary", f"@{file}"]
        command += [
            "--header",
            f"Content-Type: {JSON}",
            "--header",
            "Content-Encoding: gzip",
            f"{base}/v1/otlp/v1/traces",
        ]
        assert subprocess.run(command, capture_output=True, check=True, timeout=30).stdout == b"{}"
    assert len(door.data()) == 1
