"""OTLP requests, in JSON and in protobuf, and the events they make."""

import json
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from services.usage_collector.otlp.carriage import JSON, PROTOBUF, Signal, decode
from tests.unit.usage_collector.door import Door

FOLDER = Path(__file__).parent / "otlp"
REQUESTS = sorted(FOLDER.glob("*.request.json"))
SIGNALS: dict[str, Signal] = {"resourceSpans": "traces", "resourceLogs": "logs", "resourceMetrics": "metrics"}


def made_of(signal: Signal, kind: str, body: bytes) -> dict[str, object]:
    door = Door()
    with TestClient(door.app(), base_url="http://127.0.0.1") as client:
        answer = client.post(f"/v1/otlp/v1/{signal}", content=body, headers={"Content-Type": kind})
    told = answer.json() if kind == JSON else None
    events = sorted(
        (json.loads(record.value) for record in door.records()), key=lambda event: (event["time"], event["id"])
    )
    return {"status": answer.status_code, "answer": told, "events": events}


def test_there_are_requests_to_compare() -> None:
    assert {SIGNALS[next(iter(json.loads(file.read_bytes())))] for file in REQUESTS} == {"traces", "logs", "metrics"}


@pytest.mark.parametrize("file", REQUESTS, ids=lambda file: file.name.removesuffix(".request.json"))
def test_a_request_makes_these_events(file: Path, rewrite_golden: bool) -> None:
    body = file.read_bytes()
    signal = SIGNALS[next(iter(json.loads(body)))]
    expected = file.with_name(file.name.replace(".request.", ".events."))
    made = made_of(signal, JSON, body)
    if rewrite_golden:
        expected.write_text(json.dumps(made, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")
    assert made == json.loads(expected.read_bytes())
    binary = decode(signal, JSON, body).SerializeToString()
    assert made_of(signal, PROTOBUF, binary)["events"] == made["events"]


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.events.json")), ids=lambda file: file.name)
def test_no_person_and_no_text_gets_through(file: Path) -> None:
    text = file.read_text(encoding="utf-8").lower()
    for forbidden in (
        "aino",
        "eero",
        "liisa",
        "kaupunki.example",
        "redacted",
        "tarkistettu",
        "lomakenumero",
        "6284d7c9",
        "esitys",
    ):
        assert forbidden not in text
