"""The simulated Graph, asked by the real source and by hand."""

import csv
import io
import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlencode

import pytest

from services.shared.errors import TransientError
from services.shared.events.usage import SeatCount, SeatHolding
from services.simulator.stories import Stories
from services.simulator.vendors.microsoft import CLIENT_ID, CLIENT_SECRET, SCOPE, TOKEN
from services.usage_collector.source import VendorFact
from services.usage_collector.sources.microsoft_copilot import MicrosoftCopilotSource
from tests.unit.simulator.asking import NOW, TODAY, Fetching, example, stories, who

USERS = "/v1.0/users"
SKU = "Microsoft_365_Copilot"
HOLDERS = [
    ("$filter", "assignedLicenses/any(x:x/skuId eq 639dec6b-bb19-468b-871c-c5c441c4b0cb)"),
    ("$count", "true"),
    ("$select", "id,userPrincipalName"),
]
EVENTUAL = {"ConsistencyLevel": "eventual"}
REPORT = "/v1.0/copilot/reports/getMicrosoft365CopilotUsageUserDetail(period='D28',version='v2')"
TOKENS = f"/{example().vendors.microsoft.tenant_id}/oauth2/v2.0/token"


def snapshot(told: Stories, now: datetime = NOW) -> Sequence[VendorFact]:
    return MicrosoftCopilotSource(who).poll(Fetching(told, now=now), {}, now).facts


def counted(facts: Sequence[VendorFact]) -> SeatCount:
    return next(fact for fact in facts if isinstance(fact, SeatCount) and fact.sku == SKU)


def held(facts: Sequence[VendorFact]) -> list[SeatHolding]:
    return [fact for fact in facts if isinstance(fact, SeatHolding) and fact.sku == SKU]


def test_the_real_source_finds_the_seats_of_today() -> None:
    facts = snapshot(stories())
    assert (counted(facts).purchased, counted(facts).assigned) == (500, 485)
    assert len({seat.person for seat in held(facts)}) == 485


def test_seats_by_the_year_have_holders_of_their_own() -> None:
    facts = snapshot(stories())
    [count] = [fact for fact in facts if isinstance(fact, SeatCount) and fact.sku != SKU]
    holders = [fact.person for fact in facts if isinstance(fact, SeatHolding) and fact.sku == count.sku]
    assert (count.purchased, count.assigned, len(holders)) == (30, 25, 25)
    assert not {seat.person for seat in held(facts)} & set(holders)


def test_the_library_gets_its_seats_while_we_watch() -> None:
    begin = datetime.combine(stories().library_seats_from, datetime.min.time(), UTC)
    before, after = snapshot(stories(), begin - timedelta(hours=1)), snapshot(stories(), begin + timedelta(hours=1))
    new = {seat.person for seat in held(after)} - {seat.person for seat in held(before)}
    assert new == {"p-" + person.partition("@")[0] for person in example().members("kirjasto", TODAY)}
    assert (counted(before).assigned, counted(after).assigned) == (425, 485)


@pytest.mark.parametrize("seed", range(5))
def test_about_every_seventh_seat_is_idle(seed: int) -> None:
    facts = snapshot(stories(seed=seed))
    idle = [seat for seat in held(facts) if not seat.last_active_on or seat.last_active_on < TODAY - timedelta(days=28)]
    assert 0.10 < len(idle) / 485 < 0.20
    assert any(seat.last_active_on for seat in idle)
    assert not all(seat.last_active_on for seat in idle)
    assert counted(facts).active is None  # the report does not say by which of the two SKUs


def test_nobody_was_active_before_their_seat_or_after_today() -> None:
    for seat in held(snapshot(stories())):
        assert seat.last_active_on is None or seat.assigned_on <= seat.last_active_on <= TODAY


def test_a_snapshot_of_the_next_day_tells_nothing_new_between_two_reports() -> None:
    first, second = (held(snapshot(stories(), datetime(2026, 11, day, 5, tzinfo=UTC))) for day in (3, 4))
    assert first == second


def test_during_the_outage_nobody_is_answered() -> None:
    out = datetime.combine(stories().outage[0], datetime.min.time(), UTC) + timedelta(hours=5)
    with pytest.raises(TransientError, match="503"):
        snapshot(stories(), out)


@pytest.mark.parametrize("top", ["1", "99", "485", "999"])
def test_pages_of_any_size_hold_everybody_once(top: str) -> None:
    fetching, found = Fetching(stories()), []
    link: str | None = f"{USERS}?{urlencode([*HOLDERS, ('$top', top)])}"
    headers = EVENTUAL
    while link is not None:
        document = json.loads(fetching.get(link, (), headers).body)
        found += [user["userPrincipalName"] for user in document["value"]]
        link, headers = document.get("@odata.nextLink"), {}
    assert found == list(example().people[:485])
    assert len(fetching.asked) >= 2


def test_only_what_is_selected_is_told() -> None:
    document = json.loads(Fetching(stories()).get(USERS, HOLDERS, EVENTUAL).body)
    assert {name for user in document["value"] for name in user} == {"id", "userPrincipalName"}


def test_the_report_names_nobody_real() -> None:
    rows = list(csv.DictReader(io.StringIO(Fetching(stories()).get(REPORT).body.decode("utf-8-sig"))))
    assert len(rows) == 485 + 25
    assert all(row["Display Name"].startswith("Person 0") for row in rows)
    assert all(row["User Principal Name"].endswith("@kaupunki.example") for row in rows)
    assert {date.fromisoformat(row["Report Refresh Date"]) for row in rows} == {date(2026, 11, 15)}


@pytest.mark.parametrize(
    ("path", "query", "headers", "status"),
    [
        pytest.param("/v1.0/subscribedSkus", [], {"authorization": "Bearer another"}, 401, id="another token"),
        pytest.param(USERS, HOLDERS, {}, 400, id="without ConsistencyLevel"),
        pytest.param(USERS, [], EVENTUAL, 400, id="everybody"),
        pytest.param(USERS, [*HOLDERS, ("$skiptoken", "bm9uZQ==")], EVENTUAL, 400, id="a token that was never given"),
        pytest.param(REPORT.replace("D28", "D30"), [], {}, 404, id="a period of version 1"),
    ],
)
def test_what_graph_refuses(path: str, query: list[tuple[str, str]], headers: dict[str, str], status: int) -> None:
    assert Fetching(stories()).ask("GET", path, query, headers).status == status


def test_the_token_service_wants_the_right_secret() -> None:
    form = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "scope": SCOPE}
    given = Fetching(stories()).post(TOKENS, urlencode(form).encode())
    assert json.loads(given.body)["access_token"] == TOKEN
    wrong = urlencode(form | {"client_secret": "another"}).encode()
    assert Fetching(stories()).ask("POST", TOKENS, body=wrong).status == 401
