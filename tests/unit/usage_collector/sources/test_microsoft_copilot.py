"""The traps of Microsoft Graph: bundles, concealed names, paging links, empty dates, the present only."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from services.shared.errors import SourceChangedError
from services.shared.events.usage import SeatCount, SeatHolding
from services.usage_collector.source import Page
from services.usage_collector.sources.microsoft_copilot import MicrosoftCopilotSource, activity_of
from tests.unit.usage_collector.sources.fake import FakeFetch, Json, numbered

PAYLOADS = Path(__file__).parents[3] / "golden/sources/payloads"
UNTIL = datetime(2026, 10, 29, 6, tzinfo=UTC)
REPORT = (PAYLOADS / "01_copilot_usage_user_detail_v2.csv").read_bytes()


def recorded(name: str) -> Json:
    return json.loads((PAYLOADS / f"{name}.json").read_text())


def snapshot(skus: Json = None, users: Json = None, report: bytes = REPORT) -> Page:
    found = {"skus": skus or recorded("04_subscribed_skus"), "users": users or recorded("04_users_licences_org")}

    def answer(path: str, _query: dict[str, str]) -> Json:
        if "reports" in path:
            return report
        return found["skus"] if path.endswith("subscribedSkus") else found["users"]

    return MicrosoftCopilotSource(numbered).poll(FakeFetch(answer), {}, UNTIL)


def counts(page: Page) -> list[SeatCount]:
    return [fact for fact in page.facts if isinstance(fact, SeatCount)]


def seats(page: Page) -> list[SeatHolding]:
    return [fact for fact in page.facts if isinstance(fact, SeatHolding)]


def test_seats_bought_include_those_in_their_period_of_grace() -> None:
    skus = recorded("04_subscribed_skus")
    skus["value"][0]["prepaidUnits"] |= {"enabled": 400, "warning": 90, "suspended": 7}
    (count,) = counts(snapshot(skus))
    assert (count.purchased, count.assigned, count.active) == (490, 482, 9)


def test_copilot_inside_a_bundle_is_found_by_its_plan() -> None:
    skus = recorded("04_subscribed_skus")
    bundle = skus["value"][1]
    bundle["servicePlans"].append(skus["value"][0]["servicePlans"][1])
    page = snapshot(skus)
    assert [count.sku for count in counts(page)] == ["Microsoft_365_Copilot", "SPE_E3"]
    assert [count.active for count in counts(page)] == [None, None], "the report does not say by which SKU"
    assert len(seats(page)) == 10 + 12


def test_credits_of_the_company_are_no_seats() -> None:
    skus = recorded("04_subscribed_skus")
    skus["value"][4]["servicePlans"] = skus["value"][0]["servicePlans"]
    assert len(counts(snapshot(skus))) == 1


def test_a_filter_that_is_passed_over_in_silence_makes_no_seats() -> None:
    users = recorded("04_users_licences_org")
    for user in users["value"]:
        user["assignedLicenses"] = [one for one in user["assignedLicenses"] if not one["skuId"].startswith("639dec6b")]
    assert seats(snapshot(users=users)) == []


def test_users_come_in_pages_by_the_links_the_vendor_gives() -> None:
    whole = recorded("04_users_licences_org")
    following = "https://graph.microsoft.com/v1.0/users?$skiptoken=abc"
    book = {
        "/v1.0/users": {"value": whole["value"][:5], "@odata.nextLink": following},
        following: {"value": whole["value"][5:]},
    }

    def answer(path: str, _query: dict[str, str]) -> Json:
        return book.get(path) or (REPORT if "reports" in path else recorded("04_subscribed_skus"))

    fetch = FakeFetch(answer)
    page = MicrosoftCopilotSource(numbered).poll(fetch, {}, UNTIL)
    assert len(seats(page)) == 10
    assert fetch.asked[-1] == (following, [])


def test_a_link_that_loops_is_a_changed_source() -> None:
    users = recorded("04_users_licences_org") | {
        "@odata.nextLink": "https://graph.microsoft.com/v1.0/users?$skiptoken=a"
    }
    with pytest.raises(SourceChangedError, match="came back"):
        snapshot(users=users)


def test_only_what_is_needed_of_a_person_is_asked_for() -> None:
    asked: list[tuple[str, dict[str, str]]] = []

    def answer(path: str, query: dict[str, str]) -> Json:
        asked.append((path, query))
        return (
            REPORT
            if "reports" in path
            else recorded("04_subscribed_skus" if "Skus" in path else "04_users_licences_org")
        )

    MicrosoftCopilotSource(numbered).poll(FakeFetch(answer), {}, UNTIL)
    fields = asked[-1][1]["$select"].split(",")
    assert fields == ["id", "userPrincipalName", "assignedLicenses", "licenseAssignmentStates"]


def test_concealed_names_leave_the_number_of_active_ones_only() -> None:
    lines = REPORT.decode().splitlines()
    concealed = [line.replace(line.split(",")[1], f"{number:032X}") for number, line in enumerate(lines[1:])]
    page = snapshot(report="\n".join([lines[0], *concealed]).encode())
    assert counts(page)[0].active == 9
    assert {seat.last_active_on for seat in seats(page)} == {None}


@pytest.mark.parametrize(
    ("last", "active"),
    [
        pytest.param("2026-10-01", 1, id="27 days ago"),
        pytest.param("2026-09-30", 0, id="28 days ago"),
        pytest.param("", 0, id="never"),
    ],
)
def test_active_means_used_within_28_days_of_the_report(last: str, active: int) -> None:
    row = {"report refresh date": "2026-10-28", "user principal name": "A@b", "last activity date": last}
    found = activity_of([row])
    assert found.active == active
    assert found.last_active_on == ({"a@b": date.fromisoformat(last)} if last else {})


def test_a_date_of_another_form_is_a_changed_source() -> None:
    row = {"report refresh date": "28.10.2026", "user principal name": "a@b", "last activity date": ""}
    with pytest.raises(SourceChangedError, match="YYYY-MM-DD"):
        activity_of([row])


def test_of_several_ways_to_hold_a_seat_the_earliest_counts() -> None:
    users = recorded("04_users_licences_org")
    states = users["value"][0]["licenseAssignmentStates"]
    states.append(states[1] | {"lastUpdatedDateTime": "2026-01-20T22:30:00+02:00", "assignedByGroup": None})
    states.append(states[1] | {"lastUpdatedDateTime": "2025-01-01T00:00:00Z", "state": "Disabled"})
    assert seats(snapshot(users=users))[0].assigned_on == date(2026, 1, 20)


def test_one_snapshot_a_day() -> None:
    source = MicrosoftCopilotSource(numbered)
    fetch = FakeFetch(lambda _path, _query: pytest.fail("the day was read already"))
    page = source.poll(fetch, {"day": "2026-10-29"}, UNTIL)
    assert (page.facts, page.window) == ((), None)
    assert source.rewind({"day": "2026-10-29"}, UNTIL) == {}


def test_no_copilot_among_the_subscriptions_is_not_no_seats() -> None:
    skus = recorded("04_subscribed_skus")
    del skus["value"][0]
    with pytest.raises(SourceChangedError, match="no SKU with a Copilot plan"):
        snapshot(skus)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda sku: sku.pop("prepaidUnits"), id="no units"),
        pytest.param(lambda sku: sku.update(consumedUnits="482"), id="a number as text"),
        pytest.param(lambda sku: sku.update(skuId="copilot"), id="no GUID"),
    ],
)
def test_a_subscription_of_another_shape(change: Callable[[Json], None]) -> None:
    skus = recorded("04_subscribed_skus")
    change(skus["value"][0])
    with pytest.raises(ValidationError):
        snapshot(skus)
