"""The traps of ServiceNow: numbers as text, filters passed over, growing tables, no access without a word."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from services.shared.errors import SourceChangedError, SourceRejectedError
from services.shared.events.governance import Output, Review
from services.shared.events.usage import Reading
from services.usage_collector.source import Cursor, Page
from services.usage_collector.sources.servicenow import LIMIT, LogRow, ServiceNowReviews, ServiceNowUsage, verdict_of
from tests.unit.usage_collector.sources.fake import FakeFetch, Json, nobody, numbered

PAYLOADS = Path(__file__).parents[3] / "golden/sources/payloads"
UNTIL = datetime(2026, 10, 1, 12, 0, 30, tzinfo=UTC)
CURSOR: Cursor = {"at": "2026-10-01T00:00:00Z", "next": "2026-10-01T00:00:00Z", "seen": True}


def recorded(name: str) -> Json:
    return json.loads((PAYLOADS / f"{name}.json").read_text())


USAGE = recorded("sys_gen_ai_usage_log.page1")["result"]
LOG = recorded("sys_generative_ai_log.review")["result"]


def usage(rows: list[Json], cursor: Cursor = CURSOR) -> Page:
    fetch = FakeFetch(lambda _path, _query: {"result": rows})
    return ServiceNowUsage(numbered, environment="test").poll(fetch, cursor, UNTIL)


def reviews(rows: list[Json], cursor: Cursor = CURSOR) -> Page:
    fetch = FakeFetch(lambda _path, _query: {"result": rows})
    return ServiceNowReviews(environment="production").poll(fetch, cursor, UNTIL)


def reading(**change: Json) -> Reading:
    (found,) = usage([USAGE[0] | change]).facts
    assert isinstance(found, Reading)
    return found


@pytest.mark.parametrize(
    ("assists", "trial", "billed"), [("25", "0", 25), ("25", "5", 20), (25, 5, 20), ("0", "0", 0), ("1", "2", 0)]
)
def test_trial_assists_are_not_billed(assists: Json, trial: Json, billed: int) -> None:
    assert reading(assists=assists, trial_assists=trial).consumed == {"assists": billed}


@pytest.mark.parametrize(
    ("status", "finality"),
    [
        ("completed", "final"),
        ("Success", "final"),
        ("Pending", "estimate"),
        ("weighed", "provisional"),
        ("", "provisional"),
    ],
)
def test_unknown_states_are_taken_and_never_final(status: str, finality: str) -> None:
    assert reading(status=status).finality == finality


@pytest.mark.parametrize(("kind", "environment"), [("", "test"), ("Evaluation", "evaluation"), ("Test", "test")])
def test_tests_and_evaluations_are_told_apart_and_paid(kind: str, environment: str) -> None:
    found = reading(execution_type=kind)
    assert (found.environment, found.purpose) == (environment, "billing")


def test_use_by_the_system_itself_has_no_person() -> None:
    assert reading(user="").consumer.person is None


@pytest.mark.parametrize(
    "change",
    [
        {"assists": "1.5"}, {"assists": "-1"}, {"assists": "1,000"}, {"assists": ""}, {"sys_id": "x"},
        {"sys_created_on": "2026-10-01T06:14:03Z"}, {"sys_created_on": None}, {"user": None},
    ],
)  # fmt: skip
def test_a_row_of_another_shape(change: Json) -> None:
    with pytest.raises(ValidationError):
        reading(**change)


def test_a_column_that_was_asked_for_and_did_not_come() -> None:
    row = {name: value for name, value in USAGE[0].items() if name != "trial_assists"}
    with pytest.raises(ValidationError, match="trial_assists"):
        usage([row])


def test_a_filter_that_is_passed_over_gives_more_rows_and_is_noticed() -> None:
    with pytest.raises(SourceChangedError, match="outside the time"):
        usage([*USAGE, USAGE[0] | {"sys_id": "f" * 32, "sys_created_on": "2026-09-30 23:59:59"}])


@pytest.mark.parametrize("document", [{"error": {}}, [], {"result": {}}, "no", None])
def test_an_answer_without_rows(document: Json) -> None:
    fetch = FakeFetch(lambda _path, _query: document)
    with pytest.raises(SourceChangedError, match="no list under `result`"):
        ServiceNowUsage(nobody, environment="test").poll(fetch, CURSOR, UNTIL)


def test_no_access_is_not_no_use() -> None:
    with pytest.raises(SourceRejectedError, match="Give the collector a role"):
        usage([], {"next": "2026-10-01T00:00:00Z"})


def test_no_use_yet_is_told_when_older_rows_can_be_seen() -> None:
    def answer(_path: str, query: dict[str, str]) -> Json:
        return {"result": [] if "sysparm_query" in query else USAGE[:1]}

    page = ServiceNowUsage(nobody, environment="test").poll(FakeFetch(answer), {"next": "2026-10-01T00:00:00Z"}, UNTIL)
    assert page.facts == []
    assert page.window is not None


def test_no_text_is_asked_for() -> None:
    fetch = FakeFetch(lambda _path, _query: {"result": LOG})
    ServiceNowReviews(environment="production").poll(fetch, CURSOR, UNTIL)
    fields = dict(fetch.asked[0][1])["sysparm_fields"].split(",")
    assert not {"prompt", "response", "edited_response", "untranslated_prompt"} & set(fields)


class Table:
    """A table as the Table API serves it: filtered by time, ordered, cut at the limit."""

    def __init__(self, rows: list[Json]) -> None:
        self.rows = sorted(rows, key=lambda row: (row["sys_created_on"], row["sys_id"]))

    def __call__(self, _path: str, query: dict[str, str]) -> Json:
        bounds = dict(part.replace(">=", "<").split("<")[::-1] for part in query["sysparm_query"].split("^")[:2])
        (start, end) = sorted(bounds)
        fits = [row for row in self.rows if start <= row["sys_created_on"] < end]
        offset = int(query["sysparm_offset"])
        return {"result": fits[offset : offset + int(query["sysparm_limit"])]}


@pytest.mark.parametrize(
    ("total", "per_second"),
    [(0, 1), (999, 1), (1000, 1), (1001, 1), (2500, 1), (2500, 7), (3500, 2500), (2000, 1000)],
)
def test_every_row_is_read_once_however_many_share_a_second(total: int, per_second: int) -> None:
    start = datetime(2026, 10, 1, tzinfo=UTC)
    rows = [
        USAGE[0]
        | {
            "sys_id": f"{number:032x}",
            "sys_created_on": (start + timedelta(seconds=number // per_second)).strftime("%Y-%m-%d %H:%M:%S"),
        }
        for number in range(total)
    ]
    fetch = FakeFetch(Table(rows))
    page = ServiceNowUsage(numbered, environment="test").poll(fetch, CURSOR, UNTIL)
    names = [fact.reading_id for fact in page.facts if isinstance(fact, Reading)]
    assert sorted(names) == sorted(f"sys_gen_ai_usage_log/{row['sys_id']}" for row in rows)
    assert len(fetch.asked) <= 2 + total // LIMIT * 2


def test_a_table_that_serves_the_same_page_again_is_noticed() -> None:
    rows = [USAGE[0] | {"sys_id": f"{number:032x}"} for number in range(LIMIT)]
    first, second = rows[0], rows[-1] | {"sys_created_on": "2026-10-01 07:00:00"}
    page = [first, *rows[1:-1], second]
    with pytest.raises(SourceChangedError, match="came back"):
        usage(page)


def log_row(**change: Json) -> LogRow:
    return LogRow.model_validate(LOG[1] | change)


@pytest.mark.parametrize(
    ("feedback", "did", "verdict"),
    [
        pytest.param("", "", None, id="nothing can be seen: nobody is said to have read it"),
        pytest.param("", "copied", None, id="copied is use, not review"),
        pytest.param("Accepted", "", ("approved", "explicit_accept"), id="accepted"),
        pytest.param("Accepted", "edited,copied", ("edited", "explicit_accept"), id="edited, then accepted"),
        pytest.param("", "copied, edited", ("edited", "edited"), id="edited without a word"),
        pytest.param("Ignored", "edited", ("edited", "edited"), id="the question ignored, the text edited"),
        pytest.param("Rejected", "edited", ("rejected", "explicit_accept"), id="edited, then rejected"),
        pytest.param("SlightlyPositive", "", ("approved", "thumb"), id="thumb up"),
        pytest.param("Slightly Negative", "", ("rejected", "thumb"), id="thumb down, written as a label"),
        pytest.param("LikelyPositive", "", ("approved", "thumb"), id="likely positive, and nobody says who said so"),
        pytest.param("Ignored", "", ("abstained", "none"), id="ignored"),
    ],
)
def test_evidence_is_graded(feedback: str, did: str, verdict: tuple[str, str] | None) -> None:
    assert verdict_of(log_row(feedback=feedback, additional_data=did)) == verdict


def test_what_the_vendor_does_not_tell_of_a_review_stays_unknown() -> None:
    [review] = [fact for fact in reviews([LOG[0]]).facts if isinstance(fact, Review)]
    assert (review.reviewer, review.opened_at, review.edited_content_hash) == (None, None, None)
    assert (review.decided_by, review.made_in, review.system) == ("person", "vendor", "servicenow-now-assist")


def test_an_unknown_feedback_waits_for_a_person() -> None:
    with pytest.raises(SourceChangedError, match="unknown choice"):
        verdict_of(log_row(feedback="Applauded"))


def test_an_error_is_no_output() -> None:
    assert reviews([LOG[0] | {"status": "Error"}]).facts == []


def test_another_verdict_is_another_review_of_the_same_output() -> None:
    changed = LOG[0] | {"feedback": "Rejected", "additional_data": "", "feedback_timestamp": "2026-10-01 09:00:00"}
    found = [*reviews([LOG[0]]).facts, *reviews([changed]).facts]
    assert len({fact.review_id for fact in found if isinstance(fact, Review)}) == 2
    assert len({fact.output_id for fact in found if isinstance(fact, Output)}) == 1


def test_an_output_names_the_reading_it_was_paid_by() -> None:
    output = next(fact for fact in reviews(LOG).facts if isinstance(fact, Output))
    paid = next(fact for fact in usage(USAGE).facts if isinstance(fact, Reading))
    assert output.reading_id == paid.reading_id
