"""The simulated ServiceNow instance, asked by the real sources and by hand."""

import json
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from services.shared.events.governance import Output, Review
from services.shared.events.usage import Reading
from services.simulator.assists import PENDING_FOR, AssistUse
from services.simulator.rhythm import DAY
from services.simulator.vendors.servicenow import CLIENT_ID, CLIENT_SECRET, TOKEN
from services.usage_collector.source import Source, VendorFact
from services.usage_collector.sources.servicenow import ServiceNowReviews, ServiceNowUsage
from tests.unit.simulator.asking import NOW, TODAY, Fetching, example, stories, vendors, who

USAGE, LOG, USER = (f"/api/now/table/{name}" for name in ("sys_gen_ai_usage_log", "sys_generative_ai_log", "sys_user"))
WEEK = "sys_created_on>=2026-11-09 00:00:00^sys_created_on<2026-11-16 00:00:00^ORDERBYsys_created_on^ORDERBYsys_id"


def read_all(source: Source, fetching: Fetching) -> list[VendorFact]:
    facts: list[VendorFact] = []
    more, cursor = True, dict[str, Any]()
    while more:
        page = source.poll(fetching, cursor, fetching.now)
        facts, more, cursor = [*facts, *page.facts], page.more, dict(page.cursor)
    return facts


def usage(fetching: Fetching) -> list[Reading]:
    return [
        fact for fact in read_all(ServiceNowUsage(who, environment="production"), fetching) if isinstance(fact, Reading)
    ]


def test_the_real_source_reads_the_assists_of_all_days() -> None:
    readings = usage(Fetching(stories()))
    assert len({reading.reading_id for reading in readings}) == len(readings) > 3000
    assert readings == sorted(readings, key=lambda reading: reading.charge_period_start)
    assert min(reading.charge_period_start for reading in readings).date() == stories().first_day
    assert {reading.finality for reading in readings} == {"final"}


def test_assists_rise_until_a_pool_runs_dry() -> None:
    drawn = dict.fromkeys((8, 11), 0)
    for reading in usage(Fetching(stories())):
        month = reading.charge_period_start.month
        if month in drawn and reading.charge_period_start.day <= 21:
            drawn[month] += int(reading.consumed["assists"])
    assert drawn[11] > 1.15 * drawn[8]


def test_technical_users_and_tests_are_told_apart() -> None:
    readings = usage(Fetching(stories()))
    technical = "p-" + example().vendors.servicenow.technical_user.sys_id
    assert 0 < sum(reading.consumer.person == technical for reading in readings) < len(readings) / 4
    assert {reading.environment for reading in readings} == {"production", "test"}


def test_kept_texts_belong_to_a_use_and_most_are_judged() -> None:
    fetching = Fetching(stories())
    facts = read_all(ServiceNowReviews(environment="production"), fetching)
    outputs = [fact for fact in facts if isinstance(fact, Output)]
    reviews = [fact for fact in facts if isinstance(fact, Review)]
    assert {output.reading_id for output in outputs} <= {reading.reading_id for reading in usage(fetching)}
    assert min(output.generated_at for output in outputs).date() >= stories().texts_kept_from
    assert 0.5 * len(outputs) < len(reviews) < len(outputs)
    assert {review.decision for review in reviews} >= {"approved", "edited", "rejected"}


@pytest.mark.parametrize("size", [1, 10, 10_000])
def test_pages_of_any_size_hold_the_same_rows(size: int) -> None:
    fetching = Fetching(stories())
    whole = _rows(fetching, USAGE, sysparm_query=WEEK)
    found: list[dict[str, str]] = []
    for offset in range(0, len(whole), size):
        found += _rows(fetching, USAGE, sysparm_query=WEEK, sysparm_limit=str(size), sysparm_offset=str(offset))
    assert found == whole
    assert whole == sorted(whole, key=lambda row: (row["sys_created_on"], row["sys_id"]))


def test_windows_cut_nothing_and_repeat_nothing() -> None:
    fetching = Fetching(stories())
    days = [
        row
        for day in range(9, 16)
        for row in _rows(
            fetching,
            USAGE,
            sysparm_query=f"sys_created_on>=2026-11-{day:02d} 00:00:00^sys_created_on<2026-11-{day + 1:02d} 00:00:00",
        )
    ]
    assert sorted(row["sys_id"] for row in days) == sorted(
        row["sys_id"] for row in _rows(fetching, USAGE, sysparm_query=WEEK)
    )


def test_what_is_not_known_is_passed_over_in_silence() -> None:
    fetching = Fetching(stories())
    whole = _rows(fetching, USAGE, sysparm_query=WEEK, sysparm_fields="sys_id")
    assert _rows(fetching, USAGE, sysparm_query=f"weather=rain^{WEEK}", sysparm_fields="sys_id,weather") == whole


@pytest.mark.parametrize(
    "clause", ["assists=25", "assists>1", "status=completed", "sys_created_on<=2026-11-10 10:00:00"]
)
def test_what_is_known_is_filtered(clause: str) -> None:
    fetching = Fetching(stories())
    found = _rows(fetching, USAGE, sysparm_query=f"{WEEK}^{clause}")
    field, value = next(
        (row, clause[len(row) :].lstrip("<>="))
        for row in ("assists", "status", "sys_created_on")
        if clause.startswith(row)
    )
    whole = _rows(fetching, USAGE, sysparm_query=WEEK)
    expected = {"=": str.__eq__, ">": str.__gt__, "<=": str.__le__}[clause[len(field) : -len(value)]]
    assert found == [row for row in whole if expected(row[field], value)]
    assert found


def test_a_fresh_row_is_pending_and_its_verdict_comes_later() -> None:
    told = stories()
    assists = AssistUse(example(), told)
    live = [assists.add(step, NOW) for step in range(60)]
    judged = next(one for one in live if one.feedback)
    fetching = Fetching(told, vendors=vendors(told, assists), now=NOW + timedelta(seconds=1))
    later = fetching.at(NOW + timedelta(hours=2))
    assert _row(fetching, USAGE, judged.sys_id)["status"] == "pending"
    assert _row(fetching.at(NOW + PENDING_FOR), USAGE, judged.sys_id)["status"] == "completed"
    assert _row(fetching, LOG, judged.log_id)["feedback"] == ""
    assert _row(later, LOG, judged.log_id)["feedback"] == judged.feedback


def test_a_row_is_not_seen_before_it_is_made() -> None:
    told = stories()
    assists = AssistUse(example(), told)
    assists.add(1, NOW)
    fetching = Fetching(told, vendors=vendors(told, assists), now=NOW)
    query = {"sysparm_query": f"sys_created_on>={TODAY} 00:00:00"}
    assert _rows(fetching, USAGE, **query) == []
    assert len(_rows(fetching.at(NOW + timedelta(seconds=1)), USAGE, **query)) == 1


def test_users_have_units_and_no_names() -> None:
    rows = _rows(Fetching(stories()), USER)
    assert len(rows) == len(example().other_ids) + 1
    assert all(row["user_name"].endswith(("@kaupunki.example", "integration.user")) for row in rows)
    assert {row["department"] for row in rows} == {"tietohallinto", ""}


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        pytest.param(USAGE, {"authorization": "Bearer another"}, 401, id="another token"),
        pytest.param("/api/now/table/incident", {}, 400, id="another table"),
    ],
)
def test_what_the_instance_refuses(path: str, headers: dict[str, str], status: int) -> None:
    reply = Fetching(stories()).ask("GET", path, [], headers)
    assert reply.status == status
    assert json.loads(reply.body)["status"] == "failure"


def test_the_token_service_wants_the_right_secret() -> None:
    form = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    given = Fetching(stories()).post("/oauth_token.do", urlencode(form).encode())
    assert json.loads(given.body)["access_token"] == TOKEN
    wrong = urlencode(form | {"client_secret": "another"}).encode()
    assert Fetching(stories()).ask("POST", "/oauth_token.do", body=wrong).status == 401


def test_any_day_can_be_asked_alone() -> None:
    def of(day: datetime, use: AssistUse) -> list[Any]:
        return list(use.between(day, day + DAY))

    start = datetime.combine(stories().first_day, datetime.min.time(), NOW.tzinfo)
    together = AssistUse(example(), stories())
    for number in range(0, 120, 17):
        day = start + number * DAY
        assert of(day, together) == of(day, AssistUse(example(), stories()))


def _rows(fetching: Fetching, path: str, **question: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(fetching.get(path, list(question.items())).body)["result"]
    return found


def _row(fetching: Fetching, path: str, sys_id: str) -> dict[str, str]:
    return next(row for row in _rows(fetching, path, sysparm_query=f"sys_id={sys_id}"))
