"""Recorded answers of vendors become exactly the expected events (README.md beside this file)."""

import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from services.shared.events import decode, encode
from services.usage_collector.facts import event_of
from services.usage_collector.source import Answer, Identity, Query, Source, Who
from services.usage_collector.sources.anthropic import AnthropicSource
from services.usage_collector.sources.microsoft_copilot import MicrosoftCopilotSource
from services.usage_collector.sources.servicenow import ServiceNowReviews, ServiceNowUsage

HERE = Path(__file__).parent
CASES = sorted(path for path in (HERE / "cases").glob("*.json") if not path.stem.endswith(".expected"))
TOLD_AT = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Recorded:
    """A vendor that answers from files: each expected request once, by path and by what its query must contain."""

    def __init__(self, answers: list[Mapping[str, Any]]) -> None:
        self._answers = list(answers)

    def get(self, path: str, query: Query = (), headers: Mapping[str, str] | None = None) -> Answer:
        for answer in self._answers:
            wanted = {(name, value) for name, value in answer.get("query", [])}
            if answer["path"] == path and wanted <= set(query):
                self._answers.remove(answer)
                return Answer((HERE / "payloads" / answer["file"]).read_bytes())
        raise AssertionError(f"asked for {path} with {query}, which was not recorded")

    def post(self, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
        raise AssertionError("no source posts")

    def close(self) -> None:
        assert not self._answers, f"never asked for: {[answer['path'] for answer in self._answers]}"


def numbered(identities: Collection[Identity]) -> dict[Identity, str]:
    return {identity: f"p-{number:04d}" for number, identity in enumerate(sorted(identities), 1)}


def make_source(name: str, options: Mapping[str, Any], who: Who) -> Source:
    match name:
        case "anthropic":
            return AnthropicSource(who, **options)
        case "microsoft_copilot":
            return MicrosoftCopilotSource(who)
        case "servicenow":
            return ServiceNowUsage(who, **options)
        case "servicenow_reviews":
            return ServiceNowReviews(**options)
        case _:
            raise AssertionError(name)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_recorded_answer_becomes_the_expected_events(path: Path, rewrite_golden: bool) -> None:
    case = json.loads(path.read_text())
    source = make_source(case["source"], case.get("options", {}), numbered)
    fetch = Recorded(case["answers"])
    page = source.poll(fetch, case["cursor"], datetime.fromisoformat(case["until"]))
    fetch.close()
    events = [encode(event_of(fact, source.event_source, TOLD_AT)) for fact in page.facts]
    assert page.window is not None
    found: dict[str, Any] = {
        "window": [page.window.start.isoformat(), page.window.end.isoformat()],
        "cursor": dict(page.cursor),
        "more": page.more,
        "events": [json.loads(event) for event in events],
    }
    expected = path.with_suffix(".expected.json")
    if rewrite_golden:
        expected.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    assert found == json.loads(expected.read_text())
    assert [decode(event).id for event in events] == [event["id"] for event in found["events"]]


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_no_expected_event_names_a_person(path: Path) -> None:
    text = path.with_suffix(".expected.json").read_text().lower()
    for personal in ("esimerkki7", "aino", "eero", "liisa", "@", "virtanen", "11aa11aa", "user_01", "ihmisen"):
        assert personal not in text
